// One rule of the protocol in each test, named by it. "Paper" is Ongaro and Ousterhout, In Search
// of an Understandable Consensus Algorithm; "thesis" is Ongaro's. The Mxx are the planted bugs that
// break the rule.
#include "raft/solo.h"
#include "raft/toy_group.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace pyralog;
using namespace pyralog::raft;
// --- Elections.

TEST_CASE("a lone voter leads at once, and commits when its disk has the entry", "[raft]") {
    Solo solo(1);
    CHECK(solo.consensus.deadline() == solo.now);
    solo.tick_at_deadline();
    CHECK(solo.consensus.role() == Role::candidate); // Its own vote is not durable yet.
    solo.save();
    CHECK(solo.consensus.role() == Role::leader);
    CHECK(solo.effects.committed == Position());
    solo.save();
    CHECK(solo.effects.committed == Position{1, Offset(0)});
    CHECK(solo.consensus.deadline() > solo.now);
    REQUIRE(solo.consensus.propose(solo.now, 5).ok());
    solo.take();
    solo.save();
    CHECK(solo.effects.committed == Position{2, Offset(5)});
}

// Paper, 5.2.
TEST_CASE("a leader that is a majority by itself has nothing to keep time for", "[raft]") {
    Solo solo(1);
    solo.lead();
    solo.save();
    CHECK(solo.consensus.deadline() == Time::max());
    solo.now = solo.now + std::chrono::hours(1);
    solo.consensus.tick(solo.now);
    solo.take();
    CHECK(solo.consensus.role() == Role::leader);
    CHECK(solo.consensus.deadline() == Time::max());
}

TEST_CASE("the first to stand is elected, and begins its term with an entry", "[raft]") {
    ToyGroup group(3, RaftConfig(), 1);
    group.start_all();
    group.tick_at_deadline(two);
    group.settle();
    CHECK(group.leader() == two);
    CHECK(group[one].leader() == two);
    CHECK(group[three].leader() == two);
    CHECK(group[two].term() == Term(1));
    CHECK(group[two].committed() == Position{1, Offset(0)});
    CHECK_FALSE(group.violation);
}

// M01. Paper, figure 2: "updated on stable storage before responding".
TEST_CASE("a vote is told when it is durable, and not before", "[raft]") {
    Solo solo(3);
    solo.hear(two, VoteRequest{Term(1), false, Term(), Position()});
    CHECK(solo.effects.send.empty());
    CHECK(only<VoteReply>(solo.effects.send_when_durable).granted);
    CHECK(persists<Vote>(solo.effects));
    solo.save();
    // Asked again, by a candidate that has missed the answer: nothing is left to wait for.
    solo.hear(two, VoteRequest{Term(1), false, Term(), Position()});
    CHECK(only<VoteReply>(solo.effects.send).granted);
    CHECK_FALSE(solo.effects.needs_disk());
}

TEST_CASE("a candidate asks for votes when its own is durable", "[raft]") {
    Solo solo(3);
    solo.tick_at_deadline();
    CHECK(solo.effects.persist.empty());
    CHECK(all<VoteRequest>(solo.effects.send).size() == 2); // Pre-votes.
    solo.hear(two, VoteReply{Term(1), true, true});
    CHECK(solo.effects.send.empty());
    CHECK(all<VoteRequest>(solo.effects.send_when_durable).size() == 2);
    CHECK(solo.consensus.vote() == Vote{Term(1), one});
}

TEST_CASE("a replica votes once in a term", "[raft]") {
    Solo solo(3);
    solo.hear(two, VoteRequest{Term(1), false, Term(), Position()});
    solo.hear(three, VoteRequest{Term(1), false, Term(), Position()});
    CHECK_FALSE(only<VoteReply>(solo.effects.send).granted);
    CHECK(solo.consensus.vote().candidate == two);
}

// M02.
TEST_CASE("who steps down within a term keeps its vote", "[raft]") {
    Solo solo(5);
    solo.tick_at_deadline();
    for (const NodeId from : {two, three}) solo.hear(from, VoteReply{Term(1), true, true});
    REQUIRE(solo.consensus.role() == Role::candidate);
    solo.hear(four, solo.append(1, 0, 0, {}));
    CHECK(solo.consensus.role() == Role::follower);
    CHECK(solo.consensus.vote() == Vote{Term(1), one});
    solo.hear(five, VoteRequest{Term(1), false, Term(1), at(9)});
    CHECK_FALSE(only<VoteReply>(solo.effects.send).granted);
}

