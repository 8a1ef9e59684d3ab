// core/wire/kafka/describe_topic_partitions.h: API key 75, version 0.
#pragma once

#include "core/wire/kafka/api.h"

#include <limits>

namespace pyralog::wire::kafka {

// Where to go on: the first partition that is to be told.
struct TopicPartitionsCursor {
    std::string topic;
    std::int32_t partition = 0;
};

template <class Codec>
void describe(Codec& field, TopicPartitionsCursor& c) {
    field(c.topic, c.partition);
    field.tags();
}

struct DescribeTopicPartitionsRequest {
    static constexpr ApiKey key = ApiKey::describe_topic_partitions;
    using Response = struct DescribeTopicPartitionsResponse;

    struct Topic {
        std::string name;
    };

    std::vector<Topic> topics; // None: all.
    std::int32_t partitions_max = 2000;
    std::optional<TopicPartitionsCursor> cursor;
};

template <class Codec>
void describe(Codec& field, DescribeTopicPartitionsRequest::Topic& t) {
    field(t.name);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeTopicPartitionsRequest& r) {
    field(r.topics, r.partitions_max, r.cursor);
    field.tags();
}

struct DescribeTopicPartitionsResponse {
    struct Partition {
        ErrorCode error = ErrorCode::none;
        std::int32_t index = 0;
        std::int32_t leader_id = -1;
        std::int32_t leader_epoch = -1;
        std::vector<std::int32_t> replica_nodes;
        std::vector<std::int32_t> isr_nodes;
        // Java's admin client trips over none in these two.
        std::optional<std::vector<std::int32_t>> eligible_leader_replicas =
            std::vector<std::int32_t>();
        std::optional<std::vector<std::int32_t>> last_known_elr = std::vector<std::int32_t>();
        std::vector<std::int32_t> offline_replicas;
    };
    struct Topic {
        ErrorCode error = ErrorCode::none;
        std::optional<std::string> name;
        Uuid id;
        bool is_internal = false;
        std::vector<Partition> partitions;
        std::int32_t authorized_operations = std::numeric_limits<std::int32_t>::min();
    };

    std::int32_t throttle_time_ms = 0;
    std::vector<Topic> topics;
    std::optional<TopicPartitionsCursor> next;
};

template <class Codec>
void describe(Codec& field, DescribeTopicPartitionsResponse::Partition& p) {
    field(p.error, p.index, p.leader_id, p.leader_epoch, p.replica_nodes, p.isr_nodes);
    field(p.eligible_leader_replicas, p.last_known_elr, p.offline_replicas);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeTopicPartitionsResponse::Topic& t) {
    field(t.error, t.name, t.id, t.is_internal, t.partitions, t.authorized_operations);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeTopicPartitionsResponse& r) {
    field(r.throttle_time_ms, r.topics, r.next);
    field.tags();
}

} // namespace pyralog::wire::kafka
