// core/wire/kafka/describe_log_dirs.h: API key 35, versions 0 to 4.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct DescribeLogDirsRequest {
    static constexpr ApiKey key = ApiKey::describe_log_dirs;
    using Response = struct DescribeLogDirsResponse;

    struct Topic {
        std::string name;
        std::vector<std::int32_t> partitions;
    };

    std::optional<std::vector<Topic>> topics; // None: all.
};

template <class Codec>
void describe(Codec& field, DescribeLogDirsRequest::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeLogDirsRequest& r) {
    field(r.topics);
    field.tags();
}

struct DescribeLogDirsResponse {
    struct Partition {
        std::int32_t index = 0;
        std::int64_t size = 0;
        std::int64_t offset_lag = 0;
        bool is_future = false;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };
    struct Result {
        ErrorCode error = ErrorCode::none;
        std::string dir;
        std::vector<Topic> topics;
        std::int64_t total_bytes = -1;
        std::int64_t usable_bytes = -1;
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
    std::vector<Result> results;
};

template <class Codec>
void describe(Codec& field, DescribeLogDirsResponse::Partition& p) {
    field(p.index, p.size, p.offset_lag, p.is_future);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeLogDirsResponse::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeLogDirsResponse::Result& r) {
    field(r.error, r.dir, r.topics);
    if (field.version >= 4) field(r.total_bytes, r.usable_bytes);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeLogDirsResponse& r) {
    field(r.throttle_time_ms);
    if (field.version >= 3) field(r.error);
    field(r.results);
    field.tags();
}

} // namespace pyralog::wire::kafka
