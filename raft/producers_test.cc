// What is remembered of producers, and what follows for the batches they send.
#include "raft/producers.h"

#include "core/base/random.h"
#include "core/wire/codec.h"
#include "core/wire/log_start.h"
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

wire::BatchHeader part_of(std::int64_t id, std::int32_t sequence, std::int16_t epoch = 0) {
    wire::BatchHeader header = batch_of(id, sequence, 1, epoch);
    header.attributes = wire::BatchHeader::transactional_bit;
    return header;
}

// The entry that says so.
wire::Frame frame_of(const wire::ProducerStep& step, Position place) {
    wire::Frame frame;
    frame.first = place;
    frame.records = 1;
    if (const auto* const batch = std::get_if<wire::BatchHeader>(&step)) {
        frame.records = batch->record_count;
        frame.payload = {wire::encode(*batch)};
    } else if (const auto* const begin = std::get_if<wire::TransactionBegin>(&step)) {
        frame.kind = wire::Frame::Kind::begin;
        frame.records = 0;
        frame.payload = {wire::encode(*begin)};
    } else {
        frame.payload = {wire::marker(std::get<wire::TransactionEnd>(step), 3, 7).bytes()};
    }
    return frame;
}

// A leader in one term, and its log.
struct Leader {
    Sequencer sequencer;
    Term term{1};
    std::size_t producers_max = 100;
    Position end;
    Offset committed;
    std::vector<wire::Frame> under_way;

    Sequencer::Decision decide(const wire::BatchHeader& batch) const {
        return sequencer.decide(batch, term, producers_max);
    }
    // As a request does it.
    Verdict send(const wire::BatchHeader& batch) {
        const Verdict verdict = decide(batch).verdict;
        if (verdict != Verdict::append) return verdict;
        append(batch);
        return verdict;
    }
    void append(const wire::ProducerStep& step) {
        sequencer.proposed(step, end, term);
        under_way.push_back(frame_of(step, end));
        end = under_way.back().end();
    }
    // A transaction of a producer begins, or ends.
    Sequencer::Turn begin(std::int64_t id, std::int64_t number, std::int16_t epoch = 0) {
        const auto turn = sequencer.may_begin({id, epoch, number}, term, producers_max, 2);
        if (turn == Sequencer::Turn::now) append(wire::TransactionBegin{id, epoch, number});
        return turn;
    }
    Sequencer::Turn finish(std::int64_t id, std::int64_t number, bool commits,
                           std::int16_t epoch = 0) {
        const wire::TransactionBegin begun{id, epoch, number};
        const auto turn = sequencer.may_end(begun, term);
        if (turn != Sequencer::Turn::now) return turn;
        if (!sequencer.has_begun(begun, term)) append(begun);
        append(wire::TransactionEnd{id, epoch, commits});
        return turn;
    }
    void commit() {
        for (const wire::Frame& frame : under_way) sequencer.take(frame, 7);
        under_way.clear();
        committed = end.offset;
        durable = end;
    }
    Position durable;
    // Whoever is not known may be one who has sent before.
    void forget_one() { sequencer.replace({{}, true, {}, {}}); }
    // Another leads for a while, and what was not committed is gone.
    void lose() {
        under_way.clear();
        end = durable;
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
    leader.forget_one();
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

// Seed 356: a broker that had no replica of a new partition yet refused a batch, of which nobody
// took note, and took the one behind it a moment later.
TEST_CASE("a producer of whom nothing is known begins with the first sequence", "[raft]") {
    Leader leader;
    CHECK(leader.decide(batch_of(1, 70)).verdict == Verdict::out_of_order);
    CHECK(leader.decide(batch_of(1, 70, 1, 3)).verdict == Verdict::out_of_order);
    CHECK(leader.decide(batch_of(1, 0, 1, 3)).verdict == Verdict::append);
    CHECK(leader.send(batch_of(1, 0)) == Verdict::append);
    CHECK(leader.send(batch_of(1, 1)) == Verdict::append);
}

TEST_CASE("whether somebody was forgotten is remembered for good", "[raft]") {
    Producers producers;
    producers.apply(batch_of(1, 0), Offset(0), 100);
    CHECK_FALSE(producers.table({}).has_forgotten);
    CHECK_FALSE(producers.table({1, Offset(1)}, 100).has_forgotten);
    const wire::ProducerTable table = producers.table({1, Offset(1)}, 101);
    CHECK(table.has_forgotten);
    CHECK(wire::decode<wire::ProducerTable>(wire::encode(table)).value().has_forgotten);
    producers.replace(table);
    CHECK(producers.has_forgotten());
    producers.apply(batch_of(2, 0), Offset(1), 300);
    CHECK(producers.table({}).has_forgotten);
    producers.replace({{1, Offset(1)}, false, {}, {}});
    CHECK(producers.has_forgotten());
}

TEST_CASE("where some were forgotten others begin anywhere, but not behind what was refused",
          "[raft]") {
    Leader leader;
    leader.forget_one();
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
    other.sequencer.take(frame_of(batch_of(1, 10), {}), 7);
    other.sequencer.replace({{5, Offset(1)}, true, {}, {}});
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
        {{9, leader.committed}, true, {leader.sequencer.known().table({}).producers[1]}, {}});
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
                              +[](wire::Producer& p) { p.is_open = true; },
                              +[](wire::Producer& p) { p.opened = Offset(0); },
                              +[](wire::Producer& p) { p.batches.resize(6, p.batches[0]); },
                              +[](wire::Producer& p) { p.batches[0].first_sequence = -1; }}) {
        wire::ProducerTable spoilt = table;
        spoil(spoilt.producers[1]);
        CHECK_FALSE(wire::decode<wire::ProducerTable>(wire::encode(spoilt)).ok());
    }
}

