// Any number of replicas, an adversary for a network, for the disks and for the clocks; and all
// invariants after every step.
#include "core/base/bug.h"
#include "raft/toy_group.h"

#include <iostream>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace pyralog;
using namespace pyralog::raft;

namespace {

int number(Random& random, int low, int high) {
    return static_cast<int>(random.between(std::int64_t(low), std::int64_t(high)));
}

RaftConfig odd_config(Random& random) {
    RaftConfig config;
    config.pre_vote = random.chance(3, 4);
    config.appends_in_flight_max = number(random, 1, 8);
    config.append_entries_max = number(random, 1, 5);
    config.uncommitted_entries_max = number(random, 8, 40);
    return config;
}

// What the world does next. Which faults there are, and how likely each is, differs from run to
// run: where everything happens all the time, nothing gets far.
class Adversary {
public:
    Adversary(ToyGroup& group, Random dice) : group_(group) {
        weights_[deliver_oldest] = 100;
        weights_[sync] = 1 << dice.below(7);
        weights_[elapse] = 4 << dice.below(4);
        weights_[propose] = 1 << dice.below(5);
        weights_[start] = 6;
        weights_[heal] = 5;
        for (std::size_t fault = heal + 1; fault < kind_count; ++fault)
            if (dice.chance(1, 2)) weights_[fault] = number(dice, 1, fault >= crash ? 2 : 12);
        for (const int weight : weights_) total_ += weight;
    }

    void act(std::uint64_t seed) {
        Random dice(seed);
        int at = static_cast<int>(dice.below(static_cast<std::uint64_t>(total_)));
        std::size_t kind = 0;
        while (at >= weights_[kind]) at -= weights_[kind++];
        act(static_cast<Kind>(kind), dice);
    }

private:
    enum Kind : std::size_t {
        deliver_oldest,
        sync,
        elapse,
        propose,
        start,
        heal,
        deliver_any,
        drop,
        repeat,
        sync_some,
        elapse_one,
        wait_out,
        propose_anywhere,
        trim,
        barriers,
        hand_over,
        reboot,
        crash,
        block,
        clog,
        cut_off,
        pause,
        lose_disk,
        kind_count
    };

    NodeId any_node(Random& dice) {
        return NodeId(static_cast<std::int32_t>(1 + dice.below(group_.replicas.size())));
    }
    std::size_t any_packet(Random& dice) { return dice.below(group_.network.size()); }

    void act(Kind kind, Random& dice) {
        const NodeId node = any_node(dice);
        ToyGroup::Replica& r = group_.replicas.at(node);
        switch (kind) {
        case deliver_oldest: return group_.deliver_oldest();
        case deliver_any:
            if (!group_.network.empty()) group_.deliver(any_packet(dice));
            return;
        case drop:
            if (!group_.network.empty()) {
                const auto at = static_cast<std::ptrdiff_t>(any_packet(dice));
                group_.network.erase(group_.network.begin() + at);
            }
            return;
        case repeat:
            if (!group_.network.empty()) group_.deliver(any_packet(dice), true);
            return;
        case sync: return group_.sync(node, SIZE_MAX);
        case sync_some: return group_.sync(node, 1);
        case elapse: {
            const Duration step = dice.between(1ms, 60ms);
            for (const auto& [each, replica] : group_.replicas)
                if (each != paused_) group_.elapse(each, dice.between(step / 2, step));
            return;
        }
        case elapse_one: return group_.elapse(node, dice.between(50ms, 2s));
        case wait_out: return group_.tick_at_deadline(node);
        case propose:
            if (const auto leader = group_.leader())
                (void)group_.propose(*leader, number(dice, 1, 9));
            return;
        case propose_anywhere:
            if (r.consensus) (void)group_.propose(node, 1);
            return;
        case trim:
            if (const auto leader = group_.leader()) {
                const std::int64_t start = group_.replicas.at(*leader).log.start.first.index;
                const std::int64_t end = group_.replicas.at(*leader).committed.index;
                const std::int64_t index = dice.between(start, end);
                if (index > start) (void)group_.propose_trim(*leader, index);
            }
            return;
        case barriers:
            for (const auto& [each, replica] : group_.replicas)
                if (replica.consensus) (void)group_.barrier(each);
            return;
        case hand_over:
            if (const auto leader = group_.leader()) (void)group_.transfer(*leader, any_node(dice));
            return;
        case reboot:
            if (r.consensus) group_.crash(node, dice.below(3));
            if (!r.consensus) group_.start(node);
            return;
        case crash:
            if (r.consensus) group_.crash(node, dice.below(6));
            return;
        case start:
            if (!r.consensus) group_.start(node);
            return;
        case block: group_.blocked.insert({node, any_node(dice)}); return;
        case cut_off: return group_.cut_off(node);
        case clog: group_.clogged.insert({node, any_node(dice)}); return;
        case pause: // Its clock stands still, and what is sent to it waits: a stopped process.
            paused_ = group_.leader().value_or(node);
            return group_.clog_all_of(*paused_);
        case lose_disk: return lose_disk_of(node, dice);
        case heal: paused_.reset(); return group_.heal();
        case kind_count: return;
        }
    }

