#include "sim-tests/ambush.h"

#include "server/transactions/coordinator.h"

#include <algorithm>

namespace pyralog::simtest {

namespace {

// Between two strikes, so that the cluster does something in between.
constexpr Duration rest_least = 100ms;
constexpr Duration rest_most = 2s;
constexpr Duration restart_most = 60ms;
constexpr Duration hang_before_cut_most = 60ms;
constexpr Duration around_election = 30ms;
constexpr Duration end_is_written_within = 20ms;

} // namespace

Ambush::Ambush(Cluster& cluster, const Plan& plan, Prober* prober)
    : cluster_(cluster), plan_(plan), prober_(prober), dice_(cluster.world().dice("ambush")),
      election_timeout_(election_timeout_of(plan)), lies_in_wait_(dice_.chance({500'000})) {}

void Ambush::later(Duration delay, std::function<void()> action) {
    sim::World& world = cluster_.world();
    world.plan(world.now() + delay, [this, action = std::move(action)] {
        if (active_) action();
    });
}

// As often within microseconds as within milliseconds.
Duration Ambush::soon() {
    const std::int64_t most = std::int64_t{1} << dice_.between(std::uint64_t{8}, 21);
    return dice_.between(Duration{0}, Duration(most));
}

bool Ambush::may_strike() {
    const Duration now = cluster_.world().now();
    if (!active_ || !lies_in_wait_ || now < not_before_ || !dice_.chance({125'000})) return false;
    not_before_ = now + dice_.between(rest_least, rest_most);
    return true;
}

void Ambush::notice(const Moment& moment) {
    const Duration now = cluster_.world().now();
    switch (moment.what) {
    case Moment::What::stands: at_candidacy(moment.node, moment.group); [[fallthrough]];
    case Moment::What::elected:
        if (prober_ && active_) prober_->excite(now + around_election, 2ms);
        break;
    case Moment::What::votes:
        if (plan_.has(FaultClass::power_cuts) && may_strike()) at_vote(moment.node);
        break;
    case Moment::What::appends: at_append(moment.node, moment.group); break;
    }
}

// Has it told of a vote that its disk does not have? It is back soon enough to vote once more.
void Ambush::at_vote(NodeId voter) {
    later(soon(), [this, voter] {
        if (!cluster_.running(voter)) return;
        cluster_.world().cut_power(voter);
        later(dice_.between(Duration(1ms), restart_most), [this, voter] { cluster_.start(voter); });
    });
}

// Somebody stands for election though there is a leader: he was asked to, or has not heard of it.
// If that hears from nobody from now on, it takes itself for the leader as long as it can, beside
// the next one.
void Ambush::at_candidacy(NodeId candidate, GroupId group) {
    if (!active_ || !lies_in_wait_ || !plan_.has(FaultClass::partitions) || !prober_) return;
    const auto leads = [&](NodeId node) {
        const raft::Host* const host = cluster_.host(node);
        return node != candidate && host && host->groups().contains(group) &&
               host->groups().at(group)->leads();
    };
    const auto leader = std::ranges::find_if(cluster_.nodes(), leads);
    if (leader == cluster_.nodes().end() || !dice_.coin()) return;
    cut_off(*leader, group, 2 * election_timeout_);
    prober_->excite(cluster_.world().now() + election_timeout_, 5ms);
}

void Ambush::at_append(NodeId leader, GroupId group) {
    std::vector<void (Ambush::*)(NodeId, GroupId)> strikes;
    if (plan_.has(FaultClass::pauses)) strikes.push_back(&Ambush::pause);
    if (plan_.has(FaultClass::slow_disks)) strikes.push_back(&Ambush::hang_and_depose);
    if (plan_.has(FaultClass::power_cuts)) strikes.push_back(&Ambush::cut_while_writing);
    if (plan_.has(FaultClass::partitions)) strikes.push_back(&Ambush::part_from_group);
    // How a transaction ends is decided by one entry, and what follows from it goes to others.
    if (may_strike_at_end(leader, group)) return part_from_group(leader, group);
    if (strikes.empty() || !may_strike()) return;
    (this->*strikes[static_cast<std::size_t>(dice_.pick(strikes.size()))])(leader, group);
}

void Ambush::expect(std::uint64_t ends) {
    if (ends_ == ends) return;
    ends_ = ends;
    end_expected_until_ = cluster_.world().now() + end_is_written_within;
}

bool Ambush::may_strike_at_end(NodeId leader, GroupId group) {
    const Duration now = cluster_.world().now();
    if (!active_ || !lies_in_wait_ || !plan_.has(FaultClass::partitions) ||
        now > end_expected_until_ || !holds_transactions(leader, group) || !dice_.chance({250'000}))
        return false;
    end_expected_until_ = now - Duration(1);
    return true;
}

bool Ambush::holds_transactions(NodeId leader, GroupId group) const {
    const server::Catalogue* const catalogue = cluster_.catalogue(leader);
    const server::Topic* const topic =
        catalogue ? catalogue->find(server::transactions_topic_name) : nullptr;
    return topic && std::ranges::any_of(topic->partitions, [group](const auto& partition) {
               return partition.group == group;
           });
}

NodeId Ambush::some_node() {
    const auto& nodes = cluster_.nodes();
    return nodes[static_cast<std::size_t>(dice_.pick(nodes.size()))];
}

// What is half written when the power goes is what recovery must tell from what was whole. Where
// the disk has kept everybody waiting, the next round has all that has come meanwhile.
void Ambush::cut_while_writing(NodeId leader, GroupId /*group*/) {
    const NodeId node = dice_.coin() ? some_node() : leader;
    Duration until_written = soon();
    if (plan_.has(FaultClass::slow_disks) && dice_.coin()) {
        const Duration hang = dice_.between(Duration(1ms), hang_before_cut_most);
        sim::World& world = cluster_.world();
        world.disk(node).hang_until(world.now() + hang);
        until_written += hang;
    }
    later(until_written, [this, node] {
        if (!cluster_.running(node)) return;
        cluster_.world().cut_power(node);
        later(dice_.between(Duration(1ms), restart_most), [this, node] { cluster_.start(node); });
    });
}

// For so long that there is another one when it wakes up: the answers to what it has said are then
// still in its sockets, and so are new questions.
void Ambush::pause(NodeId leader, GroupId /*group*/) {
    const Duration time = dice_.between(election_timeout_, 5 * election_timeout_);
    later(soon(), [this, leader, time] {
        if (!cluster_.running(leader)) return;
        sim::World& world = cluster_.world();
        world.pause(leader, world.now() + time);
        if (prober_) prober_->excite(world.now() + time + around_election, time / 8);
    });
}

// The entry waits for a disk when its leader is overruled, and so do those that take its place.
void Ambush::hang_and_depose(NodeId leader, GroupId /*group*/) {
    const NodeId slow = some_node();
    sim::World& world = cluster_.world();
    world.disk(slow).hang_until(world.now() + dice_.between(Duration(200ms), Duration(3s)));
    if (!plan_.has(FaultClass::kills)) return;
    later(soon(), [this, leader] {
        if (!cluster_.running(leader)) return;
        cluster_.world().kill(leader);
        later(dice_.between(Duration(1ms), restart_most),
              [this, leader] { cluster_.start(leader); });
    });
}

// All that follows from the entry can reach others, and the entry nobody who has to agree on it:
// for long enough that they elect another leader, who has never heard of it.
void Ambush::part_from_group(NodeId leader, GroupId group) {
    const Duration length = dice_.between(election_timeout_, 5 * election_timeout_);
    if (dice_.coin())
        cut_off(leader, group, length);
    else
        later(soon(), [this, leader, group, length] { cut_off(leader, group, length); });
}

void Ambush::cut_off(NodeId leader, GroupId group, Duration length) {
    const raft::Host* const host = cluster_.host(leader);
    if (!host || !host->groups().contains(group)) return;
    std::vector<NodeId> others = host->groups().at(group)->consensus().members().voters;
    std::erase(others, leader);
    sim::Fabric& network = cluster_.world().network();
    network.split(std::span(&leader, 1), others);
    later(length, [&network, leader, others] {
        for (const NodeId other : others) {
            network.heal(leader, other);
            network.heal(other, leader);
        }
    });
}

} // namespace pyralog::simtest
