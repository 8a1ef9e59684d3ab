// core/wire/kafka/offset_delete.h: API key 47, version 0.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct OffsetDeleteRequest {
    static constexpr ApiKey key = ApiKey::offset_delete;
    using Response = struct OffsetDeleteResponse;

    struct Topic {
        std::string name;
        std::vector<std::int32_t> partitions;
    };

    std::string group_id;
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, OffsetDeleteRequest::Topic& t) {
    field(t.name, t.partitions);
}

template <class Codec>
void describe(Codec& field, OffsetDeleteRequest& r) {
    field(r.group_id, r.topics);
}

struct OffsetDeleteResponse {
    struct Partition {
        std::int32_t index = 0;
        ErrorCode error = ErrorCode::none;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };

    ErrorCode error = ErrorCode::none;
    std::int32_t throttle_time_ms = 0;
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, OffsetDeleteResponse::Partition& p) {
    field(p.index, p.error);
}

template <class Codec>
void describe(Codec& field, OffsetDeleteResponse::Topic& t) {
    field(t.name, t.partitions);
}

template <class Codec>
void describe(Codec& field, OffsetDeleteResponse& r) {
    field(r.error, r.throttle_time_ms, r.topics);
}

} // namespace pyralog::wire::kafka
