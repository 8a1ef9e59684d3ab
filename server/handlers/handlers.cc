#include "server/handlers/handlers.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"

#include <algorithm>

namespace pyralog::server {

namespace {

constexpr Duration new_leader_patience = 1s;
constexpr Duration stable_patience = 2s;

} // namespace

ErrorCode to_code(Error error) {
    switch (error) {
    case Error::cancelled: return ErrorCode::not_leader_or_follower; // We are going down.
    case Error::timed_out: return ErrorCode::request_timed_out;
    case Error::disconnected: return ErrorCode::broker_not_available;
    case Error::not_found: return ErrorCode::unknown_topic_or_partition;
    case Error::already_exists: return ErrorCode::topic_already_exists;
    case Error::out_of_space: return ErrorCode::kafka_storage_error;
    case Error::device_failed: return ErrorCode::kafka_storage_error;
    case Error::corrupt: return ErrorCode::kafka_storage_error;
    case Error::malformed: return ErrorCode::invalid_request;
    case Error::not_leader: return ErrorCode::not_leader_or_follower;
    case Error::unavailable: return ErrorCode::not_leader_or_follower;
    }
    return ErrorCode::unknown_server_error;
}

ErrorCode check_leader(const Node::Replica& replica, std::int32_t epoch_of_client) {
    SOMETIMES(!replica.partition, "handlers/no-such-partition");
    SOMETIMES(replica.partition && !replica.group, "handlers/not-a-replica");
    if (!replica.partition) return ErrorCode::unknown_topic_or_partition;
    if (!replica.group) return ErrorCode::not_leader_or_follower;
    if (BUGGIFY("handlers/says-not-leader", 50'000)) return ErrorCode::not_leader_or_follower;
    const Term term = replica.group->term();
    SOMETIMES(epoch_of_client >= 0 && Term(epoch_of_client) < term, "handlers/fenced-epoch");
    SOMETIMES(epoch_of_client >= 0 && Term(epoch_of_client) > term, "handlers/unknown-epoch");
    SOMETIMES(epoch_of_client >= 0 && Term(epoch_of_client) == term, "handlers/current-epoch");
    SOMETIMES(replica.group->leads() && !replica.group->serves(),
              "handlers/leads-but-cannot-serve");
    if (epoch_of_client >= 0 && Term(epoch_of_client) < term) return ErrorCode::fenced_leader_epoch;
    if (epoch_of_client >= 0 && Term(epoch_of_client) > term)
        return ErrorCode::unknown_leader_epoch;
    // A leader that has committed nothing of its own does not know yet what is committed.
    return replica.group->serves() ? ErrorCode::none : ErrorCode::not_leader_or_follower;
}

ErrorCode check_writable(const Node::Replica& replica) {
    if (!replica.partition) return ErrorCode::unknown_topic_or_partition;
    if (BUGGIFY("handlers/says-not-writable", 50'000)) return ErrorCode::not_leader_or_follower;
    SOMETIMES(replica.group && !replica.group->leads(), "handlers/write-to-a-follower");
    return replica.group && replica.group->leads() ? ErrorCode::none
                                                   : ErrorCode::not_leader_or_follower;
}

Result<Offset> stable_end(Node& node, raft::Group& group) {
    const Deadline deadline(node.env.fibers, node.env.clock.now() + stable_patience);
    const Result<> known = group.load_producers();
    SOMETIMES(!known.ok(), "handlers/does-not-know-what-counts");
    if (!known.ok() && known.error() == Error::cancelled) return Error::cancelled;
    const Result<Offset> end = known.ok() ? group.stable_end() : Error::not_leader;
    return end.ok() ? end : Result<Offset>(Error::not_leader);
}

std::map<NodeId, Address> brokers(const Node& node) {
    std::map<NodeId, Address> up{{node.host.self(), node.config.advertised()}};
    for (const auto& [id, address] : node.host.transport().kafka_addresses())
        if (node.host.transport().connected(id)) up.emplace(id, address);
    return up;
}

namespace {

// Is it one of those that clients are told of?
bool is_broker(const Node& node, NodeId id) {
    const raft::Transport& transport = node.host.transport();
    return id == node.host.self() ||
           (transport.connected(id) && transport.kafka_addresses().contains(id));
}

} // namespace

std::int32_t controller_for_clients(const Node& node) {
    const auto leader = node.host.leader_of(controller_group);
    const bool is_up = leader && is_broker(node, *leader);
    SOMETIMES(leader && !is_up, "metadata/controller-is-away");
    return (is_up ? *leader : node.host.self()).value;
}

PartitionView view_of(const Node& node, const Topic::Partition& partition) {
    PartitionView seen;
    auto leader = node.host.leader_of(partition.group);
    SOMETIMES(!leader, "metadata/no-leader");
    if (BUGGIFY("metadata/says-no-leader", 50'000)) leader.reset();
    // Kafka's brokers name none that is away, and some clients wait for ever for one that they were
    // not told of.
    SOMETIMES(leader && !is_broker(node, *leader), "metadata/leader-is-away");
    if (leader && !is_broker(node, *leader)) leader.reset();
    seen.leader = leader ? leader->value : -1;
    seen.epoch = node.host.term_of(partition.group).value;
    for (const NodeId replica : partition.replicas) {
        seen.replicas.push_back(replica.value);
        const bool is_up = replica == node.host.self() || node.host.transport().connected(replica);
        (is_up ? seen.up : seen.down).push_back(replica.value);
    }
    return seen;
}

bool is_internal(std::string_view topic) {
    return topic == offsets_topic_name || topic == transactions_topic_name;
}

ErrorCode in_words_of(std::int16_t version, std::int16_t fenced_from, ErrorCode error) {
    if (error == ErrorCode::producer_fenced && version < fenced_from)
        return ErrorCode::invalid_producer_epoch;
    return error;
}

void wait_for_leaders(Node& node, std::string_view topic) {
    const auto all_led = [&] {
        const Topic* found = node.controller.catalogue().find(topic);
        return !found || std::all_of(found->partitions.begin(), found->partitions.end(),
                                     [&](const Topic::Partition& partition) {
                                         return node.host.leader_of(partition.group).has_value();
                                     });
    };
    if (BUGGIFY("handlers/waits-for-no-leaders")) return;
    SOMETIMES(!all_led(), "handlers/new-topic-has-no-leaders-yet");
    const Deadline deadline(node.env.fibers, node.env.clock.now() + new_leader_patience);
    (void)node.controller.changed().wait(all_led); // Without one by then, the client will see.
}

} // namespace pyralog::server
