// DeleteRecords: what is before an offset is gone, on all replicas and for good, when the answer
// says so.
#include "core/wire/kafka/delete_records.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::DeleteRecordsRequest;
using wire::kafka::DeleteRecordsResponse;

ErrorCode code_of(Error error) {
    SOMETIMES(error == Error::malformed, "delete-records/more-than-is-committed");
    SOMETIMES(error == Error::timed_out, "delete-records/timed-out");
    SOMETIMES(error == Error::unavailable, "delete-records/perhaps-deleted");
    // There may be more records before long, and less never: it is for the client to say.
    return error == Error::malformed ? ErrorCode::offset_out_of_range : to_code(error);
}

DeleteRecordsResponse::Partition remove(Node& node, const std::string& topic,
                                        const DeleteRecordsRequest::Partition& wanted) {
    DeleteRecordsResponse::Partition removed;
    removed.index = wanted.index;
    const Node::Replica replica = node.replica(topic, wanted.index);
    removed.error = is_internal(topic) ? ErrorCode::policy_violation : check_leader(replica, -1);
    if (removed.error != ErrorCode::none) return removed;
    SOMETIMES(wanted.offset == DeleteRecordsRequest::all, "delete-records/all");
    const Offset offset = wanted.offset == DeleteRecordsRequest::all
                              ? replica.group->committed().offset
                              : Offset(wanted.offset);
    if (offset < Offset()) {
        removed.error = ErrorCode::offset_out_of_range;
        return removed;
    }
    const Result<Offset> first = replica.group->trim(offset);
    if (first.ok())
        removed.low_watermark = first.value().value;
    else
        removed.error = code_of(first.error());
    SOMETIMES(first.ok() && first.value() > offset, "delete-records/gone-already");
    return removed;
}

} // namespace

StartResult start_delete_records(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<DeleteRecordsRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        const Deadline deadline(node.env.fibers, node.after_ms(request.timeout_ms));
        DeleteRecordsResponse response;
        for (const DeleteRecordsRequest::Topic& topic : request.topics) {
            response.topics.push_back({topic.name, {}});
            for (const DeleteRecordsRequest::Partition& partition : topic.partitions)
                response.topics.back().partitions.push_back(remove(node, topic.name, partition));
        }
        return answer(header, response);
    });
}

} // namespace pyralog::server
