#include "raft/invariants.h"

#include <algorithm>
#include <span>

namespace pyralog::raft {

namespace {

std::string text(Position p) {
    return std::to_string(p.index) + '/' + std::to_string(p.offset.value);
}
std::string text(Term term) { return std::to_string(term.value); }
std::string text(NodeId node) { return std::to_string(node.value); }

std::optional<Violation> violated(std::string_view invariant, const ReplicaState& at,
                                  std::string detail) {
    if (invariant == muted_invariant) return {};
    return Violation{invariant, "node=" + text(at.self) + " term=" + text(at.vote.term) +
                                    " end=" + text(at.end) + " committed=" + text(at.committed) +
                                    ": " + detail};
}

// Both logs have the same terms before this index, as far back as both tell of it. Where both are
// whole, that says that they are the same there.
bool same_before(const TermTable& a, const TermTable& b, std::int64_t index) {
    const Position both = std::max(a.start(), b.start());
    if (index < both.index) return true;
    if (a.before(both.index) != b.before(both.index)) return false;
    const auto starts_between = [&](const TermTable& terms) {
        const auto from = std::ranges::partition_point(terms.starts(), [&](const TermStart& start) {
            return start.first.index <= both.index;
        });
        const auto end = std::ranges::partition_point(
            terms.starts(), [&](const TermStart& start) { return start.first.index < index; });
        return from < end ? std::span(from, end) : std::span(from, from);
    };
    return (index == both.index || a.at(both.index) == b.at(both.index)) &&
           std::ranges::equal(starts_between(a), starts_between(b));
}

} // namespace

ReplicaState state_of(const Consensus& replica) {
    return {.self = replica.self(),
            .role = replica.role(),
            .vote = replica.vote(),
            .durable_vote = replica.durable_vote(),
            .terms = replica.terms(),
            .end = replica.end(),
            .durable_end = replica.durable_end(),
            .committed = replica.committed(),
            .barriers_asked = replica.barriers_asked(),
            .barriers_passed = replica.barriers_passed()};
}

std::optional<Violation> check_replica(const ReplicaState& s) {
    if (s.committed.index > s.end.index || s.committed.offset > s.end.offset)
        return violated("committed is in the log", s, "it is not");
    if (s.terms.start().index > s.committed.index)
        return violated("a log begins at what is committed", s, "start=" + text(s.terms.start()));
    if (s.durable_end.index > s.end.index)
        return violated("durable is in the log", s, "durable_end=" + text(s.durable_end));
    if (s.durable_vote.term > s.vote.term || s.terms.last() > s.vote.term)
        return violated("no term above the vote's", s, "log_term=" + text(s.terms.last()));
    if (!s.terms.empty() && s.terms.starts().back().first.index >= s.end.index)
        return violated("terms tell of the log", s, "a term begins beyond its end");
    if (s.role == Role::leader && s.terms.last() != s.vote.term)
        return violated("a leader begins its term", s, "log_term=" + text(s.terms.last()));
    if (s.vote.is_unknown && s.role != Role::follower)
        return violated("who has forgotten abstains", s, "it stands");
    if ((s.role == Role::leader || s.role == Role::candidate) && s.vote.candidate != s.self)
        return violated("a candidate votes for itself", s, "it has not");
    return {};
}

std::optional<Violation> check_step(const ReplicaState& before, const ReplicaState& after) {
    if (after.vote.term < before.vote.term)
        return violated("terms rise", after, "before=" + text(before.vote.term));
    if (after.vote.term == before.vote.term && before.vote.candidate &&
        after.vote.candidate != before.vote.candidate)
        return violated("one vote in a term", after, "before=" + text(*before.vote.candidate));
    // A node that thought it was new has promised nothing.
    const bool was_new = before.vote == Vote() && before.end.index == 0;
    if (after.vote.is_unknown && !before.vote.is_unknown && !was_new)
        return violated("what is known stays known", after, "its vote is unknown");
    if (after.committed.index < before.committed.index)
        return violated("committed rises", after, "before=" + text(before.committed));
    if (after.terms.start().index < before.terms.start().index)
        return violated("the start rises", after, "before=" + text(before.terms.start()));
    if (!same_before(before.terms, after.terms, before.committed.index))
        return violated("committed is kept", after, "before=" + text(before.committed));
    const bool leads_on = before.role == Role::leader && after.role == Role::leader &&
                          before.vote.term == after.vote.term;
    if (leads_on && (after.end.index < before.end.index ||
                     !same_before(before.terms, after.terms, before.end.index)))
        return violated("a leader only appends", after, "before=" + text(before.end));
    if (leads_on && after.committed.index > before.committed.index &&
        after.terms.before(after.committed.index) != after.vote.term)
        return violated("a leader commits its own term", after, "before=" + text(before.committed));
    // Who else could overrule it in that term?
    const bool has_of_term = before.terms.last() == before.vote.term && !before.terms.empty();
    if (has_of_term && before.vote.term == after.vote.term && after.end.index < before.end.index)
        return violated("a term's own entries stay", after, "before=" + text(before.end));
    return {};
}

std::optional<Violation> check_restart(const ReplicaState& before, const ReplicaState& after) {
    if (after.vote.term < before.durable_vote.term)
        return violated("durable is kept", after, "vote_term=" + text(before.durable_vote.term));
    // Who votes for nobody any more in this term keeps all promises.
    const bool votes_for_nobody = after.vote.candidate == Vote::forgotten;
    if (after.vote.term == before.durable_vote.term && before.durable_vote.candidate &&
        after.vote.candidate != before.durable_vote.candidate && !votes_for_nobody)
        return violated("durable is kept", after, "vote=" + text(*before.durable_vote.candidate));
    if (after.vote.is_unknown && !before.durable_vote.is_unknown)
        return violated("durable is kept", after, "its vote is unknown");
    if (after.end.index < before.durable_end.index ||
        !same_before(before.terms, after.terms, before.durable_end.index))
        return violated("durable is kept", after, "durable_end=" + text(before.durable_end));
    return {};
}

std::optional<Violation> Agreement::observe(const Consensus& replica) {
    heard(replica);
    const auto known = states_.find(replica.self());
    if (known == states_.end()) return observe_started(replica);
    ReplicaState& before = known->second;
    // Most looks see nothing new, and copy nothing.
    if (before.role == replica.role() && before.vote == replica.vote() &&
        before.end == replica.end() && before.committed == replica.committed() &&
        before.durable_end == replica.durable_end() &&
        before.durable_vote == replica.durable_vote() &&
        before.barriers_asked == replica.barriers_asked() &&
        before.barriers_passed == replica.barriers_passed() && before.terms == replica.terms())
        return {};
    ReplicaState after = state_of(replica);
    if (const auto violation = check_step(before, after)) return violation;
    const std::uint64_t asked_before = before.barriers_asked;
    if (before.durable_vote.is_unknown && !after.durable_vote.is_unknown)
        gone_.erase(replica.self());
    before = std::move(after);
    if (const auto violation = check_all(before)) return violation;
    if (const auto violation = check_barriers(replica, asked_before)) return violation;
    return check_matched(replica);
}

std::optional<Violation> Agreement::observe_started(const Consensus& replica) {
    heard(replica);
    ReplicaState after = state_of(replica);
    const auto known = states_.find(after.self);
    if (known != states_.end())
        if (const auto violation = check_restart(known->second, after)) return violation;
    if (known != states_.end() && known->second.durable_vote.is_unknown &&
        !after.durable_vote.is_unknown)
        gone_.erase(after.self);
    ReplicaState& state = states_[after.self] = std::move(after);
    barriers_.erase(state.self);
    for (auto& [leader, barriers] : barriers_)
        for (Barrier& barrier : barriers) barrier.inputs.erase(state.self);
    return check_all(state);
}

std::optional<Violation> Agreement::check_all(const ReplicaState& state) {
    if (const auto violation = check_replica(state)) return violation;
    // Of two the one elects the other: see Consensus::may_vote_for().
    if (state.vote.is_unknown && state.vote.candidate && !is_pair())
        return violated("who has forgotten abstains", state, "it votes");
    if (const auto violation = check_leader(state)) return violation;
    if (const auto violation = check_log(state)) return violation;
    return check_committed(state);
}

std::optional<Violation> Agreement::check_leader(const ReplicaState& state) {
    if (state.role != Role::leader) return {};
    const auto [known, is_new] = leaders_.emplace(state.vote.term, state.self);
    if (known->second != state.self)
        return violated("election safety", state, "led already by node=" + text(known->second));
    if (!is_new) return {};
    if (const auto violation = check_elected(state)) return violation;
    return check_complete(state);
}

// Whoever has moved on to a later term may have forgotten whom it had voted for.
std::optional<Violation> Agreement::check_elected(const ReplicaState& leader) const {
    const auto has_voted = [&](const ReplicaState& state) {
        const Vote& vote = state.durable_vote;
        const bool gave = vote.term == leader.vote.term && vote.candidate == leader.self;
        return vote.term > leader.vote.term || gave;
    };
    const auto voted = reached_by_majority<int>(members_, [&](NodeId node) {
        const auto found = states_.find(node);
        return counts(node, has_voted) ||
                       (is_pair() && found != states_.end() && has_voted(found->second))
                   ? 1
                   : 0;
    });
    if (voted != 0) return {};
    return violated("elected by durable votes", leader, "no majority has its vote on disk");
}

// A follower that has moved on to a later term may have been overruled.
std::optional<Violation> Agreement::check_matched(const Consensus& leader) const {
    if (leader.role() != Role::leader) return {};
    for (const auto& [node, follower] : states_) {
        const Progress* progress = leader.progress(node);
        if (!progress || follower.vote.term != leader.term()) continue;
        // Its leader may yet have to hear of it.
        if (follower.vote.is_unknown || follower.durable_vote.is_unknown) continue;
        const std::int64_t matched = progress->matched().index;
        // Whoever has begun anew behind it has, until that is durable, what was there before.
        if (matched < follower.terms.start().index) continue;
        if (matched <= follower.durable_end.index &&
            (matched < leader.start().index ||
             follower.terms.before(matched) == leader.terms().before(matched)))
            continue;
        return violated("matched is durable there", states_.at(leader.self()),
                        "node=" + text(node) + " matched=" + std::to_string(matched) +
                            " durable_end=" + text(follower.durable_end));
    }
    return {};
}

// A term is one run of entries of one leader. So two logs that agree on where each of their terms
// begins, and after which other term, are the same wherever they have the same term at an index:
// log matching for all pairs, without comparing any pair.
std::optional<Violation> Agreement::check_log(const ReplicaState& state) {
    Term previous = state.terms.before_start();
    for (const TermStart& start : state.terms.starts()) {
        // It may have begun before the log does.
        const bool is_trimmed = start.term == previous;
        const TermBegin begin{start.first, previous};
        previous = start.term;
        if (is_trimmed) continue;
        const auto known = begins_.emplace(start.term, begin).first;
        if (known->second != begin)
            return violated("log matching", state,
                            "term " + text(start.term) + " begins at " + text(start.first) +
                                " and elsewhere at " + text(known->second.first));
    }
    for (const auto& [node, other] : states_)
        if (other.end.index == state.end.index && other.terms.last() == state.terms.last() &&
            other.end.offset != state.end.offset)
            return violated("log matching", state, "other end=" + text(other.end));
    return {};
}

std::optional<Violation> Agreement::check_committed(const ReplicaState& state) {
    const std::int64_t common = std::min(state.committed.index, committed_.index);
    const bool tells = common >= state.terms.start().index;
    if ((tells && state.terms.before(common) != committed_terms_.before(common)) ||
        (state.committed.index == committed_.index && state.committed != committed_))
        return violated("state machine safety", state, "agreed=" + text(committed_));
    if (state.committed.index <= committed_.index) return check_start(state);

    for (const TermStart& start : state.terms.starts())
        if (start.first.index < state.committed.index &&
            (committed_terms_.empty() || start.term > committed_terms_.last()))
            committed_terms_.append(start.term, start.first);
    committed_ = state.committed;
    Position& in_term = committed_in_[state.vote.term];
    in_term = std::max(in_term, committed_);

    if (const auto violation = check_start(state)) return violation;
    const auto has_it = [&](const ReplicaState& voter) {
        return voter.durable_end.index >= committed_.index && has_committed(voter, committed_);
    };
    const auto durable = reached_by_majority<int>(
        members_, [&](NodeId node) { return counts(node, has_it) ? 1 : 0; });
    if (durable == 0) return violated("committed is durable on a majority", state, "it is not");
    for (const auto& [node, other] : states_)
        if (other.role == Role::leader && other.vote.term > state.vote.term)
            if (const auto violation = check_complete(other)) return violation;
    return {};
}

// What a log no longer has was committed, and all who begin at the same place tell the same of what
// was before it.
std::optional<Violation> Agreement::check_start(const ReplicaState& state) {
    const Position start = state.terms.start();
    if (start.index > committed_.index)
        return violated("a log begins at what is committed", state, "start=" + text(start));
    const LogStart here{start, state.terms.before_start(), start.offset};
    const auto known = log_starts_.emplace(start.index, here).first;
    if (known->second != here || committed_terms_.before(start.index) != here.before)
        return violated("a log begins where all agree", state, "start=" + text(start));
    return {};
}

// Whatever was committed in a term is in the log of the leaders of all later terms.
std::optional<Violation> Agreement::check_complete(const ReplicaState& leader) const {
    Position earlier;
    const auto end = committed_in_.lower_bound(leader.vote.term);
    for (auto in = committed_in_.begin(); in != end; ++in) earlier = std::max(earlier, in->second);
    if (has_committed(leader, earlier)) return {};
    return violated("leader completeness", leader, "lacks what ends at " + text(earlier));
}

// Has a majority promised, and will not forget, to follow nobody of this term or before?
bool Agreement::is_overruled(Term term) const {
    return reached_by_majority<int>(members_, [&](NodeId node) {
               const auto found = states_.find(node);
               return found != states_.end() && found->second.durable_vote.term > term ? 1 : 0;
           }) != 0;
}

// What was asked for when `known` of them had been, and what has been passed since.
std::optional<Violation> Agreement::check_barriers(const Consensus& leader, std::uint64_t known) {
    std::deque<Barrier>& asked = barriers_[leader.self()];
    // Of those of another term, or that nobody waits for any more, nothing is said.
    const bool leads = leader.role() == Role::leader;
    if (!leads || (!asked.empty() && asked.front().term != leader.term())) asked.clear();
    if (!leads) return {};
    if (leader.barriers_asked() > known)
        asked.push_back({leader.barriers_asked(), leader.term(), committed_,
                         is_overruled(leader.term()), inputs_});
    for (; !asked.empty() && asked.front().number <= leader.barriers_passed(); asked.pop_front())
        if (const auto violation = check_passed(leader, asked.front())) return violation;
    return {};
}

// Whoever answers has heard the question. He has not moved on when he answers, so he had not when
// it was asked; and what was committed by then is in the log of who leads.
std::optional<Violation> Agreement::check_passed(const Consensus& leader,
                                                 const Barrier& barrier) const {
    const ReplicaState& state = states_.at(leader.self());
    const std::string number = "barrier=" + std::to_string(barrier.number);
    if (state.committed.index < barrier.committed.index)
        return violated("reads are not stale", state,
                        number + " agreed=" + text(barrier.committed));
    if (barrier.overruled) return violated("a barrier is passed by who led", state, number);
    for (const auto& [node, inputs] : barrier.inputs) {
        const Progress* const follower = leader.progress(node);
        if (follower && follower->answered >= barrier.number && inputs_.at(node) == inputs)
            return violated("answers come after the question", state,
                            number + " node=" + text(node));
    }
    return {};
}

bool Agreement::has_committed(const ReplicaState& state, Position end) const {
    if (end.index < state.terms.start().index) return true; // It has had it: see check_start().
    return state.end.index >= end.index &&
           state.terms.before(end.index) == committed_terms_.before(end.index);
}

} // namespace pyralog::raft
