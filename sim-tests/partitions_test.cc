// What each shape of partition cuts and what it leaves, and that what is cut is silent.
#include "sim-tests/partitions.h"

#include "io/sim/world.h"
#include "sim-tests/nemesis_dice.h"

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

Scene scene_of(int brokers, int clients, int leader = 0) {
    Scene scene;
    for (int id = 1; id <= brokers; ++id) scene.brokers.push_back(NodeId(id));
    for (int id = 0; id < clients; ++id) scene.clients.push_back(NodeId(1000 + id));
    if (leader > 0) scene.leader = NodeId(leader);
    return scene;
}

// Of links between brokers only.
struct Cut {
    Cut(sim::Links cut, const Scene& of) : links(std::move(cut)), scene(of) {}
    bool cuts(NodeId from, NodeId to) const { return links.contains({from, to}); }
    bool cuts_both(NodeId a, NodeId b) const { return cuts(a, b) && cuts(b, a); }
    bool cuts_neither(NodeId a, NodeId b) const { return !cuts(a, b) && !cuts(b, a); }
    std::set<NodeId> heard_by(NodeId to) const {
        std::set<NodeId> heard;
        for (const NodeId from : scene.brokers)
            if (!cuts(from, to)) heard.insert(from);
        return heard;
    }
    std::set<NodeId> hearing(NodeId from) const {
        std::set<NodeId> hearing;
        for (const NodeId to : scene.brokers)
            if (!cuts(from, to)) hearing.insert(to);
        return hearing;
    }
    bool is_symmetric() const {
        return std::ranges::all_of(links,
                                   [&](const auto& link) { return cuts(link.second, link.first); });
    }
    sim::Links links;
    const Scene& scene;
};

template <class Check>
void for_many(Shape shape, int brokers_least, Check check) {
    int cuts = 0;
    for (int brokers = brokers_least; brokers <= 7; ++brokers)
        for (std::uint64_t seed = 0; seed < 40; ++seed) {
            const Scene scene =
                scene_of(brokers, static_cast<int>(seed % 4), 1 + int(seed) % brokers);
            if (!is_possible(shape, scene)) continue;
            sim::Choices choices(seed);
            sim::Dice dice(choices, "test");
            const Cut cut(draw_cut(shape, scene, dice), scene);
            INFO("brokers " << brokers << " seed " << seed);
            check(cut);
            for (const auto& [from, to] : cut.links) CHECK(from != to);
            cuts += cut.links.empty() ? 0 : 1;
        }
    CHECK(cuts > 40);
}

std::set<NodeId> all_of(const Scene& scene) { return {scene.brokers.begin(), scene.brokers.end()}; }

} // namespace

TEST_CASE("a split leaves two sides, each whole", "[simtest]") {
    for_many(Shape::split, 2, [](const Cut& cut) {
        CHECK(cut.is_symmetric());
        const std::set<NodeId> side = cut.heard_by(NodeId(1));
        CHECK(side.size() < cut.scene.brokers.size());
        for (const NodeId node : cut.scene.brokers) {
            const std::set<NodeId> heard = cut.heard_by(node);
            for (const NodeId other : cut.scene.brokers)
                CHECK(side.contains(other) == (heard.contains(other) == side.contains(node)));
        }
    });
}

TEST_CASE("a one-way split silences one side for the other, and not the reverse", "[simtest]") {
    for_many(Shape::one_way, 2, [](const Cut& cut) {
        std::set<NodeId> from, to;
        for (const auto& [a, b] : cut.links) {
            from.insert(a);
            to.insert(b);
        }
        for (const NodeId a : from) {
            CHECK(!to.contains(a));
            for (const NodeId b : to) CHECK(cut.cuts(a, b) == (a.value < 1000 || b.value < 1000));
        }
    });
}

TEST_CASE("across a bridge two sides hear one node and not each other", "[simtest]") {
    for_many(Shape::bridge, 3, [](const Cut& cut) {
        CHECK(cut.is_symmetric());
        const auto bridge = std::ranges::find_if(cut.scene.brokers, [&](NodeId node) {
            return cut.heard_by(node) == all_of(cut.scene);
        });
        REQUIRE(bridge != cut.scene.brokers.end());
        int parts = 0;
        for (const NodeId node : cut.scene.brokers)
            parts += cut.heard_by(node) != all_of(cut.scene) ? 1 : 0;
        CHECK(parts == static_cast<int>(cut.scene.brokers.size()) - 1);
    });
}

TEST_CASE("in a ring each broker hears its two neighbours", "[simtest]") {
    for_many(Shape::ring, 4, [](const Cut& cut) {
        CHECK(cut.is_symmetric());
        for (const NodeId node : cut.scene.brokers) CHECK(cut.heard_by(node).size() == 3);
    });
}

