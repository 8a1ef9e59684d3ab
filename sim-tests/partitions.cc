#include "sim-tests/partitions.h"

#include "sim-tests/nemesis_dice.h"

#include <algorithm>

namespace pyralog::simtest {

namespace {

using Nodes = std::vector<NodeId>;

void cut(sim::Links& links, NodeId from, NodeId to) {
    if (from != to) links.insert({from, to});
}
void cut(sim::Links& links, const Nodes& from, const Nodes& to) {
    for (const NodeId a : from)
        for (const NodeId b : to) cut(links, a, b);
}
void cut_both(sim::Links& links, const Nodes& one, const Nodes& other) {
    cut(links, one, other);
    cut(links, other, one);
}

Nodes shuffled(sim::Dice& dice, Nodes nodes) {
    shuffle(dice, nodes);
    return nodes;
}
NodeId some_of(sim::Dice& dice, const Nodes& nodes) {
    return nodes[static_cast<std::size_t>(dice.pick(nodes.size()))];
}
Nodes all_but(const Scene& scene, NodeId one) {
    Nodes others = scene.brokers;
    std::erase(others, one);
    return others;
}

struct Sides {
    Nodes one, other;
};
void place_clients(Sides& sides, const Scene& scene, sim::Dice& dice) {
    for (const NodeId client : scene.clients) {
        const std::uint64_t side = dice.pick(3); // Zero: it hears both.
        if (side == 1) sides.one.push_back(client);
        if (side == 2) sides.other.push_back(client);
    }
}
// At least one broker on each side, if there are two.
Sides draw_sides(const Scene& scene, const Nodes& brokers, sim::Dice& dice) {
    const Nodes all = shuffled(dice, brokers);
    const std::size_t cut = all.size() > 1 ? 1 + dice.pick(all.size() - 1) : all.size();
    Sides sides;
    for (std::size_t i = 0; i < all.size(); ++i)
        (i < cut ? sides.one : sides.other).push_back(all[i]);
    place_clients(sides, scene, dice);
    // A single broker can only be kept from its clients.
    if (sides.other.empty() && !scene.clients.empty()) {
        std::erase(sides.one, scene.clients.front());
        sides.other.push_back(scene.clients.front());
    }
    return sides;
}

sim::Links draw_bridge(const Scene& scene, sim::Dice& dice) {
    Nodes brokers = scene.brokers;
    const NodeId bridge = some_of(dice, brokers);
    std::erase(brokers, bridge);
    const Sides sides = draw_sides(scene, brokers, dice);
    sim::Links links;
    cut_both(links, sides.one, sides.other);
    return links;
}

// Some clients hear only some brokers.
void blind_clients(sim::Links& links, const Scene& scene, sim::Dice& dice) {
    for (const NodeId client : scene.clients)
        for (const NodeId broker : scene.brokers)
            if (dice.pick(4) == 3) cut_both(links, {client}, {broker});
}

sim::Links draw_ring(const Scene& scene, sim::Dice& dice) {
    const Nodes ring = shuffled(dice, scene.brokers);
    const std::size_t n = ring.size();
    sim::Links links;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j) {
            const std::size_t apart = i > j ? i - j : j - i;
            if (apart > 1 && apart < n - 1) cut(links, ring[i], ring[j]);
        }
    blind_clients(links, scene, dice);
    return links;
}

// Each hears itself and as many behind it as make a majority.
sim::Links draw_majority_ring(const Scene& scene, sim::Dice& dice) {
    const Nodes ring = shuffled(dice, scene.brokers);
    const std::size_t n = ring.size();
    sim::Links links;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t step = n / 2 + 1; step < n; ++step)
            cut(links, ring[(i + step) % n], ring[i]);
    blind_clients(links, scene, dice);
    return links;
}

// One way between a node and all others; a client may hear it and be heard.
sim::Links draw_lone_way(const Scene& scene, NodeId node, bool silences, sim::Dice& dice) {
    Nodes others = all_but(scene, node);
    for (const NodeId client : scene.clients)
        if (dice.pick(2) == 1) others.push_back(client);
    sim::Links links;
    if (silences)
        cut(links, {node}, others);
    else
        cut(links, others, {node});
    return links;
}

sim::Links draw_isolate(const Scene& scene, sim::Dice& dice) {
    NodeId node = some_of(dice, scene.brokers);
    if (scene.leader && dice.coin()) node = *scene.leader;
    Sides sides{{node}, all_but(scene, node)};
    place_clients(sides, scene, dice);
    sim::Links links;
    cut_both(links, sides.one, sides.other);
    return links;
}

sim::Links draw_clients_apart(const Scene& scene, sim::Dice& dice) {
    sim::Links links;
    for (const NodeId client : scene.clients) {
        Nodes brokers = shuffled(dice, scene.brokers);
        brokers.resize(dice.pick(brokers.size() + 1));
        const std::uint64_t way = dice.pick(3);
        if (way != 1) cut(links, {client}, brokers);
        if (way != 2) cut(links, brokers, {client});
    }
    if (links.empty()) cut_both(links, {scene.clients.front()}, scene.brokers);
    return links;
}

