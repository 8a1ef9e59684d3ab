#include "sim-tests/check_history.h"
#include "sim-tests/check_transactions.h"

#include "sim-tests/kafka_client.h"

#include "core/base/random.h"

#include <algorithm>
#include <functional>
#include <vector>

#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

// A small language for histories of one partition. Time goes on by one with each thing that
// happens.
class Story {
public:
    Story() { partition_ = history.partition({"t", 0}); }

    // Sent, with no answer yet.
    std::size_t send(std::int32_t client, std::int32_t records = 1, Acks acks = Acks::all,
                     std::int64_t connection = 0) {
        Produce produce;
        produce.client = client;
        produce.connection = connection != 0 ? connection : ++connections_;
        produce.partition = partition_;
        produce.acks = acks;
        produce.first_number = next_number_[client] + 1;
        produce.records = records;
        produce.invoked = tick();
        next_number_[client] += records;
        return history.invoke(produce);
    }
    // The same, by an idempotent producer, as often as it takes.
    std::size_t send_in_sequence(std::int32_t client, std::int64_t line, std::int32_t records = 1) {
        Produce produce;
        produce.client = client;
        produce.connection = -line;
        produce.in_sequence = true;
        produce.partition = partition_;
        produce.first_number = next_number_[client] + 1;
        produce.records = records;
        produce.invoked = tick();
        next_number_[client] += records;
        return history.invoke(produce);
    }
    void stored(std::size_t produce, std::int64_t offset) {
        history.completed(produce, tick(), Outcome::stored, offset);
    }
    void refused(std::size_t produce) { history.completed(produce, tick(), Outcome::refused, -1); }
    // Sent and acknowledged, at the end of what will be the log.
    std::size_t store(std::int32_t client, std::int32_t records = 1, Acks acks = Acks::all) {
        const std::size_t produce = send(client, records, acks);
        stored(produce, static_cast<std::int64_t>(log.size()));
        lay(produce);
        return produce;
    }
    // Into the log, after what is there.
    void lay(std::size_t produce) {
        const Produce& sent = history.produces()[produce];
        for (std::int32_t i = 0; i < sent.records; ++i)
            log.push_back(
                {static_cast<std::int64_t>(log.size()), {sent.client, sent.first_number + i}});
    }
    void read(std::int64_t from, std::vector<Fetch::Seen> seen, std::int64_t high_watermark,
              std::int64_t connection = 1) {
        const Duration invoked = tick();
        history.saw({9, connection, partition_, from, invoked, tick(), high_watermark,
                     std::move(seen), -1});
    }
    void ask_end(std::int64_t end, std::int32_t leader_epoch = -1) {
        const Duration invoked = tick();
        history.asked({9, partition_, invoked, tick(), end, leader_epoch});
    }
    void remove(std::int64_t before) { history.deletes({partition_, before}); }
    void tell_start(std::int64_t first, std::int64_t asked = 0) {
        history.told({9, partition_, tick(), first, asked});
    }
    // In the answer to the last fetch.
    void tell_fetched_start(std::int64_t first) {
        Fetch again = history.fetches().back();
        again.log_start = first;
        history.saw(again);
    }
    // All before, as if it had been deleted.
    void forget(std::int64_t before) {
        std::erase_if(log, [&](const Fetch::Seen& record) { return record.offset < before; });
        start = before;
    }
    void elect(std::int32_t leader_epoch) { history.elected({partition_, leader_epoch, tick()}); }
    std::string verdict() {
        history.read_all(partition_, {start, log});
        const auto finding = check_history(history);
        return finding ? std::string(finding->oracle) : "good";
    }

    Duration tick() { return Duration(++now_); }

    History history;
    std::vector<Fetch::Seen> log;
    std::int64_t start = 0;

private:
    std::int32_t partition_;
    std::int64_t now_ = 0;
    std::int64_t connections_ = 100;
    std::map<std::int32_t, std::int64_t> next_number_;
};

} // namespace