TEST_CASE("in a majority ring each broker hears a majority, and no two the same", "[simtest]") {
    for_many(Shape::majority_ring, 3, [](const Cut& cut) {
        std::set<std::set<NodeId>> majorities;
        for (const NodeId node : cut.scene.brokers) {
            const std::set<NodeId> heard = cut.heard_by(node);
            CHECK(heard.size() == cut.scene.brokers.size() / 2 + 1);
            CHECK(heard.contains(node));
            majorities.insert(heard);
        }
        CHECK(majorities.size() == cut.scene.brokers.size());
    });
}

TEST_CASE("a leader that only hears is heard by no broker, and only speaks the other way round",
          "[simtest]") {
    for_many(Shape::leader_hears, 2, [](const Cut& cut) {
        const NodeId leader = *cut.scene.leader;
        CHECK(cut.hearing(leader) == std::set{leader});
        CHECK(cut.heard_by(leader) == all_of(cut.scene));
        for (const auto& link : cut.links) CHECK(link.first == leader);
    });
    for_many(Shape::leader_speaks, 2, [](const Cut& cut) {
        const NodeId leader = *cut.scene.leader;
        CHECK(cut.heard_by(leader) == std::set{leader});
        CHECK(cut.hearing(leader) == all_of(cut.scene));
        for (const auto& link : cut.links) CHECK(link.second == leader);
    });
}

TEST_CASE("a broker that is isolated hears none and is heard by none", "[simtest]") {
    int leaders = 0;
    for_many(Shape::isolate, 3, [&](const Cut& cut) {
        std::vector<NodeId> alone;
        for (const NodeId node : cut.scene.brokers)
            if (cut.heard_by(node) == std::set{node}) alone.push_back(node);
        REQUIRE(alone.size() == 1);
        leaders += alone.front() == *cut.scene.leader ? 1 : 0;
        for (const NodeId a : cut.scene.brokers)
            for (const NodeId b : cut.scene.brokers)
                if (a != b) CHECK(cut.cuts(a, b) == (a == alone.front() || b == alone.front()));
    });
    CHECK(leaders > 60);
}

TEST_CASE("clients are kept from brokers that hear each other", "[simtest]") {
    for_many(Shape::clients_apart, 1, [](const Cut& cut) {
        CHECK(!cut.links.empty());
        for (const auto& [from, to] : cut.links) CHECK((from.value < 1000) != (to.value < 1000));
    });
}

TEST_CASE("clients are on one side, on the other, and on both", "[simtest]") {
    const Scene scene = scene_of(3, 1);
    const NodeId client = scene.clients.front();
    std::set<std::size_t> sides;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        sim::Choices choices(seed);
        sim::Dice dice(choices, "test");
        const Cut cut(draw_cut(Shape::split, scene, dice), scene);
        const std::set<NodeId> heard = cut.heard_by(client);
        sides.insert(heard.size());
        CHECK((heard == all_of(scene) || heard == cut.heard_by(*heard.begin())));
    }
    CHECK(sides == std::set<std::size_t>{1, 2, 3});
}

TEST_CASE("a flapping partition comes and goes, and has gone in the end", "[simtest]") {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        const Scene scene = scene_of(3, 2, 1);
        sim::Choices choices(seed);
        sim::Dice dice(choices, "test");
        const auto stages = draw_partition(Shape::flapping, scene, 5s, dice);
        REQUIRE(stages.size() >= 3);
        CHECK(stages.size() <= flaps_max + 1);
        CHECK(stages.front().after == Duration{0});
        CHECK(stages.back().cut.empty());
        CHECK(!stages.front().cut.empty());
        for (std::size_t i = 1; i < stages.size(); ++i) {
            CHECK(stages[i].after >= stages[i - 1].after + 2ms);
            if (i + 1 < stages.size())
                CHECK(stages[i].cut == (i % 2 == 0 ? stages[0].cut : sim::Links{}));
        }
    }
}

