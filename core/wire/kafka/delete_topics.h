// core/wire/kafka/delete_topics.h: API key 20, versions 1 to 6.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct DeleteTopicsRequest {
    static constexpr ApiKey key = ApiKey::delete_topics;
    using Response = struct DeleteTopicsResponse;

    struct Topic {
        std::optional<std::string> name; // By name, or else by id.
        Uuid id;
    };

    std::vector<Topic> topics;            // From version 6 on.
    std::vector<std::string> topic_names; // Before.
    std::int32_t timeout_ms = 0;
};

template <class Codec>
void describe(Codec& field, DeleteTopicsRequest::Topic& t) {
    field(t.name, t.id);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DeleteTopicsRequest& r) {
    if (field.version >= 6) {
        field(r.topics);
    } else {
        field(r.topic_names);
    }
    field(r.timeout_ms);
    field.tags();
}

struct DeleteTopicsResponse {
    struct Topic {
        std::optional<std::string> name; // May be none from version 6 on.
        Uuid id;
        ErrorCode error = ErrorCode::none;
        std::optional<std::string> error_message;
    };

    std::int32_t throttle_time_ms = 0;
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, DeleteTopicsResponse::Topic& t) {
    field(t.name);
    if (field.version < 6) field.require(t.name.has_value());
    if (field.version >= 6) field(t.id);
    field(t.error);
    if (field.version >= 5) field(t.error_message);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DeleteTopicsResponse& r) {
    field(r.throttle_time_ms, r.topics);
    field.tags();
}

} // namespace pyralog::wire::kafka
