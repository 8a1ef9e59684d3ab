#include "server/cli/table.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace pyralog::cli {

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string text;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += row[i];
            line.append(widths[i] - row[i].size() + 2, ' ');
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + '\n';
    }
    return text;
}

std::string text_of(const Json& value) {
    if (value.is_null() || (value.is_string() && value.get<std::string>().empty())) return "-";
    return value.is_string() ? value.get<std::string>() : value.dump();
}

void print_table(const Json& rows, const std::vector<const char*>& names,
                 std::vector<std::string> heading) {
    std::vector<std::vector<std::string>> table{std::move(heading)};
    for (const Json& row : rows) {
        auto& cells = table.emplace_back();
        for (const char* name : names) cells.push_back(text_of(row[name]));
    }
    std::fputs(format_table(table).c_str(), stdout);
}

} // namespace pyralog::cli
