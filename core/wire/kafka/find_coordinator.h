// core/wire/kafka/find_coordinator.h: API key 10, versions 0 to 4.
//
// One coordinator, in fields of the message itself, before version 4; any number since.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct FindCoordinatorRequest {
    static constexpr ApiKey key = ApiKey::find_coordinator;
    using Response = struct FindCoordinatorResponse;

    std::string coordinator_key;
    std::int8_t key_type = 0; // 0: a group; 1: a transactional id.
    std::vector<std::string> coordinator_keys;
};

template <class Codec>
void describe(Codec& field, FindCoordinatorRequest& r) {
    if (field.version < 4) field(r.coordinator_key);
    if (field.version >= 1) field(r.key_type);
    if (field.version >= 4) field(r.coordinator_keys);
    field.tags();
}

struct FindCoordinatorResponse {
    struct Coordinator {
        std::string key; // From version 4 on.
        ErrorCode error = ErrorCode::none;
        std::optional<std::string> error_message;
        std::int32_t node_id = -1;
        std::string host;
        std::int32_t port = -1;
    };

    std::int32_t throttle_time_ms = 0;
    Coordinator coordinator;
    std::vector<Coordinator> coordinators;
};

template <class Codec>
void describe(Codec& field, FindCoordinatorResponse::Coordinator& c) {
    field(c.key, c.node_id, c.host, c.port, c.error, c.error_message);
    field.tags();
}

template <class Codec>
void describe(Codec& field, FindCoordinatorResponse& r) {
    if (field.version >= 1) field(r.throttle_time_ms);
    if (field.version >= 4) {
        field(r.coordinators);
    } else {
        field(r.coordinator.error);
        if (field.version >= 1) field(r.coordinator.error_message);
        field(r.coordinator.node_id, r.coordinator.host, r.coordinator.port);
    }
    field.tags();
}

} // namespace pyralog::wire::kafka
