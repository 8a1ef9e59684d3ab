// Brokers in a simulated world, and a client that says what a test wants it to say: each API once
// well, and once for each way in which it may be used badly.
#include "server/broker.h"

#include "core/wire/kafka/api_versions.h"
#include "core/wire/kafka/create_topics.h"
#include "core/wire/kafka/delete_records.h"
#include "core/wire/kafka/delete_topics.h"
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/find_coordinator.h"
#include "core/wire/kafka/list_offsets.h"
#include "core/wire/kafka/metadata.h"
#include "core/wire/kafka/offset_for_leader_epoch.h"
#include "core/wire/kafka/produce.h"
#include "core/wire/record_batch.h"
#include "server/dispatch.h"
#include "server/test_cluster.h"

#include <malloc.h>

#include <algorithm>
#include <array>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;
using namespace pyralog::wire::kafka;
using wire::RecordBatchBuilder;

namespace {

// ---- Requests ----

Bytes batch_of(const std::vector<std::string>& values, std::int64_t first_timestamp = 1000) {
    RecordBatchBuilder builder;
    for (const std::string& value : values) builder.add({}, value, first_timestamp++);
    return builder.build();
}

ProduceRequest produce_of(const std::string& topic, std::optional<Bytes> records,
                          std::int16_t acks = -1, std::int32_t partition = 0) {
    ProduceRequest request;
    request.acks = acks;
    request.timeout_ms = 5000;
    request.topics.push_back({topic, {{partition, std::move(records)}}});
    return request;
}

ProduceResponse::Partition produce(Client& client, const ProduceRequest& request,
                                   std::int16_t version = 9) {
    return client.ask(request, version).topics.at(0).partitions.at(0);
}

FetchRequest fetch_of(const std::string& topic, std::int64_t offset) {
    FetchRequest request;
    request.min_bytes = 1;
    request.topics.push_back({topic, {}});
    FetchRequest::Partition partition;
    partition.fetch_offset = offset;
    partition.max_bytes = 1 << 20;
    request.topics.back().partitions.push_back(partition);
    return request;
}

FetchResponse::Partition fetch(Client& client, const FetchRequest& request,
                               std::int16_t version = 12) {
    return client.ask(request, version).topics.at(0).partitions.at(0);
}

std::vector<std::string> values_of(const FetchResponse::Partition& partition) {
    std::vector<std::string> values;
    Bytes rest = joined(partition.records.value_or(BytesChain()));
    while (!rest.empty()) {
        const auto taken = wire::RecordBatch::take_first(rest);
        const auto* batch = std::get_if<wire::RecordBatch>(&taken);
        REQUIRE(batch);
        for (const wire::Record& record : wire::records_of(*batch).value())
            values.emplace_back(record.value->text());
    }
    return values;
}

ListOffsetsResponse::Partition list_offsets(Client& client, const std::string& topic,
                                            std::int64_t timestamp, std::int32_t epoch = -1,
                                            std::int16_t version = 7) {
    ListOffsetsRequest request;
    request.topics.push_back({topic, {{0, epoch, timestamp}}});
    return client.ask(request, version).topics.at(0).partitions.at(0);
}

MetadataResponse metadata(Client& client, const std::vector<std::string>& names,
                          bool may_create = false, std::int16_t version = 12) {
    MetadataRequest request;
    request.allow_auto_topic_creation = may_create;
    request.topics.emplace();
    for (const std::string& name : names) request.topics->push_back({{}, name});
    return client.ask(request, version);
}

using Strings = std::vector<std::string>;

} // namespace

// ---- ApiVersions, and what is no request ----

TEST_CASE("a client is told which APIs there are, in each version of the question", "[server]") {
    Cluster cluster;
    Client client = cluster.connect();
    for (const std::int16_t version : {0, 1, 2, 3, 4}) {
        const ApiVersionsResponse told = client.ask(ApiVersionsRequest{"test", "1"}, version);
        CHECK(told.error == ErrorCode::none);
        CHECK(told.apis.size() == served_apis().size());
        for (const auto& api : told.apis) {
            CHECK(find_api(api.key));
            CHECK(api.version_min <= api.version_max);
        }
    }
}

// What is not announced as finalized is not used: so the levels of no feature may be told here.
TEST_CASE("a client is told of features that there are none of, in words that it can bear",
          "[server]") {
    Cluster cluster;
    Client client = cluster.connect();
    for (const std::int16_t version : {0, 2, 3, 4}) {
        const ApiVersionsResponse told = client.ask(ApiVersionsRequest{"test", "1"}, version);
        CHECK(told.finalized_features.empty());
        CHECK(told.finalized_features_epoch == (version >= 3 ? 0 : -1));
        CHECK(told.supported_features.size() == (version >= 4 ? 2 : 0));
        for (const auto& feature : told.supported_features) {
            CHECK((feature.name == "group.version" || feature.name == "transaction.version"));
            CHECK((feature.version_min == 0 && feature.version_max == 0));
        }
    }
}

TEST_CASE("ApiVersions in an unknown version is answered in version 0, and may be asked again",
          "[server]") {
    Cluster cluster;
    Client client = cluster.connect();
    // A header of the future: only its first fields can be known.
    const std::string request("\0\0\0\x0c\0\x12\0\x63\0\0\0\x07wxyz", 16);
    client.write({Bytes::copy_of(request)});
    const auto told =
        client.receive<ApiVersionsResponse>(RequestHeader{ApiKey::api_versions, 0, 7, {}});
    REQUIRE(told.ok());
    CHECK(static_cast<int>(told.value().error) == 35);
    REQUIRE(told.value().apis.size() == 1);
    CHECK(told.value().apis[0].key == ApiKey::api_versions);
    CHECK(told.value().apis[0].version_max == 4);
    CHECK(client.ask(ApiVersionsRequest(), 4).error == ErrorCode::none);
}

TEST_CASE("a connection is closed for what is no request of ours", "[server]") {
    Cluster cluster;
    const auto closes = [&](std::string_view bytes) {
        Client client = cluster.connect();
        client.write({Bytes::copy_of(bytes)});
        return client.is_closed();
    };
    using namespace std::string_view_literals;
    CHECK(closes("\x7f\xff\xff\xff"sv));                         // 2 GiB are announced.
    CHECK(closes("\xff\xff\xff\xff"sv));                         // Less than nothing.
    CHECK(closes("\0\0\0\0"sv));                                 // Nothing.
    CHECK(closes("\0\0\0\x04\0\x12\0\0"sv));                     // Half a header.
    CHECK(closes("\0\0\0\x0a\x03\xe7\0\0\0\0\0\x01\xff\xff"sv)); // API 999.
    CHECK(closes("\0\0\0\x0a\0\0\0\x63\0\0\0\x01\xff\xff"sv));   // Produce, version 99.
    CHECK(closes("\0\0\0\x0a\0\x01\0\0\0\0\0\x01\xff\xff"sv));   // Fetch, version 0.
    CHECK(closes("\0\0\0\x0a\0\x03\0\x05\0\0\0\x01\xff\xff"sv)); // Metadata without a body.
    CHECK(closes("\0\0\0\x0b\0\x12\0\0\0\0\0\x01\xff\xff\0"sv)); // A byte too many.
    CHECK(closes("GET / HTTP/1.1\r\nHost: node1\r\n\r\n"sv));
    Client client = cluster.connect();
    CHECK(client.ask(ApiVersionsRequest(), 0).error == ErrorCode::none);
}

TEST_CASE("a request of which only the beginning comes takes no more memory than that",
          "[server]") {
    Cluster cluster;
    std::vector<Client> clients;
    // Of what malloc has mapped for large blocks. A sanitizer's allocator is not seen here.
    const std::size_t before = mallinfo2().hblkhd;
    for (int i = 0; i < 4; ++i) {
        clients.push_back(cluster.connect());
        clients.back().write({Bytes::copy_of(std::string("\x03\x20\0\0", 4) + "0123456789")});
    }
    cluster.world.run_for(1s);
    CHECK(cluster.status(NodeId(1)).state == Status::State::ready);
    CHECK(mallinfo2().hblkhd < before + 8_MiB); // And not 200.
    CHECK(!clients.back().is_closed(1s));
}

