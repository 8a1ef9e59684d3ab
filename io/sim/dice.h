// io/sim/dice.h
//
// Every choice of the simulated world is thrown by a Dice, and each component, node and purpose has
// its own: one draw more in one of them changes nothing in the others, so a seed keeps most of its
// meaning while the code around it changes. All draws of a run pass through pick(), which is where
// choices can be recorded and replayed.
#pragma once

#include "core/base/random.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace pyralog::sim {

// How often, in a million.
struct Chance {
    std::uint32_t per_million = 0;
};
constexpr Chance never{0};
constexpr Chance always{1'000'000};

// How long: anything from `least` to `most`, and now and then a tail that reaches to `tail`.
struct Delay {
    Duration least{0};
    Duration most{0};
    Chance tail_chance = never;
    Duration tail{0};
};

class Dice {
public:
    Dice(const Random& root, std::string_view name) : random_(root.fork(name)) {}

    // Uniform in [0, count).
    std::uint64_t pick(std::uint64_t count) { return random_.below(count); }
    std::uint64_t between(std::uint64_t low, std::uint64_t high) {
        return low + pick(high - low + 1);
    }
    // Draws nothing where there is no choice: a fault that is off costs nothing.
    bool chance(Chance c) {
        if (c.per_million == 0) return false;
        if (c.per_million >= always.per_million) return true;
        return pick(always.per_million) < c.per_million;
    }
    bool coin() { return pick(2) == 0; }

    Duration draw(const Delay& delay) {
        if (chance(delay.tail_chance)) return between(delay.most, delay.tail);
        return between(delay.least, delay.most);
    }
    Duration between(Duration low, Duration high) {
        if (high <= low) return low;
        const auto width = static_cast<std::uint64_t>((high - low).count());
        return low + Duration(static_cast<std::int64_t>(pick(width + 1)));
    }
    std::byte byte() { return static_cast<std::byte>(pick(256)); }

private:
    Random random_;
};

} // namespace pyralog::sim
