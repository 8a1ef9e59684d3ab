// io/sim/priorities.h
//
// Which fiber runs next in a schedule of priorities (PCT: Burckhardt and others, 2010): of those
// that are ready always the one with the highest priority, which it was given at random; and at a
// few moments, drawn beforehand, the one that runs falls below all others. Where a race needs one
// fiber to be held up at one place while others go on for as long as they like, this finds it much
// sooner than a fair choice at each step.
//
// A run is long, so all this begins anew after a window of runs, whose length is drawn, too. A
// fiber that spins until another has done something could hold that other up for ever: after many
// runs in one moment of time all take turns until time goes on.
//
// A fiber's priority is kept in the mark that it carries. In a list of choices from which all is
// missing, all priorities are equal and nobody falls: the first in the queue runs.
#pragma once

#include "io/sim/dice.h"

#include <array>
#include <cstdint>

namespace pyralog::sim {

class Priorities {
public:
    // More than what a broker does in one moment, and soon over.
    static constexpr std::uint64_t runs_at_one_time_max = 2000;
    static constexpr std::size_t falls_max = 2; // In a window.

    explicit Priorities(Choices& choices) : dice_(choices, "schedule/priorities") {}

    // Before each run. `falls`: how many in a window.
    void begin_run(std::size_t falls);
    // Of a fiber that is ready; drawn if it has none in this window.
    std::uint64_t of(std::uint64_t& mark);
    // This is the one that runs: at its end it may be the last of all.
    void runs(std::uint64_t& mark);

private:
    static constexpr std::uint64_t range = 1 << 20;

    void begin_window(std::size_t falls);

    Dice dice_;
    std::uint64_t window_ = 0; // Its number.
    std::uint64_t length_ = 0;
    std::uint64_t run_ = 0; // In the window, from 1 on.
    std::uint64_t fallen_ = 0;
    std::array<std::uint64_t, falls_max> falls_{}; // At these runs; 0: at none.
};

} // namespace pyralog::sim