TEST_CASE("a connection on which nothing comes is closed after a while", "[server]") {
    Cluster cluster(1, [](Config& config) { config.kafka.connection_idle_max = 60s; });
    Client client = cluster.connect();
    CHECK(!client.is_closed(50s));
    CHECK(client.ask(ApiVersionsRequest(), 0).error == ErrorCode::none);
    CHECK(!client.is_closed(50s));
    CHECK(client.is_closed(20s));
}

TEST_CASE("a client that waits for an answer is not idle", "[server]") {
    Cluster cluster(1, [](Config& config) { config.kafka.connection_idle_max = 5s; });
    cluster.make_topic("log");
    Client client = cluster.connect();
    FetchRequest patient = fetch_of("log", 0);
    patient.max_wait_ms = 18'000;
    CHECK(fetch(client, patient).error == ErrorCode::none);
    CHECK(!client.is_closed(4s)); // From the answer on.
    CHECK(client.is_closed(2s));
}

TEST_CASE("a client that stops in the middle of a request is not waited for", "[server]") {
    Cluster cluster(1, [](Config& config) {
        config.kafka.connection_idle_max = 60s;
        config.kafka.stall_max = 5s;
    });
    Client client = cluster.connect();
    const Bytes request = joined(encode_request(MetadataRequest(), 12, 1));
    client.write({request.slice(0, request.size() / 2)});
    CHECK(!client.is_closed(4s));
    CHECK(client.is_closed(2s));
    // Between two requests there is time.
    Client other = cluster.connect();
    CHECK(other.ask(ApiVersionsRequest(), 0).error == ErrorCode::none);
    CHECK(!other.is_closed(20s));
}

TEST_CASE("clients that read no answer keep others waiting for as long as they may, and no longer",
          "[server]") {
    constexpr std::size_t batch_bytes = 600'000; // More than a stream takes that nobody reads.
    Cluster cluster(1, [](Config& config) {
        config.kafka.answers_bytes_max = 1_MiB;
        config.topic.message_bytes_max = 1_MiB;
        config.kafka.stall_max = 5s;
    });
    cluster.make_topic("log");
    Client client = cluster.connect();
    const Bytes batch = batch_of({std::string(batch_bytes, 'x')});
    CHECK(produce(client, produce_of("log", batch)).error == ErrorCode::none);
    // The second takes more than there is, as one may; for a third there is nothing.
    std::vector<Client> deaf;
    for (int i = 0; i < 2; ++i) {
        deaf.push_back(cluster.connect());
        deaf.back().send(fetch_of("log", 0), 12);
        cluster.world.run_for(100ms);
    }
    const Duration began = cluster.world.now();
    CHECK(values_of(fetch(client, fetch_of("log", 0))).size() == 1);
    const Duration took = cluster.world.now() - began;
    CHECK(took > 4s);
    CHECK(took < 6s);
    // Where nothing is to be had, nothing is waited for.
    const Duration empty = cluster.world.now();
    CHECK(values_of(fetch(client, fetch_of("log", 1))).empty());
    CHECK(cluster.world.now() - empty < soon);
}

