// raft/producers.h
//
// What a partition remembers of its idempotent producers: of each its epoch and its last five
// batches. A function of the log's committed entries, so that all replicas come to the same, and
// whoever leads next knows what was stored. Pure.
#pragma once

#include "core/wire/producers.h"

#include <limits>
#include <map>

namespace pyralog::raft {

class Producers {
public:
    // Sequences go round. The one that comes after `sequence` and `count` more.
    static std::int32_t after(std::int32_t sequence, std::int32_t count = 1);
    static std::int32_t last_of(const wire::BatchHeader& batch) {
        return after(batch.base_sequence, batch.last_offset_delta);
    }

    // This batch of a producer is committed, with its first record at `offset`. Batches come in the
    // order of the log; one that is known already changes nothing.
    void apply(const wire::BatchHeader& batch, Offset offset, std::int64_t now_ms);

    // What lies before `table.as_of` is as the table says, and not as it was known.
    void replace(const wire::ProducerTable& table);

    // All of them, or all that had a batch committed at this time or later.
    wire::ProducerTable table(Position as_of) const { return table(as_of, never); }
    wire::ProducerTable table(Position as_of, std::int64_t seen_from_ms) const;
    bool any_seen_before(std::int64_t seen_from_ms) const;

    const wire::Producer* find(std::int64_t id) const;
    const std::map<std::int64_t, wire::Producer>& all() const { return producers_; }

private:
    static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::min();

    std::map<std::int64_t, wire::Producer> producers_;
};

// Adds a batch to what is known of its producer.
void note_batch(wire::Producer& producer, const wire::BatchHeader& batch, Offset offset);

} // namespace pyralog::raft
