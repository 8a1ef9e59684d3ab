// io/sim/dice.h
//
// Every choice of the simulated world is thrown by a Dice, and each component, node and purpose has
// its own: one draw more in one of them changes nothing in the others, so a seed keeps most of its
// meaning while the code around it changes. A Dice throws on its stream of the run's Choices, where
// all is recorded and replayed; so draw in such a way that 0 is the harmless outcome of each pick,
// and ask chance() whether a fault strikes.
#pragma once

#include "io/sim/choices.h"

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
    // Two of the same name throw on one stream. The Choices outlive it.
    Dice(Choices& choices, std::string_view name) : stream_(&choices.stream(name)) {}

    // Uniform in [0, count).
    std::uint64_t pick(std::uint64_t count) { return stream_->pick(count); }
    std::uint64_t between(std::uint64_t low, std::uint64_t high) {
        return low + pick(high - low + 1);
    }
    // Does this fault strike? Each that does is a fault event of the run, and can be taken out.
    bool chance(Chance c, std::string_view what = {}) {
        return stream_->chance(c.per_million, what);
    }
    // For what is sure to strike from the seed, and can be taken out all the same.
    bool strike(std::string_view what) { return chance(always, what); }
    bool coin() { return pick(2) == 0; } // True is the harmless side.

    Duration draw(const Delay& delay) {
        if (chance(delay.tail_chance)) return between(delay.most, delay.tail);
        return between(delay.least, delay.most);
    }
    Duration between(Duration low, Duration high) {
        if (high <= low) return low;
        const auto width = static_cast<std::uint64_t>((high - low).count());
        return low + Duration(static_cast<std::int64_t>(pick(width + 1)));
    }
    // From -most to most; 0 is in the middle, where it is harmless.
    std::int64_t either_way(std::int64_t most) {
        CHECK(most >= 0);
        const auto drawn =
            static_cast<std::int64_t>(pick(2 * static_cast<std::uint64_t>(most) + 1));
        return (drawn + 1) / 2 * (drawn % 2 == 0 ? 1 : -1);
    }
    Duration either_way(Duration most) { return Duration(either_way(most.count())); }
    std::byte byte() { return static_cast<std::byte>(pick(256)); }

private:
    ChoiceStream* stream_;
};

} // namespace pyralog::sim
