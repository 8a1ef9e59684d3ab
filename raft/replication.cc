// How the log gets to the others: append, conflict, ack, commit, read barrier.
#include "raft/consensus.h"

#include "core/base/bug.h"
#include "core/base/check.h"
#include "core/base/probe.h"

#include <algorithm>

namespace pyralog::raft {

// --- The leader speaks.

Result<Range> Consensus::propose(Time now, std::int32_t records) {
    CHECK(records >= 0);
    advance_time(now);
    if (role_ != Role::leader) return Error::not_leader;
    SOMETIMES(transfer_.has_value(), "raft/refused-while-the-lead-is-given-away");
    if (transfer_) return Error::unavailable;
    if (end_.index - committed_.index >= config_.uncommitted_entries_max) {
        REACHABLE("raft/too-much-is-not-committed");
        return Error::unavailable;
    }
    const Position first = end_;
    append(Entry{.term = term(), .records = records, .members = {}});
    return Range{first, end_};
}

Result<std::uint64_t> Consensus::barrier(Time now) {
    advance_time(now);
    if (role_ != Role::leader) return Error::not_leader;
    const std::uint64_t asked = ++barriers_asked_;
    SOMETIMES(barriers_sent_ > barriers_passed_, "raft/barrier-waits-for-the-next-round");
    SOMETIMES(!leads_committed(), "raft/barrier-before-anything-is-committed");
    // One round at a time. Whoever asks meanwhile shares the next.
    if (barriers_sent_ <= barriers_passed_) send_heartbeats(true);
    count_barriers();
    return asked;
}

void Consensus::sent(NodeId to, Position end) {
    const auto follower = followers_.find(to);
    if (follower == followers_.end()) return;
    follower->second.sent(end);
    follower->second.checked = now_;
}

std::vector<Entries> Consensus::entries_wanted() const {
    std::vector<Entries> wanted;
    for (const auto& [node, follower] : followers_)
        if (follower.next().index < end_.index && follower.next().index >= start().index &&
            follower.has_room(config_.appends_in_flight_max))
            wanted.push_back({node, append_request(follower, follower.next())});
    return wanted;
}

wire::AppendRequest Consensus::append_request(const Progress& follower, Position first) const {
    return {.term = term(),
            .first = first,
            .previous_term = terms_.before(first.index),
            .committed = committed_,
            .context = barriers_asked_,
            .search = follower.search(),
            .level = follower.abstains ? follower.level : Position(),
            .entries = {}};
}

// Entries may be under way for longer than a follower waits for its leader, and heartbeats overtake
// them: so those stand at a place up to which both logs are known to be equal. Where the log no
// longer has the entries that would be next, it says where it begins instead.
void Consensus::send_heartbeat(NodeId to, Progress& follower) {
    // Nobody knows the term any more behind which it stands, but all logs are equal at first.
    const bool is_trimmed = follower.matched().index < start().index;
    const Position equal = is_trimmed ? Position() : follower.matched();
    if (follower.next().index < start().index)
        send(to, wire::ResetRequest{
                     .term = term(),
                     .start = {start(), terms_.before_start(), start().offset},
                     .committed = committed_,
                     .context = barriers_asked_,
                     .search = follower.search(),
                 });
    else
        send(to, append_request(follower, follower.is_probing() ? follower.next() : equal));
    follower.spoken = now_;
}

// Stands where the next entries will go, and comes behind those that are under way. So it finds out
// if they were lost.
void Consensus::send_check(NodeId to, Progress& follower) {
    effects_.send.push_back(
        {.to = to, .message = append_request(follower, follower.next()), .behind_entries = true});
    follower.checked = now_;
}

void Consensus::send_heartbeats(bool to_all) {
    const Time almost = now_ + config_.heartbeat_slack() - config_.heartbeat_interval;
    for (auto& [node, follower] : followers_) {
        if (to_all || almost >= follower.spoken) send_heartbeat(node, follower);
        if (follower.has_in_flight() && almost >= follower.checked) send_check(node, follower);
    }
    if (to_all) barriers_sent_ = barriers_asked_;
}

// --- A follower listens.

void Consensus::on(NodeId from, const wire::AppendRequest& request) {
    if (request.term < term()) {
        REACHABLE("raft/append-of-an-old-term");
        // Our term tells a leader that it is none, also when nobody but we moved to that term:
        // else we could neither follow this leader nor unseat it.
        if (!BUG(M27)) reject(from, request);
        return;
    }
    if (request.term == term() && role_ == Role::leader) return; // A term has one leader.
    follow(from, request.term);

    const Position told = std::min(request.committed, end_);
    if (told > committed_ && BUG(M31)) committed_ = told;
    const std::optional<Position> merged = merge(request);
    if (!merged) return reject(from, request);
    // What lies beyond may be a tail that this leader has yet to overrule.
    const Position verified = *merged;
    const Position common = verified != end_ && BUG(M06) ? end_ : verified;
    committed_ = std::max(committed_, std::min(request.committed, common));
    find_level(request, verified);

    wire::AppendReply reply{.term = term(),
                            .accepted = true,
                            .matched = verified != end_ && BUG(M07) ? end_ : verified,
                            .matched_term = {},
                            .context = request.context,
                            .search = request.search,
                            .abstains = abstains()};
    // An answer to a heartbeat does not wait for the disk, and claims only what is on it.
    if (request.entries.empty()) reply.matched = std::min(reply.matched, durable_end_);
    reply.matched_term = terms_.before(reply.matched.index);
    SOMETIMES(!request.entries.empty() && reply.matched.index <= durable_end_.index,
              "raft/append-was-durable-already");
    if (reply.matched.index <= durable_end_.index)
        send(from, reply);
    else
        send_when_durable(from, reply);
}

void Consensus::follow(NodeId leader, Term term) {
    become_follower(term);
    leader_ = leader;
    leader_heard_ = now_;
    set_election_deadline();
}

void Consensus::on(NodeId from, const wire::ResetRequest& request) {
    const Position first = request.start.first;
    if (request.term < term())
        return reject(from, {.term = request.term,
                             .first = first,
                             .previous_term = request.start.before,
                             .committed = request.committed,
                             .context = request.context,
                             .search = request.search,
                             .level = {},
                             .entries = {}});
    if (request.term == term() && role_ == Role::leader) return; // A term has one leader.
    follow(from, request.term);
    // It may be old, or have been sent in vain. What is committed here is in the leader's log.
    const bool has_it =
        first.index <= committed_.index ||
        (first.index <= end_.index && terms_.before(first.index) == request.start.before);
    SOMETIMES(has_it && first.index <= committed_.index, "raft/reset-to-what-is-committed");
    SOMETIMES(has_it && first.index > committed_.index, "raft/reset-to-what-is-here");
    SOMETIMES(!has_it && first.index <= end_.index, "raft/reset-of-a-longer-log");
    SOMETIMES(!has_it && first.index > end_.index, "raft/reset-of-a-shorter-log");
    if (!has_it && (first.index > end_.index || !BUG(M14))) reset(request.start);
    committed_ = std::max(committed_, first);

    wire::AppendReply reply{.term = term(),
                            .accepted = true,
                            .matched = committed_,
                            .matched_term = {},
                            .context = request.context,
                            .search = request.search,
                            .abstains = abstains()};
    if (has_it) reply.matched = std::min(reply.matched, durable_end_);
    reply.matched_term = terms_.before(reply.matched.index);
    if (has_it)
        send(from, reply);
    else
        send_when_durable(from, reply);
}

void Consensus::reject(NodeId from, const wire::AppendRequest& request) {
    const Position hint = known_position(request.first.index, request.previous_term);
    send(from, wire::AppendReply{.term = term(),
                                 .accepted = false,
                                 .matched = hint,
                                 .matched_term = terms_.before(hint.index),
                                 .context = request.context,
                                 .search = request.search,
                                 .abstains = abstains()});
}

// Makes the entries of a request part of our log. Returns the place up to which our log is then
// known to equal the leader's, or nothing if they differ before the request begins.
std::optional<Position> Consensus::merge(const wire::AppendRequest& request) {
    Position at = request.first;
    SOMETIMES(at.index > end_.index, "raft/append-leaves-a-hole");
    if (at.index > end_.index) return {};
    SOMETIMES(at.index > committed_.index && terms_.before(at.index) != request.previous_term,
              "raft/append-behind-another-term");
    SOMETIMES(at.index < committed_.index && !request.entries.empty(),
              "raft/append-of-what-is-committed");
    if (at.index < terms_.start().index && committed_.index < end_.index && BUG(M09))
        cut(committed_);
    // Every leader of this term or a later one has what is committed: it needs no comparison, and
    // with a trimmed log none could be made.
    if (at.index > committed_.index && terms_.before(at.index) != request.previous_term) return {};
    if (BUG(M04) && at.index >= committed_.index && at.index < end_.index) cut(at);
    for (const Entry& entry : request.entries) {
        // A request that came late, or twice, finds its entries here, perhaps with others behind
        // them that have been acknowledged. Only an entry of another term overrules ours.
        const bool conflicts = at.index >= committed_.index && at.index < end_.index &&
                               terms_.at(at.index) != entry.term;
        SOMETIMES(conflicts, "raft/append-overrules");
        SOMETIMES(!conflicts && at.index < end_.index, "raft/append-of-what-is-there");
        if (conflicts && !BUG(M05)) cut(at);
        if (at.index >= end_.index) {
            SOMETIMES(at != end_ || entry.term < terms_.last(), "raft/append-fits-no-log");
            if (at != end_ || entry.term < terms_.last()) return {}; // No log of ours goes on so.
            append(entry);
        }
        at = at.after(entry.records);
    }
    return at;
}

// --- The leader listens.

void Consensus::on(NodeId from, const wire::AppendReply& reply) {
    observe_term(reply.term);
    SOMETIMES(role_ == Role::leader && reply.term < term(), "raft/answer-to-an-old-term");
    SOMETIMES(role_ != Role::leader, "raft/answer-to-a-leader-of-old");
    if (role_ != Role::leader || reply.term != term()) return;
    const auto found = followers_.find(from);
    if (found == followers_.end()) return;
    if (reply.matched.index > end_.index || reply.context > barriers_asked_) return;
    Progress& follower = found->second;
    follower.heard = now_;
    note_abstention(from, reply.abstains);
    // Only an answer to what was sent after a barrier was asked for says that we led at that time.
    const bool is_old = reply.context < barriers_asked_;
    if (!follower.abstains)
        follower.answered =
            std::max(follower.answered, is_old && BUG(M25) ? barriers_asked_ : reply.context);
    const bool is_late = reply.search != follower.search();
    SOMETIMES(is_late && reply.accepted, "raft/accepted-before-the-search");
    SOMETIMES(is_late && !reply.accepted, "raft/rejected-before-the-search");
    if (reply.accepted) {
        follower.reached(reply.matched);
        if (!is_late) follower.flow();
        count_commit();
        invite();
    } else {
        if (reply.matched > follower.matched() && BUG(M08)) {
            follower.reached(reply.matched);
            count_commit();
        }
        const bool goes_back = !is_late && follower.rejected(where_to_probe(reply));
        SOMETIMES(goes_back, "raft/probes-further-back");
        SOMETIMES(!goes_back && !is_late, "raft/rejection-says-nothing-new");
        if (goes_back) send_heartbeat(from, follower);
    }
    count_barriers();
}

// The last place at which our log can still equal the other. The same term before the same index
// means the same log up to there (paper, 5.3), so the follower's position is ours. Else its term
// there says which of our terms are too new. Each probe leaves a term behind, on one side at least.
Position Consensus::where_to_probe(const wire::AppendReply& reply) const {
    const std::int64_t index = reply.matched.index;
    if (terms_.before(index) == reply.matched_term) return reply.matched;
    REACHABLE("raft/hint-of-another-term");
    return known_position(index - 1, reply.matched_term);
}

// Counting replicas commits only what is of our own term; all before it follows. An older entry can
// be on a majority and still be overruled (paper, figure 8).
void Consensus::count_commit() {
    const Position agreed = reached_by_majority<Position>(members_, [&](NodeId node) {
        if (node == self_) return durable_end_;
        const Progress& follower = followers_.at(node);
        return follower.abstains ? Position() : follower.matched();
    });
    if (agreed.index <= committed_.index) return;
    SOMETIMES(terms_.before(agreed.index) != term(), "raft/old-term-on-a-majority");
    if (terms_.before(agreed.index) != term() && !BUG(M03)) return;
    committed_ = agreed;
    count_barriers();
}

bool Consensus::leads_committed() const {
    return role_ == Role::leader && terms_.before(committed_.index) == term();
}

// A new leader has all that is committed, but does not know how much of its log that is, until an
// entry of its own term is (thesis, 6.4).
void Consensus::count_barriers() {
    if (barriers_passed_ == barriers_asked_) return;
    if (!leads_committed() && !BUG(M24)) return;
    const auto answered = reached_by_majority<std::uint64_t>(members_, [&](NodeId node) {
        return node == self_ ? barriers_asked_ : followers_.at(node).answered;
    });
    barriers_passed_ = std::max(barriers_passed_, answered);
    if (barriers_sent_ <= barriers_passed_ && barriers_passed_ < barriers_asked_)
        send_heartbeats(true);
}

} // namespace pyralog::raft