namespace {

// A log of what a few producers do and of tables that trims carry, as a leader writes it.
struct ModelEntry {
    std::optional<wire::ProducerStep> step;
    std::optional<wire::ProducerTable> table;
    Position place;
};

struct Sender {
    std::int16_t epoch = 0;
    std::int32_t sequence = 0;
    std::int64_t number = 0;
    bool is_open = false;
};

wire::ProducerStep any_step(Random& random, std::int64_t id, Sender& sender) {
    if (random.chance(1, 5)) {
        sender.is_open = !sender.is_open;
        if (sender.is_open) return wire::TransactionBegin{id, sender.epoch, ++sender.number};
        if (random.chance(1, 2)) ++sender.epoch, sender.sequence = 0;
        return wire::TransactionEnd{id, sender.epoch, random.chance(1, 2)};
    }
    if (!sender.is_open && random.chance(1, 12)) ++sender.epoch, sender.sequence = 0;
    const auto records = static_cast<std::int32_t>(random.between(1, 3));
    wire::BatchHeader batch = batch_of(id, sender.sequence, records, sender.epoch);
    if (sender.is_open) batch.attributes = wire::BatchHeader::transactional_bit;
    sender.sequence = Producers::after(sender.sequence, records);
    return batch;
}

std::vector<ModelEntry> any_log(Random& random) {
    std::vector<ModelEntry> log;
    Producers known;
    Position end;
    std::map<std::int64_t, Sender> senders;
    const auto length = random.between(1, 60);
    for (std::int64_t i = 0; i < length; ++i) {
        ModelEntry& entry = log.emplace_back();
        entry.place = end;
        if (random.chance(1, 8)) {
            // Of all that is before it, without some.
            entry.table = known.table(end, random.chance(1, 2) ? i - 12 : -1);
            known.replace(*entry.table);
            end = {end.index + 1, end.offset};
            continue;
        }
        const std::int64_t id = random.between(1, 4);
        entry.step = any_step(random, id, senders[id]);
        known.apply(*entry.step, end.offset, i);
        end = frame_of(*entry.step, end).end();
    }
    return log;
}

void take(Producers& producers, const ModelEntry& entry) {
    if (entry.table)
        producers.replace(*entry.table);
    else
        producers.take(frame_of(*entry.step, entry.place), 0);
}

// What replicas agree on: not on when they saw it.
wire::ProducerTable agreed(const Producers& producers) {
    wire::ProducerTable table = producers.table({});
    for (wire::Producer& producer : table.producers) producer.seen_ms = 0;
    return table;
}

} // namespace

