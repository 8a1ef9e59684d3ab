// sim-tests/tool/bugs.h
//
// The planted bugs that a sweep must find, and by which oracle: a test of the tests. Each is a
// mistake that some real system has made, at the place where it would be made here.
//
// A bug counts as caught by a seed only if its place in the code was reached there and made a
// difference, an oracle that was expected of it fired, and the same seed passes without it. It must
// be caught within its budget of CPU seconds, from seed 1 on. With one job a hunt is the same each
// time, but for the seconds.
//
// Bugs of what this server cannot do yet are in the list too, with what they wait for: whoever adds
// the feature plants them.
#pragma once

#include "core/base/time.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog::simtest {

// Of CPU time. Some ten times what most of them take; what needs several faults in a row has more.
constexpr Duration bug_budget{std::chrono::seconds(60)};
constexpr Duration rare_bug_budget{std::chrono::seconds(150)};

struct PlantedBug {
    std::string_view name;
    std::string_view what;
    std::vector<std::string_view> oracles; // Any of them. None: it is not planted,
    std::string_view waits_for;            // for lack of this.
    Duration budget = bug_budget;

    bool planted() const { return waits_for.empty(); }
};

const std::vector<PlantedBug>& planted_bugs();
const PlantedBug* find_bug(std::string_view name);

struct BugOptions {
    std::string only;               // One bug; empty: all.
    std::optional<Duration> budget; // Instead of each one's own.
    std::uint64_t first_seed = 1;
    int jobs = 1;
    std::string json_path; // Also there, for programs; "-" is the standard output, alone.
};

// Which bugs there are, and which of them wait for what.
std::string list_bugs();

// Hunts each and prints the kill matrix: bug by oracle, with the seeds and the CPU seconds until it
// was caught. The exit code: exit_pass if all planted ones were, exit_usage if there is none of
// that name, else exit_safety. Only in a build with planted bugs.
int hunt_bugs(const BugOptions& options);

} // namespace pyralog::simtest
