#include "core/wire/kafka/leave_group.h"

#include "server/handlers/handlers.h"

namespace pyralog::server {

using wire::kafka::LeaveGroupRequest;
using wire::kafka::LeaveGroupResponse;

StartResult start_leave_group(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<LeaveGroupRequest>(parts));
    constexpr std::int16_t several_from = 3;
    const bool single = parts.header.version < several_from;
    if (single) request.members = {{request.member_id, {}, {}}};
    std::vector<MemberName> members;
    for (const LeaveGroupRequest::Member& member : request.members)
        members.push_back({member.id, member.group_instance_id});
    std::vector<ErrorCode> errors;
    const Coordinator::Answer told = node.groups.leave(request.group_id, members, errors);
    return started([&node, header = std::move(parts.header), told, single,
                    members = std::move(members), errors = std::move(errors)] {
        LeaveGroupResponse response;
        response.error = node.groups.settle(told);
        if (response.error == ErrorCode::none && single) response.error = errors.at(0);
        if (response.error == ErrorCode::none)
            for (std::size_t i = 0; i < members.size(); ++i)
                response.members.push_back({members[i].id, members[i].instance, errors.at(i)});
        return answer(header, response);
    });
}

} // namespace pyralog::server
