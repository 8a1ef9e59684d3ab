#include "core/base/logger.h"

#include <algorithm>

namespace pyralog {

namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool needs_quotes(std::string_view value) {
    return value.empty() || std::any_of(value.begin(), value.end(), [](char c) {
               return c == ' ' || c == '"' || c == '=' || is_control(c);
           });
}

// A value may come from a client. A line break in it would forge a second event, and an escape
// sequence would do as it likes with the terminal of who reads.
void append_quoted(std::string& line, std::string_view value) {
    constexpr std::string_view digits = "0123456789abcdef";
    line += '"';
    for (const char c : value) {
        if (c == '\n') {
            line += "\\n";
        } else if (is_control(c)) {
            line += "\\x";
            line += digits[static_cast<unsigned char>(c) >> 4];
            line += digits[static_cast<unsigned char>(c) & 15];
        } else {
            if (c == '"' || c == '\\') line += '\\';
            line += c;
        }
    }
    line += '"';
}

} // namespace

std::string to_line(std::string_view event, Logger::Fields fields) {
    std::string line(event);
    for (const Field& field : fields) {
        line += ' ';
        line += field.name;
        line += '=';
        if (needs_quotes(field.value))
            append_quoted(line, field.value);
        else
            line += field.value;
    }
    return line;
}

} // namespace pyralog
