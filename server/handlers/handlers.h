// server/handlers/handlers.h
//
// One function for each API, in a file of its own: a request begins, and what it returns finishes
// it. And what our errors are in Kafka's words.
#pragma once

#include "core/wire/kafka/api.h"
#include "server/dispatch.h"

#include <map>

namespace pyralog::server {

using StartResult = Result<std::unique_ptr<Started>>;
using wire::kafka::ErrorCode;
using wire::kafka::RequestHeader;
using wire::kafka::RequestParts;

StartResult start_produce(Node&, RequestParts);
StartResult start_fetch(Node&, RequestParts);
StartResult start_list_offsets(Node&, RequestParts);
StartResult start_metadata(Node&, RequestParts);
StartResult start_find_coordinator(Node&, RequestParts);
StartResult start_api_versions(Node&, RequestParts);
StartResult start_create_topics(Node&, RequestParts);
StartResult start_delete_topics(Node&, RequestParts);
StartResult start_delete_records(Node&, RequestParts);
StartResult start_offset_for_leader_epoch(Node&, RequestParts);
StartResult start_offset_commit(Node&, RequestParts);
StartResult start_offset_fetch(Node&, RequestParts);
StartResult start_join_group(Node&, RequestParts);
StartResult start_heartbeat(Node&, RequestParts);
StartResult start_leave_group(Node&, RequestParts);
StartResult start_sync_group(Node&, RequestParts);
StartResult start_describe_groups(Node&, RequestParts);
StartResult start_list_groups(Node&, RequestParts);
StartResult start_delete_groups(Node&, RequestParts);
StartResult start_offset_delete(Node&, RequestParts);
StartResult start_init_producer_id(Node&, RequestParts);
StartResult start_describe_producers(Node&, RequestParts);

// ApiVersions in a version that we do not have: what to ask instead (KIP-511).
StartResult refuse_api_versions(std::int32_t correlation_id);
// Produce before version 3, which carries batches of old formats.
StartResult refuse_old_produce(RequestParts);

// What a client is told when something did not work. There is a code for each that makes the usual
// clients do the right thing by themselves: retry, look for the leader, or give up.
ErrorCode to_code(Error error);

// Of a partition that a client takes us to lead: may it have what it asks for? KIP-320: whoever
// names an epoch must name the one that we are in.
ErrorCode check_leader(const Node::Replica& replica, std::int32_t epoch_of_client);

// The same for what is to be written: a leader may take that as soon as it is one.
ErrorCode check_writable(const Node::Replica& replica);

// Those that are up, and where they say themselves that clients reach them. The catalogue says so
// as well, but it may never have come to that: its controllers can be without a majority while
// groups that have theirs are led, and their leaders must be found.
std::map<NodeId, Address> brokers(const Node& node);

// What nobody but this node itself writes to.
bool is_internal(std::string_view topic);

// Waits a moment for each partition of a new topic to have a leader, which takes an election. A
// client that is told the leader can go on; one that is not asks again.
void wait_for_leaders(Node& node, std::string_view topic);

template <class Response>
Result<Answered> answer(const RequestHeader& header, const Response& response) {
    Answered answered(wire::kafka::encode_frame(
        wire::kafka::ResponseHeader{header.key, header.version, header.correlation_id}, response));
    answered.errors = errors_in(header, response);
    return answered;
}

} // namespace pyralog::server
