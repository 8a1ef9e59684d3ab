// Logs that begin behind index 0, and followers that lack what was before.
#include "raft/invariants.h"
#include "raft/solo.h"
#include "raft/toy_group.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::raft;

namespace {

ResetRequest reset_to(std::int64_t index, int term, int before, std::int64_t committed) {
    return {.term = Term(term),
            .start = {at(index), Term(before), Offset(index)},
            .committed = at(committed),
            .context = 0};
}

// Replica 1 of three, whose log begins at `start`, behind an entry of the term `before`.
Consensus trimmed(const RaftConfig& config, std::int64_t start, int before,
                  const std::vector<int>& log, std::int64_t committed, NodeId self = one,
                  int term = 0) {
    TermTable terms(at(start), Term(before));
    std::int64_t end = start;
    for (const int t : log) terms.append(Term(t), at(end++));
    const Vote vote{Term(std::max(term, terms.last().value)), {}};
    return Consensus(config, self, Solo::members(3), vote, at(committed), at(end), terms, Random(1),
                     Time());
}

} // namespace

TEST_CASE("a follower that lacks what was trimmed begins anew at its leader's start", "[raft]") {
    ToyGroup group(3, RaftConfig(), 1);
    group.start_all();
    group.tick_at_deadline(one);
    group.settle();
    REQUIRE(group.leader() == one);
    group.cut_off(three);
    for (int i = 0; i < 8; ++i) REQUIRE(group.propose(one, 2).ok());
    group.settle();
    REQUIRE(group.propose_trim(one, 6).ok());
    group.settle();
    CHECK(group[one].start().index == 6);
    group.run_for(200ms); // The other one hears what is committed.
    CHECK(group[two].start().index == 6);
    CHECK(group[three].end().index == 1);
    group.heal();
    group.run_for(1s);
    CHECK(group[three].start() == group[one].start());
    CHECK(group[three].end() == group[one].end());
    CHECK(group[three].committed() == group[one].committed());
    CHECK(group.replicas.at(three).disk.log == group.replicas.at(one).disk.log);
    CHECK_FALSE(group.violation);
    // And it takes part again.
    group.cut_off(two);
    REQUIRE(group.propose(one, 1).ok());
    group.settle();
    CHECK(group[one].committed() == group[one].end());
    CHECK_FALSE(group.violation);
}

TEST_CASE("a leader sends nothing from before its start, and says where that is instead",
          "[raft]") {
    Solo solo(3, {1, 1, 1, 1});
    solo.lead();
    solo.save();
    solo.accept(two, {5, Offset(4)});
    REQUIRE(solo.effects.committed.index == 5);
    const Term term = solo.consensus.term();
    // The other one lacks all of it, and entries flow to it.
    solo.hear(three, AppendReply{term, false, at(0), Term(), 0});
    solo.accept(three, at(0));
    REQUIRE(solo.effects.replicate.size() == 1);
    CHECK(solo.effects.replicate.front().request.first == at(0));
    solo.consensus.trimmed(at(3));
    solo.take();
    CHECK(solo.effects.replicate.empty());
    CHECK(solo.consensus.start() == at(3));
    solo.tick_at_deadline();
    const ResetRequest sent = only<ResetRequest>(solo.effects.send);
    CHECK(sent.term == term);
    CHECK(sent.start == LogStart{at(3), Term(1), Offset(3)});
    CHECK(sent.committed.index == 5);
    // A refusal asks for what is older still.
    solo.hear(three, AppendReply{term, false, at(0), Term(), 0});
    CHECK(solo.effects.replicate.empty());
    // Once it has begun anew, entries flow from there.
    solo.accept(three, at(3));
    REQUIRE(solo.effects.replicate.size() == 1);
    CHECK(solo.effects.replicate.front().request.first == at(3));
    CHECK(solo.effects.replicate.front().request.previous_term == Term(1));
}

TEST_CASE("a barrier is passed by the answer to a reset as by any other", "[raft]") {
    Solo solo(3, {1, 1, 1, 1});
    solo.lead();
    solo.save();
    solo.accept(two, {5, Offset(4)});
    solo.consensus.trimmed(at(3));
    solo.hear(three, AppendReply{solo.consensus.term(), false, at(0), Term(), 0});
    REQUIRE(solo.consensus.barrier(solo.now).ok());
    solo.take();
    CHECK(only<ResetRequest>(solo.effects.send).context == 1);
    solo.accept(three, at(3), 1);
    CHECK(solo.effects.barriers_passed == 1);
}