TEST_CASE("a value tells whose it is, and that nothing of it has changed", "[simtest]") {
    const std::string value = value_of({7, 12}, 100);
    CHECK(value.size() == 100);
    CHECK(ident_of(value) == Ident{7, 12});
    CHECK(value_of({7, 12}, 1).size() == value_size_min);
    for (std::size_t i = 0; i < value.size(); ++i) {
        std::string changed = value;
        changed[i] = changed[i] == 'x' ? 'y' : 'x';
        CHECK(!ident_of(changed));
    }
    CHECK(!ident_of(value.substr(0, 99)));
    CHECK(!ident_of("something else"));
    CHECK(!ident_of(""));
}

TEST_CASE("a history of stored, lost and refused records can be good", "[simtest]") {
    Story story;
    story.store(1);
    story.store(2, 3);
    story.send(1);               // Nobody knows, and it is not there.
    story.lay(story.send(2, 2)); // Nobody knows, and it is.
    story.refused(story.send(1));
    story.stored(story.send(1, 1, Acks::leader), 6); // Its leader's disk died.
    story.store(2, 1, Acks::leader);
    story.read(1, {{1, {2, 1}}, {2, {2, 2}}}, 4);
    story.ask_end(7);
    CHECK(story.verdict() == "good");
}

TEST_CASE("an acknowledged record that is not in the log is found", "[simtest]") {
    Story story;
    story.stored(story.send(1), 0);
    CHECK(story.verdict() == oracle::acknowledged_lost);
}

TEST_CASE("an acknowledged record at another offset is found", "[simtest]") {
    Story story;
    const std::size_t first = story.send(1);
    const std::size_t second = story.send(2);
    story.stored(first, 1);
    story.stored(second, 0);
    SECTION("as told") {
        story.lay(second);
        story.lay(first);
        CHECK(story.verdict() == "good");
    }
    SECTION("swapped") {
        story.lay(first);
        story.lay(second);
        CHECK(story.verdict() == oracle::moved);
    }
}

TEST_CASE("a record that is there twice is found", "[simtest]") {
    Story story;
    story.lay(story.store(1));
    CHECK(story.verdict() == oracle::duplicated);
}

TEST_CASE("a record that nobody sent is found", "[simtest]") {
    Story story;
    story.store(1);
    SECTION("with nobody's value") { story.log.push_back({1, {}}); }
    SECTION("with a number that was never used") { story.log.push_back({1, {1, 2}}); }
    SECTION("of a client that sent nothing") { story.log.push_back({1, {3, 1}}); }
    CHECK(story.verdict() == oracle::invented);
}

TEST_CASE("a record of another partition is found", "[simtest]") {
    Story story;
    Produce elsewhere;
    elsewhere.client = 3;
    elsewhere.partition = story.history.partition({"t", 1});
    elsewhere.first_number = 1;
    elsewhere.records = 1;
    story.history.invoke(elsewhere);
    story.log.push_back({0, {3, 1}});
    CHECK(story.verdict() == oracle::invented);
}

TEST_CASE("a batch that is there in part, or in pieces, is found", "[simtest]") {
    Story story;
    story.lay(story.send(1, 3));
    story.lay(story.send(2));
    SECTION("its end is missing") { story.log.erase(story.log.begin() + 2); }
    SECTION("its beginning is missing") { story.log.erase(story.log.begin()); }
    SECTION("something is in between") { std::swap(story.log[1].ident, story.log[3].ident); }
    for (std::size_t i = 0; i < story.log.size(); ++i)
        story.log[i].offset = static_cast<std::int64_t>(i);
    CHECK(story.verdict() == oracle::batch_broken);
}

TEST_CASE("a gap and a repeated offset are found", "[simtest]") {
    Story story;
    story.store(1);
    story.store(1);
    SECTION("gap") { story.log[1].offset = 2; }
    SECTION("repeated") { story.log[1].offset = 0; }
    SECTION("late beginning") { story.log.erase(story.log.begin()); }
    CHECK(story.verdict() == oracle::not_contiguous);
}

