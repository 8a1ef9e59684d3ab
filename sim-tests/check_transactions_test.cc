// Transactions that are not what they were said to be are found.
#include "sim-tests/check_transactions.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::simtest;

namespace {

// One transaction of the producer 40, of a batch in each of two partitions, at offset 0.
struct Run {
    History history;
    std::vector<Fetch::Seen> logs[2];

    Run() {
        Transaction transaction;
        transaction.client = 5;
        transaction.id = "id";
        transaction.epoch = 3;
        transaction.producer = 40;
        history.begun(transaction);
        for (std::int32_t partition = 0; partition < 2; ++partition) {
            Produce produce;
            produce.client = 5;
            produce.partition = history.partition({"log", partition});
            produce.first_number = 1 + partition;
            produce.records = 1;
            history.has_part(0, history.invoke(produce));
            logs[partition].push_back({0, {5, 1 + partition}});
        }
    }
    void mark(int partition, bool commits, std::int64_t producer = 40) {
        const auto offset = static_cast<std::int64_t>(logs[partition].size());
        logs[partition].push_back({offset, marker_ident(producer, offset, commits)});
    }
    std::string_view found() {
        for (std::int32_t partition = 0; partition < 2; ++partition)
            history.read_all(partition, {0, logs[partition]});
        const auto finding = check_transactions(history);
        return finding ? finding->oracle : "nothing";
    }
};

using Told = Transaction::Outcome;

} // namespace

TEST_CASE("a marker says whose transaction it ends, and how", "[simtest]") {
    const auto marker = marker_of(marker_ident(40, 7, true));
    REQUIRE(marker);
    CHECK((marker->producer == 40 && marker->commits));
    CHECK_FALSE(marker_of(marker_ident(0, 7, false))->commits);
    CHECK_FALSE(marker_of({5, 1}));
    CHECK_FALSE(marker_of(Ident()));
}

TEST_CASE("a transaction counts in all its partitions or in none", "[simtest]") {
    const bool one = GENERATE(true, false);
    const bool other = GENERATE(true, false);
    Run run;
    run.mark(0, one);
    run.mark(1, other, 41); // Another's.
    run.mark(1, other);
    CHECK(run.found() == (one == other ? "nothing" : oracle::transaction_torn));
}

TEST_CASE("a transaction is what its producer was told", "[simtest]") {
    const bool commits = GENERATE(true, false);
    const Told told = GENERATE(Told::committed, Told::aborted, Told::unknown);
    Run run;
    run.mark(0, commits);
    run.history.ended(0, told);
    const bool is_true = told == Told::unknown || (told == Told::committed) == commits;
    CHECK(run.found() == (is_true ? "nothing" : oracle::transaction_untrue));
}

TEST_CASE("what does not count is not read with read_committed", "[simtest]") {
    const bool commits = GENERATE(true, false);
    Run run;
    run.mark(0, commits);
    run.mark(1, commits);
    run.history.saw_counting({9, 0, {{0, {5, 1}}}});
    CHECK(run.found() == (commits ? "nothing" : oracle::uncommitted_read));
}

TEST_CASE("what somebody has begun after has come to an end", "[simtest]") {
    const bool is_settled = GENERATE(true, false);
    Run run;
    run.mark(0, true);
    if (is_settled) run.history.settled("id");
    CHECK(run.found() == (is_settled ? oracle::transaction_hangs : "nothing"));
}

// ---- Who was fenced ----

namespace {

constexpr std::string_view heard = oracle::fenced_yet_heard;

Named named(std::int16_t epoch, Duration completed, std::int64_t producer = 40) {
    return {"id", producer, epoch, completed - 1s, completed};
}

} // namespace

TEST_CASE("who has been fenced is not heard any more", "[simtest]") {
    const auto asked = GENERATE(Duration(9s), Duration(10s), Duration(11s));
    const std::int16_t epoch = GENERATE(std::int16_t{3}, std::int16_t{4}, std::int16_t{5});
    const auto* const id = GENERATE("id", "another");
    Run run;
    run.history.named(named(4, 10s));
    run.history.taken({id, 40, epoch, "an end", asked});
    const bool is_fenced = asked > 10s && epoch < 4 && std::string_view(id) == "id";
    CHECK(run.found() == (is_fenced ? heard : "nothing"));
}

