// DescribeTransactions: what this coordinator knows of transactional ids.
#include "core/wire/kafka/describe_transactions.h"

#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::DescribeTransactionsRequest;
using wire::kafka::DescribeTransactionsResponse;

DescribeTransactionsResponse::Transaction look_at(Node& node, const std::string& id) {
    DescribeTransactionsResponse::Transaction told;
    told.transactional_id = id;
    const TransactionValue* const value = node.transactions.look(id, told.error);
    if (told.error == ErrorCode::none && !value) told.error = ErrorCode::transactional_id_not_found;
    if (!value) return told;
    told.state = to_string(value->phase);
    told.timeout_ms = value->timeout_ms;
    told.start_time_ms = value->started_ms;
    told.producer_id = value->name.producer;
    told.producer_epoch = value->name.epoch;
    for (const auto& [name, group] : value->partitions) {
        if (told.topics.empty() || told.topics.back().name != name.first)
            told.topics.push_back({name.first, {}});
        told.topics.back().partitions.push_back(name.second);
    }
    return told;
}

} // namespace

StartResult start_describe_transactions(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<DescribeTransactionsRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        DescribeTransactionsResponse response;
        for (const std::string& id : request.transactional_ids)
            response.transactions.push_back(look_at(node, id));
        return answer(header, response);
    });
}

} // namespace pyralog::server