TEST_CASE("a record before one that had been acknowledged earlier is found", "[simtest]") {
    for (const Acks acks : {Acks::all, Acks::leader}) {
        Story story;
        const std::size_t early = story.send(1, 1, acks);
        story.stored(early, 1);
        story.lay(story.send(2));
        story.lay(early);
        CHECK(story.verdict() == oracle::out_of_order);
    }
}

TEST_CASE("pipelined records in another order than they were sent are found", "[simtest]") {
    Story story;
    const std::size_t first = story.send(1, 1, Acks::none, 5);
    const std::size_t second = story.send(1, 1, Acks::none, 5);
    SECTION("in order") {
        story.lay(first);
        story.lay(second);
        CHECK(story.verdict() == "good");
    }
    SECTION("the other way round") {
        story.lay(second);
        story.lay(first);
        CHECK(story.verdict() == oracle::out_of_order);
    }
}

TEST_CASE("a record that was refused and is there is found", "[simtest]") {
    Story story;
    const std::size_t produce = story.send(1);
    story.refused(produce);
    story.lay(produce);
    CHECK(story.verdict() == oracle::refused_yet_stored);
}

TEST_CASE("a record that was read and then lost is found", "[simtest]") {
    Story story;
    story.store(1);
    story.send(2);
    story.read(0, {{0, {1, 1}}, {1, {2, 1}}}, 2);
    CHECK(story.verdict() == oracle::read_then_lost);
}

TEST_CASE("an offset that has shown two records is found", "[simtest]") {
    Story story;
    story.send(2);
    SECTION("a read and the log") {
        story.store(1);
        story.read(0, {{0, {2, 1}}}, 1);
        CHECK(story.verdict() == oracle::two_at_one_offset);
    }
    SECTION("two reads of a topic that has gone") {
        story.send(1);
        story.read(0, {{0, {2, 1}}}, 1);
        story.read(0, {{0, {1, 1}}}, 1, 2);
        CHECK(check_history(story.history)->oracle == oracle::two_at_one_offset);
    }
    SECTION("an answer and a read of a topic that has gone") {
        story.store(1);
        story.read(0, {{0, {2, 1}}}, 1);
        CHECK(check_history(story.history)->oracle == oracle::two_at_one_offset);
    }
}

TEST_CASE("a read beyond the high watermark, and one with a gap, are found", "[simtest]") {
    Story story;
    story.store(1, 3);
    SECTION("beyond") {
        story.read(0, {{0, {1, 1}}, {1, {1, 2}}}, 1);
        CHECK(story.verdict() == oracle::watermark);
    }
    SECTION("gap") {
        story.read(0, {{0, {1, 1}}, {2, {1, 3}}}, 3);
        CHECK(story.verdict() == oracle::not_contiguous);
    }
}

TEST_CASE("a high watermark that falls on one connection is found", "[simtest]") {
    Story story;
    story.store(1, 3);
    story.read(0, {}, 3, 1);
    SECTION("on another connection it may") {
        story.read(0, {}, 2, 2);
        CHECK(story.verdict() == "good");
    }
    SECTION("on the same it may not") {
        story.read(0, {}, 2, 1);
        CHECK(story.verdict() == oracle::watermark);
    }
    SECTION("nor may it have been beyond the end") {
        story.read(0, {}, 4, 1);
        CHECK(story.verdict() == oracle::watermark);
    }
}

TEST_CASE("an end that leaves out what had been acknowledged is found", "[simtest]") {
    Story story;
    story.store(1, 2);
    SECTION("it may tell all") { story.ask_end(2); }
    SECTION("it may not tell less") {
        story.ask_end(1);
        CHECK(story.verdict() == oracle::stale_end);
    }
    SECTION("nor more than there ever is") {
        story.ask_end(3);
        CHECK(story.verdict() == oracle::stale_end);
    }
}

