#include "core/wire/kafka/api.h"

#include <algorithm>

namespace pyralog::wire::kafka {

namespace {

struct Named {
    ErrorCode code;
    std::string_view name;
};

constexpr std::array error_names{
    Named{ErrorCode::unknown_server_error, "UNKNOWN_SERVER_ERROR"},
    Named{ErrorCode::none, "NONE"},
    Named{ErrorCode::offset_out_of_range, "OFFSET_OUT_OF_RANGE"},
    Named{ErrorCode::corrupt_message, "CORRUPT_MESSAGE"},
    Named{ErrorCode::unknown_topic_or_partition, "UNKNOWN_TOPIC_OR_PARTITION"},
    Named{ErrorCode::invalid_fetch_size, "INVALID_FETCH_SIZE"},
    Named{ErrorCode::leader_not_available, "LEADER_NOT_AVAILABLE"},
    Named{ErrorCode::not_leader_or_follower, "NOT_LEADER_OR_FOLLOWER"},
    Named{ErrorCode::request_timed_out, "REQUEST_TIMED_OUT"},
    Named{ErrorCode::broker_not_available, "BROKER_NOT_AVAILABLE"},
    Named{ErrorCode::replica_not_available, "REPLICA_NOT_AVAILABLE"},
    Named{ErrorCode::message_too_large, "MESSAGE_TOO_LARGE"},
    Named{ErrorCode::offset_metadata_too_large, "OFFSET_METADATA_TOO_LARGE"},
    Named{ErrorCode::coordinator_load_in_progress, "COORDINATOR_LOAD_IN_PROGRESS"},
    Named{ErrorCode::coordinator_not_available, "COORDINATOR_NOT_AVAILABLE"},
    Named{ErrorCode::not_coordinator, "NOT_COORDINATOR"},
    Named{ErrorCode::invalid_topic, "INVALID_TOPIC_EXCEPTION"},
    Named{ErrorCode::record_list_too_large, "RECORD_LIST_TOO_LARGE"},
    Named{ErrorCode::not_enough_replicas, "NOT_ENOUGH_REPLICAS"},
    Named{ErrorCode::not_enough_replicas_after_append, "NOT_ENOUGH_REPLICAS_AFTER_APPEND"},
    Named{ErrorCode::invalid_required_acks, "INVALID_REQUIRED_ACKS"},
    Named{ErrorCode::illegal_generation, "ILLEGAL_GENERATION"},
    Named{ErrorCode::inconsistent_group_protocol, "INCONSISTENT_GROUP_PROTOCOL"},
    Named{ErrorCode::invalid_group_id, "INVALID_GROUP_ID"},
    Named{ErrorCode::unknown_member_id, "UNKNOWN_MEMBER_ID"},
    Named{ErrorCode::invalid_session_timeout, "INVALID_SESSION_TIMEOUT"},
    Named{ErrorCode::rebalance_in_progress, "REBALANCE_IN_PROGRESS"},
    Named{ErrorCode::topic_authorization_failed, "TOPIC_AUTHORIZATION_FAILED"},
    Named{ErrorCode::cluster_authorization_failed, "CLUSTER_AUTHORIZATION_FAILED"},
    Named{ErrorCode::invalid_timestamp, "INVALID_TIMESTAMP"},
    Named{ErrorCode::unsupported_version, "UNSUPPORTED_VERSION"},
    Named{ErrorCode::topic_already_exists, "TOPIC_ALREADY_EXISTS"},
    Named{ErrorCode::invalid_partitions, "INVALID_PARTITIONS"},
    Named{ErrorCode::invalid_replication_factor, "INVALID_REPLICATION_FACTOR"},
    Named{ErrorCode::invalid_replica_assignment, "INVALID_REPLICA_ASSIGNMENT"},
    Named{ErrorCode::invalid_config, "INVALID_CONFIG"},
    Named{ErrorCode::not_controller, "NOT_CONTROLLER"},
    Named{ErrorCode::invalid_request, "INVALID_REQUEST"},
    Named{ErrorCode::unsupported_for_message_format, "UNSUPPORTED_FOR_MESSAGE_FORMAT"},
    Named{ErrorCode::policy_violation, "POLICY_VIOLATION"},
    Named{ErrorCode::out_of_order_sequence_number, "OUT_OF_ORDER_SEQUENCE_NUMBER"},
    Named{ErrorCode::duplicate_sequence_number, "DUPLICATE_SEQUENCE_NUMBER"},
    Named{ErrorCode::invalid_producer_epoch, "INVALID_PRODUCER_EPOCH"},
    Named{ErrorCode::invalid_txn_state, "INVALID_TXN_STATE"},
    Named{ErrorCode::invalid_producer_id_mapping, "INVALID_PRODUCER_ID_MAPPING"},
    Named{ErrorCode::invalid_transaction_timeout, "INVALID_TRANSACTION_TIMEOUT"},
    Named{ErrorCode::concurrent_transactions, "CONCURRENT_TRANSACTIONS"},
    Named{ErrorCode::transactional_id_authorization_failed,
          "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"},
    Named{ErrorCode::operation_not_attempted, "OPERATION_NOT_ATTEMPTED"},
    Named{ErrorCode::kafka_storage_error, "KAFKA_STORAGE_ERROR"},
    Named{ErrorCode::unknown_producer_id, "UNKNOWN_PRODUCER_ID"},
    Named{ErrorCode::non_empty_group, "NON_EMPTY_GROUP"},
    Named{ErrorCode::group_id_not_found, "GROUP_ID_NOT_FOUND"},
    Named{ErrorCode::fetch_session_id_not_found, "FETCH_SESSION_ID_NOT_FOUND"},
    Named{ErrorCode::invalid_fetch_session_epoch, "INVALID_FETCH_SESSION_EPOCH"},
    Named{ErrorCode::topic_deletion_disabled, "TOPIC_DELETION_DISABLED"},
    Named{ErrorCode::fenced_leader_epoch, "FENCED_LEADER_EPOCH"},
    Named{ErrorCode::unknown_leader_epoch, "UNKNOWN_LEADER_EPOCH"},
    Named{ErrorCode::unsupported_compression_type, "UNSUPPORTED_COMPRESSION_TYPE"},
    Named{ErrorCode::offset_not_available, "OFFSET_NOT_AVAILABLE"},
    Named{ErrorCode::member_id_required, "MEMBER_ID_REQUIRED"},
    Named{ErrorCode::preferred_leader_not_available, "PREFERRED_LEADER_NOT_AVAILABLE"},
    Named{ErrorCode::group_max_size_reached, "GROUP_MAX_SIZE_REACHED"},
    Named{ErrorCode::fenced_instance_id, "FENCED_INSTANCE_ID"},
    Named{ErrorCode::eligible_leaders_not_available, "ELIGIBLE_LEADERS_NOT_AVAILABLE"},
    Named{ErrorCode::election_not_needed, "ELECTION_NOT_NEEDED"},
    Named{ErrorCode::group_subscribed_to_topic, "GROUP_SUBSCRIBED_TO_TOPIC"},
    Named{ErrorCode::invalid_record, "INVALID_RECORD"},
    Named{ErrorCode::unstable_offset_commit, "UNSTABLE_OFFSET_COMMIT"},
    Named{ErrorCode::throttling_quota_exceeded, "THROTTLING_QUOTA_EXCEEDED"},
    Named{ErrorCode::producer_fenced, "PRODUCER_FENCED"},
    Named{ErrorCode::unknown_topic_id, "UNKNOWN_TOPIC_ID"},
    Named{ErrorCode::inconsistent_topic_id, "INCONSISTENT_TOPIC_ID"},
    Named{ErrorCode::transactional_id_not_found, "TRANSACTIONAL_ID_NOT_FOUND"},
    Named{ErrorCode::unsupported_endpoint_type, "UNSUPPORTED_ENDPOINT_TYPE"},
    Named{ErrorCode::transaction_abortable, "TRANSACTION_ABORTABLE"},
};

} // namespace

std::string_view to_string(ErrorCode code) {
    const auto* const found = std::ranges::find(error_names, code, &Named::code);
    return found == error_names.end() ? "UNKNOWN" : found->name; // Any number can come from a wire.
}

Result<RequestParts> split_request(Bytes frame) {
    Reader reader(std::move(frame));
    RequestParts parts;
    reader(parts.header);
    if (!reader.ok()) return Error::malformed;
    parts.body = reader.rest();
    return parts;
}

} // namespace pyralog::wire::kafka
