// sim-tests/tool/shrink.h
//
// Makes a run that fails small, so that a person can understand it: first its plan (classes of
// faults, nodes, clients, settings, length), with many seeds of the dice for each step, because
// another plan is another run; then, in the record of the smallest that was found, its fault
// events, whole streams, and single picks. Each candidate is replayed and counts only if it fires
// the same oracle.
#pragma once

#include "sim-tests/tool/ddmin.h"
#include "sim-tests/tool/replay.h"

#include <functional>
#include <string>
#include <string_view>

namespace pyralog::simtest {

struct ShrinkOptions {
    int jobs = 1;
    Duration time{300s}; // Real. What was found until then counts.
    std::function<void(std::string_view line)> progress;
    PlayHere play = play_cluster;
};

struct Shrunk {
    ChoicesFile file;
    Replayed before, after;
    std::uint64_t replays = 0;
    bool fails = false; // False: it passed from the start, or what it fires depends on more.
};

Shrunk shrink(const ChoicesFile& file, const ShrinkOptions& options);

// ---- The steps, on data alone ----

// Each one thing less than this plan, coarse things first.
std::vector<PlanEdits> smaller_plans(std::uint64_t seed, const PlanEdits& edits);

// The list with only these of its fault events, by their order in it.
sim::ChoiceList keep_faults(const sim::ChoiceList& list, const Kept& kept);
// With only the picks of these streams, by their order in the list; fault events stay.
sim::ChoiceList keep_picks_of(const sim::ChoiceList& list, const Kept& streams);
// With only these of its picks that are not 0, by their order in it.
sim::ChoiceList keep_picks(const sim::ChoiceList& list, const Kept& kept);

} // namespace pyralog::simtest