// Paper, 5.4.1.
TEST_CASE("a candidate with an older log gets no vote", "[raft]") {
    Solo solo(3, {1, 1, 2});
    solo.hear(two, VoteRequest{Term(3), false, Term(1), at(9)});
    CHECK_FALSE(only<VoteReply>(solo.effects.send).granted);
    CHECK(solo.consensus.term() == Term(3)); // But it is heard.
    solo.hear(two, VoteRequest{Term(4), false, Term(2), at(2)});
    CHECK_FALSE(only<VoteReply>(solo.effects.send).granted);
    solo.hear(two, VoteRequest{Term(5), false, Term(2), at(3)});
    CHECK(only<VoteReply>(solo.effects.send_when_durable).granted);
}

// Thesis, 9.6.
TEST_CASE("a pre-vote promises nothing and disturbs nobody", "[raft]") {
    Solo solo(3);
    solo.hear(two, VoteRequest{Term(1), true, Term(), Position()});
    CHECK(only<VoteReply>(solo.effects.send) == VoteReply{Term(1), true, true});
    CHECK_FALSE(solo.effects.needs_disk());
    CHECK(solo.consensus.term() == Term());
    solo.hear(three, VoteRequest{Term(1), true, Term(), Position()});
    CHECK(only<VoteReply>(solo.effects.send).granted); // To as many as ask.
}

TEST_CASE("late answers to another election do not count", "[raft]") {
    Solo solo(3);
    solo.tick_at_deadline();
    solo.hear(two, VoteReply{Term(7), true, true});
    solo.hear(two, VoteReply{Term(1), false, true});
    CHECK(solo.consensus.role() == Role::pre_candidate);
    solo.hear(two, VoteReply{Term(1), true, true});
    CHECK(solo.consensus.role() == Role::candidate);
    solo.hear(three, VoteReply{Term(1), true, true});
    CHECK(solo.consensus.role() == Role::candidate);
}

// Thesis, 4.2.3.
TEST_CASE("who hears its leader elects no other, and does not move to its term", "[raft]") {
    Solo solo(3);
    solo.hear(two, solo.append(1, 0, 0, {}));
    solo.now += solo.config.election_timeout - 1ns;
    solo.hear(three, VoteRequest{Term(5), false, Term(4), at(9)});
    CHECK(solo.effects.send.empty());
    CHECK(solo.consensus.term() == Term(1));
    solo.hear(three, VoteRequest{Term(5), true, Term(4), at(9)});
    CHECK_FALSE(only<VoteReply>(solo.effects.send).granted);
    solo.now += 1ns;
    solo.hear(three, VoteRequest{Term(5), true, Term(4), at(9)});
    CHECK(only<VoteReply>(solo.effects.send).granted);
}

// M28. Thesis, 6.2.
TEST_CASE("a leader that hears no majority for an election timeout is none", "[raft]") {
    Solo solo(5);
    solo.lead();
    solo.now += solo.config.election_timeout - 1ns;
    solo.accept(two, Position());
    solo.consensus.tick(solo.now);
    CHECK(solo.consensus.role() == Role::leader);
    solo.now += 1ns; // Two of five still answer, counting itself.
    solo.consensus.tick(solo.now);
    CHECK(solo.consensus.role() == Role::follower);
    CHECK(solo.consensus.vote() == Vote{Term(1), one});
    CHECK(solo.consensus.propose(solo.now, 1).error() == Error::not_leader);
}

// M27. etcd-io/etcd#8501.
TEST_CASE("a follower stuck in a higher term makes the leader come to it", "[raft]") {
    Solo solo(3, {1, 7});
    solo.hear(two, solo.append(3, 1, 1, {}));
    const AppendReply reply = only<AppendReply>(solo.effects.send);
    CHECK_FALSE(reply.accepted);
    CHECK(reply.term == Term(7));

    Solo leader(3);
    leader.lead();
    leader.hear(two, reply);
    CHECK(leader.consensus.role() == Role::follower);
    CHECK(leader.consensus.term() == Term(7));
}

TEST_CASE("a candidate in too low a term is told so", "[raft]") {
    Solo solo(3, {1, 7});
    solo.hear(two, VoteRequest{Term(4), true, Term(3), at(9)});
    const VoteReply reply = only<VoteReply>(solo.effects.send);
    CHECK_FALSE(reply.granted);
    CHECK(reply.term == Term(7));
    Solo candidate(3, {1, 3});
    candidate.tick_at_deadline();
    candidate.hear(two, reply);
    CHECK(candidate.consensus.term() == Term(7));
    CHECK(candidate.consensus.role() == Role::follower);
}

