#include "raft/quorum.h"

#include <map>
#include <set>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace pyralog;
using namespace pyralog::raft;

namespace {

std::vector<NodeId> some_voters() {
    const int chosen = *rc::gen::inRange(1, 128); // A bit for each.
    std::vector<NodeId> voters;
    for (int id = 1; id <= 7; ++id)
        if (chosen >> (id - 1) & 1) voters.push_back(NodeId(id));
    return voters;
}

wire::Members some_members() {
    wire::Members members;
    members.voters = some_voters();
    if (*rc::gen::arbitrary<bool>()) members.outgoing = some_voters();
    return members;
}

template <class Predicate>
bool majority(const std::vector<NodeId>& voters, Predicate predicate) {
    std::size_t count = 0;
    for (const NodeId voter : voters) count += predicate(voter) ? 1 : 0;
    return 2 * count > voters.size();
}

template <class Predicate>
bool both_majorities(const wire::Members& members, Predicate predicate) {
    return majority(members.voters, predicate) &&
           (members.outgoing.empty() || majority(members.outgoing, predicate));
}

} // namespace

TEST_CASE("what a majority has reached is the greatest value that a majority is at or above",
          "[raft][model]") {
    rc::prop("against trying every value", [] {
        const wire::Members members = some_members();
        std::map<NodeId, int> values;
        for (const NodeId node : nodes_of(members)) values[node] = *rc::gen::inRange(0, 6);
        int expected = -1;
        for (int value = 0; value < 6; ++value)
            if (both_majorities(members, [&](NodeId n) { return values[n] >= value; }))
                expected = value;
        RC_ASSERT(reached_by_majority<int>(members, [&](NodeId n) { return values[n]; }) ==
                  expected);
    });
}

TEST_CASE("an election is decided when no further vote could change it", "[raft][model]") {
    rc::prop("against counting", [] {
        const wire::Members members = some_members();
        std::vector<NodeId> granted, refused;
        std::set<NodeId> yes, open;
        for (int id = 1; id < 10; ++id) { // Also of those who have no vote.
            const int answer = *rc::gen::inRange(0, 3);
            if (answer == 0) {
                granted.push_back(NodeId(id));
                yes.insert(NodeId(id));
            } else if (answer == 1) {
                refused.push_back(NodeId(id));
            } else {
                open.insert(NodeId(id));
            }
        }
        const bool won = both_majorities(members, [&](NodeId n) { return yes.contains(n); });
        const bool can_win =
            both_majorities(members, [&](NodeId n) { return yes.contains(n) || open.contains(n); });
        const VoteResult result = vote_result(members, granted, refused);
        RC_ASSERT((result == VoteResult::won) == won);
        RC_ASSERT((result == VoteResult::lost) == !can_win);
    });
}
