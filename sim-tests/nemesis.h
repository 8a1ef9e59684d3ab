// sim-tests/nemesis.h
//
// Breaks things, and brings them back. What it may do in a run, and how often, is in the plan; what
// it does next is drawn from dice of its own, one for each class of strikes. When it is told to
// heal it stops for good: everything it has broken is mended, or is left as it is for good, by
// choice.
//
// nemesis.cc holds when it strikes, and the life and death of processes; nemesis_network.cc the
// partitions; nemesis_disk.cc what is done to disks and clocks.
#pragma once

#include "sim-tests/cluster.h"
#include "sim-tests/media.h"

#include <deque>
#include <functional>
#include <map>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace pyralog::simtest {

// Does a strike that is due happen? Zero, the harmless outcome, means that it does not.
inline bool strikes(sim::Dice& dice) { return dice.pick(8) != 0; }
inline bool percent(sim::Dice& dice, std::uint64_t p) {
    return dice.chance({static_cast<std::uint32_t>(p * 10'000)});
}
template <class T>
void shuffle(sim::Dice& dice, std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i)
        std::swap(items[i - 1], items[i - 1 - static_cast<std::size_t>(dice.pick(i))]);
}

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
    using Strike = void (Nemesis::*)(sim::Dice& dice);
    void repeat(std::string_view name, Duration mean, Strike strike);
    void next_of(std::size_t repeated);
    void later(Duration delay, std::function<void()> action);

    NodeId some_node(sim::Dice& dice);
    Duration down_time(sim::Dice& dice);
    void start_later(NodeId node, sim::Dice& dice);

    void partition(sim::Dice& dice);
    void isolate(NodeId node, sim::Dice& dice);
    void heal_later(sim::Dice& dice);
    void kill(sim::Dice& dice);
    void cut_power(sim::Dice& dice);
    void end_process(NodeId node, bool power_cut, sim::Dice& dice);
    void black_out(sim::Dice& dice);
    void pause(sim::Dice& dice);
    void hang_disk(sim::Dice& dice);
    void fill_disk(sim::Dice& dice);
    void rot(sim::Dice& dice);
    void jump_clock(sim::Dice& dice);

    // A class of strikes that come again and again.
    struct Repeated {
        sim::Dice dice;
        Duration mean;
        Strike strike;
    };

    Cluster& cluster_;
    std::map<NodeId, NodeMedia>& media_;
    const Plan& plan_;
    std::vector<NodeId> clients_;
    std::deque<Repeated> repeated_; // Strikes refer to their dice for as long as they last.
    sim::Dice ambush_dice_;
    sim::Dice start_dice_; // When brokers that ended by themselves are started again.
    const bool besieges_;  // Cuts off leaders, one after the other, and does so often.
    const std::uint64_t ambush_percent_;
    bool active_ = false;
    std::vector<NodeId> core_; // Once healed.
    std::uint64_t partitions_ = 0; // So that an old partition's end does not end a newer one.
};

} // namespace pyralog::simtest
