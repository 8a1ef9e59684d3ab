#include "core/base/crc32c.h"
#include "core/wire/arbitrary_test.h"
#include "core/wire/kafka/add_offsets_to_txn.h"
#include "core/wire/kafka/add_partitions_to_txn.h"
#include "core/wire/kafka/alter_configs.h"
#include "core/wire/kafka/api_versions.h"
#include "core/wire/kafka/client_quotas.h"
#include "core/wire/kafka/create_partitions.h"
#include "core/wire/kafka/create_topics.h"
#include "core/wire/kafka/delete_records.h"
#include "core/wire/kafka/delete_topics.h"
#include "core/wire/kafka/describe_cluster.h"
#include "core/wire/kafka/describe_configs.h"
#include "core/wire/kafka/describe_log_dirs.h"
#include "core/wire/kafka/describe_producers.h"
#include "core/wire/kafka/describe_topic_partitions.h"
#include "core/wire/kafka/describe_transactions.h"
#include "core/wire/kafka/elect_leaders.h"
#include "core/wire/kafka/end_txn.h"
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/find_coordinator.h"
#include "core/wire/kafka/init_producer_id.h"
#include "core/wire/kafka/list_offsets.h"
#include "core/wire/kafka/list_reassignments.h"
#include "core/wire/kafka/list_transactions.h"
#include "core/wire/kafka/metadata.h"
#include "core/wire/kafka/offset_for_leader_epoch.h"
#include "core/wire/kafka/produce.h"
#include "core/wire/kafka/txn_offset_commit.h"
#include "core/wire/peer.h"
#include "core/wire/record_batch.h"
#include "fuzz/frames.h"
#include "fuzz/target.h"
#include "server/admin/http.h"
#include "server/config.h"

#include <string>

