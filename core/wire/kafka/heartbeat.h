// core/wire/kafka/heartbeat.h: API key 12, versions 0 to 4.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct HeartbeatRequest {
    static constexpr ApiKey key = ApiKey::heartbeat;
    using Response = struct HeartbeatResponse;

    std::string group_id;
    std::int32_t generation_id = 0;
    std::string member_id;
    std::optional<std::string> group_instance_id;
};

template <class Codec>
void describe(Codec& field, HeartbeatRequest& r) {
    field(r.group_id, r.generation_id, r.member_id);
    if (field.version >= 3) field(r.group_instance_id);
    field.tags();
}

struct HeartbeatResponse {
    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
};

template <class Codec>
void describe(Codec& field, HeartbeatResponse& r) {
    if (field.version >= 1) field(r.throttle_time_ms);
    field(r.error);
    field.tags();
}

} // namespace pyralog::wire::kafka
