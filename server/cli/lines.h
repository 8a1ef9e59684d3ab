// server/cli/lines.h
//
// What `pyralog produce` reads: lines of a file or of the standard input, and what a record is made
// of one. A read of a terminal or a pipe blocks the whole program, so whoever reads asks first.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pyralog::cli {

class LineReader {
public:
    // `file` is not closed here.
    explicit LineReader(int file) : file_(file) {}

    // The next whole line, without its end; the rest of the file where that has none.
    std::optional<std::string> next();
    bool ended() const { return ended_ && position_ == text_.size(); }

    // Is there something to read(), or the end? Does not wait.
    bool ready() const;
    // Reads on. Error::device_failed, or out_of_space for a line of more than line_bytes_max.
    Result<> read();

    std::uint64_t bytes_read() const { return bytes_read_; }
    std::uint64_t line_number() const { return lines_; } // Of the line that was last taken.

    static constexpr std::size_t line_bytes_max = 64 << 20;

private:
    const int file_;
    std::string text_;
    std::size_t position_ = 0; // Of what was not taken yet.
    std::size_t searched_ = 0; // So far there is no end of a line.
    std::uint64_t bytes_read_ = 0;
    std::uint64_t lines_ = 0;
    bool ended_ = false;
};

// Where in `line` the key ends: what stands before the first separator. No key if there is none.
struct KeyValue {
    std::optional<std::string> key;
    std::string value;
};
KeyValue split_line(std::string line, const std::optional<std::string>& separator);

// The partition for a key: as Java's clients and franz-go choose it, by murmur2.
std::int32_t partition_of_key(std::string_view key, std::int32_t partitions);

} // namespace pyralog::cli
