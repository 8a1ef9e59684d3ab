// core/log/file_names.h
//
// What files are called: see README.md. A name that is not exactly as we would have written it is
// none of ours.
#pragma once

#include "core/base/types.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pyralog {

inline constexpr std::string_view groups_directory = "groups";

std::string journal_file_name(std::uint64_t number); // 00000000000000000017.log
std::optional<std::uint64_t> journal_file_number(std::string_view name);

std::string spare_file_name(std::uint64_t number); // spare-3
std::optional<std::uint64_t> spare_file_number(std::string_view name);

std::string group_directory(GroupId group); // groups/7
std::optional<GroupId> group_of_directory(std::string_view name);

// How far a log is compacted; and what is added to the name of a file that is about to take the
// place of the one of that name.
inline constexpr std::string_view compacted_note_name = "compacted";
inline constexpr std::string_view successor_suffix = ".new";

std::string segment_file_name(std::int64_t first_index); // 00000000000000052110.seg
std::optional<std::int64_t> segment_first_index(std::string_view name);

} // namespace pyralog