TEST_CASE("a swizzle cuts off one broker after the other, and brings them back", "[simtest]") {
    std::set<bool> same_order;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        const Scene scene = scene_of(4, 1);
        sim::Choices choices(seed);
        sim::Dice dice(choices, "test");
        const auto stages = draw_partition(Shape::swizzle, scene, 5s, dice);
        REQUIRE(stages.size() == 8);
        CHECK(stages.back().cut.empty());
        std::vector<NodeId> gone, back;
        std::set<NodeId> off;
        for (const Stage& stage : stages) {
            const Cut cut(stage.cut, scene);
            CHECK(cut.is_symmetric());
            for (const NodeId node : scene.brokers) {
                // With all others off, the last one hears nobody either: ask the client.
                const bool is_off = cut.cuts_both(node, scene.clients.front());
                if (is_off && off.insert(node).second) gone.push_back(node);
                if (!is_off && off.erase(node) > 0) back.push_back(node);
            }
        }
        CHECK(std::set(gone.begin(), gone.end()) == all_of(scene));
        CHECK(std::set(back.begin(), back.end()) == all_of(scene));
        same_order.insert(gone == back);
    }
    CHECK(same_order.contains(false));
}

TEST_CASE("each shape is possible where it should be, and zeros of the dice cut nobody twice",
          "[simtest]") {
    CHECK(possible_shapes(scene_of(1, 0)).empty());
    CHECK(possible_shapes(scene_of(3, 2, 1)).size() == 10); // No ring.
    CHECK(possible_shapes(scene_of(5, 2, 1)).size() == static_cast<std::size_t>(Shape::count_));
    CHECK(possible_shapes(scene_of(1, 1)).size() == 5);
}

// ---- Their effect ----

namespace {

constexpr std::uint16_t port = 9000;

// Both ends of every stream say something each millisecond.
Result<> talk(Environment& env, Stream& stream) {
    Scope scope(env.fibers);
    scope.spawn("hear", [&] {
        std::array<std::byte, 100> into{};
        for (;;) {
            const auto count = stream.read_some(into);
            if (!count.ok() || count.value() == 0) return;
        }
    });
    for (;;) {
        TRY(stream.write({Bytes::copy_of("hello")}));
        TRY(env.fibers.sleep_until(env.clock.now() + 1ms));
    }
}

void chatter(Environment& env, NodeId self, const Scene& scene) {
    auto listener = std::move(env.network.listen({"0.0.0.0", port})).value();
    Scope scope(env.fibers);
    scope.spawn("accept", [&] {
        for (;;) {
            auto stream = listener->accept();
            if (!stream.ok()) return;
            scope.spawn("in", [&env, kept = std::move(stream).value()] { (void)talk(env, *kept); });
        }
    });
    for (const NodeId peer : scene.brokers) {
        if (peer == self) continue;
        scope.spawn("out", [&, peer] {
            const auto stream = env.network.connect({"node" + std::to_string(peer.value), port});
            REQUIRE(stream.ok());
            (void)talk(env, *stream.value());
        });
    }
    scope.join();
}

} // namespace

TEST_CASE("while a shape is there it holds up something on each link that it cuts, and on no other",
          "[simtest]") {
    for (std::size_t i = 0; i < static_cast<std::size_t>(Shape::count_); ++i) {
        const auto shape = static_cast<Shape>(i);
        const Scene scene = scene_of(5, 2, 2);
        std::vector<NodeId> all = scene.brokers;
        all.insert(all.end(), scene.clients.begin(), scene.clients.end());
        sim::World world(i);
        for (const NodeId id : all)
            world.boot(id, [&scene, id](Environment& env) { chatter(env, id, scene); });
        world.run_for(100ms);
        sim::Fabric& network = world.network();
        sim::Dice dice = world.dice("partition");
        INFO(sim::to_string(fault_of(shape)));
        std::map<std::pair<NodeId, NodeId>, std::uint64_t> held, passed;
        const auto look = [&](const sim::Links& cut) {
            for (const NodeId a : all)
                for (const NodeId b : all) {
                    if (a == b || (a.value >= 1000 && b.value >= 1000)) continue; // Never used.
                    const bool was_held = network.held_up(a, b) > held[{a, b}];
                    const bool has_passed = network.bytes_delivered(a, b) > passed[{a, b}];
                    CHECK(was_held == cut.contains({a, b}));
                    CHECK(has_passed == !cut.contains({a, b}));
                    held[{a, b}] = network.held_up(a, b);
                    passed[{a, b}] = network.bytes_delivered(a, b);
                }
        };
        look({});
        int seen = 0;
        for (const Stage& stage : draw_partition(shape, scene, 1s, dice)) {
            if (++seen > 6 && !stage.cut.empty()) continue;
            // Links that stay cut would be held up only once: each stage begins anew.
            network.heal_all();
            world.run_for(20ms);
            look({});
            network.cut(stage.cut, fault_of(shape));
            world.run_for(20ms);
            look(stage.cut);
        }
        CHECK(world.counts().fired(fault_of(shape)) > 0);
        CHECK(world.counts().effective(fault_of(shape)) >= world.counts().fired(fault_of(shape)));
    }
}

} // namespace pyralog::simtest
