// core/wire/kafka/add_partitions_to_txn.h: API key 24, versions 0 to 5.
//
// One transaction, in fields of the message itself, before version 4; any number since, for brokers
// that ask for others.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct AddPartitionsToTxnRequest {
    static constexpr ApiKey key = ApiKey::add_partitions_to_txn;
    using Response = struct AddPartitionsToTxnResponse;

    struct Topic {
        std::string name;
        std::vector<std::int32_t> partitions;
    };
    struct Transaction {
        std::string transactional_id;
        std::int64_t producer_id = 0;
        std::int16_t producer_epoch = 0;
        bool verify_only = false; // Are they part of it? Nothing is added.
        std::vector<Topic> topics;
    };

    Transaction transaction;
    std::vector<Transaction> transactions;
};

template <class Codec>
void describe(Codec& field, AddPartitionsToTxnRequest::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, AddPartitionsToTxnRequest::Transaction& t) {
    field(t.transactional_id, t.producer_id, t.producer_epoch);
    if (field.version >= 4) field(t.verify_only);
    field(t.topics);
    if (field.version >= 4) field.tags();
}

template <class Codec>
void describe(Codec& field, AddPartitionsToTxnRequest& r) {
    if (field.version >= 4) {
        field(r.transactions);
    } else {
        field(r.transaction);
    }
    field.tags();
}

struct AddPartitionsToTxnResponse {
    struct Partition {
        std::int32_t index = 0;
        ErrorCode error = ErrorCode::none;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };
    struct Transaction {
        std::string transactional_id;
        std::vector<Topic> topics;
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
    std::vector<Transaction> transactions; // From version 4 on.
    std::vector<Topic> topics;             // Before.
};

template <class Codec>
void describe(Codec& field, AddPartitionsToTxnResponse::Partition& p) {
    field(p.index, p.error);
    field.tags();
}

template <class Codec>
void describe(Codec& field, AddPartitionsToTxnResponse::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, AddPartitionsToTxnResponse::Transaction& t) {
    field(t.transactional_id, t.topics);
    field.tags();
}

template <class Codec>
void describe(Codec& field, AddPartitionsToTxnResponse& r) {
    field(r.throttle_time_ms);
    if (field.version >= 4) {
        field(r.error, r.transactions);
    } else {
        field(r.topics);
    }
    field.tags();
}

} // namespace pyralog::wire::kafka
