// Idempotent producers and the replicas of a partition: who leads next, who was away, and whoever
// starts again knows what was stored.
#include "raft/test_hosts.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::raft;
using namespace pyralog::raft::host_test;
using Verdict = Sequencer::Verdict;

namespace {

wire::RecordBatch batch_from(std::int64_t id, std::int32_t sequence, std::size_t size = 3) {
    wire::RecordBatchBuilder builder;
    builder.from(id, 0, sequence).add({}, std::string(size, 'x'));
    return std::get<wire::RecordBatch>(wire::RecordBatch::parse(builder.build()));
}

// What becomes of it, and where it is, once it is committed; some time is needed to load.
struct Told {
    Verdict verdict = Verdict::append;
    std::int64_t offset = -1;
    bool operator==(const Told&) const = default;
};
Told send(Hosts& hosts, NodeId leader, std::int64_t id, std::int32_t sequence,
          std::size_t size = 3) {
    Told told;
    const auto done = hosts.on(leader, [&](Environment& env, Host& host) -> Result<Offset> {
        const GroupRef group = host.find(group_one);
        const Deadline deadline(env.fibers, env.clock.now() + 5s);
        for (;;) {
            const wire::RecordBatch batch = batch_from(id, sequence, size);
            const auto sequenced = group->propose_in_sequence(batch);
            if (!sequenced.ok() && sequenced.error() == Error::unavailable) {
                TRY(env.fibers.sleep_until(env.clock.now() + 10ms));
                continue;
            }
            const auto& [verdict, proposal, offset] = TRY(sequenced);
            told = {verdict, offset.value};
            if (verdict == Verdict::append) TRY(group->settle(proposal));
            if (verdict == Verdict::duplicate)
                TRY(group->settle_up_to(offset + 1, group->term()));
            return offset;
        }
    });
    CHECK(done.ok());
    return told;
}

Told appended(std::int64_t offset) { return {Verdict::append, offset}; }
Told known(std::int64_t offset) { return {Verdict::duplicate, offset}; }

Hosts::Body trim_in_time(std::int64_t offset) {
    return [offset](Environment& env, Host& host) {
        const Deadline deadline(env.fibers, env.clock.now() + 5s);
        return host.find(group_one)->trim(Offset(offset));
    };
}

// Moves quickly from the journal to segments, of which there are several.
void use_segments(Hosts& hosts) {
    hosts.log.segment_bytes = 64_KiB;
    hosts.log.segment_flush_bytes = 4_KiB;
    hosts.log.cache_bytes = 0;
}

bool all_in_segments(Hosts& hosts, NodeId node) {
    const Log& log = hosts.group(node).log();
    return log.segments_end().index + 3 >= log.end().index;
}

std::vector<wire::Producer> remembered(Hosts& hosts, NodeId node) {
    const Producers* const producers = hosts.group(node).producers();
    std::vector<wire::Producer> all;
    if (producers) all = producers->table({}).producers;
    for (wire::Producer& producer : all) producer.seen_ms = 0;
    return all;
}

void restart_all(Hosts& hosts) {
    for (const NodeId node : hosts.nodes) hosts.world.kill(node);
    hosts.start_all();
}

} // namespace

TEST_CASE("whoever leads next knows what was stored, and goes on with it", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId leader = hosts.leader();
    CHECK(send(hosts, leader, 7, 0) == appended(0));
    CHECK(send(hosts, leader, 7, 1) == appended(1));
    CHECK(send(hosts, leader, 7, 1) == known(1));
    CHECK(hosts.produce(leader, "of nobody").value() == Offset(2));
    hosts.world.kill(leader);
    const NodeId next = hosts.leader({leader});
    CHECK(send(hosts, next, 7, 1) == known(1));
    CHECK(send(hosts, next, 7, 3).verdict == Verdict::out_of_order);
    CHECK(send(hosts, next, 7, 2) == appended(3));
}

TEST_CASE("a repeated batch is answered only when the first one is committed", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId leader = hosts.leader();
    CHECK(send(hosts, leader, 7, 0) == appended(0));
    for (const NodeId other : hosts.all_but(leader)) hosts.world.kill(other);
    const auto twice = hosts.on(leader, [](Environment& env, Host& host) -> Result<Offset> {
        const GroupRef group = host.find(group_one);
        const auto first = TRY(group->propose_in_sequence(batch_from(7, 1)));
        const auto again = TRY(group->propose_in_sequence(batch_from(7, 1)));
        if (again.verdict != Verdict::duplicate || again.offset != first.offset)
            return Error::malformed;
        const Deadline deadline(env.fibers, env.clock.now() + 100ms);
        TRY(group->settle_up_to(again.offset + 1, group->term()));
        return again.offset;
    });
    CHECK(twice.error() == Error::timed_out);
    // The leader steps down, and nobody knows.
    const auto later = hosts.on(leader, [](Environment& env, Host& host) -> Result<Offset> {
        const GroupRef group = host.find(group_one);
        const Term term = group->term();
        const Deadline deadline(env.fibers, env.clock.now() + 20s);
        TRY(group->settle_up_to(Offset(2), term));
        return Offset(2);
    });
    CHECK(later.error() == Error::unavailable);
}

