#include "core/log/file_names.h"

#include <charconv>

namespace pyralog {

namespace {

constexpr std::string_view journal_suffix = ".log";
constexpr std::string_view segment_suffix = ".seg";
constexpr std::string_view spare_prefix = "spare-";
constexpr std::size_t digits = 20;

template <class Number>
std::optional<Number> number_in(std::string_view text) {
    Number number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, failure] = std::from_chars(text.data(), end, number);
    if (failure != std::errc() || rest != end || number < 0) return {};
    if (text.size() > 1 && text.size() != digits && text.front() == '0') return {};
    return number;
}

std::string padded(std::string number, std::string_view suffix) {
    return std::string(digits - number.size(), '0') + number + std::string(suffix);
}

template <class Number>
std::optional<Number> padded_number_in(std::string_view name, std::string_view suffix) {
    if (name.size() != digits + suffix.size() || !name.ends_with(suffix)) return {};
    return number_in<Number>(name.substr(0, digits));
}

} // namespace

std::string journal_file_name(std::uint64_t number) {
    return padded(std::to_string(number), journal_suffix);
}

std::optional<std::uint64_t> journal_file_number(std::string_view name) {
    return padded_number_in<std::uint64_t>(name, journal_suffix);
}

std::string spare_file_name(std::uint64_t number) {
    return std::string(spare_prefix) + std::to_string(number);
}

std::optional<std::uint64_t> spare_file_number(std::string_view name) {
    if (!name.starts_with(spare_prefix)) return {};
    return number_in<std::uint64_t>(name.substr(spare_prefix.size()));
}

std::string group_directory(GroupId group) {
    return std::string(groups_directory) + '/' + std::to_string(group.value);
}

std::optional<GroupId> group_of_directory(std::string_view name) {
    const auto number = number_in<std::int64_t>(name);
    if (!number) return {};
    return GroupId(*number);
}

std::string segment_file_name(std::int64_t first_index) {
    return padded(std::to_string(first_index), segment_suffix);
}

std::optional<std::int64_t> segment_first_index(std::string_view name) {
    return padded_number_in<std::int64_t>(name, segment_suffix);
}

} // namespace pyralog
