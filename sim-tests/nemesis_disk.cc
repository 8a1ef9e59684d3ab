#include "sim-tests/nemesis.h"

namespace pyralog::simtest {

namespace {

constexpr std::uint64_t harms_at_once_max = 8;
constexpr std::uint64_t neighbours_most = 16 * 1024; // So far apart.

} // namespace

void Nemesis::hang_disk(sim::Dice& dice) {
    sim::World& world = cluster_.world();
    const NodeId node = some_node(dice);
    const Duration time = dice.between(Duration(5ms), plan_.nemesis.pause_most);
    world.disk(node).hang_until(world.now() + time);
}

// For a while there is no room for more bytes, or for more open files and streams than there are.
void Nemesis::fill_disk(sim::Dice& dice) {
    const NodeId node = some_node(dice);
    sim::Medium& disk = cluster_.world().disk(node);
    const Duration time = down_time(dice);
    if (dice.pick(3) < 2) {
        const std::uint64_t size = disk_size_.value_or(sim::Medium::plenty);
        disk.set_quota(std::min(plan_.nemesis.disk_quota, size));
        later(time, [this, &disk] { disk.set_quota(disk_size_); });
    } else {
        // The process may have no more descriptors, or only few.
        sim::Fabric& network = cluster_.world().network();
        const std::uint64_t more = dice.pick(4);
        disk.limit_open_files(disk.open_files() + more);
        network.limit_streams(node, network.open_streams(node) + more);
        later(time, [&disk, &network, node] {
            disk.limit_open_files({});
            network.limit_streams(node, {});
        });
    }
}

// They fill by themselves: most of what is written stays.
void Nemesis::make_disks_small(sim::Dice&) {
    disk_size_ = plan_.nemesis.disk_size;
    for (const NodeId node : cluster_.nodes()) cluster_.world().disk(node).set_quota(disk_size_);
}

// A read of the log will be wrong, once. Nothing is harmed, so any disk may do it, and all that is
// demanded of a node stays. RocksDB's files are left alone: it gives up at the first wrong block.
void Nemesis::misdirect_read(NodeId node, sim::Dice& dice) {
    sim::Medium& disk = cluster_.world().disk(node);
    std::vector<std::pair<std::string, std::uint64_t>> files;
    for (const auto& [inode, path] : disk.durable_files())
        if ((path.starts_with("journal/") || path.starts_with("groups/")) &&
            disk.durable_size(inode) > 0)
            files.emplace_back(path, disk.durable_size(inode));
    if (files.empty()) return;
    const auto& [path, size] = files[static_cast<std::size_t>(dice.pick(files.size()))];
    disk.misdirect_read(path, dice.pick(size));
    if (dice.coin()) end_process(node, false, dice); // Most of it is read at the start.
}

void Nemesis::damage(sim::Dice& dice) {
    const NodeId node = some_node(dice);
    if (!cluster_.have_met()) return;
    if (plan_.nemesis.decays) return decay(node, dice);
    if (dice.pick(4) == 3) return misdirect_read(node, dice);
    if (!atlas_.allows(node) || !damage_disk(node, dice)) return;
    cluster_.damage(node);
    // A disk that has one such place often has more.
    const std::uint64_t more = dice.pick(4) == 3 ? dice.pick(harms_at_once_max) : 0;
    for (std::uint64_t i = 0; i < more; ++i) (void)damage_disk(node, dice);
    // Most of what is on a disk is read when a node starts.
    if (!cluster_.running(node) || dice.pick(3) == 0) return;
    cluster_.world().kill(node);
    start_later(node, dice);
}

// What is read, mended and deleted while it rots.
void Nemesis::decay(NodeId node, sim::Dice& dice) {
    const auto place = media_.at(node).segment_byte(dice);
    if (!atlas_.allows(node) || !place) return;
    sim::Medium& disk = cluster_.world().disk(node);
    const bool is_sector = dice.coin();
    const auto strike = [&](std::uint64_t position) {
        const bool struck = is_sector ? disk.make_unreadable(place->path, position)
                                      : disk.rot(place->path, position, std::byte{8});
        if (struck) cluster_.damage(node);
    };
    strike(place->position);
    // Often something else beside it: of two each may begin or end where the other is.
    const std::uint64_t before = dice.pick(3) == 2 ? dice.pick(neighbours_most) : 0;
    if (before == 0 || before > place->position) return;
    const sim::Medium::Range other{place->path, place->position - before, 1};
    if (media_.at(node).settled(other)) strike(other.position);
}

// False if there is nothing to damage.
bool Nemesis::damage_disk(NodeId node, sim::Dice& dice) {
    sim::Medium& disk = cluster_.world().disk(node);
    const auto settled = [&](const sim::Medium::Range& range) {
        return media_.at(node).settled(range);
    };
    switch (dice.pick(8)) {
    case 0:
    case 1: {
        const auto place = media_.at(node).settled_byte(dice);
        return place && disk.make_unreadable(place->path, place->position);
    }
    case 2:
    case 3: return disk.lose_somewhere(settled).has_value();
    case 4: return disk.misdirect_somewhere(settled).has_value();
    case 5:
        disk.lie_at_next_sync();
        later(dice.between(Duration(1ms), 500ms), [this, node, &dice] {
            end_process(node, true, dice); // Until then nobody could know.
        });
        return true;
    default: {
        const auto place = media_.at(node).settled_byte(dice);
        const std::uint64_t bit = dice.pick(8);
        return place && disk.rot(place->path, place->position, static_cast<std::byte>(1u << bit));
    }
    }
}

// For good, or with an empty one in its place: then the node comes back, and is not to act as if it
// had promised nothing. Where so much is damaged that nothing need work, nothing is replaced.
// What was on the disk counts for the oracles: a promise that was kept until then was kept.
void Nemesis::lose_disk(sim::Dice& dice) {
    const NodeId node = some_node(dice);
    if (!cluster_.have_met() || !atlas_.allows(node) || cluster_.lost(node)) return;
    if (!cluster_.world().inject(sim::Fault::lost_disk)) return;
    if (media_.at(node).has_batches()) cluster_.world().count_effect(sim::Fault::lost_disk);
    if (cluster_.running(node)) cluster_.world().cut_power(node);
    if (plan_.unlimited_damage || !replaced_ || dice.coin()) {
        cluster_.world().disk(node).lose_all();
        return cluster_.lose(node);
    }
    cluster_.damage(node);
    replaced_(node);
    cluster_.world().disk(node).replace();
    cluster_.world().facts(node).replace();
    start_later(node, dice);
}

void Nemesis::jump_clock(sim::Dice& dice) {
    sim::World& world = cluster_.world();
    sim::NodeTime& time = world.time(some_node(dice));
    switch (dice.pick(3)) {
    case 0:
        // From less than a tick to longer than anything waits, and back.
        time.jump_wall(dice.coin() ? scaled(dice, 1ms, 600s) : -scaled(dice, 1ms, 600s));
        break;
    case 1: time.freeze_wall(world.now() + scaled(dice, 1ms, 10s)); break;
    default:
        time.set_drift(dice.either_way(static_cast<std::int64_t>(plan_.faults.drift_ppm_most)));
    }
}

} // namespace pyralog::simtest
