// sim-tests/tool/first_difference.h
//
// Where two runs part that should be one: both go on side by side, each in a process of its own,
// and are compared record by record (io/sim/record.h) until one differs; what each of them did in
// that event is told in words as well. The second has its heap in disorder, so that what depends on
// addresses comes out differently.
#pragma once

#include "sim-tests/tool/report.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog::simtest {

namespace oracle {
// A seed was run twice, and the two were not the same.
inline constexpr std::string_view not_deterministic = "determinism";
} // namespace oracle

struct Difference {
    static constexpr std::size_t before_max = 5;
    static constexpr std::size_t lines_max = 12;
    std::vector<sim::Record> before;          // The last that both had.
    std::optional<sim::Record> first, second; // Nothing: that run had ended.
    // What each run did in the event of its record, up to so many lines.
    std::vector<std::string> first_did, second_did;
};

// What a run tells as it goes: its records, and, if it can, in words what happens in each event.
struct Ears {
    std::function<void(const sim::Record& record)> record;
    std::function<void(std::uint64_t event, const std::string& line)> line;
};
// The number says which of the two it is.
using RecordingRun = std::function<void(int number, const Ears& ears)>;

// Nothing if they are the same to the end.
std::optional<Difference> first_difference(const RecordingRun& run);

// The same of a seed, with this disorder of the second's heap.
std::optional<Difference> first_difference(std::uint64_t seed, const std::string& bug,
                                           int disorder = 1);

// Several lines for people; on one line, what a report has room for.
std::string to_string(const Difference& difference);
std::string summary_of(const Difference& difference);

// Runs the seed of `report` again, so often at most, each time with another disorder of the heap,
// and makes a failure of it if a run was another one. Returns the difference that the failure
// tells: two more runs may part in another event.
std::optional<Difference> compare_with_other_runs(SeedReport& report, const std::string& bug,
                                                  int runs);

} // namespace pyralog::simtest
