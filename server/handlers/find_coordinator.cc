// FindCoordinator: of groups and of transactional ids.
#include "core/wire/kafka/find_coordinator.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::FindCoordinatorRequest;
using wire::kafka::FindCoordinatorResponse;

constexpr std::int8_t type_group = 0;
constexpr std::int8_t type_transaction = 1;

FindCoordinatorResponse::Coordinator look_for(Node& node, const std::string& key,
                                              std::int8_t type) {
    FindCoordinatorResponse::Coordinator found;
    found.key = key;
    if (type != type_group && type != type_transaction) {
        REACHABLE("find-coordinator/of-neither");
        found.error = ErrorCode::invalid_request;
        found.error_message = "only groups and transactional ids have coordinators here";
        return found;
    }
    const Coordinator::Found coordinator =
        type == type_group ? node.groups.find(key) : node.transactions.find(key);
    found.error = coordinator.error;
    if (found.error != ErrorCode::none) return found;
    const auto known = brokers(node);
    const auto broker = known.find(*coordinator.node);
    SOMETIMES(broker == known.end(), "find-coordinator/cannot-be-reached");
    if (broker == known.end()) {
        found.error = ErrorCode::coordinator_not_available;
        return found;
    }
    found.node_id = broker->first.value;
    found.host = broker->second.host;
    found.port = broker->second.port;
    return found;
}

} // namespace

StartResult start_find_coordinator(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<FindCoordinatorRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        FindCoordinatorResponse response;
        if (header.version < 4)
            response.coordinator = look_for(node, request.coordinator_key, request.key_type);
        for (const std::string& key : request.coordinator_keys)
            response.coordinators.push_back(look_for(node, key, request.key_type));
        return answer(header, response);
    });
}

} // namespace pyralog::server
