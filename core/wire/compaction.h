// core/wire/compaction.h
//
// How far a log is compacted: of each key only the newest record is left. A `compaction` is an
// entry: its leader proposes it, and once it is committed every replica does the same to its own
// log. What that leaves follows from the log alone, so the replicas are equal again when all have
// done it.
#pragma once

#include "core/wire/frame.h"
#include "core/wire/producers.h"

#include <optional>
#include <span>

namespace pyralog::wire {

// How much of a log is compacted: of all records before `end` with the same key the newest is left;
// and not even that, if it says that its key is deleted and lies before `deleted`.
struct Compacted {
    Position end;
    Offset deleted; // At most end.offset.
    bool operator==(const Compacted&) const = default;

    bool has(const Compacted& other) const {
        return end.index >= other.end.index && deleted >= other.deleted;
    }
};

template <class Codec>
void describe(Codec& field, Compacted& c) {
    field(c.end, c.deleted);
}

// What a compaction says: what is to be reached; and for the leader's own use, or a later leader's,
// that all replicas had compacted what lies before `waiting` at some time before `waiting_since`.
struct Compaction {
    Compacted to;
    Offset waiting;
    std::int64_t waiting_since_ms = 0; // Since 1970.
    bool operator==(const Compaction&) const = default;
};

template <class Codec>
void describe(Codec& field, Compaction& c) {
    field(c.to, c.waiting, c.waiting_since_ms);
}

// The payload of a compaction, and what it says. What is remembered of producers may follow, as in
// a trim. Error::corrupt if this is not one, or if it speaks of what lies behind itself.
BytesChain compaction_payload(const Compaction& compaction,
                              const std::optional<ProducerTable>& producers = {});
Result<Compaction> compaction_of(const Frame& frame);
Result<std::optional<ProducerTable>> producers_of_compaction(const Frame& frame);

// The file in which a replica notes how far it has come.
struct CompactedNote {
    static constexpr std::size_t size = 64;
    GroupId group;
    Compacted compacted;
    bool operator==(const CompactedNote&) const = default;
};
Bytes encode(const CompactedNote& note);
std::optional<CompactedNote> decode_compacted_note(std::span<const std::byte> bytes);

} // namespace pyralog::wire
