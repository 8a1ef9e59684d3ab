#include "core/wire/kafka/heartbeat.h"

#include "server/handlers/handlers.h"

namespace pyralog::server {

using wire::kafka::HeartbeatRequest;
using wire::kafka::HeartbeatResponse;

StartResult start_heartbeat(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<HeartbeatRequest>(parts));
    const Coordinator::Answer told = node.groups.heartbeat(
        request.group_id, {request.member_id, request.group_instance_id}, request.generation_id);
    return started([&node, header = std::move(parts.header), told] {
        HeartbeatResponse response;
        response.error = node.groups.settle(told);
        return answer(header, response);
    });
}

} // namespace pyralog::server
