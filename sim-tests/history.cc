#include "sim-tests/history.h"

#include "core/base/random.h"

#include <algorithm>
#include <charconv>

namespace pyralog::simtest {

namespace {

// Bytes that follow from ident and size, printable so that a trace can show them.
void append_filling(std::string& value, Ident ident, std::size_t size) {
    Random random(static_cast<std::uint64_t>(ident.client) << 40 ^
                  static_cast<std::uint64_t>(ident.number) ^ std::uint64_t{size} << 20);
    std::uint64_t bits = 0;
    for (std::size_t i = 0; value.size() < size; ++i) {
        if (i % 10 == 0) bits = random.next();
        value += static_cast<char>('0' + (bits & 63));
        bits >>= 6;
    }
}

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
    std::string value = "c" + std::to_string(ident.client) + "n" + std::to_string(ident.number) +
                        "s" + std::to_string(size) + ":";
    append_filling(value, ident, size);
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
    if (size != value.size() || ident.number <= 0 || value != value_of(ident, size)) return {};
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
