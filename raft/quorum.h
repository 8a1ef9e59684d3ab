// raft/quorum.h
//
// What a majority has reached. While the members change, there are two sets of voters, and both
// must have reached it (Ongaro's thesis, 4.3). Pure.
#pragma once

#include "core/base/check.h"
#include "core/wire/raft.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

namespace pyralog::raft {

// More voters than this make a group slower and no safer.
constexpr std::size_t voters_max = 15;

enum class VoteResult : std::uint8_t { pending, won, lost };

bool is_voter(const wire::Members& members, NodeId node);

// All of them, each once, sorted.
std::vector<NodeId> nodes_of(const wire::Members& members);

namespace detail {

// The greatest value that a majority of the values is at or above.
template <class T>
T majority_value(std::span<T> values) {
    std::sort(values.begin(), values.end());
    return values[(values.size() - 1) / 2];
}

template <class T, class ValueOf>
T majority_value(std::span<const NodeId> voters, const ValueOf& value_of) {
    CHECK(!voters.empty() && voters.size() <= voters_max);
    std::array<T, voters_max> values;
    for (std::size_t i = 0; i < voters.size(); ++i) values[i] = value_of(voters[i]);
    return majority_value(std::span(values).first(voters.size()));
}

} // namespace detail

// The greatest value that a majority has reached, if `value_of(voter)` tells how far each has come:
// the end of its log, the time at which it was heard, the last read barrier that it answered.
template <class T, class ValueOf>
T reached_by_majority(const wire::Members& members, const ValueOf& value_of) {
    const T incoming = detail::majority_value<T>(std::span(members.voters), value_of);
    if (members.outgoing.empty()) return incoming;
    return std::min(incoming, detail::majority_value<T>(std::span(members.outgoing), value_of));
}

// Where an election stands, by who has said yes and who no. Both sorted.
VoteResult vote_result(const wire::Members& members, const std::vector<NodeId>& granted,
                       const std::vector<NodeId>& refused);

} // namespace pyralog::raft
