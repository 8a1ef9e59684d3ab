#include "core/wire/kafka/describe_groups.h"

#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::DescribeGroupsRequest;
using wire::kafka::DescribeGroupsResponse;

DescribeGroupsResponse::Group describe_group(Node& node, const std::string& id) {
    DescribeGroupsResponse::Group told;
    told.id = id;
    const GroupState* const group = node.groups.look(id, told.error);
    if (told.error != ErrorCode::none) return told;
    told.state = group ? std::string(to_string(group->phase())) : "Dead";
    if (!group) return told;
    told.protocol_type = group->protocol_type();
    const bool is_stable = group->phase() == GroupState::Phase::stable;
    if (is_stable) told.protocol = group->protocol().value_or("");
    for (const auto& [name, member] : group->members()) {
        told.members.push_back(
            {name, member.name.instance, member.client_id, member.client_host, {}, {}});
        if (!is_stable) continue;
        told.members.back().metadata = group->metadata_of(member);
        told.members.back().assignment = member.assignment;
    }
    return told;
}

} // namespace

StartResult start_describe_groups(Node& node, RequestParts parts) {
    const auto request = TRY(wire::kafka::decode_request<DescribeGroupsRequest>(parts));
    DescribeGroupsResponse response;
    for (const std::string& id : request.groups)
        response.groups.push_back(describe_group(node, id));
    return started([header = std::move(parts.header), response = std::move(response)] {
        return answer(header, response);
    });
}

} // namespace pyralog::server
