// Hosts with everything below them, in a simulated world: what becomes of proposals, of groups and
// of streams between nodes. The rules of Raft itself are tested without any of this.
#include "raft/test_hosts.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::raft;
using namespace pyralog::raft::host_test;

// ---- Proposals ----

TEST_CASE("a host without peers elects itself and settles what is proposed", "[raft]") {
    Hosts hosts(1);
    hosts.start_all();
    const NodeId node = hosts.leader();
    CHECK(hosts.host(node).leader_of(group_one) == node);
    CHECK(hosts.host(node).term_of(group_one) == hosts.group(node).term());
    CHECK(hosts.produce(node, "a").value() == Offset(0));
    CHECK(hosts.produce(node, "b").value() == Offset(1));
    CHECK(hosts.values(node) == Strings{"a", "b"});
}

TEST_CASE("a proposal is settled only when it is durable", "[raft]") {
    Hosts hosts(1);
    hosts.start_all();
    const NodeId node = hosts.leader();
    sim::Faults slow;
    slow.sync_time = {20ms, 30ms};
    hosts.world.set_faults(slow);
    const Duration began = hosts.world.now();
    const auto answer = hosts.on(node, [](Environment&, Host& host) -> Result<Offset> {
        const GroupRef group = host.find(group_one);
        const Group::Proposal proposal = TRY(group->propose(batch_of("a")));
        if (group->consensus().durable_end() >= proposal.place.end) return Error::malformed;
        TRY(group->settle(proposal));
        if (group->consensus().durable_end() < proposal.place.end) return Error::malformed;
        return group->committed().offset;
    });
    CHECK(answer.value() == Offset(1));
    CHECK(hosts.world.now() - began >= 20ms);
    sim::Faults harsh;
    harsh.cut_keeps_all = harsh.cut_by_unit = 0;
    hosts.world.set_faults(harsh);
    hosts.world.cut_power(node);
    hosts.start(node);
    hosts.leader();
    CHECK(hosts.values(node) == Strings{"a"});
}

TEST_CASE("a proposal is settled with one of three nodes down", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId leader = hosts.leader();
    const std::vector<NodeId> others = hosts.all_but(leader);
    hosts.world.kill(others[0]);
    CHECK(hosts.produce(leader, "a").value() == Offset(0));
    // The one that is left has it, once it has heard that it is committed.
    CHECK(hosts.until([&] { return hosts.group(others[1]).committed().offset == Offset(1); }));
    CHECK(hosts.values(others[1]) == Strings{"a"});
}

TEST_CASE("a proposal is not settled with two of three nodes down", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId leader = hosts.leader();
    for (const NodeId node : hosts.all_but(leader)) hosts.world.kill(node);
    SECTION("whoever waits for less than an election hears nothing") {
        const auto answer = hosts.on(leader, [](Environment& env, Host& host) {
            return produce(env, host, "a", group_one, 200ms);
        });
        CHECK(answer.error() == Error::timed_out);
    }
    SECTION("whoever waits for longer hears that nobody knows, for the leader steps down") {
        CHECK(hosts.produce(leader, "a").error() == Error::unavailable);
        CHECK(!hosts.group(leader).leads());
        CHECK(hosts.produce(leader, "b").error() == Error::not_leader);
    }
    SECTION("whoever is content with this disk is served") {
        const auto answer = hosts.on(leader, [](Environment&, Host& host) -> Result<Offset> {
            const GroupRef group = host.find(group_one);
            const Group::Proposal proposal = TRY(group->propose(batch_of("a")));
            TRY(group->settle_here(proposal));
            return group->consensus().durable_end().offset;
        });
        CHECK(answer.value() == Offset(1));
        CHECK(hosts.group(leader).committed().offset == Offset(0));
    }
    SECTION("it is settled all the same when one of them comes back in time") {
        const auto& answer = hosts.begin(
            leader, [](Environment& env, Host& host) { return produce(env, host, "a"); });
        hosts.world.run_for(100ms);
        CHECK(!answer);
        hosts.start(hosts.all_but(leader).front());
        CHECK(hosts.until([&] { return answer.has_value(); }));
        CHECK(answer->value() == Offset(0));
    }
}

TEST_CASE("a follower takes no proposals", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId leader = hosts.leader();
    for (const NodeId node : hosts.all_but(leader))
        CHECK(hosts.produce(node, "a").error() == Error::not_leader);
}

TEST_CASE("a leader takes no more proposals than may be uncommitted", "[raft]") {
    Hosts hosts(3);
    hosts.raft.uncommitted_entries_max = 8;
    hosts.start_all();
    const NodeId leader = hosts.leader();
    for (const NodeId node : hosts.all_but(leader)) hosts.world.kill(node);
    const auto answer = hosts.on(leader, [](Environment&, Host& host) -> Result<Offset> {
        const GroupRef group = host.find(group_one);
        for (int i = 0; i < 8; ++i) (void)TRY(group->propose(batch_of("a")));
        const auto ninth = group->propose(batch_of("a"));
        return ninth.ok() ? Error::malformed : ninth.error();
    });
    CHECK(answer.error() == Error::unavailable);
}

TEST_CASE("a deposed leader's proposal that was cut is told to be lost", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId old_leader = hosts.leader();
    hosts.world.network().isolate(old_leader, hosts.all_but(old_leader));
    Group::Proposal lost;
    CHECK(hosts
              .on(old_leader,
                  [&](Environment&, Host& host) -> Result<Offset> {
                      lost = TRY(host.find(group_one)->propose(batch_of("lost")));
                      return lost.place.first.offset;
                  })
              .ok());
    const NodeId new_leader = hosts.leader({old_leader});
    CHECK(hosts.produce(new_leader, "kept").ok());
    hosts.world.network().heal_all();
    CHECK(hosts.until([&] { return hosts.group(old_leader).committed().offset == Offset(1); }));
    const auto answer = hosts.on(old_leader, [&](Environment&, Host& host) -> Result<Offset> {
        TRY(host.find(group_one)->settle(lost));
        return Offset();
    });
    CHECK(answer.error() == Error::not_leader);
    CHECK(hosts.values(old_leader) == Strings{"kept"});
}

