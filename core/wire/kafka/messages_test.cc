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

#include "core/base/random.h"
#include "core/wire/arbitrary_test.h"
#include "core/wire/golden_test.h"

#include <catch2/catch.hpp>

#if defined(__SANITIZE_ADDRESS__) || defined(__clang__)
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/allocator_interface.h>
#define PYRALOG_COUNTS_MEMORY
#endif
#endif

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

using namespace pyralog;
using namespace pyralog::wire;
using namespace pyralog::wire::kafka;

namespace {

// Each message of ours, with its type forgotten.
struct Message {
    ApiKey key;
    bool is_request;
    // The message decoded and encoded again, if it can be decoded.
    std::optional<Bytes> (*again)(const Bytes& body, Form form);
    void (*only_decode)(const Bytes& body, Form form);
    // Any message, encoded.
    Bytes (*arbitrary)(Random& random, Form form);
};

template <class T>
Message message_of(ApiKey key, bool is_request) {
    return {key, is_request,
            [](const Bytes& body, Form form) -> std::optional<Bytes> {
                const Result<T> decoded = decode<T>(body, form.version, form.flexible);
                if (!decoded.ok()) return std::nullopt;
                // What the text says is for people; here, only that it can be made and is bounded.
                const std::string text = to_text(decoded.value(), form.version, form.flexible);
                CHECK(text.size() <= Printer::text_size_max + 3);
                const Bytes encoded = encode(decoded.value(), form.version, form.flexible);
                CHECK(encoded.size() == encoded_size(decoded.value(), form.version, form.flexible));
                CHECK(joined(encode_chain(decoded.value(), form.version, form.flexible)).text() ==
                      encoded.text());
                return encoded;
            },
            [](const Bytes& body, Form form) {
                (void)decode<T>(body, form.version,
                                form.flexible); // Most are refused, as they should be.
            },
            [](Random& random, Form form) {
                return encode(wire::arbitrary<T>(random, form), form.version, form.flexible);
            }};
}

template <class... Requests>
std::vector<Message> messages_of() {
    std::vector<Message> all;
    ((all.push_back(message_of<Requests>(Requests::key, true)),
      all.push_back(message_of<typename Requests::Response>(Requests::key, false))),
     ...);
    return all;
}

const std::vector<Message>& messages() {
    static const std::vector<Message> all = messages_of<
        AddPartitionsToTxnRequest, AddOffsetsToTxnRequest, EndTxnRequest, TxnOffsetCommitRequest,
        DescribeTransactionsRequest, ListTransactionsRequest, ProduceRequest, FetchRequest,
        ListOffsetsRequest, MetadataRequest, FindCoordinatorRequest, ApiVersionsRequest,
        CreateTopicsRequest, DeleteTopicsRequest, DeleteRecordsRequest, OffsetForLeaderEpochRequest,
        OffsetCommitRequest, OffsetFetchRequest, JoinGroupRequest, HeartbeatRequest,
        LeaveGroupRequest, SyncGroupRequest, DescribeGroupsRequest, ListGroupsRequest,
        DeleteGroupsRequest, OffsetDeleteRequest, InitProducerIdRequest, DescribeProducersRequest,
        DescribeConfigsRequest, AlterConfigsRequest, IncrementalAlterConfigsRequest,
        CreatePartitionsRequest, DescribeClusterRequest, DescribeTopicPartitionsRequest,
        DescribeLogDirsRequest, ElectLeadersRequest, ListReassignmentsRequest,
        DescribeClientQuotasRequest, AlterClientQuotasRequest>();
    return all;
}

const Message* find_message(std::int16_t key, bool is_request) {
    for (const Message& message : messages()) {
        if (message.key == ApiKey(key) && message.is_request == is_request) return &message;
    }
    return nullptr;
}

template <class Use>
void for_each_version(const Use& use) {
    for (const Message& message : messages()) {
        const Api& api = *find_api(message.key);
        for (std::int16_t version = api.version_min; version <= api.version_max; ++version) {
            use(message, form_of(message.key, version));
        }
    }
}

} // namespace

