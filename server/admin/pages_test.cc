// The pages of nodes that serve, as an operator asks for them.
#include "core/wire/kafka/produce.h"
#include "core/wire/record_batch.h"
#include "server/admin/admin.h"
#include "server/admin/observer.h"
#include "server/test_cluster.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;

namespace {

constexpr std::uint16_t admin_port = 9094;

std::function<void(Config&)> with_doors(std::function<void(Config&)> change = {}) {
    return [change = std::move(change)](Config& config) {
        config.admin.host = config.kafka.host;
        config.admin.port = admin_port;
        if (change) change(config);
    };
}

Result<HttpResponse> ask(Cluster& cluster, NodeId node, HttpRequest request) {
    Result<HttpResponse> answer = Error::unavailable;
    cluster.in_client([&](Environment& env) {
        const Deadline deadline(env.fibers, env.clock.now() + patience);
        answer = ask_admin(env.network, {kafka_address_of(node).host, admin_port}, request);
    });
    return answer;
}

std::string get(Cluster& cluster, std::string path, std::string query = {},
                NodeId node = NodeId(1)) {
    const auto answer = ask(cluster, node, {"GET", std::move(path), std::move(query)});
    REQUIRE(answer.ok());
    return answer.value().body;
}

// Writes one record; the error that the answer tells.
ErrorCode write(Cluster& cluster, NodeId node, const std::string& topic) {
    wire::RecordBatchBuilder builder;
    builder.add("key", "value", 1000);
    wire::kafka::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 5000;
    request.topics.push_back({topic, {{0, builder.build()}}});
    Client client = cluster.connect(node);
    const ErrorCode error = client.ask(request, 9).topics.at(0).partitions.at(0).error;
    client.hang_up();
    return error;
}

bool has(const std::string& text, std::string_view part) {
    if (text.find(part) != std::string::npos) return true;
    WARN("no " << part << " in " << text);
    return false;
}

} // namespace

TEST_CASE("a node that serves is ready, and each page says what it is asked", "[server]") {
    Cluster cluster(1, with_doors());
    cluster.make_topic("log", 2);
    CHECK(get(cluster, "/healthz") == "ok\n");
    CHECK(get(cluster, "/readyz") == "{\"ready\":true,\"reasons\":[]}\n");
    CHECK(get(cluster, "/v1/status") == to_json(cluster.status(NodeId(1))));
    CHECK(has(get(cluster, "/v1/cluster"), "\"nodes\":[{\"id\":1,\"address\":\"node1:9092\""));
    CHECK(has(get(cluster, "/v1/topics"), "{\"name\":\"log\",\"partitions\":2,\"replicas\":1,"
                                          "\"without_leader\":0,\"not_ok\":0,\"records\":0,"));
    CHECK(has(get(cluster, "/v1/partitions"), "{\"topic\":\"log\",\"partition\":1,"));
    CHECK(has(get(cluster, "/v1/groups"), "\"groups\":[]"));
    CHECK(has(get(cluster, "/"), "<!doctype html>"));
    for (const std::string_view path : {"/", "/console.css", "/console.js"})
        CHECK(has(get(cluster, "/"), path.substr(1)));
    const std::string metrics = get(cluster, "/metrics");
    for (const std::string_view line :
         {"\npyralog_ready 1\n", "\npyralog_partitions_led 2\n", "\npyralog_active_connections ",
          "\npyralog_records_written_total 0\n", "# TYPE pyralog_write_latency_seconds histogram\n",
          "\npyralog_partition_leader{topic=\"log\",partition=\"0\"} 1\n"})
        CHECK(has(metrics, line));
}