TEST_CASE("who has had an id before another producer got it is fenced", "[simtest]") {
    const auto got = GENERATE(Duration(5s), Duration(9500ms));
    Run run;
    run.history.named(named(3, got));
    run.history.named(named(0, 10s, 41));
    run.history.taken({"id", 40, 3, "an end", 11s});
    // The two were asked for at the same time: nobody knows who came first.
    CHECK(run.found() == (got == 5s ? heard : "nothing"));
}

TEST_CASE("what is first sent by who has been fenced is not stored", "[simtest]") {
    const std::int16_t epoch = GENERATE(std::int16_t{3}, std::int16_t{4});
    const auto told = GENERATE(Duration(-1), Duration(0));
    Run run; // It was sent at time zero.
    run.history.named(named(epoch, told));
    CHECK(run.found() == (epoch > 3 && told < Duration(0) ? heard : "nothing"));
}

TEST_CASE("no batch of who has been fenced lies behind one of who fenced him", "[simtest]") {
    const std::int16_t epoch = GENERATE(std::int16_t{2}, std::int16_t{3}, std::int16_t{4});
    Run run;
    Transaction later;
    later.id = "id";
    later.producer = 40;
    later.epoch = epoch;
    Produce produce;
    produce.client = 6;
    produce.partition = run.history.partition({"log", 0});
    produce.first_number = 1;
    produce.records = 1;
    run.history.has_part(run.history.begun(later), run.history.invoke(produce));
    run.logs[0].push_back({1, {6, 1}});
    CHECK(run.found() == (epoch < 3 ? heard : "nothing"));
}

// ---- Records of records ----

namespace {

// Of the first of two records in another partition a record was made, in the transaction.
struct Transform {
    Run run;
    std::int32_t input = run.history.partition({"input", 0});

    Transform() { make(0, 1); }
    void make(std::int64_t offset, std::int64_t number) {
        run.history.derived(
            {"group", input, offset, static_cast<std::int32_t>(number) - 1, {5, number}});
    }
    std::string_view found(std::int64_t end) {
        run.history.derived_up_to({"group", input, end});
        run.history.read_all(input, {0, {{0, {7, 1}}, {1, {7, 2}}}});
        return run.found();
    }
};

} // namespace

TEST_CASE("of each record that a group has passed one was made, and of no other", "[simtest]") {
    const bool commits = GENERATE(true, false);
    const std::int64_t end = GENERATE(0, 1, 2);
    Transform transform;
    transform.run.mark(0, commits);
    transform.run.mark(1, commits);
    const std::string_view passed = end == 0 ? "nothing" : oracle::derived_never;
    const std::string_view due = end == 0   ? oracle::derived_ahead
                                 : end == 1 ? "nothing"
                                            : oracle::derived_never;
    CHECK(transform.found(end) == (commits ? due : passed));
}

TEST_CASE("of one record not two are made that count", "[simtest]") {
    const bool commits = GENERATE(true, false);
    Transform transform;
    transform.make(0, 2);
    transform.run.mark(0, commits);
    transform.run.mark(1, commits);
    CHECK(transform.found(commits ? 1 : 0) == (commits ? oracle::derived_twice : "nothing"));
}

TEST_CASE("nothing is made of what does not count", "[simtest]") {
    const bool counts = GENERATE(true, false);
    Transform transform;
    transform.run.mark(0, true);
    transform.run.mark(1, true);
    Transaction other;
    other.producer = 41;
    Produce produce;
    produce.client = 7;
    produce.partition = transform.input;
    produce.first_number = 2;
    produce.records = 1;
    History& history = transform.run.history;
    history.has_part(history.begun(other), history.invoke(produce));
    history.derived_up_to({"group", transform.input, 3});
    history.read_all(transform.input,
                     {0, {{0, {7, 1}}, {1, {7, 2}}, {2, marker_ident(41, 2, counts)}}});
    CHECK(transform.run.found() == (counts ? oracle::derived_never : "nothing"));
}

TEST_CASE("where some of what was made is deleted, nothing is missing", "[simtest]") {
    const std::int64_t start = GENERATE(0, 1);
    Transform transform;
    transform.run.mark(0, false);
    transform.run.mark(1, false);
    History& history = transform.run.history;
    history.derived_up_to({"group", transform.input, 2});
    history.read_all(transform.input, {0, {{0, {7, 1}}, {1, {7, 2}}}});
    history.read_all(0, {start, transform.run.logs[0]});
    history.read_all(1, {0, transform.run.logs[1]});
    const auto finding = check_transactions(history);
    CHECK((finding ? finding->oracle : "nothing") ==
          (start == 0 ? oracle::derived_never : "nothing"));
}