TEST_CASE("Kafka's own bytes decode and encode to the same bytes", "[wire][kafka]") {
    const std::filesystem::path path =
        std::filesystem::path(testing::source_dir()) / "../shared/golden/kafka-wire.tsv";
    std::ifstream file(path);
    if (!file) {
        WARN("skipped: there is no " << path.lexically_normal().string());
        return;
    }
    std::map<std::int16_t, int> checked;
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line[0] == '#') continue;
        std::istringstream fields(line);
        std::int16_t key = 0;
        std::int16_t version = 0;
        std::string direction, variant, hex;
        fields >> key >> version >> direction >> variant >> hex;
        const Message* message = find_message(key, direction == "req");
        if (!message) continue;
        const Api& api = *find_api(message->key);
        if (version < api.version_min || version > api.version_max) continue;

        INFO(api.name << " " << direction << " v" << version << " " << variant << " " << hex);
        const std::optional<Bytes> again =
            message->again(bytes_of_hex(hex), form_of(message->key, version));
        REQUIRE(again.has_value());
        CHECK(hex_of(*again) == hex);
        ++checked[key];
    }
    for (const Api& api : apis) {
        INFO(api.name);
        CHECK(checked[std::int16_t(api.key)] >= 2 * (api.version_max - api.version_min + 1));
    }
}

TEST_CASE("an arbitrary message of each version comes back", "[wire][kafka]") {
    Random random(1);
    for_each_version([&](const Message& message, Form form) {
        INFO(find_api(message.key)->name << (message.is_request ? " request v" : " response v")
                                         << form.version);
        for (int i = 0; i < 40; ++i) {
            const Bytes encoded = message.arbitrary(random, form);
            const std::optional<Bytes> again = message.again(encoded, form);
            REQUIRE(again.has_value());
            REQUIRE(hex_of(*again) == hex_of(encoded));
        }
    });
}

TEST_CASE("no truncation of a Kafka message is taken for one", "[wire][kafka]") {
    Random random(2);
    for_each_version([&](const Message& message, Form form) {
        INFO(find_api(message.key)->name << (message.is_request ? " request v" : " response v")
                                         << form.version);
        for (int i = 0; i < 3; ++i) {
            const Bytes encoded = message.arbitrary(random, form);
            for (std::size_t size = 0; size < encoded.size(); ++size) {
                const Bytes part = Bytes::copy_of(encoded.view().first(size));
                if (message.again(part, form)) FAIL("cut at " << size << ": " << hex_of(encoded));
            }
        }
    });
}

TEST_CASE("changed bytes of a Kafka message do no harm", "[wire][kafka]") {
    Random random(3);
    for_each_version([&](const Message& message, Form form) {
        for (int i = 0; i < 200; ++i) {
            std::string text(message.arbitrary(random, form).text());
            if (text.empty()) continue;
            const std::uint64_t changes = 1 + random.below(3);
            for (std::uint64_t c = 0; c < changes; ++c) {
                const std::size_t at = random.below(text.size());
                const std::uint64_t kind = random.below(3);
                // The two are those that lengths and counts turn to lies with.
                text[at] = kind == 0   ? '\x7f'
                           : kind == 1 ? '\xff'
                                       : static_cast<char>(random.below(256));
            }
            // What decodes all the same encodes to bytes that decode to themselves.
            const std::optional<Bytes> once = message.again(Bytes::copy_of(text), form);
            if (!once) continue;
            const std::optional<Bytes> twice = message.again(*once, form);
            REQUIRE(twice.has_value());
            REQUIRE(hex_of(*twice) == hex_of(*once));
        }
    });
}

