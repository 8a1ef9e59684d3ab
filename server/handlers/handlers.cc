#include "server/handlers/handlers.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"

#include <algorithm>

namespace pyralog::server {

namespace {

constexpr Duration leader_patience = 1s;

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

std::map<NodeId, Address> brokers(const Node& node) {
    std::map<NodeId, Address> up{{node.host.self(), node.config.advertised()}};
    for (const auto& [id, address] : node.host.transport().kafka_addresses())
        if (node.host.transport().connected(id)) up.emplace(id, address);
    return up;
}

bool is_internal(std::string_view topic) { return topic == offsets_topic_name; }

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
    const Deadline deadline(node.env.fibers, node.env.clock.now() + leader_patience);
    (void)node.controller.changed().wait(all_led); // Without one by then, the client will see.
}

} // namespace pyralog::server
