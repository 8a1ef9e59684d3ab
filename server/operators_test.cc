// What tools of operators ask and do: partitions that are added, leaders that move, what lies
// where.
#include "core/wire/kafka/create_partitions.h"
#include "core/wire/kafka/describe_cluster.h"
#include "core/wire/kafka/describe_log_dirs.h"
#include "core/wire/kafka/describe_topic_partitions.h"
#include "core/wire/kafka/elect_leaders.h"
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/find_coordinator.h"
#include "core/wire/kafka/list_reassignments.h"
#include "core/wire/kafka/metadata.h"
#include "core/wire/kafka/produce.h"
#include "core/wire/record_batch.h"
#include "server/test_cluster.h"

#include <algorithm>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;
using namespace pyralog::wire::kafka;

namespace {

CreatePartitionsResponse::Topic add_partitions(Client& client,
                                               const CreatePartitionsRequest::Topic& topic,
                                               bool validate_only = false,
                                               std::int16_t version = 3) {
    CreatePartitionsRequest request;
    request.topics.push_back(topic);
    request.timeout_ms = 5000;
    request.validate_only = validate_only;
    return client.ask(request, version).topics.at(0);
}

MetadataResponse::Topic topic_of(Client& client, const std::string& name) {
    MetadataRequest request;
    request.allow_auto_topic_creation = false;
    request.topics.emplace().push_back({{}, name});
    return client.ask(request, 12).topics.at(0);
}

ErrorCode produce_one(Client& client, const std::string& topic, std::int32_t partition,
                      std::size_t size = 10) {
    ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 5000;
    wire::RecordBatchBuilder builder;
    builder.add({}, std::string(size, 'x'), 1);
    request.topics.push_back({topic, {{partition, builder.build()}}});
    return client.ask(request, 9).topics.at(0).partitions.at(0).error;
}

ElectLeadersResponse elect(Client& client,
                           std::optional<std::vector<ElectLeadersRequest::Topic>> of,
                           std::int32_t timeout_ms = 10'000, std::int16_t version = 2,
                           ElectLeadersRequest::Election kind = {}) {
    ElectLeadersRequest request;
    request.topics = std::move(of);
    request.timeout_ms = timeout_ms;
    request.election = kind;
    return client.ask(request, version);
}

DescribeTopicPartitionsResponse describe(Client& client, const std::vector<std::string>& names,
                                         std::int32_t most = 2000,
                                         std::optional<TopicPartitionsCursor> cursor = {}) {
    DescribeTopicPartitionsRequest request;
    for (const std::string& name : names) request.topics.push_back({name});
    request.partitions_max = most;
    request.cursor = std::move(cursor);
    return client.ask(request, 0);
}

} // namespace

TEST_CASE("partitions are added, and serve, and keep their places after a restart", "[server]") {
    Cluster cluster(3);
    cluster.make_topic("log", 2);
    Client client = cluster.connect(NodeId(2));
    const auto before = topic_of(client, "log").partitions;
    for (std::int16_t version = 0; version <= 3; ++version)
        CHECK(add_partitions(client, {"log", 5, {}}, true, version).error == ErrorCode::none);
    CHECK(topic_of(client, "log").partitions.size() == 2);
    CHECK(add_partitions(client, {"log", 5, {}}).error == ErrorCode::none);
    const auto after = topic_of(client, "log").partitions;
    REQUIRE(after.size() == 5);
    for (std::size_t i = 0; i < 2; ++i) CHECK(after[i].replica_nodes == before[i].replica_nodes);
    for (std::int32_t i = 0; i < 5; ++i) {
        Client leader = cluster.connect(cluster.leader_of("log", i));
        CHECK(produce_one(leader, "log", i) == ErrorCode::none);
    }
    cluster.restart(NodeId(2));
    Client again = cluster.connect(NodeId(2));
    CHECK(topic_of(again, "log").partitions.size() == 5);
}

TEST_CASE("partitions that cannot be added are refused, and the answer says why", "[server]") {
    Cluster cluster(1, [](Config& config) { config.topic.partitions_max = 4; });
    cluster.make_topic("log", 2);
    Client client = cluster.connect();
    const bool validate_only = GENERATE(false, true);
    const auto refused = [&](const CreatePartitionsRequest::Topic& topic) {
        return add_partitions(client, topic, validate_only).error;
    };
    CHECK(refused({"log", 2, {}}) == ErrorCode::invalid_partitions);
    CHECK(refused({"log", 1, {}}) == ErrorCode::invalid_partitions);
    CHECK(refused({"log", -1, {}}) == ErrorCode::invalid_partitions);
    CHECK(refused({"log", 5, {}}) == ErrorCode::invalid_partitions);
    CHECK(refused({"log", 3, {{{{1}}}}}) == ErrorCode::invalid_replica_assignment);
    CHECK(refused({"other", 3, {}}) == ErrorCode::unknown_topic_or_partition);
    FindCoordinatorRequest find;
    find.coordinator_key = "group";
    client.ask(find, 0); // Makes the topic of offsets.
    CHECK(refused({"__consumer_offsets", 100, {}}) == ErrorCode::invalid_topic);
    CreatePartitionsRequest twice;
    twice.validate_only = validate_only;
    twice.timeout_ms = 5000;
    twice.topics = {{"log", 3, {}}, {"log", 4, {}}};
    const auto told = client.ask(twice, 3);
    CHECK(told.topics.at(0).error == ErrorCode::none);
    CHECK(told.topics.at(1).error == ErrorCode::invalid_request);
}

