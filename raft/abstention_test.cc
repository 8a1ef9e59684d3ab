// The rules for a replica that has lost what it promised, one in each test: README.md, "Lost
// promises".
#include "raft/solo.h"
#include "raft/toy_group.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::raft;

namespace {

// One that has lost its disk.
struct Lost : Solo {
    explicit Lost(int size) : Solo(size) {
        consensus.lose_vote(now);
        take();
        save();
    }
    void answer(NodeId from, int term, bool vouches = true) {
        hear(from, wire::TermReply{Term(term), vouches});
    }
    // Of the leader of term 5, whose log ended at `level` when it heard of us.
    void append_level(const std::vector<int>& terms, std::int64_t level) {
        AppendRequest request =
            append(5, consensus.end().index, consensus.terms().last().value, terms);
        request.level = at(level);
        hear(two, request);
    }
};

} // namespace

TEST_CASE("who abstains asks all others for their term, until they have answered", "[raft]") {
    Lost lost(3);
    lost.tick_at_deadline();
    CHECK(all<wire::TermRequest>(lost.effects.send).size() == 2);
    lost.answer(two, 4);
    CHECK(lost.consensus.term() == Term(4));
    lost.tick_at_deadline();
    CHECK(all<wire::TermRequest>(lost.effects.send).size() == 1);
    CHECK((lost.consensus.unheard() == std::vector{three}));
    lost.answer(three, 3);
    CHECK(lost.consensus.term() == Term(4));
    CHECK(lost.consensus.deadline() == Time::max());
    CHECK(lost.consensus.role() == Role::follower);
}

TEST_CASE("who abstains neither votes nor stands", "[raft]") {
    Lost lost(3);
    lost.answer(two, 4);
    lost.answer(three, 4);
    for (const bool is_pre : {true, false}) {
        lost.hear(two, VoteRequest{Term(5), is_pre, Term(4), at(9)});
        CHECK(!only<VoteReply>(lost.effects.send).granted);
    }
    lost.consensus.campaign(lost.now);
    lost.take();
    CHECK(lost.consensus.role() == Role::follower);
    lost.hear(two, wire::StandRequest{lost.consensus.term()});
    CHECK(lost.consensus.role() == Role::follower);
    CHECK(!lost.consensus.vote().candidate);
}

TEST_CASE("its vote is known when all have answered, and it is durably level", "[raft]") {
    Lost lost(3);
    lost.append_level({5, 5}, 3);
    CHECK(lost.effects.send_when_durable.size() == 1);
    CHECK(only<AppendReply>(lost.effects.send_when_durable).abstains);
    lost.save();
    lost.answer(two, 5);
    lost.answer(three, 5);
    CHECK(lost.consensus.vote().is_unknown); // It lacks one more.
    lost.append_level({5}, 3);
    CHECK(lost.consensus.vote().is_unknown); // That is not durable yet.
    lost.save();
    CHECK(!lost.consensus.vote().is_unknown);
    CHECK(lost.consensus.abstains()); // Nor is this.
    CHECK(lost.consensus.vote().candidate == Vote::forgotten);
    lost.save();
    CHECK(!lost.consensus.abstains());
    lost.append_level({}, 0);
    CHECK(!only<AppendReply>(lost.effects.send).abstains);
}

TEST_CASE("one that has not answered keeps it from voting, and so does a level of an older term",
          "[raft]") {
    Lost lost(3);
    lost.append_level({5}, 1);
    lost.save();
    lost.answer(two, 5);
    CHECK(lost.consensus.vote().is_unknown);
    lost.answer(three, 6); // Whoever led in 5 may have been overruled.
    lost.save();
    CHECK(lost.consensus.vote().is_unknown);
    AppendRequest request = lost.append(6, 1, 5, {6});
    request.level = at(2);
    lost.hear(three, request);
    lost.save();
    CHECK(!lost.consensus.vote().is_unknown);
}

TEST_CASE("who abstains himself does not vouch, and is passed over by a majority", "[raft]") {
    Lost three_of(3);
    three_of.append_level({5}, 1);
    three_of.save();
    three_of.answer(two, 5);
    three_of.answer(three, 5, false);
    CHECK(three_of.consensus.vote().is_unknown);
    CHECK((three_of.consensus.unheard() == std::vector{three}));
    Lost five(5);
    five.append_level({5}, 1);
    five.save();
    for (int id = 2; id <= 4; ++id) five.answer(NodeId(id), 5);
    CHECK(five.consensus.vote().is_unknown); // It has not been heard at all.
    five.answer(NodeId(5), 5, false);
    CHECK(!five.consensus.vote().is_unknown);
}

