// raft/producers.h
//
// What a partition remembers of its idempotent producers: of each its epoch and its last five
// batches, and whether a transaction of his is open; and which of their records came to nothing. A
// function of the log's committed entries, so that all replicas come to the same, and whoever leads
// next knows what was stored. Pure.
#pragma once

#include "core/wire/producers.h"

#include <limits>
#include <map>
#include <set>

namespace pyralog::raft {

class Producers {
public:
    // Sequences go round. The one that comes after `sequence` and `count` more.
    static std::int32_t after(std::int32_t sequence, std::int32_t count = 1);
    static std::int32_t last_of(const wire::BatchHeader& batch) {
        return after(batch.base_sequence, batch.last_offset_delta);
    }

    // This entry is committed. Entries come in the order of the log.
    void take(const wire::Frame& entry, std::int64_t now_ms);
    // The same of what it tells of a producer, at `offset`. A batch that is known already changes
    // nothing.
    void apply(const wire::ProducerStep& step, Offset offset, std::int64_t now_ms);

    // All is as the table says, and not as it was known.
    void replace(const wire::ProducerTable& table);

    // All of them, or all that had a batch committed at this time or later, or have a transaction
    // open.
    wire::ProducerTable table(Position as_of) const { return table(as_of, never); }
    wire::ProducerTable table(Position as_of, std::int64_t seen_from_ms) const;
    bool any_seen_before(std::int64_t seen_from_ms) const;
    // Whoever is not known has perhaps sent something all the same.
    bool has_forgotten() const { return has_forgotten_; }

    const wire::Producer* find(std::int64_t id) const;
    const std::map<std::int64_t, wire::Producer>& all() const { return producers_; }

    // The first record of a transaction that is open; none: there is none.
    std::optional<Offset> first_open() const;
    // By their ends, rising.
    const std::vector<wire::AbortedTransaction>& aborted() const { return aborted_; }
    // Those that have some of the records in [first, end), by their ends.
    std::vector<wire::AbortedTransaction> aborted_in(Offset first, Offset end) const;

private:
    static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::min();

    void forget_aborted(Offset before);

    std::map<std::int64_t, wire::Producer> producers_;
    std::set<std::pair<Offset, std::int64_t>> open_; // First records, and whose they are.
    std::vector<wire::AbortedTransaction> aborted_;
    bool has_forgotten_ = false;
};

// Adds what a step tells to what is known of its producer. What comes of it: records that came to
// nothing.
std::optional<wire::AbortedTransaction> note(wire::Producer& producer,
                                             const wire::ProducerStep& step, Offset offset);

} // namespace pyralog::raft
