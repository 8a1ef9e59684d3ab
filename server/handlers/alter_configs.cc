// AlterConfigs and IncrementalAlterConfigs: what is set of a topic, agreed on through the
// catalogue, and what this node logs, until it starts again.
#include "core/wire/kafka/alter_configs.h"

#include "core/base/probe.h"
#include "server/broker_configs.h"
#include "server/handlers/handlers.h"

#include <set>
#include <utility>

namespace pyralog::server {

namespace {

using wire::kafka::AlterConfigsRequest;
using wire::kafka::ConfigOperation;
using wire::kafka::ConfigResource;
using wire::kafka::IncrementalAlterConfigsRequest;

// A change of a topic or of a node waits no longer than this for the controller.
constexpr Duration edit_patience = 30s;

// Both requests, as one.
struct Wanted {
    ConfigResource type{};
    std::string name;
    bool replaces = false; // What is not named is to be unset.
    std::vector<SettingEdit> edits;
    std::string wrong; // What could not even be understood.
};

struct Told {
    ErrorCode error = ErrorCode::none;
    std::optional<std::string> message;
};

Told refused(ErrorCode error, std::string message) {
    SOMETIMES(error == ErrorCode::invalid_config, "alter-configs/invalid");
    SOMETIMES(error == ErrorCode::invalid_request, "alter-configs/not-understood");
    SOMETIMES(error == ErrorCode::unknown_topic_or_partition, "alter-configs/no-such-topic");
    return {error, std::move(message)};
}

Told change_topic(Node& node, Wanted wanted, bool validate_only) {
    const Topic* topic = node.controller.catalogue().find(wanted.name);
    if (!topic)
        return refused(ErrorCode::unknown_topic_or_partition, "there is no topic of this name");
    if (is_internal(wanted.name))
        return refused(ErrorCode::invalid_config, "this topic is the node's own affair");
    AlterTopic command{wanted.name, wanted.replaces, {}};
    TopicSettings settings = wanted.replaces ? TopicSettings() : topic->settings;
    const std::size_t replicas = topic->partitions.front().replicas.size();
    for (const SettingEdit& edit : wanted.edits)
        if (std::string wrong = plan_edit(edit, replicas, node.config, settings, command.edits);
            !wrong.empty())
            return refused(ErrorCode::invalid_config, std::move(wrong));
    SOMETIMES(validate_only, "alter-configs/validate-only");
    if (validate_only || settings == topic->settings) return {};
    Result<Outcome> outcome = Error::timed_out;
    {
        const Deadline deadline(node.env.fibers, node.env.clock.now() + edit_patience);
        outcome = node.controller.submit(command);
    }
    if (!outcome.ok()) return {to_code(outcome.error()), "the controller did not answer"};
    if (outcome.value() == Outcome::not_found)
        return refused(ErrorCode::unknown_topic_or_partition, "there is no topic of this name");
    if (outcome.value() != Outcome::done)
        return refused(ErrorCode::invalid_config, "somebody else has changed it meanwhile");
    return {};
}

Told change_level(Node& node, const Wanted& wanted, std::string_view name, bool validate_only) {
    if (std::string wrong = not_this_broker(node, wanted.name); !wrong.empty())
        return refused(ErrorCode::invalid_request,
                       wanted.name.empty() ? "set this for one node at a time" : std::move(wrong));
    const std::vector<ConfigEntry> all = broker_configs(node.config, node.env.log.least());
    Level level = wanted.replaces ? node.config.log_level : node.env.log.least();
    for (const SettingEdit& edit : wanted.edits) {
        const bool is_known = std::ranges::find(all, edit.name, &ConfigEntry::name) != all.end();
        if (edit.name != name && is_known && name == level_setting)
            return refused(ErrorCode::invalid_request,
                           edit.name + " cannot be changed while the node runs");
        if (edit.name != name)
            return refused(ErrorCode::invalid_config,
                           '"' + edit.name + "\" cannot be set for a node");
        const auto read = edit.kind == SettingEdit::Kind::unset ? node.config.log_level
                                                                : parse_any_level(edit.value);
        if (!read || edit.kind > SettingEdit::Kind::unset)
            return refused(ErrorCode::invalid_config, edit.name + " is \"" + edit.value +
                                                          "\": say " +
                                                          std::string(level_form.example));
        level = *read;
    }
    if (validate_only) return {};
    node.env.log.set_least(level);
    REACHABLE("alter-configs/log-level");
    return {};
}

Told change(Node& node, const Wanted& wanted, bool validate_only) {
    if (!wanted.wrong.empty()) return refused(ErrorCode::invalid_request, wanted.wrong);
    std::set<std::string_view> seen;
    for (const SettingEdit& edit : wanted.edits)
        if (!seen.insert(edit.name).second)
            return refused(ErrorCode::invalid_request, edit.name + " is named twice");
    switch (wanted.type) {
    case ConfigResource::topic: return change_topic(node, wanted, validate_only);
    case ConfigResource::broker: return change_level(node, wanted, level_setting, validate_only);
    case ConfigResource::broker_logger:
        return change_level(node, wanted, logger_name, validate_only);
    }
    return refused(ErrorCode::invalid_request, "there are no settings of such a thing");
}

Wanted wanted_of(const AlterConfigsRequest::Resource& resource) {
    Wanted wanted{resource.type, resource.name, true, {}, {}};
    for (const auto& config : resource.configs) {
        if (!config.value) wanted.wrong = config.name + " has no value";
        wanted.edits.push_back({config.name, SettingEdit::Kind::set, config.value.value_or("")});
    }
    return wanted;
}

Wanted wanted_of(const IncrementalAlterConfigsRequest::Resource& resource) {
    Wanted wanted{resource.type, resource.name, false, {}, {}};
    for (const auto& config : resource.configs) {
        const bool is_known = config.operation >= ConfigOperation::set &&
                              config.operation <= ConfigOperation::subtract;
        if (!is_known)
            wanted.wrong = config.name + " is changed in an unknown way";
        else if (!config.value && config.operation != ConfigOperation::unset)
            wanted.wrong = config.name + " has no value";
        wanted.edits.push_back(
            {config.name, is_known ? SettingEdit::Kind(config.operation) : SettingEdit::Kind::set,
             config.value.value_or("")});
    }
    return wanted;
}

template <class Request>
StartResult start_alter(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<Request>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        typename Request::Response response;
        std::set<std::pair<ConfigResource, std::string>> seen;
        for (const auto& resource : request.resources) {
            const bool is_first = seen.emplace(resource.type, resource.name).second;
            const Told told =
                is_first ? change(node, wanted_of(resource), request.validate_only)
                         : refused(ErrorCode::invalid_request, "the request names this twice");
            response.results.push_back({told.error, told.message, resource.type, resource.name});
        }
        return answer(header, response);
    });
}

} // namespace

StartResult start_alter_configs(Node& node, RequestParts parts) {
    return start_alter<AlterConfigsRequest>(node, std::move(parts));
}

StartResult start_incremental_alter_configs(Node& node, RequestParts parts) {
    return start_alter<IncrementalAlterConfigsRequest>(node, std::move(parts));
}

} // namespace pyralog::server
