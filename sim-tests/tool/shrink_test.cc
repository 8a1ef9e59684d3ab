#include "sim-tests/tool/shrink.h"

#include "io/sim/toys.h"

#include <algorithm>

#include <unistd.h>

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

// Three toy nodes and a nemesis that strikes two dozen times. Somebody must not kill node 2 and cut
// its power later.
class Toy {
public:
    Toy(const ChoicesFile& file, Progress* progress, RunOptions options, bool dies)
        : world_(file.seed, {}, options.choices), options_(std::move(options)), dies_(dies) {
        world_.set_observer([this, progress, seed = file.seed] {
            if (progress) *progress = {seed, world_.steps(), world_.now()};
            if (options_.after_step && !options_.after_step(world_)) stopped_ = true;
        });
        for (const NodeId node : nodes) start(node);
        sim::Dice dice = world_.dice("nemesis"), when = world_.dice("when");
        for (int round = 0; round < 24 && !fails_ && !stopped_; ++round) {
            world_.run_for(when.between(1ms, 10ms));
            if (!stopped_ && dice.strike("strike")) strike(dice);
        }
        if (options_.at_end) options_.at_end(world_);
    }

    SeedReport report() {
        SeedReport report;
        report.event = world_.steps();
        report.time = world_.now();
        report.hash = world_.hash();
        if (!fails_) return report;
        report.exit_code = exit_safety;
        report.oracle = "toy";
        return report;
    }

private:
    static constexpr std::array<NodeId, 3> nodes{NodeId(1), NodeId(2), NodeId(3)};

    void start(NodeId node) {
        world_.boot(node, [node](Environment& env) { return sim::toys::toy(env, node, nodes); });
    }

    void strike(sim::Dice& dice) {
        const NodeId node = nodes[dice.pick(3)];
        if (dice.pick(2) == 0) {
            world_.kill(node);
            killed_ = killed_ || node == NodeId(2);
        } else {
            world_.cut_power(node);
            fails_ = killed_ && node == NodeId(2);
            if (fails_ && dies_) _exit(7);
        }
        start(node);
    }

    sim::World world_;
    RunOptions options_;
    const bool dies_;
    bool killed_ = false, fails_ = false, stopped_ = false;
};

SeedReport play_toy(const ChoicesFile& file, Progress* progress, RunOptions options) {
    return Toy(file, progress, std::move(options), false).report();
}

// One that dies of it.
SeedReport play_fatal_toy(const ChoicesFile& file, Progress* progress, RunOptions options) {
    return Toy(file, progress, std::move(options), true).report();
}

ChoicesFile toy_file(bool listed) {
    ChoicesFile file;
    // One with something to take out.
    for (file.seed = 1;; ++file.seed) {
        const Replayed recorded = record(file, play_toy);
        if (recorded.fires("toy") && recorded.faults.size() > 5) break;
    }
    if (!listed) return file;
    file.list = record(file, play_toy).list;
    file.listed = true;
    return file;
}

} // namespace

TEST_CASE("a toy's failing run shrinks to the two strikes that it needs", "[simtest][sim]") {
    const ChoicesFile file = toy_file(true);
    ShrinkOptions options;
    options.play = play_toy;
    options.jobs = 2;
    const Shrunk shrunk = shrink(file, options);
    REQUIRE(shrunk.fails);
    CHECK(shrunk.after.faults.size() == 2);
    CHECK(shrunk.after.report.oracle == "toy");
    CHECK(shrunk.after.report.event < shrunk.before.report.event);
    // From text, in one go, the same.
    ChoicesFile again;
    REQUIRE(parse(to_string(shrunk.file, shrunk.after.faults), again).empty());
    const Replayed replayed = replay(again, {{}, 60s, play_toy});
    CHECK(replayed.report.hash == shrunk.after.report.hash);
    CHECK(replayed.fires("toy"));
    CHECK(again.list.streams.size() == 1); // All delays are the least, all turns in order.
}