TEST_CASE("a learner has the log and never stands", "[raft]") {
    const RaftConfig config;
    Consensus learner(config, three,
                      Members{.voters = {one, two}, .outgoing = {}, .learners = {three}}, {}, {},
                      {}, {}, Random(1), Time());
    CHECK(learner.deadline() == Time::max());
    learner.receive(Time(), one,
                    AppendRequest{.term = Term(1),
                                  .first = {},
                                  .previous_term = {},
                                  .committed = {},
                                  .context = 0,
                                  .entries = entries({1})});
    CHECK(learner.end() == at(1));
}

// --- The log.

// M04. Paper, figure 2: "if an existing entry conflicts with a new one".
TEST_CASE("an append that comes late cuts nothing", "[raft]") {
    Solo solo(3);
    solo.hear(two, solo.append(1, 0, 0, {1, 1, 1, 1}));
    solo.hear(two, solo.append(1, 0, 0, {1, 1}));
    CHECK(solo.log() == std::vector<int>{1, 1, 1, 1});
    CHECK(solo.effects.persist.empty());
    CHECK(only<AppendReply>(solo.effects.send_when_durable).matched == at(2));
}

// M05. Paper, 5.3.
TEST_CASE("a tail that conflicts is cut before what overrules it is appended", "[raft]") {
    Solo solo(3, {1, 1, 2, 2, 2});
    solo.hear(two, solo.append(3, 2, 1, {1, 3}));
    REQUIRE(solo.effects.persist.size() == 4);
    CHECK(std::get<Vote>(solo.effects.persist[0]) == Vote{Term(3), {}});
    CHECK(std::get<Cut>(solo.effects.persist[1]) == Cut{at(2)});
    CHECK(std::get<Append>(solo.effects.persist[2]).first == at(2));
    CHECK(std::get<Append>(solo.effects.persist[3]).first == at(3));
    CHECK(solo.log() == std::vector<int>{1, 1, 1, 3});
}

// M06. Paper, figure 2: "min(leaderCommit, index of last new entry)".
TEST_CASE("a follower commits no further than the leader has shown its log to be right", "[raft]") {
    Solo solo(3, {1, 1, 2, 2});
    solo.hear(two, solo.append(3, 2, 1, {}, 4));
    CHECK(solo.effects.committed == at(2));
    solo.hear(two, solo.append(3, 2, 1, {3, 3}, 3));
    CHECK(solo.effects.committed == at(3));
    solo.hear(two, solo.append(3, 2, 1, {}, 1));
    CHECK(solo.effects.committed == at(3));
}

// M07.
TEST_CASE("an ack claims only what the request has shown to be equal", "[raft]") {
    Solo solo(3, {1, 1, 2, 2});
    solo.hear(two, solo.append(3, 1, 1, {}));
    CHECK(only<AppendReply>(solo.effects.send).matched == at(1));
    solo.hear(two, solo.append(3, 1, 1, {1}));
    CHECK(only<AppendReply>(solo.effects.send).matched == at(2));
}

TEST_CASE("an ack of entries waits for the disk; that of a heartbeat claims what is there",
          "[raft]") {
    Solo solo(3);
    solo.hear(two, solo.append(1, 0, 0, {1, 1}));
    const std::uint64_t first = solo.effects.ticket;
    CHECK(only<AppendReply>(solo.effects.send_when_durable).matched == at(2));
    solo.hear(two, solo.append(1, 2, 1, {}));
    CHECK(only<AppendReply>(solo.effects.send).matched == at(0));
    solo.consensus.persisted(first);
    solo.hear(two, solo.append(1, 2, 1, {}));
    CHECK(only<AppendReply>(solo.effects.send).matched == at(2));
    solo.hear(two, solo.append(1, 0, 0, {1, 1})); // Repeated, and durable meanwhile.
    CHECK(only<AppendReply>(solo.effects.send).matched == at(2));
}

// M15. The async storage race of etcd-io/raft.
TEST_CASE("the completion of an append that was overruled vouches for nothing", "[raft]") {
    Solo solo(3, {1});
    solo.hear(two, solo.append(2, 1, 1, {2, 2, 2}));
    const std::uint64_t overruled = solo.effects.ticket;
    solo.hear(three, solo.append(3, 1, 1, {3, 3}));
    const std::uint64_t ticket = solo.effects.ticket;
    solo.consensus.persisted(overruled);
    CHECK(solo.consensus.durable_end() == at(1));
    solo.hear(three, solo.append(3, 3, 3, {}));
    CHECK(only<AppendReply>(solo.effects.send).matched == at(1));
    solo.consensus.persisted(ticket);
    CHECK(solo.consensus.durable_end() == at(3));
}

