// The frame of a Kafka request, without its size.
#include "core/wire/kafka/add_offsets_to_txn.h"
#include "core/wire/kafka/add_partitions_to_txn.h"
#include "core/wire/kafka/alter_configs.h"
#include "core/wire/kafka/api_versions.h"
#include "core/wire/kafka/client_quotas.h"
#include "core/wire/kafka/create_partitions.h"
#include "core/wire/kafka/create_topics.h"
#include "core/wire/kafka/delete_groups.h"
#include "core/wire/kafka/delete_records.h"
#include "core/wire/kafka/delete_topics.h"
#include "core/wire/kafka/describe_cluster.h"
#include "core/wire/kafka/describe_configs.h"
#include "core/wire/kafka/describe_groups.h"
#include "core/wire/kafka/describe_log_dirs.h"
#include "core/wire/kafka/describe_producers.h"
#include "core/wire/kafka/describe_topic_partitions.h"
#include "core/wire/kafka/describe_transactions.h"
#include "core/wire/kafka/elect_leaders.h"
#include "core/wire/kafka/end_txn.h"
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/find_coordinator.h"
#include "core/wire/kafka/heartbeat.h"
#include "core/wire/kafka/init_producer_id.h"
#include "core/wire/kafka/join_group.h"
#include "core/wire/kafka/leave_group.h"
#include "core/wire/kafka/list_groups.h"
#include "core/wire/kafka/list_offsets.h"
#include "core/wire/kafka/list_reassignments.h"
#include "core/wire/kafka/list_transactions.h"
#include "core/wire/kafka/metadata.h"
#include "core/wire/kafka/offset_commit.h"
#include "core/wire/kafka/offset_delete.h"
#include "core/wire/kafka/offset_fetch.h"
#include "core/wire/kafka/offset_for_leader_epoch.h"
#include "core/wire/kafka/produce.h"
#include "core/wire/kafka/sync_group.h"
#include "core/wire/kafka/txn_offset_commit.h"
#include "fuzz/input.h"
#include "fuzz/target.h"

namespace pyralog::fuzz {

namespace {

using namespace wire::kafka;

// What was understood is written, and that is understood as the same. (Not what was given: unknown
// tags are gone.)
template <class Request>
bool reads(const RequestParts& parts) {
    const Result<Request> request = decode_request<Request>(parts);
    if (!request.ok()) return false;
    const RequestHeader& header = parts.header;
    Bytes frame = joined(
        encode_request(request.value(), header.version, header.correlation_id, header.client_id));
    frame = frame.slice(4, frame.size() - 4);
    const auto split = split_request(frame);
    CHECK(split.ok() && split.value().header.key == header.key);
    CHECK(split.value().header.client_id == header.client_id);
    const Result<Request> again = decode_request<Request>(split.value());
    CHECK(again.ok());
    const Bytes body =
        wire::encode(again.value(), header.version, is_flexible(header.key, header.version));
    CHECK(body.text() == split.value().body.text());
    return true;
}

template <class... Requests>
struct Known {
    static constexpr std::size_t count = sizeof...(Requests);
    static bool read(const RequestParts& parts) {
        bool taken = false;
        ((taken = taken || (parts.header.key == Requests::key && reads<Requests>(parts))), ...);
        return taken;
    }
};
using All =
    Known<ProduceRequest, FetchRequest, ListOffsetsRequest, MetadataRequest, FindCoordinatorRequest,
          ApiVersionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DeleteRecordsRequest,
          OffsetForLeaderEpochRequest, OffsetCommitRequest, OffsetFetchRequest, JoinGroupRequest,
          HeartbeatRequest, LeaveGroupRequest, SyncGroupRequest, DescribeGroupsRequest,
          ListGroupsRequest, DeleteGroupsRequest, OffsetDeleteRequest, InitProducerIdRequest,
          DescribeProducersRequest, DescribeConfigsRequest, AlterConfigsRequest,
          IncrementalAlterConfigsRequest, CreatePartitionsRequest, DescribeClusterRequest,
          DescribeTopicPartitionsRequest, DescribeLogDirsRequest, ElectLeadersRequest,
          ListReassignmentsRequest, DescribeClientQuotasRequest, AlterClientQuotasRequest,
          AddPartitionsToTxnRequest, AddOffsetsToTxnRequest, EndTxnRequest, TxnOffsetCommitRequest,
          DescribeTransactionsRequest, ListTransactionsRequest>;
static_assert(All::count == apis.size(), "a request is missing here");

} // namespace

bool run_kafka_request(std::span<const std::byte> bytes) {
    const auto parts = split_request(Bytes::copy_of(bytes));
    if (!parts.ok()) return false;
    const RequestHeader& header = parts.value().header;
    const Api* api = find_api(header.key);
    if (api == nullptr || header.version < api->version_min || header.version > api->version_max)
        return false;
    return All::read(parts.value());
}

} // namespace pyralog::fuzz