// ---- Reading ----

TEST_CASE("a read barrier answers with an end that holds all that was settled", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId leader = hosts.leader();
    CHECK(hosts.produce(leader, "a").ok());
    const auto barrier = [](Environment& env, Host& host) {
        const Deadline deadline(env.fibers, env.clock.now() + 10s);
        return host.find(group_one)->read_barrier();
    };
    CHECK(hosts.on(leader, barrier).value() == Offset(1));
    for (const NodeId node : hosts.all_but(leader))
        CHECK(hosts.on(node, barrier).error() == Error::not_leader);
    // Whoever cannot ask the others does not answer with what may be old.
    hosts.world.network().isolate(leader, hosts.all_but(leader));
    CHECK(hosts.on(leader, barrier).error() == Error::not_leader);
}

TEST_CASE("a wait for more ends when more is committed, on a follower too", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId leader = hosts.leader();
    const NodeId follower = hosts.all_but(leader).front();
    const auto wait = [](Environment&, Host& host) {
        const GroupRef group = host.find(group_one);
        return group->wait_committed(Offset(0));
    };
    const auto& there = hosts.begin(follower, wait);
    const auto& here = hosts.begin(leader, wait);
    hosts.world.run_for(500ms);
    CHECK(!there);
    CHECK(!here);
    CHECK(hosts.produce(leader, "a").ok());
    CHECK(hosts.until([&] { return there && here; }));
    CHECK(there->value() == Offset(1));
    CHECK(here->value() == Offset(1));
}

// ---- Logs that lose their beginning ----

TEST_CASE("what a leader trims is gone on all replicas, for good", "[raft]") {
    Hosts hosts(3);
    hosts.log.segment_bytes = 64_KiB;
    hosts.log.segment_flush_bytes = 4_KiB;
    hosts.start_all();
    const NodeId leader = hosts.leader();
    Strings expected;
    for (int i = 0; i < 60; ++i) {
        expected.push_back(std::to_string(i) + std::string(3000, 'x'));
        REQUIRE(hosts.produce(leader, expected.back()).ok());
    }
    const auto start_of = [&](NodeId node) { return hosts.group(node).log().log_start(); };
    CHECK(hosts.on(hosts.all_but(leader).front(), trim_at(5)).error() == Error::not_leader);
    CHECK(hosts.on(leader, trim_at(61)).error() == Error::malformed);
    CHECK(hosts.on(leader, trim_at(40)).value() == Offset(40));
    CHECK(start_of(leader).offset == Offset(40));
    CHECK(hosts.on(leader, trim_at(30)).value() == Offset(40)); // Gone already.
    const auto all_trimmed = [&] {
        return std::ranges::all_of(hosts.nodes, [&](NodeId node) {
            return hosts.up(node) && start_of(node) == start_of(leader) &&
                   hosts.group(node).consensus().start() == start_of(leader).first;
        });
    };
    CHECK(hosts.until(all_trimmed));
    expected.erase(expected.begin(), expected.begin() + 40);
    for (const NodeId node : hosts.nodes) CHECK(hosts.values(node) == expected);
    for (const NodeId node : hosts.nodes) {
        CHECK(hosts.until([&] {
            const auto segments = hosts.world.disk(node).list("groups/1");
            return segments && segments->front() > "00000000000000000020.seg";
        }));
        hosts.world.cut_power(node);
    }
    hosts.start_all();
    const NodeId next = hosts.leader();
    for (const NodeId node : hosts.nodes) {
        CHECK(start_of(node).offset == Offset(40));
        CHECK(hosts.until([&] { return hosts.group(node).committed().offset == Offset(60); }));
        CHECK(hosts.values(node) == expected);
    }
    // To the very end, and on from there.
    CHECK(hosts.on(next, trim_at(60)).value() == Offset(60));
    CHECK(hosts.produce(next, "more").value() == Offset(60));
    CHECK(hosts.until([&] { return start_of(leader).offset == Offset(60); }));
}

TEST_CASE("a follower that was down while its leader trimmed begins anew", "[raft]") {
    Hosts hosts(3);
    hosts.log.segment_bytes = 64_KiB;
    hosts.log.segment_flush_bytes = 4_KiB;
    hosts.start_all();
    const NodeId leader = hosts.leader();
    const NodeId late = hosts.all_but(leader).front();
    Strings expected;
    const auto produce_some = [&](int count) {
        for (int i = 0; i < count; ++i) {
            expected.push_back(std::to_string(expected.size()) + std::string(3000, 'x'));
            REQUIRE(hosts.produce(leader, expected.back()).ok());
        }
    };
    produce_some(30);
    CHECK(hosts.until([&] { return hosts.group(late).committed().offset == Offset(30); }));
    hosts.world.kill(late);
    produce_some(30);
    CHECK(hosts.on(leader, trim_at(50)).value() == Offset(50));
    produce_some(3);
    hosts.start(late);
    CHECK(hosts.until([&] {
        return hosts.up(late) && hosts.group(late).committed() == hosts.group(leader).committed();
    }));
    CHECK(hosts.group(late).log().log_start() == hosts.group(leader).log().log_start());
    expected.erase(expected.begin(), expected.begin() + 50);
    CHECK(hosts.values(late) == expected);
    CHECK(hosts.until([&] {
        const auto segments = hosts.world.disk(late).list("groups/1");
        return segments && (segments->empty() || segments->front() > "00000000000000000049.seg");
    }));
    // It is of use: it makes a majority, and comes back with what it has.
    const NodeId other = hosts.all_but(leader)[1];
    hosts.world.kill(other);
    produce_some(1);
    hosts.world.cut_power(late);
    hosts.start(late);
    CHECK(hosts.until([&] {
        return hosts.up(late) && hosts.group(late).committed() == hosts.group(leader).committed();
    }));
    expected.resize(14);
    CHECK(hosts.values(late).size() == expected.size());
}

// ---- What survives ----

