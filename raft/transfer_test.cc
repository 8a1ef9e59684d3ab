// Giving the lead away, rule by rule: thesis, 3.10.
#include "raft/solo.h"
#include "raft/toy_group.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::raft;

namespace {

// Leads three, and both followers have its log up to the first entry of its term.
struct Leading : Solo {
    Leading() : Solo(3) {
        lead();
        save();
        for (const NodeId node : {two, three}) accept(node, at(0));
        for (const NodeId node : {two, three}) {
            consensus.sent(node, {1, Offset(0)});
            accept(node, {1, Offset(0)});
        }
    }
};

} // namespace

TEST_CASE("a leader asks a follower that has all of its log to stand", "[raft]") {
    Leading leader;
    REQUIRE(leader.consensus.transfer(leader.now, two).ok());
    leader.take();
    CHECK(only<StandRequest>(leader.effects.send).term == leader.consensus.term());
    REQUIRE(leader.effects.send.size() == 1);
    CHECK(leader.effects.send[0].to == two);
    CHECK(leader.consensus.role() == Role::leader);
    CHECK(leader.consensus.is_transferring());
}

TEST_CASE("what is proposed before a transfer goes first, and after it nothing is", "[raft]") {
    Leading leader;
    REQUIRE(leader.consensus.propose(leader.now, 1).ok());
    leader.take();
    REQUIRE(leader.consensus.transfer(leader.now, three).ok());
    leader.take();
    CHECK(all<StandRequest>(leader.effects.send).empty());
    CHECK(leader.consensus.propose(leader.now, 1).error() == Error::unavailable);
    const Position end = leader.consensus.end();
    leader.consensus.sent(three, end);
    leader.consensus.sent(two, end);
    leader.accept(two, end); // Another one has it.
    CHECK(all<StandRequest>(leader.effects.send).empty());
    leader.accept(three, end);
    CHECK(only<StandRequest>(leader.effects.send).term == Term(1));
    CHECK(leader.effects.send.back().to == three);
}

TEST_CASE("a transfer that takes too long is given up", "[raft]") {
    Leading leader;
    REQUIRE(leader.consensus.transfer(leader.now, two).ok());
    leader.take();
    const Time until = leader.now + leader.config.election_timeout;
    while (leader.now < until) {
        CHECK(leader.consensus.propose(leader.now, 1).error() == Error::unavailable);
        CHECK(leader.consensus.deadline() <= until);
        leader.tick_at_deadline();
        if (leader.now < until) CHECK(only<StandRequest>(leader.effects.send).term == Term(1));
        for (const NodeId node : {two, three}) leader.accept(node, leader.consensus.end());
    }
    CHECK_FALSE(leader.consensus.is_transferring());
    CHECK(leader.consensus.propose(leader.now, 1).ok());
}

TEST_CASE("the lead is given to nobody who could not take it", "[raft]") {
    Leading leader;
    CHECK(leader.consensus.transfer(leader.now, NodeId(9)).error() == Error::not_found);
    CHECK(leader.consensus.transfer(leader.now, one).ok()); // It has it.
    CHECK_FALSE(leader.consensus.is_transferring());
    // Silent for an election timeout, while the other one keeps it leading.
    const Time late = leader.now + leader.config.election_timeout;
    while (leader.now < late) {
        leader.tick_at_deadline();
        leader.accept(two, leader.consensus.end());
    }
    CHECK(leader.consensus.transfer(leader.now, three).error() == Error::unavailable);
    CHECK(leader.consensus.propose(leader.now, 1).ok());
    REQUIRE(leader.consensus.transfer(leader.now, two).ok());
    CHECK(leader.consensus.transfer(leader.now, two).error() == Error::unavailable);

    Solo fresh(3); // Nobody has answered yet: where their logs part is not known.
    fresh.lead();
    CHECK(fresh.consensus.transfer(fresh.now, two).error() == Error::unavailable);
    Solo follower(3);
    CHECK(follower.consensus.transfer(follower.now, two).error() == Error::not_leader);
}

TEST_CASE("only the leader whom a replica follows can ask it to stand", "[raft]") {
    Solo solo(3);
    const auto asked = [&](NodeId from, int term) {
        solo.hear(from, StandRequest{Term(term)});
        return solo.consensus.role() == Role::candidate;
    };
    CHECK_FALSE(asked(two, 0)); // It follows nobody.
    solo.hear(two, solo.append(3, 0, 0, {}));
    CHECK_FALSE(asked(three, 3));
    CHECK_FALSE(asked(two, 2));
    CHECK_FALSE(asked(two, 4));
    CHECK(solo.consensus.leader() == two);
    REQUIRE(asked(two, 3));
    // At once, without asking first if it could win; and all hear that it was invited.
    CHECK(solo.consensus.term() == Term(4));
    const auto requests = all<VoteRequest>(solo.effects.send_when_durable);
    REQUIRE(requests.size() == 2);
    for (const VoteRequest& request : requests) {
        CHECK(request.invited);
        CHECK_FALSE(request.pre_vote);
    }
    CHECK(asked(two, 4));
    CHECK(solo.consensus.term() == Term(4)); // It does already.
}

TEST_CASE("who hears a leader votes for whom that leader has invited, if its log will do",
          "[raft]") {
    Solo solo(3, {1}, 1);
    solo.hear(two, solo.append(2, 1, 1, {2}));
    solo.save();
    solo.hear(three, VoteRequest{Term(3), false, Term(2), at(2)});
    CHECK(solo.consensus.term() == Term(2)); // Not even heard.
    solo.hear(three, VoteRequest{Term(3), false, Term(1), at(1), true});
    CHECK_FALSE(only<VoteReply>(solo.effects.send).granted);
    CHECK(solo.consensus.term() == Term(3));
    solo.hear(three, VoteRequest{Term(4), false, Term(2), at(2), true});
    CHECK(only<VoteReply>(solo.effects.send_when_durable).granted);
}

TEST_CASE("leadership goes to whom it is given, also under load", "[raft]") {
    ToyGroup group(3, RaftConfig(), 1);
    group.start_all();
    group.tick_at_deadline(one);
    group.settle();
    NodeId leader = one;
    for (int i = 0; i < 12; ++i) {
        const NodeId next((leader.value % 3) + 1);
        for (int k = 0; k < i % 4; ++k) REQUIRE(group.propose(leader, 1).ok());
        REQUIRE(group.transfer(leader, next).ok());
        group.settle();
        REQUIRE(group.leader() == next);
        CHECK(group[leader].role() == Role::follower);
        leader = next;
    }
    CHECK_FALSE(group.violation);
}