    // Of one at a time: the others have what it had. One that abstains may lose the next one, too.
    void lose_disk_of(NodeId node, Random& dice) {
        for (const auto& [each, replica] : group_.replicas)
            if (each != node && !group_.counts(each)) return;
        if (group_.replicas.size() < 2) return;
        if (group_.is_up(node)) group_.crash(node, dice.below(3));
        group_.lose_disk(node, dice.below(4));
    }

    ToyGroup& group_;
    std::array<int, kind_count> weights_{};
    int total_ = 0;
    std::optional<NodeId> paused_;
};

// Soon one leads, and what it takes in is committed by all who are neither down nor cut off.
bool makes_progress(ToyGroup& group, std::optional<NodeId> left_out) {
    for (int i = 0; i < 60 && !group.violation; ++i) {
        group.run_for(group.config.election_timeout / 2, 5);
        const auto leader = group.leader();
        if (!leader || !group.propose(*leader, 1).ok()) continue;
        const Result<std::uint64_t> asked = group.barrier(*leader);
        const Position end = group[*leader].end();
        group.run_for(group.config.heartbeat_interval * 2);
        bool all = asked.ok() && group.replicas.at(*leader).barriers_passed >= asked.value();
        for (const auto& [node, replica] : group.replicas)
            if (node != left_out)
                all = all && replica.consensus->end() == end && replica.committed == end &&
                      replica.consensus->leader() == leader && replica.disk.log == replica.log &&
                      (left_out || !replica.consensus->abstains());
        if (all) return true;
    }
    return false;
}

// Everybody is started and can talk; except that, sometimes, the leader hears nobody while all hear
// it. That must not keep the others from electing one who does.
std::string convergence_failure(ToyGroup& group, bool with_deaf_leader) {
    group.heal();
    group.start_all();
    group.sync_all();
    group.settle();
    const auto leader = group.leader();
    // Whoever abstains needs all others, and a majority cannot do without him and the deaf one.
    const bool all_count = std::ranges::all_of(
        group.replicas, [&](const auto& replica) { return group.counts(replica.first); });
    if (with_deaf_leader && leader && all_count && group.replicas.size() > 2) {
        group.make_deaf(*leader);
        if (!makes_progress(group, leader)) return "no progress beside a deaf leader";
        group.heal();
    }
    return makes_progress(group, {}) ? "" : "no progress after healing";
}

std::string describe(const Violation& v) { return std::string(v.invariant) + ": " + v.detail; }

// A whole run from one seed. What went wrong, or nothing.
std::string run(std::uint64_t seed, int steps) {
    Random random(seed);
    Random setup = random.fork("setup");
    const int size = 1 + static_cast<int>(setup.below(5));
    ToyGroup group(size, odd_config(setup), seed);
    group.start_all();
    if (setup.chance(1, 2)) group.run_for(group.config.election_timeout * 3);
    Adversary adversary(group, random.fork("weights"));
    Random acts = random.fork("acts");
    for (int i = 0; i < steps && !group.violation; ++i) adversary.act(acts.next());
    const std::string stuck = group.violation ? "" : convergence_failure(group, setup.chance(1, 2));
    return group.violation ? describe(*group.violation) : stuck;
}

} // namespace

TEST_CASE("whatever the world does, all invariants hold, and when it stops all agree",
          "[raft][model]") {
    rc::prop("any acts of the adversary", [] {
        const auto setup = *rc::gen::inRange<std::uint64_t>(0, 1 << 20);
        const auto acts =
            *rc::gen::scale(6.0, rc::gen::container<std::vector<std::uint64_t>>(
                                     rc::gen::inRange<std::uint64_t>(0, std::uint64_t(1) << 40)));
        Random random(setup);
        const int size = 1 + static_cast<int>(random.below(5));
        ToyGroup group(size, odd_config(random), setup);
        group.start_all();
        Adversary adversary(group, random.fork("weights"));
        for (const std::uint64_t act : acts) {
            adversary.act(act);
            if (group.violation) RC_FAIL(describe(*group.violation));
        }
        const std::string stuck = convergence_failure(group, random.chance(1, 2));
        if (group.violation) RC_FAIL(describe(*group.violation));
        if (!stuck.empty()) RC_FAIL(stuck);
    });
}

#ifndef PYRALOG_BUGS

TEST_CASE("long histories keep all invariants", "[raft][model]") {
    constexpr int steps = 5000;
    constexpr int runs = 800;
    for (std::uint64_t seed = 1; seed <= runs; ++seed) {
        const std::string failure = run(seed, steps);
        INFO("seed " << seed);
        REQUIRE(failure == "");
    }
}

#else

// A test of the tests: with each bug planted, some run must fail.
TEST_CASE("the invariants find each planted bug", "[raft][model]") {
    for (const char* name : {"M01", "M02", "M03", "M04", "M05", "M06", "M07", "M08", "M15", "M24",
                             "M25", "M27", "M28", "M43"}) {
        bugs::plant(name);
        std::string failure;
        std::uint64_t seed = 0;
        while (failure.empty() && seed < 20000) failure = run(++seed, 5000);
        std::cout << name << ": seed " << seed << ", " << bugs::hit_count << " hits, " << failure
                  << '\n';
        CHECK(failure != "");
    }
    bugs::plant("");
}

#endif