TEST_CASE("what cannot be asked is refused with what can", "[server]") {
    Cluster cluster(1, with_doors());
    CHECK(ask(cluster, NodeId(1), {"GET", "/etc/passwd"}).value().status == 404);
    CHECK(has(get(cluster, "/nowhere"), "GET /metrics"));
    CHECK(ask(cluster, NodeId(1), {"POST", "/metrics"}).value().status == 405);
    CHECK(ask(cluster, NodeId(1), {"GET", "/v1/stop"}).value().status == 405);
    CHECK(ask(cluster, NodeId(1), {"GET", "/v1/partitions", "topic=no"}).value().status == 404);
    CHECK(ask(cluster, NodeId(1), {"GET", "/v1/partitions", "partition=x"}).value().status == 400);
    CHECK(ask(cluster, NodeId(1), {"PUT", "/v1/log-level", "", "loud"}).value().status == 400);
}

TEST_CASE("partitions can be asked for by topic, number and state", "[server]") {
    Cluster cluster(1, with_doors());
    cluster.make_topic("a", 3);
    cluster.make_topic("b", 1);
    CHECK_FALSE(get(cluster, "/v1/partitions", "topic=b").find("\"a\"") != std::string::npos);
    CHECK(has(get(cluster, "/v1/partitions", "topic=a&partition=2"), "\"partition\":2"));
    CHECK(get(cluster, "/v1/partitions", "topic=a&partition=7") ==
          "{\"node\":1,\"partitions\":[],\"left_out\":0}\n");
    CHECK(has(get(cluster, "/v1/partitions", "limit=1"), "\"left_out\":3}"));
    CHECK(get(cluster, "/v1/partitions", "state=not-ok") ==
          "{\"node\":1,\"partitions\":[],\"left_out\":0}\n");
}

TEST_CASE("who has lost a majority is told who is missing, and since when", "[server]") {
    Cluster cluster(3, with_doors());
    cluster.make_topic("log", 1, 3);
    cluster.world.kill(NodeId(2));
    cluster.world.run_for(3s);
    const NodeId here = cluster.leader_of("log");
    CHECK(has(get(cluster, "/v1/partitions", "topic=log", here),
              "\"state\":\"under-replicated\",\"why\":\"1 of 3 replicas cannot be reached from "
              "here: node 2 since "));
    CHECK(has(get(cluster, "/metrics", "", here), "\npyralog_partitions_under_replicated 1\n"));
    CHECK(has(get(cluster, "/metrics", "", here), "\npyralog_peer_up{peer=\"2\"} 0\n"));
    const NodeId other = here == NodeId(1) ? NodeId(3) : NodeId(1);
    cluster.world.kill(other);
    cluster.world.run_for(30s);
    const std::string told = get(cluster, "/v1/partitions", "topic=log", here);
    CHECK(has(told, "\"leader\":null"));
    CHECK(has(told,
              "\"state\":\"no leader\",\"why\":\"2 of 3 replicas cannot be reached from here: "));
    CHECK(has(told, "since 3")); // The second one, for some 30 s.
    const auto ready = ask(cluster, here, {"GET", "/readyz"});
    CHECK(ready.value().status == 503);
    CHECK(has(ready.value().body, "nobody is known to lead the cluster: 2 of 3 replicas"));
    CHECK(has(get(cluster, "/metrics", "", here), "\npyralog_ready 0\n"));
    CHECK(has(get(cluster, "/metrics", "", here), "\npyralog_partitions_without_leader 1\n"));
    CHECK(ask(cluster, here, {"GET", "/healthz"}).value().status == 200);
}

