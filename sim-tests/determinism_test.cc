// A run is a function of its seed, and the seeds that once found something still pass.
#include "sim-tests/run.h"

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
    std::ifstream file(PYRALOG_SOURCE_DIR "/sim-tests/seeds.txt");
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

TEST_CASE("a trace changes nothing", "[simtest][sim]") {
    Plan plan = draw_plan(11);
    plan.length = 1s;
    std::size_t lines = 0;
    RunOptions options;
    options.trace = [&](std::string_view) { ++lines; };
    CHECK(run_plan(plan, options).hash == run_plan(plan).hash);
    CHECK(lines > 100);
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
