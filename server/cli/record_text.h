// server/cli/record_text.h
//
// How `pyralog consume` shows a record, and how one says where it is to begin.
#pragma once

#include "core/wire/record_batch.h"
#include "server/cli/kafka.h"

#include <optional>
#include <string>
#include <string_view>
#include <variant>

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

// Where to begin: a question for ListOffsets, or an offset.
struct From {
    enum class Kind : std::uint8_t { beginning, end, offset, time } kind = Kind::beginning;
    std::int64_t value = 0; // The offset, or milliseconds since 1970.
};
// `now` for "15m", which is so long ago. Nothing if it is none of these.
std::optional<From> parse_from(std::string_view text, WallTime now);

} // namespace pyralog::cli
