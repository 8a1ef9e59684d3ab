// sim-tests/tool/replay.h
//
// Replays of runs from their choices, each in a process of its own, several at once: it may crash,
// and is ended if it takes too long. What shrink and why are made of.
#pragma once

#include "sim-tests/choices_file.h"
#include "sim-tests/tool/worker.h"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pyralog::simtest {

// Plays it in this process: a cluster, unless a test has something smaller.
using PlayHere =
    std::function<SeedReport(const ChoicesFile& file, Progress* progress, RunOptions options)>;
SeedReport play_cluster(const ChoicesFile& file, Progress* progress, RunOptions options);

struct ReplayLimits {
    std::optional<Duration> simulated; // Without a failure until then, it passes.
    Duration real{60s};
    PlayHere play = play_cluster;
};

struct Replayed {
    SeedReport report;
    // What it drew, until it failed. Of a run that crashed: until the step before.
    sim::ChoiceList list;
    std::vector<sim::FaultEvent> faults;

    // Fires this oracle; empty: any.
    bool fires(const std::string& oracle) const {
        return report.exit_code != exit_pass && (oracle.empty() || report.oracle == oracle) &&
               report.oracle != "hang";
    }
};

// Of those that fail, with the record; of others, the report.
Replayed replay(const ChoicesFile& file, const ReplayLimits& limits = {});

// In order; if `enough` is there, only until one is found of which it is true and all before that
// have been tried. Nothing for those that were not.
std::vector<std::optional<Replayed>> replay_all(std::span<const ChoicesFile> files, int jobs,
                                                const ReplayLimits& limits,
                                                const std::function<bool(const Replayed&)>& enough);

// What `run --record` writes: the whole record of a run, whether it fails or not.
Replayed record(const ChoicesFile& file, const PlayHere& play = play_cluster);

} // namespace pyralog::simtest
