// sim-tests/tool/why.h
//
// When did a failure become sure? A run that fails is played up to a moment, and from there in many
// branches, each of which draws everything anew from a seed of its own. Before the moment at which
// things went wrong, most branches pass; behind it, most fail with the same oracle. The first
// moment behind which nearly all do is where to look.
//
// The run is played once for each round of moments: it forks at each of them.
#pragma once

#include "sim-tests/tool/replay.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace pyralog::simtest {

// A moment of the run, and how its branches ended.
struct BranchPoint {
    std::uint64_t event = 0; // Branches begin behind it.
    int branches = 0, fails = 0;
    bool operator==(const BranchPoint&) const = default;
    bool sure(int percent) const { return branches > 0 && fails * 100 >= branches * percent; }
};

// ---- The search, on numbers alone ----

// Tells of each of these events, which rise, how its branches end.
using Branches = std::function<std::vector<BranchPoint>(const std::vector<std::uint64_t>& events)>;

struct Search {
    int percent = 90;
    std::size_t moments_per_round = 12;
    int rounds_max = 5;
};

// The first moment such that it and all that were looked at behind it are sure; nothing if not even
// the last is. `looked_at`: all moments, in order.
std::optional<BranchPoint> first_sure(std::uint64_t begin, std::uint64_t end, const Search& search,
                                      const Branches& branches,
                                      std::vector<BranchPoint>& looked_at);

// ---- Of runs ----

struct WhyOptions {
    int jobs = 1;
    int branches = 12;
    Search search;
    std::function<void(std::string_view line)> progress;
    PlayHere play = play_cluster;
};

struct Why {
    SeedReport failure;
    std::vector<BranchPoint> moments;
    std::optional<BranchPoint> first;
    std::vector<std::string> trace; // Lines around it.
};

Why why(const ChoicesFile& file, const WhyOptions& options);

} // namespace pyralog::simtest