TEST_CASE("a follower that begins anew forgets all it had, and says so when it is durable",
          "[raft]") {
    Solo solo(3, {1, 1, 2, 2, 2});
    solo.hear(two, solo.append(3, 1, 1, {}, 1));
    REQUIRE(solo.effects.committed == at(1));
    solo.hear(two, reset_to(9, 3, 3, 12));
    REQUIRE(solo.effects.persist.size() == 2);
    CHECK(std::get<Cut>(solo.effects.persist[0]) == Cut{at(1)});
    CHECK(std::get<Reset>(solo.effects.persist[1]) == Reset{{at(9), Term(3), Offset(9)}});
    CHECK(solo.consensus.start() == at(9));
    CHECK(solo.consensus.end() == at(9));
    CHECK(solo.consensus.terms().last() == Term(3));
    CHECK(solo.effects.committed == at(9)); // No further: it has seen nothing of what follows.
    CHECK(solo.effects.send.empty());
    const AppendReply reply = only<AppendReply>(solo.effects.send_when_durable);
    CHECK(reply.accepted);
    CHECK(reply.matched == at(9));
    CHECK(reply.matched_term == Term(3));
    CHECK(solo.consensus.durable_end().index <= 1);
    solo.save();
    CHECK(solo.consensus.durable_end() == at(9));
    solo.hear(two, solo.append(3, 9, 3, {3}));
    CHECK(only<AppendReply>(solo.effects.send_when_durable).matched == at(10));
}

TEST_CASE("a log that ends behind the start, after another term, is forgotten as well", "[raft]") {
    Solo solo(3, {1, 2, 2, 2, 2, 2});
    solo.hear(two, reset_to(4, 5, 3, 8));
    CHECK(persists<Reset>(solo.effects));
    CHECK(solo.consensus.end() == at(4));
    CHECK(solo.consensus.durable_end() == at(0));
}

TEST_CASE("a log that leads to the start is kept", "[raft]") {
    Solo solo(3, {1, 1, 2, 2, 2});
    solo.hear(two, reset_to(4, 3, 2, 8));
    CHECK_FALSE(persists<Reset>(solo.effects));
    CHECK(solo.log() == std::vector<int>{1, 1, 2, 2, 2});
    CHECK(solo.effects.committed == at(4));
    CHECK(only<AppendReply>(solo.effects.send).matched == at(4));
}

TEST_CASE("a reset that comes late changes nothing", "[raft]") {
    Solo solo(3, {1, 1, 1, 1});
    solo.hear(two, solo.append(1, 4, 1, {}, 4));
    REQUIRE(solo.effects.committed == at(4));
    solo.hear(two, reset_to(2, 1, 1, 4));
    CHECK_FALSE(solo.effects.needs_disk());
    CHECK(solo.consensus.start() == at(0));
    CHECK(only<AppendReply>(solo.effects.send).matched == at(4));
}

TEST_CASE("a reset by a leader of old is refused, and its own term it obeys", "[raft]") {
    Solo solo(3, {2, 2}, 4);
    solo.hear(two, reset_to(9, 3, 3, 9));
    CHECK(solo.consensus.end() == at(2));
    const AppendReply refusal = only<AppendReply>(solo.effects.send);
    CHECK_FALSE(refusal.accepted);
    CHECK(refusal.term == Term(4));
    solo.hear(two, reset_to(9, 5, 3, 9));
    CHECK(solo.consensus.term() == Term(5));
    CHECK(solo.consensus.leader() == two);
    CHECK(solo.consensus.end() == at(9));
}

TEST_CASE("resets that no leader would send are dropped", "[raft]") {
    Solo solo(3, {1, 1});
    const auto drops = [&](ResetRequest request) {
        solo.hear(two, request);
        return !solo.effects.needs_disk() && solo.effects.send.empty() &&
               solo.consensus.term() == Term(1);
    };
    CHECK(drops(reset_to(0, 3, 0, 9)));
    CHECK(drops(reset_to(9, 3, 4, 9)));
    CHECK(drops(reset_to(9, 3, 3, 8)));
    CHECK(drops(reset_to(9, -1, 0, 9)));
    ResetRequest request = reset_to(9, 3, 3, 9);
    request.start.offset = Offset(8);
    CHECK(drops(request));
    request.start.offset = Offset(std::int64_t{1} << 40);
    CHECK(drops(request));
}

TEST_CASE("a log that was trimmed to its end stands for election with its last term", "[raft]") {
    const RaftConfig config;
    Consensus replica = trimmed(config, 9, 4, {}, 9);
    replica.receive(Time(), two, VoteRequest{Term(5), false, Term(3), at(20)});
    CHECK_FALSE(only<VoteReply>(replica.take_effects().send).granted);
    replica.receive(Time(), two, VoteRequest{Term(6), false, Term(4), at(9)});
    CHECK(only<VoteReply>(replica.take_effects().send_when_durable).granted);
    replica.tick(replica.deadline());
    for (const VoteRequest& asked : all<VoteRequest>(replica.take_effects().send)) {
        CHECK(asked.log_term == Term(4));
        CHECK(asked.log_end == at(9));
    }
}