TEST_CASE("a follower that sees a gap says where its log ends", "[raft]") {
    Solo solo(3, {1, 1, 2});
    solo.hear(two, solo.append(3, 8, 3, {3}));
    const AppendReply reply = only<AppendReply>(solo.effects.send);
    CHECK_FALSE(reply.accepted);
    CHECK(reply.matched == at(3));
    CHECK(reply.matched_term == Term(2));
}

TEST_CASE("messages that no replica of ours would send are dropped", "[raft]") {
    Solo solo(3, {1, 1});
    const auto drops = [&](const Message& message) {
        solo.hear(two, message);
        return !solo.effects.needs_disk() && solo.effects.send.empty() &&
               solo.consensus.term() == Term(1);
    };
    CHECK(drops(VoteRequest{Term(-1), false, Term(), Position()}));
    CHECK(drops(VoteRequest{Term(INT32_MAX), false, Term(), Position()}));
    CHECK(drops(VoteRequest{Term(2), false, Term(3), at(4)}));
    CHECK(drops(VoteRequest{Term(2), false, Term(1), at(-4)}));
    CHECK(drops(solo.append(2, -1, 0, {})));
    CHECK(drops(solo.append(2, 0, 1, {})));
    CHECK(drops(solo.append(2, 2, 1, {3})));
    CHECK(drops(solo.append(3, 2, 1, {3, 2})));
    CHECK(drops(AppendReply{Term(-2), true, at(1), Term(), 0}));
}

// --- Commit.

TEST_CASE("the leader counts its own disk like that of another", "[raft]") {
    Solo solo(3);
    solo.lead();
    const std::uint64_t ticket = solo.effects.ticket;
    solo.accept(two, {1, Offset(0)}); // One follower of three, and our own write still under way.
    CHECK(solo.effects.committed == Position());
    SECTION("its own write makes the majority") {
        solo.consensus.persisted(ticket);
        CHECK(solo.consensus.committed() == Position{1, Offset(0)});
    }
    SECTION("the others are a majority without it") { // Thesis, 10.2.1.
        solo.accept(three, {1, Offset(0)});
        CHECK(solo.effects.committed == Position{1, Offset(0)});
    }
}

// M03. Paper, figure 8.
TEST_CASE("entries of older terms are not committed by counting", "[raft]") {
    Solo solo(3, {1, 2, 2});
    solo.lead();
    solo.accept(two, at(3));
    solo.accept(three, at(3));
    CHECK(solo.effects.committed == Position());
    solo.accept(two, {4, Offset(3)}); // The first entry of its own term commits them all.
    solo.accept(three, {4, Offset(3)});
    CHECK(solo.effects.committed == Position{4, Offset(3)});
}

// M08.
TEST_CASE("a refusal is no ack, wherever it points", "[raft]") {
    Solo solo(3);
    solo.lead();
    solo.save();
    solo.hear(two, AppendReply{Term(1), false, {1, Offset(0)}, Term(1), 0});
    CHECK(solo.effects.committed == Position());
    CHECK(solo.consensus.progress(two)->matched() == Position());
}

TEST_CASE("no more is taken in than may wait for a majority", "[raft]") {
    Solo solo(3);
    solo.config.uncommitted_entries_max = 8;
    solo.lead();
    for (int i = 1; i < 8; ++i) REQUIRE(solo.consensus.propose(solo.now, 2).ok());
    CHECK(solo.consensus.propose(solo.now, 2).error() == Error::unavailable);
    solo.take();
    solo.accept(two, {2, Offset(2)});
    solo.accept(three, {2, Offset(2)});
    CHECK(solo.consensus.propose(solo.now, 2).value() == Range{{8, Offset(14)}, {9, Offset(16)}});
}

// --- Replication.