TEST_CASE("a follower that was down for long catches up from segments", "[raft]") {
    Hosts hosts(3);
    hosts.journal = {.file_bytes = 64_KiB, .journal_bytes_max = 256_KiB, .round_bytes_max = 16_KiB};
    hosts.log = {.segment_bytes = 64_KiB,
                 .segment_flush_bytes = 4_KiB,
                 .cache_bytes = 4_KiB,
                 .node_cache_bytes = 16_KiB};
    hosts.start_all();
    const NodeId leader = hosts.leader();
    const NodeId late = hosts.all_but(leader).front();
    hosts.world.kill(late);
    constexpr int batches = 200;
    Strings expected;
    for (int i = 0; i < batches; ++i)
        expected.push_back(std::to_string(i) + std::string(3000, 'x'));
    const auto written = hosts.on(leader, [&](Environment& env, Host& host) -> Result<Offset> {
        for (const std::string& value : expected) {
            Result<Offset> done = produce(env, host, value);
            while (!done.ok() && done.error() == Error::unavailable) { // The journal is full.
                TRY(env.fibers.sleep_until(env.clock.now() + 10ms));
                done = produce(env, host, value);
            }
            TRY(std::move(done));
        }
        return host.find(group_one)->committed().offset;
    });
    CHECK(written.value() == Offset(batches));
    CHECK(hosts.group(leader).log().tail({}, 1).empty()); // Not in memory any more.
    hosts.start(late);
    CHECK(hosts.until([&] {
        return hosts.up(late) &&
               hosts.group(late).committed().offset == hosts.group(leader).committed().offset;
    }));
    CHECK(hosts.values(late) == expected);
}