TEST_CASE("the cluster is described to those who ask for brokers", "[server]") {
    Cluster cluster(3);
    Client client = cluster.connect();
    DescribeClusterRequest request;
    for (const std::int16_t version : {0, 1}) {
        const auto told = client.ask(request, version);
        CHECK(told.error == ErrorCode::none);
        CHECK(told.cluster_id == "pyralog");
        CHECK(told.controller_id > 0);
        CHECK(told.brokers.size() == 3);
    }
    request.endpoint_type = 2;
    CHECK(client.ask(request, 1).error == ErrorCode::unsupported_endpoint_type);
    CHECK(client.ask(ListReassignmentsRequest(), 0).topics.empty());
}

TEST_CASE("whoever is named as controller or leader is one of the brokers named", "[server]") {
    Cluster cluster(3);
    cluster.make_topic("numbers", 6);
    const std::int32_t before = cluster.connect().ask(MetadataRequest(), 12).controller_id;
    const NodeId controller(before);
    const NodeId other(before == 1 ? 2 : 1);
    Client asking = cluster.connect(other);
    cluster.world.kill(controller);
    // From before the others notice until somebody else leads.
    bool named_itself = false;
    for (int i = 0; i < 300; ++i) {
        const auto told = asking.ask(MetadataRequest(), 12);
        const auto is_up = [&](std::int32_t id) {
            return std::ranges::any_of(told.brokers,
                                       [&](const auto& b) { return b.node_id == id; });
        };
        CHECK(is_up(told.controller_id));
        for (const auto& partition : told.topics.at(0).partitions)
            CHECK((partition.leader_id == -1 || is_up(partition.leader_id)));
        named_itself = named_itself || (!is_up(before) && told.controller_id == other.value);
        cluster.world.run_for(10ms);
    }
    CHECK(named_itself);
    CHECK(asking.ask(DescribeClusterRequest(), 1).controller_id != before);
}

TEST_CASE("topics are described piece by piece, as far as fits in each", "[server]") {
    Cluster cluster(1);
    for (const char* name : {"b", "a", "c"}) cluster.make_topic(name, 3);
    Client client = cluster.connect();
    const auto all = describe(client, {});
    REQUIRE(all.topics.size() == 3);
    CHECK(all.topics[0].name == "a");
    CHECK(all.topics[2].partitions.size() == 3);
    CHECK(all.topics[2].partitions[1].index == 1);
    CHECK(all.topics[2].partitions[1].leader_id == 1);
    CHECK(all.topics[2].partitions[1].eligible_leader_replicas.has_value());
    CHECK(all.topics[2].partitions[1].last_known_elr.has_value());
    CHECK_FALSE(all.next);
    // However small the pieces: together they are the whole, each partition once.
    for (const std::int32_t most : {0, 1, 2, 3, 4, 9}) {
        std::vector<std::pair<std::string, std::int32_t>> seen;
        std::optional<TopicPartitionsCursor> cursor;
        for (int i = 0; i < 20; ++i) {
            const auto piece = describe(client, {"c", "a", "b", "a"}, most, cursor);
            for (const auto& topic : piece.topics) {
                CHECK_FALSE(topic.partitions.empty());
                for (const auto& partition : topic.partitions)
                    seen.emplace_back(*topic.name, partition.index);
            }
            cursor = piece.next;
            if (!cursor) break;
        }
        CHECK(seen.size() == 9);
        CHECK(std::is_sorted(seen.begin(), seen.end()));
    }
    const auto unknown = describe(client, {"a", "no", "a b"});
    CHECK(unknown.topics.at(0).error == ErrorCode::none);
    CHECK(unknown.topics.at(1).error == ErrorCode::invalid_topic);
    CHECK(unknown.topics.at(2).error == ErrorCode::unknown_topic_or_partition);
    CHECK(
        describe(client, {"a"}, 2000, TopicPartitionsCursor{"a", -5}).topics[0].partitions.size() ==
        3);
    CHECK(
        describe(client, {"a"}, 2000, TopicPartitionsCursor{"a", 99}).topics[0].partitions.empty());
}

