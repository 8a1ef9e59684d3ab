// core/wire/kafka/offset_fetch.h: API key 9, versions 1 to 9.
//
// One group, in fields of the message itself, before version 8; any number since.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct OffsetFetchRequest {
    static constexpr ApiKey key = ApiKey::offset_fetch;
    using Response = struct OffsetFetchResponse;

    struct Topic {
        std::string name;
        std::vector<std::int32_t> partitions;
    };
    struct Group {
        std::string id;
        std::optional<std::string> member_id;
        std::int32_t member_epoch = -1;
        std::optional<std::vector<Topic>> topics; // None, from version 2 on: all there are.
    };

    Group group;               // Up to version 7,
    std::vector<Group> groups; // and since.
    bool require_stable = false;
};

template <class Codec>
void describe(Codec& field, OffsetFetchRequest::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, OffsetFetchRequest::Group& g) {
    field(g.id);
    if (field.version >= 9) field(g.member_id, g.member_epoch);
    field(g.topics);
    if (field.version < 2) field.require(g.topics.has_value());
    if (field.version >= 8) field.tags();
}

template <class Codec>
void describe(Codec& field, OffsetFetchRequest& r) {
    if (field.version >= 8) {
        field(r.groups);
    } else {
        field(r.group);
    }
    if (field.version >= 7) field(r.require_stable);
    field.tags();
}

struct OffsetFetchResponse {
    struct Partition {
        std::int32_t index = 0;
        std::int64_t offset = -1;
        std::int32_t leader_epoch = -1;
        std::optional<std::string> metadata;
        ErrorCode error = ErrorCode::none;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };
    struct Group {
        std::string id;
        std::vector<Topic> topics;
        ErrorCode error = ErrorCode::none; // From version 2 on.
    };

    std::int32_t throttle_time_ms = 0;
    Group group;
    std::vector<Group> groups;
};

template <class Codec>
void describe(Codec& field, OffsetFetchResponse::Partition& p) {
    field(p.index, p.offset);
    if (field.version >= 5) field(p.leader_epoch);
    field(p.metadata, p.error);
    field.tags();
}

template <class Codec>
void describe(Codec& field, OffsetFetchResponse::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, OffsetFetchResponse::Group& g) {
    if (field.version >= 8) field(g.id);
    field(g.topics);
    if (field.version >= 2) field(g.error);
    if (field.version >= 8) field.tags();
}

template <class Codec>
void describe(Codec& field, OffsetFetchResponse& r) {
    if (field.version >= 3) field(r.throttle_time_ms);
    if (field.version >= 8) {
        field(r.groups);
    } else {
        field(r.group);
    }
    field.tags();
}

} // namespace pyralog::wire::kafka
