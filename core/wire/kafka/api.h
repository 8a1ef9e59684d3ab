// core/wire/kafka/api.h
//
// What all of Kafka's messages share: the APIs and their versions, the headers, the error codes,
// and the frame. The messages themselves have a header each: a struct and a describe() for the
// request and for the response, with all the fields of the versions in the table below.
//
//     frame: size i32 | header | body                  size counts what follows it
//     request header:  api_key i16 | api_version i16 | correlation_id i32 | client_id nullable
//     string response header: correlation_id i32
//
// In flexible versions a tag section follows either header; but client_id keeps its old form, and
// the answer to ApiVersions its old header, because its reader cannot know yet what we speak.
#pragma once

#include "core/wire/codec.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pyralog::wire::kafka {

enum class ApiKey : std::int16_t {
    produce = 0,
    fetch = 1,
    list_offsets = 2,
    metadata = 3,
    offset_commit = 8,
    offset_fetch = 9,
    find_coordinator = 10,
    join_group = 11,
    heartbeat = 12,
    leave_group = 13,
    sync_group = 14,
    describe_groups = 15,
    list_groups = 16,
    api_versions = 18,
    create_topics = 19,
    delete_topics = 20,
    delete_records = 21,
    init_producer_id = 22,
    offset_for_leader_epoch = 23,
    add_partitions_to_txn = 24,
    add_offsets_to_txn = 25,
    end_txn = 26,
    txn_offset_commit = 28,
    describe_configs = 32,
    alter_configs = 33,
    describe_log_dirs = 35,
    create_partitions = 37,
    delete_groups = 42,
    elect_leaders = 43,
    incremental_alter_configs = 44,
    list_partition_reassignments = 46,
    offset_delete = 47,
    describe_client_quotas = 48,
    alter_client_quotas = 49,
    describe_cluster = 60,
    describe_producers = 61,
    describe_transactions = 65,
    list_transactions = 66,
    describe_topic_partitions = 75,
};

// The versions that the structs describe, both ends included, as Kafka announces them. What a
// broker serves of them is its own affair.
struct Api {
    ApiKey key;
    std::string_view name;
    std::int16_t version_min;
    std::int16_t version_max;
    std::int16_t flexible_from;
};

inline constexpr std::int16_t never_flexible = 32767;

inline constexpr std::array<Api, 39> apis{{
    {ApiKey::produce, "Produce", 0, 9, 9},
    {ApiKey::fetch, "Fetch", 4, 12, 12},
    {ApiKey::list_offsets, "ListOffsets", 1, 7, 6},
    {ApiKey::metadata, "Metadata", 0, 12, 9},
    {ApiKey::offset_commit, "OffsetCommit", 2, 9, 8},
    {ApiKey::offset_fetch, "OffsetFetch", 1, 9, 6},
    {ApiKey::find_coordinator, "FindCoordinator", 0, 4, 3},
    {ApiKey::join_group, "JoinGroup", 0, 9, 6},
    {ApiKey::heartbeat, "Heartbeat", 0, 4, 4},
    {ApiKey::leave_group, "LeaveGroup", 0, 5, 4},
    {ApiKey::sync_group, "SyncGroup", 0, 5, 4},
    {ApiKey::describe_groups, "DescribeGroups", 0, 5, 5},
    {ApiKey::list_groups, "ListGroups", 0, 5, 3},
    {ApiKey::api_versions, "ApiVersions", 0, 4, 3},
    {ApiKey::create_topics, "CreateTopics", 2, 7, 5},
    {ApiKey::delete_topics, "DeleteTopics", 1, 6, 4},
    {ApiKey::delete_records, "DeleteRecords", 0, 2, 2},
    {ApiKey::init_producer_id, "InitProducerId", 0, 5, 2},
    {ApiKey::offset_for_leader_epoch, "OffsetForLeaderEpoch", 2, 4, 4},
    {ApiKey::add_partitions_to_txn, "AddPartitionsToTxn", 0, 5, 3},
    {ApiKey::add_offsets_to_txn, "AddOffsetsToTxn", 0, 4, 3},
    {ApiKey::end_txn, "EndTxn", 0, 5, 3},
    {ApiKey::txn_offset_commit, "TxnOffsetCommit", 0, 5, 3},
    {ApiKey::describe_configs, "DescribeConfigs", 0, 4, 4},
    {ApiKey::alter_configs, "AlterConfigs", 0, 2, 2},
    {ApiKey::describe_log_dirs, "DescribeLogDirs", 0, 4, 2},
    {ApiKey::create_partitions, "CreatePartitions", 0, 3, 2},
    {ApiKey::delete_groups, "DeleteGroups", 0, 2, 2},
    {ApiKey::elect_leaders, "ElectLeaders", 0, 2, 2},
    {ApiKey::incremental_alter_configs, "IncrementalAlterConfigs", 0, 1, 1},
    {ApiKey::list_partition_reassignments, "ListPartitionReassignments", 0, 0, 0},
    {ApiKey::offset_delete, "OffsetDelete", 0, 0, never_flexible},
    {ApiKey::describe_client_quotas, "DescribeClientQuotas", 0, 1, 1},
    {ApiKey::alter_client_quotas, "AlterClientQuotas", 0, 1, 1},
    {ApiKey::describe_cluster, "DescribeCluster", 0, 1, 0},
    {ApiKey::describe_producers, "DescribeProducers", 0, 0, 0},
    {ApiKey::describe_transactions, "DescribeTransactions", 0, 0, 0},
    {ApiKey::list_transactions, "ListTransactions", 0, 1, 0},
    {ApiKey::describe_topic_partitions, "DescribeTopicPartitions", 0, 0, 0},
}};

