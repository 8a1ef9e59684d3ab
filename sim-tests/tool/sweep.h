// sim-tests/tool/sweep.h
//
// Many seeds in several workers. This is the tool around the simulator and no part of it: it forks,
// looks at the real clock and writes to the terminal. Ctrl-C and SIGTERM end a sweep early, with
// the report of what was done by then.
#pragma once

#include "sim-tests/tool/report.h"
#include "sim-tests/tool/worker.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace pyralog::simtest {

struct SweepOptions {
    std::uint64_t first = 1;
    std::optional<std::uint64_t> end;    // One more than the last seed.
    std::optional<Duration> time;        // Whichever comes first.
    std::uint64_t shard = 0, shards = 1; // Every `shards`th seed, from first + shard on.
    int jobs = 1;
    bool twice = false;                           // Each seed again, in another process.
    bool keep_going = false;                      // After a failure.
    std::string bug;                              // Planted in all of them.
    std::function<bool(const SeedReport&)> watch; // False: that is enough.
    bool quiet = false;
    bool perturbed = false;     // Heaps in disorder, so that addresses come in another order.
    std::optional<bool> engine; // In all of them, instead of what their plans say.
};

SweepReport sweep(const SweepOptions& options);

} // namespace pyralog::simtest
