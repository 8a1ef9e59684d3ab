// core/base/types.h
//
// Numbers that know what they count, so that two kinds of number never meet by accident.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace pyralog {

template <class Tag, class Rep>
struct Tagged {
    using Value = Rep;
    Rep value{};
    constexpr Tagged() = default;
    constexpr explicit Tagged(Rep v) : value(v) {}
    constexpr auto operator<=>(const Tagged&) const = default;
};

// Kafka's number of a record. Offsets are points: their difference is a count; their sum means
// nothing.
struct Offset : Tagged<struct OffsetTag, std::int64_t> {
    using Tagged::Tagged;
    constexpr Offset operator+(std::int64_t records) const { return Offset(value + records); }
    constexpr std::int64_t operator-(Offset other) const { return value - other.value; }
};

// A leader's number; Kafka calls it the leader epoch, and gives it 31 bits.
struct Term : Tagged<struct TermTag, std::int32_t> {
    using Tagged::Tagged;
    constexpr Term next() const { return Term(value + 1); }
};

struct NodeId : Tagged<struct NodeIdTag, std::int32_t> {
    using Tagged::Tagged;
};

// The members that agree on one partition. Zero is the controller's group.
struct GroupId : Tagged<struct GroupIdTag, std::int64_t> {
    using Tagged::Tagged;
};

// A place between two entries of a log: how many entries lie before it, and how many records. Raft
// compares the first number, Kafka shows the second. They travel together from the proposal to the
// ack, so neither is ever computed from the other. An entry of Raft's own adds one, and no record.
struct Position {
    std::int64_t index = 0;
    Offset offset;
    constexpr auto operator<=>(const Position&) const = default;
    constexpr Position after(std::int32_t records) const { return {index + 1, offset + records}; }
};

// Half open, like every range here: `first` is in it, `end` is not, and first == end is empty.
struct Range {
    Position first, end;
    constexpr auto operator<=>(const Range&) const = default;
    constexpr bool empty() const { return first == end; }
};

constexpr std::size_t operator""_KiB(unsigned long long n) {
    return static_cast<std::size_t>(n) << 10;
}
constexpr std::size_t operator""_MiB(unsigned long long n) {
    return static_cast<std::size_t>(n) << 20;
}
constexpr std::size_t operator""_GiB(unsigned long long n) {
    return static_cast<std::size_t>(n) << 30;
}

} // namespace pyralog