TEST_CASE("a follower whose log begins late refuses what it cannot tell, and takes the rest",
          "[raft]") {
    const RaftConfig config;
    Consensus replica = trimmed(config, 5, 2, {2, 3}, 5, one, 4);
    // At the start, and before it: what is committed needs no comparison.
    for (const std::int64_t first : {5, 3}) {
        replica.receive(Time(), two,
                        AppendRequest{.term = Term(4),
                                      .first = at(first),
                                      .previous_term = Term(2),
                                      .committed = at(5),
                                      .context = 0,
                                      .entries = {}});
        CHECK(only<AppendReply>(replica.take_effects().send).accepted);
    }
    replica.receive(Time(), two,
                    AppendRequest{.term = Term(4),
                                  .first = at(7),
                                  .previous_term = Term(4),
                                  .committed = at(5),
                                  .context = 0,
                                  .entries = {}});
    const AppendReply refusal = only<AppendReply>(replica.take_effects().send);
    CHECK_FALSE(refusal.accepted);
    CHECK(refusal.matched == at(7));
    CHECK(refusal.matched_term == Term(3));
}

// --- The invariants.

TEST_CASE("the invariants see a log that begins where it may not", "[raft]") {
    const RaftConfig config;
    const auto seen = [](const std::optional<Violation>& violation) {
        return violation ? violation->invariant : std::string_view();
    };
    SECTION("behind what is committed") {
        ReplicaState bad = state_of(trimmed(config, 4, 1, {1, 1}, 5));
        CHECK(seen(check_replica(bad)).empty());
        bad.committed = at(3);
        CHECK(seen(check_replica(bad)) == "a log begins at what is committed");
    }
    SECTION("before where it began") {
        const ReplicaState before = state_of(trimmed(config, 4, 1, {1, 1}, 5));
        const ReplicaState after = state_of(trimmed(config, 3, 1, {1, 1, 1}, 5));
        CHECK(seen(check_step(after, before)).empty());
        CHECK(seen(check_step(before, after)) == "the start rises");
    }
    SECTION("behind another entry than others say") {
        Agreement agreement(Solo::members(3));
        for (const NodeId node : {one, two})
            CHECK(seen(agreement.observe_started(trimmed(config, 0, 0, {1, 2, 2, 2}, 0, node)))
                      .empty());
        agreement.forget(one);
        CHECK(seen(agreement.observe_started(trimmed(config, 0, 0, {1, 2, 2, 2}, 4, one))).empty());
        CHECK(seen(agreement.observe_started(trimmed(config, 2, 2, {2, 2}, 4, three))).empty());
        agreement.forget(three);
        CHECK(seen(agreement.observe_started(trimmed(config, 2, 1, {2, 2}, 4, three))) ==
              "log matching");
        agreement.forget(three);
        CHECK(seen(agreement.observe_started(trimmed(config, 3, 1, {}, 3, three, 2))) ==
              "state machine safety");
        agreement.forget(three);
        TermTable terms({3, Offset(2)}, Term(2));
        CHECK(seen(agreement.observe_started(Consensus(config, three, Solo::members(3),
                                                       Vote{Term(2), {}}, {3, Offset(2)},
                                                       {3, Offset(2)}, terms, Random(1), Time())))
                  .empty());
        agreement.forget(three);
        CHECK(seen(agreement.observe_started(trimmed(config, 3, 2, {}, 3, three))) ==
              "a log begins where all agree");
    }
    SECTION("another log before the same start") {
        const ReplicaState before = state_of(trimmed(config, 0, 0, {1, 1, 2, 2}, 3));
        ReplicaState after = state_of(trimmed(config, 2, 1, {2, 2}, 3));
        CHECK(seen(check_step(before, after)).empty());
        after.terms = TermTable(at(2), Term(2));
        after.terms.append(Term(2), at(2));
        CHECK(seen(check_step(before, after)) == "committed is kept");
    }
}

TEST_CASE("a heartbeat stands at no place whose term its leader has trimmed", "[raft]") {
    Solo solo(3, {1, 1, 2, 2}, 2);
    solo.lead();
    solo.accept(two, at(1));
    solo.consensus.sent(two, at(4));
    solo.accept(three, solo.consensus.end());
    solo.consensus.persisted(solo.consensus.inputs());
    REQUIRE(solo.consensus.committed() == solo.consensus.end());
    solo.consensus.trimmed(at(3));
    solo.take();
    REQUIRE_FALSE(solo.consensus.progress(two)->is_probing());
    (void)solo.consensus.barrier(solo.now);
    solo.take();
    const auto requests = all<AppendRequest>(solo.effects.send);
    REQUIRE_FALSE(requests.empty());
    CHECK(requests.front().first == Position());
    CHECK(requests.front().previous_term == Term());
}
