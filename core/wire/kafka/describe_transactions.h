// core/wire/kafka/describe_transactions.h: API key 65, version 0.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct DescribeTransactionsRequest {
    static constexpr ApiKey key = ApiKey::describe_transactions;
    using Response = struct DescribeTransactionsResponse;

    std::vector<std::string> transactional_ids;
};

template <class Codec>
void describe(Codec& field, DescribeTransactionsRequest& r) {
    field(r.transactional_ids);
    field.tags();
}

struct DescribeTransactionsResponse {
    struct Topic {
        std::string name;
        std::vector<std::int32_t> partitions;
    };
    struct Transaction {
        ErrorCode error = ErrorCode::none;
        std::string transactional_id;
        std::string state;
        std::int32_t timeout_ms = 0;
        std::int64_t start_time_ms = -1;
        std::int64_t producer_id = -1;
        std::int16_t producer_epoch = -1;
        std::vector<Topic> topics;
    };

    std::int32_t throttle_time_ms = 0;
    std::vector<Transaction> transactions;
};

template <class Codec>
void describe(Codec& field, DescribeTransactionsResponse::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeTransactionsResponse::Transaction& t) {
    field(t.error, t.transactional_id, t.state, t.timeout_ms, t.start_time_ms);
    field(t.producer_id, t.producer_epoch, t.topics);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeTransactionsResponse& r) {
    field(r.throttle_time_ms, r.transactions);
    field.tags();
}

} // namespace pyralog::wire::kafka
