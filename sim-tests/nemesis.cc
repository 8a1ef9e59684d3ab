#include "sim-tests/nemesis.h"

#include <algorithm>

namespace pyralog::simtest {

Nemesis::Nemesis(Cluster& cluster, std::map<NodeId, NodeMedia>& media, const Plan& plan,
                 std::vector<NodeId> clients)
    : cluster_(cluster), media_(media), plan_(plan), clients_(std::move(clients)),
      ambush_dice_(cluster.world().dice("nemesis/ambush")),
      start_dice_(cluster.world().dice("nemesis/start")),
      besieges_(plan.has(FaultClass::partitions) && percent(ambush_dice_, 33)),
      ambush_percent_(besieges_                   ? 85
                      : percent(ambush_dice_, 50) ? ambush_dice_.pick(50)
                                                  : 0) {}

void Nemesis::begin() {
    active_ = true;
    const NemesisPlan& plan = plan_.nemesis;
    repeat("partitions", plan.partitions, &Nemesis::partition);
    repeat("kills", plan.kills, &Nemesis::kill);
    repeat("power-cuts", plan.power_cuts, &Nemesis::cut_power);
    repeat("blackouts", plan.blackouts, &Nemesis::black_out);
    repeat("pauses", plan.pauses, &Nemesis::pause);
    repeat("hung-disks", plan.hung_disks, &Nemesis::hang_disk);
    repeat("full-disks", plan.full_disks, &Nemesis::fill_disk);
    repeat("rot", plan.rot, &Nemesis::rot);
    repeat("clock-jumps", plan.clock_jumps, &Nemesis::jump_clock);
}

void Nemesis::later(Duration delay, std::function<void()> action) {
    sim::World& world = cluster_.world();
    world.plan(world.now() + delay, [this, action = std::move(action)] {
        if (active_) action();
    });
}

void Nemesis::repeat(std::string_view name, Duration mean, Strike strike) {
    if (mean == Duration{0}) return;
    repeated_.push_back({cluster_.world().dice("nemesis/" + std::string(name)), mean, strike});
    next_of(repeated_.size() - 1);
}

// Strikes are due at any time from half the mean to one and a half.
void Nemesis::next_of(std::size_t repeated) {
    Repeated& one = repeated_[repeated];
    later(one.dice.between(one.mean / 2, one.mean + one.mean / 2), [this, &one, repeated] {
        if (strikes(one.dice)) (this->*one.strike)(one.dice);
        next_of(repeated);
    });
}

NodeId Nemesis::some_node(sim::Dice& dice) {
    const auto& nodes = cluster_.nodes();
    return nodes[dice.pick(nodes.size())];
}

Duration Nemesis::down_time(sim::Dice& dice) {
    return dice.between(Duration(1ms), plan_.nemesis.down_most);
}

void Nemesis::start_later(NodeId node, sim::Dice& dice) {
    later(down_time(dice), [this, node] { cluster_.start(node); });
}

void Nemesis::observe() {
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

// ---- Processes and power ----

void Nemesis::end_process(NodeId node, bool power_cut, sim::Dice& dice) {
    if (!cluster_.running(node)) return;
    if (power_cut)
        cluster_.world().cut_power(node);
    else
        cluster_.world().kill(node);
    start_later(node, dice);
}

void Nemesis::kill(sim::Dice& dice) { end_process(some_node(dice), false, dice); }
void Nemesis::cut_power(sim::Dice& dice) { end_process(some_node(dice), true, dice); }

// What a new leader has begun and not finished is what the next one must get right.
void Nemesis::ambush(NodeId leader) {
    if (!active_ || !percent(ambush_dice_, ambush_percent_)) return;
    // As often within microseconds as within milliseconds: before it has said anything, while some
    // have heard it, or when all have.
    const std::int64_t most = std::int64_t{1} << ambush_dice_.between(std::uint64_t{8}, 24);
    const Duration delay = ambush_dice_.between(Duration{0}, Duration(most));
    const std::uint64_t kind = besieges_ ? 2 : ambush_dice_.pick(3);
    if (kind == 0 && plan_.has(FaultClass::kills))
        later(delay, [this, leader] { end_process(leader, false, ambush_dice_); });
    if (kind == 1 && plan_.has(FaultClass::power_cuts))
        later(delay, [this, leader] { end_process(leader, true, ambush_dice_); });
    if (kind == 2 && plan_.has(FaultClass::partitions))
        later(delay, [this, leader] { isolate(leader, ambush_dice_); });
}

void Nemesis::black_out(sim::Dice& dice) {
    cluster_.world().cut_power(cluster_.nodes());
    for (const NodeId node : cluster_.nodes()) start_later(node, dice);
}

void Nemesis::pause(sim::Dice& dice) {
    const NodeId node = some_node(dice);
    const Duration time = dice.between(Duration(1ms), plan_.nemesis.pause_most);
    if (cluster_.running(node)) cluster_.world().pause(node, cluster_.world().now() + time);
}

// ---- The end of it ----

void Nemesis::heal(std::span<const NodeId> core) {
    active_ = false;
    core_.assign(core.begin(), core.end());
    sim::World& world = cluster_.world();
    sim::Faults quiet;
    quiet.schedule = plan_.faults.schedule;
    quiet.drift_ppm_most = plan_.faults.drift_ppm_most;
    quiet.monotonic_offset_most = plan_.faults.monotonic_offset_most;
    quiet.wall_offset_most = plan_.faults.wall_offset_most;
    world.set_faults(quiet);
    world.network().heal_all();
    for (const NodeId node : cluster_.nodes()) {
        world.disk(node).set_quota({});
        if (std::ranges::find(core, node) != core.end())
            cluster_.start(node);
        else if (cluster_.running(node))
            world.kill(node);
    }
}

} // namespace pyralog::simtest
