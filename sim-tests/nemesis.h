// sim-tests/nemesis.h
//
// Breaks things, and brings them back. What it may do in a run, and how often, is in the plan; what
// it does next is drawn from dice of its own, one for each class of strikes. When it is told to
// heal it stops for good: everything it has broken is mended, or is left as it is for good, by
// choice.
//
// nemesis.cc holds when it strikes; nemesis_process.cc the life and death of processes;
// nemesis_network.cc the partitions; nemesis_disk.cc what is done to disks and clocks.
#pragma once

#include "sim-tests/atlas.h"
#include "sim-tests/cluster.h"
#include "sim-tests/media.h"
#include "sim-tests/nemesis_dice.h"
#include "sim-tests/partitions.h"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog::simtest {

class Nemesis {
public:
    // How often in a row a process is ended again soon after its start.
    static constexpr int nested_max = 6;
    // Clocks that are off by more are set right in the end: an election timeout would be worth
    // nothing.
    static constexpr std::int64_t healed_drift_ppm_max = 50'000;

    // `clients` are nodes too, on one side or the other of a partition.
    Nemesis(Cluster& cluster, std::map<NodeId, NodeMedia>& media, const Plan& plan,
            std::vector<NodeId> clients);

    void begin();

    // A disk is about to be replaced by an empty one: told while its node is down.
    void on_replace(std::function<void(NodeId)> told) { replaced_ = std::move(told); }

    // A replica on this node has just become a leader: a good moment to strike.
    void ambush(NodeId leader);

    // Brokers end by themselves too, and are started again like those that were killed.
    void observe();

    // No more of it. The nodes of the core run, and all hear each other; those that are not of the
    // core run or not, as before. Faults that the dice of the world inject stop as well.
    void heal(std::span<const NodeId> core);

private:
    std::function<void(NodeId)> replaced_;
    using Strike = void (Nemesis::*)(sim::Dice& dice);
    void repeat(std::string_view name, Duration mean, Strike strike);
    void once(std::string_view name, bool planned, Strike strike);
    void next_of(std::size_t repeated);
    void later(Duration delay, std::function<void()> action);
    NodeId some_node(sim::Dice& dice) const;

    // Processes.
    Duration down_time(sim::Dice& dice);
    void start_later(NodeId node, sim::Dice& dice);
    void start(NodeId node, int nested);
    void end_process(NodeId node, bool power_cut, sim::Dice& dice);
    void kill(sim::Dice& dice);
    void cut_power(sim::Dice& dice);
    void cut_who_writes();
    void kill_who_holds_too_much();
    void black_out(sim::Dice& dice);
    void cut_rack(sim::Dice& dice);
    void begin_storm(sim::Dice& dice);
    void storm(NodeId node, int ended, int ends, sim::Dice& dice);
    void begin_rolling(sim::Dice& dice);
    void roll(std::vector<NodeId> nodes, sim::Dice& dice);
    void pause(sim::Dice& dice);
    void pause(NodeId node, Duration time);
    bool is_stale_leader(NodeId node) const;

    // The network.
    std::vector<NodeId> leaders() const;
    bool leads(NodeId node) const;
    Scene scene(sim::Dice& dice) const;
    void partition(sim::Dice& dice);
    void isolate(NodeId leader, sim::Dice& dice);
    void play(Shape shape, const Scene& there, sim::Dice& dice);
    void break_streams(sim::Dice& dice);

    // Disks and clocks.
    void hang_disk(sim::Dice& dice);
    void fill_disk(sim::Dice& dice);
    void make_disks_small(sim::Dice& dice);
    void damage(sim::Dice& dice);
    void misdirect_read(NodeId node, sim::Dice& dice);
    void decay(NodeId node, sim::Dice& dice);
    bool damage_disk(NodeId node, sim::Dice& dice);
    void lose_disk(sim::Dice& dice);
    void jump_clock(sim::Dice& dice);

    // A class of strikes that come again and again.
    struct Repeated {
        std::string name;
        sim::Dice dice, when_dice;
        Duration mean;
        Strike strike;
    };

    // A power cut that waits until a disk is at work.
    struct AwaitedCut {
        NodeId node;
        std::size_t units = 0; // So many must be un-synced,
        Duration until{0};     // unless they never are.
        sim::Dice* dice = nullptr;
    };

    // A limit of memory: who exceeds it is killed, as systems do.
    struct MemoryLimit {
        NodeId node;
        std::uint64_t boot = 0; // The process that it is for,
        std::size_t bytes = 0;
        Duration until{0}; // until then.
        sim::Dice* dice = nullptr;
    };

    Cluster& cluster_;
    std::map<NodeId, NodeMedia>& media_;
    const Plan& plan_;
    const Atlas atlas_;
    std::vector<NodeId> clients_;
    std::deque<Repeated> repeated_; // Strikes refer to their dice for as long as they last.
    std::vector<AwaitedCut> awaited_cuts_;
    std::vector<MemoryLimit> memory_limits_;
    sim::Dice ambush_dice_;
    sim::Dice start_dice_;    // When brokers that ended by themselves are started again.
    sim::Dice recovery_dice_; // Whether, and when, what has just started is ended again.
    const bool besieges_;     // Cuts off leaders, one after the other, and does so often.
    const std::uint64_t ambush_percent_;
    bool active_ = false;
    std::optional<std::uint64_t> disk_size_; // Of each disk; nothing: plenty.
    std::vector<NodeId> core_;               // Once healed.
    std::uint64_t partitions_ = 0; // So that an old partition's end does not end a newer one.
};

} // namespace pyralog::simtest
