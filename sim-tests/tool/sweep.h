// sim-tests/tool/sweep.h
//
// Many seeds in several processes: a run that crashes, or never ends, takes nobody with it, and is
// known by its seed. This is the tool around the simulator and no part of it: it forks, looks at
// the real clock and writes to the terminal.
#pragma once

#include "sim-tests/run.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pyralog::simtest {

// The exit codes of pyralog-sim.
enum ExitCode : int {
    exit_pass = 0,
    exit_usage = 1,
    exit_safety = 2,
    exit_liveness = 3,
    exit_not_deterministic = 4,
};

struct SweepOptions {
    std::uint64_t first = 1;
    std::optional<std::uint64_t> end; // One more than the last seed.
    std::optional<Duration> time;     // Whichever comes first.
    int jobs = 1;
    bool twice = false;                                  // Each seed again, in another process.
    bool keep_going = false;                             // After a failure.
    std::string bug;                                     // Planted in all of them.
    std::function<bool(const struct SeedReport&)> watch; // False: that is enough.
    bool quiet = false;
};

// What is known of one seed afterwards.
struct SeedReport {
    std::uint64_t seed = 0;
    int exit_code = exit_pass;
    std::string oracle, detail; // Of a failure.
    std::uint64_t event = 0;
    Duration time{0}; // Of the world.
    Duration cpu{0};
    std::uint64_t hash = 0;
    std::uint64_t bug_hits = 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> faults; // Fired and effective, by kind.
    std::uint64_t stored = 0, read = 0;
};

struct SweepReport {
    std::uint64_t seeds = 0;
    std::vector<SeedReport> failures;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> faults;
    std::map<std::string, std::uint64_t> runs_with; // Of each class of faults.
    Duration simulated{0}, cpu{0}, real{0};
    std::uint64_t stored = 0, read = 0;
};

// One seed in a process of its own, which may crash.
SeedReport run_apart(std::uint64_t seed, const std::string& bug, const std::string& trace_path);

SweepReport sweep(const SweepOptions& options);

// The one line of a failure.
std::string failure_line(const SeedReport& report, const std::string& bug);

// The table at the end of a sweep.
std::string to_table(const SweepReport& report);

} // namespace pyralog::simtest
