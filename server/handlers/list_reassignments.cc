#include "core/wire/kafka/list_reassignments.h"

#include "server/handlers/handlers.h"

namespace pyralog::server {

// Where replicas lie does not change, so none is under way.
StartResult start_list_reassignments(Node&, RequestParts parts) {
    (void)TRY(wire::kafka::decode_request<wire::kafka::ListReassignmentsRequest>(parts));
    return started([header = std::move(parts.header)] {
        return answer(header, wire::kafka::ListReassignmentsResponse());
    });
}

} // namespace pyralog::server