TEST_CASE("a header keeps its old client id, and ApiVersions its old answer", "[wire][kafka]") {
    const RequestHeader old{ApiKey::metadata, 8, 7, "me"};
    CHECK(hex_of(encode(old)) == "00030008000000070002"
                                 "6d65");
    const RequestHeader flexible{ApiKey::metadata, 9, 7, "me"};
    CHECK(hex_of(encode(flexible)) == "00030009000000070002"
                                      "6d65"
                                      "00");
    const RequestHeader nobody{ApiKey::fetch, 4, -1, std::nullopt};
    CHECK(hex_of(encode(nobody)) == "00010004ffffffffffff");
    // Of a version that nobody has described yet: still to be answered, so still to be read.
    const RequestHeader newest{ApiKey::api_versions, 99, 1, std::nullopt};
    CHECK(hex_of(encode(newest)) == "0012006300000001ffff00");

    CHECK(hex_of(encode(ResponseHeader{ApiKey::metadata, 8, 7})) == "00000007");
    CHECK(hex_of(encode(ResponseHeader{ApiKey::metadata, 9, 7})) == "0000000700");
    CHECK(hex_of(encode(ResponseHeader{ApiKey::api_versions, 4, 7})) == "00000007");
    CHECK(hex_of(encode(ResponseHeader{ApiKey(1000), 4, 7})) == "00000007");
}

TEST_CASE("a request and its answer travel in frames", "[wire][kafka]") {
    for (const std::int16_t version : {std::int16_t(5), std::int16_t(9)}) {
        ProduceRequest request;
        request.acks = -1;
        request.topics = {{"topic", {{3, Bytes::copy_of(std::string(600, 'r'))}}}};
        const Bytes frame = joined(encode_request(request, version, 42, "client"));
        Reader reader(frame);
        std::int32_t size = 0;
        reader(size);
        CHECK(std::size_t(size) == reader.remaining());

        const Result<RequestParts> parts = split_request(reader.rest());
        REQUIRE(parts.ok());
        const RequestHeader& header = parts.value().header;
        CHECK(header.key == ApiKey::produce);
        CHECK(header.version == version);
        CHECK(header.correlation_id == 42);
        CHECK(header.client_id == "client");
        const Result<ProduceRequest> body = decode_request<ProduceRequest>(parts.value());
        REQUIRE(body.ok());
        const std::optional<Bytes>& records = body.value().topics[0].partitions[0].records;
        REQUIRE(records.has_value());
        CHECK(records->size() == 600);
        CHECK(records->data() > frame.data()); // A slice of the frame.

        ProduceResponse response;
        response.topics = {{"topic", {{3, ErrorCode::none, 1000, -1, -1, {}, {}}}}};
        const Bytes answer =
            joined(encode_frame(ResponseHeader{header.key, version, 42}, response));
        const Bytes inside = answer.slice(4, answer.size() - 4);
        const auto decoded = decode_response<ProduceResponse>(inside, header);
        REQUIRE(decoded.ok());
        CHECK(decoded.value().topics[0].partitions[0].base_offset == 1000);
        RequestHeader another = header;
        another.correlation_id = 43;
        CHECK_FALSE(decode_response<ProduceResponse>(inside, another).ok());
    }
    for (std::size_t size = 0; size < 10; ++size) {
        const Bytes header = encode(RequestHeader{ApiKey::fetch, 4, 1, std::nullopt});
        CHECK_FALSE(split_request(Bytes::copy_of(header.view().first(size))).ok());
    }
}

TEST_CASE("the records of a fetch are sent as the slices they are", "[wire][kafka]") {
    const Bytes one = Bytes::copy_of(std::string(70000, '1'));
    const Bytes two = Bytes::copy_of(std::string(1000, '2'));
    const Bytes header = Bytes::copy_of(std::string(61, 'h'));
    for (const std::int16_t version : {std::int16_t(11), std::int16_t(12)}) {
        FetchResponse response;
        FetchResponse::Partition partition;
        partition.records = BytesChain{header, one, header, two};
        response.topics = {{"topic", {partition, partition}}};
        const BytesChain chain = encode_frame(ResponseHeader{ApiKey::fetch, version, 1}, response);
        std::size_t shared = 0;
        std::size_t copied = 0;
        for (const Bytes& part : chain) {
            const bool is_shared = part.data() == one.data() || part.data() == two.data();
            (is_shared ? shared : copied) += part.size();
        }
        CHECK(shared == 2 * (one.size() + two.size()));
        CHECK(copied < 512);
        const Bytes whole = joined(chain);
        const auto decoded = decode_response<FetchResponse>(
            whole.slice(4, whole.size() - 4), RequestHeader{ApiKey::fetch, version, 1, {}});
        REQUIRE(decoded.ok());
        const auto& records = decoded.value().topics[0].partitions[1].records;
        REQUIRE(records.has_value());
        CHECK(joined(*records).text() == joined(*partition.records).text());
    }
}

