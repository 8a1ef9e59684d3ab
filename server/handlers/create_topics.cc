#include "core/wire/kafka/create_topics.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"
#include "server/topic_configs.h"

#include <set>

namespace pyralog::server {

namespace {

using wire::kafka::CreateTopicsRequest;
using wire::kafka::CreateTopicsResponse;

CreateTopicsResponse::Topic refused_topic(const std::string& name, ErrorCode error,
                                          std::string message) {
    SOMETIMES(error == ErrorCode::invalid_topic, "create-topics/invalid-name");
    SOMETIMES(error == ErrorCode::invalid_replica_assignment, "create-topics/assignment");
    SOMETIMES(error == ErrorCode::invalid_config, "create-topics/config");
    SOMETIMES(error == ErrorCode::invalid_partitions, "create-topics/partitions");
    SOMETIMES(error == ErrorCode::invalid_replication_factor, "create-topics/replicas");
    SOMETIMES(error == ErrorCode::topic_already_exists, "create-topics/exists");
    SOMETIMES(error == ErrorCode::request_timed_out, "create-topics/timed-out");
    SOMETIMES(error == ErrorCode::invalid_request, "create-topics/named-twice");
    CreateTopicsResponse::Topic topic;
    topic.name = name;
    topic.error = error;
    topic.error_message = std::move(message);
    return topic;
}

// What is wrong with the request, if anything, without looking at what there is.
std::optional<CreateTopicsResponse::Topic> objection(const Node& node,
                                                     const CreateTopicsRequest::Topic& wanted,
                                                     std::int32_t partitions,
                                                     std::int32_t replicas) {
    const auto members = static_cast<std::int32_t>(node.config.member_ids().size());
    if (!is_topic_name(wanted.name))
        return refused_topic(wanted.name, ErrorCode::invalid_topic,
                             "a name has 1 to 249 letters, digits, '.', '_' and '-'");
    if (is_internal(wanted.name))
        return refused_topic(wanted.name, ErrorCode::invalid_topic,
                             "this topic makes itself when it is needed");
    if (!wanted.assignments.empty())
        return refused_topic(wanted.name, ErrorCode::invalid_replica_assignment,
                             "where replicas lie is decided by the cluster");
    if (partitions < 1 || partitions > node.config.topic.partitions_max)
        return refused_topic(wanted.name, ErrorCode::invalid_partitions,
                             "partitions must be from 1 to " +
                                 std::to_string(node.config.topic.partitions_max));
    if (replicas < 1 || replicas > members)
        return refused_topic(wanted.name, ErrorCode::invalid_replication_factor,
                             "the replication factor must be from 1 to " + std::to_string(members) +
                                 ", the number of nodes");
    return {};
}

// Empty, or what is wrong.
std::string read_settings(const Node& node, const CreateTopicsRequest::Topic& wanted,
                          std::int32_t replicas, TopicSettings& settings) {
    std::vector<SettingEdit> plan;
    for (const auto& config : wanted.configs)
        if (std::string wrong =
                plan_edit({config.name, SettingEdit::Kind::set, config.value.value_or("")},
                          static_cast<std::size_t>(replicas), node.config, settings, plan);
            !wrong.empty())
            return wrong;
    return {};
}

void tell_settings(const Node& node, const TopicSettings& settings,
                   CreateTopicsResponse::Topic& created) {
    const auto replicas = static_cast<std::size_t>(created.replication_factor);
    for (ConfigEntry& config : topic_configs(settings, replicas, node.config))
        created.configs->push_back({std::move(config.name), std::move(config.value),
                                    config.read_only, static_cast<std::int8_t>(config.source),
                                    config.is_sensitive});
}

CreateTopicsResponse::Topic create(Node& node, const CreateTopicsRequest::Topic& wanted,
                                   bool validate_only) {
    const std::int32_t partitions =
        wanted.num_partitions == -1 ? node.config.topic.partitions : wanted.num_partitions;
    const std::int32_t replicas = wanted.replication_factor == -1
                                      ? node.config.default_replication_factor()
                                      : wanted.replication_factor;
    if (auto no = objection(node, wanted, partitions, replicas)) return std::move(*no);
    CreateTopic command{wanted.name, draw_uuid(node.env.random), partitions, replicas, {}};
    if (std::string wrong = read_settings(node, wanted, replicas, command.settings); !wrong.empty())
        return refused_topic(wanted.name, ErrorCode::invalid_config, std::move(wrong));
    const auto exists = [&] {
        return refused_topic(wanted.name, ErrorCode::topic_already_exists,
                             "there is a topic of this name");
    };
    CreateTopicsResponse::Topic created;
    created.name = wanted.name;
    created.num_partitions = partitions;
    created.replication_factor = static_cast<std::int16_t>(replicas);
    tell_settings(node, command.settings, created);
    SOMETIMES(validate_only, "create-topics/validate-only");
    if (validate_only) return node.controller.catalogue().find(wanted.name) ? exists() : created;
    const Result<Outcome> outcome = node.controller.submit(command);
    if (!outcome.ok())
        return refused_topic(wanted.name, to_code(outcome.error()),
                             "the controller did not answer");
    if (outcome.value() == Outcome::exists) return exists();
    if (outcome.value() != Outcome::done)
        return refused_topic(wanted.name, ErrorCode::invalid_replication_factor,
                             "there are not enough nodes");
    created.id = command.id;
    wait_for_leaders(node, wanted.name);
    return created;
}

} // namespace

StartResult start_create_topics(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<CreateTopicsRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        const Deadline deadline(node.env.fibers, node.after_ms(request.timeout_ms));
        CreateTopicsResponse response;
        std::set<std::string> seen;
        for (const CreateTopicsRequest::Topic& topic : request.topics) {
            response.topics.push_back(seen.insert(topic.name).second
                                          ? create(node, topic, request.validate_only)
                                          : refused_topic(topic.name, ErrorCode::invalid_request,
                                                          "the request names this topic twice"));
        }
        return answer(header, response);
    });
}

} // namespace pyralog::server
