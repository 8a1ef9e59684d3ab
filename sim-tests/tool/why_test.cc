#include "sim-tests/tool/why.h"

#include <algorithm>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

namespace pyralog::simtest {
namespace {

// Branches behind `sure` fail, those before it do now and then.
Branches fail_behind(std::uint64_t sure, int* rounds = nullptr) {
    return [=](const std::vector<std::uint64_t>& events) {
        if (rounds) ++*rounds;
        std::vector<BranchPoint> moments;
        for (const std::uint64_t event : events)
            moments.push_back({event, 10, event >= sure ? 10 : static_cast<int>(event % 5)});
        return moments;
    };
}

// Ten ticks. At the fourth a coin is thrown, nine times in ten for the better; if not, that shows
// at the ninth.
SeedReport play_ticks(const ChoicesFile& file, Progress* progress, RunOptions options) {
    sim::World world(file.seed, {}, options.choices);
    if (options.trace) world.set_trace(options.trace);
    bool wrong = false, failed = false, stopped = false;
    world.set_observer([&] {
        if (progress) *progress = {};
        if (options.after_step && !options.after_step(world)) stopped = true;
    });
    sim::Dice dice = world.dice("tick");
    for (int tick = 1; tick <= 10; ++tick)
        world.plan(Duration(1ms) * tick, [&, tick] {
            world.trace("tick " + std::to_string(tick));
            const bool bad = dice.pick(10) >= 9;
            if (tick == 4) wrong = bad;
            if (tick == 9) failed = wrong;
        });
    (void)world.run_until(1s, [&] { return failed || stopped; });
    if (options.at_end) options.at_end(world);
    SeedReport report;
    report.event = world.steps();
    report.time = world.now();
    if (failed) {
        report.exit_code = exit_safety;
        report.oracle = "ticks";
    }
    return report;
}

} // namespace

TEST_CASE("the first moment that is sure is found, to the event", "[simtest][model]") {
    rc::prop("first_sure", [] {
        const auto end = *rc::gen::inRange<std::uint64_t>(1, 100'000);
        const auto sure = *rc::gen::inRange<std::uint64_t>(1, end + 1);
        int rounds = 0;
        std::vector<BranchPoint> looked_at;
        const auto first = first_sure(0, end, {}, fail_behind(sure, &rounds), looked_at);
        RC_ASSERT(first.has_value());
        RC_ASSERT(first->event == sure);
        RC_ASSERT(rounds <= 5);
        RC_ASSERT(std::ranges::is_sorted(looked_at, {}, &BranchPoint::event));
    });
}

TEST_CASE("if not even the last moment is sure, none is", "[simtest]") {
    std::vector<BranchPoint> looked_at;
    CHECK_FALSE(first_sure(0, 1000, {}, fail_behind(2000), looked_at));
    CHECK(looked_at.size() == 12);
}

TEST_CASE("sure moments before one that is not do not count", "[simtest]") {
    std::vector<BranchPoint> looked_at;
    const auto first = first_sure(
        0, 1200, {},
        [](const std::vector<std::uint64_t>& events) {
            std::vector<BranchPoint> moments;
            for (const std::uint64_t event : events)
                moments.push_back({event, 10, event < 300 || event >= 700 ? 10 : 0});
            return moments;
        },
        looked_at);
    REQUIRE(first);
    CHECK(first->event == 700);
}

TEST_CASE("a toy's failure was sure once its coin had fallen, and not before", "[simtest][sim]") {
    ChoicesFile file;
    WhyOptions options;
    options.play = play_ticks;
    options.branches = 20;
    options.jobs = 2;
    // A seed whose coin fell for the worse.
    while (play_ticks(file, nullptr, {}).exit_code == exit_pass) ++file.seed;
    const Why found = why(file, options);
    CHECK(found.failure.oracle == "ticks");
    CHECK(found.failure.event == 9);
    REQUIRE(found.first);
    CHECK(found.first->event == 4);
    CHECK(found.first->fails == 20);
    for (const BranchPoint& moment : found.moments)
        if (moment.event < 4) CHECK(moment.fails < 10);
    CHECK(std::ranges::any_of(found.trace, [](const std::string& line) {
        return line.find("tick 4") != std::string::npos;
    }));
}

TEST_CASE("there is nothing to explain in a run that passes", "[simtest][sim]") {
    ChoicesFile file;
    file.listed = true;
    WhyOptions options;
    options.play = play_ticks;
    const Why found = why(file, options);
    CHECK(found.failure.exit_code == exit_pass);
    CHECK_FALSE(found.first);
}

} // namespace pyralog::simtest
