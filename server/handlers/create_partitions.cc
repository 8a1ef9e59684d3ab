// CreatePartitions: more of them, empty, behind those that are there.
#include "core/wire/kafka/create_partitions.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

#include <set>

namespace pyralog::server {

namespace {

using wire::kafka::CreatePartitionsRequest;
using wire::kafka::CreatePartitionsResponse;

CreatePartitionsResponse::Topic refused(const std::string& name, ErrorCode error,
                                        std::string message) {
    SOMETIMES(error == ErrorCode::invalid_partitions, "create-partitions/not-more");
    SOMETIMES(error == ErrorCode::invalid_replica_assignment, "create-partitions/assignment");
    SOMETIMES(error == ErrorCode::invalid_request, "create-partitions/named-twice");
    SOMETIMES(error == ErrorCode::invalid_topic, "create-partitions/internal");
    SOMETIMES(error == ErrorCode::unknown_topic_or_partition, "create-partitions/no-such-topic");
    return {name, error, std::move(message)};
}

CreatePartitionsResponse::Topic no_such_topic(const std::string& name) {
    return refused(name, ErrorCode::unknown_topic_or_partition, "there is no topic of this name");
}

CreatePartitionsResponse::Topic add(Node& node, const CreatePartitionsRequest::Topic& wanted,
                                    bool validate_only) {
    const Topic* topic = node.controller.catalogue().find(wanted.name);
    if (!topic) return no_such_topic(wanted.name);
    // Which partition a group belongs to follows from how many there are.
    if (is_internal(wanted.name))
        return refused(wanted.name, ErrorCode::invalid_topic,
                       "this topic is the node's own affair");
    const auto now = static_cast<std::int32_t>(topic->partitions.size());
    if (wanted.count <= now)
        return refused(wanted.name, ErrorCode::invalid_partitions,
                       "the topic has " + std::to_string(now) +
                           " partitions already, and none can be taken away");
    if (wanted.count > node.config.topic.partitions_max)
        return refused(wanted.name, ErrorCode::invalid_partitions,
                       "there may be at most " + std::to_string(node.config.topic.partitions_max));
    if (wanted.assignments)
        return refused(wanted.name, ErrorCode::invalid_replica_assignment,
                       "where replicas lie is decided by the cluster");
    SOMETIMES(validate_only, "create-partitions/validate-only");
    if (validate_only) return {wanted.name, ErrorCode::none, {}};
    const Result<Outcome> outcome =
        node.controller.submit(AddPartitions{wanted.name, now, wanted.count});
    if (!outcome.ok())
        return {wanted.name, to_code(outcome.error()), "the controller did not answer"};
    if (outcome.value() == Outcome::not_found) return no_such_topic(wanted.name);
    if (outcome.value() != Outcome::done)
        return refused(wanted.name, ErrorCode::invalid_partitions,
                       "somebody else has added others meanwhile");
    wait_for_leaders(node, wanted.name);
    return {wanted.name, ErrorCode::none, {}};
}

} // namespace

StartResult start_create_partitions(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<CreatePartitionsRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        const Deadline deadline(node.env.fibers, node.after_ms(request.timeout_ms));
        CreatePartitionsResponse response;
        std::set<std::string_view> seen;
        for (const CreatePartitionsRequest::Topic& topic : request.topics)
            response.topics.push_back(seen.insert(topic.name).second
                                          ? add(node, topic, request.validate_only)
                                          : refused(topic.name, ErrorCode::invalid_request,
                                                    "the request names this topic twice"));
        return answer(header, response);
    });
}

} // namespace pyralog::server
