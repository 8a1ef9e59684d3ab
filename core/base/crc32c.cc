#include "core/base/crc32c.h"

#include <array>
#include <cstring>

namespace pyralog {

namespace {

constexpr std::uint32_t polynomial = 0x82f63b78; // Reflected.

using ByteTable = std::array<std::uint32_t, 256>;

// slices[k][b] is the checksum of byte b followed by k zero bytes.
constexpr std::array<ByteTable, 8> slices = [] {
    std::array<ByteTable, 8> tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
        tables[0][byte] = crc;
    }
    for (std::size_t k = 1; k < 8; ++k)
        for (std::size_t byte = 0; byte < 256; ++byte)
            tables[k][byte] = tables[k - 1][byte] >> 8 ^ tables[0][tables[k - 1][byte] & 0xff];
    return tables;
}();

std::uint32_t step(std::uint32_t crc, std::byte byte) {
    return crc >> 8 ^ slices[0][(crc ^ static_cast<std::uint32_t>(byte)) & 0xff];
}

#if defined(__x86_64__)

// A matrix over GF(2), as the images of the 32 unit vectors.
using Matrix = std::array<std::uint32_t, 32>;

constexpr std::uint32_t times(const Matrix& matrix, std::uint32_t vector) {
    std::uint32_t sum = 0;
    for (std::size_t bit = 0; vector != 0; ++bit, vector >>= 1)
        if (vector & 1) sum ^= matrix[bit];
    return sum;
}

// What `count` zero bytes do to a checksum, looked up a byte of it at a time.
constexpr std::array<ByteTable, 4> zeros(std::size_t count) {
    Matrix power{}; // First of one zero bit, then squared: 2, 4, 8 (a byte), 16, ...
    power[0] = polynomial;
    for (std::size_t bit = 1; bit < 32; ++bit) power[bit] = 1u << (bit - 1);
    Matrix result{};
    for (std::size_t bit = 0; bit < 32; ++bit) result[bit] = 1u << bit;
    for (std::size_t bits = count * 8; bits != 0; bits >>= 1) {
        Matrix square{};
        if (bits & 1) {
            Matrix product{};
            for (std::size_t i = 0; i < 32; ++i) product[i] = times(power, result[i]);
            result = product;
        }
        for (std::size_t i = 0; i < 32; ++i) square[i] = times(power, power[i]);
        power = square;
    }
    std::array<ByteTable, 4> tables{};
    for (std::size_t k = 0; k < 4; ++k)
        for (std::uint32_t byte = 0; byte < 256; ++byte)
            tables[k][byte] = times(result, byte << (8 * k));
    return tables;
}

std::uint32_t shifted(const std::array<ByteTable, 4>& tables, std::uint32_t crc) {
    return tables[0][crc & 0xff] ^ tables[1][crc >> 8 & 0xff] ^ tables[2][crc >> 16 & 0xff] ^
           tables[3][crc >> 24];
}

std::uint64_t word_at(const std::byte* data) {
    std::uint64_t word;
    std::memcpy(&word, data, sizeof word);
    return word;
}

// The instruction answers after three cycles and can start in each: so three lanes at a time, which
// are joined by shifting the first two over the length of those behind them. Short lanes are for
// what is left of long ones, and for single records.
template <std::size_t lane>
constexpr std::array<ByteTable, 4> over_one_lane = zeros(lane);
template <std::size_t lane>
constexpr std::array<ByteTable, 4> over_two_lanes = zeros(2 * lane);

template <std::size_t lane>
__attribute__((target("sse4.2"))) std::uint64_t by_lanes(const std::byte*& at, std::size_t& left,
                                                         std::uint64_t a) {
    for (; left >= 3 * lane; at += 3 * lane, left -= 3 * lane) {
        std::uint64_t b = 0;
        std::uint64_t c = 0;
        for (std::size_t i = 0; i < lane; i += 8) {
            a = __builtin_ia32_crc32di(a, word_at(at + i));
            b = __builtin_ia32_crc32di(b, word_at(at + lane + i));
            c = __builtin_ia32_crc32di(c, word_at(at + 2 * lane + i));
        }
        a = shifted(over_two_lanes<lane>, static_cast<std::uint32_t>(a)) ^
            shifted(over_one_lane<lane>, static_cast<std::uint32_t>(b)) ^ c;
    }
    return a;
}

__attribute__((target("sse4.2"))) std::uint32_t hardware(std::span<const std::byte> data,
                                                         std::uint32_t crc) {
    const std::byte* at = data.data();
    std::size_t left = data.size();
    std::uint64_t a = by_lanes<128>(at, left, by_lanes<1024>(at, left, ~crc));
    for (; left >= 8; at += 8, left -= 8) a = __builtin_ia32_crc32di(a, word_at(at));
    auto sum = static_cast<std::uint32_t>(a);
    for (; left > 0; ++at, --left)
        sum = __builtin_ia32_crc32qi(sum, static_cast<unsigned char>(*at));
    return ~sum;
}

#endif

} // namespace

std::uint32_t crc32c_portable(std::span<const std::byte> data, std::uint32_t crc) {
    crc = ~crc;
    while (data.size() >= 8) {
        std::uint32_t sum = 0;
        for (std::size_t i = 0; i < 4; ++i)
            sum ^= slices[7 - i][(crc >> (8 * i) ^ static_cast<std::uint32_t>(data[i])) & 0xff];
        for (std::size_t i = 4; i < 8; ++i) sum ^= slices[7 - i][static_cast<std::size_t>(data[i])];
        crc = sum;
        data = data.subspan(8);
    }
    for (const std::byte byte : data) crc = step(crc, byte);
    return ~crc;
}

std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t crc) {
#if defined(__x86_64__)
    static const bool has_instruction = __builtin_cpu_supports("sse4.2");
    if (has_instruction) return hardware(data, crc);
#endif
    return crc32c_portable(data, crc);
}

std::uint32_t crc32c(const BytesChain& chain, std::uint32_t crc) {
    for (const Bytes& part : chain) crc = crc32c(part.view(), crc);
    return crc;
}

} // namespace pyralog
