// Brokers in a simulated world, and what the spans say of what a client has asked of them.
#include "server/tracing/requests.h"

#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/produce.h"
#include "server/test_cluster.h"
#include "server/tracing/test_collector.h"

#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;
using namespace pyralog::wire::kafka;
using wire::RecordBatchBuilder;

namespace {

const std::string parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

void trace_all(Config& config) {
    config.otlp.endpoint = TestCollector::endpoint();
    config.otlp.sample_millionths = millionths;
}

Bytes batch_of(std::string_view header = {}) {
    RecordBatchBuilder builder;
    const std::vector<wire::RecordHeader> headers{{"other", {}},
                                                  {"Traceparent", Bytes::copy_of(header)}};
    builder.add("key", "value", 1000, headers);
    return builder.add("key", "another", 1000).build();
}

ProduceRequest produce_of(Bytes records, std::int16_t acks = -1) {
    ProduceRequest request;
    request.acks = acks;
    request.timeout_ms = 2000;
    request.topics.push_back({"orders", {{0, std::move(records)}}});
    return request;
}

FetchRequest fetch_of(std::int64_t offset, std::int32_t wait_ms) {
    FetchRequest request;
    request.min_bytes = 1;
    request.max_bytes = 1 << 20;
    request.max_wait_ms = wait_ms;
    FetchRequest::Partition partition;
    partition.fetch_offset = offset;
    partition.max_bytes = 1 << 20;
    request.topics.push_back({"orders", {partition}});
    return request;
}

// A cluster with one topic, and the node that leads it.
struct Traced {
    Cluster cluster;
    NodeId leader;
    explicit Traced(int nodes = 1) : cluster(nodes, trace_all) {
        cluster.make_topic("orders");
        leader = cluster.leader_of("orders");
        cluster.world.run_for(10min); // What was traced meanwhile is given up.
    }
    Client client() { return cluster.connect(leader); }
    // All that waits to be sent; the one that sends looks at it after a second.
    std::vector<Span> spans() {
        std::vector<Span> found;
        cluster.in_node(leader, [&](Node& node) { found = node.tracer.take(1000); });
        return found;
    }
};

const Span& named(const std::vector<Span>& spans, const std::string& name) {
    const auto found = std::ranges::find(spans, name, &Span::name);
    INFO("a span called " << name);
    REQUIRE(found != spans.end());
    return *found;
}
bool has(const std::vector<Span>& spans, const std::string& name) {
    return std::ranges::find(spans, name, &Span::name) != spans.end();
}

std::string told(const Span& span, std::string_view key) {
    for (const SpanAttribute& one : span.attributes) {
        if (one.key != key) continue;
        const auto* number = std::get_if<std::int64_t>(&one.value);
        return number ? std::to_string(*number) : std::get<std::string>(one.value);
    }
    return "none";
}

bool is_step_of(const Span& step, const Span& root) {
    return step.trace == root.trace && step.parent == root.id && step.id != root.id &&
           step.kind == Span::Kind::internal && step.start_ns >= root.start_ns &&
           step.end_ns >= step.start_ns;
}

} // namespace

