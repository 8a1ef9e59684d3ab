#include "sim-tests/explorer.h"

#include "core/base/probe.h"
#include "core/wire/kafka/create_topics.h"
#include "core/wire/kafka/delete_topics.h"
#include "core/wire/kafka/describe_producers.h"
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/find_coordinator.h"
#include "core/wire/kafka/init_producer_id.h"
#include "core/wire/kafka/list_offsets.h"
#include "core/wire/kafka/offset_for_leader_epoch.h"
#include "core/wire/kafka/produce.h"
#include "core/wire/record_batch.h"
#include "server/groups/coordinator.h"

#include <array>

namespace pyralog::simtest {

namespace {

using kafka::ErrorCode;
using wire::Uuid;

constexpr std::string_view no_such_topic = "no-such-topic";
constexpr Duration explorer_patience = 2s;
constexpr Duration explorer_rest_most = 60ms;
constexpr std::int64_t nobodys_id = 1'000'000'007;
constexpr std::size_t large_batch_bytes = 1100 * 1024; // More than any run lets through.

class Explorer {
public:
    Explorer(Environment& env, std::vector<Address> bootstrap)
        : env_(env), random_(env.random.fork("explorer")), kafka_(env, std::move(bootstrap)) {}

    void run() {
        while (
            env_.fibers
                .sleep_until(env_.clock.now() + random_.between(Duration(1ms), explorer_rest_most))
                .ok()) {
            const Deadline deadline(env_.fibers, env_.clock.now() + explorer_patience);
            if (targets_.empty() || random_.chance(1, 8)) learn();
            if (targets_.empty()) continue;
            target_ = targets_[random_.below(targets_.size())];
            constexpr std::array questions{
                &Explorer::offsets, &Explorer::offsets,   &Explorer::epochs,  &Explorer::epochs,
                &Explorer::many,    &Explorer::many,      &Explorer::create,  &Explorer::remove,
                &Explorer::topics,  &Explorer::refused,   &Explorer::refused, &Explorer::refused,
                &Explorer::others,  &Explorer::producers,
            };
            const auto question = questions[random_.below(questions.size())];
            if (!(this->*question)().ok()) forget();
        }
    }

private:
    struct Target {
        TopicPartition name;
        KafkaClient::Partition known;
    };

    void learn() {
        (void)kafka_.refresh({}, false);
        targets_.clear();
        for (const auto& [name, known] : kafka_.partitions())
            if (known.leader >= 0) targets_.push_back({name, known});
    }
    void forget() {
        kafka_.drop(target_.known.leader);
        targets_.clear();
    }
    Result<KafkaConnection*> leader() { return kafka_.connection(target_.known.leader); }
    bool often(std::uint64_t percent) { return random_.chance(percent, 100); }

    // Now and then too old, or not there yet.
    std::int32_t epoch() {
        const std::int32_t known = target_.known.leader_epoch;
        if (often(30)) return -1;
        return static_cast<std::int32_t>(random_.between(std::max(known - 1, 0), known + 1));
    }

