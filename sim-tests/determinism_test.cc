// A run is a function of its seed, and the seeds that once found something still pass.
#include "core/testing/places.h"
#include "sim-tests/run.h"

#include <array>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

// A short run, with everything that the seed says but its length.
RunResult short_run(std::uint64_t seed, Duration length) {
    Plan plan = draw_plan(seed);
    plan.length = std::min(plan.length, length);
    return run_plan(plan);
}

std::vector<std::uint64_t> seeds_on_file() {
    std::ifstream file(testing::source_dir() + "/sim-tests/seeds.txt");
    REQUIRE(file);
    std::vector<std::uint64_t> seeds;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::uint64_t seed = 0;
        if (words >> seed) seeds.push_back(seed);
    }
    return seeds;
}

} // namespace

TEST_CASE("the same seed twice is the same run, and another seed is another", "[simtest][sim]") {
    std::uint64_t other = 0;
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        const RunResult first = short_run(seed, 2s);
        const RunResult second = short_run(seed, 2s);
        INFO("seed " << seed);
        CHECK(first.hash == second.hash);
        CHECK(first.event == second.event);
        CHECK(first.time == second.time);
        CHECK(first.hash != other);
        other = first.hash;
    }
}

TEST_CASE("a cluster that never answers all that is asked of it is found", "[simtest][sim]") {
    Plan plan = draw_plan(3);
    plan.nodes = 1;
    plan.classes = {};
    plan.faults = {};
    plan.nemesis = {};
    plan.length = 1s;
    // Whoever knows the broker by its address has no second connection to it as a leader.
    plan.config.kafka.connections_max = 1;
    const RunResult result = run_plan(plan);
    REQUIRE(result.finding);
    CHECK(result.finding->oracle == oracle::no_progress);
    CHECK(result.verdict == Verdict::liveness);
}

// It is heard again and cut off again in the same step: what it misses it never gets.
TEST_CASE("a replica that never comes to agree is found, and one that does is not",
          "[simtest][sim]") {
    Plan plan = draw_plan(3);
    plan.nodes = 3;
    plan.classes = {};
    plan.faults = {};
    plan.nemesis = {};
    plan.workload.topics = {{"t", 1, -1, false, false}};
    plan.length = 1s;
    const bool is_cut_off = GENERATE(false, true);
    bool is_healed = false;
    RunOptions options;
    options.trace = [&](std::string_view line) {
        if (line.find("progress is due") != line.npos) is_healed = true;
    };
    options.after_step = [&](sim::World& world) {
        if (is_healed && is_cut_off)
            world.network().isolate(NodeId(3), std::array{NodeId(1), NodeId(2)});
        return true;
    };
    const RunResult result = run_plan(plan, options);
    REQUIRE(is_healed);
    CHECK(result.finding.has_value() == is_cut_off);
    if (!is_cut_off) return;
    CHECK(result.finding->oracle == oracle::no_agreement);
    CHECK(result.verdict == Verdict::liveness);
}

TEST_CASE("a trace changes nothing", "[simtest][sim]") {
    Plan plan = draw_plan(11);
    plan.length = 1s;
    std::size_t lines = 0;
    RunOptions options;
    options.trace = [&](std::string_view) { ++lines; };
    CHECK(run_plan(plan, options).hash == run_plan(plan).hash);
    CHECK(lines > 100);
}

TEST_CASE("a whole cluster's run is replayed from its record, whatever its schedule",
          "[simtest][sim]") {
    constexpr std::array schedules{sim::Schedule::in_order, sim::Schedule::random,
                                   sim::Schedule::priorities, sim::Schedule::priorities_one_fall,
                                   sim::Schedule::priorities_two_falls};
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        Plan plan = draw_plan(seed);
        plan.length = std::min<Duration>(plan.length, 1s);
        plan.faults.schedule = schedules[seed % schedules.size()];
        sim::ChoiceList list;
        RunOptions options;
        options.choices.recorded = true;
        options.at_end = [&](sim::World& world) { list = world.choices().recorded(); };
        const RunResult plain = run_plan(plan);
        INFO("seed " << seed);
        CHECK(run_plan(plan, options).hash == plain.hash);
        // The list holds all: from another seed the dice would be others.
        RunOptions replayed;
        replayed.choices.list = &list;
        replayed.choices.seed = seed + 1;
        CHECK(run_plan(plan, replayed).hash == plain.hash);
    }
}

TEST_CASE("a run ends where somebody has seen enough", "[simtest][sim]") {
    Plan plan = draw_plan(3);
    RunOptions options;
    options.after_step = [](sim::World& world) { return world.steps() < 500; };
    const RunResult result = run_plan(plan, options);
    CHECK(result.event == 500);
    CHECK(result.verdict == Verdict::pass);
}

TEST_CASE("a plan without a class, and with less of everything, is as it was told", "[simtest]") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        PlanEdits edits;
        edits.without = {FaultClass::kills, FaultClass::rot, FaultClass::slow_links};
        edits.nodes = 3;
        edits.producers = edits.topics = edits.partitions = 1;
        edits.consumers = 0;
        edits.length = 700ms;
        edits.plain_clients = edits.plain_settings = true;
        const Plan plan = draw_plan(seed, edits);
        for (const FaultClass off : edits.without) CHECK_FALSE(plan.has(off));
        CHECK(plan.nemesis.kills == Duration{0});
        CHECK(plan.nodes == 3);
        CHECK((plan.workload.producers == 1 && plan.workload.consumers == 0));
        CHECK((plan.workload.topics.size() == 1 && plan.workload.topics[0].partitions == 1));
        CHECK_FALSE((plan.workload.vandal || plan.workload.explorer));
        CHECK(plan.length == 700ms);
        CHECK(config_of(plan, NodeId(1)).problems().empty());
    }
}

TEST_CASE("a plan is drawn from the seed alone, and each class is in about half of them",
          "[simtest]") {
    std::array<int, static_cast<std::size_t>(FaultClass::count_)> runs{};
    int without = 0;
    constexpr int seeds = 2000;
    for (int seed = 1; seed <= seeds; ++seed) {
        const Plan plan = draw_plan(static_cast<std::uint64_t>(seed));
        bool any = false;
        for (std::size_t i = 0; i < runs.size(); ++i) {
            runs[i] += plan.classes[i] ? 1 : 0;
            any = any || plan.classes[i];
        }
        without += any ? 0 : 1;
        CHECK(to_string(plan) == to_string(draw_plan(static_cast<std::uint64_t>(seed))));
        CHECK(config_of(plan, NodeId(1)).problems().empty());
    }
    for (const int count : runs) CHECK((count > seeds / 3 && count < seeds * 3 / 5));
    CHECK((without > seeds / 50 && without < seeds / 10));
}

TEST_CASE("seeds that once failed pass", "[simtest][sim]") {
    for (const std::uint64_t seed : seeds_on_file()) {
        const RunResult result = run_seed(seed);
        INFO("seed " << seed);
        if (result.finding) FAIL_CHECK(result.finding->oracle << ": " << result.finding->detail);
    }
}

} // namespace pyralog::simtest
