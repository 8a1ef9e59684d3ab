// sim-tests/tool/report.h
//
// What is known of a run, and of many, after them: as numbers, as JSON and as a table. Reports of
// sweeps on several machines are merged into one; it does not matter in which order.
//
// Failures are put together by what they look like: the oracle, and its detail with all numbers
// taken out. A group keeps how many there were, the first seed and the cheapest to look at.
#pragma once

#include "sim-tests/run.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pyralog::simtest {

// The exit codes of pyralog-sim.
enum ExitCode : int {
    exit_pass = 0,
    exit_usage = 1,
    exit_safety = 2,
    exit_liveness = 3,
    exit_not_deterministic = 4,
    exit_interrupted = 5, // Somebody ended a sweep that had found nothing.
    exit_untested = 6,    // Nothing was found, but something was never tried: quarantine.h.
};

// The worse of two: a lost record is worse than a late one.
int worse(int one, int other);

struct Count {
    std::uint64_t fired = 0, effective = 0;
    bool operator==(const Count&) const = default;
};

// Of a whim (core/base/buggify.h).
struct WhimCount {
    std::uint64_t active = 0; // Runs.
    std::uint64_t asked = 0, fired = 0;
    bool operator==(const WhimCount&) const = default;
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
    std::map<std::string, Count> faults;         // By kind.
    std::map<std::string, std::uint64_t> probes; // How often each was reached.
    std::map<std::string, WhimCount> whims;
    std::map<std::string, std::uint64_t> excuses; // By kind: sim-tests/excuse.h.
    std::uint64_t stored = 0, read = 0;
    bool operator==(const SeedReport&) const = default;
};

// `detail` with each number in it replaced by #.
std::string signature(const std::string& detail);

struct FailureGroup {
    std::uint64_t count = 0;
    SeedReport first;    // The least seed.
    SeedReport cheapest; // The fewest events.
    bool operator==(const FailureGroup&) const = default;
};

// The seeds of a sweep: every `shards`th of them, from `first` + `shard` on.
struct Range {
    std::uint64_t first = 1;
    std::optional<std::uint64_t> end; // Not included. Nothing: until the time was over.
    std::uint64_t shard = 0, shards = 1;
    auto operator<=>(const Range&) const = default;
};

struct SweepReport {
    static constexpr int schema_version = 1;
    static constexpr std::size_t failures_max = 1000; // Those with the least seeds are kept.

    std::string commit, bug; // "several" if merged from different ones.
    std::vector<Range> ranges;
    bool interrupted = false;
    std::uint64_t seeds = 0, failed = 0;
    int exit_code = exit_pass; // The worst of all.
    std::vector<SeedReport> failures;
    std::map<std::pair<std::string, std::string>, FailureGroup> groups; // By oracle and signature.
    std::map<std::string, Count> faults;
    std::map<std::string, std::uint64_t> probes;
    std::map<std::string, WhimCount> whims;
    std::map<std::string, std::uint64_t> excuses;
    std::map<std::string, std::uint64_t> runs_with; // Of each class of faults.
    Duration simulated{0}, cpu{0};
    Duration real{0}; // From beginning to end; of several, the longest.
    std::uint64_t stored = 0, read = 0;
    bool operator==(const SweepReport&) const = default;

    void add(const SeedReport& seed);
};

// Both together: merge() is associative, and what it is called with first does not matter.
SweepReport merge(const SweepReport& one, const SweepReport& other);

// ---- As text ----

inline double seconds(Duration time) { return static_cast<double>(time.count()) / 1e9; }

std::string to_json(const SeedReport& report); // On one line.
std::string to_json(const SweepReport& report);
// Nothing if it is not such a report, or one of a later schema; `problem` says why.
std::optional<SeedReport> seed_report_from(const std::string& json, std::string& problem);
std::optional<SweepReport> sweep_report_from(const std::string& json, std::string& problem);

// How to see it again.
std::string replay_command(const SeedReport& report, const std::string& bug);
// The one line of a failure.
std::string failure_line(const SeedReport& report, const std::string& bug);
// The same with another command.
std::string failure_told(const SeedReport& report, const std::string& replay);
// The table at the end of a sweep.
std::string to_table(const SweepReport& report);

// From which commit this program was built.
std::string built_from();

} // namespace pyralog::simtest
