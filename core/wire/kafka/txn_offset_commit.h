// core/wire/kafka/txn_offset_commit.h: API key 28, versions 0 to 5.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct TxnOffsetCommitRequest {
    static constexpr ApiKey key = ApiKey::txn_offset_commit;
    using Response = struct TxnOffsetCommitResponse;

    struct Partition {
        std::int32_t index = 0;
        std::int64_t offset = 0;
        std::int32_t leader_epoch = -1;
        std::optional<std::string> metadata;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };

    std::string transactional_id;
    std::string group_id;
    std::int64_t producer_id = 0;
    std::int16_t producer_epoch = 0;
    std::int32_t generation_id = -1;
    std::string member_id;
    std::optional<std::string> group_instance_id;
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, TxnOffsetCommitRequest::Partition& p) {
    field(p.index, p.offset);
    if (field.version >= 2) field(p.leader_epoch);
    field(p.metadata);
    field.tags();
}

template <class Codec>
void describe(Codec& field, TxnOffsetCommitRequest::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, TxnOffsetCommitRequest& r) {
    field(r.transactional_id, r.group_id, r.producer_id, r.producer_epoch);
    if (field.version >= 3) field(r.generation_id, r.member_id, r.group_instance_id);
    field(r.topics);
    field.tags();
}

struct TxnOffsetCommitResponse {
    struct Partition {
        std::int32_t index = 0;
        ErrorCode error = ErrorCode::none;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };

    std::int32_t throttle_time_ms = 0;
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, TxnOffsetCommitResponse::Partition& p) {
    field(p.index, p.error);
    field.tags();
}

template <class Codec>
void describe(Codec& field, TxnOffsetCommitResponse::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, TxnOffsetCommitResponse& r) {
    field(r.throttle_time_ms, r.topics);
    field.tags();
}

} // namespace pyralog::wire::kafka
