#include "sim-tests/nemesis.h"

#include "raft/host.h"

#include <algorithm>

namespace pyralog::simtest {

std::vector<NodeId> Nemesis::leaders() const {
    std::vector<NodeId> nodes;
    for (const NodeId node : cluster_.nodes())
        if (leads(node)) nodes.push_back(node);
    return nodes;
}

bool Nemesis::leads(NodeId node) const {
    const raft::Host* host = cluster_.host(node);
    if (!host) return false;
    return std::ranges::any_of(host->groups(), [](const auto& group) {
        return group.second->consensus().role() == raft::Role::leader;
    });
}

Scene Nemesis::scene(sim::Dice& dice) const {
    Scene scene{cluster_.nodes(), clients_, {}};
    const std::vector<NodeId> leading = leaders();
    if (!leading.empty())
        scene.leader = leading[static_cast<std::size_t>(dice.pick(leading.size()))];
    return scene;
}

void Nemesis::partition(sim::Dice& dice) {
    const Scene there = scene(dice);
    const std::vector<Shape> shapes = possible_shapes(there);
    if (shapes.empty()) return;
    const Shape shape = shapes[static_cast<std::size_t>(dice.pick(shapes.size()))];
    play(shape, there, dice);
}

// A leader alone, or heard and deaf, or the other way round.
void Nemesis::isolate(NodeId leader, sim::Dice& dice) {
    Scene there = scene(dice);
    there.leader = leader;
    constexpr std::array shapes{Shape::isolate, Shape::isolate, Shape::leader_hears,
                                Shape::leader_speaks};
    const Shape shape = shapes[static_cast<std::size_t>(dice.pick(shapes.size()))];
    if (is_possible(shape, there)) play(shape, there, dice);
}

// A newer partition ends an older one.
void Nemesis::play(Shape shape, const Scene& there, sim::Dice& dice) {
    const std::uint64_t number = ++partitions_;
    const Duration length = dice.between(Duration(10ms), plan_.nemesis.partition_most);
    const sim::Fault cause = fault_of(shape);
    for (const Stage& stage : draw_partition(shape, there, length, dice)) {
        const auto begin = [this, number, cause, cut = stage.cut] {
            if (number == partitions_) cluster_.world().network().cut(cut, cause);
        };
        if (stage.after == Duration{0})
            begin();
        else
            later(stage.after, begin);
    }
}

// All streams between two nodes at once, as when something on the way forgets them.
void Nemesis::break_streams(sim::Dice& dice) {
    std::vector<NodeId> all = cluster_.nodes();
    all.insert(all.end(), clients_.begin(), clients_.end());
    const NodeId one = some_node(dice);
    const NodeId other = all[static_cast<std::size_t>(dice.pick(all.size()))];
    if (one != other) cluster_.world().network().reset_streams(one, other);
}

} // namespace pyralog::simtest
