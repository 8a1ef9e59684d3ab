#include "core/wire/kafka/offset_for_leader_epoch.h"

#include "core/base/probe.h"
#include "server/handlers/epoch_end.h"
#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::OffsetForLeaderEpochRequest;
using wire::kafka::OffsetForLeaderEpochResponse;

OffsetForLeaderEpochResponse::Partition
look_at(Node& node, const std::string& topic,
        const OffsetForLeaderEpochRequest::Partition& wanted) {
    OffsetForLeaderEpochResponse::Partition found;
    found.index = wanted.index;
    const Node::Replica replica = node.replica(topic, wanted.index);
    found.error = check_leader(replica, wanted.current_leader_epoch);
    if (found.error != ErrorCode::none) return found;
    const EpochEnd end = epoch_end(*replica.group, Term(wanted.leader_epoch));
    found.leader_epoch = end.epoch;
    found.end_offset = end.offset;
    return found;
}

} // namespace

EpochEnd epoch_end(const raft::Group& group, Term asked) {
    EpochEnd found;
    SOMETIMES(asked > group.term(), "offset-for-epoch/of-the-future");
    if (asked > group.term()) return found;
    for (const TermStart& start : group.log().terms().starts())
        if (start.term <= asked) found.epoch = start.term.value;
    SOMETIMES(found.epoch < 0, "offset-for-epoch/before-the-first");
    if (found.epoch < 0) return found;
    // Where the next one begins.
    const auto next = group.log().terms().first_after(asked);
    SOMETIMES(next.has_value(), "offset-for-epoch/ended");
    SOMETIMES(!next, "offset-for-epoch/current");
    found.offset = (next ? next->first : group.log().end()).offset.value;
    return found;
}

StartResult start_offset_for_leader_epoch(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<OffsetForLeaderEpochRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        OffsetForLeaderEpochResponse response;
        for (const OffsetForLeaderEpochRequest::Topic& topic : request.topics) {
            response.topics.push_back({topic.name, {}});
            for (const OffsetForLeaderEpochRequest::Partition& partition : topic.partitions)
                response.topics.back().partitions.push_back(look_at(node, topic.name, partition));
        }
        return answer(header, response);
    });
}

} // namespace pyralog::server
