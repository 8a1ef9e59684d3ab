// sim-tests/core.h
//
// Who has to make progress when the faults are over, and what becomes of the others. The core is a
// random set of nodes in which every group keeps a majority; it runs, its nodes hear each other,
// and clients reach it. Every other node is left with one fault that lasts: it is down, stands
// still, cannot be heard, hears nobody, is cut off, cannot be called, or its disk hangs. Nothing
// that such a node does, or fails to do, may keep the core from electing leaders and storing
// records; so this is where a leader that should step down, or a candidate that should keep quiet,
// shows.
#pragma once

#include "raft/quorum.h"
#include "sim-tests/cluster.h"

#include <map>
#include <span>
#include <string_view>
#include <vector>

namespace pyralog::simtest {

enum class Fate : std::uint8_t {
    well,        // Runs, as those of the core do.
    down,        // Is not started any more.
    paused,      // Its process stands still.
    deaf,        // It can be heard, and hears nobody of the core.
    mute,        // It hears, and nobody of the core hears it.
    cut_off,     // Both.
    unreachable, // Whoever of the core calls it gets no answer; it can call, and be answered.
    hung_disk,   // No call to its disk returns.
    count_,
};
std::string_view to_string(Fate fate);

// A random core among these nodes, at least a majority of all; every group has a majority of its
// voters in it. All of them if no smaller set will do.
std::vector<NodeId> draw_core(sim::Dice& dice, std::span<const NodeId> candidates,
                              std::span<const NodeId> all,
                              const std::map<GroupId, raft::Members>& groups);

// Does each group have a majority of its voters among these nodes?
bool has_majorities(std::span<const NodeId> core, const std::map<GroupId, raft::Members>& groups);

// Gives this node its fate, until release(). Links to the core are healed before; `until` is a
// moment by which release() is called.
void freeze(Cluster& cluster, NodeId node, Fate fate, std::span<const NodeId> core, Duration until);
// Draws it; a node that is down can only stay so or be well.
Fate draw_fate(sim::Dice& dice, const Cluster& cluster, NodeId node);
// All that freeze() did is over, but for a disk that hangs: that lasts until `until`.
void release(Cluster& cluster);

} // namespace pyralog::simtest