TEST_CASE("a request to produce is a span, and so is each step of it", "[server]") {
    Traced traced(3);
    Client client = traced.client();
    (void)traced.spans();
    CHECK(client.ask(produce_of(batch_of(parent)), 9).topics[0].partitions[0].base_offset == 0);
    const std::vector<Span> spans = traced.spans();
    REQUIRE(spans.size() == 5);
    const Span& root = named(spans, "produce orders");
    CHECK(root.parent == 0);
    CHECK(root.kind == Span::Kind::server);
    CHECK(told(root, "messaging.system") == "kafka");
    CHECK(told(root, "messaging.operation.name") == "produce");
    CHECK(told(root, "messaging.operation.type") == "send");
    CHECK(told(root, "messaging.destination.name") == "orders");
    CHECK(told(root, "messaging.destination.partition.id") == "0");
    CHECK(told(root, "messaging.kafka.offset") == "0");
    CHECK(told(root, "messaging.batch.message_count") == "2");
    CHECK(told(root, "pyralog.acks") == "-1");
    CHECK(root.error.empty());
    REQUIRE(root.links.size() == 1);
    CHECK(root.links[0] == *parse_traceparent(parent));
    for (const std::string name : {"append", "wait for turn", "journal sync", "replicate"})
        CHECK(is_step_of(named(spans, name), root));
    const Span& replicate = named(spans, "replicate");
    CHECK(told(replicate, "messaging.destination.partition.id") == "0");
    // What was waited for is what took the time: a disk, and a way to another node and back.
    const Span& sync = named(spans, "journal sync");
    CHECK(sync.end_ns - sync.start_ns > 0);
    CHECK(replicate.end_ns > named(spans, "append").end_ns);
    CHECK(root.end_ns >= replicate.end_ns);
    CHECK(root.end_ns - replicate.end_ns < 1'000'000);
    // Since 1970, as the world has it.
    const std::int64_t wall =
        traced.cluster.world.environment(traced.leader).clock.wall().unix_ms * 1'000'000;
    CHECK(root.start_ns <= wall);
    CHECK(root.start_ns > wall - 1'000'000'000);
}

TEST_CASE("a step shows what became of a batch, whatever its producer waited for", "[server]") {
    Traced traced(3);
    Client client = traced.client();
    (void)traced.spans();
    CHECK(client.ask(produce_of(batch_of(), 1), 9).topics[0].partitions[0].base_offset == 0);
    traced.cluster.world.run_for(100ms);
    std::vector<Span> spans = traced.spans();
    const std::int64_t answered = named(spans, "produce orders").end_ns;
    CHECK(named(spans, "journal sync").end_ns <= answered);
    CHECK(named(spans, "replicate").end_ns >= answered);
    for (const NodeId node : traced.cluster.nodes)
        if (node != traced.leader) traced.cluster.world.kill(node);
    CHECK(client.ask(produce_of(batch_of(), 1), 9).topics[0].partitions[0].error ==
          ErrorCode::none);
    CHECK(traced.spans().empty()); // It is still under way.
    REQUIRE(traced.cluster.until_asked([&] {
        spans = traced.spans();
        return !spans.empty();
    }));
    CHECK(named(spans, "produce orders").error.empty());
    CHECK(named(spans, "journal sync").error.empty());
    const Span& replicate = named(spans, "replicate");
    CHECK_FALSE(replicate.error.empty());
    CHECK(told(replicate, "error.type") == replicate.error);
}

TEST_CASE("where the leader's disk is the slowest, it is seen to be", "[server]") {
    Traced traced(3);
    Client client = traced.client();
    (void)traced.spans();
    sim::World& world = traced.cluster.world;
    world.disk(traced.leader).hang_until(world.now() + 400ms);
    CHECK(client.ask(produce_of(batch_of()), 9).topics[0].partitions[0].base_offset == 0);
    CHECK(traced.spans().empty()); // It is still under way.
    world.run_for(500ms);
    const std::vector<Span> spans = traced.spans();
    const Span& sync = named(spans, "journal sync");
    CHECK(sync.error.empty());
    CHECK(sync.end_ns - sync.start_ns > 300'000'000);
    CHECK(named(spans, "replicate").end_ns < sync.end_ns - 200'000'000);
}

TEST_CASE("a request that is refused says so, by Kafka's name", "[server]") {
    Traced traced;
    Client client = traced.client();
    (void)traced.spans();
    ProduceRequest request = produce_of(batch_of(parent));
    request.topics[0].partitions[0].index = 7;
    client.ask(request, 9);
    std::vector<Span> spans = traced.spans();
    CHECK(told(named(spans, "produce orders"), "error.type") == "UNKNOWN_TOPIC_OR_PARTITION");
    CHECK(named(spans, "append").error == "UNKNOWN_TOPIC_OR_PARTITION");
    CHECK_FALSE(has(spans, "replicate"));
    client.ask(fetch_of(100, 0), 12);
    spans = traced.spans();
    CHECK(told(named(spans, "fetch orders"), "error.type") == "OFFSET_OUT_OF_RANGE");
}

TEST_CASE("a header that is no traceparent links to nothing", "[server]") {
    Traced traced;
    Client client = traced.client();
    (void)traced.spans();
    client.ask(produce_of(batch_of("00-nonsense")), 9);
    CHECK(named(traced.spans(), "produce orders").links.empty());
}

TEST_CASE("a batch that is sent again is told as such", "[server]") {
    Traced traced;
    Client client = traced.client();
    (void)traced.spans();
    RecordBatchBuilder builder;
    const Bytes batch = builder.add({}, "value").from(4711, 0, 0).build();
    client.ask(produce_of(batch), 9);
    CHECK(has(traced.spans(), "replicate"));
    client.ask(produce_of(batch), 9);
    const std::vector<Span> spans = traced.spans();
    CHECK(told(named(spans, "append"), "pyralog.duplicate") == "1");
    CHECK(told(named(spans, "produce orders"), "messaging.kafka.offset") == "0");
    CHECK_FALSE(has(spans, "replicate"));
}

TEST_CASE("of a fetch one sees how long it waited, and how long it read", "[server]") {
    Traced traced;
    Client client = traced.client();
    client.ask(produce_of(batch_of()), 9);
    (void)traced.spans();
    client.ask(fetch_of(0, 500), 12);
    std::vector<Span> spans = traced.spans();
    CHECK(is_step_of(named(spans, "read"), named(spans, "fetch orders")));
    CHECK_FALSE(has(spans, "wait for records"));
    CHECK(told(named(spans, "fetch orders"), "messaging.kafka.offset") == "0");
    CHECK(std::stoi(told(named(spans, "fetch orders"), "pyralog.bytes")) > 61);
    client.ask(fetch_of(2, 500), 12);
    spans = traced.spans();
    const Span& root = named(spans, "fetch orders");
    const Span& waited = named(spans, "wait for records");
    CHECK(is_step_of(waited, root));
    CHECK(waited.end_ns - waited.start_ns > 400'000'000);
    CHECK(told(root, "pyralog.bytes") == "0");
    CHECK(told(root, "messaging.operation.type") == "receive");
}

TEST_CASE("a request whose client has gone is a span that says so", "[server]") {
    Traced traced;
    Client client = traced.client();
    (void)traced.spans();
    client.send(fetch_of(0, 60'000), 12);
    traced.cluster.world.run_for(100ms);
    client.hang_up();
    std::vector<Span> spans;
    REQUIRE(traced.cluster.until_asked([&] {
        spans = traced.spans();
        return !spans.empty();
    }));
    CHECK(named(spans, "fetch").error == "disconnected");
}

TEST_CASE("requests take no longer where the collector says nothing", "[server]") {
    TestCollector collector;
    collector.is_silent = true;
    Traced traced;
    collector.boot(traced.cluster.world);
    Client client = traced.client();
    for (int i = 0; i < 2000; ++i) {
        const Duration asked = traced.cluster.world.now();
        client.ask(produce_of(batch_of()), 9);
        CHECK(traced.cluster.world.now() - asked < soon);
    }
    CHECK_FALSE(collector.asked.empty());
    std::uint64_t dropped = 0;
    traced.cluster.in_node(traced.leader, [&](Node& node) {
        dropped = node.env.metrics.total("pyralog_trace_spans_dropped_total");
    });
    CHECK(dropped > 2000);
}

TEST_CASE("a node stops in order while batches are followed", "[server]") {
    Traced traced(3);
    Client client = traced.client();
    for (const NodeId node : traced.cluster.nodes)
        if (node != traced.leader) traced.cluster.world.kill(node);
    client.send(produce_of(batch_of()), 9);
    traced.cluster.world.run_for(100ms);
    traced.cluster.world.environment(traced.leader).fibers.cancel_all();
    CHECK(traced.cluster.until([&] { return !traced.cluster.world.running(traced.leader); }, 1s));
}
