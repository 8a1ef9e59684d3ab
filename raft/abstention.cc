// A replica that does not know what it has promised, because the disk is gone or unreadable on
// which it stood: how it comes to count again. README.md argues why that is safe.
#include "raft/consensus.h"

#include "core/base/bug.h"
#include "core/base/check.h"
#include "core/base/probe.h"

namespace pyralog::raft {

void Consensus::lose_vote(Time now) {
    advance_time(now);
    CHECK(role_ != Role::leader && role_ != Role::candidate);
    if (vote_.is_unknown) return;
    vote_ = {term(), {}, true};
    save_vote();
    role_ = Role::follower;
    election_deadline_ = now_;
}

// ---- The others

// Whoever asks is known by its new disk: what it sent from the old one is refused from now on. So
// nobody whom that one has voted for is in a term beyond ours, as far as we are concerned.
void Consensus::on(NodeId from, const wire::TermRequest&) {
    send(from, wire::TermReply{term(), !abstains()});
    if (const auto follower = followers_.find(from); follower != followers_.end()) {
        follower->second.abstains = false; // Of another disk, perhaps.
        note_abstention(from, true);
    }
}

// An ack of a disk that is no more says nothing of the one that there is now.
void Consensus::note_abstention(NodeId from, bool abstains) {
    Progress& follower = followers_.at(from);
    if (follower.abstains == abstains) return;
    follower.abstains = abstains;
    SOMETIMES(!abstains, "raft/follower-counts-again");
    if (!abstains) return;
    REACHABLE("raft/follower-abstains");
    follower.level = end_;
    follower.forget(end_);
    send_heartbeat(from, follower);
}

// ---- The one that abstains

std::vector<NodeId> Consensus::unheard() const {
    std::vector<NodeId> nodes;
    if (!vote_.is_unknown) return nodes;
    for (const NodeId node : nodes_of(members_)) {
        const auto heard = heard_.find(node);
        const bool vouches = heard != heard_.end() && heard->second;
        if (node != self_ && is_voter(members_, node) && !vouches) nodes.push_back(node);
    }
    return nodes;
}

void Consensus::ask_for_terms() {
    // Who does not vouch may do so later, and be the one that is needed.
    std::erase_if(heard_, [](const auto& heard) { return !heard.second; });
    for (const NodeId node : nodes_of(members_))
        if (node != self_ && is_voter(members_, node) && !heard_.contains(node))
            send(node, wire::TermRequest{});
    asked_for_terms_ = now_;
    set_election_deadline();
}

void Consensus::on(NodeId from, const wire::TermReply& reply) {
    if (!vote_.is_unknown || !is_voter(members_, from)) return;
    observe_term(reply.term);
    bool& vouches = heard_[from];
    vouches = vouches || reply.vouches;
    SOMETIMES(!reply.vouches, "raft/two-abstain");
    set_election_deadline();
    end_abstention();
}

// All have said their term. Where several abstain, the others must be a majority: whatever was
// agreed on, one of them took part in it.
bool Consensus::has_heard_all() const {
    std::vector<NodeId> vouching;
    bool all_vouch = true;
    for (const NodeId node : nodes_of(members_)) {
        if (node == self_ || !is_voter(members_, node)) continue;
        const auto heard = heard_.find(node);
        if (heard == heard_.end()) return false;
        all_vouch = all_vouch && heard->second;
        if (heard->second) vouching.push_back(node);
    }
    if (vouching.empty()) return false;
    return all_vouch || vote_result(members_, vouching, {}) == VoteResult::won;
}

// Of two nothing was ever agreed on, and nobody elected, without the other one: so there the one
// that has lost its disk may elect it, once all that it sent before is refused.
bool Consensus::may_vote_for(NodeId candidate) const {
    if (!vote_.is_unknown || BUG(M43)) return true;
    const auto heard = heard_.find(candidate);
    return members_.voters.size() == 2 && members_.outgoing.empty() && heard != heard_.end() &&
           heard->second;
}

void Consensus::find_level(const wire::AppendRequest& request, Position verified) {
    if (!vote_.is_unknown) return;
    equal_ = std::max(equal_, verified);
    level_ = std::max(level_, request.level);
    end_abstention();
}

// In this term, too, the vote may have been given, to somebody who did not win.
void Consensus::end_abstention() {
    if (!vote_.is_unknown || level_.index == 0 || !has_heard_all()) return;
    SOMETIMES(equal_ >= level_ && durable_end_ < level_, "raft/level-and-not-yet-durable");
    if (std::min(equal_, durable_end_) < level_) return;
    REACHABLE("raft/level-again");
    vote_.is_unknown = false;
    if (!vote_.candidate) vote_.candidate = Vote::forgotten;
    save_vote();
    heard_.clear();
    set_election_deadline();
}

} // namespace pyralog::raft