TEST_CASE("entries go out when the place is known, a window of them at a time", "[raft]") {
    Solo solo(3);
    solo.config.appends_in_flight_max = 2;
    solo.lead();
    CHECK(solo.effects.replicate.empty());
    CHECK(all<AppendRequest>(solo.effects.send).size() == 2); // Probes, at the candidate's end.
    solo.accept(two, Position());
    REQUIRE(solo.effects.replicate.size() == 1);
    CHECK(solo.effects.replicate[0].to == two);
    CHECK(solo.effects.replicate[0].request.first == Position());
    solo.take();
    CHECK(solo.effects.replicate.size() == 1); // Asked again, until something is sent.
    solo.consensus.sent(two, {1, Offset(0)});
    solo.take();
    CHECK(solo.effects.replicate.empty());
    for (int i = 0; i < 3; ++i) REQUIRE(solo.consensus.propose(solo.now, 1).ok());
    solo.take();
    REQUIRE(solo.effects.replicate.size() == 1);
    CHECK(solo.effects.replicate[0].request.previous_term == Term(1));
    solo.consensus.sent(two, {2, Offset(1)});
    solo.take();
    CHECK(solo.effects.replicate.empty()); // The window is full.
    solo.accept(two, {1, Offset(0)});
    CHECK(solo.effects.replicate.size() == 1);
}

TEST_CASE("heartbeats stand before the entries that are under way, and checks behind", "[raft]") {
    Solo solo(3);
    solo.lead();
    solo.accept(two, Position());
    solo.accept(three, Position());
    const Time led = solo.now;
    solo.now += solo.config.heartbeat_slack() - 1ms;
    solo.consensus.tick(solo.now);
    solo.take();
    CHECK(solo.effects.send.empty());
    solo.now += 2ms;
    solo.accept(two, Position());
    solo.consensus.sent(two, {1, Offset(0)});
    CHECK(solo.consensus.deadline() == led + solo.config.heartbeat_interval);
    const auto first_of = [&](std::size_t i) {
        return std::get<AppendRequest>(solo.effects.send.at(i).message).first;
    };
    const auto is_check = [&](std::size_t i) { return solo.effects.send.at(i).behind_entries; };
    solo.tick_at_deadline();
    REQUIRE(solo.effects.send.size() == 2);
    CHECK(solo.effects.send[0].to == two);
    CHECK((first_of(0) == Position() && !is_check(0)));
    CHECK(solo.effects.send[1].to == three);
    // The entries have been under way for a while. Are they lost?
    solo.tick_at_deadline();
    REQUIRE(solo.effects.send.size() == 3);
    CHECK((first_of(0) == Position() && !is_check(0)));
    CHECK(solo.effects.send[1].to == two);
    CHECK((first_of(1) == Position{1, Offset(0)} && is_check(1)));
    CHECK(solo.effects.send[2].to == three);
    const AppendReply rejection{Term(1), false, Position(), Term(), 0, 0};
    solo.hear(two, rejection);
    CHECK(solo.consensus.progress(two)->is_probing());
    // An answer to what was sent before, and which is true, but no answer to the question.
    solo.hear(two, AppendReply{Term(1), true, Position(), Term(), 0, 0});
    CHECK(solo.consensus.progress(two)->is_probing());
    solo.accept(two, Position());
    REQUIRE(solo.effects.replicate.size() == 2);
    CHECK(solo.effects.replicate[0].request.first == Position());
    // Nor does another check that was under way begin the next search.
    solo.hear(two, rejection);
    CHECK_FALSE(solo.consensus.progress(two)->is_probing());
}

// Paper, 5.3, the optimisation at its end.
TEST_CASE("the place where logs part is found with one probe for each term", "[raft][model]") {
    rc::prop("any two logs", [] {
        const auto some_log = [] {
            auto terms = *rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 9));
            std::sort(terms.begin(), terms.end());
            return terms;
        };
        // Terms have one leader each, so logs that share a term share what is before it: an even
        // term stands for one in the first log only, an odd one in the second only.
        const std::vector<int> common = some_log();
        const int last = common.empty() ? 0 : common.back();
        std::vector<int> mine = common, other = common;
        for (const int t : some_log()) mine.push_back(last + 2 * t);
        for (const int t : some_log()) other.push_back(last + 2 * t + 1);

        Solo leader(2, mine, 99);
        Solo follower(2, other);
        leader.lead();
        std::set<int> terms(mine.begin(), mine.end());
        terms.insert(other.begin(), other.end());
        std::size_t probes = 0;
        while (leader.consensus.progress(two)->is_probing()) {
            const auto request = only<AppendRequest>(leader.effects.send);
            follower.hear(two, request); // Both are replica 1 to themselves, and 2 to the other.
            leader.hear(two, only<AppendReply>(follower.effects.send));
            RC_ASSERT(++probes <= terms.size() + 1);
        }
        const Position next = leader.consensus.progress(two)->next();
        RC_ASSERT(next.index <= static_cast<std::int64_t>(common.size()));
        RC_ASSERT(next == at(next.index));
    });
}

