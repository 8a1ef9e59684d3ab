// raft/solo.h
//
// For tests: one replica that is told everything by hand, and short words for what it says.
#pragma once

#include "raft/consensus.h"

#include <algorithm>
#include <vector>

#include <catch2/catch.hpp>

namespace pyralog::raft {

using wire::AppendReply;
using wire::AppendRequest;
using wire::ResetRequest;
using wire::StandRequest;
using wire::VoteReply;
using wire::VoteRequest;

inline constexpr NodeId one(1), two(2), three(3), four(4), five(5);

// Entries of one record each: their index is their offset, less the starts of terms.
constexpr Position at(std::int64_t index) { return {index, Offset(index)}; }

inline TermTable table(const std::vector<int>& terms) {
    TermTable made;
    for (std::size_t i = 0; i < terms.size(); ++i)
        made.append(Term(terms[i]), at(static_cast<std::int64_t>(i)));
    return made;
}

inline std::vector<Entry> entries(const std::vector<int>& terms) {
    std::vector<Entry> made;
    for (const int term : terms) made.push_back({.term = Term(term), .records = 1, .members = {}});
    return made;
}

// One replica, told everything by hand.
struct Solo {
    RaftConfig config;
    Time now{};
    Consensus consensus;
    Effects effects;

    // Replica 1 of so many, with a log of these terms, which is durable.
    explicit Solo(int size, const std::vector<int>& log = {}, int term = 0)
        : consensus(config, one, members(size),
                    Vote{Term(std::max(term, log.empty() ? 0 : log.back())), {}}, Position(),
                    at(static_cast<std::int64_t>(log.size())), table(log), Random(1), now) {}

    static Members members(int size) {
        Members made;
        for (int i = 1; i <= size; ++i) made.voters.push_back(NodeId(i));
        return made;
    }
    void take() { effects = consensus.take_effects(); }
    void hear(NodeId from, const Message& message) {
        consensus.receive(now, from, message);
        take();
    }
    void save() {
        consensus.persisted(effects.ticket);
        take();
    }
    void tick_at_deadline() {
        now = consensus.deadline();
        consensus.tick(now);
        take();
    }
    // Its log ends where it did, plus the first entry of its term, which is not yet durable.
    void lead() {
        const int size = static_cast<int>(consensus.members().voters.size());
        tick_at_deadline();
        for (int i = 2; i <= size && consensus.role() == Role::pre_candidate; ++i)
            hear(NodeId(i), VoteReply{consensus.term().next(), true, true});
        save();
        for (int i = 2; i <= size && consensus.role() == Role::candidate; ++i)
            hear(NodeId(i), VoteReply{consensus.term(), false, true});
        REQUIRE(consensus.role() == Role::leader);
    }
    void accept(NodeId from, Position matched, std::uint64_t context = 0) {
        hear(from,
             AppendReply{consensus.term(), true, matched, consensus.terms().before(matched.index),
                         context, consensus.progress(from)->search()});
    }
    AppendRequest append(int term, std::int64_t first, int previous, const std::vector<int>& terms,
                         std::int64_t committed = 0) {
        return {.term = Term(term),
                .first = at(first),
                .previous_term = Term(previous),
                .committed = at(committed),
                .context = 0,
                .entries = entries(terms)};
    }
    std::vector<int> log() const {
        std::vector<int> terms;
        for (std::int64_t i = 0; i < consensus.end().index; ++i)
            terms.push_back(consensus.terms().at(i).value);
        return terms;
    }
};

template <class M>
std::vector<M> all(const std::vector<Envelope>& envelopes) {
    std::vector<M> found;
    for (const Envelope& envelope : envelopes)
        if (const auto* m = std::get_if<M>(&envelope.message)) found.push_back(*m);
    return found;
}

template <class M>
M only(const std::vector<Envelope>& envelopes) {
    const std::vector<M> found = all<M>(envelopes);
    REQUIRE(found.size() == 1);
    return found.front();
}

template <class T>
bool persists(const Effects& effects) {
    return std::any_of(effects.persist.begin(), effects.persist.end(),
                       [](const auto& step) { return std::holds_alternative<T>(step); });
}

} // namespace pyralog::raft