// Seen first in whole clusters. Each start begins a journal file, and what no leader confirms holds
// them all; a batch of more than half a file is not carried over. The replica refused the appends
// of its new leader for want of room, though these would have overruled what took the room.
TEST_CASE("a journal full of what was overruled is emptied by what overrules it", "[raft]") {
    Hosts hosts(3);
    hosts.journal = {.file_bytes = 64_KiB, .journal_bytes_max = 256_KiB, .round_bytes_max = 64_KiB};
    hosts.start_all();
    const NodeId old_leader = hosts.leader();
    const std::vector<NodeId> others = hosts.all_but(old_leader);
    CHECK(hosts.produce(old_leader, "settled").ok());
    hosts.world.network().isolate(old_leader, others);
    for (int i = 0; i < 2; ++i)
        hosts.begin(old_leader, [](Environment& env, Host& host) {
            return produce(env, host, std::string(50'000, 'x'));
        });
    const NodeId leader = hosts.leader({old_leader});
    CHECK(hosts.produce(leader, "overrules").ok());
    for (int life = 0; life < 20; ++life) {
        hosts.world.kill(old_leader);
        hosts.start(old_leader);
        REQUIRE(hosts.until([&] { return hosts.up(old_leader); }));
    }
    CHECK(hosts.host(old_leader).is_full());
    hosts.world.network().heal_all();
    CHECK(hosts.until([&] {
        return hosts.group(old_leader).committed().offset == Offset(2) &&
               !hosts.host(old_leader).is_full();
    }));
    CHECK(hosts.values(old_leader) == Strings{"settled", "overrules"});
}

// Seen first in whole clusters: two of three nodes were gone for good, and the third, whose journal
// their group's last entries held, stored nothing for its other groups any more.
TEST_CASE("entries that can never commit do not hold the journal of other groups", "[raft]") {
    Hosts hosts(3);
    hosts.journal = {.file_bytes = 64_KiB, .journal_bytes_max = 256_KiB, .round_bytes_max = 64_KiB};
    hosts.start_all();
    const NodeId node = hosts.leader();
    for (const NodeId other : hosts.all_but(node)) hosts.world.kill(other);
    for (int i = 0; i < 2; ++i)
        hosts.begin(node, [](Environment& env, Host& host) {
            return produce(env, host, std::string(50'000, 'x'));
        });
    hosts.world.run_for(1s);
    hosts.groups.push_back({group_two, {{node}, {}, {}}});
    for (int life = 0; life < 20; ++life) {
        hosts.world.kill(node);
        hosts.start(node);
        REQUIRE(hosts.until([&] { return hosts.up(node); }));
    }
    CHECK(hosts.host(node).is_full());
    CHECK(hosts.leader({}, group_two) == node);
    CHECK(hosts.until([&] { return !hosts.host(node).is_full(); }));
    CHECK(hosts.produce(node, "goes on", group_two).ok());
}

TEST_CASE("what was settled survives a power cut of all nodes at that moment", "[raft]") {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        INFO("seed " << seed);
        Hosts hosts(3, seed);
        sim::Faults harsh;
        if (seed % 2 == 0) harsh.cut_keeps_all = harsh.cut_by_unit = 0;
        hosts.world.set_faults(harsh);
        hosts.start_all();
        NodeId leader = hosts.leader();
        Strings expected;
        for (int round = 0; round < 3; ++round) {
            expected.push_back("round " + std::to_string(round));
            const auto produced = hosts.produce(leader, expected.back());
            hosts.world.cut_power(hosts.nodes);
            CHECK(produced.ok());
            hosts.start_all();
            leader = hosts.leader();
            CHECK(hosts.values(leader) == expected);
        }
    }
}

TEST_CASE("heartbeats of all groups that a node leads leave together", "[raft]") {
    Hosts hosts(3);
    for (int id = 2; id <= 8; ++id) hosts.groups.push_back(hosts.member_of(GroupId(id)));
    hosts.start_all();
    for (const Host::Member& member : hosts.groups) (void)hosts.leader({}, member.group);
    hosts.world.run_for(3s); // Until nobody stands any more.
    constexpr Duration time = 6s;
    std::int64_t packets = 0, leaders = 0;
    for (const NodeId node : hosts.nodes) {
        packets -= metric(hosts.world.environment(node), "pyralog_peer_sent_packets_total");
        const auto leads = [](const auto& group) { return group.second->leads(); };
        leaders += std::ranges::any_of(hosts.host(node).groups(), leads) ? 1 : 0;
    }
    hosts.world.run_for(time);
    for (const NodeId node : hosts.nodes)
        packets += metric(hosts.world.environment(node), "pyralog_peer_sent_packets_total");
    // One to each peer, and one back; eight times as many if each group had its own.
    const std::int64_t rounds = time / hosts.raft.heartbeat_interval + 1;
    // And the six streams for entries, over which nothing goes, say that they live.
    const std::int64_t alive = 6 * (time / hosts.peer.keepalive_interval + 1);
    CHECK(leaders >= 1);
    CHECK(packets <= leaders * rounds * 4 + alive);
    CHECK(packets >= leaders * (rounds - 2) * 4);
}

// Seen first in whole clusters: heartbeats need no disk, so the followers stayed with a leader that
// could neither store nor read.
TEST_CASE("a leader whose disk hangs makes way for another, and stands again later", "[raft]") {
    Hosts hosts(3);
    hosts.groups.push_back(hosts.member_of(group_two));
    hosts.start_all();
    const NodeId stuck = hosts.leader();
    REQUIRE(hosts.produce(stuck, "a").ok());
    const Duration hung = hosts.world.now();
    hosts.world.disk(stuck).hang_until(hung + 60s);
    (void)hosts.begin(stuck, [](Environment& env, Host& host) -> Result<Offset> {
        return produce(env, host, "b", group_one, 30s);
    });
    const std::vector<NodeId> others = hosts.all_but(stuck);
    const auto another = [&](GroupId id) {
        return std::ranges::find_if(others,
                                    [&](NodeId node) { return hosts.group(node, id).serves(); });
    };
    // Of every group, also of one to which nobody writes.
    REQUIRE(hosts.until(
        [&] { return another(group_one) != others.end() && another(group_two) != others.end(); }));
    CHECK(!hosts.group(stuck).leads());
    CHECK(!hosts.group(stuck, group_two).leads());
    CHECK(hosts.world.now() - hung < 30s);
    const NodeId leader = *another(group_one);
    CHECK(hosts.produce(leader, "c").ok());
    // It does not stand, and its term disturbs nobody.
    const Term term = hosts.group(leader).term();
    hosts.world.run_for(20s);
    CHECK(hosts.group(leader).leads());
    CHECK(hosts.group(leader).term() == term);
    hosts.world.run_for(60s);
    hosts.world.kill(leader);
    std::vector<NodeId> rest = hosts.all_but(leader);
    REQUIRE(hosts.until([&] {
        return std::ranges::any_of(rest, [&](NodeId node) { return hosts.group(node).serves(); });
    }));
    CHECK(hosts.values(stuck).back() == "c");
}

// Seen first in whole clusters: nobody wrote, because clients could not reach it.
TEST_CASE("a leader to whom nobody writes notices that its disk hangs, too", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId stuck = hosts.leader();
    REQUIRE(hosts.produce(stuck, "a").ok());
    hosts.world.run_for(10s);
    CHECK(hosts.group(stuck).leads());
    hosts.world.disk(stuck).hang_until(hosts.world.now() + 60s);
    const Duration hung = hosts.world.now();
    const NodeId other = hosts.leader({stuck});
    CHECK(hosts.world.now() - hung < 10 * hosts.raft.election_timeout);
    CHECK(!hosts.group(stuck).leads());
    CHECK(hosts.produce(other, "b").ok());
}

// Seed 920168: each barrier tells all followers who leads, so no heartbeat was ever due, and nobody
// looked at the disk.
TEST_CASE("a leader that is asked all the time notices that its disk hangs, too", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId stuck = hosts.leader();
    REQUIRE(hosts.produce(stuck, "a").ok());
    const Duration often = hosts.raft.heartbeat_interval / 3;
    (void)hosts.begin(stuck, [often](Environment& env, Host& host) -> Result<Offset> {
        for (;;) {
            TRY(host.find(group_one)->read_barrier());
            TRY(env.fibers.sleep_until(env.clock.now() + often));
        }
    });
    hosts.world.run_for(1s);
    (void)hosts.begin(stuck, [](Environment& env, Host& host) -> Result<Offset> {
        return produce(env, host, "b", group_one, 30s);
    });
    hosts.world.disk(stuck).hang_until(hosts.world.now() + 60s);
    const Duration hung = hosts.world.now();
    const NodeId other = hosts.leader({stuck});
    CHECK(hosts.world.now() - hung < 10 * hosts.raft.election_timeout);
    CHECK(!hosts.group(stuck).leads());
    CHECK(hosts.produce(other, "c").ok());
}

namespace {

// Three hosts, the leader of which can no longer read what it has committed.
struct Damaged {
    Damaged() : hosts(3) {
        hosts.log.cache_bytes = 0;
        hosts.log.segment_flush_bytes = 1_KiB;
        hosts.start_all();
        leader = hosts.leader();
        CHECK(hosts.produce(leader, std::string(4000, 'a')).ok());
        CHECK(hosts.until([&] {
            const Log& log = hosts.group(leader).log();
            return log.segments_end() == log.committed() && log.end() == log.committed();
        }));
        const std::string directory = "groups/" + std::to_string(group_one.value);
        const auto names = hosts.world.disk(leader).list(directory);
        const std::string path = directory + '/' + names->front();
        const std::size_t size = hosts.world.disk(leader).content(path)->size();
        CHECK(hosts.world.disk(leader).rot(path, size - 1000, std::byte{1}));
    }

    Error read() {
        return hosts
            .on(leader,
                [](Environment&, Host& host) -> Result<Offset> {
                    (void)TRY(host.find(group_one)->read(Offset(0), 1_MiB));
                    return Offset(0);
                })
            .error();
    }

    Hosts hosts;
    NodeId leader;
};

} // namespace

// Seen first in whole clusters: a leader answered each fetch that what it has is damaged, for ever.
TEST_CASE("a leader that cannot read its log makes way for another", "[raft]") {
    Damaged damaged;
    Hosts& hosts = damaged.hosts;
    sim::Faults failing; // Of what is merely damaged there is more elsewhere: see repair_test.cc.
    failing.read_error = sim::always;
    hosts.world.set_faults(failing);
    CHECK(damaged.read() == Error::device_failed);
    hosts.world.set_faults({});
    const NodeId other = hosts.leader({damaged.leader});
    CHECK(!hosts.group(damaged.leader).leads());
    CHECK(hosts.values(other).size() == 1);
    CHECK(hosts.produce(other, "b").ok());
}

TEST_CASE("a replica that cannot read its log leads when no other one can", "[raft]") {
    Damaged damaged;
    Hosts& hosts = damaged.hosts;
    const std::vector<NodeId> others = hosts.all_but(damaged.leader);
    hosts.world.kill(others[0]);
    hosts.world.network().isolate(damaged.leader, others);
    // This one is ahead of the only other one from now on.
    (void)hosts.begin(damaged.leader, [](Environment& env, Host& host) {
        return produce(env, host, "b", group_one, 1s);
    });
    hosts.world.run_for(100ms);
    CHECK(damaged.read() == Error::corrupt);
    REQUIRE(hosts.until([&] { return !hosts.group(damaged.leader).leads(); }));
    hosts.world.network().reset_streams(damaged.leader, others[1]); // With what is on its way.
    hosts.world.network().heal_all();
    const Duration healed = hosts.world.now();
    CHECK((hosts.leader() == damaged.leader));
    CHECK(hosts.world.now() - healed < 10 * hosts.raft.election_timeout);
}

TEST_CASE("a lone replica leads on when its disk hangs", "[raft]") {
    Hosts hosts(1);
    hosts.start_all();
    const NodeId node = hosts.leader();
    hosts.world.disk(node).hang_until(hosts.world.now() + 20s);
    const auto stored = hosts.on(
        node, [](Environment& env, Host& host) { return produce(env, host, "a", group_one, 60s); });
    CHECK(stored.value() == Offset(0));
    CHECK(hosts.group(node).leads());
}

TEST_CASE("a host ends with the error of its disk", "[raft]") {
    Hosts hosts(1);
    hosts.start_all();
    const NodeId node = hosts.leader();
    sim::Faults broken;
    broken.sync_error = broken.write_error = sim::always;
    hosts.world.set_faults(broken);
    CHECK(!hosts.produce(node, "a").ok());
    CHECK(hosts.until([&] { return !hosts.world.running(node); }));
    CHECK(hosts.world.exit_status(node)->error() == Error::device_failed);
}

// ---- Groups that come and go ----

TEST_CASE("a group that is removed waits for those who use it, and tells those who wait",
          "[raft]") {
    Hosts hosts(1);
    hosts.log.segment_flush_bytes = 4_KiB;
    hosts.start_all();
    const NodeId node = hosts.leader();
    for (int i = 0; i < 4; ++i) CHECK(hosts.produce(node, std::string(4000, 'x')).ok());
    CHECK(hosts.until([&] { return hosts.group(node).log().segments_end().index > 0; }));
    const auto& user = hosts.begin(node, [](Environment& env, Host& host) -> Result<Offset> {
        const GroupRef group = host.find(group_one);
        TRY(env.fibers.sleep_until(env.clock.now() + 2s));
        return Offset(group->id().value); // Still there.
    });
    const auto& waiter = hosts.begin(node, [](Environment&, Host& host) {
        const GroupRef group = host.find(group_one);
        return group->wait_committed(Offset(100));
    });
    hosts.world.run_for(1s);
    const auto& removed = hosts.begin(node, [](Environment&, Host& host) -> Result<Offset> {
        TRY(host.remove(group_one));
        return Offset();
    });
    hosts.world.run_for(500ms);
    CHECK(waiter->error() == Error::not_found);
    CHECK(!user);
    CHECK(!removed);
    CHECK(hosts.produce(node, "a").error() == Error::not_found);
    CHECK(hosts.until([&] { return removed.has_value(); }));
    CHECK(removed->ok());
    CHECK(user->value() == Offset(1));
    CHECK(hosts.host(node).groups().empty());
    const auto left = hosts.on(node, [](Environment& env, Host&) -> Result<Offset> {
        return Offset(static_cast<std::int64_t>(TRY(Log::list(env)).size()));
    });
    CHECK(left.value() == Offset(0));
    // Removing it once more is no error.
    CHECK(hosts
              .on(node,
                  [](Environment&, Host& host) -> Result<Offset> {
                      TRY(host.remove(group_one));
                      return Offset();
                  })
              .ok());
}

TEST_CASE("a group is created once", "[raft]") {
    Hosts hosts(1);
    hosts.start_all();
    const NodeId node = hosts.leader();
    const auto create = [&](Environment&, Host& host) -> Result<Offset> {
        TRY(host.create(hosts.member_of(group_two), true));
        return Offset();
    };
    CHECK(hosts.on(node, create).ok());
    CHECK(hosts.on(node, create).error() == Error::already_exists);
    hosts.leader({}, group_two);
    CHECK(hosts.produce(node, "a", group_two).value() == Offset(0));
    CHECK(hosts.values(node).empty());
}

TEST_CASE("a group that a node is no longer told of is forgotten", "[raft]") {
    Hosts hosts(1);
    hosts.log.segment_flush_bytes = 4_KiB;
    hosts.groups = {hosts.member_of(group_one), hosts.member_of(group_two)};
    hosts.start_all();
    const NodeId node = hosts.leader({}, group_two);
    hosts.leader();
    const auto directories = [&] {
        return hosts
            .on(node,
                [](Environment& env, Host&) -> Result<Offset> {
                    return Offset(static_cast<std::int64_t>(TRY(Log::list(env)).size()));
                })
            .value();
    };
    CHECK(hosts.produce(node, "a", group_one).ok());
    for (int i = 0; i < 4; ++i) CHECK(hosts.produce(node, std::string(4000, 'x'), group_two).ok());
    CHECK(hosts.until([&] { return hosts.group(node, group_two).log().segments_end().index > 0; }));
    CHECK(directories() == Offset(1));
    hosts.groups.pop_back();
    hosts.world.kill(node);
    hosts.start(node);
    hosts.leader();
    CHECK(hosts.values(node) == Strings{"a"});
    CHECK(!hosts.host(node).find(group_two));
    CHECK(!hosts.host(node).leader_of(group_two));
    CHECK(directories() == Offset(0));
}

TEST_CASE("a group of which a node was never told is no deleted one, and refused", "[raft]") {
    Hosts hosts(1);
    hosts.groups = {hosts.member_of(group_one), hosts.member_of(group_two)};
    const bool in_segments = GENERATE(false, true);
    if (in_segments) hosts.log.segment_flush_bytes = 1_KiB;
    hosts.start_all();
    const NodeId node = hosts.leader({}, group_two);
    CHECK(hosts.produce(node, std::string(4000, 'x'), group_two).ok());
    const auto& moved = [&] { return hosts.group(node, group_two).log().segments_end().index > 0; };
    if (in_segments) CHECK(hosts.until(moved));
    hosts.groups.pop_back();
    hosts.untold = group_two;
    hosts.world.kill(node);
    hosts.start(node);
    CHECK(hosts.until([&] { return !hosts.world.running(node); }));
    CHECK(hosts.world.exit_status(node).value().error() == Error::corrupt);
}

TEST_CASE("a request for votes is kept for a group that is not there yet", "[raft]") {
    Hosts hosts(3);
    hosts.groups.clear();
    hosts.raft.election_timeout = 20s; // So that only the campaign can make a leader soon.
    hosts.start_all();
    hosts.world.run_for(1s);
    const auto create = [&](bool campaign) {
        return [&, campaign](Environment&, Host& host) -> Result<Offset> {
            TRY(host.create(hosts.member_of(group_one), campaign));
            return Offset();
        };
    };
    CHECK(hosts.on(NodeId(1), create(true)).ok());
    hosts.world.run_for(1s);
    CHECK(!hosts.group(NodeId(1)).leads());
    CHECK(hosts.on(NodeId(2), create(false)).ok());
    CHECK(hosts.until([&] { return hosts.group(NodeId(1)).serves(); }, 5s));
    CHECK(hosts.produce(NodeId(1), "a").ok());
}

TEST_CASE("nodes without a replica hear who leads, also when they come later", "[raft]") {
    Hosts hosts(3);
    hosts.groups.clear(); // Of node 3, which the others have to meet first.
    hosts.start(NodeId(3));
    hosts.groups = {{group_one, {{NodeId(1), NodeId(2)}, {}, {}}}};
    hosts.start(NodeId(1));
    hosts.start(NodeId(2));
    const NodeId leader = hosts.leader();
    hosts.world.kill(NodeId(3));
    hosts.groups.clear();
    const auto heard = [&] {
        return hosts.up(NodeId(3)) && hosts.host(NodeId(3)).leader_of(group_one) == leader;
    };
    hosts.start(NodeId(3));
    CHECK(hosts.until(heard));
    CHECK(hosts.host(NodeId(3)).term_of(group_one) == hosts.group(leader).term());
    hosts.world.kill(NodeId(3));
    hosts.start(NodeId(3));
    CHECK(hosts.until(heard));
}

// Seed 54950: it was said once, and a transaction hung where that was not heard.
TEST_CASE("who leads is said again if there was no room to say it", "[raft]") {
    Hosts hosts(3);
    const NodeId away{3};
    hosts.groups.clear();
    hosts.start(away);
    hosts.groups = {{group_one, {{NodeId(1), NodeId(2)}, {}, {}}}};
    hosts.start(NodeId(1));
    hosts.start(NodeId(2));
    const NodeId first = hosts.leader();
    const NodeId second = first == NodeId(1) ? NodeId(2) : NodeId(1);
    hosts.world.kill(away);
    hosts.groups.clear();
    hosts.start(away);
    const auto heard_of = [&](NodeId leader) {
        return hosts.up(away) && hosts.host(away).leader_of(group_one) == leader;
    };
    REQUIRE(hosts.until([&] { return heard_of(first); }));
    // It takes nothing for a moment, and what is for it is more than there is room for.
    hosts.world.pause(away, hosts.world.now() + 500ms);
    const Bytes much = Bytes::copy_of(std::string(1_MiB, 'x'));
    const auto fill = [&] {
        while (
            hosts.host(second).transport().send(away, {GroupId(-9), wire::Forward{1, much}, {}})) {
        }
    };
    hosts.host(first).find(group_one)->hand_over(second);
    REQUIRE(hosts.until([&] {
        fill();
        return hosts.group(second).leads();
    }));
    CHECK(hosts.until([&] { return heard_of(second); }));
}

// ---- Streams between nodes ----

namespace {

constexpr NodeId stranger{100};

wire::Hello hello_of(NodeId node, std::string cluster = "test") {
    wire::Hello hello;
    hello.cluster = std::move(cluster);
    hello.node = node;
    return hello;
}

wire::Hello known_hello(Hosts& hosts, NodeId node) {
    wire::Hello hello = hello_of(node);
    hosts.host(node).disks().introduce(hello, node);
    return hello;
}

Bytes packet_of(GroupId group) {
    wire::Packet packet;
    packet.messages.push_back({group, wire::Leadership{Term(1), true}, {}});
    return joined(wire::to_peer(packet));
}

// What a node does that somebody calls who says this, and then listens.
struct Treatment {
    bool closed = false; // Within `listened`.
    Duration after{0};   // When it was.
    std::size_t bytes = 0;
};
// `then` is said once it has answered: whatever is said to a node that closes may destroy its
// answer on the way.
Treatment call(Hosts& hosts, NodeId node, BytesChain said, BytesChain then = {}) {
    constexpr Duration listened = 10s;
    Treatment treatment;
    const Result<> called = hosts.world.run_to_end(stranger, [&](Environment& env) -> Result<> {
        const auto stream = TRY(env.network.connect(address_of(node)));
        const Time began = env.clock.now();
        const Deadline deadline(env.fibers, began + listened);
        TRY(stream->write(said));
        std::array<std::byte, 256> heard{};
        for (;;) {
            const Result<std::size_t> some = stream->read_some(heard);
            if (!some.ok() && some.error() == Error::timed_out) return {};
            treatment.after = env.clock.now() - began;
            treatment.closed = !some.ok() || some.value() == 0;
            if (treatment.closed) return {};
            treatment.bytes += some.value();
            if (!then.empty()) TRY(stream->write(std::exchange(then, {})));
        }
    });
    CHECK(called.ok());
    return treatment;
}

// Two transports, or one and whatever the test makes of the other node.
class Transports {
public:
    void start(NodeId self, NodeId other,
               const std::function<void(Environment&, Transport&)>& body) {
        world.boot(self, sim::World::Main([this, self, other, body](Environment& env) -> Result<> {
                       Transport transport(env, config, hello_of(self),
                                           {{other, address_of(other)}});
                       transport.on_receive([this](NodeId, const wire::PeerMessage& message) {
                           received.push_back(std::get<wire::Forward>(message.body).id);
                       });
                       auto listener = TRY(env.network.listen(address_of(self)));
                       Scope scope(env.fibers);
                       scope.spawn("transport", [&] { (void)transport.run(std::move(listener)); });
                       body(env, transport);
                       return {};
                   }));
    }
    // A node that says hello on two streams and reads nothing after that.
    void start_deaf(NodeId self) {
        world.boot(self, sim::World::Main([self](Environment& env) -> Result<> {
                       auto listener = TRY(env.network.listen(address_of(self)));
                       std::vector<std::unique_ptr<Stream>> streams;
                       for (int i = 0; i < 2; ++i) {
                           streams.push_back(TRY(listener->accept()));
                           TRY(streams.back()->write(wire::to_peer(hello_of(self))));
                       }
                       return env.fibers.sleep_until(env.clock.now() + 1h);
                   }));
    }
    static void wait_connected(Environment& env, Transport& transport, NodeId other) {
        while (!transport.connected(other))
            if (!env.fibers.sleep_until(env.clock.now() + 10ms).ok()) return;
    }
    static wire::PeerMessage message(std::uint64_t id, std::size_t size) {
        return {group_one, wire::Forward{id, Bytes::copy_of(std::string(size, 'x'))}, {}};
    }

    TransportConfig config;
    std::vector<std::uint64_t> received;
    sim::World world{1};
};

} // namespace

TEST_CASE("a node of another cluster is refused", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    (void)hosts.leader();
    for (const NodeId node : hosts.nodes) hosts.world.kill(node);
    hosts.replace_disk(NodeId(3));
    hosts.clusters[NodeId(3)] = "other";
    hosts.start_all();
    const NodeId leader = hosts.leader({NodeId(3)});
    CHECK(hosts.produce(leader, "a").ok());
    hosts.world.run_for(10s);
    for (const NodeId node : {NodeId(1), NodeId(2)}) {
        CHECK(!hosts.host(node).transport().connected(NodeId(3)));
        CHECK(!hosts.host(NodeId(3)).transport().connected(node));
        CHECK(!hosts.host(node).transport().kafka_addresses().contains(NodeId(3)));
    }
    CHECK(hosts.group(NodeId(3)).committed() == Position());
}

TEST_CASE("a stream that begins with anything but a hello of a peer is closed", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId node = hosts.leader();
    const auto closed_at_once = [&](const BytesChain& said) {
        const Treatment treatment = call(hosts, node, said);
        return treatment.closed && treatment.bytes == 0 && treatment.after < 500ms;
    };
    wire::Hello newer = hello_of(NodeId(2));
    ++newer.version;
    wire::Hello long_winded = hello_of(NodeId(2));
    long_winded.kafka_host = std::string(5000, 'x');
    const auto refused = [&] {
        return metric(hosts.world.environment(node), "pyralog_peer_refused_streams_total");
    };
    const std::int64_t before = refused();
    CHECK(closed_at_once(wire::to_peer(hello_of(NodeId(2), "other"))));
    CHECK(closed_at_once(wire::to_peer(hello_of(NodeId(77)))));
    CHECK(closed_at_once(wire::to_peer(hello_of(node)))); // Ourselves.
    CHECK(closed_at_once(wire::to_peer(newer)));
    CHECK(closed_at_once(wire::to_peer(long_winded)));
    CHECK(closed_at_once({packet_of(group_one)}));
    CHECK(closed_at_once({Bytes::copy_of("GET / HTTP/1.1\r\nHost: node1\r\n\r\n")}));
    CHECK(closed_at_once({Bytes::copy_of(std::string(1000, '\xff'))}));
    CHECK(refused() == before + 8);
    CHECK(hosts.produce(node, "a").ok());
}

TEST_CASE("a stream from a peer is closed for what is no packet", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId node = hosts.leader();
    const Bytes hello = joined(wire::to_peer(known_hello(hosts, hosts.all_but(node).front())));
    const auto closed_at_once = [&](const Bytes& said) {
        const Treatment treatment = call(hosts, node, {hello}, {said});
        return treatment.closed && treatment.bytes > 0 && treatment.after < 500ms;
    };
    CHECK(!closed_at_once({}));
    CHECK(!closed_at_once(packet_of(group_two)));
    CHECK(closed_at_once(Bytes::copy_of(std::string(1000, '\xff'))));
    const Bytes good = packet_of(group_two);
    std::string bad(good.text());
    bad.back() = static_cast<char>(bad.back() ^ 1);
    CHECK(closed_at_once(Bytes::copy_of(bad)));
    bad = good.text();
    bad[5] = static_cast<char>(bad[5] ^ 1); // Its size.
    CHECK(closed_at_once(Bytes::copy_of(bad)));
    CHECK(hosts.produce(node, "a").ok());
}

TEST_CASE("a stream from a peer on which nothing comes is closed", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId node = hosts.leader();
    const Treatment silent = call(hosts, node, {});
    CHECK(silent.closed);
    CHECK(silent.after >= hosts.peer.connect_timeout);
    CHECK(silent.after < hosts.peer.silence_max);
    const Treatment greeted =
        call(hosts, node, wire::to_peer(known_hello(hosts, hosts.all_but(node).front())));
    CHECK(greeted.closed);
    CHECK(greeted.bytes > 0);
    CHECK(greeted.after >= hosts.peer.silence_max);
}

TEST_CASE("there are never more streams from peers than a few for each", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId node = hosts.leader();
    constexpr int calls = 50;
    constexpr int kept_max = 24;
    int closed = 0;
    hosts.world.boot(stranger, [&](Environment& env) {
        Scope scope(env.fibers);
        for (int i = 0; i < calls; ++i)
            scope.spawn("call", [&] {
                const Deadline deadline(env.fibers, env.clock.now() + 1s);
                const auto stream = env.network.connect(address_of(node));
                std::byte byte{};
                if (!stream.ok()) return;
                const auto read = stream.value()->read_some({&byte, 1});
                if (read.ok() || read.error() != Error::timed_out) ++closed;
            });
        scope.join();
    });
    CHECK(hosts.until([&] { return !hosts.world.running(stranger); }));
    CHECK(closed >= calls - kept_max);
    CHECK(closed < calls);
    CHECK(hosts.produce(node, "a").ok());
}

TEST_CASE("messages arrive in their order, in packets of a bounded size", "[raft]") {
    Transports transports;
    transports.config.packet_bytes_max = 64_KiB;
    constexpr std::uint64_t count = 100;
    std::int64_t packets = 0;
    std::int64_t silent_for = 0;
    transports.start(NodeId(2), NodeId(1), [](Environment& env, Transport&) {
        (void)env.fibers.sleep_until(env.clock.now() + 1h); // Until the test is over.
    });
    transports.start(NodeId(1), NodeId(2), [&](Environment& env, Transport& transport) {
        Transports::wait_connected(env, transport, NodeId(2));
        for (std::uint64_t id = 0; id < count; ++id)
            transport.send(NodeId(2), Transports::message(id, 10'000));
        (void)env.fibers.sleep_until(env.clock.now() + 500ms);
        packets = metric(env, "pyralog_peer_sent_packets_total");
        // A stream lives though nobody has anything to say.
        (void)env.fibers.sleep_until(env.clock.now() + 20s);
        silent_for = transport.connected(NodeId(2)) ? 20 : 0;
    });
    CHECK(transports.world.run_until(30s, [&] { return silent_for > 0; }));
    std::vector<std::uint64_t> expected(count);
    for (std::uint64_t id = 0; id < count; ++id) expected[id] = id;
    CHECK(transports.received == expected);
    CHECK(packets >= 17);
    CHECK(packets <= 20);
}

TEST_CASE("what does not fit into the queue to a peer is dropped", "[raft]") {
    Transports transports;
    transports.config.queue_bytes_max = 1_MiB;
    transports.config.packet_bytes_max = 64_KiB;
    std::int64_t dropped = 0;
    bool connected_later = true;
    transports.start_deaf(NodeId(2));
    transports.start(NodeId(1), NodeId(2), [&](Environment& env, Transport& transport) {
        Transports::wait_connected(env, transport, NodeId(2));
        for (int i = 0; i < 100; ++i) transport.send(NodeId(2), Transports::message(1, 64_KiB));
        dropped = metric(env, "pyralog_peer_dropped_messages_total");
        // A peer that takes nothing is given up.
        const Duration patience_of_peer = transports.config.silence_max + 1s;
        (void)env.fibers.sleep_until(env.clock.now() + patience_of_peer);
        connected_later = transport.connected(NodeId(2));
    });
    CHECK(transports.world.run_until(30s, [&] { return !connected_later; }));
    CHECK(dropped == 84);
}

TEST_CASE("what is for a node without a stream is dropped", "[raft]") {
    Transports transports;
    std::int64_t dropped = 0;
    transports.start(NodeId(1), NodeId(2), [&](Environment& env, Transport& transport) {
        transport.send(NodeId(2), Transports::message(1, 10));
        transport.send(NodeId(9), Transports::message(2, 10));
        dropped = metric(env, "pyralog_peer_dropped_messages_total");
        (void)env.fibers.sleep_until(env.clock.now() + 2s);
    });
    transports.start(NodeId(2), NodeId(1), [](Environment& env, Transport&) {
        (void)env.fibers.sleep_until(env.clock.now() + 2s);
    });
    transports.world.run_until(3s);
    CHECK(dropped == 2);
    CHECK(transports.received.empty());
}

TEST_CASE("another node at the address of a peer is not taken for it", "[raft]") {
    Transports transports;
    bool connected = false;
    transports.start(NodeId(1), NodeId(2), [&](Environment& env, Transport& transport) {
        (void)env.fibers.sleep_until(env.clock.now() + 3s);
        connected = transport.connected(NodeId(2));
    });
    transports.world.boot(NodeId(2), sim::World::Main([](Environment& env) -> Result<> {
                              auto listener = TRY(env.network.listen(address_of(NodeId(2))));
                              for (;;) {
                                  const auto stream = TRY(listener->accept());
                                  TRY(stream->write(wire::to_peer(hello_of(NodeId(3)))));
                                  TRY(env.fibers.sleep_until(env.clock.now() + 100ms));
                              }
                          }));
    transports.world.run_until(5s);
    CHECK(!connected);
}

TEST_CASE("a node with many groups opens several of them at once", "[raft]") {
    constexpr int groups = 64;
    constexpr Duration sync_time = 20ms;
    Hosts hosts(1);
    hosts.groups.clear();
    for (int i = 1; i <= groups; ++i) hosts.groups.push_back(hosts.member_of(GroupId(i)));
    hosts.log.open_segments_max = 1; // Fewer than are opened at once.
    hosts.log.segment_flush_bytes = 4_KiB;
    hosts.start_all();
    const NodeId node = hosts.leader({}, GroupId(groups));
    for (int i = 1; i <= groups; ++i)
        REQUIRE(hosts.produce(node, std::string(5'000, 'x'), GroupId(i)).ok());
    hosts.until([] { return false; }, 1s); // All of it moves to segments.
    hosts.world.kill(node);
    REQUIRE(hosts.world.disk(node).list("groups").value().size() == groups);

    sim::Faults slow;
    slow.sync_time = {sync_time, sync_time};
    hosts.world.set_faults(slow);
    const Duration began = hosts.world.now();
    hosts.start(node);
    REQUIRE(hosts.until([&] { return hosts.up(node); }));
    CHECK(hosts.world.now() - began < groups * sync_time / 4); // Each syncs its segment.
    CHECK(hosts.leader({}, GroupId(groups)) == node);
    CHECK(hosts.values(node, GroupId(groups)).size() == 1);
}
