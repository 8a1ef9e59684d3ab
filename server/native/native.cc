#include "server/native/native.h"

#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/list_offsets.h"
#include "core/wire/kafka/metadata.h"
#include "core/wire/kafka/produce.h"
#include "server/dispatch.h"
#include "server/fetched_records.h"

#include <algorithm>
#include <limits>

namespace pyralog::server {

namespace {

using wire::kafka::ErrorCode;
using wire::kafka::FetchRequest;
using wire::kafka::ListOffsetsRequest;
using wire::kafka::MetadataRequest;
using wire::kafka::ProduceRequest;

// The newest that all of these have.
constexpr std::int16_t produce_version = 9;
constexpr std::int16_t fetch_version = 12;
constexpr std::int16_t list_offsets_version = 7;
constexpr std::int16_t metadata_version = 12;

// Of records that are unpacked: so many times what was asked for.
constexpr std::size_t unpacked_factor = 4;

std::string name_of(const Native::Partition& partition) {
    return partition.topic + '/' + std::to_string(partition.index);
}

std::int32_t ms_until(Time until, Time now) {
    using std::chrono::milliseconds;
    const std::int64_t left = std::chrono::ceil<milliseconds>(until - now).count();
    return static_cast<std::int32_t>(
        std::clamp<std::int64_t>(left, 0, std::numeric_limits<std::int32_t>::max()));
}

NativeFailure sealed(Term epoch) {
    return {NativeError::epoch_sealed, "epoch sealed: " + std::to_string(epoch.value), {}};
}

} // namespace

// In a frame, as it would come from a client: this takes copies of records, and spares a second way
// into each API.
template <class Request>
Result<typename Request::Response> Native::ask(const Request& request, std::int16_t version) {
    constexpr std::size_t size_of_size = sizeof(std::int32_t);
    const wire::kafka::RequestHeader header{Request::key, version, 1, "grpc"};
    const Bytes asked = joined(wire::kafka::encode_frame(header, request));
    const auto begun =
        TRY(start(node_, asked.slice(size_of_size, asked.size() - size_of_size), "grpc"));
    const Answered answered = TRY(begun->finish());
    const Bytes frame = joined(answered.frame);
    return wire::kafka::decode_response<typename Request::Response>(
        frame.slice(size_of_size, frame.size() - size_of_size), header);
}

NativeFailure Native::gone(Error error) const {
    if (error == Error::cancelled) return {NativeError::stopping, "this node is stopping", {}};
    return {NativeError::invalid_request, "the request makes no sense", {}};
}

// Who is asked instead is only somebody else who says that he leads: this node may not know yet
// that it has been elected itself.
NativeFailure Native::without_leader(const Partition& partition) const {
    const auto found = node_.replica(partition.topic, partition.index);
    const auto leader =
        found.partition ? node_.host.leader_of(found.partition->group) : std::nullopt;
    if (leader && *leader != node_.host.self())
        return {NativeError::not_leader,
                "not the leader, redirect to node " + std::to_string(leader->value), leader};
    return {NativeError::quorum_not_available,
            "quorum not available: " + name_of(partition) + " has no leader that can act now",
            {}};
}

NativeFailure Native::failure(ErrorCode code, const Partition& partition) const {
    switch (code) {
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::invalid_topic:
        return {NativeError::partition_not_found, "partition not found: " + name_of(partition), {}};
    case ErrorCode::not_leader_or_follower:
    case ErrorCode::leader_not_available: return without_leader(partition);
    case ErrorCode::not_enough_replicas:
        return {NativeError::quorum_not_available,
                "quorum not available: " + name_of(partition) +
                    " has taken in all that it may before a majority has stored it",
                {}};
    case ErrorCode::request_timed_out:
    case ErrorCode::not_enough_replicas_after_append:
        return {NativeError::unknown_outcome,
                "quorum not available: the records may be stored in " + name_of(partition) +
                    ", or not",
                {}};
    case ErrorCode::kafka_storage_error: // Of what is read it is the disk, else the room on it.
        return {NativeError::out_of_space,
                "out of space: the disk of the leader of " + name_of(partition) + " is full",
                {}};
    case ErrorCode::message_too_large:
        return {NativeError::invalid_request,
                "the records come to more than topic.message_bytes_max, which is " +
                    std::to_string(node_.config.topic.message_bytes_max) + " bytes",
                {}};
    case ErrorCode::invalid_record:
        return {NativeError::invalid_request,
                name_of(partition) + " is compacted: each record needs a key",
                {}};
    default:
        return {NativeError::invalid_request,
                name_of(partition) + ": " + std::string(wire::kafka::to_string(code)),
                {}};
    }
}

std::optional<Term> Native::led_in(const Partition& partition) const {
    const auto found = node_.replica(partition.topic, partition.index);
    if (!found.group || !found.group->leads()) return {};
    return found.group->term();
}

// As for any client that asks for a topic which is not there.
std::optional<NativeFailure> Native::make_topic(const Partition& partition) {
    if (node_.controller.catalogue().find(partition.topic)) return {};
    MetadataRequest request;
    request.topics = {{{}, partition.topic}};
    const auto told = ask(request, metadata_version);
    if (!told.ok()) return gone(told.error());
    CHECK(told.value().topics.size() == 1);
    const ErrorCode error = told.value().topics.front().error;
    if (error == ErrorCode::none) return {};
    return failure(error, partition);
}

NativeResult<Native::Written> Native::produce(const Partition& to,
                                              std::span<const NewRecord> records, Time until,
                                              std::optional<Term> epoch) {
    if (records.empty())
        return NativeFailure{NativeError::invalid_request, "there are no records", {}};
    if (auto wrong = make_topic(to)) return std::move(*wrong);
    wire::RecordBatchBuilder builder;
    const std::int64_t now = node_.env.clock.wall().unix_ms;
    for (const NewRecord& record : records)
        builder.add(record.key, record.value, record.timestamp_ms > 0 ? record.timestamp_ms : now,
                    record.headers);
    ProduceRequest request;
    request.acks = wire::kafka::acks_all;
    request.timeout_ms = ms_until(until, node_.env.clock.now());
    request.topics.push_back({to.topic, {{to.index, builder.build()}}});
    const std::optional<Term> term = led_in(to);
    if (epoch && term && *epoch < *term) return sealed(*epoch);
    if (epoch && epoch != term) return without_leader(to); // It is not known here yet.
    const auto answer = ask(request, produce_version);
    if (!answer.ok()) return gone(answer.error());
    const auto& told = answer.value().topics.at(0).partitions.at(0);
    if (told.error == ErrorCode::none) {
        CHECK(term);
        return Written{Offset(told.base_offset), *term};
    }
    // It was led here when the records came, so they were taken in, and then overruled.
    if (told.error == ErrorCode::not_leader_or_follower && term) return sealed(*term);
    return failure(told.error, to);
}

NativeResult<Native::Bounds> Native::bounds(const Partition& partition) {
    Bounds bounds;
    for (const auto& [time, into] : {std::pair{ListOffsetsRequest::earliest, &bounds.start},
                                     std::pair{ListOffsetsRequest::latest, &bounds.end}}) {
        ListOffsetsRequest request;
        request.isolation_level = wire::kafka::read_committed;
        request.topics.push_back({partition.topic, {{partition.index, -1, time}}});
        const auto answer = ask(request, list_offsets_version);
        if (!answer.ok()) return gone(answer.error());
        const auto& told = answer.value().topics.at(0).partitions.at(0);
        if (told.error != ErrorCode::none) return failure(told.error, partition);
        *into = Offset(told.offset);
    }
    return bounds;
}

NativeResult<Native::Fetched> Native::fetch(const Partition& from, Offset offset,
                                            std::size_t bytes_max, Time until) {
    FetchRequest request;
    request.max_wait_ms = ms_until(until, node_.env.clock.now());
    request.min_bytes = 1;
    request.max_bytes = static_cast<std::int32_t>(bytes_max);
    request.isolation_level = wire::kafka::read_committed;
    FetchRequest::Partition wanted;
    wanted.index = from.index;
    wanted.fetch_offset = offset.value;
    wanted.max_bytes = request.max_bytes;
    request.topics.push_back({from.topic, {wanted}});
    const auto answer = ask(request, fetch_version);
    if (!answer.ok()) return gone(answer.error());
    const auto& told = answer.value().topics.at(0).partitions.at(0);
    if (told.error == ErrorCode::offset_out_of_range)
        return NativeFailure{
            NativeError::invalid_offset, "invalid offset: " + std::to_string(offset.value), {}};
    if (told.error == ErrorCode::kafka_storage_error)
        return NativeFailure{NativeError::unreadable,
                             name_of(from) + " cannot be read at offset " +
                                 std::to_string(offset.value) + " by its leader now",
                             {}};
    if (told.error != ErrorCode::none) return failure(told.error, from);
    auto found = records_in(told, offset, unpacked_factor * bytes_max);
    if (!found.ok())
        return NativeFailure{NativeError::unreadable,
                             name_of(from) + " has a batch at offset " +
                                 std::to_string(offset.value) + " that cannot be unpacked",
                             {}};
    return Fetched{
        std::move(found.value().records), found.value().next,
        Offset(told.last_stable_offset >= 0 ? told.last_stable_offset : told.high_watermark)};
}

NativeResult<std::vector<Native::Led>> Native::partitions(const std::string& topic) {
    const Topic* const found = node_.controller.catalogue().find(topic);
    if (!found)
        return NativeFailure{NativeError::partition_not_found, "partition not found: " + topic, {}};
    std::vector<Led> all;
    for (const Topic::Partition& partition : found->partitions)
        all.push_back({node_.host.leader_of(partition.group), partition.replicas});
    return all;
}

} // namespace pyralog::server
