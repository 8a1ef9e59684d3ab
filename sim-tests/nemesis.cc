#include "sim-tests/nemesis.h"

#include <algorithm>

namespace pyralog::simtest {

Nemesis::Nemesis(Cluster& cluster, std::map<NodeId, NodeMedia>& media, const Plan& plan,
                 std::vector<NodeId> clients)
    : cluster_(cluster), media_(media), plan_(plan), atlas_(cluster, plan),
      clients_(std::move(clients)), ambush_dice_(cluster.world().dice("nemesis/ambush")),
      start_dice_(cluster.world().dice("nemesis/start")),
      recovery_dice_(cluster.world().dice("nemesis/recovery")),
      besieges_(plan.has(FaultClass::partitions) && ambush_dice_.chance({330'000}, "siege")),
      ambush_percent_(besieges_             ? 85
                      : ambush_dice_.coin() ? 0
                                            : ambush_dice_.pick(50)) {}

void Nemesis::begin() {
    active_ = true;
    const NemesisPlan& plan = plan_.nemesis;
    repeat("partitions", plan.partitions, &Nemesis::partition);
    repeat("stream-breaks", plan.stream_breaks, &Nemesis::break_streams);
    repeat("kills", plan.kills, &Nemesis::kill);
    repeat("power-cuts", plan.power_cuts, &Nemesis::cut_power);
    repeat("blackouts", plan.blackouts, &Nemesis::black_out);
    repeat("rack-cuts", plan.rack_cuts, &Nemesis::cut_rack);
    repeat("restart-storms", plan.restart_storms, &Nemesis::begin_storm);
    repeat("rolling-restarts", plan.rolling_restarts, &Nemesis::begin_rolling);
    repeat("pauses", plan.pauses, &Nemesis::pause);
    repeat("hung-disks", plan.hung_disks, &Nemesis::hang_disk);
    repeat("full-disks", plan.full_disks, &Nemesis::fill_disk);
    repeat("rot", plan.rot, &Nemesis::damage);
    repeat("lost-disks", plan.lost_disks, &Nemesis::lose_disk);
    if (plan.rot != Duration{0})
        for (const NodeId node : cluster_.nodes()) cluster_.world().disk(node).remember_writes();
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
    const std::string stream = "nemesis/" + std::string(name);
    repeated_.push_back({std::string(name), cluster_.world().dice(stream),
                         cluster_.world().dice(stream + "/when"), mean, strike});
    next_of(repeated_.size() - 1);
}

// Strikes are due at any time from half the mean to one and a half.
void Nemesis::next_of(std::size_t repeated) {
    Repeated& one = repeated_[repeated];
    later(one.when_dice.between(one.mean / 2, one.mean + one.mean / 2), [this, &one, repeated] {
        if (one.dice.strike(one.name) && !sim::is_muted("strike/" + one.name))
            (this->*one.strike)(one.dice);
        next_of(repeated);
    });
}

NodeId Nemesis::some_node(sim::Dice& dice) const {
    const auto& nodes = cluster_.nodes();
    return nodes[static_cast<std::size_t>(dice.pick(nodes.size()))];
}

// What a new leader has begun and not finished is what the next one must get right.
void Nemesis::ambush(NodeId leader) {
    const sim::Chance chance{static_cast<std::uint32_t>(ambush_percent_ * 10'000)};
    if (!active_ || !ambush_dice_.chance(chance, "ambush")) return;
    const Duration delay = soon(ambush_dice_);
    const std::uint64_t kind = besieges_ ? 2 : ambush_dice_.pick(3);
    if (kind == 0 && plan_.has(FaultClass::kills))
        later(delay, [this, leader] { end_process(leader, false, ambush_dice_); });
    if (kind == 1 && plan_.has(FaultClass::power_cuts))
        later(delay, [this, leader] { end_process(leader, true, ambush_dice_); });
    if (kind == 2 && plan_.has(FaultClass::partitions))
        later(delay, [this, leader] { isolate(leader, ambush_dice_); });
}

// ---- The end of it ----

void Nemesis::heal(std::span<const NodeId> core) {
    active_ = false;
    awaited_cuts_.clear();
    memory_limits_.clear();
    core_.assign(core.begin(), core.end());
    sim::World& world = cluster_.world();
    sim::Faults quiet;
    quiet.schedule = plan_.faults.schedule;
    quiet.monotonic_offset_most = plan_.faults.monotonic_offset_most;
    quiet.wall_offset_most = plan_.faults.wall_offset_most;
    world.set_faults(quiet);
    world.network().heal_all();
    for (const NodeId node : cluster_.nodes()) {
        world.disk(node).set_quota({});
        world.disk(node).limit_open_files({});
        world.network().limit_streams(node, {});
        world.resume(node);
        world.time(node).limit_drift(healed_drift_ppm_max);
        if (std::ranges::find(core, node) != core.end()) cluster_.start(node);
    }
}

} // namespace pyralog::simtest
