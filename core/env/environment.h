// core/env/environment.h
//
// All that a node may ask of the world, and the only way to ask. The code in core, raft and server
// never calls the operating system, reads a clock or draws a random number except through the
// Environment it was given. So a node is a function of its Environment, and a run of the simulator
// is a function of its seed.
//
// An Environment belongs to one node, and a node to one thread. A call that may wait suspends only
// the calling fiber, and ends early with Error::cancelled or Error::timed_out when the Scope or the
// Deadline around it says so. No call takes a timeout or a cancellation token: scope is enough.
#pragma once

#include "core/base/logger.h"
#include "core/base/metrics.h"
#include "core/base/random.h"
#include "core/env/clock.h"
#include "core/env/disk.h"
#include "core/env/fiber.h"
#include "core/env/kv_store.h"
#include "core/env/network.h"

namespace pyralog {

struct Environment {
    Clock& clock;      // What time is it?
    Disk& disk;        // Files, which survive a power cut as far as they were synced.
    Network& network;  // Byte streams, which may end after any byte.
    KvStore& kv;       // Small facts, committed in atomic batches.
    Scheduler& fibers; // Who runs next, and who waits for how long.
    Random& random;    // The only dice.
    Metrics& metrics;  // What we count.
    Logger& log;       // What we tell people.
};

} // namespace pyralog
