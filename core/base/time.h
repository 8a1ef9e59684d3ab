// core/base/time.h
#pragma once

#include <chrono>
#include <cstdint>

namespace pyralog {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

// Monotonic time of one node, zero when it booted. It has no now(): there is no way to learn the
// time but to ask the Environment, and no way to compare it with the time of another node.
struct NodeClock {
    using duration = Duration;
    using rep = duration::rep;
    using period = duration::period;
    static constexpr bool is_steady = true;
};
using Time = std::chrono::time_point<NodeClock, Duration>;

// Wall time, for what users see: record timestamps, retention, log lines. Never for correctness.
struct WallTime {
    std::int64_t unix_ms = 0;
    constexpr auto operator<=>(const WallTime&) const = default;
};

} // namespace pyralog