TEST_CASE("after a restart the log tells what its producers have sent", "[raft]") {
    Hosts hosts(3);
    use_segments(hosts);
    SECTION("all of it is read") {}
    SECTION("or only what came after it was stored") {
        hosts.raft.producers_snapshot_bytes = 8_KiB;
    }
    hosts.start_all();
    NodeId leader = hosts.leader();
    for (std::int32_t i = 0; i < 40; ++i)
        REQUIRE(send(hosts, leader, 7 + i % 2, i / 2, 3000) == appended(i));
    for (const NodeId node : hosts.nodes)
        REQUIRE(hosts.until([&] { return all_in_segments(hosts, node); }));
    const bool is_stored = hosts.world.facts(leader).durable().contains("producers/1");
    CHECK(is_stored == (hosts.raft.producers_snapshot_bytes == 8_KiB));
    const auto before = remembered(hosts, leader);
    REQUIRE(before.size() == 2);
    restart_all(hosts);
    leader = hosts.leader();
    CHECK(send(hosts, leader, 7, 18) == known(36));
    CHECK(remembered(hosts, leader) == before);
    CHECK(send(hosts, leader, 7, 21).verdict == Verdict::out_of_order);
    CHECK(send(hosts, leader, 8, 20) == appended(40));
    // A follower that sees it gets to know the others, too.
    for (const NodeId node : hosts.nodes)
        CHECK(hosts.until([&] { return remembered(hosts, node) == remembered(hosts, leader); }));
}

TEST_CASE("what is trimmed takes nothing away of what is known of those who sent it", "[raft]") {
    Hosts hosts(3);
    use_segments(hosts);
    hosts.start_all();
    NodeId leader = hosts.leader();
    const NodeId late = hosts.all_but(leader).front();
    for (std::int32_t i = 0; i < 20; ++i) REQUIRE(send(hosts, leader, 7, i, 3000) == appended(i));
    CHECK(hosts.until([&] { return hosts.group(late).committed().offset == Offset(20); }));
    hosts.world.kill(late);
    for (std::int32_t i = 20; i < 40; ++i) REQUIRE(send(hosts, leader, 7, i, 3000) == appended(i));
    CHECK(send(hosts, leader, 9, 0) == appended(40));
    CHECK(hosts.on(leader, trim_in_time(41)).value() == Offset(41));
    CHECK(send(hosts, leader, 9, 1) == appended(41));
    const auto expected = remembered(hosts, leader);
    REQUIRE(expected.size() == 2);
    // One that begins anew is told.
    hosts.start(late);
    CHECK(hosts.until([&] {
        return hosts.up(late) && hosts.group(late).committed() == hosts.group(leader).committed();
    }));
    CHECK(hosts.group(late).log().log_start().offset == Offset(41));
    const auto load = [](Environment& env, Host& host) -> Result<Offset> {
        const Deadline deadline(env.fibers, env.clock.now() + 5s);
        TRY(host.find(group_one)->load_producers());
        return Offset();
    };
    CHECK(hosts.on(late, load).ok());
    CHECK(remembered(hosts, late) == expected);
    // And so is whoever starts again, when the records are gone from all disks.
    restart_all(hosts);
    leader = hosts.leader();
    CHECK(send(hosts, leader, 7, 39) == known(39));
    CHECK(send(hosts, leader, 9, 0) == known(40));
    CHECK(send(hosts, leader, 9, 3).verdict == Verdict::out_of_order);
    CHECK(remembered(hosts, leader) == expected);
}

