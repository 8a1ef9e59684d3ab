// sim-tests/tool/quarantine.h
//
// What a sweep has to have seen: each probe reached, each whim fired, each fault effective, each
// class of faults in a run. Exceptions are in one list, each with its reason; a sweep shows them.
#pragma once

#include "sim-tests/tool/report.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog::simtest {

struct Excused {
    std::string_view name; // "probe/...", "whim/..." or "fault/...".
    std::string_view reason;
};
std::span<const Excused> quarantine();

// By name, those that were not seen and are not excused. Empty: all is well.
std::vector<std::string> untested(const SweepReport& report);

// For the table at the end of a sweep: how many there are, and which were not seen.
std::string site_table(const SweepReport& report);
// All of them, with their counts.
std::string all_sites(const SweepReport& report);

} // namespace pyralog::simtest