TEST_CASE("a request that claims 2 GiB of anything is refused", "[wire][kafka]") {
    // The count of its topics, in each form.
    const auto claims = [](std::string_view hex, ApiKey key, std::int16_t version) {
        const Message& message = *find_message(std::int16_t(key), true);
        return !message.again(bytes_of_hex(hex), form_of(key, version)).has_value();
    };
    CHECK(claims("7fffffff", ApiKey::metadata, 1));
    CHECK(claims("ffffffff0f", ApiKey::metadata, 9));
    CHECK(claims("ffffffff7f", ApiKey::metadata, 9));
    CHECK(claims("ffff"
                 "0001"
                 "00000000"
                 "7fffffff",
                 ApiKey::produce, 3));
    CHECK(claims("ffff"
                 "0001"
                 "00000000"
                 "00000001"
                 "000161"
                 "00000001"
                 "00000000"
                 "7fffffff",
                 ApiKey::produce, 3));
    CHECK(claims("00"
                 "0001"
                 "00000000"
                 "02"
                 "0261"
                 "02"
                 "00000000"
                 "ffffffff07",
                 ApiKey::produce, 9));
}

#ifdef PYRALOG_COUNTS_MEMORY
namespace {

// All that was ever allocated, given back or not.
std::size_t allocated = 0;

void count_allocation(const volatile void*, std::size_t size) { allocated += size; }
void count_nothing(const volatile void*) {}

} // namespace

TEST_CASE("what decoding allocates is in proportion to what was sent", "[wire][kafka]") {
    static const int installed =
        __sanitizer_install_malloc_and_free_hooks(count_allocation, count_nothing);
    REQUIRE(installed > 0);
    Random random(4);
    for_each_version([&](const Message& message, Form form) {
        INFO(find_api(message.key)->name << (message.is_request ? " request v" : " response v")
                                         << form.version);
        const std::string claim = form.flexible ? "\xff\xff\xff\xff\x07" : "\x7f\xff\xff\xff";
        for (int i = 0; i < 5; ++i) {
            const std::string honest(message.arbitrary(random, form).text());
            for (std::size_t at = 0; at + claim.size() <= honest.size(); ++at) {
                std::string text = honest;
                text.replace(at, claim.size(), claim);
                const Bytes frame = Bytes::copy_of(text);
                const std::size_t before = allocated;
                message.only_decode(frame, form);
                const std::size_t grown = allocated - before;
                // An array that lies gets its first 64 elements, of at most 256 bytes.
                if (grown > 32_KiB + 200 * text.size())
                    FAIL(grown << " bytes for " << hex_of(frame));
            }
        }
    });
    CHECK(allocated > 0);
}
#endif

TEST_CASE("a null where Kafka allows none is refused", "[wire][kafka]") {
    const auto refused = [](std::string_view hex, ApiKey key, std::int16_t version) {
        return !find_message(std::int16_t(key), true)
                    ->again(bytes_of_hex(hex), form_of(key, version))
                    .has_value();
    };
    CHECK(refused("ffffffff", ApiKey::metadata, 0));
    CHECK_FALSE(refused("ffffffff", ApiKey::metadata, 1));
    CHECK(refused("00000001ffff", ApiKey::metadata, 1));
    CHECK(refused("0200000100000000", ApiKey::metadata, 9));
}