TEST_CASE("what says how far a log is compacted tells of those whose batches may go", "[raft]") {
    Hosts hosts(1);
    hosts.start_all();
    const NodeId leader = hosts.leader();
    REQUIRE(send(hosts, leader, 7, 0) == appended(0));
    REQUIRE(send(hosts, leader, 7, 1) == appended(1));
    const auto compact = [](Environment&, Host& host) -> Result<Offset> {
        const GroupRef group = host.find(group_one);
        const Position end = group->committed();
        TRY(group->agree({{end, Offset(0)}, Offset(0), 0}));
        const auto frames = TRY(group->log().read_frames(end, group->committed(), 1_KiB));
        const auto table = TRY(wire::producers_of_compaction(frames.at(0)));
        if (!table || table->as_of != end || table->producers.size() != 1) return Error::malformed;
        return Offset(table->producers[0].batches.back().last_sequence);
    };
    CHECK(hosts.on(leader, compact).value() == Offset(1));
    CHECK(send(hosts, leader, 7, 1) == known(1));
}

TEST_CASE("a replica that begins anew while it runs forgets what is no longer all", "[raft]") {
    Hosts hosts(3);
    use_segments(hosts);
    hosts.start_all();
    const NodeId leader = hosts.leader();
    const NodeId late = hosts.all_but(leader).front();
    REQUIRE(send(hosts, leader, 7, 0) == appended(0));
    REQUIRE(hosts.until([&] { return remembered(hosts, late).size() == 1; }));
    for (const NodeId other : hosts.all_but(late)) {
        hosts.world.network().block(other, late);
        hosts.world.network().block(late, other);
    }
    for (std::int32_t i = 1; i < 40; ++i) REQUIRE(send(hosts, leader, 7, i, 3000) == appended(i));
    CHECK(hosts.on(leader, trim_in_time(40)).value() == Offset(40));
    hosts.world.network().heal_all();
    CHECK(hosts.until([&] {
        return hosts.group(late).committed() == hosts.group(leader).committed() &&
               hosts.group(late).log().log_start().offset == Offset(40);
    }));
    REQUIRE(send(hosts, hosts.leader(), 7, 40).verdict == Verdict::append);
    CHECK(hosts.until([&] { return remembered(hosts, late) == remembered(hosts, leader); }));
}

TEST_CASE("producers that are forgotten are so on all replicas, and may begin anywhere", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId leader = hosts.leader();
    REQUIRE(send(hosts, leader, 7, 0) == appended(0));
    CHECK(hosts.until([&] { return false; }, 5s) == false);
    REQUIRE(send(hosts, leader, 8, 0) == appended(1));
    const auto forget = [](Environment& env, Host& host) -> Result<Offset> {
        const Deadline deadline(env.fibers, env.clock.now() + 5s);
        TRY(host.find(group_one)->forget_producers(env.clock.wall().unix_ms - 3000));
        return Offset();
    };
    CHECK(hosts.on(leader, forget).ok());
    for (const NodeId node : hosts.nodes)
        CHECK(hosts.until([&] {
            const auto left = remembered(hosts, node);
            return left.size() == 1 && left[0].id == 8;
        }));
    CHECK(hosts.group(leader).log().log_start().offset == Offset(0));
    CHECK(send(hosts, leader, 7, 3) == appended(2));
    restart_all(hosts);
    const NodeId next = hosts.leader();
    CHECK(send(hosts, next, 7, 3) == known(2));
    CHECK(send(hosts, next, 7, 0).verdict == Verdict::out_of_order);
    CHECK(send(hosts, next, 8, 1).verdict == Verdict::append);
}

TEST_CASE("there are never more producers than may be remembered", "[raft]") {
    Hosts hosts(1);
    hosts.raft.producers_max = 2;
    hosts.start_all();
    const NodeId leader = hosts.leader();
    CHECK(send(hosts, leader, 1, 0) == appended(0));
    CHECK(send(hosts, leader, 2, 0) == appended(1));
    CHECK(send(hosts, leader, 3, 0).verdict == Verdict::too_many);
    CHECK(send(hosts, leader, 2, 1) == appended(2));
}

TEST_CASE("what is stored of producers goes with their partition", "[raft]") {
    Hosts hosts(1);
    hosts.raft.producers_snapshot_bytes = 4_KiB;
    hosts.groups.push_back(hosts.member_of(group_two));
    hosts.start_all();
    const NodeId node = hosts.leader();
    const auto stored = [&](const std::string& key) {
        return hosts.world.facts(node).durable().contains(key);
    };
    for (std::int32_t i = 0; i < 3; ++i) REQUIRE(send(hosts, node, 7, i, 3000) == appended(i));
    REQUIRE(hosts.until([&] { return stored("producers/1"); }));
    SECTION("when it is removed") {
        CHECK(hosts
                  .on(node,
                      [](Environment&, Host& host) -> Result<Offset> {
                       TRY(host.remove(group_one));
                          return Offset();
                      })
                  .ok());
    }
    SECTION("or when its node does not know it any more") {
        hosts.world.kill(node);
        hosts.groups.erase(hosts.groups.begin());
        hosts.start(node);
        hosts.leader({}, group_two);
    }
    CHECK_FALSE(stored("producers/1"));
}

