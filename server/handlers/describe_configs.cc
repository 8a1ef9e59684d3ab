// DescribeConfigs: what is set of topics and of this node, and by whom.
#include "core/wire/kafka/describe_configs.h"

#include "core/base/probe.h"
#include "server/broker_configs.h"
#include "server/handlers/handlers.h"

#include <algorithm>

namespace pyralog::server {

namespace {

using wire::kafka::ConfigResource;
using wire::kafka::DescribeConfigsRequest;
using wire::kafka::DescribeConfigsResponse;

void look_at(const Node& node, const std::string& name, DescribeConfigsResponse::Result& found) {
    const Topic* topic = node.controller.catalogue().find(name);
    SOMETIMES(!topic, "describe-configs/no-such-topic");
    if (topic) {
        found.configs =
            topic_configs(topic->settings, topic->partitions.front().replicas.size(), node.config);
    } else {
        found.error =
            is_topic_name(name) ? ErrorCode::unknown_topic_or_partition : ErrorCode::invalid_topic;
        found.error_message = "there is no topic of this name";
    }
}

DescribeConfigsResponse::Result look_at(Node& node,
                                        const DescribeConfigsRequest::Resource& wanted) {
    DescribeConfigsResponse::Result found;
    found.type = wanted.type;
    found.name = wanted.name;
    switch (wanted.type) {
    case ConfigResource::topic: look_at(node, wanted.name, found); return found;
    case ConfigResource::broker:
    case ConfigResource::broker_logger: {
        // Of what is set for all nodes at once there is nothing.
        if (wanted.type == ConfigResource::broker && wanted.name.empty()) return found;
        std::string wrong = not_this_broker(node, wanted.name);
        SOMETIMES(!wrong.empty(), "describe-configs/another-broker");
        const Level now = node.env.log.least();
        if (!wrong.empty()) {
            found.error = ErrorCode::invalid_request;
            found.error_message = std::move(wrong);
        } else {
            found.configs = wanted.type == ConfigResource::broker ? broker_configs(node.config, now)
                                                                  : logger_configs(now);
        }
        return found;
    }
    }
    REACHABLE("describe-configs/unknown-resource");
    found.error = ErrorCode::invalid_request;
    found.error_message = "there are no settings of such a thing";
    return found;
}

} // namespace

std::string not_this_broker(const Node& node, std::string_view name) {
    const std::string mine = std::to_string(node.host.self().value);
    if (name == mine) return {};
    return "this is node " + mine + ", and not \"" + std::string(name) + '"';
}

StartResult start_describe_configs(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<DescribeConfigsRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        DescribeConfigsResponse response;
        for (const DescribeConfigsRequest::Resource& resource : request.resources) {
            response.results.push_back(look_at(node, resource));
            std::erase_if(response.results.back().configs, [&](const ConfigEntry& config) {
                return resource.keys &&
                       std::ranges::find(*resource.keys, config.name) == resource.keys->end();
            });
            for (ConfigEntry& config : response.results.back().configs) {
                if (!request.include_synonyms) config.synonyms.clear();
                if (!request.include_documentation) config.documentation.reset();
            }
        }
        return answer(header, response);
    });
}

} // namespace pyralog::server
