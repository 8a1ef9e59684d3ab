#include "io/sim/priorities.h"

#include <algorithm>

namespace pyralog::sim {

void Priorities::begin_run(std::size_t falls) {
    if (run_ == length_) begin_window(falls);
    ++run_;
}

void Priorities::begin_window(std::size_t falls) {
    CHECK(falls <= falls_max);
    ++window_;
    run_ = fallen_ = 0;
    length_ = std::uint64_t{64} << dice_.pick(8);
    falls_.fill(0);
    for (std::size_t i = 0; i < falls; ++i) falls_[i] = dice_.pick(length_ + 1);
}

// A mark is the number of the window, and the priority in it; those that fell are below
// `falls_max`.
std::uint64_t Priorities::of(std::uint64_t& mark) {
    if (mark >> 32 != window_) mark = window_ << 32 | (falls_max + dice_.pick(range));
    return mark & 0xffffffffu;
}

void Priorities::runs(std::uint64_t& mark) {
    if (std::ranges::find(falls_, run_) == falls_.end()) return;
    mark = window_ << 32 | (falls_max - 1 - std::min<std::uint64_t>(fallen_, falls_max - 1));
    ++fallen_;
}

} // namespace pyralog::sim
