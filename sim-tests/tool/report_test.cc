#include "sim-tests/tool/report.h"

#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

SeedReport passed(std::uint64_t seed) {
    SeedReport report;
    report.seed = seed;
    report.event = 1000 + seed;
    report.time = 3s;
    report.cpu = 2ms;
    report.faults["kill"] = {seed, 1};
    report.faults["rot"] = {};
    report.probes["rare"] = seed % 2;
    report.whims["odd"] = {1, seed, seed / 2};
    report.excuses["group/no-majority"] = seed % 3;
    report.stored = 7;
    report.read = 9;
    return report;
}

SeedReport failed(std::uint64_t seed, int exit_code, std::string oracle, std::string detail) {
    SeedReport report = passed(seed);
    report.exit_code = exit_code;
    report.oracle = std::move(oracle);
    report.detail = std::move(detail);
    return report;
}

// As a sweep of those seeds would have it, in which some fail in one of a few ways.
SweepReport some_sweep(const std::vector<std::uint8_t>& seeds) {
    SweepReport report;
    report.commit = seeds.size() % 5 == 4 ? "b" : "a";
    report.ranges.push_back({seeds.size(), {}, 0, 1});
    report.real = Duration(1s) * static_cast<std::int64_t>(seeds.size());
    report.interrupted = seeds.size() % 7 == 6;
    for (const std::uint8_t seed : seeds) {
        if (seed % 3 != 0)
            report.add(passed(seed));
        else
            report.add(failed(seed, 2 + seed % 2, seed % 2 == 0 ? "safe" : "live",
                              "index " + std::to_string(seed) + (seed > 99 ? " late" : "")));
    }
    std::ranges::sort(report.failures, {}, &SeedReport::seed);
    return report;
}

} // namespace

TEST_CASE("a signature is the detail without its numbers", "[simtest]") {
    CHECK(signature("group 3: index 51 on nodes 2 and 2") == "group #: index # on nodes # and #");
    CHECK(signature("17") == "#");
    CHECK(signature("").empty());
    CHECK(signature("topic-0/1") == "topic-#/#");
    CHECK(signature("index 5 of term 7") == signature("index 123 of term 1"));
}

TEST_CASE("failures that look alike are one group", "[simtest]") {
    SweepReport report;
    report.add(passed(1));
    SeedReport cheap = failed(9, exit_safety, "log matching", "group 1: index 5");
    cheap.event = 3;
    report.add(failed(4, exit_safety, "log matching", "group 3: index 17"));
    report.add(cheap);
    report.add(failed(2, exit_liveness, "no-progress", "waiting for final"));
    REQUIRE(report.groups.size() == 2);
    const FailureGroup& group = report.groups.at({"log matching", "group #: index #"});
    CHECK(group.count == 2);
    CHECK(group.first.seed == 4);
    CHECK(group.cheapest.seed == 9);
    CHECK(report.exit_code == exit_safety);
    CHECK(report.seeds == 4);
    CHECK(report.failed == 3);

    const std::string table = to_table(report);
    CHECK(table.find("     2  log matching: group #: index #") != std::string::npos);
    CHECK(table.find("pyralog-sim run --seed 9\n") != std::string::npos);
    CHECK(table.find("without effect: rot\n") != std::string::npos);
}

TEST_CASE("the worst exit code is that of the worst failure", "[simtest]") {
    CHECK(worse(exit_pass, exit_pass) == exit_pass);
    CHECK(worse(exit_liveness, exit_safety) == exit_safety);
    CHECK(worse(exit_safety, exit_not_deterministic) == exit_safety);
    CHECK(worse(exit_not_deterministic, exit_liveness) == exit_liveness);
    CHECK(worse(exit_pass, exit_not_deterministic) == exit_not_deterministic);
}

TEST_CASE("merging reports is associative, and the order does not matter", "[simtest][model]") {
    rc::prop("merge", [](const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b,
                         const std::vector<std::uint8_t>& c) {
        const SweepReport one = some_sweep(a);
        const SweepReport two = some_sweep(b);
        const SweepReport three = some_sweep(c);
        RC_ASSERT(merge(one, merge(two, three)) == merge(merge(one, two), three));
        RC_ASSERT(merge(one, two) == merge(two, one));
    });
}

TEST_CASE("the shards of a sweep make up the sweep", "[simtest][model]") {
    rc::prop("shards", [](const std::vector<std::uint8_t>& seeds) {
        std::vector<std::uint8_t> even, odd;
        for (const std::uint8_t seed : seeds) (seed % 2 == 0 ? even : odd).push_back(seed);
        SweepReport all = some_sweep(seeds);
        SweepReport sum = merge(some_sweep(even), some_sweep(odd));
        sum.commit = all.commit;
        sum.ranges = all.ranges;
        sum.real = all.real;
        sum.interrupted = all.interrupted;
        RC_ASSERT(sum == all);
    });
}

TEST_CASE("a report comes back from its JSON as it was", "[simtest][model]") {
    rc::prop("json", [](const std::vector<std::uint8_t>& seeds) {
        SweepReport report = some_sweep(seeds);
        report.ranges.push_back({3, 77, 1, 2});
        std::string problem;
        const auto back = sweep_report_from(to_json(report), problem);
        RC_ASSERT(back.has_value());
        RC_ASSERT(*back == report);
    });
    std::string problem;
    const SeedReport seed = failed(5, exit_safety, "a\tb\n", "quote \" and \xff");
    const auto back = seed_report_from(to_json(seed), problem);
    REQUIRE(back);
    CHECK(back->oracle == "a\tb\n");
    CHECK(to_json(seed).find('\n') == std::string::npos);
}

TEST_CASE("what is no report is refused with a reason", "[simtest]") {
    std::string problem;
    CHECK(!sweep_report_from("", problem));
    CHECK(!sweep_report_from("[1, 2]", problem));
    CHECK(!sweep_report_from("{\"seeds\": \"many\"}", problem));
    CHECK(!problem.empty());
    CHECK(!sweep_report_from("{\"schema_version\": 99}", problem));
    CHECK(problem.find("schema_version") != std::string::npos);
}

} // namespace pyralog::simtest
