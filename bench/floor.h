// bench/floor.h
//
// The least that a log with three durable copies can do on this machine: a client, a leader and
// three copies, each a process, over loopback TCP. Each copy writes what has arrived into a file
// that was written before, syncs it, and says how far it is; the leader passes the bytes on, and
// answers when two of three have them. No terms, no index, no checksums: what a real
// log adds to this is its price.
#pragma once

#include "bench/bench.h"

#include <cstddef>
#include <string>

namespace pyralog::bench {

struct FloorLoad {
    std::size_t request_bytes = 1024;
    int in_flight = 1;
    Duration time{};
};

struct FloorResult {
    Samples latency; // Of each request.
    Duration taken{};
    double bytes_per_second(std::size_t request_bytes) const {
        return static_cast<double>(latency.count() * request_bytes) * 1e9 /
               static_cast<double>(taken.count());
    }
};

// Starts the processes, and ends them again. Exits with a message if the system refuses.
FloorResult run_floor(const std::string& room, const FloorLoad& load);

} // namespace pyralog::bench
