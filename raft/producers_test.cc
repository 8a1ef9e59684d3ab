// What is remembered of producers, and what follows for the batches they send.
#include "raft/producers.h"

#include "core/base/random.h"
#include "core/wire/codec.h"
#include "raft/sequencer.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace pyralog;
using namespace pyralog::raft;
using Verdict = Sequencer::Verdict;

namespace {

constexpr std::int32_t sequence_max = std::numeric_limits<std::int32_t>::max();

wire::BatchHeader batch_of(std::int64_t id, std::int32_t sequence, std::int32_t records = 1,
                           std::int16_t epoch = 0) {
    wire::BatchHeader header;
    header.producer_id = id;
    header.producer_epoch = epoch;
    header.base_sequence = sequence;
    header.last_offset_delta = records - 1;
    header.record_count = records;
    header.max_timestamp = 1000 + sequence % 1000;
    return header;
}

// A leader in one term, and its log.
struct Leader {
    Sequencer sequencer;
    Term term{1};
    std::size_t producers_max = 100;
    Offset end, committed;
    std::vector<std::pair<wire::BatchHeader, Offset>> under_way;

    Sequencer::Decision decide(const wire::BatchHeader& batch) const {
        return sequencer.decide(batch, term, producers_max);
    }
    // As a request does it.
    Verdict send(const wire::BatchHeader& batch) {
        const Verdict verdict = decide(batch).verdict;
        if (verdict != Verdict::append) return verdict;
        sequencer.proposed(batch, end, term);
        under_way.emplace_back(batch, end);
        end = end + batch.last_offset_delta + 1;
        return verdict;
    }
    void commit() {
        for (const auto& [batch, offset] : under_way) sequencer.apply(batch, offset, 7);
        under_way.clear();
        committed = end;
    }
    // Another leads for a while, and what was not committed is gone.
    void lose() {
        under_way.clear();
        end = committed;
        term = term.next().next();
    }
};

} // namespace

TEST_CASE("sequences go round", "[raft]") {
    CHECK(Producers::after(0) == 1);
    CHECK(Producers::after(sequence_max) == 0);
    CHECK(Producers::after(sequence_max - 1, 5) == 3);
    CHECK(Producers::last_of(batch_of(1, sequence_max - 1, 4)) == 1);
    Leader leader;
    CHECK(leader.send(batch_of(1, sequence_max - 3, 3)) == Verdict::append);
    CHECK(leader.send(batch_of(1, sequence_max, 2)) == Verdict::append);
    CHECK(leader.send(batch_of(1, 2)) == Verdict::out_of_order);
    CHECK(leader.send(batch_of(1, 1)) == Verdict::append);
    CHECK(leader.decide(batch_of(1, sequence_max, 2)).verdict == Verdict::duplicate);
}

TEST_CASE("a batch is appended once, and then known by its offset", "[raft]") {
    Leader leader;
    for (const std::int32_t first : {0, 3, 6})
        CHECK(leader.send(batch_of(1, first, 3)) == Verdict::append);
    for (const bool is_committed : {false, true}) {
        INFO(is_committed);
        if (is_committed) leader.commit();
        CHECK(leader.decide(batch_of(1, 0, 3)).verdict == Verdict::duplicate);
        CHECK(leader.decide(batch_of(1, 0, 3)).offset == Offset(0));
        CHECK(leader.decide(batch_of(1, 6, 3)).offset == Offset(6));
        // In another form than before it is not the same batch.
        CHECK(leader.decide(batch_of(1, 6, 2)).verdict == Verdict::out_of_order);
        CHECK(leader.decide(batch_of(1, 10, 3)).verdict == Verdict::out_of_order);
        CHECK(leader.decide(batch_of(1, 9, 3)).verdict == Verdict::append);
        // Another's sequences are his own affair.
        CHECK(leader.decide(batch_of(2, 0, 3)).verdict == Verdict::append);
    }
}

TEST_CASE("of a producer the last five batches are known", "[raft]") {
    Leader leader;
    for (std::int32_t i = 0; i < 7; ++i) {
        CHECK(leader.send(batch_of(1, i)) == Verdict::append);
        if (i % 3 == 0) leader.commit();
    }
    CHECK(leader.decide(batch_of(1, 1)).verdict == Verdict::out_of_order);
    for (std::int32_t i = 2; i < 7; ++i) {
        CHECK(leader.decide(batch_of(1, i)).verdict == Verdict::duplicate);
        CHECK(leader.decide(batch_of(1, i)).offset == Offset(i));
    }
}

TEST_CASE("a later epoch begins at zero, and ends the one before", "[raft]") {
    Leader leader;
    CHECK(leader.send(batch_of(1, 0, 1, 3)) == Verdict::append);
    CHECK(leader.send(batch_of(1, 1, 1, 4)) == Verdict::out_of_order);
    CHECK(leader.send(batch_of(1, 0, 1, 4)) == Verdict::append);
    CHECK(leader.send(batch_of(1, 1, 1, 3)) == Verdict::old_epoch);
    CHECK(leader.send(batch_of(1, 0, 1, 3)) == Verdict::old_epoch);
    leader.commit();
    CHECK(leader.send(batch_of(1, 1, 1, 3)) == Verdict::old_epoch);
    CHECK(leader.send(batch_of(1, 1, 1, 4)) == Verdict::append);
}