TEST_CASE("a follower that can be reached and does not keep up is told after a while", "[server]") {
    Cluster cluster(3, with_doors());
    cluster.make_topic("log", 1, 3);
    const NodeId leader = cluster.leader_of("log");
    const NodeId slow = leader == NodeId(1) ? NodeId(2) : NodeId(1);
    CHECK(write(cluster, leader, "log") == ErrorCode::none);
    cluster.world.run_for(Observer::interval * 2);
    cluster.world.disk(slow).hang_until(cluster.world.now() + 60s);
    CHECK(write(cluster, leader, "log") == ErrorCode::none);
    cluster.world.run_for(behind_after / 2);
    CHECK(has(get(cluster, "/v1/partitions", "topic=log", leader), "\"state\":\"ok\""));
    cluster.world.run_for(behind_after);
    const std::string told = get(cluster, "/v1/partitions", "topic=log", leader);
    CHECK(has(told, "\"state\":\"under-replicated\",\"why\":\"node " + std::to_string(slow.value) +
                        " has not caught up for 1"));
    CHECK(has(told, ", and lacks 1 entry\""));
    const std::string metrics = get(cluster, "/metrics", "", leader);
    CHECK(has(metrics, "\npyralog_partitions_under_replicated 1\n"));
    CHECK(has(metrics, "pyralog_follower_behind_entries{topic=\"log\",partition=\"0\",follower=\"" +
                           std::to_string(slow.value) + "\"} 1\n"));
    // It knows itself what ails it.
    CHECK(has(get(cluster, "/readyz", "", slow), "the disk has not answered for "));
    cluster.world.run_for(60s);
    CHECK(has(get(cluster, "/v1/partitions", "topic=log", leader), "\"state\":\"ok\""));
}

TEST_CASE("what clients ask and are told is counted, by API and error", "[server]") {
    Cluster cluster(1, with_doors());
    cluster.make_topic("log");
    CHECK(write(cluster, NodeId(1), "log") == ErrorCode::none);
    CHECK(write(cluster, NodeId(1), "none") == ErrorCode::unknown_topic_or_partition);
    const std::string metrics = get(cluster, "/metrics");
    CHECK(has(metrics, "\npyralog_requests_total{api=\"Produce\"} 2\n"));
    CHECK(has(metrics, "\npyralog_request_errors_total{api=\"Produce\","
                       "error=\"UNKNOWN_TOPIC_OR_PARTITION\"} 1\n"));
    CHECK(has(metrics, "\npyralog_request_seconds_count{api=\"Produce\"} 2\n"));
    CHECK(has(metrics, "\npyralog_records_written_total 1\n"));
    cluster.world.run_for(Observer::interval * 2);
    const std::string history = get(cluster, "/v1/history");
    CHECK(has(history, "\"records_written\":1,"));
    CHECK(has(history, "\"errors\":1,"));
    CHECK(has(history, "\"produces\":2,"));
}

TEST_CASE("a node that recovers says so, and is healthy", "[server]") {
    Cluster cluster(1, with_doors());
    cluster.make_topic("log");
    cluster.world.kill(NodeId(1));
    cluster.world.disk(NodeId(1)).hang_until(cluster.world.now() + 30s);
    cluster.start(NodeId(1));
    const auto ready = ask(cluster, NodeId(1), {"GET", "/readyz"}).value();
    CHECK(ready.status == 503);
    CHECK(ready.body == "{\"ready\":false,\"reasons\":[\"recovery has not finished\"]}\n");
    CHECK(ask(cluster, NodeId(1), {"GET", "/healthz"}).value().status == 200);
    CHECK(ask(cluster, NodeId(1), {"GET", "/v1/topics"}).value().status == 503);
    CHECK(has(get(cluster, "/metrics"), "\npyralog_journal_rounds_total 0\n"));
    REQUIRE(cluster.until([&] { return cluster.all_ready(); }));
    CHECK(ask(cluster, NodeId(1), {"GET", "/readyz"}).value().status == 200);
}

TEST_CASE("a node that is told to stop while it recovers does", "[server]") {
    Cluster cluster(1, with_doors());
    cluster.world.kill(NodeId(1));
    cluster.world.disk(NodeId(1)).hang_until(cluster.world.now() + 30s);
    cluster.start(NodeId(1));
    CHECK(ask(cluster, NodeId(1), {"POST", "/v1/stop"}).value().status == 202);
    CHECK(cluster.until([&] { return !cluster.world.running(NodeId(1)); }));
    CHECK(cluster.world.exit_status(NodeId(1))->ok());
}

