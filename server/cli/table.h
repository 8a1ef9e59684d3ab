// server/cli/table.h
//
// What is printed for people: tables.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace pyralog::cli {

using Json = nlohmann::json;

// Columns as wide as their widest cell; the first row is the heading.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

// What a cell shows; "-" where there is nothing.
std::string text_of(const Json& value);

// Of an array of objects: what each has under these names.
void print_table(const Json& rows, const std::vector<const char*>& names,
                 std::vector<std::string> heading);

} // namespace pyralog::cli