// Nothing, if it is none of ours.
constexpr const Api* find_api(ApiKey key) {
    for (const Api& api : apis) {
        if (api.key == key) return &api;
    }
    return nullptr;
}

constexpr bool is_flexible(ApiKey key, std::int16_t version) {
    const Api* api = find_api(key);
    return api != nullptr && version >= api->flexible_from;
}

constexpr Form form_of(ApiKey key, std::int16_t version) {
    return {version, is_flexible(key, version)};
}

// Only what is committed of transactions, as a reader may wish: KIP-98.
inline constexpr std::int8_t read_committed = 1;

// The codes that we send, and that our clients tell apart.
enum class ErrorCode : std::int16_t {
    unknown_server_error = -1,
    none = 0,
    offset_out_of_range = 1,
    corrupt_message = 2,
    unknown_topic_or_partition = 3,
    invalid_fetch_size = 4,
    leader_not_available = 5,
    not_leader_or_follower = 6,
    request_timed_out = 7,
    broker_not_available = 8,
    replica_not_available = 9,
    message_too_large = 10,
    offset_metadata_too_large = 12,
    coordinator_load_in_progress = 14,
    coordinator_not_available = 15,
    not_coordinator = 16,
    invalid_topic = 17,
    record_list_too_large = 18,
    not_enough_replicas = 19,
    not_enough_replicas_after_append = 20,
    invalid_required_acks = 21,
    illegal_generation = 22,
    inconsistent_group_protocol = 23,
    invalid_group_id = 24,
    unknown_member_id = 25,
    invalid_session_timeout = 26,
    rebalance_in_progress = 27,
    topic_authorization_failed = 29,
    cluster_authorization_failed = 31,
    invalid_timestamp = 32,
    unsupported_version = 35,
    topic_already_exists = 36,
    invalid_partitions = 37,
    invalid_replication_factor = 38,
    invalid_replica_assignment = 39,
    invalid_config = 40,
    not_controller = 41,
    invalid_request = 42,
    unsupported_for_message_format = 43,
    policy_violation = 44,
    out_of_order_sequence_number = 45,
    duplicate_sequence_number = 46,
    invalid_producer_epoch = 47,
    invalid_txn_state = 48,
    invalid_producer_id_mapping = 49,
    invalid_transaction_timeout = 50,
    concurrent_transactions = 51,
    transactional_id_authorization_failed = 53,
    operation_not_attempted = 55,
    kafka_storage_error = 56,
    unknown_producer_id = 59,
    non_empty_group = 68,
    group_id_not_found = 69,
    fetch_session_id_not_found = 70,
    invalid_fetch_session_epoch = 71,
    topic_deletion_disabled = 73,
    fenced_leader_epoch = 74,
    unknown_leader_epoch = 75,
    unsupported_compression_type = 76,
    offset_not_available = 78,
    member_id_required = 79,
    preferred_leader_not_available = 80,
    group_max_size_reached = 81,
    fenced_instance_id = 82,
    eligible_leaders_not_available = 83,
    election_not_needed = 84,
    group_subscribed_to_topic = 86,
    invalid_record = 87,
    unstable_offset_commit = 88,
    throttling_quota_exceeded = 89,
    producer_fenced = 90,
    unknown_topic_id = 100,
    inconsistent_topic_id = 103,
    transactional_id_not_found = 105,
    unsupported_endpoint_type = 115,
    transaction_abortable = 120,
};