TEST_CASE("an end that leaves out what another was told is found", "[simtest]") {
    Story story;
    story.lay(story.send(1, 2)); // Nobody was told that it is stored,
    SECTION("a fetch showed it") {
        story.read(0, {}, 2);
        story.ask_end(1);
        CHECK(story.verdict() == oracle::stale_end);
    }
    SECTION("an end counted it") {
        story.ask_end(2);
        story.ask_end(1);
        CHECK(story.verdict() == oracle::stale_end);
    }
    SECTION("it was not known to anybody") {
        story.ask_end(0);
        story.ask_end(2);
        CHECK(story.verdict() == "good");
    }
}

TEST_CASE("an end that an old leader tells is found, be it right or not", "[simtest]") {
    Story story;
    story.store(1);
    story.elect(3);
    story.ask_end(1, 3);
    SECTION("while its epoch lasts") { CHECK(story.verdict() == "good"); }
    SECTION("when it was asked before the next was elected") {
        const Duration invoked = story.tick();
        story.elect(5);
        story.history.asked({9, 0, invoked, story.tick(), 1, 3});
        CHECK(story.verdict() == "good");
    }
    SECTION("when it was asked after that") {
        story.elect(5);
        story.ask_end(1, 3);
        CHECK(story.verdict() == oracle::old_leader_told);
    }
}

TEST_CASE("a log that begins late because somebody asked for it is good", "[simtest]") {
    Story story;
    story.store(1, 3);
    story.store(2, 2);
    story.store(1);
    story.read(0, {story.log.begin(), story.log.begin() + 4}, 5);
    story.remove(4); // Within the second batch.
    story.tell_start(4, 4);
    story.forget(4);
    CHECK(story.verdict() == "good");
    story.remove(Deletion::all);
    story.forget(6);
    CHECK(story.verdict() == "good");
}

TEST_CASE("a log that begins behind what anybody asked to be deleted is found", "[simtest]") {
    Story story;
    story.store(1, 3);
    story.store(1);
    story.forget(2);
    CHECK(story.verdict() == "deleted-unasked");
    story.remove(1);
    story.remove(5); // More than there is: that is refused.
    CHECK(story.verdict() == "deleted-unasked");
    story.remove(2);
    CHECK(story.verdict() == "good");
}

TEST_CASE("a log whose records may expire begins anywhere", "[simtest]") {
    Story story;
    story.store(1, 3);
    story.store(1);
    story.forget(2);
    story.history.expires("t");
    CHECK(story.verdict() == "good");
}

TEST_CASE("what was said to be deleted and is there again is found", "[simtest]") {
    Story story;
    story.store(1, 3);
    story.remove(2);
    story.tell_start(2, 2);
    CHECK(story.verdict() == "undeleted");
    story.forget(2);
    CHECK(story.verdict() == "good");
    story.tell_start(1, 2); // An answer that deletes less than was asked for.
    CHECK(story.verdict() == "undeleted");
}

TEST_CASE("a fetch that tells of a start which the log does not have is found", "[simtest]") {
    Story story;
    story.store(1, 3);
    story.read(0, {}, 3);
    story.tell_fetched_start(2);
    CHECK(story.verdict() == "undeleted");
}

TEST_CASE("a batch of an idempotent producer that is missing before another is found",
          "[simtest]") {
    Story story;
    const std::size_t one = story.send_in_sequence(1, 7, 2), two = story.send_in_sequence(1, 7, 2),
                      three = story.send_in_sequence(1, 7);
    SECTION("what is missing at the end was not stored yet") {
        story.lay(one);
        CHECK(story.verdict() == "good");
    }
    SECTION("in the middle it is a gap, told or not") {
        story.lay(one);
        story.lay(three);
        CHECK(story.verdict() == "sequence-gap");
    }
    SECTION("and at the beginning") {
        story.lay(two);
        CHECK(story.verdict() == "sequence-gap");
    }
    SECTION("unless it was deleted, perhaps") {
        story.lay(two);
        story.lay(three);
        story.remove(1);
        story.forget(1);
        CHECK(story.verdict() == "good");
    }
    SECTION("but not behind one that was not") {
        story.store(2);
        story.lay(one);
        story.lay(three);
        story.remove(1);
        story.forget(1);
        CHECK(story.verdict() == "sequence-gap");
    }
    SECTION("on whatever connections, they are in order") {
        story.lay(one);
        story.lay(three);
        story.lay(two);
        CHECK(story.verdict() == "out-of-order");
    }
    SECTION("under another id he may go on") {
        story.lay(one);
        story.lay(story.send_in_sequence(1, 8));
        CHECK(story.verdict() == "good");
    }
}

