// io/sim/crash_points.h
//
// For tests of recovery: ends a scenario at each completion of a call of its disk, one run for
// each, lets the node recover, ends that at each of its completions as well, and so on, as deep as
// one likes; no point is left out. At the end of each run one life goes to its own end, and the
// subject says what it thinks of what it found.
//
// A crash comes after the effect of the call and before anybody hears of it. That it came before
// the effect is the case of the call before it, with this one in flight.
#pragma once

#include "io/sim/world.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pyralog::sim {

// The sanitizers' builds are ten times slower, and check the memory, not the rules: tests that try
// every point do less in them.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
inline constexpr bool sanitized = __has_feature(address_sanitizer);
#else
inline constexpr bool sanitized = false;
#endif

// How a life ends: its process only, or the power, and then what was not synced survives in one of
// these ways.
enum class Crash : std::uint8_t { kill, keeps_none, keeps_all, by_unit };

// One node in a world of its own.
class CrashSubject {
public:
    virtual ~CrashSubject() = default;
    virtual World& world() = 0;
    virtual NodeId node() const = 0;
    virtual void boot(std::size_t life) = 0; // Life 0 is the scenario; all others recover.
    // After the last life has ended by itself. Empty, or what is wrong.
    virtual std::string judge() = 0;
};

struct CrashPlan {
    std::function<std::unique_ptr<CrashSubject>()> make;
    // For each crash of a run, the first, the second ...: the ways that are tried at each point.
    std::vector<std::vector<Crash>> ways;
    std::uint64_t runs_max = 200'000; // With more, something is wrong with the scenario.
};

struct CrashReport {
    std::uint64_t runs = 0;
    std::vector<std::uint64_t> points; // Completions crashed at, by depth.
    std::string trouble;               // Of the first run with any, and then it stops.
};

CrashReport for_each_crash_point(const CrashPlan& plan);

} // namespace pyralog::sim
