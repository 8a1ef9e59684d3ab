// core/wire/kafka/elect_leaders.h: API key 43, versions 0 to 2.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct ElectLeadersRequest {
    static constexpr ApiKey key = ApiKey::elect_leaders;
    using Response = struct ElectLeadersResponse;

    enum class Election : std::int8_t { preferred = 0, unclean = 1 };
    struct Topic {
        std::string name;
        std::vector<std::int32_t> partitions;
    };

    Election election{};                      // Before version 1 there is none but the first.
    std::optional<std::vector<Topic>> topics; // None: all.
    std::int32_t timeout_ms = 60000;
};

template <class Codec>
void describe(Codec& field, ElectLeadersRequest::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ElectLeadersRequest& r) {
    if (field.version >= 1) field(r.election);
    field(r.topics, r.timeout_ms);
    field.tags();
}

struct ElectLeadersResponse {
    struct Partition {
        std::int32_t index = 0;
        ErrorCode error = ErrorCode::none;
        std::optional<std::string> error_message;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, ElectLeadersResponse::Partition& p) {
    field(p.index, p.error, p.error_message);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ElectLeadersResponse::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ElectLeadersResponse& r) {
    field(r.throttle_time_ms);
    if (field.version >= 1) field(r.error);
    field(r.topics);
    field.tags();
}

} // namespace pyralog::wire::kafka
