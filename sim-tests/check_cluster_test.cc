// Each oracle that looks at the whole cluster has a history here in which it fires.
#include "sim-tests/check_cluster.h"

#include "sim-tests/workload.h"

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

constexpr NodeId blank{77}; // Has a disk, and nothing on it.

// Three brokers, their clients, and nobody who breaks anything but the test.
class Stage {
public:
    Stage()
        : world(plan_.seed, plan_.faults), cluster(world, plan_),
          workload_(plan_.workload, history, cluster.kafka_addresses(),
                    [&] { return world.now(); }),
          check(cluster, media, history) {
        for (const NodeId node : cluster.nodes()) {
            world.add_host(node, kafka_address_of(node).host);
            media.try_emplace(node, world.disk(node));
        }
        world.add_host(blank, "blank");
        world.set_observer([this] {
            if (!finding) finding = cluster.observe();
            if (!finding) finding = check.observe();
        });
    }
    ~Stage() {
        world.set_observer({});
        for (const NodeId node : world.nodes()) world.kill(node);
    }
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;

    // Which oracle has fired after so long.
    std::string run(Duration time) {
        if (world.now() == Duration{0}) {
            for (const NodeId node : cluster.nodes()) cluster.start(node);
            for (const Workload::Program& program : workload_.programs())
                world.boot(program.node, program.main);
        }
        world.run_until(world.now() + time, [&] { return finding.has_value(); });
        return finding ? std::string(finding->oracle) : "good";
    }

    // What is asked of this node's disk is answered by another.
    void look_elsewhere(NodeId node) {
        media.erase(node);
        media.try_emplace(node, world.disk(blank));
    }

private:
    static Plan calm_plan() {
        Plan plan = draw_plan(1);
        plan.seed = 5;
        plan.nodes = 3;
        plan.classes = {};
        plan.faults = {};
        plan.workload = {};
        plan.workload.topics.push_back({"t", 1, -1, false, false});
        return plan;
    }
    const Plan plan_ = calm_plan();

public:
    History history;
    sim::World world;
    Cluster cluster;
    std::map<NodeId, NodeMedia> media;

private:
    Workload workload_;

public:
    ClusterCheck check;
    std::optional<Finding> finding;
};

} // namespace

TEST_CASE("nothing is found in a cluster that works", "[simtest]") {
    Stage stage;
    CHECK(stage.run(3s) == "good");
    CHECK(stage.history.stored().size() > 10);
    CHECK(stage.check.elections() > 0);
}

TEST_CASE("a replica that calls durable what its disk does not have is found", "[simtest]") {
    Stage stage;
    stage.look_elsewhere(NodeId(2));
    CHECK(stage.run(3s) == oracle::durable_not_on_media);
}

TEST_CASE("an entry that is committed on too few disks is found", "[simtest]") {
    Stage stage;
    // Nothing is expected of a single damaged disk, but they count for no majority.
    for (const NodeId node : {NodeId(2), NodeId(3)}) {
        stage.look_elsewhere(node);
        stage.cluster.damage(node);
    }
    CHECK(stage.run(3s) == oracle::committed_not_durable);
}

TEST_CASE("an acknowledgement of what is on too few disks is found", "[simtest]") {
    Stage stage;
    CHECK(stage.run(1s) == "good");
    Produce produce;
    produce.partition = stage.history.partition({"t", 0});
    produce.first_number = 1;
    produce.records = 1;
    produce.batch_crc = 4711;
    produce.replicas = 3;
    const std::size_t number = stage.history.invoke(produce);
    stage.history.completed(number, stage.world.now(), Outcome::stored, 0);
    CHECK(stage.run(1s) == oracle::acknowledged_not_durable);
}

TEST_CASE("a node that refuses a disk which nobody damaged is found", "[simtest]") {
    Stage stage;
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
    CHECK(stage.cluster.lost(node) == is_told);
}

TEST_CASE("a broker that ends by itself is found, unless its device failed", "[simtest]") {
    Stage stage;
    CHECK(stage.run(1s) == "good");
    SECTION("the device failed") {
        stage.world.disk(NodeId(1)).fail_next_sync();
        CHECK(stage.run(2s) == "good");
        CHECK(!stage.cluster.running(NodeId(1)));
    }
    SECTION("what it must know cannot be opened") {
        stage.world.kill(NodeId(1));
        stage.cluster.damage(NodeId(1));
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
    Stage stage;
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

TEST_CASE("two nodes that have applied as much and store different things are found", "[simtest]") {
    Stage stage;
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
