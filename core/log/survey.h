// core/log/survey.h
//
// What is on the disk of a node that does not run: file by file, frame by frame, and all that is
// wrong with it, where recovery stops at the first thing. For tools and tests.
//
// Reads the disk by itself, without Journal, Log or Segment, so that a mistake there does not
// excuse itself here. Changes nothing.
#pragma once

#include "core/base/terms.h"
#include "core/env/environment.h"
#include "core/wire/frame.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog {

// What a node that starts makes of it.
enum class Consequence : std::uint8_t {
    none,       // Nothing: it is left over, or a cache of something else.
    dropped,    // Nobody was told of it: it is dropped.
    unreadable, // The node starts; whoever reads these entries gets an error.
    refused,    // The node does not start.
};
std::string_view to_string(Consequence consequence);

struct Finding {
    std::string path;
    std::uint64_t file_position = 0;
    std::string what; // For people.
    Consequence consequence = Consequence::none;
    // The entry that is harmed, if its header still says which.
    std::optional<GroupId> group;
    std::optional<Position> entry;
    std::optional<Term> term;

    bool is_damage() const { return consequence >= Consequence::unreadable; }
};

struct SurveyedFile {
    enum class Kind : std::uint8_t { journal, left_over, spare, segment, note, unknown };
    std::string path;
    Kind kind = Kind::unknown;
    std::uint64_t bytes = 0;
    std::uint64_t used = 0;   // Up to where it has good content.
    std::uint64_t frames = 0; // Good ones.
    std::uint64_t first = 0;  // Of a journal's rounds, or of a segment's indexes.
    std::uint64_t end = 0;    // One more than the last.
    bool sealed = false;      // Of a segment.
};
std::string_view to_string(SurveyedFile::Kind kind);

struct SurveyedGroup {
    std::uint64_t segments = 0;
    std::uint64_t segment_bytes = 0;
    std::uint64_t entries = 0; // In both, from the start on.
    std::uint64_t records = 0;
    std::uint64_t payload_bytes = 0;
    std::uint64_t journal_entries = 0; // Not in segments.
    std::uint64_t reduced_entries = 0; // Of which compaction has left a part, or nothing.
    Position compacted;                // Up to here it has, as far as the replica knows.
    LogStart start;                    // What is before it is wanted by nobody.
    Position segments_end;             // All before it is committed.
    Position end;
    Term last_term;
    Term voted; // The term of its last vote.
};

struct Survey {
    std::vector<SurveyedFile> files; // By path.
    std::vector<Finding> findings;   // In the order of files and of places in them.
    std::map<GroupId, SurveyedGroup> groups;

    bool refused() const;
    bool damaged() const;
};

// Sees every frame whose header is good: journal files first, in the order of the disk.
using FrameVisitor = std::function<void(std::string_view path, std::uint64_t file_position,
                                        const wire::Frame& frame, bool intact)>;

// The same of the journal alone, for whoever wants no more than its frames.
Result<> visit_journal(Environment& env, const std::string& journal_directory,
                       const FrameVisitor& visit);

// Waits. An error is the device's: what is on the disk is in the Survey.
Result<Survey> survey(Environment& env, const std::string& journal_directory,
                      const FrameVisitor& visit = {});

} // namespace pyralog
