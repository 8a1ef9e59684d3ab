// Each strike on its own, against a whole cluster: it happens, and it has its effect.
#include "sim-tests/run.h"

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

// A cluster of five in a world without any faults but those that `setup` puts there.
Plan quiet_plan(std::uint64_t seed) {
    Plan plan = draw_plan(seed);
    plan.nodes = 5;
    plan.length = 8s;
    plan.classes = {};
    plan.faults = {};
    const NemesisPlan drawn = plan.nemesis;
    plan.nemesis = {};
    plan.nemesis.election_timeout = drawn.election_timeout;
    plan.nemesis.down_most = 200ms;
    plan.workload.topics.resize(1);
    plan.workload.topics.front().replication = -1;
    plan.workload.topics.front().partitions = 1;
    return plan;
}

// The strikes of a few runs, of which all must pass.
sim::FaultCounts counts_of(const std::function<void(Plan&)>& setup,
                           FaultClass fault_class = FaultClass::count_,
                           const std::function<void(const RunResult&)>& look = {}) {
    sim::FaultCounts counts;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        Plan plan = quiet_plan(seed);
        if (fault_class != FaultClass::count_)
            plan.classes[static_cast<std::size_t>(fault_class)] = true;
        setup(plan);
        const RunResult result = run_plan(plan);
        INFO("seed " << seed);
        if (result.finding) FAIL_CHECK(result.finding->oracle << ": " << result.finding->detail);
        counts.add(result.counts);
        if (look) look(result);
    }
    return counts;
}

std::uint64_t hits_of(const RunResult& result, std::string_view probe) {
    std::uint64_t hits = 0;
    for (const sites::Count& site : result.sites)
        if (site.name == probe) hits += site.hits;
    return hits;
}

void check_effect(const sim::FaultCounts& counts, sim::Fault fault) {
    INFO(sim::to_string(fault));
    CHECK(counts.fired(fault) > 0);
    CHECK(counts.effective(fault) > 0);
}

} // namespace

TEST_CASE("a nemesis without a plan breaks nothing", "[simtest][sim]") {
    const sim::FaultCounts counts = counts_of([](Plan&) {});
    for (std::size_t i = 0; i < sim::FaultCounts::kinds; ++i) {
        const auto fault = static_cast<sim::Fault>(i);
        INFO(sim::to_string(fault));
        // Clients are killed at the end, and what they had open is closed.
        if (fault != sim::Fault::delay && fault != sim::Fault::kill && fault != sim::Fault::fenced)
            CHECK(counts.fired(fault) == 0);
    }
}