namespace {

// What the transaction does there, again and again while the leader does not know yet.
Hosts::Body begin_of(std::int64_t id, std::int64_t number) {
    return [=](Environment& env, Host& host) -> Result<Offset> {
        const GroupRef group = host.find(group_one);
        for (int i = 0; i < 100; ++i) {
            const auto turn = group->begin_transaction({id, 0, number});
            if (turn.ok()) return Offset(static_cast<std::int64_t>(turn.value()));
            if (turn.error() != Error::unavailable) return turn.error();
            TRY(env.fibers.sleep_until(env.clock.now() + 10ms));
        }
        return Error::timed_out;
    };
}
Hosts::Body end_of(std::int64_t id, std::int64_t number, bool commits) {
    return [=](Environment& env, Host& host) -> Result<Offset> {
        const GroupRef group = host.find(group_one);
        for (int i = 0; i < 100; ++i) {
            const auto ended = group->end_transaction({id, 0, number}, {id, 0, commits}, Term(1));
            if (ended.ok()) return group->stable_end();
            if (ended.error() != Error::unavailable) return ended.error();
            TRY(env.fibers.sleep_until(env.clock.now() + 10ms));
        }
        return Error::timed_out;
    };
}
Hosts::Body stable() {
    return [](Environment&, Host& host) -> Result<Offset> {
        const GroupRef group = host.find(group_one);
        TRY(group->load_producers());
        return group->stable_end();
    };
}

Offset is(Sequencer::Turn turn) { return Offset(static_cast<std::int64_t>(turn)); }

} // namespace

TEST_CASE("whoever leads next knows which transactions are open, and which came to nothing",
          "[raft]") {
    using Turn = Sequencer::Turn;
    Hosts hosts(3);
    hosts.start_all();
    const NodeId leader = hosts.leader();
    CHECK(hosts.on(leader, begin_of(7, 1)).value() == is(Turn::now));
    CHECK(hosts.on(leader, begin_of(7, 1)).value() == is(Turn::done));
    CHECK(hosts.produce(leader, "of nobody").value() == Offset(0));
    CHECK(hosts.on(leader, stable()).value() == Offset(1));
    const auto sent = hosts.on(leader, [](Environment&, Host& host) -> Result<Offset> {
        wire::RecordBatchBuilder builder;
        builder.from(7, 0, 0).mark(wire::BatchHeader::transactional_bit).add({}, "part");
        const auto parsed = wire::RecordBatch::parse(builder.build());
        const GroupRef group = host.find(group_one);
        const auto batch = std::get<wire::RecordBatch>(parsed);
        const auto sequenced = TRY(group->propose_in_sequence(batch));
        TRY(group->settle(sequenced.proposal));
        return sequenced.offset;
    });
    CHECK(sent.value() == Offset(1));
    CHECK(hosts.produce(leader, "of nobody").value() == Offset(2));
    CHECK(hosts.on(leader, stable()).value() == Offset(1));
    hosts.world.kill(leader);
    const NodeId next = hosts.leader({leader});
    CHECK(hosts.on(next, stable()).value() == Offset(1));
    CHECK(hosts.on(next, begin_of(7, 1)).value() == is(Turn::done));
    CHECK(hosts.on(next, end_of(7, 1, false)).value() == Offset(4));
    CHECK(hosts.on(next, end_of(7, 1, false)).value() == Offset(4));
    CHECK(hosts.on(next, begin_of(7, 1)).value() == is(Turn::never));
    // What goes with a trim is carried by it, and what is left stays known.
    CHECK(hosts.on(next, trim_in_time(2)).value() == Offset(2));
    restart_all(hosts);
    const NodeId last = hosts.leader();
    CHECK(hosts.on(last, stable()).ok());
    CHECK(hosts.group(last).producers()->aborted() ==
          std::vector<wire::AbortedTransaction>{{7, Offset(1), Offset(3)}});
    CHECK(hosts.on(last, begin_of(7, 1)).value() == is(Turn::never));
    // A transaction that ends where it has not begun does not begin there later.
    CHECK(hosts.on(last, end_of(8, 4, true)).ok());
    CHECK(hosts.on(last, begin_of(8, 4)).value() == is(Turn::never));
    CHECK(hosts.on(last, trim_in_time(4)).value() == Offset(4));
    CHECK(hosts.group(last).producers()->aborted().empty());
}