TEST_CASE("requests of several clients come through where there is room for less than one",
          "[server]") {
    Cluster cluster(1, [](Config& config) { config.kafka.requests_bytes_max = 64_KiB; });
    cluster.make_topic("log");
    const Bytes batch = batch_of({std::string(900'000, 'x')});
    const Bytes request = joined(encode_request(produce_of("log", batch), 9, 1));
    // Each has sent a part of its request, and so holds memory that the others wait for.
    std::vector<Client> clients;
    for (int i = 0; i < 4; ++i) {
        clients.push_back(cluster.connect());
        clients.back().write({request.slice(0, 30'000)});
    }
    const std::size_t rest = request.size() - 30'000;
    for (Client& client : clients) client.write({request.slice(30'000, rest)});
    for (Client& client : clients) CHECK(client.read_frame().ok());
}

TEST_CASE("there are no more clients than may be", "[server]") {
    Cluster cluster(1, [](Config& config) { config.kafka.connections_max = 2; });
    Client first = cluster.connect();
    Client second = cluster.connect();
    CHECK(second.ask(ApiVersionsRequest(), 0).error == ErrorCode::none);
    Client third = cluster.connect();
    CHECK(third.is_closed());
    CHECK(first.ask(ApiVersionsRequest(), 0).error == ErrorCode::none);
}

TEST_CASE("answers come in the order of their requests", "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    Client client = cluster.connect();
    SECTION("whichever is done first") {
        FetchRequest slow = fetch_of("log", 0);
        slow.max_wait_ms = 2000;
        const RequestHeader first = client.send(slow, 12);
        const RequestHeader second = client.send(MetadataRequest(), 12);
        const RequestHeader third = client.send(ApiVersionsRequest(), 3);
        CHECK(client.receive<FetchResponse>(first).ok());
        CHECK(client.receive<MetadataResponse>(second).ok());
        CHECK(client.receive<ApiVersionsResponse>(third).ok());
    }
    SECTION("and batches take their places in it") {
        std::vector<RequestHeader> asked;
        for (int i = 0; i < 20; ++i)
            asked.push_back(client.send(produce_of("log", batch_of({std::to_string(i)})), 9));
        for (int i = 0; i < 20; ++i) {
            const auto answer = client.receive<ProduceResponse>(asked[static_cast<std::size_t>(i)]);
            REQUIRE(answer.ok());
            CHECK(answer.value().topics[0].partitions[0].base_offset == i);
        }
    }
    SECTION("though there are more of them than are taken in at once") {
        std::vector<RequestHeader> asked;
        for (int i = 0; i < 300; ++i) asked.push_back(client.send(ApiVersionsRequest(), 0));
        for (const RequestHeader& header : asked)
            CHECK(client.receive<ApiVersionsResponse>(header).ok());
    }
}

// ---- Produce ----

TEST_CASE("what is produced is given its offsets and can be fetched", "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    Client client = cluster.connect();
    for (const std::int16_t version : {3, 4, 5, 6, 7, 8, 9}) {
        INFO("version " << version);
        const auto stored = produce(client, produce_of("log", batch_of({"a", "b"})), version);
        CHECK(stored.error == ErrorCode::none);
        CHECK(stored.base_offset == 2 * (version - 3));
    }
    for (const std::int16_t version : {4, 5, 6, 7, 8, 9, 10, 11, 12}) {
        INFO("version " << version);
        const auto found = fetch(client, fetch_of("log", 12), version);
        CHECK(found.error == ErrorCode::none);
        CHECK(found.high_watermark == 14);
        CHECK(values_of(found) == Strings{"a", "b"});
    }
}

TEST_CASE("acks say what is waited for", "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    Client client = cluster.connect();
    CHECK(produce(client, produce_of("log", batch_of({"all"}), -1)).base_offset == 0);
    CHECK(produce(client, produce_of("log", batch_of({"one"}), 1)).base_offset == 1);
    // To none there is no answer: the next one that comes is that of another request.
    client.send(produce_of("log", batch_of({"none"}), 0), 9);
    CHECK(client.ask(ApiVersionsRequest(), 0).error == ErrorCode::none);
    // It is stored before whatever comes behind it; until then nothing says that it is.
    CHECK(produce(client, produce_of("log", batch_of({"last"}), -1)).base_offset == 3);
    FetchRequest rest = fetch_of("log", 0);
    CHECK(values_of(fetch(client, rest)) == Strings{"all", "one", "none", "last"});
    for (const std::int16_t acks : {2, -2, 100}) {
        const auto refused = produce(client, produce_of("log", batch_of({"x"}), acks));
        CHECK(refused.error == ErrorCode::invalid_required_acks);
    }
}

TEST_CASE("a disk that is nearly full takes no records until there is room again", "[server]") {
    Cluster cluster(1, [](Config& config) {
        config.disk.free_bytes_min = 1_MiB;
        config.disk.reserve_bytes = 256_KiB;
        config.journal.file_bytes = 64_KiB;
    });
    cluster.make_topic("log");
    Client client = cluster.connect();
    sim::Medium& disk = cluster.world.disk(NodeId(1));
    const auto says = [&] { return produce(client, produce_of("log", batch_of({"a"}))).error; };
    CHECK(says() == ErrorCode::none);
    cluster.world.run_for(5s);
    CHECK(disk.content("reserve").value_or(Bytes()).size() == 256_KiB);
    const std::uint64_t used = disk.used();

    disk.set_quota(used + 1_MiB - 1);
    cluster.world.run_for(2s);
    CHECK(says() == ErrorCode::kafka_storage_error);
    CHECK(cluster.status(NodeId(1)).disk_is_short);
    CHECK(cluster.status(NodeId(1)).disk_free_bytes == 1_MiB - 1);
    CHECK(values_of(fetch(client, fetch_of("log", 0))) == Strings{"a"});
    CHECK(disk.content("reserve").has_value());

    SECTION("a little more than the limit is not enough") {
        disk.set_quota(used + 1_MiB + 1);
        cluster.world.run_for(2s);
        CHECK(says() == ErrorCode::kafka_storage_error);
        disk.set_quota(used + 2_MiB);
        cluster.world.run_for(2s);
        CHECK(says() == ErrorCode::none);
        CHECK(disk.content("reserve").has_value());
    }
    SECTION("with none at all topics can be deleted, and a node started") {
        disk.set_quota(used);
        cluster.world.run_for(2s);
        CHECK(!disk.content("reserve").has_value());
        cluster.restart(NodeId(1));
        Client later = cluster.connect();
        const auto says_now = [&](const std::string& topic) {
            return produce(later, produce_of(topic, batch_of({"b"}))).error;
        };
        CHECK(says_now("log") == ErrorCode::kafka_storage_error);
        DeleteTopicsRequest request;
        request.timeout_ms = 5000;
        request.topics.push_back({"log", {}});
        CHECK(later.ask(request, 6).topics.at(0).error == ErrorCode::none);

        disk.set_quota({});
        cluster.world.run_for(5s);
        CHECK(disk.content("reserve").value_or(Bytes()).size() == 256_KiB);
        cluster.make_topic("next");
        CHECK(says_now("next") == ErrorCode::none);
    }
}

TEST_CASE("whoever asks for no answer is told of a failure by the end of the connection",
          "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    CHECK(cluster.connect().is_refused(produce_of("none", batch_of({"a"}), 0), 9));
    CHECK(cluster.connect().is_refused(produce_of("log", batch_of({"a"}), 0), 2));
    Client client = cluster.connect();
    CHECK(list_offsets(client, "log", ListOffsetsRequest::latest).offset == 0);
}

TEST_CASE("produce requests of old versions are refused, and the connection goes on", "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    Client client = cluster.connect();
    for (const std::int16_t version : {0, 1, 2}) {
        const auto refused = produce(client, produce_of("log", batch_of({"a"})), version);
        CHECK(static_cast<int>(refused.error) == 35);
    }
    CHECK(produce(client, produce_of("log", batch_of({"a"}))).base_offset == 0);
}

TEST_CASE("a batch that is not sound is refused with the code for its flaw", "[server]") {
    Cluster cluster(1, [](Config& config) { config.topic.message_bytes_max = 4_KiB; });
    cluster.make_topic("log");
    Client client = cluster.connect();
    const auto refused = [&](std::optional<Bytes> records, std::int16_t version = 9) {
        return produce(client, produce_of("log", std::move(records)), version).error;
    };
    const Bytes good = batch_of({"abc"});
    const auto spoiled = [&](std::size_t at, char value) {
        std::string bytes(good.text());
        bytes[at] = value;
        return Bytes::copy_of(bytes);
    };
    const auto assembled = [](auto change, std::string_view records) {
        wire::BatchHeader header;
        header.record_count = 1;
        change(header);
        return wire::assemble(header, Bytes::copy_of(records));
    };
    const auto nothing = [](wire::BatchHeader&) {};
    CHECK(refused(spoiled(good.size() - 2, '\x55')) == ErrorCode::corrupt_message);
    CHECK(refused(spoiled(17, '\x55')) == ErrorCode::corrupt_message); // The sum itself.
    CHECK(refused(good.slice(0, good.size() - 1)) == ErrorCode::corrupt_message);
    CHECK(refused(spoiled(16, 1)) == ErrorCode::unsupported_for_message_format);
    CHECK(refused(joined({good, good})) == ErrorCode::invalid_record);
    CHECK(refused(std::nullopt) == ErrorCode::invalid_record);
    CHECK(refused(assembled(nothing, "xx")) == ErrorCode::invalid_record);
    CHECK(refused(batch_of({std::string(5000, 'x')})) == ErrorCode::message_too_large);
    CHECK(refused(assembled([](wire::BatchHeader& h) { h.attributes = 5; }, "xx")) ==
          ErrorCode::unsupported_compression_type);
    const Bytes zstd = assembled([](wire::BatchHeader& h) { h.attributes = 4; }, "xx");
    CHECK(refused(zstd, 6) == ErrorCode::unsupported_compression_type);
    // Of nobody, and of somebody who has begun none.
    wire::RecordBatchBuilder in_transaction;
    in_transaction.mark(wire::BatchHeader::transactional_bit).add("key", "value");
    CHECK(refused(in_transaction.build()) == ErrorCode::invalid_txn_state);
    in_transaction.from(7, 0, 0);
    CHECK(refused(in_transaction.build()) == ErrorCode::invalid_txn_state);
    CHECK(list_offsets(client, "log", ListOffsetsRequest::latest).offset == 0);
    CHECK(refused(good) == ErrorCode::none);
}

TEST_CASE("a partition that is not there takes no batch, and one beside it does", "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    Client client = cluster.connect();
    CHECK(produce(client, produce_of("none", batch_of({"a"}))).error ==
          ErrorCode::unknown_topic_or_partition);
    ProduceRequest request = produce_of("log", batch_of({"a"}), -1, 1);
    request.topics[0].partitions.push_back({0, batch_of({"b"})});
    request.topics[0].partitions.push_back({-1, batch_of({"c"})});
    const auto answer = client.ask(request, 9).topics.at(0).partitions;
    REQUIRE(answer.size() == 3);
    CHECK(answer[0].error == ErrorCode::unknown_topic_or_partition);
    CHECK(answer[1].error == ErrorCode::none);
    CHECK(answer[2].error == ErrorCode::unknown_topic_or_partition);
    CHECK(values_of(fetch(client, fetch_of("log", 0))) == Strings{"b"});
}

// ---- Fetch ----

TEST_CASE("a fetch of nothing waits its time and keeps nobody busy", "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    Client idle = cluster.connect();
    FetchRequest nothing;
    nothing.min_bytes = 1;
    nothing.max_wait_ms = 500;
    const RequestHeader asked = idle.send(nothing, 12);
    Client client = cluster.connect(); // The node has time for others meanwhile.
    CHECK(produce(client, produce_of("log", batch_of({"a"}))).error == ErrorCode::none);
    const auto answer = idle.receive<FetchResponse>(asked);
    REQUIRE(answer.ok());
    CHECK(answer.value().topics.empty());
}

TEST_CASE("a fetch that waits is woken by a produce", "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    Client consumer = cluster.connect();
    Client producer = cluster.connect();
    FetchRequest request = fetch_of("log", 0);
    request.max_wait_ms = 30'000;
    const RequestHeader asked = consumer.send(request, 12);
    CHECK(consumer.read_frame(2s).error() == Error::timed_out);
    CHECK(produce(producer, produce_of("log", batch_of({"a"}))).base_offset == 0);
    const Duration produced = cluster.world.now();
    const auto answer = consumer.receive<FetchResponse>(asked);
    REQUIRE(answer.ok());
    CHECK(values_of(answer.value().topics[0].partitions[0]) == Strings{"a"});
    CHECK(cluster.world.now() - produced < soon);
}

TEST_CASE("a fetch that finds too little waits for as long as it says, and no longer", "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    Client client = cluster.connect();
    CHECK(produce(client, produce_of("log", batch_of({"a"}))).error == ErrorCode::none);
    const auto took = [&](const FetchRequest& request) {
        const Duration began = cluster.world.now();
        CHECK(fetch(client, request).error == ErrorCode::none);
        return cluster.world.now() - began;
    };
    FetchRequest request = fetch_of("log", 1); // Just behind the end.
    CHECK(took(request) < soon);
    request.max_wait_ms = 2000;
    CHECK(took(request) >= 2s);
    CHECK(took(request) < 2s + soon);
    request = fetch_of("log", 0);
    request.max_wait_ms = 2000;
    CHECK(took(request) < soon);
    request.min_bytes = 10'000;
    CHECK(took(request) >= 2s);
    request.min_bytes = -5;
    CHECK(took(request) < soon);
    request.max_wait_ms = -1;
    request.min_bytes = 10'000;
    CHECK(took(request) < soon);
}

TEST_CASE("the first batch is returned even if it is larger than what may be", "[server]") {
    Cluster cluster;
    cluster.make_topic("log", 2);
    Client client = cluster.connect();
    for (const std::int32_t partition : {0, 1})
        for (int i = 0; i < 2; ++i)
            CHECK(produce(client,
                          produce_of("log", batch_of({std::string(1000, 'x')}), -1, partition))
                      .error == ErrorCode::none);
    FetchRequest request = fetch_of("log", 0);
    request.topics[0].partitions.push_back(request.topics[0].partitions[0]);
    request.topics[0].partitions[1].index = 1;
    const auto counts = [&] {
        const auto answer = client.ask(request, 12).topics.at(0).partitions;
        return std::pair(values_of(answer.at(0)).size(), values_of(answer.at(1)).size());
    };
    CHECK(counts() == std::pair<std::size_t, std::size_t>(2, 2));
    request.max_bytes = 10;
    CHECK(counts() == std::pair<std::size_t, std::size_t>(1, 0));
    request.max_bytes = 0;
    CHECK(counts() == std::pair<std::size_t, std::size_t>(1, 0));
    request.max_bytes = 1 << 20;
    request.topics[0].partitions[0].max_bytes = 10;
    CHECK(counts() == std::pair<std::size_t, std::size_t>(1, 2));
    request.topics[0].partitions[1].max_bytes = 10; // Its batch is none of the first.
    CHECK(counts() == std::pair<std::size_t, std::size_t>(1, 0));
}

TEST_CASE("a fetch from beyond the log is out of range, and one in a batch gets the batch",
          "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    Client client = cluster.connect();
    CHECK(produce(client, produce_of("log", batch_of({"a", "b", "c"}))).error == ErrorCode::none);
    CHECK(fetch(client, fetch_of("log", 4)).error == ErrorCode::offset_out_of_range);
    CHECK(fetch(client, fetch_of("log", -1)).error == ErrorCode::offset_out_of_range);
    CHECK(fetch(client, fetch_of("log", INT64_MAX)).error == ErrorCode::offset_out_of_range);
    CHECK(fetch(client, fetch_of("log", 3)).error == ErrorCode::none);
    CHECK(values_of(fetch(client, fetch_of("log", 2))) == Strings{"a", "b", "c"});
    const auto unknown = fetch(client, fetch_of("none", 0));
    CHECK(unknown.error == ErrorCode::unknown_topic_or_partition);
    CHECK(unknown.high_watermark == -1);
    FetchRequest request = fetch_of("log", 0);
    request.topics[0].partitions[0].index = 1;
    CHECK(fetch(client, request).error == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("a fetch that waits is answered when its topic is deleted", "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    Client consumer = cluster.connect();
    Client other = cluster.connect();
    FetchRequest request = fetch_of("log", 0);
    request.max_wait_ms = 30'000;
    const RequestHeader asked = consumer.send(request, 12);
    cluster.world.run_for(100ms);
    DeleteTopicsRequest removal;
    removal.timeout_ms = 5000;
    removal.topics.push_back({"log", {}});
    CHECK(other.ask(removal, 6).topics.at(0).error == ErrorCode::none);
    const auto answer = consumer.receive<FetchResponse>(asked, 1s);
    REQUIRE(answer.ok());
    CHECK(answer.value().topics[0].partitions[0].error == ErrorCode::unknown_topic_or_partition);
}

// ---- Epochs ----

TEST_CASE("whoever names an old epoch is fenced, and who names a future one is unknown",
          "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    const auto epoch_now = [&] {
        Client client = cluster.connect();
        return metadata(client, {"log"}).topics.at(0).partitions.at(0).leader_epoch;
    };
    const std::int32_t old_epoch = epoch_now();
    {
        Client client = cluster.connect();
        CHECK(produce(client, produce_of("log", batch_of({"a", "b"}))).error == ErrorCode::none);
    }
    cluster.restart(NodeId(1));
    cluster.leader_of("log");
    const std::int32_t epoch = epoch_now();
    CHECK(epoch > old_epoch);
    Client client = cluster.connect();
    CHECK(produce(client, produce_of("log", batch_of({"c"}))).base_offset == 2);

    const auto fetched = [&](std::int32_t named) {
        FetchRequest request = fetch_of("log", 0);
        request.topics[0].partitions[0].current_leader_epoch = named;
        return fetch(client, request).error;
    };
    const auto listed = [&](std::int32_t named) {
        return list_offsets(client, "log", ListOffsetsRequest::earliest, named).error;
    };
    // By one who has read up to an offset, and the last record of that of an epoch.
    const auto diverging = [&](std::int64_t offset, std::int32_t last) {
        FetchRequest request = fetch_of("log", offset);
        request.topics[0].partitions[0].last_fetched_epoch = last;
        const auto told = fetch(client, request);
        if (told.diverging_epoch.epoch >= 0) CHECK(size_of(*told.records) == 0);
        return std::pair(told.error, told.diverging_epoch.end_offset);
    };
    CHECK(diverging(2, old_epoch) == std::pair(ErrorCode::none, std::int64_t(-1)));
    CHECK(diverging(3, old_epoch) == std::pair(ErrorCode::none, std::int64_t(2)));
    CHECK(diverging(3, epoch) == std::pair(ErrorCode::none, std::int64_t(-1)));
    CHECK(diverging(1, old_epoch - 1).first == ErrorCode::offset_out_of_range);
    CHECK(fetched(epoch) == ErrorCode::none);
    CHECK(fetched(old_epoch) == ErrorCode::fenced_leader_epoch);
    CHECK(fetched(epoch + 1) == ErrorCode::unknown_leader_epoch);
    CHECK(listed(epoch) == ErrorCode::none);
    CHECK(listed(old_epoch) == ErrorCode::fenced_leader_epoch);
    CHECK(listed(epoch + 1) == ErrorCode::unknown_leader_epoch);

    const auto end_of = [&](std::int32_t asked, std::int32_t named = -1,
                            const std::string& topic = "log") {
        OffsetForLeaderEpochRequest request;
        request.topics.push_back({topic, {{0, named, asked}}});
        return client.ask(request, 4).topics.at(0).partitions.at(0);
    };
    CHECK(end_of(old_epoch).leader_epoch == old_epoch);
    CHECK(end_of(old_epoch).end_offset == 2);
    CHECK(end_of(epoch).leader_epoch == epoch);
    CHECK(end_of(epoch).end_offset == 3);
    CHECK(end_of(epoch + 1).end_offset == -1);
    CHECK(end_of(epoch + 1).leader_epoch == -1);
    CHECK(end_of(old_epoch - 1).end_offset == -1);
    CHECK(end_of(epoch, old_epoch).error == ErrorCode::fenced_leader_epoch);
    CHECK(end_of(epoch, epoch + 1).error == ErrorCode::unknown_leader_epoch);
    CHECK(end_of(epoch, -1, "none").error == ErrorCode::unknown_topic_or_partition);
}

// ---- ListOffsets ----

TEST_CASE("offsets are found by time, at the beginning and at the end", "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    Client client = cluster.connect();
    CHECK(list_offsets(client, "log", ListOffsetsRequest::latest).offset == 0);
    CHECK(list_offsets(client, "log", 0).offset == -1);
    CHECK(produce(client, produce_of("log", batch_of({"a", "b", "c"}, 1000))).base_offset == 0);
    CHECK(produce(client, produce_of("log", batch_of({"d", "e"}, 2000))).base_offset == 3);
    for (const std::int16_t version : {1, 2, 3, 4, 5, 6, 7}) {
        INFO("version " << version);
        const auto at = [&](std::int64_t time) {
            const auto found = list_offsets(client, "log", time, -1, version);
            CHECK(found.error == ErrorCode::none);
            return std::pair(found.offset, found.timestamp);
        };
        using Found = std::pair<std::int64_t, std::int64_t>;
        CHECK(at(ListOffsetsRequest::earliest) == Found(0, -1));
        CHECK(at(ListOffsetsRequest::latest) == Found(5, -1));
        CHECK(at(0) == Found(0, 1000));
        CHECK(at(1001) == Found(1, 1001));
        CHECK(at(1500) == Found(3, 2000));
        CHECK(at(2001) == Found(4, 2001));
        CHECK(at(2002) == Found(-1, -1)); // No such record is no error.
    }
    CHECK(list_offsets(client, "log", ListOffsetsRequest::max_timestamp).error ==
          ErrorCode::unsupported_for_message_format);
    CHECK(list_offsets(client, "none", 0).error == ErrorCode::unknown_topic_or_partition);
}

// ---- DeleteRecords, and what is deleted for its age or its size ----

namespace {

DeleteRecordsResponse::Partition delete_records(Client& client, const std::string& topic,
                                                std::int64_t offset, std::int16_t version = 2) {
    DeleteRecordsRequest request;
    request.timeout_ms = 5000;
    request.topics.push_back({topic, {{0, offset}}});
    return client.ask(request, version).topics.at(0).partitions.at(0);
}

std::int64_t earliest(Client& client, const std::string& topic) {
    return list_offsets(client, topic, ListOffsetsRequest::earliest).offset;
}

// As these are set, the values are kept in segments of few batches.
void make_topic(Cluster& cluster, const std::string& name,
                const std::vector<CreateTopicsRequest::Config>& configs) {
    Client client = cluster.connect();
    CreateTopicsRequest request;
    request.topics.push_back({name, 1, -1, {}, configs});
    REQUIRE(client.ask(request, 7).topics.at(0).error == ErrorCode::none);
    cluster.leader_of(name);
}

} // namespace

TEST_CASE("records are deleted up to where a client says, and every answer tells from where on",
          "[server]") {
    Cluster cluster(3);
    cluster.make_topic("log");
    const NodeId leader = cluster.leader_of("log");
    Client client = cluster.connect(leader);
    for (const Strings& batch : {Strings{"a", "b", "c"}, {"d", "e"}, {"f"}})
        REQUIRE(produce(client, produce_of("log", batch_of(batch))).error == ErrorCode::none);

    CHECK(delete_records(client, "log", 7).error == ErrorCode::offset_out_of_range);
    CHECK(delete_records(client, "log", -2).error == ErrorCode::offset_out_of_range);
    CHECK(delete_records(client, "none", 0).error == ErrorCode::unknown_topic_or_partition);
    CHECK(delete_records(client, "log", 0).low_watermark == 0);
    for (const std::int16_t version : {0, 1, 2}) {
        INFO("version " << version);
        const auto deleted = delete_records(client, "log", 4, version);
        CHECK(deleted.error == ErrorCode::none);
        CHECK(deleted.low_watermark == 4);
    }
    CHECK(delete_records(client, "log", 2).low_watermark == 4); // Long gone.
    for (const NodeId node : cluster.nodes) {
        if (node == leader) continue;
        Client other = cluster.connect(node);
        CHECK(delete_records(other, "log", 5).error == ErrorCode::not_leader_or_follower);
    }
    CHECK(earliest(client, "log") == 4);
    const auto gone = fetch(client, fetch_of("log", 3));
    CHECK(gone.error == ErrorCode::offset_out_of_range);
    CHECK(gone.log_start_offset == 4);
    const auto left = fetch(client, fetch_of("log", 4));
    CHECK(left.log_start_offset == 4);
    CHECK(values_of(left) == Strings{"d", "e", "f"}); // The batch is whole; the client skips.
    CHECK(produce(client, produce_of("log", batch_of({"g"}))).log_start_offset == 4);

    // All there is, and whoever leads next knows it.
    CHECK(delete_records(client, "log", DeleteRecordsRequest::all).low_watermark == 7);
    cluster.world.kill(leader);
    const NodeId survivor = leader == NodeId(1) ? NodeId(2) : NodeId(1);
    std::int64_t told = -1;
    CHECK(cluster.until([&] { return cluster.status(survivor).state == Status::State::ready; }));
    for (int i = 0; i < 100 && told != 7; ++i) {
        for (const NodeId node : cluster.nodes) {
            if (node == leader) continue;
            Client next = cluster.connect(node);
            const auto found = list_offsets(next, "log", ListOffsetsRequest::earliest);
            if (found.error == ErrorCode::none) told = found.offset;
            next.hang_up();
        }
        cluster.world.run_for(100ms);
    }
    CHECK(told == 7);
}

TEST_CASE("a time is not found in what was deleted of its batch", "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    Client client = cluster.connect();
    // The last one of the first batch is early.
    RecordBatchBuilder builder;
    for (const std::int64_t time : {5000, 5001, 1000}) builder.add({}, "x", time);
    REQUIRE(produce(client, produce_of("log", builder.build())).error == ErrorCode::none);
    REQUIRE(produce(client, produce_of("log", batch_of({"y"}, 6000))).error == ErrorCode::none);
    CHECK(list_offsets(client, "log", 5001).offset == 1);
    REQUIRE(delete_records(client, "log", 2).low_watermark == 2);
    CHECK(list_offsets(client, "log", 5001).offset == 3);
    CHECK(list_offsets(client, "log", 500).offset == 2);
}

TEST_CASE("records go when they are too old, and stay while they are not", "[server]") {
    Cluster cluster(1, [](Config& config) {
        config.topic.retention_interval = 1s;
        config.topic.retention_time = 1h;
        config.log.segment_flush_bytes = 4_KiB;
    });
    cluster.make_topic("log");
    make_topic(cluster, "kept", {{"retention.ms", "-1"}});
    make_topic(cluster, "short", {{"retention.ms", "60000"}});
    Client client = cluster.connect();
    const std::int64_t now = cluster.world.environment(NodeId(1)).clock.wall().unix_ms;
    const auto store = [&](const std::string& topic, std::int64_t age_ms) {
        const std::string value(3000, 'x');
        REQUIRE(produce(client, produce_of(topic, batch_of({value, value}, now - age_ms))).error ==
                ErrorCode::none);
    };
    // A segment goes as a whole, so they are looked at while only old ones are there.
    for (const std::int64_t age : {7'200'000, 120'000, 0}) {
        for (const char* topic : {"log", "kept", "short"}) store(topic, age);
        cluster.world.run_for(5s);
    }
    CHECK(earliest(client, "kept") == 0);
    CHECK(earliest(client, "short") == 4);
    // Nothing but time has passed.
    cluster.world.run_for(2min);
    CHECK(earliest(client, "short") == 6);
    CHECK(list_offsets(client, "short", ListOffsetsRequest::latest).offset == 6);
    CHECK(earliest(client, "log") == 2);
    cluster.world.run_for(1h);
    Client later = cluster.connect();
    CHECK(earliest(later, "log") == 6);
    CHECK(earliest(later, "kept") == 0);
    CHECK(produce(later, produce_of("log", batch_of({"more"}, now + 3'600'000))).base_offset == 6);
}

TEST_CASE("a partition that is too large loses its oldest segments", "[server]") {
    Cluster cluster(1, [](Config& config) {
        config.topic.retention_interval = 1s;
        config.topic.retention_bytes = 300'000;
        config.log.segment_bytes = 64_KiB;
        config.log.segment_flush_bytes = 4_KiB;
    });
    cluster.make_topic("log");
    make_topic(cluster, "kept", {{"retention.bytes", "-1"}});
    make_topic(cluster, "small", {{"retention.bytes", "20000"}, {"segment.bytes", "10000"}});
    Client client = cluster.connect();
    const std::int64_t now = cluster.world.environment(NodeId(1)).clock.wall().unix_ms;
    for (int i = 0; i < 120; ++i)
        for (const char* topic : {"log", "kept", "small"})
            REQUIRE(
                produce(client, produce_of(topic, batch_of({std::string(5000, 'x')}, now))).error ==
                ErrorCode::none);
    cluster.world.run_for(5s);
    CHECK(earliest(client, "kept") == 0);
    // What is left is at least what may be, and no segment more.
    const std::int64_t left = 120 - earliest(client, "log");
    CHECK(left * 5000 > 300'000 - 64'000);
    CHECK(left * 5000 < 300'000 + 2 * 70'000);
    const std::int64_t left_of_small = 120 - earliest(client, "small");
    CHECK(left_of_small >= 4);
    CHECK(left_of_small < 10);
    const auto files = cluster.world.disk(NodeId(1)).list("groups/3");
    REQUIRE(files);
    CHECK(files->size() < 10);
    cluster.restart(NodeId(1));
    Client again = cluster.connect();
    cluster.leader_of("small");
    CHECK(120 - earliest(again, "small") == left_of_small);
}

// ---- Metadata, and topics that come and go ----

TEST_CASE("metadata tells of the brokers and of topics that are asked for", "[server]") {
    Cluster cluster;
    cluster.make_topic("a", 2);
    cluster.make_topic("b");
    Client client = cluster.connect();
    for (std::int16_t version = 0; version <= 12; ++version) {
        INFO("version " << version);
        const MetadataResponse told = metadata(client, {"a"}, false, version);
        REQUIRE(told.brokers.size() == 1);
        CHECK(told.brokers[0].node_id == 1);
        CHECK(told.brokers[0].host == "node1");
        CHECK(told.brokers[0].port == 9092);
        REQUIRE(told.topics.size() == 1);
        CHECK(told.topics[0].error == ErrorCode::none);
        REQUIRE(told.topics[0].partitions.size() == 2);
        CHECK(told.topics[0].partitions[1].index == 1);
        CHECK(told.topics[0].partitions[1].leader_id == 1);
    }
    MetadataRequest all;
    CHECK(client.ask(all, 12).topics.size() == 2);
    CHECK(client.ask(all, 12).controller_id == 1);
    CHECK(client.ask(all, 12).cluster_id == "pyralog");
    all.topics.emplace();
    CHECK(client.ask(all, 0).topics.size() == 2); // Which cannot say that it wants all.
    CHECK(client.ask(all, 1).topics.empty());
    MetadataRequest by_id;
    by_id.topics.emplace();
    by_id.topics->push_back({metadata(client, {"b"}).topics.at(0).id, {}});
    by_id.topics->push_back({wire::Uuid{{1}}, {}});
    const MetadataResponse found = client.ask(by_id, 12);
    CHECK(found.topics.at(0).name == "b");
    CHECK(found.topics.at(1).error == ErrorCode::unknown_topic_id);
}

TEST_CASE("a topic that is asked for is made where client and broker want that", "[server]") {
    const bool broker_wants = GENERATE(true, false);
    Cluster cluster(1, [&](Config& config) {
        config.topic.auto_create = broker_wants;
        config.topic.partitions = 3;
    });
    Client client = cluster.connect();
    CHECK(metadata(client, {"log"}, false).topics.at(0).error ==
          ErrorCode::unknown_topic_or_partition);
    const auto told = metadata(client, {"log"}, true).topics.at(0);
    CHECK(told.error == (broker_wants ? ErrorCode::none : ErrorCode::unknown_topic_or_partition));
    CHECK(told.partitions.size() == (broker_wants ? 3 : 0));
    for (const auto& partition : told.partitions) CHECK(partition.leader_id == 1);
    for (const std::string& name : {std::string("a/b"), std::string(), std::string(".."),
                                    std::string(250, 'x'), std::string("a\nb")})
        CHECK(metadata(client, {name}, true).topics.at(0).error == ErrorCode::invalid_topic);
    CHECK(client.ask(MetadataRequest(), 12).topics.size() == (broker_wants ? 1 : 0));
}

TEST_CASE("a topic is created as it is asked for", "[server]") {
    Cluster cluster(1, [](Config& config) { config.topic.partitions = 2; });
    Client client = cluster.connect();
    for (const std::int16_t version : {2, 3, 4, 5, 6, 7}) {
        CreateTopicsRequest request;
        const std::string name = "log" + std::to_string(version);
        request.topics.push_back({name, 3, 1, {}, {}});
        request.topics.push_back({name + "-default", -1, -1, {}, {}});
        const CreateTopicsResponse made = client.ask(request, version);
        CHECK(made.topics.at(0).error == ErrorCode::none);
        CHECK(made.topics.at(1).error == ErrorCode::none);
        CHECK(made.topics.at(0).configs->empty() == (version < 5));
        CHECK(metadata(client, {name}).topics.at(0).partitions.size() == 3);
        CHECK(metadata(client, {name + "-default"}).topics.at(0).partitions.size() == 2);
    }
}

TEST_CASE("a topic that cannot be is not created, and the answer says why", "[server]") {
    Cluster cluster(1, [](Config& config) { config.topic.partitions_max = 10; });
    cluster.make_topic("there");
    Client client = cluster.connect();
    const bool validate_only = GENERATE(false, true);
    const auto refused = [&](const CreateTopicsRequest::Topic& topic) {
        CreateTopicsRequest request;
        request.validate_only = validate_only;
        request.topics.push_back(topic);
        return client.ask(request, 7).topics.at(0).error;
    };
    CHECK(refused({"there", 1, 1, {}, {}}) == ErrorCode::topic_already_exists);
    CHECK(refused({"log", 0, 1, {}, {}}) == ErrorCode::invalid_partitions);
    CHECK(refused({"log", -2, 1, {}, {}}) == ErrorCode::invalid_partitions);
    CHECK(refused({"log", 11, 1, {}, {}}) == ErrorCode::invalid_partitions);
    CHECK(refused({"log", 1, 0, {}, {}}) == ErrorCode::invalid_replication_factor);
    CHECK(refused({"log", 1, 2, {}, {}}) == ErrorCode::invalid_replication_factor);
    CHECK(refused({"log", 1, 1, {}, {{"retention.ms", "soon"}}}) == ErrorCode::invalid_config);
    CHECK(refused({"log", 1, 1, {}, {{"retention.bytes", std::nullopt}}}) ==
          ErrorCode::invalid_config);
    CHECK(refused({"log", 1, 1, {}, {{"max.message.bytes", "-5"}}}) == ErrorCode::invalid_config);
    CHECK(refused({"log", -1, -1, {{0, {1}}}, {}}) == ErrorCode::invalid_replica_assignment);
    CHECK(refused({"a b", 1, 1, {}, {}}) == ErrorCode::invalid_topic);
    CHECK(refused({"", 1, 1, {}, {}}) == ErrorCode::invalid_topic);
    CHECK(client.ask(MetadataRequest(), 12).topics.size() == 1);
    CHECK(refused({"log", 10, 1, {}, {}}) == ErrorCode::none);
    CHECK(client.ask(MetadataRequest(), 12).topics.size() == (validate_only ? 1 : 2));
}

TEST_CASE("a topic that a request names twice is created once", "[server]") {
    Cluster cluster;
    Client client = cluster.connect();
    CreateTopicsRequest request;
    request.topics.push_back({"log", 1, 1, {}, {}});
    request.topics.push_back({"log", 2, 1, {}, {}});
    const CreateTopicsResponse made = client.ask(request, 7);
    CHECK(made.topics.at(0).error == ErrorCode::none);
    CHECK(made.topics.at(1).error == ErrorCode::invalid_request);
    CHECK(metadata(client, {"log"}).topics.at(0).partitions.size() == 1);
}

TEST_CASE("a topic that is deleted is gone, and one of its name begins anew", "[server]") {
    Cluster cluster;
    Client client = cluster.connect();
    const auto removed = [&](const DeleteTopicsRequest::Topic& topic) {
        DeleteTopicsRequest request;
        request.timeout_ms = 5000;
        request.topics.push_back(topic);
        return client.ask(request, 6).topics.at(0).error;
    };
    cluster.make_topic("first");
    CHECK(produce(client, produce_of("first", batch_of({"a"}))).base_offset == 0);
    const wire::Uuid id = metadata(client, {"first"}).topics.at(0).id;
    CHECK(removed({"none", {}}) == ErrorCode::unknown_topic_or_partition);
    CHECK(removed({{}, wire::Uuid{{1}}}) == ErrorCode::unknown_topic_id);
    CHECK(removed({"first", {}}) == ErrorCode::none);
    CHECK(removed({"first", {}}) == ErrorCode::unknown_topic_or_partition);
    CHECK(removed({{}, id}) == ErrorCode::unknown_topic_id);
    CHECK(produce(client, produce_of("first", batch_of({"a"}))).error ==
          ErrorCode::unknown_topic_or_partition);
    CHECK(metadata(client, {"first"}, true).topics.at(0).error == ErrorCode::none);
    CHECK(metadata(client, {"first"}).topics.at(0).id != id);
    CHECK(list_offsets(client, "first", ListOffsetsRequest::latest).offset == 0);
    CHECK(removed({{}, metadata(client, {"first"}).topics.at(0).id}) == ErrorCode::none);
    for (const std::int16_t version : {1, 2, 3, 4, 5}) {
        CHECK(metadata(client, {"old"}, true).topics.at(0).error == ErrorCode::none);
        DeleteTopicsRequest request;
        request.timeout_ms = 5000;
        request.topic_names = {"old", "none"};
        const DeleteTopicsResponse answer = client.ask(request, version);
        CHECK(answer.topics.at(0).error == ErrorCode::none);
        CHECK(answer.topics.at(1).error == ErrorCode::unknown_topic_or_partition);
    }
}

TEST_CASE("transactional ids have coordinators, and nothing else but groups has", "[server]") {
    Cluster cluster(3);
    Client client = cluster.connect();
    FindCoordinatorRequest request;
    request.coordinator_key = "transaction";
    for (const std::int16_t version : {1, 2, 3}) {
        request.key_type = 1;
        FindCoordinatorResponse::Coordinator found;
        for (int i = 0; i < 20 && found.node_id < 0; ++i)
            found = client.ask(request, version).coordinator;
        CHECK(found.error == ErrorCode::none);
        CHECK((found.node_id >= 1 && found.node_id <= 3));
        request.key_type = 2;
        CHECK(client.ask(request, version).coordinator.error == ErrorCode::invalid_request);
    }
    request.key_type = 1;
    request.coordinator_keys = {"a", ""};
    const FindCoordinatorResponse answer = client.ask(request, 4);
    REQUIRE(answer.coordinators.size() == 2);
    CHECK(answer.coordinators[1].error == ErrorCode::invalid_request);
}

// ---- Topics that are compacted ----

namespace {

struct Keyed {
    std::string key;
    std::optional<std::string> value;
};

Bytes keyed_batch(const std::vector<Keyed>& records) {
    RecordBatchBuilder builder;
    for (const Keyed& record : records) builder.add(record.key, record.value, 1000);
    return builder.build();
}

const std::string big(500, 'x');

std::string end_of(const Bytes& value) {
    const std::size_t size = std::min<std::size_t>(value.size(), 3);
    return std::string(value.slice(value.size() - size, size).text());
}

// All that a consumer sees from the beginning, each at its offset; and that it comes to the end.
Strings all_of(Client& client, const std::string& topic) {
    Strings seen;
    const std::int64_t end = list_offsets(client, topic, ListOffsetsRequest::latest).offset;
    for (std::int64_t next = 0; next < end;) {
        const auto answer = fetch(client, fetch_of(topic, next));
        Bytes rest = joined(answer.records.value_or(BytesChain()));
        if (rest.empty()) break;
        while (!rest.empty()) {
            const auto taken = wire::RecordBatch::take_first(rest);
            const auto* batch = std::get_if<wire::RecordBatch>(&taken);
            REQUIRE(batch);
            for (const wire::Record& record : wire::records_of(*batch).value())
                if (record.offset >= Offset(next))
                    seen.push_back(std::to_string(record.offset.value) + ' ' +
                                   std::string(record.key->text()) + ' ' +
                                   (record.value ? "= " + end_of(*record.value) : "-"));
            next = batch->end().value;
        }
    }
    return seen;
}

Config& compacts_soon(Config& config) {
    config.topic.compaction_interval = 1s;
    config.log.segment_flush_bytes = 4_KiB;
    return config;
}

} // namespace

TEST_CASE("a topic that is compacted keeps the newest record of each key, on all brokers",
          "[server]") {
    Cluster cluster(3, compacts_soon);
    make_topic(cluster, "last",
               {{"cleanup.policy", "compact"},
                {"segment.bytes", "4000"},
                {"delete.retention.ms", "20000"},
                {"min.cleanable.dirty.ratio", "0.01"}});
    Client client = cluster.connect(cluster.leader_of("last"));
    for (int i = 0; i < 60; ++i)
        REQUIRE(produce(client, produce_of("last", keyed_batch({{"a", big + std::to_string(i)},
                                                                {"b" + std::to_string(i % 3), big},
                                                                {"gone", std::nullopt}})))
                    .error == ErrorCode::none);
    cluster.world.run_for(15s);
    const Strings soon = all_of(client, "last");
    CHECK(soon.size() < 40);
    CHECK(soon.back() == "179 gone -");
    CHECK(soon[soon.size() - 3] == "177 a = x59");
    const auto starting = [](const Strings& seen, const std::string& key) {
        return std::ranges::count_if(
            seen, [&](const auto& line) { return line.find(' ' + key) != std::string::npos; });
    };
    for (const std::string key : {"a ", "b0 ", "b1 ", "b2 ", "gone "})
        CHECK(starting(soon, key) > 0);

    // Another minute, in which nothing new comes but what fills a segment.
    for (int i = 0; i < 30; ++i)
        REQUIRE(produce(client, produce_of("last", keyed_batch({{"z", big}}))).error ==
                ErrorCode::none);
    cluster.world.run_for(60s);
    const Strings later = all_of(client, "last");
    CHECK(starting(later, "gone ") == 0);
    CHECK(starting(later, "a ") == 1);
    CHECK(starting(later, "b1 ") == 1);
    for (const NodeId node : cluster.nodes)
        CHECK(cluster.status(node).state == Status::State::ready);
    // And whoever leads next has no less, and perhaps less to spare.
    const NodeId leader = cluster.leader_of("last");
    cluster.world.kill(leader);
    cluster.world.run_for(10s);
    Client other = cluster.connect(cluster.leader_of("last"));
    const Strings there = all_of(other, "last");
    CHECK(Strings(there.begin(), there.begin() + 4) == Strings(later.begin(), later.begin() + 4));
    CHECK(there.back() == later.back());
}

TEST_CASE("a topic that is compacted takes no record without a key, and others do", "[server]") {
    Cluster cluster;
    make_topic(cluster, "last", {{"cleanup.policy", "compact,delete"}});
    cluster.make_topic("log");
    Client client = cluster.connect();
    CHECK(produce(client, produce_of("last", batch_of({"no key"}))).error ==
          ErrorCode::invalid_record);
    CHECK(produce(client, produce_of("log", batch_of({"no key"}))).error == ErrorCode::none);
    CHECK(produce(client, produce_of("last", keyed_batch({{"", "empty key"}}))).error ==
          ErrorCode::none);
}

TEST_CASE("deletes stay while a broker is away that has not compacted", "[server]") {
    Cluster cluster(3, compacts_soon);
    make_topic(cluster, "last",
               {{"cleanup.policy", "compact"},
                {"segment.bytes", "4000"},
                {"delete.retention.ms", "1000"},
                {"min.cleanable.dirty.ratio", "0.01"}});
    const NodeId leader = cluster.leader_of("last");
    const NodeId away = leader == NodeId(1) ? NodeId(2) : NodeId(1);
    Client client = cluster.connect(leader);
    REQUIRE(produce(client, produce_of("last", keyed_batch({{"gone", big}}))).error ==
            ErrorCode::none);
    cluster.world.run_for(1s);
    cluster.world.kill(away);
    const auto fill = [&] {
        for (int i = 0; i < 20; ++i)
            REQUIRE(produce(client, produce_of("last", keyed_batch({{"z", big}}))).error ==
                    ErrorCode::none);
    };
    REQUIRE(produce(client, produce_of("last", keyed_batch({{"gone", std::nullopt}}))).error ==
            ErrorCode::none);
    fill();
    cluster.world.run_for(30s);
    CHECK(all_of(client, "last").front() == "1 gone -");
    fill();
    cluster.world.run_for(30s);
    CHECK(all_of(client, "last").front() == "1 gone -");
    cluster.start(away);
    fill();
    cluster.world.run_for(30s);
    CHECK(all_of(client, "last").front() != "1 gone -");
}

// ---- What survives, and several brokers ----

TEST_CASE("topics and records are there after a restart", "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    {
        Client client = cluster.connect();
        CHECK(produce(client, produce_of("log", batch_of({"a", "b"}))).error == ErrorCode::none);
    }
    cluster.world.cut_power(NodeId(1));
    cluster.start(NodeId(1));
    cluster.leader_of("log");
    Client client = cluster.connect();
    CHECK(values_of(fetch(client, fetch_of("log", 0))) == Strings{"a", "b"});
}

TEST_CASE("only the leader of a partition serves it, and all brokers know who that is",
          "[server]") {
    Cluster cluster(3);
    cluster.make_topic("log", 1, 3);
    const NodeId leader = cluster.leader_of("log");
    for (const NodeId node : cluster.nodes) {
        INFO("node " << node.value);
        Client client = cluster.connect(node);
        const auto told = metadata(client, {"log"}).topics.at(0).partitions.at(0);
        CHECK(told.leader_id == leader.value);
        CHECK(told.replica_nodes.size() == 3);
        CHECK(told.isr_nodes.size() == 3);
        const ErrorCode expected =
            node == leader ? ErrorCode::none : ErrorCode::not_leader_or_follower;
        CHECK(produce(client, produce_of("log", batch_of({"a"}))).error == expected);
        CHECK(fetch(client, fetch_of("log", 0)).error == expected);
        CHECK(list_offsets(client, "log", ListOffsetsRequest::latest).error == expected);
        CHECK(list_offsets(client, "log", ListOffsetsRequest::earliest).error == expected);
    }
}

// Seen first in whole clusters, as seeds 102598 and 104668: the controller's group had lost its
// majority before its nodes were in the catalogue, and nobody found the leaders of other groups.
TEST_CASE("clients are told where brokers are, though no controller can be told", "[server]") {
    Cluster cluster(3);
    for (const NodeId node : cluster.nodes) {
        cluster.world.kill(node);
        cluster.config(node).kafka.advertise =
            Address{"elsewhere" + std::to_string(node.value), 1234};
    }
    const auto brokers = [&cluster] {
        Client client = cluster.connect();
        const MetadataResponse told = metadata(client, {});
        client.hang_up();
        Strings hosts;
        for (const auto& broker : told.brokers)
            hosts.push_back(broker.host + ':' + std::to_string(broker.port));
        return hosts;
    };
    cluster.start(NodeId(1));
    cluster.world.run_for(1s);
    CHECK(brokers() == Strings{"elsewhere1:1234"});
    for (const NodeId node : cluster.nodes)
        if (node != NodeId(1)) cluster.start(node);
    cluster.world.run_for(5s);
    CHECK(brokers() == Strings{"elsewhere1:1234", "elsewhere2:1234", "elsewhere3:1234"});
    cluster.world.kill(NodeId(2));
    cluster.world.run_for(10s);
    CHECK(brokers() == Strings{"elsewhere1:1234", "elsewhere3:1234"});
}

TEST_CASE("a produce that no majority stores in time times out, and acks of one do not",
          "[server]") {
    Cluster cluster(3);
    cluster.make_topic("log", 1, 3);
    const NodeId leader = cluster.leader_of("log");
    for (const NodeId node : cluster.nodes)
        if (node != leader) cluster.world.kill(node);
    Client client = cluster.connect(leader);
    ProduceRequest request = produce_of("log", batch_of({"a"}));
    request.timeout_ms = 200;
    CHECK(produce(client, request).error == ErrorCode::request_timed_out);
    request.acks = 1;
    CHECK(produce(client, request).error == ErrorCode::none);
    request.acks = -1;
    request.timeout_ms = 20'000; // Long enough for the leader to notice that it is none.
    CHECK(produce(client, request).error == ErrorCode::not_enough_replicas_after_append);
    CHECK(produce(client, request).error == ErrorCode::not_leader_or_follower);
}

TEST_CASE("each broker takes the commands of its clients to the controller", "[server]") {
    Cluster cluster(3);
    for (const NodeId node : cluster.nodes) {
        Client client = cluster.connect(node);
        const std::string name = "by-" + std::to_string(node.value);
        CreateTopicsRequest creation;
        creation.topics.push_back({name, 2, 2, {}, {}});
        creation.topics.push_back({"once", 1, 3, {}, {}});
        const CreateTopicsResponse made = client.ask(creation, 7);
        CHECK(made.topics.at(0).error == ErrorCode::none);
        CHECK(made.topics.at(1).error ==
              (node == NodeId(1) ? ErrorCode::none : ErrorCode::topic_already_exists));
        // Who was told that it is done sees it.
        CHECK(metadata(client, {name}).topics.at(0).error != ErrorCode::unknown_topic_or_partition);
        DeleteTopicsRequest removal;
        removal.timeout_ms = 5000;
        removal.topics.push_back({name, {}});
        CHECK(client.ask(removal, 6).topics.at(0).error == ErrorCode::none);
        CHECK(metadata(client, {name}).topics.at(0).error == ErrorCode::unknown_topic_or_partition);
    }
}
