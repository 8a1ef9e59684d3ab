#include "sim-tests/prober.h"

#include "server/catalogue.h"
#include "sim-tests/ambush.h"
#include "sim-tests/calm_cluster.h"

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

constexpr NodeId prober_node{first_client.value + 800};

Prober prober_of(CalmCluster& calm) {
    std::vector<sim::Dice> dice;
    for (const NodeId node : calm.cluster.nodes())
        dice.push_back(calm.world.dice("prober/" + std::to_string(node.value)));
    return Prober(
        prober_node, {{"t", 0}}, calm.history, calm.cluster.kafka_addresses(),
        [&calm] { return calm.world.now(); }, std::move(dice));
}

NodeId leader_of_topic(CalmCluster& calm) {
    for (const NodeId node : calm.cluster.nodes())
        if (const raft::Host* host = calm.cluster.host(node))
            for (const auto& [id, group] : host->groups())
                if (id != GroupId(0) && group->serves()) return node;
    return {};
}

FaultClass drawn_class() {
    return GENERATE(FaultClass::pauses, FaultClass::slow_disks, FaultClass::power_cuts,
                    FaultClass::partitions);
}

} // namespace

TEST_CASE("a prober asks all brokers, and most of all when it is excited", "[simtest]") {
    CalmCluster calm;
    Prober prober = prober_of(calm);
    REQUIRE(calm.run(2s) == "good");
    calm.world.boot(prober_node, [&](Environment& env) { prober.run(env); });
    REQUIRE(calm.run(2s) == "good");
    const std::uint64_t calmly = prober.asked();
    CHECK(calmly > 10);
    CHECK(prober.answered() > 3);
    CHECK(!calm.history.ends().empty());
    prober.excite(calm.world.now() + 50ms, 1ms);
    REQUIRE(calm.run(100ms) == "good");
    CHECK(prober.asked() > calmly + 50);
    CHECK(!check_history(calm.history));
    calm.world.kill(prober_node);
}

TEST_CASE("what is asked of a leader that stands still is answered when it wakes up", "[simtest]") {
    CalmCluster calm;
    Prober prober = prober_of(calm);
    REQUIRE(calm.run(2s) == "good");
    calm.world.boot(prober_node, [&](Environment& env) { prober.run(env); });
    REQUIRE(calm.run(2s) == "good");
    const NodeId leader = leader_of_topic(calm);
    REQUIRE(leader != NodeId());
    const Duration paused = calm.world.now();
    calm.world.pause(leader, paused + 100ms);
    prober.excite(paused + 100ms, 1ms);
    REQUIRE(calm.run(500ms) == "good");
    const auto waited = [&](const EndAsked& end) {
        return end.invoked > paused && end.invoked < paused + 90ms &&
               end.completed > paused + 100ms;
    };
    CHECK(std::ranges::any_of(calm.history.ends(), waited));
    calm.world.kill(prober_node);
}

TEST_CASE("an ambush strikes behind what a replica has done, with the faults of its run",
          "[simtest]") {
    const FaultClass fault_class = drawn_class();
    INFO(to_string(fault_class));
    std::uint64_t struck = 0;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        CalmCluster calm(seed);
        calm.plan.classes[static_cast<std::size_t>(fault_class)] = true;
        Ambush ambush(calm.cluster, calm.plan, nullptr);
        REQUIRE(calm.run(1s) == "good");
        for (int i = 0; i < 200; ++i) {
            const NodeId leader = leader_of_topic(calm);
            if (leader == NodeId()) {
                (void)calm.run(20ms);
                continue;
            }
            const GroupId group = server::controller_group;
            ambush.notice({Moment::What::votes, leader, group});
            ambush.notice({Moment::What::appends, leader, group});
            (void)calm.run(20ms);
        }
        CHECK(!calm.finding);
        ambush.stop();
        const sim::FaultCounts& counts = calm.world.counts();
        struck += counts.fired(fault_class == FaultClass::pauses       ? sim::Fault::pause
                               : fault_class == FaultClass::slow_disks ? sim::Fault::hung_disk
                               : fault_class == FaultClass::partitions ? sim::Fault::partition
                                                                       : sim::Fault::power_cut);
        CHECK((counts.fired(sim::Fault::pause) == 0 || fault_class == FaultClass::pauses));
        CHECK((counts.fired(sim::Fault::power_cut) == 0 || fault_class == FaultClass::power_cuts));
        CHECK((counts.fired(sim::Fault::partition) == 0 || fault_class == FaultClass::partitions));
    }
    CHECK(struck > 0);
}

} // namespace pyralog::simtest
