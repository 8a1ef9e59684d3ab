#include "core/base/logger.h"

namespace pyralog {

std::string to_line(std::string_view event, Logger::Fields fields) {
    std::string line(event);
    for (const Field& field : fields) {
        const bool quoted =
            field.value.empty() || field.value.find_first_of(" \"\n=") != std::string::npos;
        line += ' ';
        line += field.name;
        line += '=';
        if (!quoted) {
            line += field.value;
            continue;
        }
        line += '"';
        for (const char c : field.value) {
            // One event, one line: a line break inside a value would forge a second one.
            if (c == '\n') {
                line += "\\n";
                continue;
            }
            if (c == '"' || c == '\\') line += '\\';
            line += c;
        }
        line += '"';
    }
    return line;
}

} // namespace pyralog
