#include "server/native/native.h"
#include "server/test_cluster.h"

#include <algorithm>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;

namespace {

using NewRecord = Native::NewRecord;

constexpr std::size_t native_plenty = 1_MiB;

NewRecord valued(std::string_view value) {
    NewRecord record;
    record.value = value;
    return record;
}

// What went wrong; nothing if nothing did.
template <class T>
std::optional<NativeFailure> failure_in(const NativeResult<T>& result) {
    if (const auto* const failure = std::get_if<NativeFailure>(&result)) return *failure;
    return {};
}

NativeResult<Native::Written> native_produce(Cluster& cluster, NodeId at,
                                             const Native::Partition& to,
                                             std::vector<NewRecord> records, Duration within = 5s) {
    NativeResult<Native::Written> done;
    cluster.in_node(at, [&](Node& node) {
        done = Native(node).produce(to, records, node.env.clock.now() + within);
    });
    return done;
}

NativeResult<Native::Fetched> native_fetch(Cluster& cluster, NodeId at,
                                           const Native::Partition& from, std::int64_t offset,
                                           Duration within = {}) {
    NativeResult<Native::Fetched> got;
    cluster.in_node(at, [&](Node& node) {
        got =
            Native(node).fetch(from, Offset(offset), native_plenty, node.env.clock.now() + within);
    });
    return got;
}

} // namespace

TEST_CASE("records come out as they went in", "[native]") {
    Cluster cluster;
    NewRecord full;
    full.key = "key";
    full.value = "value";
    full.timestamp_ms = 1'700'000'000'000;
    full.headers = {{"h", Bytes::copy_of("x")}, {"none", {}}};
    NewRecord deleting;
    deleting.key = "key";
    const NodeId node(1);
    CHECK(std::get<Native::Written>(native_produce(cluster, node, {"log", 0}, {full, deleting}))
              .offset == Offset(0));
    CHECK(std::get<Native::Written>(native_produce(cluster, node, {"log", 0}, {valued("next")}))
              .offset == Offset(2));
    const auto got = std::get<Native::Fetched>(native_fetch(cluster, node, {"log", 0}, 0));
    REQUIRE(got.records.size() == 3);
    CHECK(got.next == Offset(3));
    CHECK(got.end == Offset(3));
    const wire::Record& first = got.records[0];
    CHECK(first.offset == Offset(0));
    CHECK(first.timestamp == full.timestamp_ms);
    CHECK(first.key->text() == "key");
    CHECK(first.value->text() == "value");
    REQUIRE(first.headers.size() == 2);
    CHECK(first.headers[0].key == "h");
    CHECK(first.headers[0].value->text() == "x");
    CHECK(!first.headers[1].value);
    CHECK(got.records[1].key->text() == "key");
    CHECK(!got.records[1].value);
    CHECK(got.records[1].timestamp > full.timestamp_ms); // The node's own time.
    CHECK(!got.records[2].key);
    cluster.in_node(node, [&](Node& inside) {
        const auto bounds = std::get<Native::Bounds>(Native(inside).bounds({"log", 0}));
        CHECK(bounds.start == Offset(0));
        CHECK(bounds.end == Offset(3));
    });
}

TEST_CASE("each mistake has an error of its own", "[native]") {
    Cluster cluster;
    const NodeId node(1);
    cluster.make_topic("log");
    const auto error = [](const auto& result) { return failure_in(result)->error; };
    const auto message = [](const auto& result) { return failure_in(result)->message; };

    const auto no_partition = native_produce(cluster, node, {"log", 4}, {valued("x")});
    CHECK(error(no_partition) == NativeError::partition_not_found);
    CHECK(message(no_partition) == "partition not found: log/4");
    CHECK(error(native_fetch(cluster, node, {"nowhere", 0}, 0)) ==
          NativeError::partition_not_found);

    const auto beyond = native_fetch(cluster, node, {"log", 0}, 17);
    CHECK(error(beyond) == NativeError::invalid_offset);
    CHECK(message(beyond) == "invalid offset: 17");

    CHECK(error(native_produce(cluster, node, {"log", 0}, {})) == NativeError::invalid_request);
    const std::string large(cluster.config(node).topic.message_bytes_max, 'x');
    CHECK(error(native_produce(cluster, node, {"log", 0}, {valued(large)})) ==
          NativeError::invalid_request);
    CHECK(error(native_produce(cluster, node, {"no good name!", 0}, {valued("x")})) ==
          NativeError::partition_not_found);
    cluster.in_node(node, [&](Node& inside) {
        CHECK(error(Native(inside).partitions("nowhere")) == NativeError::partition_not_found);
        CHECK(std::get<std::vector<Native::Led>>(Native(inside).partitions("log")).at(0).leader ==
              node);
    });
}

