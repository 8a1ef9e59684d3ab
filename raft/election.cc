// Who leads: pre-vote, vote, leadership and its end.
#include "raft/consensus.h"

#include "core/base/bug.h"
#include "core/base/check.h"
#include "core/base/probe.h"

#include <algorithm>

namespace pyralog::raft {

void Consensus::set_election_deadline() {
    if (!is_voter(members_, self_)) {
        election_deadline_ = Time::max();
        return;
    }
    if (vote_.is_unknown) { // It has something else to do.
        election_deadline_ =
            has_heard_all() ? Time::max() : asked_for_terms_ + config_.election_timeout;
        return;
    }
    const Duration jitter = random_.between(Duration(0), config_.election_timeout);
    election_deadline_ = now_ + config_.election_timeout + jitter;
}

// A leader hears itself: when it no longer hears a majority, it is no leader for long.
bool Consensus::hears_leader() const {
    if (role_ == Role::leader) return true;
    return leader_ && now_ < leader_heard_ + config_.election_timeout;
}

// Whoever has a committed entry refuses all who lack it, so no majority elects one of those
// (paper, 5.4.1).
bool Consensus::is_up_to_date(const wire::VoteRequest& request) const {
    if (vote_.is_unknown) return true; // What is here has counted for nothing: see may_vote_for().
    if (request.log_term != terms_.last()) return request.log_term > terms_.last();
    return request.log_end.index >= end_.index;
}

void Consensus::start_election() {
    set_election_deadline();
    if (config_.pre_vote)
        stand_for_pre_vote();
    else
        stand(false);
}

// Asks if an election could be won, and promises nothing: the term stays, so a replica that was cut
// off for an hour does not unseat the leader when it is back (thesis, 9.6).
void Consensus::stand_for_pre_vote() {
    role_ = Role::pre_candidate;
    leader_.reset();
    granted_.clear();
    refused_.clear();
    ask_for_votes(term().next(), true, false);
    count_vote(self_, true);
}

void Consensus::stand(bool invited) {
    role_ = Role::candidate;
    leader_.reset();
    granted_.clear();
    refused_.clear();
    set_election_deadline();
    vote_ = {term().next(), self_};
    save_vote();
    ask_for_votes(term(), false, invited); // Our own vote is counted by persisted().
}

void Consensus::ask_for_votes(Term in, bool pre_vote, bool invited) {
    const wire::VoteRequest request{in, pre_vote, terms_.last(), end_, invited};
    for (const NodeId node : nodes_of(members_)) {
        if (node == self_ || !is_voter(members_, node)) continue;
        if (pre_vote)
            send(node, request);
        else
            send_when_durable(node, request);
    }
}

void Consensus::on(NodeId from, const wire::VoteRequest& request) {
    if (request.pre_vote) return on_pre_vote(from, request);
    // Who hears its leader has no need of another, and does not even move to the new term: a
    // candidate that cannot hear the leader must not take it from those who can (thesis, 4.2.3).
    // It learns nothing from us, but its answers to the leader will tell the leader of its term.
    // Unless the leader itself has asked it to.
    const bool disturbs = request.term > term() && hears_leader() && !request.invited;
    SOMETIMES(disturbs, "raft/vote-not-even-heard");
    if (disturbs) return;
    observe_term(request.term);
    const bool is_free = !vote_.candidate || vote_.candidate == from;
    SOMETIMES(request.term < term(), "raft/vote-asked-in-an-old-term");
    SOMETIMES(request.term == term() && !is_free, "raft/vote-was-given-to-another");
    SOMETIMES(request.term == term() && is_free && !is_up_to_date(request),
              "raft/vote-refused-for-the-log");
    SOMETIMES(request.term == term() && vote_.candidate == from, "raft/vote-asked-again");
    if (request.term < term() || !is_free || !is_up_to_date(request) || !may_vote_for(from))
        return refuse_vote(from, request);
    if (!vote_.candidate) {
        vote_.candidate = from;
        save_vote();
    }
    set_election_deadline();
    const wire::VoteReply reply{term(), false, true};
    if (durable_vote_ == vote_ || BUG(M01))
        send(from, reply);
    else
        send_when_durable(from, reply);
}

void Consensus::on_pre_vote(NodeId from, const wire::VoteRequest& request) {
    SOMETIMES(request.term <= term(), "raft/pre-vote-refused-for-the-term");
    SOMETIMES(request.term > term() && hears_leader(), "raft/pre-vote-refused-for-the-leader");
    SOMETIMES(request.term > term() && !hears_leader() && !is_up_to_date(request),
              "raft/pre-vote-refused-for-the-log");
    if (request.term <= term() || hears_leader() || !is_up_to_date(request) || !may_vote_for(from))
        return refuse_vote(from, request);
    send(from, wire::VoteReply{request.term, true, true});
}

// With our term: if it is the higher one, whoever asks must move to it before it can win anything,
// or it would ask in vain forever (etcd-io/etcd#8501).
void Consensus::refuse_vote(NodeId from, const wire::VoteRequest& request) {
    if (request.term <= term() && BUG(M27)) return;
    send(from, wire::VoteReply{term(), request.pre_vote, false});
}

void Consensus::on(NodeId from, const wire::VoteReply& reply) {
    if (!reply.granted) observe_term(reply.term);
    if (role_ != (reply.pre_vote ? Role::pre_candidate : Role::candidate)) return;
    const Term stood_in = reply.pre_vote ? term().next() : term();
    SOMETIMES(reply.granted && reply.term != stood_in, "raft/vote-came-too-late");
    if (reply.granted && reply.term != stood_in) return;
    if (!reply.granted && !reply.pre_vote && reply.term != term()) return;
    count_vote(from, reply.granted);
}

void Consensus::count_vote(NodeId from, bool granted) {
    std::vector<NodeId>& side = granted ? granted_ : refused_;
    const auto place = std::lower_bound(side.begin(), side.end(), from);
    if (place == side.end() || *place != from) side.insert(place, from);
    switch (vote_result(members_, granted_, refused_)) {
    case VoteResult::pending: return;
    case VoteResult::lost:
        SOMETIMES(role_ == Role::candidate, "raft/election-lost");
        SOMETIMES(role_ == Role::pre_candidate, "raft/pre-vote-lost");
        role_ = Role::follower; // Until election_deadline_.
        return;
    case VoteResult::won:
        if (role_ == Role::pre_candidate)
            stand(false);
        else
            become_leader();
    }
}

void Consensus::become_leader() {
    // Others were asked only when our own vote was durable, and it is in the majority or not
    // needed.
    CHECK(role_ == Role::candidate && followers_.empty());
    role_ = Role::leader;
    leader_ = self_;
    ticked_ = now_;
    for (const NodeId node : nodes_of(members_))
        if (node != self_) followers_.emplace(node, Progress(end_, now_));
    // The probes go to the end that we had as a candidate, which is also that of many followers.
    send_heartbeats(true);
    // Nothing of older terms can be committed before an entry of this one is (paper, 5.4.2).
    append(Entry{.term = term(), .records = 0, .members = {}});
}

// When a leader that has heard from no majority for so long gives up: somebody else may be elected,
// and clients had better look for him (thesis, 6.2).
Time Consensus::quorum_lost_at() const {
    if (followers_.empty()) return Time::max(); // It is a majority by itself.
    const Time heard = reached_by_majority<Time>(
        members_, [&](NodeId node) { return node == self_ ? now_ : followers_.at(node).heard; });
    const Time lost_at = heard + config_.election_timeout;
    return now_ >= lost_at && BUG(M28) ? Time::max() : lost_at;
}

} // namespace pyralog::raft
