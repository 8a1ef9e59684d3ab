// core/wire/producers.h
//
// What a partition remembers of its idempotent producers, as it is written down: behind the Trim in
// the payload of a `trim`, and as a snapshot in a node's KvStore. What it means is in
// server/producers/README.md.
#pragma once

#include "core/base/types.h"
#include "core/wire/frame.h"
#include "core/wire/record_batch.h"

#include <optional>
#include <vector>

namespace pyralog::wire {

// A batch that is in the log. Sequences count records from 0 to 2^31 - 1, and then from 0 again.
struct ProducerBatch {
    std::int32_t first_sequence = 0;
    std::int32_t last_sequence = 0;
    Offset offset; // Of its first record.
    bool operator==(const ProducerBatch&) const = default;
};

struct Producer {
    static constexpr std::size_t batches_max = 5; // As many as clients have under way at most.

    std::int64_t id = 0;
    std::int16_t epoch = 0;
    std::int64_t timestamp = 0; // The latest of its last batch, as its client says.
    std::int64_t seen_ms = 0;   // When whoever wrote this had that batch committed, by its clock.
    std::vector<ProducerBatch> batches; // The last ones of this epoch; at least one. Rising.
    bool operator==(const Producer&) const = default;
};

struct ProducerTable {
    Position as_of; // All entries before it are taken into account, and nothing else.
    std::vector<Producer> producers; // By their ids, rising.
    bool operator==(const ProducerTable&) const = default;

    bool is_before(Position place) const {
        return as_of.index <= place.index && as_of.offset <= place.offset;
    }
};

template <class Codec>
void describe(Codec& field, ProducerBatch& b) {
    field(b.first_sequence, b.last_sequence, b.offset);
    if constexpr (Codec::reads) field.require(b.first_sequence >= 0 && b.last_sequence >= 0);
}
template <class Codec>
void describe(Codec& field, Producer& p) {
    field(p.id, p.epoch, p.timestamp, p.seen_ms, p.batches);
    if constexpr (Codec::reads)
        field.require(!p.batches.empty() && p.batches.size() <= Producer::batches_max);
}
template <class Codec>
void describe(Codec& field, ProducerTable& t) {
    field(t.as_of, t.producers);
}

// The header of a batch that an idempotent producer sent; nothing for any other frame. Allocates
// nothing.
std::optional<BatchHeader> producer_batch_of(const Frame& frame);

} // namespace pyralog::wire
