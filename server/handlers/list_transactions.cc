// ListTransactions: the transactional ids that this node coordinates, as far as they are asked for.
#include "core/wire/kafka/list_transactions.h"

#include "server/handlers/handlers.h"

#include <algorithm>

namespace pyralog::server {

namespace {

using wire::kafka::ListTransactionsRequest;
using wire::kafka::ListTransactionsResponse;

bool is_wanted(const ListTransactionsRequest& request, const TransactionValue& value,
               std::int64_t now_ms) {
    const auto has = [](const auto& filter, const auto& what) {
        return filter.empty() || std::ranges::find(filter, what) != filter.end();
    };
    const bool is_old =
        request.duration_filter_ms < 0 ||
        (value.started_ms >= 0 && now_ms - value.started_ms > request.duration_filter_ms);
    return is_old && has(request.producer_id_filters, value.name.producer) &&
           has(request.state_filters, std::string(to_string(value.phase)));
}

} // namespace

StartResult start_list_transactions(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<ListTransactionsRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        ListTransactionsResponse response;
        if (node.transactions.is_loading())
            response.error = ErrorCode::coordinator_load_in_progress;
        for (const std::string& state : request.state_filters)
            if (!parse_phase(state)) response.unknown_state_filters.push_back(state);
        const std::int64_t now_ms = node.env.clock.wall().unix_ms;
        node.transactions.for_each([&](const std::string& id, const TransactionValue& value) {
            if (is_wanted(request, value, now_ms))
                response.transactions.push_back(
                    {id, value.name.producer, std::string(to_string(value.phase))});
        });
        return answer(header, response);
    });
}

} // namespace pyralog::server
