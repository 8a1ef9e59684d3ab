// core/log/digest.h
//
// What the logs of a node that does not run say, as checksums: for each entry one over it and all
// before it. Two nodes have the same first n entries, to the byte, where these are equal. So a
// cluster can be stopped and asked if its replicas agree.
//
// Reads the disk by itself, without a Log, so that a mistake there does not excuse itself here.
// Changes nothing on it.
#pragma once

#include "core/env/environment.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pyralog {

struct LogDigest {
    struct Entry {
        Term term;
        Position end;
        std::uint32_t chain = 0; // Over place, term, kind and payload of all up to here.
        bool operator==(const Entry&) const = default;
    };

    GroupId group;
    Position segments_end;      // All before it is committed.
    std::vector<Entry> entries; // The one with index i stands at i.

    Position end() const { return entries.empty() ? Position{} : entries.back().end; }
};

// All groups that have entries, in order. What is left in the journal of a group that was deleted
// does not begin at the beginning, and is left out. Waits. Error::corrupt if what was durable is
// damaged or missing; the log line says what.
Result<std::vector<LogDigest>> digest_logs(Environment& env, const std::string& journal_directory);

// How far replicas of one group agree.
struct Agreement {
    Position end;                    // Everything before it is the same on all of them.
    std::uint32_t chain = 0;         // Of that.
    std::optional<Position> differs; // Where two of them hold different entries.
    bool committed_differ = false;   // And one of those is known to be committed: never so.
};

// Of at least one. A replica that has no entries at all agrees up to nothing.
Agreement agreement(std::span<const LogDigest> replicas);

} // namespace pyralog