TEST_CASE("nothing shrinks that passes", "[simtest][sim]") {
    ChoicesFile file = toy_file(true);
    file.list.streams.clear();
    ShrinkOptions options;
    options.play = play_toy;
    CHECK_FALSE(shrink(file, options).fails);
}

TEST_CASE("a run that crashes is recorded until the step before", "[simtest][sim]") {
    const ChoicesFile file = toy_file(false);
    const Replayed crashed = record(file, play_fatal_toy);
    CHECK(crashed.report.oracle == "crash");
    CHECK(crashed.list.struck() > 0);
    const Replayed plain = record(file, play_toy);
    CHECK(plain.faults.size() >= crashed.faults.size());
    CHECK(plain.report.event - crashed.report.event < 2);
}

TEST_CASE("of candidates the first that fires the oracle is found, and none behind it",
          "[simtest][sim]") {
    const ChoicesFile fails = toy_file(false);
    ChoicesFile passes = fails;
    passes.listed = true;
    const std::vector<ChoicesFile> files{passes, fails, fails, passes};
    const auto fires = [](const Replayed& replayed) { return replayed.fires("toy"); };
    for (const int jobs : {1, 3}) {
        const auto results = replay_all(files, jobs, {{}, 60s, play_toy}, fires);
        REQUIRE(results.size() == 4);
        CHECK((results[0] && !results[0]->fires("toy")));
        CHECK((results[1] && results[1]->fires("toy")));
        // Several at once may have got that far before the second one was over.
        if (jobs == 1) CHECK_FALSE(results[3]);
    }
    const auto all = replay_all(files, 2, {{}, 60s, play_toy}, {});
    CHECK(std::ranges::all_of(all, [](const auto& result) { return result.has_value(); }));
}

TEST_CASE("a replay is ended when it has gone on for too long", "[simtest][sim]") {
    const auto forever = [](const ChoicesFile&, Progress*, RunOptions) -> SeedReport {
        for (;;) {
        }
    };
    const Replayed replayed = replay(toy_file(false), {{}, 100ms, forever});
    CHECK(replayed.report.oracle == "hang");
    CHECK_FALSE(replayed.fires(""));
    // Of the world's time, too.
    CHECK_FALSE(replay(toy_file(false), {Duration(1ms), 60s, play_toy}).fires("toy"));
}

TEST_CASE("what is taken out of a list is gone, and the rest is as it was", "[simtest]") {
    sim::ChoiceList list;
    REQUIRE(sim::parse_stream("stream a: 1 /2 ! 7 8 /", list).empty());
    REQUIRE(sim::parse_stream("stream b: ! 5 ! 6 -3", list).empty());
    const auto text = [](const sim::ChoiceList& of) {
        std::string lines;
        for (const auto& [name, choices] : of.streams) lines += to_string(name, choices) + '|';
        return lines;
    };
    CHECK(text(keep_faults(list, {0, 1, 2})) == "stream a: 1 /2 ! 7 8|stream b: ! 5 ! 6|");
    CHECK(text(keep_faults(list, {2})) == "stream a: 1 /3 7 8|stream b: / 5 ! 6|");
    CHECK(text(keep_picks_of(list, {1})) == "stream a: - /2 !|stream b: ! 5 ! 6|");
    CHECK(text(keep_picks_of(list, {})) == "stream a: - /2 !|stream b: ! - !|");
    CHECK(text(keep_picks(list, {1, 4})) == "stream a: - /2 ! 7|stream b: ! - ! 6|");
    CHECK(text(keep_picks(keep_faults(list, {}), {})).empty());
}

TEST_CASE("each smaller plan is smaller, and in the end none is left", "[simtest]") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        PlanEdits edits;
        int steps = 0;
        for (auto next = smaller_plans(seed, edits); !next.empty();
             next = smaller_plans(seed, edits)) {
            CHECK(std::ranges::find(next, edits) == next.end());
            edits = next.back();
            REQUIRE(++steps < 60);
        }
        const Plan least = draw_plan(seed, edits);
        CHECK(std::ranges::count(least.classes, true) == 0);
        CHECK(least.nodes == 1);
        CHECK(least.length <= 500ms);
    }
}

} // namespace pyralog::simtest
