// core/wire/kafka/leave_group.h: API key 13, versions 0 to 5.
//
// One member, in a field of the message itself, before version 3; any number since.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct LeaveGroupRequest {
    static constexpr ApiKey key = ApiKey::leave_group;
    using Response = struct LeaveGroupResponse;

    struct Member {
        std::string id;
        std::optional<std::string> group_instance_id;
        std::optional<std::string> reason;
    };

    std::string group_id;
    std::string member_id;
    std::vector<Member> members;
};

template <class Codec>
void describe(Codec& field, LeaveGroupRequest::Member& m) {
    field(m.id, m.group_instance_id);
    if (field.version >= 5) field(m.reason);
    field.tags();
}

template <class Codec>
void describe(Codec& field, LeaveGroupRequest& r) {
    field(r.group_id);
    if (field.version >= 3) {
        field(r.members);
    } else {
        field(r.member_id);
    }
    field.tags();
}

struct LeaveGroupResponse {
    struct Member {
        std::string id;
        std::optional<std::string> group_instance_id;
        ErrorCode error = ErrorCode::none;
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
    std::vector<Member> members;
};

template <class Codec>
void describe(Codec& field, LeaveGroupResponse::Member& m) {
    field(m.id, m.group_instance_id, m.error);
    field.tags();
}

template <class Codec>
void describe(Codec& field, LeaveGroupResponse& r) {
    if (field.version >= 1) field(r.throttle_time_ms);
    field(r.error);
    if (field.version >= 3) field(r.members);
    field.tags();
}

} // namespace pyralog::wire::kafka