TEST_CASE("what was appended in a term that is over counts only if it was committed", "[raft]") {
    for (const bool is_told : {true, false}) {
        INFO(is_told);
        Leader leader;
        CHECK(leader.send(batch_of(1, 0)) == Verdict::append);
        leader.commit();
        CHECK(leader.send(batch_of(1, 1)) == Verdict::append);
        CHECK(leader.send(batch_of(1, 2)) == Verdict::append);
        leader.lose();
        if (is_told) leader.sequencer.deposed();
        CHECK(leader.decide(batch_of(1, 0)).verdict == Verdict::duplicate);
        CHECK(leader.decide(batch_of(1, 2)).verdict == Verdict::out_of_order);
        CHECK(leader.send(batch_of(1, 1)) == Verdict::append);
        CHECK(leader.decide(batch_of(1, 1)).offset == Offset(1));
        CHECK(leader.decide(batch_of(1, 2)).verdict == Verdict::append);
    }
}

TEST_CASE("a producer of whom nothing is known begins anywhere, but not behind what was refused",
          "[raft]") {
    Leader leader;
    CHECK(leader.decide(batch_of(1, 70)).verdict == Verdict::append);
    leader.sequencer.refused(batch_of(1, 10));
    leader.sequencer.refused(batch_of(1, 11));
    CHECK(leader.decide(batch_of(1, 11)).verdict == Verdict::out_of_order);
    CHECK(leader.decide(batch_of(2, 11)).verdict == Verdict::append);
    CHECK(leader.decide(batch_of(1, 11, 1, 1)).verdict == Verdict::append); // He began anew.
    CHECK(leader.decide(batch_of(1, 9)).verdict == Verdict::append);
    CHECK(leader.send(batch_of(1, 10)) == Verdict::append);
    CHECK(leader.send(batch_of(1, 11)) == Verdict::append);
    // What was refused of one who is known is missing before what he sends next.
    leader.commit();
    leader.sequencer.refused(batch_of(1, 12));
    CHECK(leader.decide(batch_of(1, 13)).verdict == Verdict::out_of_order);
    // Elsewhere it was taken, and he was forgotten since: it is no longer missing.
    Leader other;
    other.sequencer.refused(batch_of(1, 10));
    other.sequencer.apply(batch_of(1, 10), Offset(0), 7);
    other.sequencer.replace({{5, Offset(1)}, {}});
    CHECK(other.decide(batch_of(1, 11)).verdict == Verdict::append);
}

TEST_CASE("so many producers are remembered, and the next is told", "[raft]") {
    Leader leader;
    leader.producers_max = 3;
    for (std::int64_t id = 1; id <= 3; ++id) {
        CHECK(leader.send(batch_of(id, 0)) == Verdict::append);
        if (id == 2) leader.commit();
    }
    CHECK(leader.send(batch_of(4, 0)) == Verdict::too_many);
    CHECK(leader.send(batch_of(1, 1)) == Verdict::append);
    CHECK(leader.send(batch_of(4, 0)) == Verdict::too_many);
    leader.commit();
    CHECK(leader.send(batch_of(4, 0)) == Verdict::too_many);
    leader.sequencer.replace(
        {{9, leader.committed}, {leader.sequencer.known().table({}).producers[1]}});
    CHECK(leader.send(batch_of(4, 0)) == Verdict::append);
}

TEST_CASE("those who have been idle are told by when they were last seen", "[raft]") {
    Producers producers;
    producers.apply(batch_of(1, 0), Offset(0), 100);
    producers.apply(batch_of(2, 0), Offset(1), 200);
    CHECK_FALSE(producers.any_seen_before(100));
    CHECK(producers.any_seen_before(101));
    const auto table = producers.table({4, Offset(2)}, 101);
    REQUIRE(table.producers.size() == 1);
    CHECK(table.producers[0].id == 2);
    CHECK(table.as_of == Position{4, Offset(2)});
    producers.replace(table);
    CHECK(producers.all().size() == 1);
}

TEST_CASE("a table comes back from its bytes, and one that makes no sense does not", "[raft]") {
    Producers producers;
    for (std::int32_t i = 0; i < 9; ++i) producers.apply(batch_of(i % 2, i / 2), Offset(i), i);
    const wire::ProducerTable table = producers.table({12, Offset(9)});
    CHECK(wire::decode<wire::ProducerTable>(wire::encode(table)).value() == table);
    for (const auto& spoil : {+[](wire::Producer& p) { p.batches.clear(); },
                              +[](wire::Producer& p) { p.batches.resize(6, p.batches[0]); },
                              +[](wire::Producer& p) { p.batches[0].first_sequence = -1; }}) {
        wire::ProducerTable spoilt = table;
        spoil(spoilt.producers[1]);
        CHECK_FALSE(wire::decode<wire::ProducerTable>(wire::encode(spoilt)).ok());
    }
}