TEST_CASE("a follower that only lags is found with one probe", "[raft]") {
    Solo leader(2, {1, 1, 2, 2, 3, 3});
    leader.lead();
    leader.hear(two, AppendReply{leader.consensus.term(), false, at(4), Term(2), 0});
    CHECK(only<AppendRequest>(leader.effects.send).first == at(4));
    CHECK(only<AppendRequest>(leader.effects.send).previous_term == Term(2));
}

// --- Read barriers. Thesis, 6.4.

// M24.
TEST_CASE("a barrier waits until an entry of the leader's own term is committed", "[raft]") {
    Solo solo(3, {1});
    solo.lead();
    CHECK(solo.consensus.barrier(solo.now).value() == 1);
    solo.take();
    solo.accept(two, at(1), 1);
    solo.accept(three, at(1), 1);
    CHECK(solo.effects.barriers_passed == 0);
    solo.save();
    solo.accept(two, {2, Offset(1)}, 1);
    CHECK(solo.effects.barriers_passed == 1);
}

// M25. etcd-io/etcd#20418.
TEST_CASE("only answers to what was sent after a barrier was asked for pass it", "[raft]") {
    Solo solo(3);
    solo.lead();
    solo.save();
    solo.accept(two, {1, Offset(0)});
    REQUIRE(solo.effects.committed == Position{1, Offset(0)});
    CHECK(solo.consensus.barrier(solo.now).value() == 1);
    solo.take();
    CHECK(all<AppendRequest>(solo.effects.send).size() == 2); // At once, not with the next tick.
    CHECK(all<AppendRequest>(solo.effects.send)[0].context == 1);
    solo.accept(two, {1, Offset(0)}, 0);
    CHECK(solo.effects.barriers_passed == 0);
    solo.accept(three, {1, Offset(0)}, 1);
    CHECK(solo.effects.barriers_passed == 1);
}

TEST_CASE("barriers asked for while a round is under way share the next", "[raft]") {
    Solo solo(3);
    solo.lead();
    solo.save();
    solo.accept(two, {1, Offset(0)});
    for (int i = 0; i < 5; ++i) REQUIRE(solo.consensus.barrier(solo.now).ok());
    solo.take();
    CHECK(all<AppendRequest>(solo.effects.send).size() == 2);
    solo.accept(two, {1, Offset(0)}, 1);
    CHECK(solo.effects.barriers_passed == 1);
    REQUIRE(all<AppendRequest>(solo.effects.send).size() == 2);
    CHECK(all<AppendRequest>(solo.effects.send)[0].context == 5);
    solo.accept(two, {1, Offset(0)}, 5);
    CHECK(solo.effects.barriers_passed == 5);
}

TEST_CASE("only a leader takes in batches and barriers", "[raft]") {
    Solo solo(3);
    CHECK(solo.consensus.propose(solo.now, 1).error() == Error::not_leader);
    CHECK(solo.consensus.barrier(solo.now).error() == Error::not_leader);
}

// --- The invariants are themselves no use if they are never broken.

TEST_CASE("the invariants see what they are for", "[raft]") {
    Agreement agreement(Solo::members(3));
    const RaftConfig config;
    const auto replica = [&](NodeId self, Vote vote, const std::vector<int>& log,
                             std::int64_t committed) {
        return Consensus(config, self, Solo::members(3), vote, at(committed),
                         at(static_cast<std::int64_t>(log.size())), table(log), Random(1), Time());
    };
    const auto seen = [&](const Consensus& c) {
        const auto violation = agreement.observe_started(c);
        return violation ? violation->invariant : std::string_view();
    };
    CHECK(seen(replica(one, {Term(2), two}, {1, 1, 2}, 0)) == "");
    CHECK(seen(replica(two, {Term(2), two}, {1, 1, 2}, 3)) == "");
    CHECK(seen(replica(one, {Term(2), two}, {1, 1}, 0)) == "durable is kept");
    CHECK(seen(replica(one, {Term(2), three}, {1, 1, 2}, 0)) == "durable is kept");
    CHECK(seen(replica(one, {Term(1), {}}, {1}, 0)) == "durable is kept");
    CHECK(seen(replica(three, {Term(2), two}, {1, 2}, 0)) == "log matching");
    agreement.forget(three);
    CHECK(seen(replica(three, {Term(3), {}}, {1, 1, 3}, 3)) == "state machine safety");
    agreement.forget(three);
    CHECK(seen(replica(three, {Term(2), two}, {1, 1, 2, 2}, 4)) ==
          "committed is durable on a majority");

    ReplicaState before = state_of(replica(one, {Term(2), two}, {1, 1, 2}, 2));
    ReplicaState after = before;
    after.vote.candidate = three;
    CHECK(check_step(before, after)->invariant == "one vote in a term");
    after = before;
    after.vote.term = Term(1);
    CHECK(check_step(before, after)->invariant == "terms rise");
    after = before;
    after.committed = at(1);
    CHECK(check_step(before, after)->invariant == "committed rises");
    after = before;
    after.terms = table({1, 2, 2});
    CHECK(check_step(before, after)->invariant == "committed is kept");
    before.role = after.role = Role::leader;
    after.terms = table({1, 1});
    after.end = at(2);
    CHECK(check_step(before, after)->invariant == "a leader only appends");
}

