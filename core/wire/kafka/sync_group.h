// core/wire/kafka/sync_group.h: API key 14, versions 0 to 5.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct SyncGroupRequest {
    static constexpr ApiKey key = ApiKey::sync_group;
    using Response = struct SyncGroupResponse;

    struct Assignment {
        std::string member_id;
        Bytes assignment; // The clients' affair.
    };

    std::string group_id;
    std::int32_t generation_id = 0;
    std::string member_id;
    std::optional<std::string> group_instance_id;
    std::optional<std::string> protocol_type;
    std::optional<std::string> protocol_name;
    std::vector<Assignment> assignments; // From the leader.
};

template <class Codec>
void describe(Codec& field, SyncGroupRequest::Assignment& a) {
    field(a.member_id, a.assignment);
    field.tags();
}

template <class Codec>
void describe(Codec& field, SyncGroupRequest& r) {
    field(r.group_id, r.generation_id, r.member_id);
    if (field.version >= 3) field(r.group_instance_id);
    if (field.version >= 5) field(r.protocol_type, r.protocol_name);
    field(r.assignments);
    field.tags();
}

struct SyncGroupResponse {
    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
    std::optional<std::string> protocol_type;
    std::optional<std::string> protocol_name;
    Bytes assignment;
};

template <class Codec>
void describe(Codec& field, SyncGroupResponse& r) {
    if (field.version >= 1) field(r.throttle_time_ms);
    field(r.error);
    if (field.version >= 5) field(r.protocol_type, r.protocol_name);
    field(r.assignment);
    field.tags();
}

} // namespace pyralog::wire::kafka
