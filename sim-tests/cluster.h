// sim-tests/cluster.h
//
// Brokers in a simulated world: the very class that main() runs, one for each node. Starts and
// stops them, and knows what each of them is: running, down, or lost because its disk was damaged
// and it is right to refuse.
#pragma once

#include "io/sim/world.h"
#include "raft/host.h"
#include "server/broker.h"
#include "sim-tests/check_history.h"
#include "sim-tests/excuse.h"
#include "sim-tests/swarm.h"

#include <map>
#include <optional>
#include <set>
#include <vector>

namespace pyralog::simtest {

class Cluster {
public:
    Cluster(sim::World& world, const Plan& plan);
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;

    sim::World& world() { return world_; }
    const std::vector<NodeId>& nodes() const { return nodes_; }
    std::vector<Address> kafka_addresses() const;

    void start(NodeId node); // Nothing if it runs, or is lost.
    bool running(NodeId node) const { return world_.running(node); }

    // The groups of a running node, once it has recovered them; else null.
    const raft::Host* host(NodeId node) const;
    const server::Catalogue* catalogue(NodeId node) const; // The same of its topics.
    std::uint64_t boots(NodeId node) const { return world_.boots(node); }

    // This node's disk was damaged on purpose: it may refuse to start from now on, if something is
    // then missing from it.
    void damage(NodeId node) { damaged_.insert(node); }
    bool damaged(NodeId node) const { return damaged_.contains(node); }
    // ... or it is gone, and will not be missed: a node whose disk was replaced by an empty one
    // would take part as if it had promised nothing, so it must not.
    void lose(NodeId node) {
        damaged_.insert(node);
        lost_.insert(node);
    }
    bool lost(NodeId node) const { return lost_.contains(node); }

    // All nodes have been told that the others remember their disks: from then on each may speak
    // without the others, and an empty disk is told from a new one.
    bool have_met() const { return introduced_.size() == nodes_.size(); }

    // After each step: has a broker ended by itself that had no reason to?
    std::optional<Finding> observe();
    // Brokers that ended because a device failed, since this was last asked.
    std::vector<NodeId> take_ended() { return std::exchange(ended_, {}); }

    // What was excused in this run, by kind, each with a proof that was judged: see excuse.h.
    ExcuseCounts& excuses() { return excuses_; }

private:
    std::optional<Finding> judge_end(NodeId node, const Result<>& status);

    sim::World& world_;
    std::vector<NodeId> nodes_;
    std::map<NodeId, server::Config> configs_;
    std::map<NodeId, const server::Broker*> brokers_;
    std::map<NodeId, std::uint64_t> ends_seen_; // Up to this boot.
    std::set<NodeId> damaged_, lost_, introduced_;
    std::map<NodeId, std::uint64_t> refused_opens_; // By its disk, when it was started.
    std::vector<NodeId> ended_;
    ExcuseCounts excuses_;
};

namespace oracle {
// A broker's run() ended with an error that nothing explains.
inline constexpr std::string_view broker_ended = "broker-ended";
// A broker refused what was on its disk, and nobody had damaged it.
inline constexpr std::string_view refused_recovery = "refused-recovery";
} // namespace oracle

} // namespace pyralog::simtest
