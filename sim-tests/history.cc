#include "sim-tests/history.h"

#include "core/base/random.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace pyralog::simtest {

namespace {

constexpr std::uint64_t ones = 0x0101010101010101; // One in each byte.

// Eight numbers of six bits, each into a byte of its own.
constexpr std::uint64_t spread(std::uint64_t bits) {
    bits = (bits & 0xffffff) | (bits & 0xffffff000000) << 8;
    bits = (bits & 0x00000fff00000fff) | (bits & 0x00fff00000fff000) << 4;
    return (bits & 0x003f003f003f003f) | (bits & 0x0fc00fc00fc00fc0) << 2;
}

// Bytes that follow from ident and size, printable so that a trace can show them: ten from each
// draw, the first eight of which are one number.
class Filling {
public:
    static constexpr std::size_t step = 10;

    Filling(Ident ident, std::size_t size)
        : random_(static_cast<std::uint64_t>(ident.client) << 40 ^
                  static_cast<std::uint64_t>(ident.number) ^ std::uint64_t{size} << 20) {}

    void write(char* to) {
        const std::uint64_t bits = random_.next();
        const std::uint64_t eight = '0' * ones + spread(bits);
        // One store, once it is unrolled.
#pragma GCC unroll 8
        for (std::size_t i = 0; i < 8; ++i) to[i] = static_cast<char>(eight >> (8 * i) & 0xff);
        to[8] = digit(bits >> 48);
        to[9] = digit(bits >> 54);
    }
    // Are the next ten bytes these? They are for almost all that anybody looks at. To compare them
    // as one number takes no call, as memcmp would.
    bool matches(const char* bytes) {
        std::array<char, step> expected;
        write(expected.data());
        std::uint64_t a = 0, b = 0;
        std::memcpy(&a, expected.data(), sizeof a);
        std::memcpy(&b, bytes, sizeof b);
        return a == b && expected[8] == bytes[8] && expected[9] == bytes[9];
    }

private:
    static char digit(std::uint64_t bits) { return static_cast<char>('0' + (bits & 63)); }
    Random random_;
};

// What stands before the filling.
class Head {
public:
    Head(Ident ident, std::size_t size) {
        put('c', ident.client);
        put('n', ident.number);
        put('s', size);
        *end_++ = ':';
    }
    std::string_view text() const {
        return {text_.data(), static_cast<std::size_t>(end_ - text_.data())};
    }

private:
    template <class Int>
    void put(char name, Int number) {
        *end_++ = name;
        end_ = std::to_chars(end_, text_.data() + text_.size(), number).ptr;
    }
    std::array<char, 64> text_; // More than three numbers of 64 bits.
    char* end_ = text_.data();
};

template <class Int>
bool take_number(std::string_view& text, char end, Int& number) {
    const std::size_t length = text.find(end);
    if (length == std::string_view::npos) return false;
    const char* last = text.data() + length;
    const auto [stopped, error] = std::from_chars(text.data(), last, number);
    if (error != std::errc() || stopped != last) return false;
    text.remove_prefix(length + 1);
    return true;
}

} // namespace

std::string value_of(Ident ident, std::size_t size) {
    size = std::max(size, value_size_min);
    const Head head(ident, size);
    // With room for the last draw, of which not all may be wanted.
    std::string value(size + Filling::step, '\0');
    const std::size_t begin = head.text().copy(value.data(), size);
    Filling filling(ident, size);
    for (std::size_t at = begin; at < size; at += Filling::step) filling.write(value.data() + at);
    value.resize(size);
    return value;
}

std::optional<Ident> ident_of(std::string_view value) {
    if (!value.starts_with('c')) return {};
    std::string_view rest = value.substr(1);
    Ident ident;
    std::size_t size = 0;
    if (!take_number(rest, 'n', ident.client) || !take_number(rest, 's', ident.number) ||
        !take_number(rest, ':', size))
        return {};
    // The numbers may have been written in another way than ours.
    if (size != value.size() || ident.number <= 0 || size < value_size_min ||
        !value.starts_with(Head(ident, size).text()))
        return {};
    Filling filling(ident, size);
    for (; rest.size() >= Filling::step; rest.remove_prefix(Filling::step))
        if (!filling.matches(rest.data())) return {};
    std::array<char, Filling::step> last;
    filling.write(last.data());
    if (rest != std::string_view(last.data(), rest.size())) return {};
    return ident;
}

std::string key_of(Ident ident) {
    constexpr std::int64_t keys = 7;
    return "key-" + std::to_string((ident.client + ident.number * 5) % keys);
}

bool deletes_key(Ident ident) { return ident.number % 11 == 4; }

Ident marker_ident(std::int64_t producer, std::int64_t offset, bool commits) {
    return {static_cast<std::int32_t>(-2 - producer), offset * 2 + (commits ? 1 : 0)};
}

std::optional<Marker> marker_of(Ident ident) {
    if (ident.client > -2) return {};
    return Marker{-2 - std::int64_t{ident.client}, ident.number % 2 == 1};
}

std::string to_string(Ident ident) {
    if (ident.number == 0) return "a record that nobody sent";
    return "record " + std::to_string(ident.number) + " of client " + std::to_string(ident.client);
}

std::string to_string(const TopicPartition& partition) {
    return partition.topic + '/' + std::to_string(partition.partition);
}

std::int32_t History::partition(const TopicPartition& name) {
    const auto next = static_cast<std::int32_t>(names_.size());
    const auto [entry, is_new] = numbers_.try_emplace(name, next);
    if (is_new) names_.push_back(name);
    return entry->second;
}

const TopicPartition& History::name(std::int32_t partition) const {
    return names_.at(static_cast<std::size_t>(partition));
}

std::size_t History::invoke(Produce produce) {
    CHECK(produce.records > 0 && produce.first_number > 0);
    produces_.push_back(produce);
    return produces_.size() - 1;
}

void History::completed(std::size_t produce, Duration when, Outcome outcome,
                        std::int64_t base_offset) {
    Produce& asked = produces_.at(produce);
    CHECK(!asked.completed);
    asked.completed = when;
    asked.outcome = outcome;
    asked.base_offset = base_offset;
    if (outcome == Outcome::stored) stored_.push_back(produce);
}

void History::read_all(std::int32_t partition, Log log) { logs_[partition] = std::move(log); }

} // namespace pyralog::simtest
