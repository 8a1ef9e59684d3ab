// core/wire/kafka/alter_configs.h: API keys 33, AlterConfigs, versions 0 to 2, and 44,
// IncrementalAlterConfigs, versions 0 to 1.
#pragma once

#include "core/wire/kafka/describe_configs.h"

namespace pyralog::wire::kafka {

// All that is set of a resource: what is not named here gets its default.
struct AlterConfigsRequest {
    static constexpr ApiKey key = ApiKey::alter_configs;
    using Response = struct AlterConfigsResponse;

    struct Config {
        std::string name;
        std::optional<std::string> value;
    };
    struct Resource {
        ConfigResource type{};
        std::string name;
        std::vector<Config> configs;
    };

    std::vector<Resource> resources;
    bool validate_only = false;
};

template <class Codec>
void describe(Codec& field, AlterConfigsRequest::Config& c) {
    field(c.name, c.value);
    field.tags();
}

template <class Codec>
void describe(Codec& field, AlterConfigsRequest::Resource& r) {
    field(r.type, r.name, r.configs);
    field.tags();
}

template <class Codec>
void describe(Codec& field, AlterConfigsRequest& r) {
    field(r.resources, r.validate_only);
    field.tags();
}

struct AlterConfigsResponse {
    struct Result {
        ErrorCode error = ErrorCode::none;
        std::optional<std::string> error_message;
        ConfigResource type{};
        std::string name;
    };

    std::int32_t throttle_time_ms = 0;
    std::vector<Result> results;
};

template <class Codec>
void describe(Codec& field, AlterConfigsResponse::Result& r) {
    field(r.error, r.error_message, r.type, r.name);
    field.tags();
}

template <class Codec>
void describe(Codec& field, AlterConfigsResponse& r) {
    field(r.throttle_time_ms, r.results);
    field.tags();
}

// The append and subtract of lists alone.
enum class ConfigOperation : std::int8_t { set = 0, unset = 1, append = 2, subtract = 3 };

struct IncrementalAlterConfigsRequest {
    static constexpr ApiKey key = ApiKey::incremental_alter_configs;
    struct Response : AlterConfigsResponse {}; // Of the same form.

    struct Config {
        std::string name;
        ConfigOperation operation{};
        std::optional<std::string> value;
    };
    struct Resource {
        ConfigResource type{};
        std::string name;
        std::vector<Config> configs;
    };

    std::vector<Resource> resources;
    bool validate_only = false;
};

template <class Codec>
void describe(Codec& field, IncrementalAlterConfigsRequest::Config& c) {
    field(c.name, c.operation, c.value);
    field.tags();
}

template <class Codec>
void describe(Codec& field, IncrementalAlterConfigsRequest::Resource& r) {
    field(r.type, r.name, r.configs);
    field.tags();
}

template <class Codec>
void describe(Codec& field, IncrementalAlterConfigsRequest& r) {
    field(r.resources, r.validate_only);
    field.tags();
}

template <class Codec>
void describe(Codec& field, IncrementalAlterConfigsRequest::Response& r) {
    describe(field, static_cast<AlterConfigsResponse&>(r));
}

} // namespace pyralog::wire::kafka
