// core/wire/kafka/delete_groups.h: API key 42, versions 0 to 2.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct DeleteGroupsRequest {
    static constexpr ApiKey key = ApiKey::delete_groups;
    using Response = struct DeleteGroupsResponse;

    std::vector<std::string> groups;
};

template <class Codec>
void describe(Codec& field, DeleteGroupsRequest& r) {
    field(r.groups);
    field.tags();
}

struct DeleteGroupsResponse {
    struct Group {
        std::string id;
        ErrorCode error = ErrorCode::none;
    };

    std::int32_t throttle_time_ms = 0;
    std::vector<Group> groups;
};

template <class Codec>
void describe(Codec& field, DeleteGroupsResponse::Group& g) {
    field(g.id, g.error);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DeleteGroupsResponse& r) {
    field(r.throttle_time_ms, r.groups);
    field.tags();
}

} // namespace pyralog::wire::kafka