TEST_CASE("series of partitions are written up to their bound, and sums are of all", "[server]") {
    Cluster cluster(1, with_doors([](Config& config) { config.admin.series_max = 2; }));
    cluster.make_topic("log", 5);
    const std::string metrics = get(cluster, "/metrics");
    CHECK(has(metrics, "pyralog_partition_term{topic=\"log\",partition=\"1\"}"));
    CHECK(metrics.find("pyralog_partition_term{topic=\"log\",partition=\"2\"}") ==
          std::string::npos);
    CHECK(has(metrics, "\npyralog_partitions 5\n"));
    CHECK(has(metrics, "\npyralog_partitions_left_out 3\n"));
}

TEST_CASE("what another node knows can be asked of this one", "[server]") {
    Cluster cluster(3, with_doors());
    cluster.make_topic("log", 3, 3);
    CHECK(has(get(cluster, "/v1/history", "node=2"), "{\"node\":2,"));
    CHECK(has(get(cluster, "/v1/history", "node=1"), "{\"node\":1,"));
    const std::string told = get(cluster, "/v1/partitions", "topic=log&partition=1&node=3");
    CHECK(told.starts_with("{\"node\":3,\"partitions\":[{\"topic\":\"log\",\"partition\":1,"));
    CHECK(ask(cluster, NodeId(1), {"GET", "/v1/topics", "node=4"}).value().status == 404);
    CHECK(ask(cluster, NodeId(1), {"GET", "/v1/partitions", "node=2&topic=no"}).value().status ==
          404);
    // Not what changes something, and not what each node has for itself.
    for (const HttpRequest& request : {HttpRequest{"PUT", "/v1/log-level", "node=2", "debug"},
                                       HttpRequest{"POST", "/v1/stop", "node=2", ""},
                                       HttpRequest{"GET", "/metrics", "node=2", ""}})
        CHECK(ask(cluster, NodeId(1), request).value().status == 400);
    CHECK(cluster.world.environment(NodeId(2)).log.least() != Level::debug);
    cluster.world.kill(NodeId(2));
    const Duration asked = cluster.world.now();
    const auto silent = ask(cluster, NodeId(1), {"GET", "/v1/history", "node=2"});
    CHECK(silent.value().status == 503);
    CHECK(silent.value().body == "{\"error\":\"node 2 does not answer\"}\n");
    CHECK(cluster.world.now() - asked < 3s);
}

TEST_CASE("the log level can be read and changed, and is what it was after a start", "[server]") {
    Cluster cluster(1, with_doors());
    CHECK(has(get(cluster, "/v1/log-level"), "\"configured\":\"info\"}"));
    const auto set = ask(cluster, NodeId(1), {"PUT", "/v1/log-level", "", "error"});
    CHECK(set.value().status == 200);
    CHECK(get(cluster, "/v1/log-level") == "{\"level\":\"error\",\"configured\":\"info\"}\n");
    CHECK(cluster.world.environment(NodeId(1)).log.least() == Level::error);
}

TEST_CASE("the history is as long as it may be, and has a moment for each interval", "[server]") {
    Cluster cluster(1, with_doors());
    cluster.world.run_for(Observer::interval * 3);
    const std::string some = get(cluster, "/v1/history");
    CHECK(has(some, "\"interval_ms\":2000,\"moments\":[{\"at_ms\":"));
    cluster.world.run_for(Observer::interval * 200);
    const std::string all = get(cluster, "/v1/history");
    std::size_t moments = 0;
    for (auto at = all.find("at_ms"); at != std::string::npos; at = all.find("at_ms", at + 1))
        ++moments;
    CHECK(moments == Observer::moments_max);
}

TEST_CASE("a quantile lies in the bucket that has it", "[server]") {
    Metrics::Histogram::Buckets buckets{};
    CHECK(quantile(buckets, 500) == 0);
    buckets[3] = 4; // 4 to 8
    CHECK(quantile(buckets, 500) == 6);
    CHECK(quantile(buckets, 1000) == 8);
    CHECK(quantile(buckets, 0) == 5);
    buckets[10] = 4; // 512 to 1024
    CHECK(quantile(buckets, 500) == 8);
    CHECK(quantile(buckets, 750) == 768);
    CHECK(quantile(buckets, 990) == 1024);
}