    Result<> offsets() {
        kafka::ListOffsetsRequest request;
        kafka::ListOffsetsRequest::Partition wanted;
        wanted.index = target_.name.partition;
        wanted.current_leader_epoch = epoch();
        const std::int64_t now_ms = env_.clock.wall().unix_ms;
        const std::array<std::int64_t, 6> times{
            kafka::ListOffsetsRequest::latest,
            kafka::ListOffsetsRequest::earliest,
            kafka::ListOffsetsRequest::max_timestamp,
            0,
            now_ms - random_.between(std::int64_t{0}, std::int64_t{10'000}),
            now_ms + 86'400'000,
        };
        wanted.timestamp = times[random_.below(times.size())];
        request.topics.push_back({target_.name.topic, {wanted}});
        const auto told = TRY(TRY(leader())->call(request));
        if (told.topics.size() != 1 || told.topics[0].partitions.size() != 1)
            return Error::malformed;
        const auto& found = told.topics[0].partitions[0];
        SOMETIMES(found.error == ErrorCode::none && found.offset > 0 && wanted.timestamp > 0,
                  "client/found-an-offset-by-time");
        SOMETIMES(found.error == ErrorCode::none && found.offset < 0, "client/no-offset-by-time");
        return {};
    }

    Result<> epochs() {
        kafka::OffsetForLeaderEpochRequest request;
        kafka::OffsetForLeaderEpochRequest::Partition wanted;
        wanted.index = target_.name.partition;
        wanted.current_leader_epoch = epoch();
        wanted.leader_epoch = static_cast<std::int32_t>(
            random_.between(0, std::max(target_.known.leader_epoch, 0) + 1));
        request.topics.push_back({target_.name.topic, {wanted}});
        (void)TRY(TRY(leader())->call(request));
        return {};
    }

    // All partitions in one fetch, whoever leads them, with little room.
    Result<> many() {
        kafka::FetchRequest request;
        request.max_wait_ms = static_cast<std::int32_t>(random_.between(0, 50));
        request.min_bytes = static_cast<std::int32_t>(random_.between(0, 4000));
        request.max_bytes = static_cast<std::int32_t>(random_.between(0, 20'000));
        for (const Target& target : targets_) {
            kafka::FetchRequest::Partition wanted;
            wanted.index = target.name.partition;
            // An offset that was there once, and may lie beyond what is committed now.
            const std::int64_t seen = ends_[target.name];
            wanted.fetch_offset = often(70)
                                      ? random_.between(std::int64_t{0}, seen)
                                      : seen + random_.between(std::int64_t{0}, std::int64_t{3});
            wanted.max_bytes = static_cast<std::int32_t>(random_.between(0, 10'000));
            if (often(20))
                wanted.last_fetched_epoch =
                    static_cast<std::int32_t>(random_.between(0, target.known.leader_epoch + 1));
            request.topics.push_back({target.name.topic, {wanted}});
        }
        SOMETIMES(request.topics.size() > 2, "client/fetches-many-partitions");
        const auto told = TRY(TRY(leader())->call(request));
        std::size_t with_records = 0;
        for (const auto& topic : told.topics) {
            for (const auto& partition : topic.partitions) {
                if (partition.error == ErrorCode::none)
                    ends_[{topic.name, partition.index}] = partition.high_watermark;
                if (partition.records && size_of(*partition.records) > 0) ++with_records;
            }
        }
        SOMETIMES(with_records > 1, "client/fetched-from-several-partitions");
        SOMETIMES(with_records == 0, "client/fetched-nothing");
        if (often(20)) request.topics.clear();
        SOMETIMES(request.topics.empty(), "client/fetches-from-nowhere");
        if (request.topics.empty()) (void)TRY(TRY(leader())->call(request));
        return {};
    }

    // Nothing that could be made.
    Result<> create() {
        kafka::CreateTopicsRequest request;
        request.timeout_ms = 1000;
        std::vector<kafka::CreateTopicsRequest::Topic> wishes{
            {"no spaces, please", 1, 1, {}, {}},
            {std::string(no_such_topic), 0, 1, {}, {}},
            {std::string(no_such_topic), 1, 99, {}, {}},
            {std::string(no_such_topic), 1, 1, {{0, {1}}}, {}},
            {std::string(no_such_topic), 1, 1, {}, {{"retention.ms", "-2"}}},
        };
        request.topics.push_back(wishes[random_.below(wishes.size())]);
        if (often(30)) request.topics.push_back(request.topics.back());
        const auto told = TRY(TRY(leader())->call(request));
        for (const auto& topic : told.topics)
            if (topic.error == ErrorCode::none) return Error::malformed;
        request.topics = {{target_.name.topic, 1, 1, {}, {}}};
        request.validate_only = true;
        (void)TRY(TRY(leader())->call(request));
        return {};
    }

    Result<> remove() {
        kafka::DeleteTopicsRequest request;
        request.timeout_ms = 1000;
        request.topic_names = {std::string(often(30) ? server::offsets_topic_name : no_such_topic)};
        Uuid nobody;
        nobody.bytes[0] = 1;
        request.topics.push_back({});
        request.topics.back().id = nobody;
        (void)TRY(TRY(leader())->call(request));
        return {};
    }

    Result<> topics() {
        kafka::MetadataRequest request;
        request.allow_auto_topic_creation = false;
        request.topics.emplace();
        request.topics->emplace_back().name = std::string(no_such_topic);
        request.topics->emplace_back().name = "no spaces, please";
        const auto asked = TRY(TRY(leader())->send(request, 4));
        (void)TRY(TRY(leader())->receive<kafka::MetadataResponse>(asked));
        request.topics->clear();
        const auto by_id = TRY(TRY(leader())->send(request, 12));
        const auto all = TRY(TRY(leader())->receive<kafka::MetadataResponse>(by_id));
        for (const Uuid& id : ids_) request.topics->emplace_back().id = id;
        request.topics->emplace_back().id.bytes[0] = 1;
        const auto again = TRY(TRY(leader())->send(request, 12));
        (void)TRY(TRY(leader())->receive<kafka::MetadataResponse>(again));
        request.topics.reset();
        const auto every = TRY(TRY(leader())->send(request, 12));
        ids_.clear();
        for (const auto& topic : TRY(TRY(leader())->receive<kafka::MetadataResponse>(every)).topics)
            ids_.push_back(topic.id);
        return {};
    }

    // A batch that must be refused; nothing is none at all.
    std::optional<Bytes> flawed_batch() {
        wire::RecordBatchBuilder builder;
        const bool large = often(2); // Seldom: on a slow link it takes all that there is.
        builder.add(std::nullopt, std::string(large ? large_batch_bytes : 20, 'x'));
        const std::uint64_t flaw = random_.below(9);
        const Bytes batch = builder.build();
        if (large) return batch;
        std::vector<std::byte> bytes(batch.view().begin(), batch.view().end());
        const auto parsed = wire::RecordBatch::parse(batch);
        wire::BatchHeader header = std::get<wire::RecordBatch>(parsed).header();
        constexpr std::size_t magic_at = 16;
        // Refused in all versions, for this or for that.
        const auto in_no_transaction = [&] {
            header.attributes |= wire::BatchHeader::transactional_bit;
            if (often(30)) return; // Of nobody, either.
            header.producer_id = nobodys_id;
            header.producer_epoch = 0;
            header.base_sequence = 0;
        };
        switch (flaw) {
        case 0:
            in_no_transaction();
            return wire::assemble(header, batch.slice(wire::BatchHeader::size,
                                                      batch.size() - wire::BatchHeader::size));
        case 1: bytes.back() ^= std::byte{1}; break;   // Not what the checksum says.
        case 2: bytes[magic_at] = std::byte{1}; break; // Of before Kafka 0.11.
        case 3: bytes.resize(30); break;
        case 4: return {};
        case 5: // Of zstd, which not all versions may say.
        case 6: // Of a compression that nobody knows.
            header.attributes = static_cast<std::int16_t>(flaw == 5 ? 4 : 7);
            if (flaw == 5) in_no_transaction();
            return wire::assemble(header, Bytes::copy_of(std::string(20, 'x')));
        case 7: // Records that are none, with a good checksum.
            return wire::assemble(header, Bytes::copy_of(std::string(20, '\x7f')));
        default: // Fewer records than it says.
            header.record_count += 5;
            header.last_offset_delta += 5;
            return wire::assemble(header, batch.slice(wire::BatchHeader::size,
                                                      batch.size() - wire::BatchHeader::size));
        }
        return Bytes::copy_of(std::span(std::as_const(bytes)));
    }

    Result<> refused() {
        kafka::ProduceRequest request;
        request.acks = static_cast<std::int16_t>(often(10) ? 0 : often(10) ? 3 : -1);
        request.timeout_ms = 500;
        const std::optional<Bytes> batch = flawed_batch();
        request.topics.push_back({target_.name.topic, {{target_.name.partition, batch}}});
        if (often(10))
            request.topics.push_back({std::string(server::offsets_topic_name), {{0, batch}}});
        if (often(10)) request.topics.push_back({std::string(no_such_topic), {{0, batch}}});
        KafkaConnection* connection = TRY(leader());
        const auto asked = TRY(connection->send(request, 3));
        if (request.acks == 0) { // It hangs up.
            (void)connection->read_frame();
            return Error::disconnected;
        }
        const auto told = TRY(connection->receive<kafka::ProduceResponse>(asked));
        for (const auto& topic : told.topics)
            for (const auto& partition : topic.partitions)
                SOMETIMES(partition.error != ErrorCode::none, "client/refused-as-it-should-be");
        return {};
    }

    // Ids that nobody will use, and whose ids are in use.
    Result<> producers() {
        if (often(50)) {
            kafka::InitProducerIdRequest init;
            if (often(30)) init.transactional_id = often(50) ? "" : "transaction";
            if (often(30)) init.producer_id = 5;
            if (often(30)) init.producer_epoch = 1;
            const auto told = TRY(TRY(leader())->call(init));
            SOMETIMES(told.error == ErrorCode::none, "client/given-an-id-for-nothing");
            return {};
        }
        kafka::DescribeProducersRequest request;
        request.topics.push_back({target_.name.topic, {target_.name.partition, 9999}});
        const auto told = TRY(TRY(leader())->call(request));
        for (const auto& topic : told.topics)
            for (const auto& partition : topic.partitions)
                SOMETIMES(!partition.producers.empty(), "client/sees-producers");
        return {};
    }

    // What is asked once in a life: coordinators, and versions of long ago or not there yet.
    Result<> others() {
        kafka::FindCoordinatorRequest request;
        request.coordinator_key = "group";
        request.coordinator_keys = {"group", "another"};
        (void)TRY(TRY(leader())->call(request));
        const std::uint64_t kind = random_.below(3);
        kafka::ProduceRequest old;
        old.acks = -1;
        old.topics.push_back({target_.name.topic, {{target_.name.partition, {}}}});
        kafka::RequestHeader header;
        header.key = kafka::ApiKey::produce;
        header.version = 0;
        header.correlation_id = 77;
        Bytes frame = joined(kafka::encode_frame(header, old));
        std::vector<std::byte> bytes(frame.view().begin(), frame.view().end());
        constexpr std::size_t key_at = 5, version_at = 7;
        if (kind > 0) bytes[version_at] = std::byte{99};
        if (kind == 2) bytes[key_at] = std::byte{18}; // ApiVersions.
        const auto connection = TRY(kafka_.open(target_.known.leader));
        TRY(connection->write({Bytes::copy_of(std::span(std::as_const(bytes)))}));
        (void)connection->read_frame(); // An answer, or an end.
        return {};
    }

    Environment& env_;
    Random random_;
    KafkaClient kafka_;
    std::vector<Target> targets_;
    Target target_;
    std::map<TopicPartition, std::int64_t> ends_;
    std::vector<Uuid> ids_;
};

} // namespace

void explore(Environment& env, std::vector<Address> bootstrap) {
    Explorer(env, std::move(bootstrap)).run();
}

} // namespace pyralog::simtest
