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
