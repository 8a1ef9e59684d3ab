#include "server/admin/json.h"

namespace pyralog::server {

namespace {

// How many bytes a character takes that begins here; zero if this is no UTF-8.
std::size_t character(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    const std::size_t size = first < 0x80   ? 1
                             : first < 0xc2 ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
    if (size == 0 || size > text.size()) return 0;
    for (std::size_t i = 1; i < size; ++i)
        if ((byte(i) & 0xc0) != 0x80) return 0;
    // Longer than need be, a half of a pair, or beyond the last character.
    if (size >= 3 && ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) ||
                      (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)))
        return 0;
    return size;
}

} // namespace

std::string json_quoted(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string quoted = "\"";
    while (!text.empty()) {
        const auto code = static_cast<unsigned char>(text.front());
        const std::size_t size = character(text);
        if (code == '"' || code == '\\') {
            quoted += '\\';
            quoted += text.front();
        } else if (code < 0x20 || code == 0x7f) {
            quoted += "\\u00";
            quoted += digits[code >> 4];
            quoted += digits[code & 15];
        } else {
            quoted += size == 0 ? std::string_view("\\ufffd") : text.substr(0, size);
        }
        text.remove_prefix(size == 0 ? 1 : size);
    }
    return quoted + '"';
}

JsonWriter& JsonWriter::begin(char bracket) {
    separate();
    text_ += bracket;
    needs_comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::end(char bracket) {
    text_ += bracket;
    needs_comma_ = true;
    return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
    separate();
    text_ += json_quoted(name) + ':';
    needs_comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::raw(std::string_view text) {
    separate();
    text_ += text;
    needs_comma_ = true;
    return *this;
}

void JsonWriter::separate() {
    if (needs_comma_) text_ += ',';
}

} // namespace pyralog::server
