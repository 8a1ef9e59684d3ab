// core/wire/kafka/describe_groups.h: API key 15, versions 0 to 5.
#pragma once

#include "core/wire/kafka/api.h"

#include <limits>

namespace pyralog::wire::kafka {

struct DescribeGroupsRequest {
    static constexpr ApiKey key = ApiKey::describe_groups;
    using Response = struct DescribeGroupsResponse;

    std::vector<std::string> groups;
    bool include_authorized_operations = false;
};

template <class Codec>
void describe(Codec& field, DescribeGroupsRequest& r) {
    field(r.groups);
    if (field.version >= 3) field(r.include_authorized_operations);
    field.tags();
}

struct DescribeGroupsResponse {
    struct Member {
        std::string id;
        std::optional<std::string> group_instance_id;
        std::string client_id;
        std::string client_host;
        Bytes metadata;
        Bytes assignment;
    };
    struct Group {
        ErrorCode error = ErrorCode::none;
        std::string id;
        std::string state;
        std::string protocol_type;
        std::string protocol;
        std::vector<Member> members;
        std::int32_t authorized_operations = std::numeric_limits<std::int32_t>::min();
    };

    std::int32_t throttle_time_ms = 0;
    std::vector<Group> groups;
};

template <class Codec>
void describe(Codec& field, DescribeGroupsResponse::Member& m) {
    field(m.id);
    if (field.version >= 4) field(m.group_instance_id);
    field(m.client_id, m.client_host, m.metadata, m.assignment);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeGroupsResponse::Group& g) {
    field(g.error, g.id, g.state, g.protocol_type, g.protocol, g.members);
    if (field.version >= 3) field(g.authorized_operations);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeGroupsResponse& r) {
    if (field.version >= 1) field(r.throttle_time_ms);
    field(r.groups);
    field.tags();
}

} // namespace pyralog::wire::kafka