TEST_CASE("a producer who is told that the next batch is not the next is found", "[simtest]") {
    Story story;
    story.store(1);
    story.history.refused_next({1, 0, story.tick(), 5, kafka::ErrorCode::invalid_producer_epoch});
    CHECK(story.verdict() == "sequence-refused");
}

TEST_CASE("an id that two producers were given is found", "[simtest]") {
    Story story;
    story.history.given_id(1, 1000);
    story.history.given_id(2, 1001);
    CHECK(story.verdict() == "good");
    story.history.given_id(2, 1000);
    CHECK(story.verdict() == "id-given-twice");
}

TEST_CASE("of what has been deleted, too, nothing may be told in two ways", "[simtest]") {
    Story story;
    story.store(1, 2);
    story.store(2);
    story.store(1);
    story.remove(3);
    SECTION("two records at one offset") {
        story.read(0, {{0, story.log[0].ident}, {1, story.log[2].ident}}, 4);
        story.forget(3);
        CHECK(story.verdict() == "two-at-one-offset");
    }
    SECTION("and one that is still there") {
        story.read(1, {{2, story.log[3].ident}}, 4);
        story.forget(3);
        CHECK(story.verdict() == "two-at-one-offset");
    }
    SECTION("one that was refused") {
        const auto refused = story.send(3);
        story.refused(refused);
        story.forget(3);
        CHECK(story.verdict() == "good");
        story.read(0, {{0, {3, 1}}}, 4);
        CHECK(story.verdict() != "good");
    }
    SECTION("one that was acknowledged and that the log still should have") {
        story.log.pop_back();
        story.forget(3);
        CHECK(story.verdict() == "acknowledged-lost");
    }
    SECTION("a place that was told before what lay there was sent") {
        story.ask_end(5);
        story.store(1);
        story.remove(5);
        story.forget(5);
        CHECK(story.verdict() == "told-before-sent");
    }
}

// ---- Of a topic that is compacted ----

namespace {

// Records of one client at the offsets from 0 to `count`, so that the numbers 1, 8, 15 and 22 have
// the same key, and number 15 deletes it. They are at 0, 7, 14 and 21.
struct CompactedStory : Story {
    CompactedStory(int count, bool forgets) {
        history.compacts("t", forgets);
        REQUIRE(key_of({1, 1}) == key_of({1, 8}));
        REQUIRE(key_of({1, 1}) != key_of({1, 2}));
        REQUIRE(deletes_key({1, 15}));
        for (int i = 0; i < count; ++i) store(1);
    }
    std::string verdict_without(const std::vector<std::int64_t>& offsets) {
        std::erase_if(log, [&](const Fetch::Seen& record) {
            return std::ranges::find(offsets, record.offset) != offsets.end();
        });
        return verdict();
    }
    // Read from the beginning, before anything was compacted.
    void read_all() { read(0, log, static_cast<std::int64_t>(log.size())); }
};

} // namespace

