#include "server/admin/verdict.h"

#include "core/base/check.h"

#include <algorithm>

namespace pyralog::server {

namespace {

std::string count_of(std::size_t count, std::string_view one, std::string_view many) {
    return std::to_string(count) + ' ' + std::string(count == 1 ? one : many);
}

std::string node_text(NodeId node) { return "node " + std::to_string(node.value); }

// "2 of 3 replicas cannot be reached: node 2 since 12 s, node 3 since 40 s"
std::string unreachable(const PartitionFacts& facts) {
    std::string text = std::to_string(facts.unreachable.size()) + " of " +
                       count_of(facts.replicas.size(), "replica", "replicas") +
                       " cannot be reached from here: ";
    for (const auto& one : facts.unreachable) {
        if (&one != &facts.unreachable.front()) text += ", ";
        text += node_text(one.node) + " since " + in_words(one.lasting);
    }
    return text;
}

std::string repair(const PartitionFacts& facts) {
    return "log is being repaired: " + count_of(facts.damages, "damaged place", "damaged places");
}

std::string list_of(const std::vector<NodeId>& nodes) {
    std::string text;
    for (const NodeId node : nodes) text += (text.empty() ? "" : ", ") + node_text(node);
    return text;
}

// What keeps the replica here from voting; empty if nothing does.
std::string silence(const PartitionFacts& facts) {
    if (!facts.strangers.empty())
        return "this node is on a new disk, and may not speak before all others have said that "
               "they "
               "know it: start " +
               list_of(facts.strangers);
    if (!facts.abstains) return {};
    const std::string lost = "this node's replica has lost what it promised, and abstains ";
    if (facts.replicas.size() == 1)
        return lost + "for good, since there is no other one: delete the topic, or bring back the "
                      "disk";
    if (facts.unheard.empty()) return lost + "until a leader has brought it level";
    return lost + "until all others have answered: start " + list_of(facts.unheard) +
           " with the disk that it had";
}

std::string why_no_leader(const PartitionFacts& facts) {
    const std::size_t majority = facts.replicas.size() / 2 + 1;
    if (const std::string why = silence(facts); !why.empty()) return why;
    if (facts.replicas.size() - facts.unreachable.size() < majority) return unreachable(facts);
    if (!facts.is_here)
        return "no replica is on this node, and no node that can be reached has said that it leads";
    if (facts.disk_hangs_for)
        return "the disk of this node has not answered for " + in_words(*facts.disk_hangs_for);
    if (facts.damages > 0) return repair(facts);
    const std::string term = "term " + std::to_string(facts.term.value);
    switch (facts.role) {
    case raft::Role::candidate: return "election under way: " + term;
    case raft::Role::pre_candidate:
        return "nobody has won an election yet: this node asks the others if it could, " + term;
    case raft::Role::follower:
    case raft::Role::leader: break;
    }
    return "waits to hear from a leader, and then stands for election: " + term;
}

// What ails one that is led, worst last.
void judge_led(const PartitionFacts& facts, std::vector<Verdict>& found) {
    using State = Verdict::State;
    if (!facts.unreachable.empty()) found.push_back({State::under_replicated, unreachable(facts)});
    for (const auto& one : facts.behind) {
        const bool is_known = std::any_of(facts.unreachable.begin(), facts.unreachable.end(),
                                          [&](const auto& u) { return u.node == one.node; });
        if (is_known || one.lasting < behind_after) continue;
        found.push_back(
            {State::under_replicated,
             node_text(one.node) + " has not caught up for " + in_words(one.lasting) +
                 (one.entries ? ", and lacks " + count_of(static_cast<std::size_t>(*one.entries),
                                                          "entry", "entries")
                              : ", and has not told this leader what it lacks")});
    }
    if (facts.damages > 0) found.push_back({State::repairing, repair(facts)});
    if (const std::string why = silence(facts); !why.empty())
        found.push_back({State::repairing, why});
    if (!facts.is_here || facts.role != raft::Role::leader) return;
    if (!facts.serves)
        found.push_back(
            {State::refusing, "its leader, this node, has not yet committed anything in "
                              "term " +
                                  std::to_string(facts.term.value)});
    if (facts.disk_hangs_for)
        found.push_back({State::refusing, "the disk of this node has not answered for " +
                                              in_words(*facts.disk_hangs_for)});
    if (facts.journal_is_full)
        found.push_back({State::refusing, "the journal of this node is full, and records wait or "
                                          "are refused"});
    if (facts.disk_is_short)
        found.push_back(
            {State::refusing, "the disk of this node is nearly full, and records are refused"});
}

} // namespace

std::string_view to_string(Verdict::State state) {
    switch (state) {
    case Verdict::State::ok: return "ok";
    case Verdict::State::under_replicated: return "under-replicated";
    case Verdict::State::repairing: return "repairing";
    case Verdict::State::refusing: return "refusing";
    case Verdict::State::no_leader: return "no leader";
    }
    check_failed("a known State", __FILE__, __LINE__);
}

Verdict judge(const PartitionFacts& facts) {
    if (!facts.leader) return {Verdict::State::no_leader, why_no_leader(facts)};
    std::vector<Verdict> found;
    judge_led(facts, found);
    Verdict all;
    std::reverse(found.begin(), found.end());
    for (const Verdict& one : found) {
        all.state = std::max(all.state, one.state);
        all.is_under_replicated |= one.state == Verdict::State::under_replicated;
        all.why += (all.why.empty() ? "" : "; ") + one.why;
    }
    return all;
}

std::string in_words(Duration time) {
    const std::int64_t ms = std::max<std::int64_t>(time.count() / 1'000'000, 0);
    if (ms < 1000) return std::to_string(ms) + " ms";
    const std::int64_t s = ms / 1000;
    if (s < 120) return std::to_string(s) + " s";
    if (s < 120 * 60) return std::to_string(s / 60) + " min";
    if (s < 48 * 3600) return std::to_string(s / 3600) + " h";
    return std::to_string(s / 86400) + " d";
}

} // namespace pyralog::server
