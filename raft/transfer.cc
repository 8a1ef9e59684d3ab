// Giving the lead to another replica (thesis, 3.10): the leader takes in nothing new until that one
// has all that there is, and then asks it to stand at once. If that is not done within an election
// timeout, all goes on as before.
#include "raft/consensus.h"

#include "core/base/check.h"
#include "core/base/probe.h"

namespace pyralog::raft {

// Whoever does not answer, or of whose log it is not known how it goes on, would keep those who
// write waiting, and in vain.
Result<> Consensus::transfer(Time now, NodeId to) {
    advance_time(now);
    if (role_ != Role::leader) return Error::not_leader;
    if (to == self_) return {};
    if (!is_voter(members_, to)) return Error::not_found;
    const Progress& follower = followers_.at(to);
    const bool is_heard = now_ < follower.heard + config_.election_timeout;
    SOMETIMES(transfer_.has_value(), "raft/transfer-under-way-already");
    const bool is_ready = is_heard && !follower.is_probing() && !follower.abstains;
    SOMETIMES(!is_ready, "raft/transfer-to-one-that-is-not-ready");
    if (transfer_ || !is_ready) return Error::unavailable;
    transfer_ = Transfer{to, now_ + config_.election_timeout};
    invite();
    return {};
}

// Again with each tick: the message may be lost, and whoever stands already ignores it.
void Consensus::invite() {
    if (!transfer_ || followers_.at(transfer_->to).matched() != end_) return;
    send(transfer_->to, wire::StandRequest{term()});
}

void Consensus::end_late_transfer() {
    const bool is_late = transfer_ && now_ >= transfer_->until;
    SOMETIMES(is_late, "raft/transfer-takes-too-long");
    if (is_late) transfer_.reset();
}

void Consensus::on(NodeId from, const wire::StandRequest& request) {
    const bool is_mine = request.term == term() && role_ == Role::follower && leader_ == from;
    SOMETIMES(!is_mine, "raft/asked-to-stand-too-late");
    if (!is_mine || !is_voter(members_, self_) || vote_.is_unknown || term() >= term_max) return;
    REACHABLE("raft/stands-because-it-was-asked-to");
    stand(true);
}

} // namespace pyralog::raft
