#include "sim-tests/core.h"

#include <algorithm>

namespace pyralog::simtest {

std::string_view to_string(Fate fate) {
    switch (fate) {
    case Fate::well: return "well";
    case Fate::down: return "down";
    case Fate::paused: return "paused";
    case Fate::deaf: return "deaf";
    case Fate::mute: return "mute";
    case Fate::cut_off: return "cut-off";
    case Fate::unreachable: return "unreachable";
    case Fate::hung_disk: return "hung-disk";
    case Fate::count_: break;
    }
    check_failed("a known Fate", __FILE__, __LINE__);
}

bool has_majorities(std::span<const NodeId> core, const std::map<GroupId, raft::Members>& groups) {
    return std::ranges::all_of(groups, [&](const auto& group) {
        return raft::reached_by_majority<int>(group.second, [&](NodeId voter) {
                   return std::ranges::find(core, voter) != core.end() ? 1 : 0;
               }) != 0;
    });
}

std::vector<NodeId> draw_core(sim::Dice& dice, std::span<const NodeId> candidates,
                              std::span<const NodeId> all,
                              const std::map<GroupId, raft::Members>& groups) {
    std::vector<NodeId> core(candidates.begin(), candidates.end());
    for (const NodeId node : candidates) {
        if (dice.pick(3) == 0) continue;
        std::vector<NodeId> smaller = core;
        std::erase(smaller, node);
        if (2 * smaller.size() > all.size() && has_majorities(smaller, groups))
            core = std::move(smaller);
    }
    return core;
}

Fate draw_fate(sim::Dice& dice, const Cluster& cluster, NodeId node) {
    if (!cluster.running(node)) return dice.coin() ? Fate::well : Fate::down;
    return static_cast<Fate>(dice.pick(static_cast<std::uint64_t>(Fate::count_)));
}

void freeze(Cluster& cluster, NodeId node, Fate fate, std::span<const NodeId> core,
            Duration until) {
    sim::World& world = cluster.world();
    sim::Fabric& network = world.network();
    const std::array self{node};
    switch (fate) {
    case Fate::well: cluster.start(node); break;
    case Fate::down:
        if (cluster.running(node)) world.kill(node);
        break;
    case Fate::paused: world.pause(node, until); break;
    case Fate::deaf: network.one_way(core, self); break;
    case Fate::mute: network.one_way(self, core); break;
    case Fate::cut_off: network.isolate(node, core); break;
    case Fate::unreachable:
        for (const NodeId other : core) {
            network.bar(other, node);
            network.reset_streams(other, node);
        }
        break;
    case Fate::hung_disk: world.disk(node).hang_until(until); break;
    case Fate::count_: CHECK(false);
    }
    world.trace("node " + std::to_string(node.value) + " stays " + std::string(to_string(fate)));
}

void release(Cluster& cluster) {
    cluster.world().network().heal_all();
    for (const NodeId node : cluster.nodes())
        if (cluster.running(node)) cluster.world().resume(node);
}

} // namespace pyralog::simtest
