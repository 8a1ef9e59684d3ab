#include "core/wire/kafka/list_offsets.h"

#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::ListOffsetsRequest;
using wire::kafka::ListOffsetsResponse;

// A leader that cannot reach a majority is soon none; the client then finds the next one.
constexpr Duration barrier_patience = 2s;

// An end that holds all that was acknowledged before, by whomever: a leader that has been deposed
// without hearing of it would tell an old one.
Result<Offset> latest(Node& node, raft::Group& group) {
    const Deadline deadline(node.env.fibers, node.env.clock.now() + barrier_patience);
    const Result<Offset> end = group.read_barrier();
    if (!end.ok() && end.error() == Error::timed_out) return Error::not_leader;
    return end;
}

ListOffsetsResponse::Partition look_at(Node& node, const std::string& topic,
                                       const ListOffsetsRequest::Partition& wanted) {
    ListOffsetsResponse::Partition found;
    found.index = wanted.index;
    const Node::Replica replica = node.replica(topic, wanted.index);
    found.error = check_leader(replica, wanted.current_leader_epoch);
    if (found.error != ErrorCode::none) return found;
    raft::Group& group = *replica.group;
    found.leader_epoch = group.term().value;
    Result<Offset> offset = Error::not_found;
    switch (wanted.timestamp) {
    case ListOffsetsRequest::earliest: offset = group.log().start().offset; break;
    case ListOffsetsRequest::latest: offset = latest(node, group); break;
    case ListOffsetsRequest::max_timestamp:
        found.error = ErrorCode::unsupported_for_message_format;
        return found;
    default:
        offset = group.log().offset_for_time(wanted.timestamp, group.committed().offset);
        if (!offset.ok() && offset.error() == Error::not_found) return found; // No such record.
        found.timestamp = wanted.timestamp;
    }
    if (offset.ok())
        found.offset = offset.value().value;
    else
        found.error = to_code(offset.error());
    return found;
}

} // namespace

StartResult start_list_offsets(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<ListOffsetsRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        ListOffsetsResponse response;
        for (const ListOffsetsRequest::Topic& topic : request.topics) {
            response.topics.push_back({topic.name, {}});
            for (const ListOffsetsRequest::Partition& partition : topic.partitions)
                response.topics.back().partitions.push_back(look_at(node, topic.name, partition));
        }
        return answer(header, response);
    });
}

} // namespace pyralog::server