TEST_CASE("whoever has lost the beginning of a log knows as much from a trim on", "[raft][model]") {
    rc::prop("for any log", [](std::uint64_t seed) {
        Random random(seed);
        const std::vector<ModelEntry> log = any_log(random);
        Producers all;
        for (const ModelEntry& entry : log) take(all, entry);
        for (std::size_t i = 0; i < log.size(); ++i) {
            if (!log[i].table) continue;
            // Its log begins anywhere before.
            Producers late;
            const auto first = random.below(i + 1);
            for (std::size_t j = first; j < log.size(); ++j) take(late, log[j]);
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

TEST_CASE("a batch of a transaction is taken while that is open, and no other then", "[raft]") {
    using Turn = Sequencer::Turn;
    Leader leader;
    CHECK(leader.send(part_of(1, 0)) == Verdict::no_transaction);
    CHECK(leader.begin(1, 5) == Turn::now);
    CHECK(leader.send(part_of(1, 0, 1)) == Verdict::no_transaction);
    CHECK(leader.send(batch_of(1, 0)) == Verdict::no_transaction);
    CHECK(leader.send(part_of(1, 0)) == Verdict::append);
    CHECK(leader.begin(1, 5) == Turn::done);
    CHECK(leader.send(part_of(2, 0)) == Verdict::no_transaction);
    leader.commit();
    CHECK(leader.sequencer.known().first_open() == Offset(0));
    CHECK(leader.send(part_of(1, 1)) == Verdict::append);
    CHECK(leader.finish(1, 5, true) == Turn::now);
    CHECK(leader.send(part_of(1, 2)) == Verdict::no_transaction);
    CHECK(leader.decide(part_of(1, 1)).verdict == Verdict::duplicate);
    leader.commit();
    CHECK_FALSE(leader.sequencer.known().first_open());
    CHECK(leader.sequencer.known().aborted().empty());
    CHECK(leader.send(batch_of(1, 2)) == Verdict::append);
}

TEST_CASE("a transaction that is over does not begin again, whoever hears of it late", "[raft]") {
    using Turn = Sequencer::Turn;
    Leader leader;
    CHECK(leader.begin(1, 5) == Turn::now);
    CHECK(leader.finish(1, 5, false) == Turn::now);
    CHECK(leader.finish(1, 5, false) == Turn::done);
    CHECK(leader.begin(1, 5) == Turn::never);
    CHECK(leader.begin(1, 4) == Turn::never);
    leader.commit();
    CHECK(leader.begin(1, 5) == Turn::never);
    // One of which nothing has been heard here ends, and its beginning comes later.
    CHECK(leader.finish(1, 6, false) == Turn::now);
    CHECK(leader.begin(1, 6) == Turn::never);
    CHECK(leader.begin(1, 7) == Turn::now);
    // What ended before says nothing of the one that is open.
    CHECK(leader.finish(1, 6, true) == Turn::done);
    CHECK(leader.send(part_of(1, 0)) == Verdict::append);
}

TEST_CASE("a marker of a later epoch is the end of those before", "[raft]") {
    using Turn = Sequencer::Turn;
    Leader leader;
    CHECK(leader.begin(1, 1, 3) == Turn::now);
    CHECK(leader.send(part_of(1, 0, 3)) == Verdict::append);
    CHECK(leader.finish(1, 1, false, 4) == Turn::now);
    for (int i = 0; i < 2; ++i) {
        CHECK(leader.send(part_of(1, 1, 3)) == Verdict::old_epoch);
        CHECK(leader.begin(1, 2, 3) == Turn::never);
        leader.commit();
    }
    CHECK(leader.sequencer.known().aborted() ==
          std::vector<wire::AbortedTransaction>{{1, Offset(0), Offset(1)}});
    CHECK(leader.begin(1, 2, 4) == Turn::now);
    CHECK(leader.send(part_of(1, 0, 4)) == Verdict::append);
}

TEST_CASE("readers are told of the transactions that came to nothing where they read", "[raft]") {
    Leader leader;
    for (std::int64_t id = 1; id <= 2; ++id) {
        CHECK(leader.begin(id, 1) == Sequencer::Turn::now);
        CHECK(leader.send(part_of(id, 0)) == Verdict::append);
    }
    CHECK(leader.finish(2, 1, false) == Sequencer::Turn::now); // At 2, from 1 on.
    CHECK(leader.finish(1, 1, false) == Sequencer::Turn::now); // At 3, from 0 on.
    leader.commit();
    const Producers& known = leader.sequencer.known();
    const auto told = [&](std::int64_t first, std::int64_t end) {
        std::vector<std::int64_t> ids;
        for (const auto& aborted : known.aborted_in(Offset(first), Offset(end)))
            ids.push_back(aborted.producer);
        return ids;
    };
    CHECK(told(0, 1) == std::vector<std::int64_t>{1});
    CHECK(told(0, 9) == std::vector<std::int64_t>{2, 1});
    CHECK(told(3, 9) == std::vector<std::int64_t>{1});
    CHECK(told(4, 9).empty());
    // As many as may be: no more begin, until the log has lost their records.
    CHECK(leader.begin(3, 1) == Sequencer::Turn::too_many);
    wire::Frame trim;
    trim.kind = wire::Frame::Kind::trim;
    trim.first = leader.end;
    trim.payload = wire::trim_payload({{3, Offset(2)}, Offset(3)}, known.table(leader.end));
    leader.sequencer.take(trim, 7);
    CHECK(told(0, 9) == std::vector<std::int64_t>{1});
    CHECK(leader.begin(3, 1) == Sequencer::Turn::now);
}

TEST_CASE("who has a transaction open is not forgotten", "[raft]") {
    Producers producers;
    producers.apply(wire::TransactionBegin{1, 0, 1}, Offset(0), 100);
    producers.apply(batch_of(2, 0), Offset(0), 200);
    CHECK_FALSE(producers.any_seen_before(150));
    CHECK(producers.table({}, 150).producers.size() == 2);
    producers.apply(wire::TransactionEnd{1, 0, true}, Offset(1), 120);
    CHECK(producers.any_seen_before(150));
    CHECK(producers.table({}, 150).producers.size() == 1);
}

TEST_CASE("what a leader foresees is what will be known", "[raft]") {
    Leader leader;
    CHECK(leader.begin(1, 1) == Sequencer::Turn::now);
    CHECK(leader.send(part_of(1, 0)) == Verdict::append);
    leader.commit();
    CHECK(leader.send(part_of(1, 1)) == Verdict::append);
    CHECK(leader.finish(1, 1, false) == Sequencer::Turn::now);
    const wire::ProducerTable foreseen = leader.sequencer.foreseen(leader.term, 7).table({});
    CHECK(foreseen != leader.sequencer.known().table({}));
    leader.commit();
    CHECK(foreseen == leader.sequencer.known().table({}));
}

TEST_CASE("a marker says how a transaction ended, in Kafka's own bytes", "[raft]") {
    for (const bool commits : {false, true}) {
        const wire::TransactionEnd end{77, 3, commits};
        const wire::RecordBatch batch = wire::marker(end, 9, 1234);
        CHECK(wire::end_of(batch) == end);
        CHECK(batch.header().attributes == 0x30);
        const auto records = wire::records_of(batch).value();
        REQUIRE(records.size() == 1);
        const std::string key{0, 0, 0, commits ? char{1} : char{0}};
        CHECK(records[0].key->text() == key);
        CHECK(records[0].value->text() == std::string({0, 0, 0, 0, 0, 9}));
        // No client may send one.
        CHECK(std::holds_alternative<wire::BatchFlaw>(wire::RecordBatch::parse(batch.bytes())));
    }
}
