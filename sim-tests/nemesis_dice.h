// sim-tests/nemesis_dice.h
//
// How those who break things throw their dice: so that zero, of every choice, is the harmless
// outcome.
#pragma once

#include "io/sim/dice.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace pyralog::simtest {

// Zeros leave everything where it is.
template <class T>
void shuffle(sim::Dice& dice, std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i)
        std::swap(items[i - 1], items[i - 1 - static_cast<std::size_t>(dice.pick(i))]);
}

// Evenly over orders of magnitude: as often from 1 to 2 ms as from 1000 to 2000.
inline Duration scaled(sim::Dice& dice, Duration low, Duration high) {
    std::uint64_t doublings = 0;
    while (low * (std::int64_t{2} << doublings) <= high) ++doublings;
    const Duration base = low * (std::int64_t{1} << dice.pick(doublings + 1));
    return dice.between(base, std::min(high, 2 * base));
}

// As often within microseconds as within milliseconds: before anything was said or written, in the
// middle of it, or when it was done.
inline Duration soon(sim::Dice& dice) { return scaled(dice, 256ns, 17ms); }

} // namespace pyralog::simtest
