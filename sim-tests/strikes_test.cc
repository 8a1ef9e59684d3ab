// Each class of strikes that the nemesis repeats does something, whatever it counts.
#include "sim-tests/run.h"

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

struct Case {
    std::string_view name;
    Duration NemesisPlan::* mean;
    std::vector<sim::Fault> faults; // What it does to the world. Any of them is more than before.
};

sim::FaultCounts counts_of(const Plan& plan) {
    const RunResult result = run_plan(plan);
    if (result.finding) FAIL_CHECK(result.finding->oracle << ": " << result.finding->detail);
    return result.counts;
}

std::uint64_t sum(const sim::FaultCounts& counts, const std::vector<sim::Fault>& faults) {
    std::uint64_t all = 0;
    for (const sim::Fault fault : faults) all += counts.fired(fault);
    return all;
}

} // namespace

TEST_CASE("each strike that is planned strikes", "[simtest][sim]") {
    using sim::Fault;
    const std::vector<Case> cases{
        {"partitions", &NemesisPlan::partitions, {Fault::partition}},
        {"stream-breaks", &NemesisPlan::stream_breaks, {Fault::reset}},
        {"kills", &NemesisPlan::kills, {Fault::kill}},
        {"power-cuts", &NemesisPlan::power_cuts, {Fault::power_cut}},
        {"blackouts", &NemesisPlan::blackouts, {Fault::power_cut}},
        {"rack-cuts", &NemesisPlan::rack_cuts, {Fault::power_cut}},
        {"restart-storms", &NemesisPlan::restart_storms, {Fault::kill, Fault::power_cut}},
        {"rolling-restarts", &NemesisPlan::rolling_restarts, {Fault::kill}},
        {"pauses", &NemesisPlan::pauses, {Fault::pause}},
        {"hung-disks", &NemesisPlan::hung_disks, {Fault::hung_disk}},
        {"full-disks",
         &NemesisPlan::full_disks,
         {Fault::out_of_space, Fault::too_many_files, Fault::too_many_streams}},
        {"rot",
         &NemesisPlan::rot,
         {Fault::rot, Fault::unreadable_sector, Fault::lost_write, Fault::misdirected_write,
          Fault::misdirected_read, Fault::late_sync_error}},
        {"lost-disks", &NemesisPlan::lost_disks, {Fault::power_cut}},
        {"clock-jumps", &NemesisPlan::clock_jumps, {Fault::wall_jump, Fault::drift}},
    };
    Plan quiet = draw_plan(1);
    quiet.nodes = 3;
    quiet.classes = {};
    quiet.faults = {};
    quiet.nemesis = {};
    quiet.nemesis.disk_quota = 16 << 10;
    quiet.config.raft.election_timeout = 400ms; // There is a leader soon.
    quiet.config.raft.heartbeat_interval = 50ms;
    quiet.config.journal.file_bytes = 64_KiB; // So that there are new files all the time,
    quiet.workload.producers = 3;             // with enough to fill them.
    quiet.workload.think_time = 1ms;
    quiet.workload.value_bytes_max = 4000;
    quiet.nemesis.down_most = 1s;
    quiet.length = 2s;
    quiet.workload.topics.resize(1);
    quiet.workload.topics.front().replication = -1;
    const sim::FaultCounts before = counts_of(quiet);
    for (const Case& one : cases) {
        INFO(one.name);
        Plan plan = quiet;
        plan.nemesis.*one.mean = one.mean == &NemesisPlan::rot ? 50ms : 400ms;
        CHECK(sum(counts_of(plan), one.faults) > sum(before, one.faults));
    }
}

} // namespace pyralog::simtest
