// core/wire/kafka/create_topics.h: API key 19, versions 2 to 7.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct CreateTopicsRequest {
    static constexpr ApiKey key = ApiKey::create_topics;
    using Response = struct CreateTopicsResponse;

    struct Assignment {
        std::int32_t partition_index = 0;
        std::vector<std::int32_t> broker_ids;
    };
    struct Config {
        std::string name;
        std::optional<std::string> value;
    };
    struct Topic {
        std::string name;
        std::int32_t num_partitions = 0;     // -1: the broker's default, or as assigned.
        std::int16_t replication_factor = 0; // Likewise.
        std::vector<Assignment> assignments;
        std::vector<Config> configs;
    };

    std::vector<Topic> topics;
    std::int32_t timeout_ms = 60000;
    bool validate_only = false;
};

template <class Codec>
void describe(Codec& field, CreateTopicsRequest::Assignment& a) {
    field(a.partition_index, a.broker_ids);
    field.tags();
}

template <class Codec>
void describe(Codec& field, CreateTopicsRequest::Config& c) {
    field(c.name, c.value);
    field.tags();
}

template <class Codec>
void describe(Codec& field, CreateTopicsRequest::Topic& t) {
    field(t.name, t.num_partitions, t.replication_factor, t.assignments, t.configs);
    field.tags();
}

template <class Codec>
void describe(Codec& field, CreateTopicsRequest& r) {
    field(r.topics, r.timeout_ms, r.validate_only);
    field.tags();
}

struct CreateTopicsResponse {
    struct Config {
        std::string name;
        std::optional<std::string> value;
        bool read_only = false;
        std::int8_t config_source = 5; // 1: the topic; 4: the broker; 5: the default.
        bool is_sensitive = false;
    };
    struct Topic {
        std::string name;
        Uuid id;
        ErrorCode error = ErrorCode::none;
        std::optional<std::string> error_message;
        ErrorCode config_error = ErrorCode::none;
        std::int32_t num_partitions = -1;
        std::int16_t replication_factor = -1;
        // Java's admin client trips over none where the topic was created.
        std::optional<std::vector<Config>> configs = std::vector<Config>();
    };

    std::int32_t throttle_time_ms = 0;
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, CreateTopicsResponse::Config& c) {
    field(c.name, c.value, c.read_only, c.config_source, c.is_sensitive);
    field.tags();
}

template <class Codec>
void describe(Codec& field, CreateTopicsResponse::Topic& t) {
    field(t.name);
    if (field.version >= 7) field(t.id);
    field(t.error, t.error_message);
    if (field.version >= 5) field(t.num_partitions, t.replication_factor, t.configs);
    field.tags(tag(0, t.config_error, t.config_error != ErrorCode::none));
}

template <class Codec>
void describe(Codec& field, CreateTopicsResponse& r) {
    field(r.throttle_time_ms, r.topics);
    field.tags();
}

} // namespace pyralog::wire::kafka
