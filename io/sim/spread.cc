#include "io/sim/spread.h"

#include "core/base/check.h"

#include <algorithm>
#include <bit>

namespace pyralog::sim {

namespace {

constexpr int bits = 16; // Behind the point.
constexpr std::uint64_t one = std::uint64_t{1} << bits;

// -log2(1 - draw / 2^32).
std::uint64_t minus_log2(std::uint64_t draw) {
    CHECK(draw < spread_draws);
    const std::uint64_t left = spread_draws - draw; // In [1, 2^32].
    const auto whole = static_cast<std::uint64_t>(std::bit_width(left) - 1);
    const std::uint64_t part = ((left - (std::uint64_t{1} << whole)) << bits) >> whole;
    return (std::uint64_t{32} << bits) - (whole << bits) - part;
}

std::uint64_t power_of_2(std::uint64_t exponent) {
    return (one + (exponent & (one - 1))) << (exponent >> bits);
}

std::int64_t times(std::int64_t value, std::uint64_t factor) {
    return static_cast<std::int64_t>((static_cast<__int128>(value) * factor) >> bits);
}

} // namespace

Duration exponential(Duration least, Duration mean, std::uint64_t draw) {
    constexpr std::uint64_t ln2 = 45'426; // Times 2^16.
    return least + Duration(times(mean.count(), (minus_log2(draw) * ln2) >> bits));
}

Duration heavy_tail(Duration least, Duration scale, std::uint64_t draw) {
    const std::uint64_t factor = power_of_2(minus_log2(draw) * 2 / 3) - one;
    const std::uint64_t most = static_cast<std::uint64_t>(heavy_tail_longest) << bits;
    return least + Duration(times(scale.count(), std::min(factor, most)));
}

} // namespace pyralog::sim
