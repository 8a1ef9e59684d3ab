// core/wire/kafka/offset_for_leader_epoch.h: API key 23, versions 2 to 4.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct OffsetForLeaderEpochRequest {
    static constexpr ApiKey key = ApiKey::offset_for_leader_epoch;
    using Response = struct OffsetForLeaderEpochResponse;

    struct Partition {
        std::int32_t index = 0;
        std::int32_t current_leader_epoch = -1;
        std::int32_t leader_epoch = 0; // The one whose end is asked for.
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };

    std::int32_t replica_id = -2; // Before version 3 nobody says; Kafka takes it for a debugger.
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, OffsetForLeaderEpochRequest::Partition& p) {
    field(p.index, p.current_leader_epoch, p.leader_epoch);
    field.tags();
}

template <class Codec>
void describe(Codec& field, OffsetForLeaderEpochRequest::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, OffsetForLeaderEpochRequest& r) {
    if (field.version >= 3) field(r.replica_id);
    field(r.topics);
    field.tags();
}

struct OffsetForLeaderEpochResponse {
    struct Partition {
        ErrorCode error = ErrorCode::none;
        std::int32_t index = 0;
        std::int32_t leader_epoch = -1; // The largest one not above what was asked for.
        std::int64_t end_offset = -1;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };

    std::int32_t throttle_time_ms = 0;
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, OffsetForLeaderEpochResponse::Partition& p) {
    field(p.error, p.index, p.leader_epoch, p.end_offset);
    field.tags();
}

template <class Codec>
void describe(Codec& field, OffsetForLeaderEpochResponse::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, OffsetForLeaderEpochResponse& r) {
    field(r.throttle_time_ms, r.topics);
    field.tags();
}

} // namespace pyralog::wire::kafka
