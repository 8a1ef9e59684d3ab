// core/wire/kafka/metadata.h: API key 3, versions 0 to 12.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct MetadataRequest {
    static constexpr ApiKey key = ApiKey::metadata;
    using Response = struct MetadataResponse;

    struct Topic {
        Uuid id; // From version 10 on.
        // None, from version 12 on: asked for by id. In versions 10 and 11 Kafka's own brokers
        // refuse that, and could not answer it.
        std::optional<std::string> name;
    };

    // None is all topics; but in version 0, which cannot say none, an empty list is.
    std::optional<std::vector<Topic>> topics;
    bool allow_auto_topic_creation = true;
    bool include_cluster_authorized_operations = false;
    bool include_topic_authorized_operations = false;
};

template <class Codec>
void describe(Codec& field, MetadataRequest::Topic& t) {
    if (field.version >= 10) field(t.id);
    field(t.name);
    if (field.version < 12) field.require(t.name.has_value());
    field.tags();
}

template <class Codec>
void describe(Codec& field, MetadataRequest& r) {
    field(r.topics);
    if (field.version < 1) field.require(r.topics.has_value());
    if (field.version >= 4) field(r.allow_auto_topic_creation);
    if (field.version >= 8 && field.version <= 10) field(r.include_cluster_authorized_operations);
    if (field.version >= 8) field(r.include_topic_authorized_operations);
    field.tags();
}

struct MetadataResponse {
    // What stands for operations that were not asked for.
    static constexpr std::int32_t operations_unknown = -2147483647 - 1;

    struct Broker {
        std::int32_t node_id = 0;
        std::string host;
        std::int32_t port = 0;
        std::optional<std::string> rack;
    };
    struct Partition {
        ErrorCode error = ErrorCode::none;
        std::int32_t index = 0;
        std::int32_t leader_id = 0;
        std::int32_t leader_epoch = -1;
        std::vector<std::int32_t> replica_nodes;
        std::vector<std::int32_t> isr_nodes;
        std::vector<std::int32_t> offline_replicas;
    };
    struct Topic {
        ErrorCode error = ErrorCode::none;
        std::optional<std::string> name; // May be none from version 12 on.
        Uuid id;
        bool is_internal = false;
        std::vector<Partition> partitions;
        std::int32_t authorized_operations = operations_unknown;
    };

    std::int32_t throttle_time_ms = 0;
    std::vector<Broker> brokers;
    std::optional<std::string> cluster_id;
    std::int32_t controller_id = -1;
    std::vector<Topic> topics;
    std::int32_t cluster_authorized_operations = operations_unknown;
};

template <class Codec>
void describe(Codec& field, MetadataResponse::Broker& b) {
    field(b.node_id, b.host, b.port);
    if (field.version >= 1) field(b.rack);
    field.tags();
}

template <class Codec>
void describe(Codec& field, MetadataResponse::Partition& p) {
    field(p.error, p.index, p.leader_id);
    if (field.version >= 7) field(p.leader_epoch);
    field(p.replica_nodes, p.isr_nodes);
    if (field.version >= 5) field(p.offline_replicas);
    field.tags();
}

template <class Codec>
void describe(Codec& field, MetadataResponse::Topic& t) {
    field(t.error, t.name);
    if (field.version < 12) field.require(t.name.has_value());
    if (field.version >= 10) field(t.id);
    if (field.version >= 1) field(t.is_internal);
    field(t.partitions);
    if (field.version >= 8) field(t.authorized_operations);
    field.tags();
}

template <class Codec>
void describe(Codec& field, MetadataResponse& r) {
    if (field.version >= 3) field(r.throttle_time_ms);
    field(r.brokers);
    if (field.version >= 2) field(r.cluster_id);
    if (field.version >= 1) field(r.controller_id);
    field(r.topics);
    if (field.version >= 8 && field.version <= 10) field(r.cluster_authorized_operations);
    field.tags();
}

} // namespace pyralog::wire::kafka
