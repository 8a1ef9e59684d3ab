#include "sim-tests/nemesis.h"

#include "raft/host.h"

#include <algorithm>

namespace pyralog::simtest {

namespace {

constexpr Duration awaited_most = 2s;

} // namespace

Duration Nemesis::down_time(sim::Dice& dice) {
    return dice.between(Duration(1ms), plan_.nemesis.down_most);
}

void Nemesis::start_later(NodeId node, sim::Dice& dice) {
    later(down_time(dice), [this, node] { start(node, 0); });
}

// What recovery has begun and not finished is found by the next recovery; so some of them are ended
// before they are done, several times in a row. `nested` says how often that was so already.
void Nemesis::start(NodeId node, int nested) {
    if (cluster_.running(node)) return;
    cluster_.start(node);
    if (nested >= nested_max ||
        !recovery_dice_.chance(plan_.nemesis.recovery_ends, "end of recovery"))
        return;
    const std::uint64_t boot = cluster_.boots(node);
    later(soon(recovery_dice_), [this, node, nested, boot] {
        if (!cluster_.running(node) || cluster_.boots(node) != boot) return;
        sim::World& world = cluster_.world();
        const bool recovering = cluster_.host(node) == nullptr;
        if (!world.inject(sim::Fault::recovery_end)) return;
        if (nested >= 2 && !world.inject(sim::Fault::nested_end)) return;
        if (recovering) world.count_effect(sim::Fault::recovery_end);
        if (nested >= 2 && recovering) world.count_effect(sim::Fault::nested_end);
        if (!recovery_dice_.coin())
            cluster_.world().cut_power(node);
        else
            cluster_.world().kill(node);
        later(soon(recovery_dice_), [this, node, nested] { start(node, nested + 1); });
    });
}

void Nemesis::observe() {
    if (!awaited_cuts_.empty()) cut_who_writes();
    if (!memory_limits_.empty()) kill_who_holds_too_much();
    for (const NodeId node : cluster_.take_ended()) {
        if (active_) {
            start_later(node, start_dice_);
        } else if (std::ranges::find(core_, node) != core_.end()) {
            // Of a fault that had struck before the heal.
            sim::World& world = cluster_.world();
            world.plan(world.now() + 1ms, [this, node] { cluster_.start(node); });
        }
    }
}

void Nemesis::end_process(NodeId node, bool power_cut, sim::Dice& dice) {
    if (!cluster_.running(node)) return;
    if (power_cut)
        cluster_.world().cut_power(node);
    else
        cluster_.world().kill(node);
    start_later(node, dice);
}

// At any time; or when it holds more memory than it may, which is when it does most at once.
void Nemesis::kill(sim::Dice& dice) {
    const NodeId node = some_node(dice);
    if (dice.pick(3) < 2 || !cluster_.running(node)) return end_process(node, false, dice);
    sim::World& world = cluster_.world();
    const auto more = static_cast<std::size_t>(scaled(dice, 1ns, 64ns).count()) << 10;
    memory_limits_.push_back({node, cluster_.boots(node), world.buffer_bytes(node) + more,
                              world.now() + awaited_most, &dice});
}

void Nemesis::kill_who_holds_too_much() {
    sim::World& world = cluster_.world();
    std::erase_if(memory_limits_, [&](const MemoryLimit& limit) {
        const bool is_gone =
            !cluster_.running(limit.node) || cluster_.boots(limit.node) != limit.boot;
        if (is_gone || world.now() >= limit.until) return true;
        if (world.buffer_bytes(limit.node) <= limit.bytes) return false;
        if (!world.inject(sim::Fault::out_of_memory)) return true;
        world.count_effect(sim::Fault::out_of_memory);
        later(Duration{0}, [this, limit] { end_process(limit.node, false, *limit.dice); });
        return true;
    });
}

// At any time; or while the disk is at work, which matters most and is seldom so by itself.
void Nemesis::cut_power(sim::Dice& dice) {
    const NodeId node = some_node(dice);
    if (!dice.coin()) return end_process(node, true, dice);
    const auto units = static_cast<std::size_t>(scaled(dice, 1ns, 8ns).count());
    awaited_cuts_.push_back({node, units, cluster_.world().now() + awaited_most, &dice});
}

void Nemesis::cut_who_writes() {
    sim::World& world = cluster_.world();
    std::erase_if(awaited_cuts_, [&](const AwaitedCut& cut) {
        if (world.now() < cut.until && world.disk(cut.node).unsynced_units() < cut.units)
            return false;
        later(Duration{0}, [this, cut] { end_process(cut.node, true, *cut.dice); });
        return true;
    });
}

void Nemesis::black_out(sim::Dice& dice) {
    cluster_.world().cut_power(cluster_.nodes());
    for (const NodeId node : cluster_.nodes()) start_later(node, dice);
}

// All nodes that hang on one supply, at one moment.
void Nemesis::cut_rack(sim::Dice& dice) {
    const int racks = plan_.nemesis.racks;
    const auto rack = static_cast<int>(dice.pick(static_cast<std::uint64_t>(racks)));
    std::vector<NodeId> nodes;
    for (const NodeId node : cluster_.nodes())
        if (node.value % racks == rack && cluster_.running(node)) nodes.push_back(node);
    if (!cluster_.world().inject(sim::Fault::rack_cut)) return;
    if (nodes.size() > 1) cluster_.world().count_effect(sim::Fault::rack_cut);
    cluster_.world().cut_power(nodes);
    for (const NodeId node : nodes) start_later(node, dice);
}

// ---- Again and again ----

void Nemesis::begin_storm(sim::Dice& dice) {
    const NodeId node = some_node(dice);
    const auto ends = static_cast<int>(dice.between(std::uint64_t{3}, 15));
    if (cluster_.world().inject(sim::Fault::restart_storm)) storm(node, 0, ends, dice);
}

void Nemesis::storm(NodeId node, int ended, int ends, sim::Dice& dice) {
    if (ended >= ends) return;
    if (cluster_.running(node)) {
        ++ended;
        if (ended == 5) cluster_.world().count_effect(sim::Fault::restart_storm);
        if (!dice.coin())
            cluster_.world().cut_power(node);
        else
            cluster_.world().kill(node);
    }
    const Duration off = scaled(dice, 100us, 200ms);
    const Duration on = scaled(dice, 100us, 300ms);
    later(off, [this, node] { cluster_.start(node); });
    // A node that is lost, or down for another reason, ends its storm.
    later(off + on, [this, node, ended, ends, &dice] {
        if (cluster_.running(node)) storm(node, ended, ends, dice);
    });
}

void Nemesis::begin_rolling(sim::Dice& dice) {
    std::vector<NodeId> nodes = cluster_.nodes();
    shuffle(dice, nodes);
    if (cluster_.world().inject(sim::Fault::rolling_restart)) roll(std::move(nodes), dice);
}

void Nemesis::roll(std::vector<NodeId> nodes, sim::Dice& dice) {
    if (nodes.empty()) return cluster_.world().count_effect(sim::Fault::rolling_restart);
    const NodeId node = nodes.back();
    nodes.pop_back();
    if (cluster_.running(node)) cluster_.world().kill(node);
    const Duration off = scaled(dice, 1ms, 500ms);
    const Duration on = scaled(dice, 1ms, 1s);
    later(off, [this, node] { start(node, 0); });
    later(off + on, [this, nodes = std::move(nodes), &dice] { roll(nodes, dice); });
}

// ---- Pauses ----

// One node, or several at one moment, which then wake in any order.
void Nemesis::pause(sim::Dice& dice) {
    std::vector<NodeId> nodes = cluster_.nodes();
    shuffle(dice, nodes);
    if (dice.pick(4) < 3) nodes.resize(1);
    // A leader has the most to sleep through, above all the election of the next one.
    const std::vector<NodeId> leading = leaders();
    const Duration election = plan_.nemesis.election_timeout;
    if (nodes.size() == 1 && !leading.empty() && dice.pick(2) == 1) {
        nodes.front() = leading[static_cast<std::size_t>(dice.pick(leading.size()))];
        if (dice.coin()) return pause(nodes.front(), dice.between(election, 4 * election));
    }
    for (const NodeId node : nodes) pause(node, scaled(dice, 1ms, plan_.nemesis.pause_most));
}

void Nemesis::pause(NodeId node, Duration time) {
    if (!cluster_.running(node)) return;
    const bool is_long = time > plan_.nemesis.election_timeout;
    if (is_long && !cluster_.world().inject(sim::Fault::long_pause)) return;
    cluster_.world().pause(node, cluster_.world().now() + time);
    if (!is_long) return;
    later(time, [this, node] {
        if (is_stale_leader(node)) cluster_.world().count_effect(sim::Fault::long_pause);
    });
}

// Does it lead a group that has another leader by now?
bool Nemesis::is_stale_leader(NodeId node) const {
    const raft::Host* host = cluster_.host(node);
    if (!host) return false;
    for (const auto& [id, group] : host->groups()) {
        if (group->consensus().role() != raft::Role::leader) continue;
        for (const NodeId other : cluster_.nodes()) {
            const raft::Host* there = cluster_.host(other);
            if (!there || !there->groups().contains(id)) continue;
            const raft::Consensus& replica = there->groups().at(id)->consensus();
            if (replica.role() == raft::Role::leader && replica.term() > group->consensus().term())
                return true;
        }
    }
    return false;
}

} // namespace pyralog::simtest
