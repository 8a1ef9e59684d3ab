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
using wire::kafka::read_committed;
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
StartResult start_add_partitions_to_txn(Node&, RequestParts);
StartResult start_add_offsets_to_txn(Node&, RequestParts);
StartResult start_end_txn(Node&, RequestParts);
StartResult start_txn_offset_commit(Node&, RequestParts);
StartResult start_describe_transactions(Node&, RequestParts);
StartResult start_list_transactions(Node&, RequestParts);
StartResult start_describe_configs(Node&, RequestParts);
StartResult start_alter_configs(Node&, RequestParts);
StartResult start_incremental_alter_configs(Node&, RequestParts);
StartResult start_create_partitions(Node&, RequestParts);
StartResult start_describe_cluster(Node&, RequestParts);
StartResult start_describe_topic_partitions(Node&, RequestParts);
StartResult start_describe_log_dirs(Node&, RequestParts);
StartResult start_elect_leaders(Node&, RequestParts);
StartResult start_list_reassignments(Node&, RequestParts);
StartResult start_describe_client_quotas(Node&, RequestParts);
StartResult start_alter_client_quotas(Node&, RequestParts);

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

// Of all records of a partition before this it is known whether they count. Waits.
// Error::not_leader if that cannot be known here yet, or is not in time.
Result<Offset> stable_end(Node& node, raft::Group& group);

// Those that are up, and where they say themselves that clients reach them. The catalogue says so
// as well, but it may never have come to that: its controllers can be without a majority while
// groups that have theirs are led, and their leaders must be found.
std::map<NodeId, Address> brokers(const Node& node);
// Whom clients are to take for the controller: who leads it, or else this node, which passes
// commands on as all do. Some clients give up when they are told a broker that is not among those
// above.
std::int32_t controller_for_clients(const Node& node);

// A partition as clients are told of it. No leader: -1.
struct PartitionView {
    std::int32_t leader = -1;
    std::int32_t epoch = -1;
    std::vector<std::int32_t> replicas, up, down;
};
PartitionView view_of(const Node& node, const Topic::Partition& partition);

// What nobody but this node itself writes to.
bool is_internal(std::string_view topic);

// What is set of a node is told and changed by that node alone. Empty, or what is wrong with the
// name of another one.
std::string not_this_broker(const Node& node, std::string_view name);

// Clients that do not know PRODUCER_FENCED, which is told from that version on.
ErrorCode in_words_of(std::int16_t version, std::int16_t fenced_from, ErrorCode error);
// The version of all requests within a transaction.
inline constexpr std::int16_t txn_fenced_from = 2;

// Waits a moment for each partition of a new topic to have a leader, which takes an election. A
// client that is told the leader can go on; one that is not asks again.
void wait_for_leaders(Node& node, std::string_view topic);

// For how long a client is to be silent, as an answer says it.
inline std::int32_t throttle_ms(Duration throttle) {
    return static_cast<std::int32_t>((throttle + 1ms - Duration(1)) / 1ms);
}

template <class Response>
Result<Answered> answer(const RequestHeader& header, const Response& response) {
    Answered answered(wire::kafka::encode_frame(
        wire::kafka::ResponseHeader{header.key, header.version, header.correlation_id}, response));
    answered.errors = errors_in(header, response);
    if constexpr (requires { response.throttle_time_ms; })
        answered.throttle = std::chrono::milliseconds(response.throttle_time_ms);
    return answered;
}

} // namespace pyralog::server
