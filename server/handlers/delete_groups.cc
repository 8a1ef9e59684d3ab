#include "core/wire/kafka/delete_groups.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

namespace pyralog::server {

using wire::kafka::DeleteGroupsRequest;
using wire::kafka::DeleteGroupsResponse;

StartResult start_delete_groups(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<DeleteGroupsRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        DeleteGroupsResponse response;
        for (const std::string& id : request.groups) {
            response.groups.push_back({id, node.groups.remove(id)});
            SOMETIMES(response.groups.back().error == ErrorCode::none, "delete-groups/deleted");
        }
        return answer(header, response);
    });
}

} // namespace pyralog::server
