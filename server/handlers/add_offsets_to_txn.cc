// AddOffsetsToTxn: the partition of __consumer_offsets on which the group falls is part of the
// transaction from now on.
#include "core/wire/kafka/add_offsets_to_txn.h"

#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::AddOffsetsToTxnRequest;
using wire::kafka::AddOffsetsToTxnResponse;

ErrorCode add(Node& node, const AddOffsetsToTxnRequest& request) {
    if (request.group_id.empty()) return ErrorCode::invalid_group_id;
    const Topic* topic = node.controller.catalogue().find(offsets_topic_name);
    if (!topic) (void)node.groups.find(request.group_id); // Makes it.
    topic = node.controller.catalogue().find(offsets_topic_name);
    if (!topic) return ErrorCode::coordinator_not_available;
    const auto count = static_cast<std::int32_t>(topic->partitions.size());
    const std::int32_t index = partition_of_group(request.group_id, count);
    const GroupId group = topic->partitions.at(static_cast<std::size_t>(index)).group;
    Transactions::Errors errors;
    const ErrorCode error = node.transactions.add(
        request.transactional_id, {request.producer_id, request.producer_epoch},
        {{{std::string(offsets_topic_name), index}, group}}, errors);
    if (error != ErrorCode::none) return error;
    return errors.begin()->second;
}

} // namespace

StartResult start_add_offsets_to_txn(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<AddOffsetsToTxnRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        AddOffsetsToTxnResponse response;
        response.error = in_words_of(header.version, txn_fenced_from, add(node, request));
        return answer(header, response);
    });
}

} // namespace pyralog::server
