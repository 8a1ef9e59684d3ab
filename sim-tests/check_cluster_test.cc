// Each oracle that looks at the whole cluster has a history here in which it fires.
#include "sim-tests/calm_cluster.h"

#include <catch2/catch.hpp>

namespace pyralog::simtest {

TEST_CASE("nothing is found in a cluster that works", "[simtest]") {
    CalmCluster stage;
    CHECK(stage.run(3s) == "good");
    CHECK(stage.history.stored().size() > 10);
    CHECK(stage.check.elections() > 0);
}

TEST_CASE("a replica that calls durable what its disk does not have is found", "[simtest]") {
    CalmCluster stage;
    stage.look_elsewhere(NodeId(2));
    CHECK(stage.run(3s) == oracle::durable_not_on_media);
}

TEST_CASE("an entry that is committed on too few disks is found", "[simtest]") {
    CalmCluster stage;
    // Nothing is expected of a single damaged disk, but they count for no majority.
    for (const NodeId node : {NodeId(2), NodeId(3)}) {
        stage.look_elsewhere(node);
        stage.cluster.damage(node);
    }
    CHECK(stage.run(3s) == oracle::committed_not_durable);
}

TEST_CASE("a disk that in the end holds something else is found", "[simtest]") {
    CalmCluster stage;
    CHECK(stage.run(3s) == "good");
    // At a moment at which nothing is on its way.
    for (int i = 0; i < 10'000 && !stage.check.settled(); ++i) stage.run(100us);
    REQUIRE(stage.check.settled());
    CHECK_FALSE(stage.check.compare_prefixes());
    stage.look_elsewhere(NodeId(2));
    const auto finding = stage.check.compare_prefixes();
    REQUIRE(finding);
    CHECK(finding->oracle == oracle::prefixes_differ);
}

TEST_CASE("an acknowledgement of what is on too few disks is found", "[simtest]") {
    CalmCluster stage;
    CHECK(stage.run(1s) == "good");
    Produce produce;
    produce.partition = stage.history.partition({"t", 0});
    produce.first_number = 1;
    produce.records = 1;
    produce.batch_crc = 4711;
    produce.replicas = 3;
    const std::size_t number = stage.history.invoke(produce);
    stage.history.completed(number, stage.world.now(), Outcome::stored, 0);
    // Unless it is gone because the topic is, of which nothing is expected.
    const std::string deleted = GENERATE("", "another", "t");
    stage.check.on_deleted([deleted](const std::string& topic) { return topic == deleted; });
    CHECK(stage.run(1s) == (deleted == "t" ? "good" : oracle::acknowledged_not_durable));
}

TEST_CASE("a node that gives up a disk which nobody damaged is found", "[simtest]") {
    CalmCluster stage;
    CHECK(stage.run(3s) == "good");
    const bool is_told = GENERATE(false, true);
    const NodeId node(1);
    if (is_told) stage.cluster.damage(node);
    // A header of the journal is durable before the file has its name.
    const auto names = stage.world.disk(node).durable_list("journal");
    REQUIRE(names);
    for (const std::string& name : *names)
        (void)stage.world.disk(node).rot("journal/" + name, 16, std::byte{1});
    stage.world.kill(node);
    stage.cluster.start(node);
    CHECK(stage.run(3s) == (is_told ? "good" : oracle::refused_recovery));
    CHECK(stage.world.disk(node).durable_list("set-aside").has_value());
}

TEST_CASE("a broker that ends by itself is found, unless its device failed", "[simtest]") {
    CalmCluster stage;
    CHECK(stage.run(1s) == "good");
    SECTION("the device failed") {
        stage.world.disk(NodeId(1)).fail_next_sync();
        CHECK(stage.run(2s) == "good");
        CHECK(!stage.cluster.running(NodeId(1)));
    }
    SECTION("what it must know cannot be opened") {
        stage.world.kill(NodeId(1));
        stage.cluster.damage(NodeId(1));
        stage.world.disk(NodeId(1)).lose_all(); // Without a loss it would be no excuse.
        stage.world.facts(NodeId(1)).damage();
        stage.cluster.start(NodeId(1));
        CHECK(stage.run(2s) == "good");
        CHECK(stage.cluster.lost(NodeId(1)));
    }
    SECTION("nothing explains it") {
        const Result<> end = GENERATE(Result<>(), Result<>(Error::timed_out));
        stage.world.kill(NodeId(1));
        stage.world.boot(NodeId(1), [end](Environment&) { return end; });
        CHECK(stage.run(1s) == oracle::broker_ended);
    }
}

TEST_CASE("a node that recovers less than its disk had is found", "[simtest]") {
    CalmCluster stage;
    CHECK(stage.run(3s) == "good");
    const NodeId node(1);
    // The oracle sees another node's disk when this one starts, and its own from then on.
    NodeMedia::Entries fuller = stage.media.at(node).entries(GroupId(0));
    stage.world.kill(node);
    CHECK(!fuller.empty());
    const Position end{fuller.rbegin()->first + 1, fuller.rbegin()->second.first.offset};
    fuller.emplace(end.index, NodeMedia::Entry{Term(1), end, 0, 0, 0});
    stage.cluster.start(node);
    stage.check.promise(node, {{GroupId(0), fuller}});
    CHECK(stage.run(3s) == oracle::recovered_less);
}

TEST_CASE("a replica that tells less than it told before is found", "[simtest]") {
    CalmCluster stage;
    CHECK(stage.run(2s) == "good");
    const NodeId node(2);
    const raft::Host* const host = stage.cluster.host(node);
    REQUIRE(host != nullptr);
    const auto& [id, group] = *host->groups().rbegin();
    const Position told = group->committed();
    const Position start = group->log().start();
    const auto more = [](Position than) { return Position{than.index + 1000, than.offset + 1000}; };
    SECTION("it is what it told") {
        stage.check.recall(node, id, told, start);
        CHECK(stage.run(1s) == "good");
    }
    SECTION("of what is committed") {
        stage.check.recall(node, id, more(told), start);
        CHECK(stage.run(1s) == oracle::went_back);
    }
    SECTION("of what is committed, but it has been started anew") {
        stage.check.recall(node, id, more(told), start);
        stage.world.kill(node);
        stage.cluster.start(node);
        CHECK(stage.run(1s) == "good");
    }
    SECTION("of where the log starts") {
        stage.check.recall(node, id, told, {start.index + 1, start.offset + 1});
        CHECK(stage.run(1s) == oracle::went_back);
    }
    SECTION("of where the log starts, but it has been started anew") {
        stage.check.recall(node, id, told, {start.index + 1, start.offset + 1});
        stage.world.kill(node);
        stage.cluster.start(node);
        CHECK(stage.run(1s) == "good");
    }
}

TEST_CASE("replicas that remember different things of their producers are found", "[simtest]") {
    Plan plan = CalmCluster::calm_plan(5);
    plan.workload.repeaters = 1;
    plan.config.log.segment_flush_bytes = 4_KiB;
    CalmCluster stage(plan);
    CHECK(stage.run(3s) == "good");
    const auto settle = [&] {
        for (int i = 0; i < 10'000 && !stage.check.settled(); ++i) stage.run(100us);
        REQUIRE(stage.check.settled());
        return stage.check.compare_prefixes();
    };
    CHECK_FALSE(settle());
    const NodeId node(2);
    const auto& [id, group] = *stage.cluster.host(node)->groups().rbegin();
    CHECK_FALSE(group->producers()->all().empty());
    // It has stored a producer that there never was, for when it starts again.
    const std::string key = "producers/" + std::to_string(id.value);
    const wire::ProducerTable table{
        group->committed(), false, {{4711, 0, 0, 0, {{0, 0, Offset(0)}}}}, {}};
    stage.world.kill(node);
    stage.world.boot(node, [key, table](Environment& env) {
        CHECK(env.kv.open().ok());
        CHECK(env.kv.commit(KvStore::Batch().put(key, wire::encode(table).text())).ok());
    });
    stage.run(100ms);
    stage.finding.reset();
    stage.cluster.start(node);
    CHECK(stage.run(3s) == "good");
    const auto finding = settle();
    REQUIRE(finding);
    CHECK(finding->oracle == oracle::producers_differ);
}

TEST_CASE("two nodes that have applied as much and store different things are found", "[simtest]") {
    CalmCluster stage;
    CHECK(stage.run(2s) == "good");
    const NodeId node(2);
    const auto facts = stage.world.facts(node).durable();
    REQUIRE(facts.contains("controller/applied"));
    stage.world.kill(node);
    stage.world.boot(node, [](Environment& env) {
        CHECK(env.kv.open().ok());
        CHECK(env.kv.commit(KvStore::Batch().put("catalogue/topic/x", "y")).ok());
    });
    CHECK(stage.run(1s) == oracle::catalogues_differ);
}

} // namespace pyralog::simtest
