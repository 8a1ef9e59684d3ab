// core/wire/kafka/list_offsets.h: API key 2, versions 1 to 7.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct ListOffsetsRequest {
    static constexpr ApiKey key = ApiKey::list_offsets;
    using Response = struct ListOffsetsResponse;

    // Times that are questions.
    static constexpr std::int64_t latest = -1;
    static constexpr std::int64_t earliest = -2;
    static constexpr std::int64_t max_timestamp = -3; // Version 7.

    struct Partition {
        std::int32_t index = 0;
        std::int32_t current_leader_epoch = -1;
        std::int64_t timestamp = 0;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };

    std::int32_t replica_id = -1;
    std::int8_t isolation_level = 0;
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, ListOffsetsRequest::Partition& p) {
    field(p.index);
    if (field.version >= 4) field(p.current_leader_epoch);
    field(p.timestamp);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ListOffsetsRequest::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ListOffsetsRequest& r) {
    field(r.replica_id);
    if (field.version >= 2) field(r.isolation_level);
    field(r.topics);
    field.tags();
}

struct ListOffsetsResponse {
    struct Partition {
        std::int32_t index = 0;
        ErrorCode error = ErrorCode::none;
        std::int64_t timestamp = -1;
        std::int64_t offset = -1;
        std::int32_t leader_epoch = -1;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };

    std::int32_t throttle_time_ms = 0;
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, ListOffsetsResponse::Partition& p) {
    field(p.index, p.error, p.timestamp, p.offset);
    if (field.version >= 4) field(p.leader_epoch);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ListOffsetsResponse::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ListOffsetsResponse& r) {
    if (field.version >= 2) field(r.throttle_time_ms);
    field(r.topics);
    field.tags();
}

} // namespace pyralog::wire::kafka
