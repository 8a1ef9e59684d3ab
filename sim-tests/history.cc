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

using Digits = std::array<char, 10>; // What one draw gives.

// Bytes that follow from ident and size, printable so that a trace can show them: told to `take`
// from the first on, with how many of them count. False: it wants no more.
template <class Take>
bool fill(Ident ident, std::size_t size, std::size_t count, Take take) {
    Random random(static_cast<std::uint64_t>(ident.client) << 40 ^
                  static_cast<std::uint64_t>(ident.number) ^ std::uint64_t{size} << 20);
    Digits digits;
    while (count > 0) {
        const std::uint64_t bits = random.next();
        const std::uint64_t eight = '0' * ones + spread(bits);
        char* const to = digits.data(); // Compilers make one store of this.
        for (std::size_t i = 0; i < 8; ++i) to[i] = static_cast<char>(eight >> (8 * i) & 0xff);
        digits[8] = static_cast<char>('0' + (bits >> 48 & 63));
        digits[9] = static_cast<char>('0' + (bits >> 54 & 63));
        const std::size_t n = std::min(count, digits.size());
        if (!take(digits, n)) return false;
        count -= n;
    }
    return true;
}

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
    std::string value;
    value.reserve(size);
    value = Head(ident, size).text();
    fill(ident, size, size - std::min(size, value.size()),
         [&](const Digits& digits, std::size_t n) {
             value.append(digits.data(), n);
             return true;
         });
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
    const bool is_whole = fill(ident, size, rest.size(), [&](const Digits& digits, std::size_t n) {
        // Almost always all ten, and then without a call.
        const bool same = n == digits.size()
                              ? std::memcmp(rest.data(), digits.data(), digits.size()) == 0
                              : std::memcmp(rest.data(), digits.data(), n) == 0;
        rest.remove_prefix(n);
        return same;
    });
    if (!is_whole) return {};
    return ident;
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

void History::read_all(std::int32_t partition, std::vector<Fetch::Seen> log) {
    logs_[partition] = std::move(log);
}

} // namespace pyralog::simtest
