// sim-tests/tool/first_difference.h
//
// Where two runs part that should be one: both go on side by side, each in a process of its own,
// and are compared record by record (io/sim/record.h) until one differs. The second has its heap
// in disorder, so that what depends on addresses comes out differently.
#pragma once

#include "sim-tests/tool/report.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace pyralog::simtest {

struct Difference {
    static constexpr std::size_t before_max = 5;
    std::vector<sim::Record> before;          // The last that both had.
    std::optional<sim::Record> first, second; // Nothing: that run had ended.
};

// A run that tells its records to `record` as it goes; the number says which of the two it is.
using RecordingRun =
    std::function<void(int number, const std::function<void(const sim::Record&)>& record)>;

// Nothing if they are the same to the end.
std::optional<Difference> first_difference(const RecordingRun& run);

// The same of a seed.
std::optional<Difference> first_difference(std::uint64_t seed, const std::string& bug);

// Several lines for people; on one line, what a report has room for.
std::string to_string(const Difference& difference);
std::string summary_of(const Difference& difference);

// Runs the seed of `report` again, and makes a failure of it if that run was another one.
void compare_with_another_run(SeedReport& report, const std::string& bug);

} // namespace pyralog::simtest
