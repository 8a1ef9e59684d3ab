// core/wire/fixed.h
//
// Fields of fixed size at fixed places, big endian: for headers that are checked by a checksum
// before any of it is believed. Messages have codec.h.
#pragma once

#include "core/base/check.h"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace pyralog::wire {

// What a checksum takes, as the last field of what it covers.
inline constexpr std::size_t crc_size = sizeof(std::uint32_t);

class FixedWriter {
public:
    explicit FixedWriter(std::span<std::byte> into) : into_(into) {}

    template <std::integral Int>
    FixedWriter& put(Int value) {
        CHECK(into_.size() - at_ >= sizeof value);
        auto bits = static_cast<std::uint64_t>(value);
        for (std::size_t i = sizeof value; i-- > 0; bits >>= 8)
            into_[at_ + i] = static_cast<std::byte>(bits & 0xff);
        at_ += sizeof value;
        return *this;
    }
    void fill() { // Zeros to the end.
        if (at_ < into_.size()) std::memset(into_.data() + at_, 0, into_.size() - at_);
        at_ = into_.size();
    }
    std::size_t position() const { return at_; }

private:
    std::span<std::byte> into_;
    std::size_t at_ = 0;
};

// Reading past the end is a mistake of ours: sizes are known before.
class FixedReader {
public:
    explicit FixedReader(std::span<const std::byte> from) : from_(from) {}

    template <std::integral Int>
    Int get() {
        CHECK(from_.size() - at_ >= sizeof(Int));
        std::uint64_t bits = 0;
        for (std::size_t i = 0; i < sizeof(Int); ++i)
            bits = bits << 8 | static_cast<std::uint64_t>(from_[at_ + i]);
        at_ += sizeof(Int);
        return static_cast<Int>(bits);
    }
    void skip(std::size_t count) {
        CHECK(from_.size() - at_ >= count);
        at_ += count;
    }

private:
    std::span<const std::byte> from_;
    std::size_t at_ = 0;
};

} // namespace pyralog::wire
