// core/wire/kafka/create_partitions.h: API key 37, versions 0 to 3.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct CreatePartitionsRequest {
    static constexpr ApiKey key = ApiKey::create_partitions;
    using Response = struct CreatePartitionsResponse;

    struct Assignment {
        std::vector<std::int32_t> broker_ids;
    };
    struct Topic {
        std::string name;
        std::int32_t count = 0;                             // That there are to be in all.
        std::optional<std::vector<Assignment>> assignments; // Of the new ones; none: as it comes.
    };

    std::vector<Topic> topics;
    std::int32_t timeout_ms = 0;
    bool validate_only = false;
};

template <class Codec>
void describe(Codec& field, CreatePartitionsRequest::Assignment& a) {
    field(a.broker_ids);
    field.tags();
}

template <class Codec>
void describe(Codec& field, CreatePartitionsRequest::Topic& t) {
    field(t.name, t.count, t.assignments);
    field.tags();
}

template <class Codec>
void describe(Codec& field, CreatePartitionsRequest& r) {
    field(r.topics, r.timeout_ms, r.validate_only);
    field.tags();
}

struct CreatePartitionsResponse {
    struct Topic {
        std::string name;
        ErrorCode error = ErrorCode::none;
        std::optional<std::string> error_message;
    };

    std::int32_t throttle_time_ms = 0;
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, CreatePartitionsResponse::Topic& t) {
    field(t.name, t.error, t.error_message);
    field.tags();
}

template <class Codec>
void describe(Codec& field, CreatePartitionsResponse& r) {
    field(r.throttle_time_ms, r.topics);
    field.tags();
}

} // namespace pyralog::wire::kafka
