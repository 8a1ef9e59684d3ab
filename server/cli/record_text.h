// server/cli/record_text.h
//
// How `pyralog consume` shows a record, and how one says where it is to begin. And what `pyralog
// produce` makes of what was shown.
#pragma once

#include "core/wire/record_batch.h"
#include "server/cli/kafka.h"

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pyralog::cli {

// A format with %s, %k and the like, read once. What it may hold is in the manual (commands.cc).
class RecordFormat {
public:
    // Or what is wrong with it.
    static std::variant<RecordFormat, std::string> parse(std::string_view text);
    void write(std::string& out, const PartitionName& partition, const wire::Record& record) const;

private:
    struct Piece {
        char letter = 0; // 0: the text as it is.
        std::string text;
    };
    std::vector<Piece> pieces_;
};

// One line of JSON.
std::string json_of(const PartitionName& partition, const wire::Record& record);

// A record that is to be written.
struct NewRecord {
    std::optional<std::string> key, value;
    std::vector<wire::RecordHeader> headers;
    std::optional<std::int64_t> timestamp; // None: now.
    std::optional<std::int64_t> partition; // None: by the key.
};
// The one that such a line shows, but for its offset; or what is wrong with it. What it may do
// without are all but the value, which may be null.
std::variant<NewRecord, std::string> record_of_json(std::string_view line);

// Where to begin: a question for ListOffsets, or an offset.
struct From {
    enum class Kind : std::uint8_t { beginning, end, offset, time } kind = Kind::beginning;
    std::int64_t value = 0; // The offset, or milliseconds since 1970.
};
// `now` for "15m", which is so long ago. Nothing if it is none of these.
std::optional<From> parse_from(std::string_view text, WallTime now);

} // namespace pyralog::cli
