#include "server/admin/verdict.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;
using State = Verdict::State;

namespace {

// A partition of three that is led from here, and of which nothing is to be said.
PartitionFacts healthy() {
    PartitionFacts facts;
    facts.replicas = {NodeId(1), NodeId(2), NodeId(3)};
    facts.leader = NodeId(1);
    facts.term = Term(7);
    facts.is_here = true;
    facts.role = raft::Role::leader;
    facts.serves = true;
    return facts;
}

PartitionFacts leaderless() {
    PartitionFacts facts = healthy();
    facts.leader.reset();
    facts.role = raft::Role::follower;
    facts.serves = false;
    return facts;
}

} // namespace

TEST_CASE("of a healthy partition there is nothing to say", "[server]") {
    CHECK(judge(healthy()).state == State::ok);
    CHECK(judge(healthy()).why.empty());
}

TEST_CASE("without a majority there is no leader, and it is told who is missing", "[server]") {
    PartitionFacts facts = leaderless();
    facts.unreachable = {{NodeId(2), 12s}, {NodeId(3), 90min}};
    CHECK(judge(facts).state == State::no_leader);
    CHECK(judge(facts).why ==
          "2 of 3 replicas cannot be reached from here: node 2 since 12 s, node 3 since 90 min");
}

TEST_CASE("with a majority it is told what an election waits for", "[server]") {
    PartitionFacts facts = leaderless();
    facts.unreachable = {{NodeId(2), 12s}};
    CHECK(judge(facts).why == "waits to hear from a leader, and then stands for election: term 7");
    facts.role = raft::Role::candidate;
    CHECK(judge(facts).why == "election under way: term 7");
    facts.role = raft::Role::pre_candidate;
    CHECK(judge(facts).why ==
          "nobody has won an election yet: this node asks the others if it could, term 7");
    facts.damages = 3;
    CHECK(judge(facts).why == "log is being repaired: 3 damaged places");
    facts.disk_hangs_for = 3s;
    CHECK(judge(facts).why == "the disk of this node has not answered for 3 s");
    facts.is_here = false;
    CHECK(judge(facts).why ==
          "no replica is on this node, and no node that can be reached has said "
          "that it leads");
}

TEST_CASE("who cannot be reached, or lags for long, makes a partition under-replicated",
          "[server]") {
    PartitionFacts facts = healthy();
    facts.unreachable = {{NodeId(3), 2s}};
    CHECK(judge(facts).state == State::under_replicated);
    CHECK(judge(facts).why == "1 of 3 replicas cannot be reached from here: node 3 since 2 s");
    facts.behind = {{NodeId(3), 9, 30s}}; // Once is enough.
    CHECK(judge(facts).why == "1 of 3 replicas cannot be reached from here: node 3 since 2 s");
    facts.unreachable.clear();
    facts.behind = {{NodeId(2), 120, behind_after}};
    CHECK(judge(facts).state == State::under_replicated);
    CHECK(judge(facts).why == "node 2 has not caught up for 10 s, and lacks 120 entries");
    facts.behind = {{NodeId(2), std::nullopt, behind_after}};
    CHECK(judge(facts).why ==
          "node 2 has not caught up for 10 s, and has not told this leader what it lacks");
    facts.behind = {{NodeId(2), 120, behind_after - 1ns}};
    CHECK(judge(facts).state == State::ok);
}

TEST_CASE("the worst comes first, and counts", "[server]") {
    PartitionFacts facts = healthy();
    facts.unreachable = {{NodeId(3), 2s}};
    facts.damages = 1;
    CHECK(judge(facts).state == State::repairing);
    CHECK(judge(facts).why == "log is being repaired: 1 damaged place; 1 of 3 replicas cannot be "
                              "reached from here: node 3 since 2 s");
    facts.disk_is_short = true;
    CHECK(judge(facts).state == State::refusing);
    CHECK(judge(facts).why.starts_with("the disk of this node is nearly full"));
    facts.role = raft::Role::follower; // What the leader's disk is like is not known here.
    CHECK(judge(facts).state == State::repairing);
    facts = healthy();
    facts.serves = false;
    CHECK(judge(facts).why == "its leader, this node, has not yet committed anything in term 7");
}

TEST_CASE("of a replica that abstains it is told whom it waits for", "[server]") {
    PartitionFacts facts = leaderless();
    facts.strangers = {NodeId(3)};
    CHECK(judge(facts).why.ends_with("know it: start node 3"));
    facts.strangers.clear();
    facts.abstains = true;
    facts.unheard = {NodeId(2), NodeId(3)};
    CHECK(judge(facts).state == State::no_leader);
    CHECK(judge(facts).why.ends_with("start node 2, node 3 with the disk that it had"));
    facts.unheard.clear();
    facts.leader = NodeId(2);
    CHECK(judge(facts).state == State::repairing);
    CHECK(judge(facts).why.ends_with("abstains until a leader has brought it level"));
    facts.replicas = {NodeId(1)};
    CHECK(judge(facts).why.ends_with("delete the topic, or bring back the disk"));
}

TEST_CASE("times are told as people say them", "[server]") {
    CHECK(in_words(-1s) == "0 ms");
    CHECK(in_words(999ms) == "999 ms");
    CHECK(in_words(119s) == "119 s");
    CHECK(in_words(2min) == "2 min");
    CHECK(in_words(2h) == "2 h");
    CHECK(in_words(50h) == "2 d");
}
