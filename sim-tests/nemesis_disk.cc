#include "sim-tests/nemesis.h"

namespace pyralog::simtest {

void Nemesis::hang_disk(sim::Dice& dice) {
    sim::World& world = cluster_.world();
    const NodeId node = some_node(dice);
    const Duration time = dice.between(Duration(5ms), plan_.nemesis.pause_most);
    world.disk(node).hang_until(world.now() + time);
}

void Nemesis::fill_disk(sim::Dice& dice) {
    const NodeId node = some_node(dice);
    cluster_.world().disk(node).set_quota(plan_.nemesis.disk_quota);
    later(down_time(dice), [this, node] { cluster_.world().disk(node).set_quota({}); });
}

// More than half must stay whole. What has been damaged may be damaged more.
bool Nemesis::may_damage(NodeId node) const {
    std::size_t damaged = 0;
    for (const NodeId any : cluster_.nodes()) damaged += cluster_.damaged(any) ? 1 : 0;
    return cluster_.damaged(node) || damaged < damaged_max;
}

void Nemesis::rot(sim::Dice& dice) {
    const NodeId node = some_node(dice);
    if (!may_damage(node)) return;
    const auto place = media_.at(node).settled_byte(dice);
    if (!place) return;
    cluster_.damage(node);
    sim::Medium& disk = cluster_.world().disk(node);
    if (percent(dice, 33)) {
        (void)disk.make_unreadable(place->path, place->position);
    } else {
        const std::uint64_t bit = dice.pick(8);
        (void)disk.rot(place->path, place->position, static_cast<std::byte>(1u << bit));
    }
    // Most of what is on a disk is read when a node starts.
    if (!cluster_.running(node) || !percent(dice, 66)) return;
    cluster_.world().kill(node);
    start_later(node, dice);
}

// For good: nothing brings a node back that has forgotten what it promised. What was on the disk
// stays there for the oracles: a promise that was kept until then was kept.
void Nemesis::lose_disk(sim::Dice& dice) {
    const NodeId node = some_node(dice);
    if (!may_damage(node) || cluster_.lost(node)) return;
    cluster_.world().count(sim::Fault::lost_disk, media_.at(node).has_batches());
    cluster_.lose(node);
    if (cluster_.running(node)) cluster_.world().cut_power(node);
}

void Nemesis::jump_clock(sim::Dice& dice) {
    sim::NodeTime& time = cluster_.world().time(some_node(dice));
    const Duration most = 600s;
    if (dice.coin()) {
        time.jump_wall(dice.between(-most, most));
    } else {
        const Duration most_ppm{static_cast<std::int64_t>(plan_.faults.drift_ppm_most)};
        time.set_drift(dice.between(-most_ppm, most_ppm).count());
    }
}

} // namespace pyralog::simtest
