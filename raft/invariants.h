// raft/invariants.h
//
// What must hold of one replica, of one step of it, and of all replicas together, whatever the
// world does. The names are those of the paper where it has one; README.md explains each. The tests
// and the simulator ask after every event, so a look at a replica that has not changed costs a few
// comparisons, and at one that has, little more than a copy of its term table.
#pragma once

#include "raft/consensus.h"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace pyralog::raft {

struct Violation {
    std::string_view invariant; // "election safety" and so on: one of a fixed list.
    std::string detail;
};

// For the tests of these: the one that says nothing, as if it were not there. Set before anything
// else, by whoever runs a test program (PYRALOG_MUTE), and by nobody else.
inline std::string_view muted_invariant;

// What the invariants speak of.
struct ReplicaState {
    NodeId self;
    Role role = Role::follower;
    Vote vote, durable_vote;
    TermTable terms;
    Position end, durable_end, committed;
    std::uint64_t barriers_asked = 0, barriers_passed = 0;
    bool operator==(const ReplicaState&) const = default;
};
ReplicaState state_of(const Consensus& replica);

// Of one replica by itself.
std::optional<Violation> check_replica(const ReplicaState& state);

// Of what one or more inputs have changed.
std::optional<Violation> check_step(const ReplicaState& before, const ReplicaState& after);

// Of what is there after a crash, if the disk has kept what it had promised.
std::optional<Violation> check_restart(const ReplicaState& before, const ReplicaState& after);

// Of all replicas of one group. It remembers the last state of each, also of those that are down,
// who has led each term, where each term began, what has been committed, and how things stood when
// each read barrier was asked for that has not been passed.
class Agreement {
public:
    explicit Agreement(Members members) : members_(std::move(members)) {}

    // After every event at this replica, and before the next event anywhere.
    std::optional<Violation> observe(const Consensus& replica);

    // Instead, where nothing has changed that the invariants speak of: somebody has spoken to it.
    void heard(const Consensus& replica) { inputs_[replica.self()] = replica.inputs(); }

    // Instead, the first time after it was started, or started again.
    std::optional<Violation> observe_started(const Consensus& replica);

    // This replica's disk was replaced or damaged: nothing is expected of what it held.
    void forget(NodeId replica) { states_.erase(replica); }

    // The same of one that knows it, and begins again with a vote that is unknown. What it had on
    // its disk counts for what others have been told by then, and for nothing later: until it is
    // level with them.
    void gave_up(NodeId replica) {
        const auto known = states_.find(replica);
        if (known == states_.end()) return;
        const auto gone = gone_.try_emplace(replica, known->second).first;
        // One of two votes while it abstains.
        if (known->second.durable_vote.candidate)
            gone->second.durable_vote = known->second.durable_vote;
        states_.erase(known);
    }

    // All that any replica has ever called committed.
    Position committed() const { return committed_; }

private:
    // A read barrier, and what there was in the group when it was asked for.
    struct Barrier {
        std::uint64_t number = 0;
        Term term;
        Position committed;
        bool overruled = false; // A majority had moved on: nobody led in that term any more.
        std::map<NodeId, std::uint64_t> inputs; // Of each replica that has not ended since.
    };

    std::optional<Violation> check_all(const ReplicaState& state);
    std::optional<Violation> check_leader(const ReplicaState& state);
    std::optional<Violation> check_elected(const ReplicaState& leader) const;
    std::optional<Violation> check_matched(const Consensus& leader) const;
    std::optional<Violation> check_log(const ReplicaState& state);
    std::optional<Violation> check_committed(const ReplicaState& state);
    std::optional<Violation> check_start(const ReplicaState& state);
    std::optional<Violation> check_complete(const ReplicaState& leader) const;
    bool has_committed(const ReplicaState& state, Position end) const;
    std::optional<Violation> check_barriers(const Consensus& leader, std::uint64_t known);
    std::optional<Violation> check_passed(const Consensus& leader, const Barrier& barrier) const;
    bool is_overruled(Term term) const;
    bool is_pair() const { return members_.voters.size() == 2 && members_.outgoing.empty(); }

    struct TermBegin {
        Position first;
        Term previous;
        bool operator==(const TermBegin&) const = default;
    };

    Members members_;
    // Of its disk, or of the one that it has given up and for which nothing else stands in yet.
    template <class Has>
    bool counts(NodeId node, const Has& has) const {
        const auto found = states_.find(node), gone = gone_.find(node);
        return (found != states_.end() && !found->second.durable_vote.is_unknown &&
                has(found->second)) ||
               (gone != gone_.end() && has(gone->second));
    }

    std::map<NodeId, ReplicaState> states_;
    std::map<NodeId, ReplicaState> gone_; // Of those that gave up, and are not level yet.
    std::map<NodeId, std::uint64_t> inputs_;
    std::map<NodeId, std::deque<Barrier>> barriers_; // In the order of their numbers.
    std::map<Term, NodeId> leaders_;
    std::map<Term, TermBegin> begins_;
    std::map<std::int64_t, LogStart> log_starts_; // By index.
    TermTable committed_terms_;
    Position committed_;
    std::map<Term, Position> committed_in_; // How far, when the first who knew was in that term.
};

} // namespace pyralog::raft