TEST_CASE("the invariants see what no replica may be", "[raft]") {
    ReplicaState good;
    good.self = one;
    good.role = Role::leader;
    good.vote = good.durable_vote = {Term(2), one};
    good.terms = table({1, 2});
    good.end = good.durable_end = at(2);
    REQUIRE(!check_replica(good));
    const auto seen = [&](auto change) {
        ReplicaState bad = good;
        change(bad);
        const auto violation = check_replica(bad);
        return violation ? violation->invariant : std::string_view();
    };
    CHECK(seen([](ReplicaState& s) { s.committed = at(3); }) == "committed is in the log");
    CHECK(seen([](ReplicaState& s) { s.durable_end = at(3); }) == "durable is in the log");
    CHECK(seen([](ReplicaState& s) { s.terms = table({1, 3}); }) == "no term above the vote's");
    CHECK(seen([](ReplicaState& s) { s.end = s.durable_end = at(1); }) == "terms tell of the log");
    CHECK(seen([](ReplicaState& s) { s.vote.term = s.durable_vote.term = Term(3); }) ==
          "a leader begins its term");
    CHECK(seen([](ReplicaState& s) {
              s.role = Role::candidate;
              s.vote.candidate = two;
          }) == "a candidate votes for itself");
}

TEST_CASE("the invariants see two leaders in one term, and one that lacks what is committed",
          "[raft]") {
    RaftConfig config;
    config.pre_vote = false;
    // Elected by itself and the third node, in the term after the last of its log.
    const auto led_by = [&](NodeId self, const std::vector<int>& log, Term saved) {
        Consensus made(config, self, Solo::members(3), {saved, {}}, Position(),
                       at(static_cast<std::int64_t>(log.size())), table(log), Random(1), Time());
        const Time late(10 * config.election_timeout);
        made.tick(late);
        made.persisted(made.take_effects().ticket);
        made.receive(late, three, wire::VoteReply{made.term(), false, true});
        REQUIRE(made.role() == Role::leader);
        return made;
    };
    const auto voter = [&](Term term, NodeId candidate) {
        return Consensus(config, three, Solo::members(3), {term, candidate}, Position(), at(1),
                         table({1}), Random(1), Time());
    };
    const auto seen = [](const std::optional<Violation>& violation) {
        return violation ? violation->invariant : std::string_view();
    };
    SECTION("two leaders") {
        Agreement agreement(Solo::members(3));
        REQUIRE(!agreement.observe_started(voter(Term(2), one)));
        CHECK(seen(agreement.observe_started(led_by(one, {1}, Term(1)))) == "");
        CHECK(seen(agreement.observe_started(led_by(two, {1}, Term(1)))) == "election safety");
    }
    SECTION("one that lacks an entry") {
        Agreement agreement(Solo::members(3));
        const auto with_both = [&](NodeId node, std::int64_t committed) {
            return Consensus(config, node, Solo::members(3), {Term(2), {}}, at(committed), at(2),
                             table({1, 2}), Random(1), Time());
        };
        REQUIRE(!agreement.observe_started(with_both(three, 0)));
        REQUIRE(!agreement.observe_started(with_both(one, 2)));
        agreement.forget(three);
        REQUIRE(!agreement.observe_started(voter(Term(3), two)));
        CHECK(seen(agreement.observe_started(led_by(two, {1}, Term(2)))) == "leader completeness");
    }
}

