// DescribeLogDirs: what of partitions lies on this node's disk, whoever leads them.
#include "core/wire/kafka/describe_log_dirs.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

#include <algorithm>

namespace pyralog::server {

namespace {

using wire::kafka::DescribeLogDirsRequest;
using wire::kafka::DescribeLogDirsResponse;

bool is_wanted(const DescribeLogDirsRequest& request, const std::string& topic,
               std::int32_t index) {
    if (!request.topics) return true;
    return std::ranges::any_of(*request.topics, [&](const DescribeLogDirsRequest::Topic& wanted) {
        return wanted.name == topic &&
               std::ranges::find(wanted.partitions, index) != wanted.partitions.end();
    });
}

DescribeLogDirsResponse::Topic look_at(Node& node, const DescribeLogDirsRequest& request,
                                       const std::string& name, const Topic& topic) {
    DescribeLogDirsResponse::Topic found{name, {}};
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
        const auto index = static_cast<std::int32_t>(i);
        if (!is_wanted(request, name, index)) continue;
        const raft::GroupRef group = node.host.find(topic.partitions[i].group);
        SOMETIMES(!group, "describe-log-dirs/not-a-replica");
        if (!group) continue;
        const std::int64_t behind = group->committed().offset - group->log().end().offset;
        found.partitions.push_back({index, static_cast<std::int64_t>(group->log().bytes()),
                                    std::max<std::int64_t>(behind, 0), false});
    }
    return found;
}

} // namespace

StartResult start_describe_log_dirs(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<DescribeLogDirsRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        DescribeLogDirsResponse response;
        DescribeLogDirsResponse::Result& dir = response.results.emplace_back();
        dir.dir = node.config.data_dir;
        dir.total_bytes = static_cast<std::int64_t>(node.space.seen().total);
        dir.usable_bytes = static_cast<std::int64_t>(node.space.seen().free);
        for (const auto& [name, topic] : node.controller.catalogue().topics()) {
            auto found = look_at(node, request, name, topic);
            if (!found.partitions.empty()) dir.topics.push_back(std::move(found));
        }
        return answer(header, response);
    });
}

} // namespace pyralog::server