TEST_CASE("processes are ended while they recover, several times in a row", "[simtest][sim]") {
    const sim::FaultCounts counts = counts_of([](Plan& plan) {
        plan.nemesis.kills = 500ms;
        plan.nemesis.recovery_ends = {800'000};
    });
    check_effect(counts, sim::Fault::recovery_end);
    check_effect(counts, sim::Fault::nested_end);
}

TEST_CASE("who holds more memory than it may is killed", "[simtest][sim]") {
    const sim::FaultCounts counts = counts_of([](Plan& plan) { plan.nemesis.kills = 300ms; });
    check_effect(counts, sim::Fault::out_of_memory);
    CHECK(counts.fired(sim::Fault::kill) > counts.effective(sim::Fault::out_of_memory));
}

TEST_CASE("a storm ends one node again and again", "[simtest][sim]") {
    check_effect(counts_of([](Plan& plan) { plan.nemesis.restart_storms = 1s; }),
                 sim::Fault::restart_storm);
}

TEST_CASE("a rolling restart comes to every node", "[simtest][sim]") {
    const sim::FaultCounts counts =
        counts_of([](Plan& plan) { plan.nemesis.rolling_restarts = 1s; });
    check_effect(counts, sim::Fault::rolling_restart);
    CHECK(counts.fired(sim::Fault::kill) >= 5 * counts.effective(sim::Fault::rolling_restart));
}

TEST_CASE("the power of a rack goes for several nodes at one moment", "[simtest][sim]") {
    const sim::FaultCounts counts = counts_of([](Plan& plan) {
        plan.nemesis.rack_cuts = 1s;
        plan.nemesis.racks = 2;
    });
    check_effect(counts, sim::Fault::rack_cut);
    CHECK(counts.fired(sim::Fault::power_cut) > counts.fired(sim::Fault::rack_cut));
}

TEST_CASE("power cuts wait for a disk that is at work", "[simtest][sim]") {
    // Whatever was un-synced is lost, so that a cut has an effect if there was anything.
    const sim::FaultCounts counts = counts_of([](Plan& plan) {
        plan.nemesis.power_cuts = 400ms;
        plan.faults.cut_keeps_all = plan.faults.cut_by_unit = 0;
    });
    INFO(counts.effective(sim::Fault::power_cut) << " of " << counts.fired(sim::Fault::power_cut));
    CHECK(3 * counts.effective(sim::Fault::power_cut) > counts.fired(sim::Fault::power_cut));
}

TEST_CASE("a leader sleeps through the election of the next one", "[simtest][sim]") {
    const sim::FaultCounts counts = counts_of([](Plan& plan) {
        plan.length = 30s;
        plan.nemesis.pauses = 1s;
        plan.nemesis.pause_most = 10 * plan.nemesis.election_timeout;
    });
    check_effect(counts, sim::Fault::pause);
    check_effect(counts, sim::Fault::long_pause);
}

TEST_CASE("small disks fill, and then records are refused and nothing ends", "[simtest][sim]") {
    std::uint64_t refused = 0, resumed = 0;
    const sim::FaultCounts counts = counts_of(
        [](Plan& plan) {
            plan.nemesis.disk_size = 3 << 20;
            plan.config.disk.free_bytes_min = 1_MiB;
            plan.config.disk.reserve_bytes = 64_KiB;
            plan.config.journal.file_bytes = 64_KiB;
            plan.config.journal.journal_bytes_max = 512_KiB;
            plan.workload.producers = 3;
            plan.workload.think_time = 10ms;
            plan.workload.value_bytes_max = 4000;
        },
        FaultClass::count_,
        [&](const RunResult& result) {
            refused += hits_of(result, "produce/refused-for-space");
            resumed += hits_of(result, "space/enough-again");
        });
    CHECK(refused > 0);
    CHECK(resumed > 0); // The healed world has room.
    CHECK(counts.fired(sim::Fault::out_of_space) == 0);
}

TEST_CASE("a disk is lost for good, and never more than may be", "[simtest][sim]") {
    const sim::FaultCounts counts = counts_of([](Plan& plan) { plan.nemesis.lost_disks = 2s; });
    check_effect(counts, sim::Fault::lost_disk);
    CHECK(counts.fired(sim::Fault::lost_disk) == 4); // One in each run.
}

TEST_CASE("all streams between two nodes break", "[simtest][sim]") {
    check_effect(counts_of([](Plan& plan) { plan.nemesis.stream_breaks = 200ms; }),
                 sim::Fault::reset);
}

TEST_CASE("partitions of each shape come, and are in somebody's way", "[simtest][sim]") {
    sim::FaultCounts counts;
    for (int i = 0; i < 2; ++i)
        counts.add(counts_of(
            [](Plan& plan) {
                plan.nemesis.partitions = 300ms;
                plan.nemesis.partition_most = 1s;
            },
            i == 0 ? FaultClass::count_ : FaultClass::partitions)); // With ambushes.
    for (const sim::Fault fault :
         {sim::Fault::cut_split, sim::Fault::cut_one_way, sim::Fault::cut_bridge,
          sim::Fault::cut_ring, sim::Fault::cut_majority_ring, sim::Fault::cut_leader_hears,
          sim::Fault::cut_leader_speaks, sim::Fault::cut_isolate, sim::Fault::cut_flapping,
          sim::Fault::cut_swizzle, sim::Fault::cut_clients})
        check_effect(counts, fault);
}

} // namespace pyralog::simtest
