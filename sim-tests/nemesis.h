// sim-tests/nemesis.h
//
// Breaks things, and brings them back. What it may do in a run, and how often, is in the plan; what
// it does next is drawn from dice of its own. When it is told to heal it stops for good: everything
// it has broken is mended, or is left as it is for good, by choice.
#pragma once

#include "sim-tests/cluster.h"
#include "sim-tests/media.h"

#include <functional>
#include <map>
#include <span>
#include <vector>

namespace pyralog::simtest {

class Nemesis {
public:
    // How many nodes may have their disks damaged in one run: every group has copies on three.
    static constexpr std::size_t damaged_max = 1;

    // `clients` are nodes too, on one side or the other of a partition.
    Nemesis(Cluster& cluster, std::map<NodeId, NodeMedia>& media, const Plan& plan,
            std::vector<NodeId> clients);

    void begin();

    // A replica on this node has just become a leader: a good moment to strike.
    void ambush(NodeId leader);

    // Brokers end by themselves too, and are started again like those that were killed.
    void observe();

    // No more of it. The nodes of the core run and hear each other and all clients; those that are
    // not of the core are off. Faults that the dice of the world inject stop as well.
    void heal(std::span<const NodeId> core);

private:
    using Strike = void (Nemesis::*)();
    void repeat(Duration mean, Strike strike);
    void later(Duration delay, std::function<void()> action);

    NodeId some_node();
    Duration down_time();
    void start_later(NodeId node);

    void partition();
    void isolate(NodeId node);
    void heal_later();
    void kill();
    void cut_power();
    void end_process(NodeId node, bool power_cut);
    void black_out();
    void pause();
    void hang_disk();
    void fill_disk();
    void rot();
    void jump_clock();

    Cluster& cluster_;
    std::map<NodeId, NodeMedia>& media_;
    const Plan& plan_;
    std::vector<NodeId> clients_;
    Random random_;
    const bool besieges_; // Cuts off leaders, one after the other, and does so often.
    const std::uint64_t ambush_percent_;
    bool active_ = false;
    std::vector<NodeId> core_; // Once healed.
    std::uint64_t partitions_ = 0; // So that an old partition's end does not end a newer one.
};

} // namespace pyralog::simtest