TEST_CASE("a topic is made on the way only where the node does that for others", "[native]") {
    const auto made = [](bool auto_create) {
        Cluster cluster(1, [&](Config& config) { config.topic.auto_create = auto_create; });
        return failure_in(native_produce(cluster, NodeId(1), {"new", 0}, {valued("x")}));
    };
    CHECK(!made(true));
    REQUIRE(made(false));
    CHECK(made(false)->error == NativeError::partition_not_found);
}

TEST_CASE("who reads at the end is answered when something comes, or when his time is up",
          "[native]") {
    Cluster cluster;
    const NodeId node(1);
    cluster.make_topic("log");
    const auto none = std::get<Native::Fetched>(native_fetch(cluster, node, {"log", 0}, 0, 1s));
    CHECK(none.records.empty());
    CHECK(none.next == Offset(0));
    std::optional<NativeResult<Native::Fetched>> got;
    cluster.begin_in_node(node, [&](Node& inside) {
        got =
            Native(inside).fetch({"log", 0}, Offset(0), native_plenty, inside.env.clock.now() + 1h);
    });
    cluster.world.run_for(moment);
    CHECK(!got);
    CHECK(!failure_in(native_produce(cluster, node, {"log", 0}, {valued("x")})));
    REQUIRE(cluster.until([&] { return got.has_value(); }, soon));
    CHECK(std::get<Native::Fetched>(*got).records.size() == 1);
}

TEST_CASE("who asks another node is told who leads", "[native]") {
    Cluster cluster(3);
    cluster.make_topic("log");
    const NodeId leader = cluster.leader_of("log");
    const NodeId other = leader == NodeId(1) ? NodeId(2) : NodeId(1);
    const auto written = failure_in(native_produce(cluster, other, {"log", 0}, {valued("x")}));
    REQUIRE(written);
    CHECK(written->error == NativeError::not_leader);
    CHECK(written->leader == leader);
    const auto read = failure_in(native_fetch(cluster, other, {"log", 0}, 0));
    REQUIRE(read);
    CHECK(read->error == NativeError::not_leader);
    CHECK(read->leader == leader);
}

TEST_CASE("without a majority it is said if something may have been written", "[native]") {
    Cluster cluster(3);
    cluster.make_topic("log");
    const NodeId leader = cluster.leader_of("log");
    for (const NodeId node : cluster.nodes)
        if (node != leader) cluster.world.kill(node);
    const auto open = failure_in(native_produce(cluster, leader, {"log", 0}, {valued("x")}, 300ms));
    REQUIRE(open);
    CHECK(open->error == NativeError::unknown_outcome);
    cluster.world.run_for(patience); // It gives up being a leader.
    const auto refused = failure_in(native_produce(cluster, leader, {"log", 0}, {valued("x")}));
    REQUIRE(refused);
    CHECK(refused->error == NativeError::quorum_not_available);
}

TEST_CASE("who means an epoch writes in none that is newer", "[native]") {
    Cluster cluster(3);
    cluster.make_topic("log");
    const auto write = [&](std::optional<Term> epoch) {
        NativeResult<Native::Written> done;
        cluster.in_node(cluster.leader_of("log"), [&](Node& node) {
            const std::vector<NewRecord> records{valued("x")};
            done = Native(node).produce({"log", 0}, records, node.env.clock.now() + 5s, epoch);
        });
        return done;
    };
    const Term first = std::get<Native::Written>(write({})).epoch;
    CHECK(std::get<Native::Written>(write(first)).offset == Offset(1));
    const auto too_early = failure_in(write(first.next()));
    REQUIRE(too_early);
    CHECK(too_early->error == NativeError::quorum_not_available);
    cluster.restart(cluster.leader_of("log"));
    const auto refused = failure_in(write(first));
    REQUIRE(refused);
    CHECK(refused->error == NativeError::epoch_sealed);
    CHECK(refused->message == "epoch sealed: " + std::to_string(first.value));
    const auto later = std::get<Native::Written>(write({}));
    CHECK(later.offset == Offset(2));
    CHECK(later.epoch > first);
}
