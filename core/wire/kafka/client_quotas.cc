#include "core/wire/kafka/client_quotas.h"

#include <bit>

namespace pyralog::wire::kafka {

namespace {

constexpr int mantissa_bits = 52;
constexpr std::uint64_t exponent_bias = 1023;
constexpr std::uint64_t implied = std::uint64_t{1} << mantissa_bits;

} // namespace

Float64 Float64::of(std::int64_t value) {
    CHECK(value >= 0 && value <= std::int64_t{1} << (mantissa_bits + 1));
    if (value == 0) return {};
    const auto bits = static_cast<std::uint64_t>(value);
    const int top = static_cast<int>(std::bit_width(bits)) - 1;
    const std::uint64_t mantissa =
        top <= mantissa_bits ? bits << (mantissa_bits - top) : bits >> (top - mantissa_bits);
    const std::uint64_t exponent = exponent_bias + static_cast<std::uint64_t>(top);
    return {exponent << mantissa_bits | (mantissa & (implied - 1))};
}

std::optional<std::int64_t> Float64::whole() const {
    if (bits == 0) return 0;
    const std::uint64_t exponent = bits >> mantissa_bits; // A sign makes it too large.
    if (exponent < exponent_bias || exponent > exponent_bias + mantissa_bits) {
        if (*this == of(std::int64_t{1} << (mantissa_bits + 1)))
            return std::int64_t{1} << (mantissa_bits + 1);
        return {};
    }
    const auto top = static_cast<int>(exponent - exponent_bias);
    const std::uint64_t mantissa = (bits & (implied - 1)) | implied;
    const std::uint64_t value = mantissa >> (mantissa_bits - top);
    if (value << (mantissa_bits - top) != mantissa) return {};
    return static_cast<std::int64_t>(value);
}

} // namespace pyralog::wire::kafka
