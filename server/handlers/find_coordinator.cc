// FindCoordinator. There are no consumer groups and no transactions here yet, and this says so. It
// is announced all the same, since librdkafka takes a broker without it for one that knows no lz4.
#include "core/wire/kafka/find_coordinator.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

namespace pyralog::server {

using wire::kafka::FindCoordinatorRequest;
using wire::kafka::FindCoordinatorResponse;

StartResult start_find_coordinator(Node&, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<FindCoordinatorRequest>(parts));
    return started([header = std::move(parts.header), request = std::move(request)] {
        REACHABLE("find-coordinator/asked");
        FindCoordinatorResponse response;
        response.coordinator.error = ErrorCode::coordinator_not_available;
        response.coordinator.error_message = "consumer groups and transactions are not served";
        for (const std::string& key : request.coordinator_keys) {
            response.coordinators.push_back(response.coordinator);
            response.coordinators.back().key = key;
        }
        return answer(header, response);
    });
}

} // namespace pyralog::server
