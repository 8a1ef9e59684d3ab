// core/wire/kafka/delete_records.h: API key 21, versions 0 to 2.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct DeleteRecordsRequest {
    static constexpr ApiKey key = ApiKey::delete_records;
    using Response = struct DeleteRecordsResponse;

    static constexpr std::int64_t all = -1; // All that is committed.

    struct Partition {
        std::int32_t index = 0;
        std::int64_t offset = 0; // The first record that is kept, or `all`.
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };

    std::vector<Topic> topics;
    std::int32_t timeout_ms = 0;
};

template <class Codec>
void describe(Codec& field, DeleteRecordsRequest::Partition& p) {
    field(p.index, p.offset);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DeleteRecordsRequest::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DeleteRecordsRequest& r) {
    field(r.topics, r.timeout_ms);
    field.tags();
}

struct DeleteRecordsResponse {
    struct Partition {
        std::int32_t index = 0;
        std::int64_t low_watermark = -1; // The first record that is left.
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
void describe(Codec& field, DeleteRecordsResponse::Partition& p) {
    field(p.index, p.low_watermark, p.error);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DeleteRecordsResponse::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DeleteRecordsResponse& r) {
    field(r.throttle_time_ms, r.topics);
    field.tags();
}

} // namespace pyralog::wire::kafka
