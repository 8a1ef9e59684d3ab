// What the parts of the protocol share: time, terms, the log, and the way out. The rest is in
// election.cc and replication.cc.
#include "raft/consensus.h"

#include "core/base/bug.h"
#include "core/base/check.h"
#include "core/base/probe.h"

#include <algorithm>

namespace pyralog::raft {

namespace {

bool is_term(Term term) { return term >= Term() && term <= Consensus::term_max; }
bool is_position(Position p) { return p.index >= 0 && p.offset >= Offset(); }

// What any replica of ours would send. Terms do not fall along a log, and a leader has nothing from
// a term after its own.
bool is_sound(const wire::VoteRequest& m) {
    return is_term(m.term) && is_position(m.log_end) && is_term(m.log_term) && m.log_term <= m.term;
}
bool is_sound(const wire::VoteReply& m) { return is_term(m.term); }
bool is_sound(const wire::AppendReply& m) {
    return is_term(m.term) && is_position(m.matched) && is_term(m.matched_term);
}
bool is_sound(const wire::StandRequest& m) { return is_term(m.term); }
bool is_sound(const wire::TermRequest&) { return true; }
bool is_sound(const wire::TermReply& m) { return is_term(m.term); }
bool is_sound(const wire::ResetRequest& m) {
    return is_term(m.term) && is_position(m.start.first) && m.start.first.index > 0 &&
           is_term(m.start.before) && m.start.before <= m.term && m.start.is_sensible() &&
           m.committed.index >= m.start.first.index;
}
bool is_sound(const wire::AppendRequest& m) {
    if (!is_term(m.term) || !is_position(m.first) || !is_position(m.committed)) return false;
    if (!is_position(m.level)) return false;
    Term previous = m.previous_term;
    if (previous < Term() || (m.first.index == 0 && previous != Term())) return false;
    for (const Entry& entry : m.entries) {
        if (entry.term < previous || entry.term == Term() || entry.records < 0) return false;
        previous = entry.term;
    }
    return previous <= m.term;
}

} // namespace

std::string_view to_string(Role role) {
    switch (role) {
    case Role::follower: return "follower";
    case Role::pre_candidate: return "pre-candidate";
    case Role::candidate: return "candidate";
    case Role::leader: return "leader";
    }
    check_failed("a known Role", __FILE__, __LINE__);
}

Consensus::Consensus(const RaftConfig& config, NodeId self, Members members, Vote saved,
                     Position committed, Position log_end, TermTable terms, Random random, Time now)
    : config_(config), self_(self), members_(std::move(members)), random_(random), now_(now),
      vote_(saved), terms_(std::move(terms)), end_(log_end), durable_vote_(saved),
      durable_end_(log_end), committed_(committed), leader_heard_(now) {
    CHECK(config_.validate().ok());
    CHECK(committed.index <= log_end.index && terms_.start().index <= committed.index);
    CHECK(terms_.last() <= vote_.term); // A vote is written before the entries of its term.
    if (vote_.is_unknown || vote_result(members_, {self_}, {}) == VoteResult::won)
        election_deadline_ = now; // It asks for terms at once. Nobody else could stand, so there is
                                  // nobody to wait for.
    else
        set_election_deadline();
}

void Consensus::tick(Time now) {
    advance_time(now);
    if (vote_.is_unknown) {
        if (now_ >= election_deadline_) ask_for_terms();
        return;
    }
    if (role_ != Role::leader) {
        if (now_ >= election_deadline_ && term() < term_max) start_election();
        return;
    }
    SOMETIMES(now_ >= quorum_lost_at(), "raft/leader-hears-no-majority");
    if (now_ >= quorum_lost_at())
        become_follower(term());
    else
        send_heartbeats(false);
    end_late_transfer();
    invite();
    ticked_ = now_;
}

void Consensus::campaign(Time now) {
    advance_time(now);
    if (role_ == Role::follower && !leader_ && !vote_.is_unknown && term() < term_max)
        start_election();
}

void Consensus::give_way(Time now) {
    if (vote_.is_unknown || vote_result(members_, {self_}, {}) == VoteResult::won) return tick(now);
    advance_time(now);
    if (role_ == Role::leader)
        become_follower(term());
    else if (now_ >= election_deadline_)
        set_election_deadline();
}

void Consensus::receive(Time now, NodeId from, const Message& message) {
    advance_time(now);
    if (from == self_) return;
    std::visit(
        [&](const auto& m) {
            SOMETIMES(!is_sound(m), "raft/unsound-message");
            if (is_sound(m)) on(from, m);
        },
        message);
}

void Consensus::persisted(std::uint64_t ticket) {
    CHECK(ticket <= last_ticket_);
    const auto rest = std::find_if(pending_.begin(), pending_.end(),
                                   [&](const Pending& p) { return p.ticket > ticket; });
    if (rest != pending_.begin()) {
        durable_vote_ = (rest - 1)->vote;
        durable_end_ = (rest - 1)->end;
        if (durable_end_.index > end_.index && BUG(M15)) durable_end_ = end_;
        pending_.erase(pending_.begin(), rest);
    }
    // Our own vote and our own disk count like those of others: when they are durable.
    if (role_ == Role::candidate && durable_vote_ == vote_) count_vote(self_, true);
    if (role_ == Role::leader) count_commit();
    end_abstention();
}

Effects Consensus::take_effects() {
    effects_.replicate = entries_wanted();
    effects_.committed = committed_;
    effects_.barriers_passed = barriers_passed_;
    effects_.ticket = ++last_ticket_;
    if (!effects_.persist.empty()) pending_.push_back({last_ticket_, vote_, end_});
    return std::exchange(effects_, Effects());
}

Time Consensus::deadline() const {
    if (role_ != Role::leader) return election_deadline_;
    Time earliest = quorum_lost_at();
    if (!followers_.empty()) earliest = std::min(earliest, ticked_ + config_.heartbeat_interval);
    for (const auto& [node, follower] : followers_)
        earliest = std::min(earliest, follower.spoken + config_.heartbeat_interval);
    if (transfer_) earliest = std::min(earliest, transfer_->until);
    return earliest;
}

const Progress* Consensus::progress(NodeId node) const {
    const auto found = followers_.find(node);
    return found == followers_.end() ? nullptr : &found->second;
}

void Consensus::advance_time(Time now) { now_ = std::max(now_, now); }

void Consensus::observe_term(Term newer) {
    if (newer > term()) become_follower(newer);
}

// In a newer term nobody has our vote yet. In the same term whoever has it keeps it: a second vote
// could elect a second leader.
void Consensus::become_follower(Term in) {
    CHECK(in >= term());
    SOMETIMES(in > term() && role_ == Role::leader, "raft/leader-met-a-newer-term");
    SOMETIMES(in > term() && role_ == Role::candidate, "raft/candidate-met-a-newer-term");
    SOMETIMES(in == term() && role_ == Role::candidate, "raft/candidate-met-the-leader");
    SOMETIMES(in == term() && role_ == Role::pre_candidate, "raft/pre-candidate-met-the-leader");
    SOMETIMES(in == term() && role_ == Role::leader, "raft/leader-steps-down-in-its-term");
    if (in > term()) {
        vote_ = {in, {}, vote_.is_unknown};
        save_vote();
        level_ = equal_ = {};
    } else if (BUG(M02)) {
        vote_.candidate.reset();
    }
    if (role_ == Role::leader) set_election_deadline(); // The others have one, which may be near.
    role_ = Role::follower;
    leader_.reset();
    followers_.clear();
    transfer_.reset();
    granted_.clear();
    refused_.clear();
}

// A new term and a vote in it are often one event, and then one frame.
void Consensus::save_vote() {
    auto& steps = effects_.persist;
    if (!steps.empty() && std::holds_alternative<Vote>(steps.back()))
        steps.back() = vote_;
    else
        steps.push_back(vote_);
}

void Consensus::append(Entry entry) {
    const Position first = end_;
    terms_.append(entry.term, first);
    end_ = first.after(entry.records);
    effects_.persist.push_back(Append{first, std::move(entry)});
}

void Consensus::cut(Position end) {
    // A leader that overrules what is committed cannot be: it would not have been elected.
    CHECK(end.index >= committed_.index);
    terms_.cut(end);
    end_ = end;
    durable_end_ = std::min(durable_end_, end);
    // What is on its way to the disk beyond this place will arrive, and be nothing of this log.
    SOMETIMES(!pending_.empty() && pending_.back().end > end, "raft/cut-what-is-being-written");
    for (Pending& pending : pending_)
        if (pending.end.index > end.index && !BUG(M15)) pending.end = end;
    effects_.persist.push_back(Cut{end});
}

// All of it goes, whatever part of it may be right: what is not committed may be overruled, and
// what is lies before the new start.
void Consensus::reset(const LogStart& start) {
    SOMETIMES(end_.index > committed_.index, "raft/reset-takes-what-is-not-committed");
    if (end_.index > committed_.index) cut(committed_);
    terms_ = TermTable(start.first, start.before);
    end_ = committed_ = start.first;
    effects_.persist.push_back(Reset{start});
}

void Consensus::trimmed(Position start) {
    CHECK(start.index <= committed_.index);
    terms_.trim(start);
    terms_.cut(end_);
    for (auto& [node, follower] : followers_) {
        if (follower.next().index >= start.index) continue;
        REACHABLE("raft/trimmed-what-a-follower-lacks");
        (void)follower.rejected(follower.next()); // It is told with the next heartbeat.
    }
}

void Consensus::send(NodeId to, Message message) {
    effects_.send.push_back({to, std::move(message)});
}

void Consensus::send_when_durable(NodeId to, Message message) {
    effects_.send_when_durable.push_back({to, std::move(message)});
}

// Index and offset are both known only at the places where terms begin, at the end, and where the
// log is committed. This is the last of these at or before `index` with no term above `term_max`
// before it; in the end the beginning of the log, and if even that is too late, that of all logs.
Position Consensus::known_position(std::int64_t index, Term term_max) const {
    const auto fits = [&](Position p) {
        return p.index <= index && terms_.before(p.index) <= term_max;
    };
    if (fits(end_)) return end_;
    Position known = fits(terms_.start()) ? terms_.start() : Position();
    const auto& starts = terms_.starts();
    const auto start = std::find_if(starts.rbegin(), starts.rend(),
                                    [&](const TermStart& s) { return fits(s.first); });
    if (start != starts.rend()) known = start->first;
    return fits(committed_) ? std::max(known, committed_) : known;
}

} // namespace pyralog::raft
