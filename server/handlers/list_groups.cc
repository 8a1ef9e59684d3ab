// ListGroups: those that this node coordinates. Clients ask every broker.
#include "core/wire/kafka/list_groups.h"

#include "server/handlers/handlers.h"

#include <algorithm>
#include <cctype>

namespace pyralog::server {

namespace {

using wire::kafka::ListGroupsRequest;
using wire::kafka::ListGroupsResponse;

constexpr std::string_view type_classic = "classic";

// Kafka's own tools write these names in any case.
bool matches(const std::vector<std::string>& filter, std::string_view name) {
    if (filter.empty()) return true;
    return std::ranges::any_of(filter, [&](const std::string& wanted) {
        return std::ranges::equal(wanted, name, [](unsigned char a, unsigned char b) {
            return std::tolower(a) == std::tolower(b);
        });
    });
}

} // namespace

StartResult start_list_groups(Node& node, RequestParts parts) {
    const auto request = TRY(wire::kafka::decode_request<ListGroupsRequest>(parts));
    ListGroupsResponse response;
    bool is_loading = false;
    for (Coordinator::Listed& listed : node.groups.list(is_loading)) {
        const std::string_view state = to_string(listed.phase);
        if (!matches(request.states_filter, state) || !matches(request.types_filter, type_classic))
            continue;
        response.groups.push_back({std::move(listed.id), std::move(listed.protocol_type),
                                   std::string(state), std::string(type_classic)});
    }
    if (is_loading) response.error = ErrorCode::coordinator_load_in_progress;
    return started([header = std::move(parts.header), response = std::move(response)] {
        return answer(header, response);
    });
}

} // namespace pyralog::server
