// TxnOffsetCommit: offsets that count when their transaction commits. Answered when they are
// stored.
#include "core/wire/kafka/txn_offset_commit.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::OffsetValue;
using wire::kafka::TxnOffsetCommitRequest;
using wire::kafka::TxnOffsetCommitResponse;

ErrorCode objection(const Node& node, const std::string& topic,
                    const TxnOffsetCommitRequest::Partition& partition) {
    if (!node.controller.catalogue().find(topic, partition.index))
        return ErrorCode::unknown_topic_or_partition;
    const std::size_t most = node.config.group.offset_metadata_bytes_max;
    const bool is_long = partition.metadata && partition.metadata->size() > most;
    return is_long ? ErrorCode::offset_metadata_too_large : ErrorCode::none;
}

TxnOffsetCommitResponse commit(Node& node, const TxnOffsetCommitRequest& request) {
    TxnOffsetCommitResponse response;
    Coordinator::Offsets offsets;
    for (const TxnOffsetCommitRequest::Topic& topic : request.topics) {
        response.topics.push_back({topic.name, {}});
        for (const TxnOffsetCommitRequest::Partition& partition : topic.partitions) {
            const ErrorCode error = objection(node, topic.name, partition);
            response.topics.back().partitions.push_back({partition.index, error});
            if (error != ErrorCode::none) continue;
            offsets[{topic.name, partition.index}] =
                OffsetValue{partition.offset, partition.leader_epoch,
                            partition.metadata.value_or(""), node.env.clock.wall().unix_ms, -1};
        }
    }
    const Coordinator::InTransaction who{request.producer_id, request.producer_epoch};
    const ErrorCode error = node.groups.settle(node.groups.commit_in_transaction(
        request.group_id, {request.member_id, request.group_instance_id}, request.generation_id,
        who, offsets));
    for (TxnOffsetCommitResponse::Topic& topic : response.topics)
        for (TxnOffsetCommitResponse::Partition& partition : topic.partitions)
            if (partition.error == ErrorCode::none) partition.error = error;
    return response;
}

} // namespace

StartResult start_txn_offset_commit(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<TxnOffsetCommitRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        return answer(header, commit(node, request));
    });
}

} // namespace pyralog::server
