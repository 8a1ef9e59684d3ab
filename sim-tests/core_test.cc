#include "sim-tests/core.h"

#include "sim-tests/calm_cluster.h"

#include <algorithm>

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

std::vector<NodeId> nodes_up_to(int last) {
    std::vector<NodeId> nodes;
    for (int id = 1; id <= last; ++id) nodes.push_back(NodeId(id));
    return nodes;
}

} // namespace

TEST_CASE("every group has a majority in every core, and cores differ", "[simtest]") {
    sim::World world(1);
    const std::vector<NodeId> all = nodes_up_to(5);
    const std::map<GroupId, raft::Members> groups{
        {GroupId(0), {all, {}, {}}},
        {GroupId(1), {{NodeId(2), NodeId(3), NodeId(4)}, {}, {}}},
        {GroupId(2), {{NodeId(5)}, {}, {}}},
    };
    std::set<std::vector<NodeId>> drawn;
    for (int i = 0; i < 200; ++i) {
        sim::Dice dice = world.dice("core " + std::to_string(i));
        std::vector<NodeId> core = draw_core(dice, all, all, groups);
        CHECK(core.size() >= 3);
        CHECK(has_majorities(core, groups));
        CHECK(std::ranges::find(core, NodeId(5)) != core.end());
        drawn.insert(std::move(core));
    }
    CHECK(drawn.size() > 5);
    CHECK(!has_majorities(nodes_up_to(4), groups));
}

TEST_CASE("a frozen node is what its fate says, until it is released", "[simtest]") {
    const auto fate = static_cast<Fate>(GENERATE(range(0, static_cast<int>(Fate::count_))));
    INFO(to_string(fate));
    CalmCluster calm;
    REQUIRE(calm.run(2s) == "good");
    const NodeId node(3);
    const std::vector<NodeId> core = nodes_up_to(2);
    sim::Fabric& network = calm.world.network();
    const Duration until = calm.world.now() + 20s;
    freeze(calm.cluster, node, fate, core, until);
    REQUIRE(calm.run(5s) == "good");
    // What it hears, what it says, and what its disk takes.
    const auto look = [&] {
        return std::array{
            network.bytes_delivered(core[0], node) + network.bytes_delivered(core[1], node),
            network.bytes_delivered(node, core[0]) + network.bytes_delivered(node, core[1]),
            calm.world.disk(node).generation()};
    };
    const auto change = [&](Duration time) {
        const auto before = look();
        REQUIRE(calm.run(time) == "good");
        const auto after = look();
        return std::array{after[0] > before[0], after[1] > before[1], after[2] > before[2]};
    };
    const auto now = change(5s);
    switch (fate) {
    case Fate::well: CHECK(now == std::array{true, true, true}); break;
    case Fate::down:
        CHECK(!calm.cluster.running(node));
        CHECK(now == std::array{false, false, false});
        break;
    case Fate::paused:
        CHECK(now[1] == false);
        CHECK(now[2] == false);
        break;
    case Fate::deaf: CHECK(now[0] == false); break;
    case Fate::mute: CHECK(now[1] == false); break;
    case Fate::cut_off:
        CHECK(now[0] == false);
        CHECK(now[1] == false);
        break;
    case Fate::unreachable: {
        CHECK(now[1] == true); // It calls them,
        bool answered = true;  // and they do not reach it.
        calm.world.kill(core[0]);
        calm.world.boot(core[0], [&](Environment& env) {
            const Deadline patience(env.fibers, env.clock.now() + 2s);
            answered = env.network.connect(peer_address_of(node)).ok();
        });
        calm.world.run_for(3s);
        CHECK(!answered);
        return;
    }
    case Fate::hung_disk: CHECK(now[2] == false); break;
    case Fate::count_: FAIL();
    }
    // The core goes on without it.
    const std::size_t stored = calm.history.stored().size();
    REQUIRE(calm.run(8s) == "good");
    CHECK(calm.history.stored().size() > stored);
    release(calm.cluster);
    calm.cluster.start(node);
    REQUIRE(calm.run(10s) == "good");
    CHECK(change(10s) == std::array{true, true, true});
}

} // namespace pyralog::simtest