TEST_CASE("a leader forgets what was acknowledged on a disk that is gone", "[raft]") {
    Solo leader(3, {1});
    leader.lead();
    leader.save();
    const Position end = leader.consensus.end();
    leader.accept(two, end);
    REQUIRE(leader.consensus.propose(leader.now, 1).ok());
    leader.take();
    leader.save();
    REQUIRE(leader.consensus.progress(two)->matched() == end);
    const Position committed = leader.effects.committed;
    const auto check_forgotten = [&] {
        CHECK(leader.consensus.progress(two)->matched() == Position());
        CHECK(leader.consensus.progress(two)->abstains);
        CHECK(only<AppendRequest>(leader.effects.send).level == leader.consensus.end());
    };
    SECTION("it asks for the term") {
        leader.hear(two, wire::TermRequest{});
        CHECK(all<wire::TermReply>(leader.effects.send).front().vouches);
        std::erase_if(leader.effects.send, [](const Envelope& e) {
            return std::holds_alternative<wire::TermReply>(e.message);
        });
        check_forgotten();
        // And once more, from the next disk.
        leader.accept(two, Position());
        leader.hear(two, wire::TermRequest{});
        CHECK(leader.consensus.progress(two)->matched() == Position());
    }
    SECTION("it says that it abstains") {
        leader.hear(two, AppendReply{.term = leader.consensus.term(),
                                     .accepted = false,
                                     .matched = {},
                                     .matched_term = {},
                                     .context = 0,
                                     .search = leader.consensus.progress(two)->search(),
                                     .abstains = true});
        check_forgotten();
    }
    // What it has now counts for nothing yet; then it does.
    AppendReply reply{.term = leader.consensus.term(),
                      .accepted = true,
                      .matched = leader.consensus.end(),
                      .matched_term = leader.consensus.term(),
                      .context = 0,
                      .search = leader.consensus.progress(two)->search(),
                      .abstains = true};
    leader.hear(two, reply);
    CHECK(leader.effects.committed == committed);
    reply.abstains = false;
    leader.hear(two, reply);
    CHECK(leader.effects.committed == leader.consensus.end());
}

TEST_CASE("what abstains passes no read barrier, and is not asked to lead", "[raft]") {
    Solo leader(3);
    leader.lead();
    leader.save();
    leader.accept(two, leader.consensus.end());
    leader.hear(two, wire::TermRequest{});
    const std::uint64_t asked = leader.consensus.barrier(leader.now).value();
    leader.take();
    AppendReply reply{.term = leader.consensus.term(),
                      .accepted = true,
                      .matched = leader.consensus.end(),
                      .matched_term = leader.consensus.term(),
                      .context = asked,
                      .search = leader.consensus.progress(two)->search(),
                      .abstains = true};
    leader.hear(two, reply);
    CHECK(leader.effects.barriers_passed < asked);
    CHECK(leader.consensus.transfer(leader.now, two).error() == Error::unavailable);
    reply.abstains = false;
    leader.hear(two, reply);
    CHECK(leader.effects.barriers_passed == asked);
}

TEST_CASE("of two the one that abstains elects the other, whatever its own log has", "[raft]") {
    Lost lost(2);
    lost.append_level({5, 5}, 9);
    lost.save();
    lost.hear(two, VoteRequest{Term(6), true, Term(4), at(1)});
    CHECK(!only<VoteReply>(lost.effects.send).granted); // It has not said that it knows its vote.
    lost.answer(two, 5);
    lost.now = lost.now + lost.config.election_timeout;
    lost.hear(two, VoteRequest{Term(6), true, Term(4), at(1)});
    CHECK(only<VoteReply>(lost.effects.send).granted);
}

TEST_CASE("the only voter abstains for good", "[raft]") {
    Lost lost(1);
    for (int i = 0; i < 3; ++i) {
        lost.now = lost.now + 10s;
        lost.consensus.tick(lost.now);
        lost.take();
        CHECK(lost.consensus.role() == Role::follower);
    }
}
