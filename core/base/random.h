// core/base/random.h
//
// The dice. A concrete class with our own arithmetic on integers: the distributions of <random>
// differ between standard libraries, and a seed must mean the same run everywhere. The generator is
// xoshiro256++ (Blackman and Vigna), seeded through splitmix64.
#pragma once

#include "core/base/check.h"
#include "core/base/time.h"

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace pyralog {

// Sees what a Random and its forks draw, and may put something else in its place: so the simulator
// writes down and replays what nodes draw. In production there is none.
class RandomHook {
public:
    virtual ~RandomHook() = default;
    // `value` was drawn, below `bound`; 0: from all numbers. What the draw is to give.
    virtual std::uint64_t drawn(std::uint64_t value, std::uint64_t bound) = 0;
    virtual RandomHook& forked(std::string_view name) = 0; // Lives as long as this one.
};

class Random {
public:
    explicit Random(std::uint64_t seed) : seed_(seed) {
        for (std::uint64_t& word : state_) word = mixed(seed += 0x9e3779b97f4a7c15u);
    }

    std::uint64_t next() {
        const std::uint64_t value = generated();
        return hook_ ? hook_->drawn(value, 0) : value;
    }

    // Uniform in [0, bound).
    std::uint64_t below(std::uint64_t bound) {
        CHECK(bound > 0);
        const auto value =
            static_cast<std::uint64_t>((static_cast<unsigned __int128>(generated()) * bound) >> 64);
        return hook_ ? hook_->drawn(value, bound) : value;
    }

    // Uniform in [low, high], both included.
    std::int64_t between(std::int64_t low, std::int64_t high) {
        CHECK(low <= high);
        return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
    }
    Duration between(Duration low, Duration high) {
        return Duration(between(low.count(), high.count()));
    }

    // True `times` in `of`. Probabilities are fractions of integers: no floating point decides.
    bool chance(std::uint64_t times, std::uint64_t of) { return below(of) < times; }

    template <class T>
    void shuffle(std::span<T> items) {
        for (std::size_t i = items.size(); i > 1; --i) {
            const std::size_t j = below(i);
            std::swap(items[i - 1], items[j]);
        }
    }

    // A stream of its own for each purpose. It depends on the seed and the name alone, so one more
    // draw in one place changes nothing in the others.
    Random fork(std::string_view name) const {
        std::uint64_t hash = seed_ ^ 0xcbf29ce484222325u;
        for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
        Random forked(mixed(hash));
        if (hook_) forked.hook_ = &hook_->forked(name);
        return forked;
    }

    // Must outlive this and all that is forked from it.
    void set_hook(RandomHook& hook) { hook_ = &hook; }

private:
    std::uint64_t generated() {
        const std::uint64_t result = rotated(state_[0] + state_[3], 23) + state_[0];
        const std::uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = rotated(state_[3], 45);
        return result;
    }
    static std::uint64_t rotated(std::uint64_t x, int by) { return x << by | x >> (64 - by); }
    static std::uint64_t mixed(std::uint64_t z) {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }

    std::uint64_t seed_;
    std::array<std::uint64_t, 4> state_{};
    RandomHook* hook_ = nullptr;
};

} // namespace pyralog
