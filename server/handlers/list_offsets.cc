#include "core/wire/kafka/list_offsets.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"
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
    const Duration patience =
        BUGGIFY("list-offsets/has-little-patience") ? Duration(1ms) : barrier_patience;
    const Deadline deadline(node.env.fibers, node.env.clock.now() + patience);
    const Result<Offset> end = group.read_barrier();
    SOMETIMES(end.ok(), "list-offsets/end");
    SOMETIMES(!end.ok() && end.error() == Error::timed_out, "list-offsets/cannot-reach-a-majority");
    if (!end.ok() && end.error() == Error::timed_out) return Error::not_leader;
    return end;
}

// Behind it transactions may be open.
Result<Offset> latest_stable(Node& node, raft::Group& group) {
    const Offset end = TRY(latest(node, group));
    return std::min(end, TRY(stable_end(node, group)));
}

// The first record of this batch that is of this time or later, and that the log still has. Of
// compressed records nothing is known; there it is the batch.
Result<bool> find_time(const wire::RecordBatch& batch, std::int64_t timestamp, Offset start,
                       ListOffsetsResponse::Partition& found) {
    if (batch.header().compression() != wire::Compression::none) {
        found.offset = std::max(batch.header().base_offset, start).value;
        found.timestamp = batch.header().max_timestamp;
        return true;
    }
    wire::RecordReader reader(batch);
    while (const auto record = TRY(reader.next())) {
        SOMETIMES(record->timestamp < timestamp, "list-offsets/time-within-a-batch");
        if (record->timestamp < timestamp) continue;
        SOMETIMES(record->offset < start, "list-offsets/time-before-the-start");
        if (record->offset < start) continue;
        found.offset = record->offset.value;
        found.timestamp = record->timestamp;
        return true;
    }
    return false;
}

// A batch that holds the log's start may have had such a record before it.
Result<> find_time(raft::Group& group, std::int64_t timestamp, Offset limit,
                   ListOffsetsResponse::Partition& found) {
    for (Offset from;;) {
        Bytes bytes = joined(TRY(group.read_from_time(timestamp, limit, from)));
        // It may have been compacted since it was found, and all behind it as well.
        if (bytes.empty()) return Error::not_found;
        const auto taken = wire::RecordBatch::take_first(bytes);
        const auto* const batch = std::get_if<wire::RecordBatch>(&taken);
        if (batch == nullptr) return Error::corrupt;
        if (TRY(find_time(*batch, timestamp, group.log().log_start().offset, found))) break;
        from = batch->end();
    }
    REACHABLE("list-offsets/time-found");
    return {};
}

Result<Offset> limit_of(Node& node, raft::Group& group, bool is_stable) {
    return is_stable ? stable_end(node, group) : group.committed().offset;
}

ListOffsetsResponse::Partition look_at(Node& node, const std::string& topic,
                                       const ListOffsetsRequest::Partition& wanted,
                                       bool is_stable) {
    ListOffsetsResponse::Partition found;
    found.index = wanted.index;
    const Node::Replica replica = node.replica(topic, wanted.index);
    found.error = check_leader(replica, wanted.current_leader_epoch);
    if (found.error != ErrorCode::none) return found;
    raft::Group& group = *replica.group;
    found.leader_epoch = group.term().value;
    Result<Offset> offset = Error::not_found;
    switch (wanted.timestamp) {
    case ListOffsetsRequest::earliest: offset = group.log().log_start().offset; break;
    case ListOffsetsRequest::latest:
        offset = is_stable ? latest_stable(node, group) : latest(node, group);
        break;
    case ListOffsetsRequest::max_timestamp:
        REACHABLE("list-offsets/max-timestamp");
        found.error = ErrorCode::unsupported_for_message_format;
        return found;
    default:
        const Result<Offset> limit = limit_of(node, group, is_stable);
        const Result<> done =
            limit.ok() ? find_time(group, wanted.timestamp, limit.value(), found) : limit.error();
        // No such record is no error.
        if (!done.ok() && done.error() != Error::not_found) found.error = to_code(done.error());
        return found;
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
        const bool is_stable = request.isolation_level == read_committed;
        ListOffsetsResponse response;
        for (const ListOffsetsRequest::Topic& topic : request.topics) {
            response.topics.push_back({topic.name, {}});
            for (const ListOffsetsRequest::Partition& partition : topic.partitions)
                response.topics.back().partitions.push_back(
                    look_at(node, topic.name, partition, is_stable));
        }
        return answer(header, response);
    });
}

} // namespace pyralog::server
