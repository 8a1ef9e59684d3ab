#include "sim-tests/atlas.h"
#include "sim-tests/nemesis.h"
#include "sim-tests/run.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::simtest;

namespace {

Plan plan_of(int nodes) {
    Plan plan;
    plan.nodes = nodes;
    return plan;
}

// How many of the nodes an atlas lets be damaged.
std::size_t damages(const Plan& plan) {
    sim::World world(1);
    Cluster cluster(world, plan);
    const Atlas atlas(cluster, plan);
    std::size_t damaged = 0;
    for (const NodeId node : cluster.nodes()) {
        if (!atlas.allows(node)) continue;
        cluster.damage(node);
        ++damaged;
        CHECK(atlas.allows(node)); // It is gone already.
    }
    return damaged;
}

} // namespace

TEST_CASE("damage strikes at most a minority of the copies of anything", "[simtest]") {
    CHECK(damages(plan_of(1)) == 0);
    CHECK(damages(plan_of(2)) == 0);
    CHECK(damages(plan_of(3)) == 1);
    CHECK(damages(plan_of(4)) == 1);
    CHECK(damages(plan_of(5)) == 1); // Topics have three copies.
    Plan five = plan_of(5);
    five.config.topic.replication_factor = 5;
    CHECK(damages(five) == 2);
    five.workload.topics.resize(1);
    five.workload.topics[0].replication = -1;
    CHECK(damages(five) == 2);
    five.workload.topics[0].replication = 4;
    CHECK(damages(five) == 1);
    five.workload.topics[0].replication = 2;
    CHECK(damages(five) == 0);
}

TEST_CASE("without a limit every disk may be damaged", "[simtest]") {
    Plan plan = plan_of(3);
    plan.unlimited_damage = true;
    CHECK(damages(plan) == 3);
}

// All kinds of damage, on all disks, again and again: refusing is right, lying is not.
TEST_CASE("a cluster whose disks are all damaged refuses, and never lies", "[simtest]") {
    sim::FaultCounts counts;
    std::uint64_t read = 0;
    for (std::uint64_t seed = 1; seed <= 16; ++seed) {
        Plan plan = draw_plan(seed);
        plan.nodes = 3;
        plan.config.topic.replication_factor = 0;
        for (TopicPlan& topic : plan.workload.topics) topic.replication = -1;
        plan.classes.fill(false);
        plan.classes[static_cast<std::size_t>(FaultClass::rot)] = true;
        plan.classes[static_cast<std::size_t>(FaultClass::power_cuts)] = true;
        plan.unlimited_damage = true;
        plan.nemesis = {};
        plan.nemesis.rot = 1200ms; // So that there is something to be damaged, and read.
        plan.nemesis.power_cuts = 1s;
        plan.length = 8s;
        const RunResult result = run_plan(plan);
        INFO("seed " << seed << (result.finding ? ": " + result.finding->detail : ""));
        CHECK(result.verdict == Verdict::pass);
        counts.add(result.counts);
        read += result.read;
    }
    CHECK(read > 0);
    for (const sim::Fault fault :
         {sim::Fault::rot, sim::Fault::unreadable_sector, sim::Fault::lost_write,
          sim::Fault::misdirected_write, sim::Fault::late_sync_error}) {
        INFO(to_string(fault));
        CHECK(counts.fired(fault) > 0);
    }
}
