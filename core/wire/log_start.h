// core/wire/log_start.h
//
// The two frames that say where a log begins. A `trim` is an entry: its leader proposes it, and
// once it is committed every replica forgets what lies before, as much as it can without rewriting
// a file. A `start` stands in the journal of one replica: this is where its log begins from now on,
// whatever its segments hold from before.
#pragma once

#include "core/base/terms.h"
#include "core/wire/frame.h"
#include "core/wire/producers.h"

namespace pyralog::wire {

// What a trim says. Which term the entry before was of, each replica knows by itself.
struct Trim {
    Position first; // Of the first entry that is kept.
    Offset offset;  // Of the first record that is still to be read: in that entry.
    bool operator==(const Trim&) const = default;
};

template <class Codec>
void describe(Codec& field, Trim& t) {
    field(t.first, t.offset);
}

// The payload of a trim, and what it says. What is remembered of producers may follow: batches that
// told of them go with what is trimmed. Error::corrupt if this is not one, or if it speaks of what
// lies behind itself.
BytesChain trim_payload(const Trim& trim, const std::optional<ProducerTable>& producers = {});
Result<Trim> trim_of(const Frame& frame);
Result<std::optional<ProducerTable>> producers_of_trim(const Frame& frame);

// A start, and what it says: all of it stands in the header, so none of it is lost alone.
// Error::corrupt if this is not one.
Frame start_frame(GroupId group, const LogStart& start); // Of one that is sensible.
Result<LogStart> start_of(const Frame& frame);

} // namespace pyralog::wire
