#include "server/dispatch.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

#include <array>

namespace pyralog::server {

namespace {

using wire::kafka::ApiKey;

// Produce is announced from version 0 on, though 0 to 2 are refused: librdkafka up to 2.11 sends
// everything uncompressed to a broker that does not cover version 0 (KAFKA-18659).
constexpr std::array<Served, 39> table{{
    {ApiKey::produce, 3, 9, 0, start_produce},
    {ApiKey::fetch, 4, 12, 4, start_fetch},
    {ApiKey::list_offsets, 1, 7, 1, start_list_offsets},
    {ApiKey::metadata, 0, 12, 0, start_metadata},
    {ApiKey::offset_commit, 2, 9, 2, start_offset_commit},
    {ApiKey::offset_fetch, 1, 9, 1, start_offset_fetch},
    {ApiKey::find_coordinator, 0, 4, 0, start_find_coordinator},
    {ApiKey::join_group, 0, 9, 0, start_join_group},
    {ApiKey::heartbeat, 0, 4, 0, start_heartbeat},
    {ApiKey::leave_group, 0, 5, 0, start_leave_group},
    {ApiKey::sync_group, 0, 5, 0, start_sync_group},
    {ApiKey::describe_groups, 0, 5, 0, start_describe_groups},
    {ApiKey::list_groups, 0, 5, 0, start_list_groups},
    {ApiKey::api_versions, 0, 4, 0, start_api_versions},
    {ApiKey::create_topics, 2, 7, 2, start_create_topics},
    {ApiKey::delete_topics, 1, 6, 1, start_delete_topics},
    {ApiKey::delete_records, 0, 2, 0, start_delete_records},
    {ApiKey::init_producer_id, 0, 5, 0, start_init_producer_id},
    {ApiKey::offset_for_leader_epoch, 2, 4, 2, start_offset_for_leader_epoch},
    {ApiKey::describe_configs, 0, 4, 0, start_describe_configs},
    {ApiKey::alter_configs, 0, 2, 0, start_alter_configs},
    {ApiKey::incremental_alter_configs, 0, 1, 0, start_incremental_alter_configs},
    {ApiKey::describe_log_dirs, 0, 4, 0, start_describe_log_dirs},
    {ApiKey::create_partitions, 0, 3, 0, start_create_partitions},
    {ApiKey::elect_leaders, 0, 2, 0, start_elect_leaders},
    {ApiKey::list_partition_reassignments, 0, 0, 0, start_list_reassignments},
    {ApiKey::describe_cluster, 0, 1, 0, start_describe_cluster},
    {ApiKey::describe_topic_partitions, 0, 0, 0, start_describe_topic_partitions},
    {ApiKey::describe_client_quotas, 0, 1, 0, start_describe_client_quotas},
    {ApiKey::alter_client_quotas, 0, 1, 0, start_alter_client_quotas},
    {ApiKey::add_partitions_to_txn, 0, 5, 0, start_add_partitions_to_txn},
    {ApiKey::add_offsets_to_txn, 0, 4, 0, start_add_offsets_to_txn},
    {ApiKey::end_txn, 0, 5, 0, start_end_txn},
    {ApiKey::txn_offset_commit, 0, 5, 0, start_txn_offset_commit},
    {ApiKey::describe_transactions, 0, 0, 0, start_describe_transactions},
    {ApiKey::list_transactions, 0, 1, 0, start_list_transactions},
    {ApiKey::delete_groups, 0, 2, 0, start_delete_groups},
    {ApiKey::offset_delete, 0, 0, 0, start_offset_delete},
    {ApiKey::describe_producers, 0, 0, 0, start_describe_producers},
}};

} // namespace

std::span<const Served> served_apis() { return table; }

ApiKey api_of(const Bytes& frame) {
    wire::Reader reader(frame);
    ApiKey key{};
    reader(key);
    return key;
}

Result<std::unique_ptr<Started>> start(Node& node, Bytes frame, std::string client) {
    // A version that we do not know may have a header that we cannot read beyond this.
    wire::Reader reader(frame);
    ApiKey key{};
    std::int16_t version = 0;
    std::int32_t correlation_id = 0;
    reader(key, version, correlation_id);
    if (!reader.ok()) return Error::malformed;
    for (const Served& api : table) {
        if (api.key != key) continue;
        if (version >= api.version_min && version <= api.version_max) {
            auto parts = TRY(wire::kafka::split_request(std::move(frame)));
            parts.client_host = std::move(client);
            return api.start(node, std::move(parts));
        }
        SOMETIMES(key == ApiKey::api_versions, "dispatch/unknown-version-of-api-versions");
        if (key == ApiKey::api_versions) return refuse_api_versions(correlation_id);
        if (key == ApiKey::produce && version >= api.announced_min && version < api.version_min) {
            REACHABLE("dispatch/old-produce");
            return refuse_old_produce(TRY(wire::kafka::split_request(std::move(frame))));
        }
        REACHABLE("dispatch/unknown-version");
    }
    REACHABLE("dispatch/unknown-request");
    return Error::malformed;
}

} // namespace pyralog::server
