// core/wire/kafka/list_reassignments.h: API key 46, ListPartitionReassignments, version 0.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct ListReassignmentsRequest {
    static constexpr ApiKey key = ApiKey::list_partition_reassignments;
    using Response = struct ListReassignmentsResponse;

    struct Topic {
        std::string name;
        std::vector<std::int32_t> partitions;
    };

    std::int32_t timeout_ms = 60000;
    std::optional<std::vector<Topic>> topics; // None: all.
};

template <class Codec>
void describe(Codec& field, ListReassignmentsRequest::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ListReassignmentsRequest& r) {
    field(r.timeout_ms, r.topics);
    field.tags();
}

struct ListReassignmentsResponse {
    struct Partition {
        std::int32_t index = 0;
        std::vector<std::int32_t> replicas;
        std::vector<std::int32_t> adding_replicas;
        std::vector<std::int32_t> removing_replicas;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
    std::optional<std::string> error_message;
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, ListReassignmentsResponse::Partition& p) {
    field(p.index, p.replicas, p.adding_replicas, p.removing_replicas);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ListReassignmentsResponse::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ListReassignmentsResponse& r) {
    field(r.throttle_time_ms, r.error, r.error_message, r.topics);
    field.tags();
}

} // namespace pyralog::wire::kafka