TEST_CASE("a log of which compaction has left the newest of each key is good", "[simtest]") {
    CHECK(CompactedStory(22, false).verdict_without({}) == "good");
    CHECK(CompactedStory(22, false).verdict_without({0, 1, 2, 3, 4, 5, 6}) == "good");
    CompactedStory story(22, false);
    story.read_all();
    story.read(0, {{8, {1, 9}}, {21, {1, 22}}}, 22);
    CHECK(story.verdict_without({0, 1, 2, 3, 4, 5, 6, 7, 14}) == "not-contiguous");
    CompactedStory other(22, false);
    other.read_all();
    other.read(3, {{8, {1, 9}}, {9, {1, 10}}}, 22);
    CHECK(other.verdict_without({0, 1, 2, 3, 4, 5, 6, 7, 14}) == "good");
    // It has forgotten what deleted a key, and all before that.
    CHECK(CompactedStory(15, true).verdict_without({0, 7, 14}) == "good");
    CHECK(CompactedStory(15, true).verdict_without({0, 7}) == "good");
}

// Seed 930179: the log was read from a replica that had compacted less than the one that had
// answered a fetch before.
TEST_CASE("a fetch passes over nothing but what compaction may take", "[simtest]") {
    // All is still there in the end. Keys have records at 6, 13, 20; and 0, 7, 14, 21; and so on.
    const auto verdict_of = [](const std::vector<Fetch::Seen>& seen, std::int64_t high_watermark,
                               const std::function<void(CompactedStory&)>& change = {}) {
        CompactedStory story(22, true);
        story.read(0, seen, high_watermark);
        if (change) change(story);
        return story.verdict_without({});
    };
    std::vector<Fetch::Seen> last;
    for (std::int64_t offset = 15; offset < 22; ++offset) last.push_back({offset, {1, offset + 1}});
    CHECK(verdict_of(last, 22) == "good");
    last.erase(last.begin()); // The newest of its key.
    CHECK(verdict_of(last, 22) == "not-contiguous");
    // Somebody may have known of a newer one.
    CHECK(verdict_of(last, 22, [](auto& s) { (void)s.send(1, 7); }) == "good");
    // What is newer was not there yet, or was none of what compaction may look at.
    CHECK(verdict_of({{7, {1, 8}}}, 8) == "not-contiguous");
    CHECK(verdict_of({{7, {1, 8}}}, 14) == "good");
    // But for what deletes its key; unless nothing is ever forgotten.
    CHECK(verdict_of({{13, {1, 14}}, {15, {1, 16}}}, 20) == "good");
    CompactedStory kept(22, false);
    kept.read(0, {{13, {1, 14}}, {15, {1, 16}}}, 20);
    CHECK(kept.verdict_without({}) == "not-contiguous");
}

// What is gone in the end was there when it was passed over.
TEST_CASE("a fetch passes over nothing that is gone too late, either", "[simtest]") {
    const std::int64_t high_watermark = GENERATE(13, 14);
    CompactedStory story(22, false);
    story.read(5, {{5, {1, 6}}, {7, {1, 8}}}, high_watermark);
    CHECK(story.verdict_without({6}) == (high_watermark > 13 ? "good" : "not-contiguous"));
}

TEST_CASE("in a compacted log a transaction that came to nothing is newer than nothing",
          "[simtest]") {
    using Told = Transaction::Outcome;
    // What of the last key is there: the older record, and the one of the transaction.
    const auto verdict_of = [](Told told, bool older, bool newer, std::int64_t passed_at = 0) {
        CompactedStory story(13, true);
        const std::size_t batch = story.send(1);
        story.lay(batch);
        story.stored(batch, 13);
        const std::size_t transaction = story.history.begun(Transaction());
        story.history.has_part(transaction, batch);
        story.history.ended(transaction, told);
        const std::int64_t end = 14;
        story.log.push_back({end, marker_ident(0, end, told == Told::committed)});
        if (passed_at > 0) story.read(5, {{5, {1, 6}}, {7, {1, 8}}}, passed_at);
        std::vector<std::int64_t> gone;
        if (!older) gone.push_back(6);
        if (!newer) gone.push_back(13);
        return story.verdict_without(gone);
    };
    CHECK(verdict_of(Told::committed, false, true) == "good");
    CHECK(verdict_of(Told::committed, true, false) == "newest-lost");
    CHECK(verdict_of(Told::aborted, true, true) == "good");
    CHECK(verdict_of(Told::aborted, true, false) == "good");
    CHECK(verdict_of(Told::aborted, false, true) == "newest-lost");
    // Nobody knows: but either of them is there.
    CHECK(verdict_of(Told::unknown, true, false) == "good");
    CHECK(verdict_of(Told::unknown, false, true) == "good");
    CHECK(verdict_of(Told::unknown, false, false) == "newest-lost");
    // Nor does it let anybody pass over what is older.
    CHECK(verdict_of(Told::committed, true, true, 15) == "good");
    CHECK(verdict_of(Told::aborted, true, true, 15) == "not-contiguous");
}

