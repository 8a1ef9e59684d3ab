// Metadata: who is there, and who leads what. A topic that is not there is created on the way, if
// both sides want that.
#include "core/wire/kafka/metadata.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::MetadataRequest;
using wire::kafka::MetadataResponse;

constexpr Duration create_patience = 5s;

MetadataResponse::Partition describe_partition(const Node& node,
                                               const Topic::Partition& partition) {
    PartitionView seen = view_of(node, partition);
    MetadataResponse::Partition described;
    described.leader_id = seen.leader;
    described.leader_epoch = seen.epoch;
    if (seen.leader < 0) described.error = ErrorCode::leader_not_available;
    described.replica_nodes = std::move(seen.replicas);
    described.isr_nodes = std::move(seen.up);
    described.offline_replicas = std::move(seen.down);
    return described;
}

MetadataResponse::Topic describe_topic(const Node& node, const Topic& topic) {
    MetadataResponse::Topic described;
    described.name = topic.name;
    described.id = topic.id;
    described.is_internal = is_internal(topic.name);
    for (const Topic::Partition& partition : topic.partitions) {
        described.partitions.push_back(describe_partition(node, partition));
        described.partitions.back().index =
            static_cast<std::int32_t>(described.partitions.size()) - 1;
    }
    return described;
}

ErrorCode create(Node& node, const std::string& name) {
    CreateTopic command{name, draw_uuid(node.env.random), node.config.topic.partitions,
                        node.config.default_replication_factor()};
    const Deadline deadline(node.env.fibers, node.env.clock.now() + create_patience);
    const Result<Outcome> outcome = node.controller.submit(command);
    SOMETIMES(!outcome.ok(), "metadata/could-not-create");
    SOMETIMES(outcome.ok() && outcome.value() == Outcome::done, "metadata/created");
    SOMETIMES(outcome.ok() && outcome.value() == Outcome::exists, "metadata/created-by-another");
    if (!outcome.ok()) return ErrorCode::leader_not_available;
    wait_for_leaders(node, name);
    return ErrorCode::none;
}

MetadataResponse::Topic look_for(Node& node, const MetadataRequest::Topic& wanted,
                                 bool may_create) {
    MetadataResponse::Topic unknown;
    unknown.name = wanted.name;
    unknown.id = wanted.id;
    const Catalogue& catalogue = node.controller.catalogue();
    if (!wanted.name) {
        const Topic* topic = catalogue.find(wanted.id);
        SOMETIMES(topic != nullptr, "metadata/found-by-id");
        SOMETIMES(topic == nullptr, "metadata/unknown-id");
        unknown.error = ErrorCode::unknown_topic_id;
        return topic ? describe_topic(node, *topic) : unknown;
    }
    if (const Topic* topic = catalogue.find(*wanted.name)) return describe_topic(node, *topic);
    unknown.error = ErrorCode::unknown_topic_or_partition;
    // What is the node's own is made by itself, with its own settings.
    if (is_internal(*wanted.name)) return unknown;
    if (!is_topic_name(*wanted.name)) unknown.error = ErrorCode::invalid_topic;
    SOMETIMES(unknown.error == ErrorCode::invalid_topic, "metadata/invalid-name");
    SOMETIMES(!may_create, "metadata/unknown-topic");
    if (!may_create || unknown.error == ErrorCode::invalid_topic) return unknown;
    unknown.error = create(node, *wanted.name);
    const Topic* topic = catalogue.find(*wanted.name);
    if (!topic && unknown.error == ErrorCode::none)
        unknown.error = ErrorCode::leader_not_available; // Created, and not applied here yet.
    return topic ? describe_topic(node, *topic) : unknown;
}

} // namespace

StartResult start_metadata(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<MetadataRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        MetadataResponse response;
        response.cluster_id = node.config.cluster_name;
        response.controller_id = controller_for_clients(node);
        const bool all = !request.topics || (header.version == 0 && request.topics->empty());
        if (all) {
            for (const auto& [name, topic] : node.controller.catalogue().topics())
                response.topics.push_back(describe_topic(node, topic));
        } else {
            const bool may_create =
                node.config.topic.auto_create && request.allow_auto_topic_creation;
            for (const MetadataRequest::Topic& topic : *request.topics)
                response.topics.push_back(look_for(node, topic, may_create));
        }
        for (const auto& [id, address] : brokers(node))
            response.brokers.push_back({id.value, address.host, address.port, {}});
        return answer(header, response);
    });
}

} // namespace pyralog::server
