#include "sim-tests/tool/first_difference.h"

#include "io/sim/world.h"
#include "sim-tests/tool/sweep.h"

#include <algorithm>
#include <array>
#include <set>

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

struct Peer {
    int number = 0;
};

// A node that writes a file for each of its peers. If `by_address`, in the order of a set of
// pointers, which is that in which the peers happen to lie in memory.
void small_world(bool by_address, bool other_way, const Ears& ears) {
    std::array<Peer, 4> memory;
    for (std::size_t i = 0; i < memory.size(); ++i)
        memory[other_way ? memory.size() - 1 - i : i].number = static_cast<int>(i);
    std::set<const Peer*> peers;
    for (const Peer& peer : memory) peers.insert(&peer);
    sim::World world(7);
    world.set_recorder(ears.record);
    world.set_listener(
        [&](const sim::TraceEvent& event) { ears.line(event.step, to_line(event)); });
    world.boot(NodeId(1), [&](Environment& env) {
        (void)env.fibers.sleep_until(env.clock.now() + 1ms);
        for (std::size_t i = 0; i < memory.size(); ++i) {
            const Peer* peer = *std::next(peers.begin(), static_cast<std::ptrdiff_t>(i));
            const int number = by_address ? peer->number : static_cast<int>(i);
            (void)env.disk.create_directory("peer-" + std::to_string(number));
        }
    });
    world.run_for(1s);
}

RecordingRun in_two_places(bool by_address) {
    return
        [by_address](int number, const Ears& ears) { small_world(by_address, number == 2, ears); };
}

} // namespace

TEST_CASE("two runs that are one have no difference", "[simtest][sim]") {
    CHECK(!first_difference(in_two_places(false)));
    CHECK(!first_difference(3, {}));
}

TEST_CASE("the order of a set of pointers is found, with the first event that shows it",
          "[simtest][sim]") {
    const auto difference = first_difference(in_two_places(true));
    REQUIRE(difference);
    REQUIRE((difference->first && difference->second));
    // The boot, the first runs and the expiry are the same; the first call for a peer is not.
    CHECK(difference->first->step == static_cast<std::uint64_t>(sim::Step::file_call));
    CHECK(difference->first->index == difference->second->index);
    CHECK(difference->first->node == 1);
    CHECK(difference->first->payload != difference->second->payload);
    REQUIRE(!difference->before.empty());
    CHECK(difference->before.back().index + 1 == difference->first->index);
    const std::string text = to_string(*difference);
    CHECK(text.find("file_call") != std::string::npos);
    CHECK(text.find("first:  #") != std::string::npos);
    // And what that was, in words.
    CHECK(difference->first->event == difference->second->event);
    CHECK(difference->first->event > difference->before.front().event);
    const auto names = [](const std::vector<std::string>& lines, const std::string& what) {
        return std::ranges::any_of(
            lines, [&](const std::string& line) { return line.find(what) != line.npos; });
    };
    CHECK(names(difference->first_did, "peer-0"));
    CHECK(names(difference->second_did, "peer-3"));
    CHECK_FALSE(names(difference->first_did, "peer-3"));
    const std::string summary = summary_of(*difference);
    CHECK(summary.starts_with("first differing event " + std::to_string(difference->first->event) +
                              " at 0.00"));
}

TEST_CASE("a run that ends before the other differs where it ends", "[simtest][sim]") {
    const auto difference = first_difference([](int number, const Ears& ears) {
        sim::World world(7);
        world.set_recorder(ears.record);
        world.boot(NodeId(1), [&](Environment& env) {
            const int count = number == 1 ? 3 : 2;
            for (int i = 0; i < count; ++i) (void)env.fibers.sleep_until(env.clock.now() + 1ms);
        });
        world.run_for(1s);
    });
    REQUIRE(difference);
    CHECK(difference->first != difference->second);
}

TEST_CASE("shards share out the seeds of a sweep", "[simtest][sim]") {
    std::map<std::uint64_t, int> seen;
    SweepReport sum;
    for (std::uint64_t shard = 0; shard < 3; ++shard) {
        SweepOptions options;
        options.first = 10;
        options.end = 17;
        options.shard = shard;
        options.shards = 3;
        options.jobs = 2;
        options.quiet = true;
        options.watch = [&](const SeedReport& report) { return ++seen[report.seed] == 1; };
        const SweepReport report = sweep(options);
        sum = shard == 0 ? report : merge(sum, report);
    }
    CHECK(seen.size() == 7);
    CHECK(seen.begin()->first == 10);
    CHECK(sum.seeds == 7);
    CHECK(sum.exit_code == exit_pass);
    REQUIRE(sum.ranges.size() == 3);
    CHECK(sum.ranges[2].shard == 2);
}

} // namespace pyralog::simtest