namespace {

// A log of batches of a few producers and of tables that trims carry, as a leader writes it.
struct Entry {
    wire::BatchHeader batch;
    std::optional<wire::ProducerTable> table;
    Offset offset;
};

std::vector<Entry> any_log(Random& random) {
    std::vector<Entry> log;
    Producers known;
    Offset end;
    std::map<std::int64_t, std::pair<std::int16_t, std::int32_t>> next;
    const auto length = random.between(1, 60);
    for (std::int64_t i = 0; i < length; ++i) {
        Entry& entry = log.emplace_back();
        entry.offset = end;
        if (random.chance(1, 8)) {
            // As of some entries ago, without some.
            const auto as_of = random.between(std::max<std::int64_t>(0, i - 6), i);
            Producers then;
            for (std::int64_t j = 0; j < as_of; ++j) {
                const Entry& old = log[static_cast<std::size_t>(j)];
                if (old.table)
                    then.replace(*old.table);
                else
                    then.apply(old.batch, old.offset, j);
            }
            const std::int64_t forgotten = random.chance(1, 2) ? as_of - 12 : -1;
            entry.table =
                then.table({as_of, log[static_cast<std::size_t>(as_of)].offset}, forgotten);
            continue;
        }
        const std::int64_t id = random.between(1, 4);
        auto& [epoch, sequence] = next[id];
        if (random.chance(1, 12)) ++epoch, sequence = 0;
        const auto records = static_cast<std::int32_t>(random.between(1, 3));
        entry.batch = batch_of(id, sequence, records, epoch);
        sequence = Producers::after(sequence, records);
        end = end + records;
    }
    return log;
}

void take(Producers& producers, const Entry& entry) {
    if (entry.table)
        producers.replace(*entry.table);
    else
        producers.apply(entry.batch, entry.offset, 0);
}

// What replicas agree on: not on when they saw it.
std::vector<wire::Producer> agreed(const Producers& producers) {
    auto table = producers.table({}).producers;
    for (wire::Producer& producer : table) producer.seen_ms = 0;
    return table;
}

} // namespace

TEST_CASE("whoever has lost the beginning of a log knows as much from a trim on", "[raft][model]") {
    rc::prop("for any log", [](std::uint64_t seed) {
        Random random(seed);
        const std::vector<Entry> log = any_log(random);
        Producers all;
        for (const Entry& entry : log) take(all, entry);
        for (std::size_t i = 0; i < log.size(); ++i) {
            if (!log[i].table) continue;
            // Its log begins anywhere up to what the table takes into account.
            const auto as_of = log[i].table->as_of.index;
            Producers late;
            for (auto j = static_cast<std::size_t>(random.between(0, as_of)); j < log.size(); ++j)
                take(late, log[j]);
            RC_ASSERT(agreed(late) == agreed(all));
            // And what it has stored is taken up again anywhere.
            Producers again;
            const auto stop = static_cast<std::size_t>(random.between(
                static_cast<std::int64_t>(i), static_cast<std::int64_t>(log.size())));
            Producers stored;
            for (std::size_t j = 0; j < stop; ++j) take(stored, log[j]);
            again.replace(stored.table({static_cast<std::int64_t>(stop), {}}));
            for (std::size_t j = stop; j < log.size(); ++j) take(again, log[j]);
            RC_ASSERT(agreed(again) == agreed(all));
        }
    });
}

TEST_CASE("whatever is sent again, each batch is in the log once and in order", "[raft][model]") {
    rc::prop("for any sender", [](std::uint64_t seed) {
        Random random(seed);
        Leader leader;
        std::vector<std::int32_t> log; // First sequences of what is committed.
        std::size_t known = 0;         // So many of those the sender knows to be stored.
        std::vector<std::int32_t> pending;
        for (int step = 0; step < 200; ++step) {
            const auto kind = random.below(10);
            if (kind == 0) {
                leader.lose();
                pending.clear();
                leader.sequencer.deposed();
            } else if (kind <= 2) {
                leader.commit();
                log.insert(log.end(), pending.begin(), pending.end());
                pending.clear();
                known = std::max(known, log.size() - std::min<std::size_t>(log.size(), 5));
            } else {
                // One of the five behind what he knows to be stored; some are refused at the door.
                const auto next = static_cast<std::int32_t>(known + random.below(5));
                if (kind == 3) {
                    leader.sequencer.refused(batch_of(1, next));
                    continue;
                }
                const auto decision = leader.decide(batch_of(1, next));
                const auto have = static_cast<std::int32_t>(log.size() + pending.size());
                if (decision.verdict == Verdict::append && have > 0) RC_ASSERT(next == have);
                if (decision.verdict == Verdict::duplicate) {
                    RC_ASSERT(next < have);
                    RC_ASSERT(decision.offset == Offset(next));
                }
                // The first is sent first.
                if (have == 0 && next > 0) continue;
                if (leader.send(batch_of(1, next)) == Verdict::append) pending.push_back(next);
            }
        }
        for (std::size_t i = 0; i < log.size(); ++i)
            RC_ASSERT(log[i] == static_cast<std::int32_t>(i));
    });
}
