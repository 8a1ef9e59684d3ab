// core/log/salvage.h
//
// What can be saved of a node's disk that recovery refuses, where nobody else has it: of each log
// all that is intact up to the first entry that is lost, since a log has no holes. Only if its very
// first entries are lost it begins at the first that is not. What that is, is found out first, and
// changes nothing. Then a journal is written beside the old one, and takes its place.
//
// Nothing is deleted: what is not kept as it is, damaged or behind a hole, is set aside.
#pragma once

#include "core/base/terms.h"
#include "core/env/environment.h"
#include "core/log/config.h"
#include "core/log/survey.h"
#include "core/wire/frame.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog {

// What others than the logs know of that disk.
struct SalvageFacts {
    std::uint64_t identity = 0;       // Of the journal.
    std::uint64_t newest_journal = 0; // There was this file, or a later one.
    std::map<GroupId, LogStart> starts;
    std::vector<GroupId> groups; // Those that there are; others were deleted.
};

struct SalvagedLog {
    struct Range {
        Position from;
        std::optional<Position> to; // None: nobody knows how much there was, if anything.
        bool is_intact = false;     // And behind a hole.
    };
    // Of what is kept, and goes into the new journal: frames, or entries of a segment.
    struct Piece {
        std::vector<wire::Frame> frames;
        std::string path;
        std::int64_t first_index = 0; // Of the segment.
        std::int64_t from = 0, to = 0;
    };

    GroupId group;
    LogStart start;
    Position segments_end; // Up to here it stays in segments, which are left as they are.
    Position end;
    Term term;                          // The greatest that was seen.
    std::vector<Range> lost;            // In order.
    std::vector<Finding> why;           // What is wrong that has to do with it.
    std::vector<Piece> pieces;          // In order.
    std::vector<std::string> set_aside; // Segments.
};

struct Salvage {
    bool is_needed = false; // A node would not start.
    std::vector<SalvagedLog> logs;
    std::vector<Finding> unreadable; // Entries that are lost, and keep nobody from starting.

    bool loses() const;
};

inline constexpr std::string_view journal_name = "journal";
inline constexpr std::string_view salvaged_journal_name = "journal.repaired";

// Does recovery take what is there? Changes nothing. Error::corrupt if not.
Result<> try_recovery(Environment& env, const SalvageFacts& facts);

// Waits. Changes nothing on the disk. An error is the device's.
Result<Salvage> plan_salvage(Environment& env, const SalvageFacts& facts);

// Writes the journal that is to be, durably, under its preliminary name; what was left there of an
// attempt before is removed. Waits, and may be repeated.
Result<> write_salvaged_journal(Environment& env, const Salvage& salvage,
                                const JournalConfig& config, std::uint64_t identity);

// Sets aside these files and the old journal, and gives the new one its name: durably, and to be
// repeated if it fails. Where things have gone to; empty if nothing was left to be done.
Result<std::string> take_salvaged_journal(Environment& env, const std::vector<std::string>& files);

} // namespace pyralog
