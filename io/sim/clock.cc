#include "io/sim/clock.h"

#include <algorithm>

namespace pyralog::sim {

namespace {
constexpr std::int64_t million = 1'000'000;
} // namespace

NodeTime::NodeTime(Timeline& timeline, NodeId node)
    : timeline_(timeline), node_(node),
      dice_(timeline.root, "node/" + std::to_string(node.value) + "/clock"),
      base_world_(timeline.now()), base_wall_(timeline.now()) {
    const Faults& faults = timeline.faults;
    if (faults.wall_offset_most > Duration{0}) {
        const Duration most = faults.wall_offset_most;
        jump_wall(dice_.either_way(most));
    }
    if (faults.drift_ppm_most > 0) {
        const auto most = static_cast<std::int64_t>(faults.drift_ppm_most);
        set_drift(dice_.either_way(most));
    }
}

void NodeTime::boot() {
    base_wall_ += elapsed(timeline_.now());
    base_world_ = timeline_.now();
    ++changes_;
    Duration offset = dice_.between(Duration{0}, timeline_.faults.monotonic_offset_most);
    if (offset > Duration{0} && !timeline_.inject(Fault::clock_offset)) offset = Duration{0};
    if (offset > Duration{0}) timeline_.counts.effect(Fault::clock_offset);
    base_local_ = Time(offset);
}

void NodeTime::set_drift(std::int64_t ppm) {
    CHECK(ppm >= -drift_ppm_max && ppm <= drift_ppm_max);
    if (!timeline_.inject(Fault::drift)) return;
    const Duration passed = elapsed(timeline_.now());
    base_local_ += passed;
    base_wall_ += passed;
    base_world_ = timeline_.now();
    drift_ppm_ = ppm;
    ++changes_;
    timeline_.record(Step::clock, node_.value, static_cast<std::uint64_t>(ppm));
}

void NodeTime::limit_drift(std::int64_t ppm_max) {
    const std::int64_t limited = std::clamp(drift_ppm_, -ppm_max, ppm_max);
    if (limited != drift_ppm_) set_drift(limited);
}

void NodeTime::jump_wall(Duration by) {
    if (!timeline_.inject(Fault::wall_jump)) return;
    base_wall_ += by;
    ++jumps_;
    timeline_.record(Step::clock, node_.value, static_cast<std::uint64_t>(by.count()), 1);
}

void NodeTime::freeze_wall(Duration until) {
    if (!timeline_.inject(Fault::wall_freeze)) return;
    frozen_wall_ = wall();
    wall_frozen_until_ = std::max(wall_frozen_until_, until);
    timeline_.record(Step::clock, node_.value, static_cast<std::uint64_t>(until.count()), 2);
}

Duration NodeTime::elapsed(Duration world) const {
    const std::int64_t passed = (world - base_world_).count();
    if (drift_ppm_ == 0) return Duration(passed);
    const auto scaled = static_cast<__int128>(passed) * (million + drift_ppm_) / million;
    return Duration(static_cast<std::int64_t>(scaled));
}

Time NodeTime::local() const {
    if (drift_ppm_ != 0 && timeline_.now() > base_world_) timeline_.counts.effect(Fault::drift);
    return base_local_ + elapsed(timeline_.now());
}

WallTime NodeTime::wall() const {
    if (timeline_.now() < wall_frozen_until_) {
        timeline_.counts.effect(Fault::wall_freeze);
        return frozen_wall_;
    }
    for (; jumps_ > 0; --jumps_) timeline_.counts.effect(Fault::wall_jump);
    const Duration since = base_wall_ + elapsed(timeline_.now());
    return {wall_begin_ms + std::chrono::floor<std::chrono::milliseconds>(since).count()};
}

Duration NodeTime::world_moment(Time time) const {
    // A time that no run reaches stays out of reach, and out of the arithmetic's way.
    constexpr std::int64_t far = std::int64_t{1} << 61;
    const std::int64_t wanted = (time - base_local_).count();
    if (wanted <= 0) return timeline_.now();
    if (wanted >= far) return Duration(far);
    std::int64_t passed = wanted;
    if (drift_ppm_ != 0) {
        const std::int64_t pace = million + drift_ppm_;
        passed =
            static_cast<std::int64_t>((static_cast<__int128>(wanted) * million + pace - 1) / pace);
    }
    return std::max(timeline_.now(), base_world_ + Duration(passed));
}

} // namespace pyralog::sim
