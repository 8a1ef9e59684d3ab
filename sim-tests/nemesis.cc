#include "sim-tests/nemesis.h"

#include <algorithm>

namespace pyralog::simtest {

Nemesis::Nemesis(Cluster& cluster, std::map<NodeId, NodeMedia>& media, const Plan& plan,
                 std::vector<NodeId> clients)
    : cluster_(cluster), media_(media), plan_(plan), clients_(std::move(clients)),
      random_(Random(plan.seed).fork("nemesis")),
      besieges_(plan.has(FaultClass::partitions) && random_.chance(1, 3)),
      ambush_percent_(besieges_              ? 85
                      : random_.chance(1, 2) ? random_.below(50)
                                             : 0) {}

void Nemesis::begin() {
    active_ = true;
    const NemesisPlan& plan = plan_.nemesis;
    repeat(plan.partitions, &Nemesis::partition);
    repeat(plan.kills, &Nemesis::kill);
    repeat(plan.power_cuts, &Nemesis::cut_power);
    repeat(plan.blackouts, &Nemesis::black_out);
    repeat(plan.pauses, &Nemesis::pause);
    repeat(plan.hung_disks, &Nemesis::hang_disk);
    repeat(plan.full_disks, &Nemesis::fill_disk);
    repeat(plan.rot, &Nemesis::rot);
    repeat(plan.clock_jumps, &Nemesis::jump_clock);
}

void Nemesis::later(Duration delay, std::function<void()> action) {
    sim::World& world = cluster_.world();
    world.plan(world.now() + delay, [this, action = std::move(action)] {
        if (active_) action();
    });
}

// Strikes at any time from half the mean to one and a half.
void Nemesis::repeat(Duration mean, Strike strike) {
    if (mean == Duration{0}) return;
    const Duration gap = random_.between(mean / 2, mean + mean / 2);
    later(gap, [this, mean, strike] {
        (this->*strike)();
        repeat(mean, strike);
    });
}

NodeId Nemesis::some_node() {
    const auto& nodes = cluster_.nodes();
    return nodes[random_.below(nodes.size())];
}

Duration Nemesis::down_time() { return random_.between(Duration(1ms), plan_.nemesis.down_most); }

void Nemesis::start_later(NodeId node) {
    later(down_time(), [this, node] { cluster_.start(node); });
}

void Nemesis::observe() {
    for (const NodeId node : cluster_.take_ended()) {
        if (active_) {
            start_later(node);
        } else if (std::ranges::find(core_, node) != core_.end()) {
            // Of a fault that had struck before the heal.
            sim::World& world = cluster_.world();
            world.plan(world.now() + 1ms, [this, node] { cluster_.start(node); });
        }
    }
}

// ---- Processes and power ----

void Nemesis::end_process(NodeId node, bool power_cut) {
    if (!cluster_.running(node)) return;
    if (power_cut)
        cluster_.world().cut_power(node);
    else
        cluster_.world().kill(node);
    start_later(node);
}

void Nemesis::kill() { end_process(some_node(), false); }
void Nemesis::cut_power() { end_process(some_node(), true); }

// What a new leader has begun and not finished is what the next one must get right.
void Nemesis::ambush(NodeId leader) {
    if (!active_ || !random_.chance(ambush_percent_, 100)) return;
    // As often within microseconds as within milliseconds: before it has said anything, while some
    // have heard it, or when all have.
    const std::int64_t most = std::int64_t{1} << random_.between(8, 24);
    const Duration delay(random_.between(0, most));
    const std::uint64_t kind = besieges_ ? 2 : random_.below(3);
    if (kind == 0 && plan_.has(FaultClass::kills))
        later(delay, [this, leader] { end_process(leader, false); });
    if (kind == 1 && plan_.has(FaultClass::power_cuts))
        later(delay, [this, leader] { end_process(leader, true); });
    if (kind == 2 && plan_.has(FaultClass::partitions))
        later(delay, [this, leader] { isolate(leader); });
}

void Nemesis::black_out() {
    cluster_.world().cut_power(cluster_.nodes());
    for (const NodeId node : cluster_.nodes()) start_later(node);
}

void Nemesis::pause() {
    const NodeId node = some_node();
    const Duration time = random_.between(Duration(1ms), plan_.nemesis.pause_most);
    if (cluster_.running(node)) cluster_.world().pause(node, cluster_.world().now() + time);
}

// ---- The network ----

void Nemesis::partition() {
    sim::Fabric& network = cluster_.world().network();
    network.heal_all();
    std::vector<NodeId> all = cluster_.nodes();
    random_.shuffle(std::span(all));
    const std::size_t brokers = all.size();
    const std::size_t cut = brokers > 1 ? 1 + random_.below(brokers - 1) : 1;
    std::vector<NodeId> one(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(cut));
    std::vector<NodeId> other(all.begin() + static_cast<std::ptrdiff_t>(cut), all.end());
    // Clients are somewhere too, and may see one side, the other, or both.
    for (const NodeId client : clients_) {
        const std::uint64_t side = random_.below(3);
        if (side == 0) one.push_back(client);
        if (side == 1) other.push_back(client);
    }
    switch (random_.below(6)) {
    case 0: network.one_way(one, other); break;
    case 1: network.one_way(other, one); break;
    case 2:
        if (brokers > 2) {
            const NodeId bridge = all.back();
            std::erase(one, bridge);
            std::erase(other, bridge);
            network.bridge(bridge, one, other);
            break;
        }
        [[fallthrough]];
    case 3:
        if (brokers > 3) {
            network.ring(all);
            break;
        }
        [[fallthrough]];
    default: network.split(one, other);
    }
    heal_later();
}

void Nemesis::isolate(NodeId node) {
    sim::Fabric& network = cluster_.world().network();
    network.heal_all();
    std::vector<NodeId> others = cluster_.nodes();
    std::erase(others, node);
    network.isolate(node, others);
    heal_later();
}

void Nemesis::heal_later() {
    const std::uint64_t number = ++partitions_;
    later(random_.between(Duration(10ms), plan_.nemesis.partition_most), [this, number] {
        if (number == partitions_) cluster_.world().network().heal_all();
    });
}

// ---- Disks and clocks ----

void Nemesis::hang_disk() {
    sim::World& world = cluster_.world();
    const NodeId node = some_node();
    const Duration time = random_.between(Duration(5ms), plan_.nemesis.pause_most);
    world.disk(node).hang_until(world.now() + time);
}

void Nemesis::fill_disk() {
    const NodeId node = some_node();
    cluster_.world().disk(node).set_quota(plan_.nemesis.disk_quota);
    later(down_time(), [this, node] { cluster_.world().disk(node).set_quota({}); });
}

void Nemesis::rot() {
    const NodeId node = some_node();
    std::size_t damaged = 0;
    for (const NodeId any : cluster_.nodes()) damaged += cluster_.damaged(any) ? 1 : 0;
    if (!cluster_.damaged(node) && damaged >= damaged_max) return;
    const auto place = media_.at(node).settled_byte(random_);
    if (!place) return;
    cluster_.damage(node);
    sim::Medium& disk = cluster_.world().disk(node);
    if (random_.chance(1, 3)) {
        (void)disk.make_unreadable(place->path, place->position);
    } else {
        const std::uint64_t bit = random_.below(8);
        (void)disk.rot(place->path, place->position, static_cast<std::byte>(1u << bit));
    }
    // Most of what is on a disk is read when a node starts.
    if (!cluster_.running(node) || !random_.chance(2, 3)) return;
    cluster_.world().kill(node);
    start_later(node);
}

void Nemesis::jump_clock() {
    sim::NodeTime& time = cluster_.world().time(some_node());
    const Duration most = 600s;
    if (random_.chance(1, 2)) {
        time.jump_wall(random_.between(-most, most));
    } else {
        const auto most_ppm = static_cast<std::int64_t>(plan_.faults.drift_ppm_most);
        time.set_drift(random_.between(-most_ppm, most_ppm));
    }
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
