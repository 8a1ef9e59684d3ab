// core/wire/golden_test.h
//
// For tests. A golden file, core/wire/golden/NAME.hex, holds the bytes of one example as hex; what
// follows a '#' in a line is a comment. A format that changes by accident no longer has the bytes
// it had; one that changes on purpose is written anew with UPDATE=1 in the environment, and its
// diff is reviewed.
#pragma once

#include "core/base/bytes.h"
#include "core/testing/places.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace pyralog::wire {

inline std::string hex_of(const Bytes& bytes) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::byte byte : bytes.view()) {
        text += digits[std::to_integer<std::size_t>(byte) >> 4];
        text += digits[std::to_integer<std::size_t>(byte) & 15];
    }
    return text;
}

// The digits alone, without space and comments.
inline std::string digits_of_hex(std::string_view text) {
    std::string digits;
    bool in_comment = false;
    for (const char c : text) {
        if (c == '#') in_comment = true;
        if (c == '\n') in_comment = false;
        const bool is_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (!in_comment && is_digit) digits += c;
    }
    return digits;
}

inline Bytes bytes_of_hex(std::string_view text) {
    const std::string digits = digits_of_hex(text);
    const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    std::string bytes;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
        bytes += static_cast<char>(value(digits[i]) << 4 | value(digits[i + 1]));
    }
    return Bytes::copy_of(bytes);
}

inline std::string golden_path(std::string_view name) {
    return testing::source_dir().append("/core/wire/golden/").append(name).append(".hex");
}

// The digits of a golden file; none if there is no such file. With UPDATE=1 it is made, or made
// anew, from `bytes`, and keeps the comment it begins with.
inline std::string golden(std::string_view name, const Bytes& bytes) {
    std::stringstream content;
    content << std::ifstream(golden_path(name)).rdbuf();
    const char* update = std::getenv("UPDATE");
    if (update != nullptr && std::string_view(update) == "1") {
        std::ofstream file(golden_path(name));
        for (std::string line; std::getline(content, line) && line.starts_with('#');) {
            file << line << '\n';
        }
        const std::string digits = hex_of(bytes);
        for (std::size_t at = 0; at < digits.size(); at += 64)
            file << digits.substr(at, 64) << '\n';
        return digits;
    }
    return digits_of_hex(content.str());
}

} // namespace pyralog::wire
