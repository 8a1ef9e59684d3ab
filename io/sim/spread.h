// io/sim/spread.h
//
// How long, when short is usual and long is possible: delays that are not spread evenly. Integers
// only, so logarithms and powers are straight lines between powers of two: off by a tenth at most,
// and the same everywhere.
#pragma once

#include "core/base/time.h"

#include <cstdint>

namespace pyralog::sim {

// What a uniform draw from [0, 2^32) stands for; zero is the shortest.
constexpr std::uint64_t spread_draws = std::uint64_t{1} << 32;

// Exponential beyond `least`; at most 23 times the mean.
Duration exponential(Duration least, Duration mean, std::uint64_t draw);

// Pareto's, with an exponent of 3/2: half of them less than 0.6 times `scale` beyond `least`, one
// in a thousand more than 99 times, none more than `longest` times.
constexpr std::int64_t heavy_tail_longest = 400;
Duration heavy_tail(Duration least, Duration scale, std::uint64_t draw);

} // namespace pyralog::sim