TEST_CASE("markers of a compacted log may be gone, and say nothing of others then", "[simtest]") {
    const bool is_compacted = GENERATE(true, false);
    History history;
    if (is_compacted) history.compacts("t", true);
    Transaction transaction;
    transaction.producer = 40;
    Produce produce;
    produce.client = 5;
    produce.partition = history.partition({"t", 0});
    produce.first_number = 1;
    produce.records = 1;
    history.has_part(history.begun(transaction), history.invoke(produce));
    history.ended(0, Transaction::Outcome::committed);
    // That of a later one, which was aborted.
    history.read_all(0, {0, {{0, {5, 1}}, {3, marker_ident(40, 3, false)}}});
    const auto finding = check_transactions(history);
    CHECK((finding ? finding->oracle : "nothing") ==
          (is_compacted ? "nothing" : oracle::transaction_untrue));
}

TEST_CASE("a compacted log may have lost its beginning as well", "[simtest]") {
    CompactedStory story(22, false);
    story.read_all();
    story.remove(9);
    story.forget(9);
    CHECK(story.verdict_without({14}) == "good");
    CompactedStory other(22, false);
    other.remove(9);
    other.forget(9);
    CHECK(other.verdict_without({21}) == "newest-lost");
    CompactedStory unasked(22, false);
    unasked.forget(9);
    CHECK(unasked.verdict_without({14}) == "deleted-unasked");
}

TEST_CASE("a compacted log without the newest record of a key is found", "[simtest]") {
    CHECK(CompactedStory(22, true).verdict_without({0, 7, 14, 21}) == "newest-lost");
    CHECK(CompactedStory(22, true).verdict_without({21}) == "newest-lost");
    CHECK(CompactedStory(14, true).verdict_without({13}) == "newest-lost");
    // What deletes a key is kept by a topic that forgets nothing.
    CHECK(CompactedStory(15, false).verdict_without({0, 7, 14}) == "newest-lost");
    // Nobody was told that it is there, but somebody has read it.
    CompactedStory story(13, true);
    story.lay(story.send(1));
    story.read_all();
    CHECK(story.verdict_without({13}) == "newest-lost");
}

TEST_CASE("a compacted log in which an old record is back is found", "[simtest]") {
    CHECK(CompactedStory(22, true).verdict_without({7, 14}) == "good");
    CHECK(CompactedStory(15, true).verdict_without({14}) == "came-back");
    CHECK(CompactedStory(15, true).verdict_without({0, 14}) == "came-back");
}

TEST_CASE("what is wrong with any log is wrong with a compacted one", "[simtest]") {
    const auto verdict_with = [](const std::function<void(CompactedStory&)>& change) {
        CompactedStory story(22, true);
        change(story);
        return story.verdict_without({0});
    };
    CHECK(verdict_with([](auto& s) { s.log[5].ident = {3, 1}; }) == "invented");
    CHECK(verdict_with([](auto& s) { s.log[9].ident = s.log[5].ident; }) == "duplicated");
    CHECK(verdict_with([](auto& s) { s.log[9].offset = 4; }) == "not-contiguous");
    CHECK(verdict_with([](auto& s) { s.log[21].offset = 25; }) == "moved");
    CHECK(verdict_with([](auto& s) { s.refused(s.send(1)), s.lay(s.send(1)); }) == "good");
    CHECK(verdict_with([](auto& s) {
              const auto refused = s.send(1);
              s.refused(refused);
              s.lay(refused);
          }) == "refused-yet-stored");
    CHECK(verdict_with([](auto& s) {
              const auto batch = s.send(1, 2);
              s.lay(batch);
              s.log.back().offset += 1;
          }) == "batch-broken");
    CHECK(verdict_with([](auto& s) { s.read(0, {{0, {1, 2}}}, 22); }) == "two-at-one-offset");
    CHECK(verdict_with([](auto& s) { s.read(0, {{30, {1, 1}}}, 31); }) == "duplicated");
    CHECK(verdict_with([](auto& s) { s.ask_end(21); }) == "stale-end");
}

