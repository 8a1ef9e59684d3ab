// core/wire/kafka/offset_commit.h: API key 8, versions 2 to 9.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct OffsetCommitRequest {
    static constexpr ApiKey key = ApiKey::offset_commit;
    using Response = struct OffsetCommitResponse;

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

    std::string group_id;
    std::int32_t generation_id = -1; // -1, and no member: of a consumer without a group's help.
    std::string member_id;
    std::optional<std::string> group_instance_id;
    std::int64_t retention_time_ms = -1; // Up to version 4. The coordinator's own counts.
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, OffsetCommitRequest::Partition& p) {
    field(p.index, p.offset);
    if (field.version >= 6) field(p.leader_epoch);
    field(p.metadata);
    field.tags();
}

template <class Codec>
void describe(Codec& field, OffsetCommitRequest::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, OffsetCommitRequest& r) {
    field(r.group_id, r.generation_id, r.member_id);
    if (field.version >= 7) field(r.group_instance_id);
    if (field.version <= 4) field(r.retention_time_ms);
    field(r.topics);
    field.tags();
}

struct OffsetCommitResponse {
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
void describe(Codec& field, OffsetCommitResponse::Partition& p) {
    field(p.index, p.error);
    field.tags();
}

template <class Codec>
void describe(Codec& field, OffsetCommitResponse::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, OffsetCommitResponse& r) {
    if (field.version >= 3) field(r.throttle_time_ms);
    field(r.topics);
    field.tags();
}

} // namespace pyralog::wire::kafka
