// io/sim/clock.h
//
// A node's idea of the time: the world's, off by a pace of its own. All in integers, so that the
// way there and back meet: the world's moment of a node's time is the first at which the node shows
// it.
#pragma once

#include "core/env/clock.h"
#include "io/sim/timeline.h"

namespace pyralog::sim {

// Belongs to a node, and survives its boots: each boot starts the monotonic clock anew.
class NodeTime {
public:
    // A slower clock than this would stand still, a faster one is broken and not drifting.
    static constexpr std::int64_t drift_ppm_max = 500'000;
    // What the wall clock of a node without faults shows when the world begins.
    static constexpr std::int64_t wall_begin_ms = 1'767'225'600'000; // 2026-01-01

    NodeTime(Timeline& timeline, NodeId node);

    void boot(); // The monotonic clock starts at zero, or at a drawn offset.
    void set_drift(std::int64_t ppm);
    void limit_drift(std::int64_t ppm_max); // If it is more, either way.
    void jump_wall(Duration by);
    // The wall clock stands still until that moment of the world, and then shows the time again.
    void freeze_wall(Duration until);

    Time local() const;
    WallTime wall() const;
    // The first moment of the world at which local() is `time` or later. Never before now.
    Duration world_moment(Time time) const;
    // What world_moment() said is void once this has changed.
    std::uint64_t changes() const { return changes_; }

private:
    Duration elapsed(Duration world) const; // On this clock, since base_world_.

    Timeline& timeline_;
    NodeId node_;
    Dice dice_;
    std::int64_t drift_ppm_ = 0;
    Duration base_world_{0}; // At this moment of the world
    Time base_local_{};      // the monotonic clock showed this,
    std::uint64_t changes_ = 0;
    Duration base_wall_{0}; // and the wall clock this, since wall_begin_ms.
    Duration wall_frozen_until_{0};
    WallTime frozen_wall_{};
    mutable std::uint64_t jumps_ = 0; // That nobody has noticed yet.
};

class SimClock final : public Clock {
public:
    explicit SimClock(const NodeTime& time) : time_(time) {}
    Time now() const override { return time_.local(); }
    WallTime wall() const override { return time_.wall(); }

private:
    const NodeTime& time_;
};

} // namespace pyralog::sim