TEST_CASE("a place that was told before what lies there was sent is found", "[simtest]") {
    Story story;
    const std::size_t early = story.send(1);
    SECTION("by an end") { story.ask_end(2); }
    SECTION("by a high watermark") { story.read(1, {}, 2); }
    const std::size_t late = story.send(2);
    story.lay(late);
    story.lay(early);
    CHECK(story.verdict() == oracle::told_before_sent);
}

namespace {

// A run of clients against the simplest log there is: what is laid down is committed at once. All
// that may happen to a request happens to some.
Story random_story(std::uint64_t seed) {
    Story story;
    Random random(seed);
    const std::uint64_t steps = random.between(1, 60);
    std::vector<std::size_t> open;
    for (std::uint64_t i = 0; i < steps; ++i) {
        const auto end = static_cast<std::int64_t>(story.log.size());
        const auto client = static_cast<std::int32_t>(random.between(1, 3));
        const auto records = static_cast<std::int32_t>(random.between(1, 4));
        const Acks acks = random.chance(1, 3) ? Acks::leader : Acks::all;
        switch (random.below(7)) {
        case 0: story.store(client, records, acks); break;
        case 1: story.refused(story.send(client, records, acks)); break;
        case 2: story.send(client, records, acks); break;
        case 3: open.push_back(story.send(client, records, acks)); break;
        case 4:
            if (open.empty()) break;
            story.stored(open.back(), end);
            story.lay(open.back());
            open.pop_back();
            break;
        case 5: story.ask_end(end); break;
        default: {
            if (end == 0) break;
            const std::int64_t from = random.between(0, end - 1);
            const std::int64_t to = random.between(from, end);
            story.read(from, {story.log.begin() + from, story.log.begin() + to}, end);
        }
        }
    }
    return story;
}

} // namespace

TEST_CASE("histories of a log that keeps its promises are good", "[simtest][model]") {
    rc::prop("good", [](std::uint64_t seed) { RC_ASSERT(random_story(seed).verdict() == "good"); });
}

TEST_CASE("so are they when the log forgets its beginning", "[simtest][model]") {
    rc::prop("good", [](std::uint64_t seed) {
        Story story = random_story(seed);
        const auto before =
            Random(seed).fork("cut").between(0, static_cast<std::int64_t>(story.log.size()));
        story.remove(before);
        story.tell_start(before, before);
        story.forget(before);
        RC_ASSERT(story.verdict() == "good");
    });
}

TEST_CASE("a good history in which one record is changed, dropped or repeated is not",
          "[simtest][model]") {
    rc::prop("bad", [](std::uint64_t seed) {
        Story story = random_story(seed);
        RC_PRE(!story.log.empty());
        Random random = Random(seed).fork("harm");
        const std::uint64_t place = random.below(story.log.size());
        const auto harmed = story.log.begin() + static_cast<std::int64_t>(place);
        switch (random.below(3)) {
        case 0: harmed->ident.number += 1000; break;
        case 1: harmed->ident = {}; break;
        default: story.log.push_back({static_cast<std::int64_t>(story.log.size()), harmed->ident});
        }
        RC_ASSERT(story.verdict() != "good");
    });
}

} // namespace pyralog::simtest