TEST_CASE("what lies on a node's disk is told of its replicas, whoever leads", "[server]") {
    Cluster cluster(3);
    cluster.make_topic("log", 3, 2);
    for (std::int32_t i = 0; i < 3; ++i) {
        Client leader = cluster.connect(cluster.leader_of("log", i));
        for (int k = 0; k < 3; ++k)
            REQUIRE(produce_one(leader, "log", i, 100'000) == ErrorCode::none);
    }
    cluster.world.run_for(2s);
    std::size_t replicas = 0;
    for (const NodeId node : cluster.nodes) {
        Client client = cluster.connect(node);
        for (std::int16_t version = 0; version <= 4; ++version) {
            const auto told = client.ask(DescribeLogDirsRequest(), version);
            REQUIRE(told.results.size() == 1);
            CHECK(told.results[0].dir == "/var/lib/pyralog");
            if (version >= 4) CHECK(told.results[0].usable_bytes > 0);
            for (const auto& partition : told.results[0].topics.at(0).partitions) {
                CHECK(partition.size > 300'000);
                CHECK(partition.size < 400'000);
                CHECK(partition.offset_lag == 0);
                replicas += version == 4 ? 1 : 0;
            }
        }
        DescribeLogDirsRequest some;
        some.topics.emplace();
        some.topics->push_back({"log", {7}});
        some.topics->push_back({"other", {0}});
        CHECK(client.ask(some, 2).results.at(0).topics.empty());
    }
    CHECK(replicas == 6);
}

TEST_CASE("the first replica leads again when it is asked for, and nothing is lost", "[server]") {
    Cluster cluster(3);
    cluster.make_topic("log", 3);
    const NodeId away(2);
    cluster.world.kill(away);
    // Another one leads its partition meanwhile.
    std::int32_t moved = -1;
    Client other = cluster.connect(NodeId(1));
    for (const auto& partition : topic_of(other, "log").partitions)
        if (partition.replica_nodes.front() == away.value) moved = partition.index;
    REQUIRE(moved >= 0);
    const auto leads = [&] {
        return topic_of(other, "log").partitions.at(std::size_t(moved)).leader_id;
    };
    for (int i = 0; i < 100 && (leads() < 0 || leads() == away.value); ++i)
        cluster.world.run_for(100ms);
    REQUIRE(leads() != away.value);
    const ErrorCode down =
        elect(other, {{{"log", {moved}}}}, 1000).topics.at(0).partitions.at(0).error;
    CHECK(down == ErrorCode::preferred_leader_not_available);
    cluster.start(away);
    REQUIRE(cluster.until([&] { return cluster.all_ready(); }));
    const NodeId leader = cluster.leader_of("log", moved);
    REQUIRE(leader != away);
    Client writer = cluster.connect(leader);
    for (int i = 0; i < 5; ++i) REQUIRE(produce_one(writer, "log", moved) == ErrorCode::none);
    cluster.world.run_for(1s);

    // By whichever node it is asked for.
    Client client = cluster.connect(GENERATE(NodeId(1), NodeId(2), NodeId(3)));
    const auto told = elect(client, std::nullopt);
    REQUIRE(told.topics.size() == 1);
    REQUIRE(told.topics[0].partitions.size() == 1);
    CHECK(told.topics[0].partitions[0].index == moved);
    CHECK(told.topics[0].partitions[0].error == ErrorCode::none);
    CHECK(cluster.leader_of("log", moved) == away);
    CHECK(elect(client, std::nullopt).topics.empty());
    Client reader = cluster.connect(away);
    CHECK(produce_one(reader, "log", moved) == ErrorCode::none);
    ListOffsetsRequest request;
    request.topics.push_back({"log", {{moved, -1, ListOffsetsRequest::latest}}});
    CHECK(reader.ask(request, 7).topics.at(0).partitions.at(0).offset == 6);
}

TEST_CASE("an election that is not needed or cannot be is refused", "[server]") {
    Cluster cluster(3);
    cluster.make_topic("log", 1);
    Client client = cluster.connect();
    (void)elect(client, std::nullopt);
    const auto error = [&](const std::string& topic, std::int32_t partition,
                           ElectLeadersRequest::Election kind = {}, std::int16_t version = 2) {
        return elect(client, {{{topic, {partition}}}}, 1000, version, kind)
            .topics.at(0)
            .partitions.at(0)
            .error;
    };
    for (std::int16_t version = 0; version <= 2; ++version)
        CHECK(error("log", 0, {}, version) == ErrorCode::election_not_needed);
    CHECK(error("log", 1) == ErrorCode::unknown_topic_or_partition);
    CHECK(error("other", 0) == ErrorCode::unknown_topic_or_partition);
    const auto unclean = ElectLeadersRequest::Election::unclean;
    CHECK(error("log", 0, unclean) == ErrorCode::election_not_needed);
    const NodeId kept = cluster.leader_of("log");
    Client there = cluster.connect(kept);
    for (const NodeId node : cluster.nodes)
        if (node != kept) cluster.world.kill(node);
    cluster.world.run_for(10s);
    ElectLeadersRequest request;
    request.election = unclean;
    request.topics = {{{"log", {0}}}};
    CHECK(there.ask(request, 2).topics.at(0).partitions.at(0).error ==
          ErrorCode::eligible_leaders_not_available);
}
