// core/wire/kafka/describe_configs.h: API key 32, versions 0 to 4.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

// What it is whose settings are asked for, or changed.
enum class ConfigResource : std::int8_t { topic = 2, broker = 4, broker_logger = 8 };

// Where a value comes from.
enum class ConfigSource : std::int8_t {
    topic = 1,
    dynamic_broker = 2,
    static_broker = 4,
    built_in = 5,
    dynamic_logger = 6,
};

enum class ConfigType : std::int8_t {
    unknown = 0,
    boolean = 1,
    string = 2,
    int32 = 3,
    int16 = 4,
    int64 = 5,
    float64 = 6,
    list = 7,
};

struct DescribeConfigsRequest {
    static constexpr ApiKey key = ApiKey::describe_configs;
    using Response = struct DescribeConfigsResponse;

    struct Resource {
        ConfigResource type{};
        std::string name;
        std::optional<std::vector<std::string>> keys; // None: all.
    };

    std::vector<Resource> resources;
    bool include_synonyms = false;
    bool include_documentation = false;
};

template <class Codec>
void describe(Codec& field, DescribeConfigsRequest::Resource& r) {
    field(r.type, r.name, r.keys);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeConfigsRequest& r) {
    field(r.resources);
    if (field.version >= 1) field(r.include_synonyms);
    if (field.version >= 3) field(r.include_documentation);
    field.tags();
}

struct DescribeConfigsResponse {
    struct Synonym {
        std::string name;
        std::optional<std::string> value;
        ConfigSource source{};
    };
    struct Config {
        std::string name;
        std::optional<std::string> value;
        bool read_only = false;
        bool is_default = false;
        ConfigSource source = ConfigSource::built_in;
        bool is_sensitive = false;
        std::vector<Synonym> synonyms; // All that could count, the one that does first.
        ConfigType type = ConfigType::unknown;
        std::optional<std::string> documentation;
    };
    struct Result {
        ErrorCode error = ErrorCode::none;
        std::optional<std::string> error_message;
        ConfigResource type{};
        std::string name;
        std::vector<Config> configs;
    };

    std::int32_t throttle_time_ms = 0;
    std::vector<Result> results;
};

template <class Codec>
void describe(Codec& field, DescribeConfigsResponse::Synonym& s) {
    field(s.name, s.value, s.source);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeConfigsResponse::Config& c) {
    field(c.name, c.value, c.read_only);
    if (field.version == 0) field(c.is_default);
    if (field.version >= 1) field(c.source);
    field(c.is_sensitive);
    if (field.version >= 1) field(c.synonyms);
    if (field.version >= 3) field(c.type, c.documentation);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeConfigsResponse::Result& r) {
    field(r.error, r.error_message, r.type, r.name, r.configs);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeConfigsResponse& r) {
    field(r.throttle_time_ms, r.results);
    field.tags();
}

} // namespace pyralog::wire::kafka
