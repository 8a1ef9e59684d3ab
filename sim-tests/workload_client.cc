#include "sim-tests/workload_client.h"

#include "core/wire/kafka/list_offsets.h"
#include "core/wire/kafka/offset_fetch.h"

namespace pyralog::simtest {

bool is_for_now(wire::kafka::ErrorCode error) {
    using wire::kafka::ErrorCode;
    switch (error) {
    case ErrorCode::not_leader_or_follower:
    case ErrorCode::not_enough_replicas:
    case ErrorCode::not_enough_replicas_after_append:
    case ErrorCode::request_timed_out:
    case ErrorCode::kafka_storage_error:
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::corrupt_message: return true;
    default: return false;
    }
}

void Client::add(wire::RecordBatchBuilder& builder, const std::string& topic, Ident ident,
                 std::size_t size, std::int64_t timestamp) const {
    const std::string value = value_of(ident, size);
    if (!workload_.is_compacted(topic)) {
        builder.add(std::nullopt, value, timestamp);
    } else if (!deletes_key(ident)) {
        builder.add(key_of(ident), value, timestamp);
    } else {
        const wire::RecordHeader who{"who", Bytes::copy_of(value_of(ident, value_size_min))};
        builder.add(key_of(ident), std::nullopt, timestamp, std::span(&who, 1));
    }
}

Result<std::int64_t> Client::ask_start(KafkaConnection& connection, const TopicPartition& name,
                                       NodeId self) {
    kafka::ListOffsetsRequest request;
    request.topics.push_back(
        {name.topic, {{name.partition, -1, kafka::ListOffsetsRequest::earliest}}});
    const auto answer = TRY(connection.call(request));
    if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1)
        return Error::malformed;
    const auto& told = answer.topics[0].partitions[0];
    if (told.error != kafka::ErrorCode::none) return Error::unavailable;
    History& history = workload_.history_;
    history.told({self.value, history.partition(name), now(), told.offset, 0});
    return told.offset;
}

Result<std::int64_t> Client::ask_place(const std::string& group, const TopicPartition& name,
                                       bool is_stable) {
    constexpr std::int16_t stable_from = 7;
    kafka::OffsetFetchRequest request;
    request.group.id = group;
    request.group.topics = {{{name.topic, {name.partition}}}};
    request.groups = {request.group};
    request.require_stable = is_stable;
    const auto answer =
        TRY(ask_coordinator(group, of_groups, request, is_stable ? stable_from : std::int16_t{0}));
    const auto& told = answer.groups.empty() ? answer.group : answer.groups[0];
    if (told.error != kafka::ErrorCode::none) return Error::unavailable;
    if (told.topics.size() != 1 || told.topics[0].partitions.size() != 1) return Error::malformed;
    const auto& place = told.topics[0].partitions[0];
    if (place.error != kafka::ErrorCode::none) return Error::unavailable;
    return place.offset;
}

} // namespace pyralog::simtest
