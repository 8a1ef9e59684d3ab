// core/wire/kafka/join_group.h: API key 11, versions 0 to 9.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct JoinGroupRequest {
    static constexpr ApiKey key = ApiKey::join_group;
    using Response = struct JoinGroupResponse;

    struct Protocol {
        std::string name;
        Bytes metadata; // The clients' affair.
    };

    std::string group_id;
    std::int32_t session_timeout_ms = 0;
    std::int32_t rebalance_timeout_ms = -1; // From version 1 on; before, the session's.
    std::string member_id;
    std::optional<std::string> group_instance_id;
    std::string protocol_type;
    std::vector<Protocol> protocols;
    std::optional<std::string> reason;
};

template <class Codec>
void describe(Codec& field, JoinGroupRequest::Protocol& p) {
    field(p.name, p.metadata);
    field.tags();
}

template <class Codec>
void describe(Codec& field, JoinGroupRequest& r) {
    field(r.group_id, r.session_timeout_ms);
    if (field.version >= 1) field(r.rebalance_timeout_ms);
    field(r.member_id);
    if (field.version >= 5) field(r.group_instance_id);
    field(r.protocol_type, r.protocols);
    if (field.version >= 8) field(r.reason);
    field.tags();
}

struct JoinGroupResponse {
    struct Member {
        std::string id;
        std::optional<std::string> group_instance_id;
        Bytes metadata;
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
    std::int32_t generation_id = -1;
    std::optional<std::string> protocol_type;
    std::optional<std::string> protocol_name; // Not none before version 7.
    std::string leader;
    bool skip_assignment = false;
    std::string member_id;
    std::vector<Member> members; // For the leader.
};

template <class Codec>
void describe(Codec& field, JoinGroupResponse::Member& m) {
    field(m.id);
    if (field.version >= 5) field(m.group_instance_id);
    field(m.metadata);
    field.tags();
}

template <class Codec>
void describe(Codec& field, JoinGroupResponse& r) {
    if (field.version >= 2) field(r.throttle_time_ms);
    field(r.error, r.generation_id);
    if (field.version >= 7) field(r.protocol_type);
    field(r.protocol_name);
    if (field.version < 7) field.require(r.protocol_name.has_value());
    field(r.leader);
    if (field.version >= 9) field(r.skip_assignment);
    field(r.member_id, r.members);
    field.tags();
}

} // namespace pyralog::wire::kafka