std::vector<Stage> draw_flapping(const Scene& scene, Duration length, sim::Dice& dice) {
    constexpr std::array bases{Shape::split, Shape::one_way, Shape::isolate};
    std::vector<Shape> possible;
    for (const Shape base : bases)
        if (is_possible(base, scene)) possible.push_back(base);
    const sim::Links links =
        draw_cut(possible[static_cast<std::size_t>(dice.pick(possible.size()))], scene, dice);
    std::vector<Stage> stages;
    Duration when{0};
    bool is_cut = true;
    while (when < length && stages.size() < flaps_max) {
        stages.push_back({when, is_cut ? links : sim::Links{}});
        is_cut = !is_cut;
        when += scaled(dice, 2ms, 500ms);
    }
    stages.push_back({when, {}});
    return stages;
}

std::vector<Stage> draw_swizzle(const Scene& scene, Duration length, sim::Dice& dice) {
    const Nodes order = shuffled(dice, scene.brokers);
    const Nodes back = shuffled(dice, order);
    Nodes everybody = scene.brokers;
    everybody.insert(everybody.end(), scene.clients.begin(), scene.clients.end());
    const auto gap =
        static_cast<std::int64_t>(2 * scene.brokers.size()); // Stages, and about as many gaps.
    Nodes off;
    std::vector<Stage> stages;
    Duration when{0};
    const auto add = [&] {
        Stage stage{when, {}};
        for (const NodeId node : off) cut_both(stage.cut, {node}, everybody);
        stages.push_back(std::move(stage));
        when += dice.between(Duration{0}, 2 * length / gap);
    };
    for (const NodeId node : order) {
        off.push_back(node);
        add();
    }
    for (const NodeId node : back) {
        std::erase(off, node);
        add();
    }
    return stages;
}

} // namespace

sim::Fault fault_of(Shape shape) {
    switch (shape) {
    case Shape::split: return sim::Fault::cut_split;
    case Shape::one_way: return sim::Fault::cut_one_way;
    case Shape::bridge: return sim::Fault::cut_bridge;
    case Shape::ring: return sim::Fault::cut_ring;
    case Shape::majority_ring: return sim::Fault::cut_majority_ring;
    case Shape::leader_hears: return sim::Fault::cut_leader_hears;
    case Shape::leader_speaks: return sim::Fault::cut_leader_speaks;
    case Shape::isolate: return sim::Fault::cut_isolate;
    case Shape::flapping: return sim::Fault::cut_flapping;
    case Shape::swizzle: return sim::Fault::cut_swizzle;
    case Shape::clients_apart: return sim::Fault::cut_clients;
    case Shape::count_: break;
    }
    check_failed("a known Shape", __FILE__, __LINE__);
}

bool is_possible(Shape shape, const Scene& scene) {
    const std::size_t brokers = scene.brokers.size();
    const std::size_t nodes = brokers + scene.clients.size();
    switch (shape) {
    case Shape::bridge:
    case Shape::majority_ring: return brokers >= 3;
    case Shape::ring: return brokers >= 4;
    case Shape::leader_hears:
    case Shape::leader_speaks: return scene.leader && brokers >= 2;
    case Shape::isolate: return brokers >= 2;
    case Shape::clients_apart: return !scene.clients.empty();
    default: return nodes >= 2;
    }
}

std::vector<Shape> possible_shapes(const Scene& scene) {
    std::vector<Shape> shapes;
    for (std::size_t i = 0; i < static_cast<std::size_t>(Shape::count_); ++i)
        if (is_possible(static_cast<Shape>(i), scene)) shapes.push_back(static_cast<Shape>(i));
    return shapes;
}

namespace {

sim::Links draw_links(Shape shape, const Scene& scene, sim::Dice& dice) {
    sim::Links links;
    switch (shape) {
    case Shape::split:
    case Shape::one_way: {
        const Sides sides = draw_sides(scene, scene.brokers, dice);
        cut(links, sides.one, sides.other);
        if (shape == Shape::split) cut(links, sides.other, sides.one);
        return links;
    }
    case Shape::bridge: return draw_bridge(scene, dice);
    case Shape::ring: return draw_ring(scene, dice);
    case Shape::majority_ring: return draw_majority_ring(scene, dice);
    case Shape::leader_hears: return draw_lone_way(scene, *scene.leader, true, dice);
    case Shape::leader_speaks: return draw_lone_way(scene, *scene.leader, false, dice);
    case Shape::isolate: return draw_isolate(scene, dice);
    case Shape::clients_apart: return draw_clients_apart(scene, dice);
    default: check_failed("a Shape of two stages", __FILE__, __LINE__);
    }
}

} // namespace

// Clients say nothing to each other, so there is nothing between them to cut.
sim::Links draw_cut(Shape shape, const Scene& scene, sim::Dice& dice) {
    CHECK(is_possible(shape, scene));
    sim::Links links = draw_links(shape, scene, dice);
    const auto is_client = [&](NodeId node) {
        return std::ranges::find(scene.clients, node) != scene.clients.end();
    };
    std::erase_if(
        links, [&](const auto& link) { return is_client(link.first) && is_client(link.second); });
    return links;
}

std::vector<Stage> draw_partition(Shape shape, const Scene& scene, Duration length,
                                  sim::Dice& dice) {
    CHECK(is_possible(shape, scene));
    if (shape == Shape::flapping) return draw_flapping(scene, length, dice);
    if (shape == Shape::swizzle) return draw_swizzle(scene, length, dice);
    std::vector<Stage> stages;
    stages.push_back({Duration{0}, draw_cut(shape, scene, dice)});
    stages.push_back({length, {}});
    return stages;
}

} // namespace pyralog::simtest