namespace pyralog::fuzz {

namespace {

using Inputs = std::vector<Image>;

constexpr std::uint64_t seed = 20260101;
constexpr int attempts_max = 1000;

Image with_bytes_before(std::initializer_list<unsigned char> before, const Bytes& bytes) {
    Image image;
    for (const unsigned char byte : before) image.push_back(static_cast<std::byte>(byte));
    image.insert(image.end(), bytes.view().begin(), bytes.view().end());
    return image;
}

// For targets that take any bytes as a recipe: some that are taken, each twice as long.
Inputs recipes(const Target& target) {
    Inputs inputs;
    Random random(seed);
    std::size_t size = 48;
    for (int i = 0; i < attempts_max && inputs.size() < 6; ++i) {
        Image image(size);
        for (std::byte& byte : image) byte = static_cast<std::byte>(random.below(256));
        if (!target.run(image)) continue;
        inputs.push_back(std::move(image));
        size *= 2;
    }
    return inputs;
}

Inputs batches() {
    Inputs inputs;
    wire::RecordBatchBuilder one, several;
    one.add("key", "value", 1'700'000'000'000);
    const wire::RecordHeader headers[] = {{"trace", Bytes::copy_of(std::string_view("abc"))},
                                          {"empty", std::nullopt}};
    several.add(std::nullopt, "first", 5);
    several.add("second", std::nullopt, 7, headers);
    several.add("third", std::string(300, 'x'), 3);
    several.from(17, 2, 100);
    for (const wire::RecordBatchBuilder& builder : {one, several})
        for (const unsigned char mended : {0, 1})
            inputs.push_back(with_bytes_before({mended, 70}, builder.build()));
    wire::BatchHeader squeezed;
    squeezed.attributes = static_cast<std::int16_t>(wire::Compression::zstd);
    squeezed.record_count = 3;
    squeezed.last_offset_delta = 2;
    inputs.push_back(with_bytes_before(
        {1, 3}, assemble(squeezed, Bytes::copy_of(std::string_view("not looked into")))));
    return inputs;
}

wire::PeerMessage append_of_two() {
    wire::AppendRequest append;
    append.term = Term(3);
    append.first = {4, Offset(9)};
    append.previous_term = Term(2);
    wire::PeerMessage message{GroupId(2), append, {}};
    for (int i = 0; i < 2; ++i) {
        wire::Frame frame;
        frame.kind = i == 0 ? wire::Frame::Kind::term_start : wire::Frame::Kind::records;
        frame.term = Term(3);
        frame.first = {4 + i, Offset(9)};
        frame.records = i;
        if (i == 1) frame.payload = {wire::RecordBatchBuilder().add("k", "v").build()};
        frame.payload_crc = crc32c(frame.payload);
        message.frames.push_back(std::move(frame));
    }
    return message;
}

Inputs packets() {
    Inputs inputs;
    const auto add = [&](const BytesChain& message) {
        for (const unsigned char mended : {0, 1})
            inputs.push_back(with_bytes_before({mended, 31, 0, 4}, joined(message)));
    };
    wire::Hello hello;
    hello.cluster = "fuzz";
    hello.node = NodeId(3);
    hello.incarnation = 12345;
    hello.kafka_host = "localhost";
    hello.kafka_port = 9092;
    hello.grpc = "b.example:9095";
    add(to_peer(hello));
    wire::Packet packet;
    packet.messages.push_back({GroupId(1), wire::VoteRequest{}, {}});
    packet.messages.push_back({GroupId(1), wire::AppendReply{}, {}});
    packet.messages.push_back(
        {GroupId(9), wire::Forward{7, Bytes::copy_of(std::string_view("command"))}, {}});
    packet.messages.push_back({GroupId(2), wire::Leadership{Term(4), true}, {}});
    add(to_peer(packet));
    packet.messages.push_back(append_of_two());
    add(to_peer(packet));
    packet.messages = {append_of_two()};
    packet.messages.front().body = wire::FramesReply{packet.messages.front().frames[0].first, {}};
    packet.messages.push_back(
        {GroupId(2), wire::FramesRequest{{3, Offset(5)}, {4, Offset(6)}, Term(2), 77}, {}});
    add(to_peer(packet));
    return inputs;
}

// One in each version that there is.
template <class Request>
void add_requests(Inputs& inputs, Random& random) {
    const wire::kafka::Api* api = wire::kafka::find_api(Request::key);
    CHECK(api != nullptr);
    for (std::int16_t version = api->version_min; version <= api->version_max; ++version) {
        const wire::Form form = wire::kafka::form_of(Request::key, version);
        const auto request = wire::arbitrary<Request>(random, form);
        const Bytes frame = joined(wire::kafka::encode_request(request, version, 1, "fuzz"));
        inputs.push_back(with_bytes_before({}, frame.slice(4, frame.size() - 4)));
    }
}

template <class... Requests>
Inputs requests() {
    Inputs inputs;
    Random random(seed);
    (add_requests<Requests>(inputs, random), ...);
    return inputs;
}

Inputs config_files() {
    constexpr std::string_view texts[] = {
        "node.id = 2\n[cluster]\nname = \"fuzz\"\nmembers = { 1 = \"a:1\", 2 = \"b:2\" }\n",
        "# By sections.\n[kafka]\nport = 0\nadvertise = \"host:9092\"\nfetch_bytes_max = \"1MiB\"\n"
        "[raft]\nelection_timeout = \"1500ms\"\n",
        "cluster.members = [\"1=a:1\", \"2=[::1]:2\"]\ntopic.auto_create = false\n",
        "[node]\nlog_level = '''debug'''\ndata_dir = \"\\u00e9/\\t\"\n",
    };
    Inputs inputs;
    for (const std::string_view text : texts)
        inputs.push_back(with_bytes_before({}, Bytes::copy_of(text)));
    server::Config config;
    std::string all;
    for (const Setting& setting : settings_of(config))
        if (setting.get().find_first_of("'\n") == std::string::npos)
            all += setting.name + " = '" + setting.get() + "'\n";
    inputs.push_back(with_bytes_before({}, Bytes::copy_of(all)));
    return inputs;
}

Inputs http_messages() {
    constexpr std::string_view requests[] = {
        "GET /v1/partitions?topic=a%2Fb&limit=1 HTTP/1.1\r\nHost: a:9094\r\n\r\n",
        "PUT /v1/log-level HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\ndebug",
        "GET / HTTP/1.0\r\nX: \t y \r\n\r\n",
    };
    Inputs inputs;
    for (const std::string_view text : requests)
        inputs.push_back(with_bytes_before({0}, Bytes::copy_of(text)));
    const std::string response = server::format_http_response({200, "text/plain", "ok\n", {}});
    inputs.push_back(with_bytes_before({3}, Bytes::copy_of(response)));
    return inputs;
}

} // namespace

std::vector<std::vector<std::byte>> first_inputs(const Target& target) {
    using namespace wire::kafka;
    if (target.name == "record_batch") return batches();
    if (target.name == "peer_packet") return packets();
    if (target.name == "config_file") return config_files();
    if (target.name == "http_request") return http_messages();
    if (target.name == "kafka_request")
        return requests<
            ProduceRequest, FetchRequest, ListOffsetsRequest, MetadataRequest,
            FindCoordinatorRequest, ApiVersionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
            DeleteRecordsRequest, OffsetForLeaderEpochRequest, InitProducerIdRequest,
            DescribeProducersRequest, DescribeConfigsRequest, AlterConfigsRequest,
            IncrementalAlterConfigsRequest, CreatePartitionsRequest, DescribeClusterRequest,
            DescribeTopicPartitionsRequest, DescribeLogDirsRequest, ElectLeadersRequest,
            ListReassignmentsRequest, DescribeClientQuotasRequest, AlterClientQuotasRequest,
            AddPartitionsToTxnRequest, AddOffsetsToTxnRequest, EndTxnRequest,
            TxnOffsetCommitRequest, DescribeTransactionsRequest, ListTransactionsRequest>();
    return recipes(target);
}

} // namespace pyralog::fuzz
