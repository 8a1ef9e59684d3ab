// fuzz/input.h
//
// The bytes of a fuzzer as decisions. Every input means something: where the bytes end, each
// further decision is zero. So a prefix of an input is a simpler case of it.
#pragma once

#include "core/base/bytes.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace pyralog::fuzz {

class Input {
public:
    explicit Input(std::span<const std::byte> bytes) : rest_(bytes) {}

    bool done() const { return rest_.empty(); }
    std::size_t left() const { return rest_.size(); }

    // `width` bytes, the lowest first.
    std::uint64_t number(std::size_t width) {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < width && !rest_.empty(); ++i) {
            value |= static_cast<std::uint64_t>(rest_.front()) << (8 * i);
            rest_ = rest_.subspan(1);
        }
        return value;
    }
    std::uint8_t byte() { return static_cast<std::uint8_t>(number(1)); }
    // 0 to count - 1. Two bytes decide, so counts are at most 65536.
    std::uint64_t below(std::uint64_t count) { return count <= 1 ? 0 : number(2) % count; }
    // Now and then any number at all, else one that is less than `usual`.
    std::uint64_t number_near(std::uint64_t usual) {
        const std::uint8_t how = byte();
        return how == 255 ? number(8) : how == 254 ? ~number(1) : how % (usual == 0 ? 1 : usual);
    }

    // As many as there are, up to `size`.
    Bytes bytes(std::size_t size) {
        const auto taken = rest_.first(std::min(size, rest_.size()));
        rest_ = rest_.subspan(taken.size());
        return Bytes::copy_of(taken);
    }
    Bytes all() { return bytes(rest_.size()); }

private:
    std::span<const std::byte> rest_;
};

} // namespace pyralog::fuzz