TEST_CASE("the invariants see a leader that counts what nobody has on disk", "[raft]") {
    Agreement agreement(Solo::members(3));
    const RaftConfig config;
    const auto seen = [](const std::optional<Violation>& violation) {
        return violation ? violation->invariant : std::string_view();
    };
    const auto voter = [&](NodeId self, Vote vote, const std::vector<int>& log) {
        return Consensus(config, self, Solo::members(3), vote, Position(),
                         at(static_cast<std::int64_t>(log.size())), table(log), Random(1), Time());
    };
    Solo leader(3, {1});
    CHECK(seen(agreement.observe_started(leader.consensus)) == "");
    leader.lead();
    SECTION("votes") {
        CHECK(seen(agreement.observe(leader.consensus)) == "elected by durable votes");
    }
    CHECK(seen(agreement.observe_started(voter(two, {Term(2), one}, {1}))) == "");
    SECTION("entries") {
        CHECK(seen(agreement.observe(leader.consensus)) == "");
        leader.accept(two, at(2));
        leader.save();
        CHECK(seen(agreement.observe(leader.consensus)) != "");
    }
    SECTION("entries that are not committed by it") {
        CHECK(seen(agreement.observe(leader.consensus)) == "");
        leader.hear(two, AppendReply{leader.consensus.term(), true, at(2), Term(2), 0});
        REQUIRE(leader.consensus.propose(leader.now, 1).ok());
        CHECK(seen(agreement.observe(leader.consensus)) == "matched is durable there");
    }
}

TEST_CASE("the invariants see a barrier that a leader of old passes", "[raft]") {
    const RaftConfig config;
    Agreement agreement(Solo::members(3));
    // Terms begin with an entry of no records.
    constexpr Position begin_of_2{1, Offset(1)}, begin_of_3{2, Offset(1)}, later{4, Offset(2)};
    const auto follower = [&](NodeId self, Vote vote, Position end, Position committed) {
        TermTable terms = table({1});
        if (end > begin_of_2) terms.append(Term(2), begin_of_2);
        if (end > begin_of_3) terms.append(Term(3), begin_of_3);
        return Consensus(config, self, Solo::members(3), vote, committed, end, terms, Random(1),
                         Time());
    };
    const auto seen = [](const std::optional<Violation>& violation) {
        return violation ? violation->invariant : std::string_view();
    };
    Solo leader(3, {1});
    REQUIRE(!agreement.observe_started(leader.consensus));
    leader.lead();
    REQUIRE(!agreement.observe_started(follower(two, {Term(2), one}, begin_of_3, Position())));
    REQUIRE(!agreement.observe(leader.consensus));
    leader.save();
    leader.accept(two, begin_of_3);
    REQUIRE(leader.effects.committed == begin_of_3);
    REQUIRE(!agreement.observe(leader.consensus));
    const auto others_go_on = [&](Position end, Position committed) {
        for (const NodeId node : {three, two})
            REQUIRE(!agreement.observe_started(
                follower(node, {Term(3), three}, end, node == two ? committed : Position())));
    };
    const auto ask = [&] {
        REQUIRE(leader.consensus.barrier(leader.now).ok());
        CHECK(!agreement.observe(leader.consensus));
    };
    const auto pass = [&] {
        leader.accept(two, begin_of_3, leader.consensus.barriers_asked());
        REQUIRE(leader.consensus.barriers_passed() == leader.consensus.barriers_asked());
        return seen(agreement.observe(leader.consensus));
    };
    SECTION("while it leads") {
        ask();
        others_go_on(later, later);
        CHECK(pass() == "");
    }
    SECTION("when nobody has heard the question") {
        ask();
        CHECK(pass() == "answers come after the question");
    }
    SECTION("when the others have moved on") {
        others_go_on(begin_of_3, Position());
        ask();
        CHECK(pass() == "a barrier is passed by who led");
    }
    SECTION("when they have committed more") {
        others_go_on(later, later);
        ask();
        CHECK(pass() == "reads are not stale");
    }
}

TEST_CASE("the invariants see what a term does not allow", "[raft]") {
    const auto state = [](Role role, int term, const std::vector<int>& log,
                          std::int64_t committed) {
        ReplicaState made;
        made.self = one;
        made.role = role;
        made.vote = made.durable_vote = {Term(term), one};
        made.terms = table(log);
        made.end = made.durable_end = at(static_cast<std::int64_t>(log.size()));
        made.committed = at(committed);
        return made;
    };
    const ReplicaState leader = state(Role::leader, 3, {1, 2, 3}, 1);
    CHECK(!check_step(leader, state(Role::leader, 3, {1, 2, 3}, 3)));
    CHECK(check_step(leader, state(Role::leader, 3, {1, 2, 3}, 2))->invariant ==
          "a leader commits its own term");
    const ReplicaState follower = state(Role::follower, 3, {1, 3, 3}, 1);
    CHECK(check_step(follower, state(Role::follower, 3, {1, 3}, 1))->invariant ==
          "a term's own entries stay");
    CHECK(!check_step(follower, state(Role::follower, 4, {1}, 1)));
}
