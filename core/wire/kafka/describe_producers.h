// core/wire/kafka/describe_producers.h: API key 61, version 0.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct DescribeProducersRequest {
    static constexpr ApiKey key = ApiKey::describe_producers;
    using Response = struct DescribeProducersResponse;

    struct Topic {
        std::string name;
        std::vector<std::int32_t> partitions;
    };

    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, DescribeProducersRequest::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeProducersRequest& r) {
    field(r.topics);
    field.tags();
}

struct DescribeProducersResponse {
    struct Producer {
        std::int64_t id = -1;
        std::int32_t epoch = -1;
        std::int32_t last_sequence = -1;
        std::int64_t last_timestamp = -1;
        std::int32_t coordinator_epoch = -1;
        std::int64_t current_transaction_start = -1;
    };
    struct Partition {
        std::int32_t index = 0;
        ErrorCode error = ErrorCode::none;
        std::optional<std::string> error_message;
        std::vector<Producer> producers;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };

    std::int32_t throttle_time_ms = 0;
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, DescribeProducersResponse::Producer& p) {
    field(p.id, p.epoch, p.last_sequence, p.last_timestamp);
    field(p.coordinator_epoch, p.current_transaction_start);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeProducersResponse::Partition& p) {
    field(p.index, p.error, p.error_message, p.producers);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeProducersResponse::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeProducersResponse& r) {
    field(r.throttle_time_ms, r.topics);
    field.tags();
}

} // namespace pyralog::wire::kafka
