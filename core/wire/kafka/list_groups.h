// core/wire/kafka/list_groups.h: API key 16, versions 0 to 5.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct ListGroupsRequest {
    static constexpr ApiKey key = ApiKey::list_groups;
    using Response = struct ListGroupsResponse;

    std::vector<std::string> states_filter; // None: all.
    std::vector<std::string> types_filter;
};

template <class Codec>
void describe(Codec& field, ListGroupsRequest& r) {
    if (field.version >= 4) field(r.states_filter);
    if (field.version >= 5) field(r.types_filter);
    field.tags();
}

struct ListGroupsResponse {
    struct Group {
        std::string id;
        std::string protocol_type;
        std::string state;
        std::string type;
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
    std::vector<Group> groups;
};

template <class Codec>
void describe(Codec& field, ListGroupsResponse::Group& g) {
    field(g.id, g.protocol_type);
    if (field.version >= 4) field(g.state);
    if (field.version >= 5) field(g.type);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ListGroupsResponse& r) {
    if (field.version >= 1) field(r.throttle_time_ms);
    field(r.error, r.groups);
    field.tags();
}

} // namespace pyralog::wire::kafka