// Kafka's name for it, as in its documents; "UNKNOWN" for a code that is not above.
std::string_view to_string(ErrorCode code);

struct RequestHeader {
    ApiKey key{};
    std::int16_t version = 0;
    std::int32_t correlation_id = 0;
    std::optional<std::string> client_id;
};

template <class Codec>
void describe(Codec& field, RequestHeader& h) {
    field(h.key, h.version, h.correlation_id, h.client_id);
    if (is_flexible(h.key, h.version)) field.tag_section();
}

// Key and version are not sent: who reads an answer must know what it asked.
struct ResponseHeader {
    ApiKey key{};
    std::int16_t version = 0;
    std::int32_t correlation_id = 0;
};

template <class Codec>
void describe(Codec& field, ResponseHeader& h) {
    field(h.correlation_id);
    if (h.key != ApiKey::api_versions && is_flexible(h.key, h.version)) field.tag_section();
}

// A header and its body, with their size before them.
template <class Header, class Body>
struct Framed {
    std::int32_t size = 0;
    const Header& header;
    const Body& body;
};

template <class Codec, class Header, class Body>
void describe(Codec& field, Framed<Header, Body>& f) {
    field(f.size, f.header);
    field.as(form_of(f.header.key, f.header.version), f.body);
}

// All that goes out for one request or one response, records shared and not copied. It must be less
// than 2 GiB, as Kafka has it.
template <class Header, class Body>
BytesChain encode_frame(const Header& header, const Body& body) {
    Framed<Header, Body> frame{0, header, body};
    Sizer sizer(0, false, SizeSink(shared_size_min));
    sizer(frame);
    const std::size_t size = sizer.sink().size() - sizeof(frame.size);
    CHECK(std::in_range<std::int32_t>(size));
    frame.size = static_cast<std::int32_t>(size);
    Writer writer(0, false, MemorySink(sizer.sink().copied(), shared_size_min));
    writer(frame);
    return std::move(writer.sink()).finish();
}

// The request frame of a client. Each request struct knows its key and what answers it.
template <class Request>
BytesChain encode_request(const Request& request, std::int16_t version, std::int32_t correlation_id,
                          std::optional<std::string> client_id = std::nullopt) {
    return encode_frame(RequestHeader{Request::key, version, correlation_id, std::move(client_id)},
                        request);
}

// The header of a request frame, its size already taken off, and the body that follows it.
struct RequestParts {
    RequestHeader header;
    Bytes body;
    std::string client_host; // Where it came from, if somebody has said so.
};
Result<RequestParts> split_request(Bytes frame);

// The body, as what the header says it is. Whether its version is served must have been asked
// before.
template <class Request>
Result<Request> decode_request(const RequestParts& parts) {
    CHECK(parts.header.key == Request::key);
    const Form form = form_of(parts.header.key, parts.header.version);
    return decode<Request>(parts.body, form.version, form.flexible);
}

// The answer to what was asked with this header, if that is what it is. The size of the frame has
// been taken off here as well.
template <class Response>
Result<Response> decode_response(Bytes frame, const RequestHeader& asked) {
    Reader reader(std::move(frame));
    ResponseHeader header{asked.key, asked.version, 0};
    reader(header);
    if (!reader.ok() || header.correlation_id != asked.correlation_id) return Error::malformed;
    const Form form = form_of(asked.key, asked.version);
    return decode<Response>(reader.rest(), form.version, form.flexible);
}

} // namespace pyralog::wire::kafka