TEST_CASE("error codes have Kafka's names", "[wire][kafka]") {
    CHECK(to_string(ErrorCode::not_leader_or_follower) == "NOT_LEADER_OR_FOLLOWER");
    CHECK(to_string(ErrorCode(12345)) == "UNKNOWN");
}

TEST_CASE("our own examples have the bytes they had", "[wire][kafka]") {
    FetchResponse::Partition partition;
    partition.high_watermark = 12;
    partition.records = BytesChain{bytes_of_hex("00112233")};
    partition.current_leader = {2, 5};
    FetchResponse fetch;
    fetch.topics = {{"log", {partition}}};

    ProduceRequest produce;
    produce.acks = -1;
    produce.timeout_ms = 1500;
    produce.topics = {{"log", {{0, bytes_of_hex("00112233")}}}};

    MetadataResponse metadata;
    metadata.brokers = {{1, "127.0.0.1", 9092, std::nullopt}};
    metadata.cluster_id = "pyralog";
    metadata.controller_id = 1;
    MetadataResponse::Topic topic;
    topic.name = "log";
    topic.id.bytes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    topic.partitions = {{ErrorCode::none, 0, 1, 5, {1, 2, 3}, {1, 2}, {3}}};
    metadata.topics = {topic};

    ApiVersionsResponse versions;
    versions.error = ErrorCode::unsupported_version;
    versions.apis = {{ApiKey::api_versions, 0, 4}};

    const auto check = [](std::string_view name, const BytesChain& frame) {
        INFO(name);
        const Bytes bytes = joined(frame);
        CHECK(hex_of(bytes) == golden(name, bytes));
    };
    check("kafka_produce_request_v9", encode_request(produce, 9, 7, std::string("example")));
    check("kafka_produce_request_v3", encode_request(produce, 3, 7, std::string("example")));
    check("kafka_fetch_response_v12", encode_frame(ResponseHeader{ApiKey::fetch, 12, 9}, fetch));
    check("kafka_fetch_response_v4", encode_frame(ResponseHeader{ApiKey::fetch, 4, 9}, fetch));
    check("kafka_metadata_response_v12",
          encode_frame(ResponseHeader{ApiKey::metadata, 12, 1}, metadata));
    check("kafka_metadata_response_v1",
          encode_frame(ResponseHeader{ApiKey::metadata, 1, 1}, metadata));
    // In answer to a version that we do not have.
    check("kafka_api_versions_response_v0",
          encode_frame(ResponseHeader{ApiKey::api_versions, 0, 1}, versions));
}

TEST_CASE("a floating point number is told from whole ones by its bits", "[wire][kafka]") {
    CHECK(Float64::of(0).bits == 0);
    CHECK(Float64::of(1).bits == 0x3ff0000000000000);
    CHECK(Float64::of(1'048'576).bits == 0x4130000000000000);
    CHECK(Float64::of(100'000).bits == 0x40f86a0000000000);
    for (int shift = 0; shift <= 53; ++shift) {
        for (const std::int64_t near : {-1, 0, 1}) {
            const std::int64_t value = (std::int64_t{1} << shift) + near;
            if (value > std::int64_t{1} << 53) continue;
            CHECK(Float64::of(value).whole() == value);
        }
    }
    CHECK(Float64{0x3fe0000000000000}.whole() == std::nullopt); // 0.5
    CHECK(Float64{0x3ff8000000000000}.whole() == std::nullopt); // 1.5
    CHECK(Float64{0xbff0000000000000}.whole() == std::nullopt); // -1
    CHECK(Float64{0x7ff0000000000000}.whole() == std::nullopt); // Infinity.
    CHECK(Float64{0x7ff8000000000000}.whole() == std::nullopt); // Not a number.
    CHECK(Float64{0x4340000000000001}.whole() == std::nullopt); // 2^53 + 2
    CHECK(Float64{1}.whole() == std::nullopt);                  // Next to nothing.
}
