// core/log/digest.h
//
// What the logs of a node that does not run say, as checksums, one for each entry. Two nodes have
// the same entries, to the byte, where these are equal. So a cluster can be stopped and asked if
// its replicas agree, also where some have been trimmed and others have not.
//
// Reads the disk by itself, without a Log, so that a mistake there does not excuse itself here.
// Changes nothing on it.
#pragma once

#include "core/base/terms.h"
#include "core/env/environment.h"
#include "core/wire/compaction.h"

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
        std::uint32_t sum = 0; // Over place, term, kind and payload.
        bool is_reduced = false;
        bool operator==(const Entry&) const = default;
    };

    GroupId group;
    LogStart start;
    Position segments_end;          // All before it is committed.
    std::vector<Entry> entries;     // From the start on, one for each index.
    wire::Compacted compacted = {}; // How far, as the replica has noted it.

    Position end() const { return entries.empty() ? start.first : entries.back().end; }
};

// All groups that have entries, in order. What is left in the journal of a group that was deleted
// does not begin at the beginning, and is left out. Waits. Error::corrupt if what was durable is
// damaged or missing; the log line says what.
Result<std::vector<LogDigest>> digest_logs(Environment& env, const std::string& journal_directory);

// How far replicas of one group agree. Of an entry that one of them has compacted and others have
// not yet, or not as often, only place and term are compared.
struct Agreement {
    Position begin;                  // Somebody's start: no other one's is later.
    Position end;                    // Everything from there to here is the same on all of them.
    std::uint32_t chain = 0;         // Of that.
    std::optional<Position> differs; // Where two of them hold different entries.
    bool committed_differ = false;   // And one of those is known to be committed: never so.
};

// Of at least one. A replica that has no entries at all agrees up to nothing.
Agreement agreement(std::span<const LogDigest> replicas);

} // namespace pyralog
