// core/wire/producers.h
//
// What a partition remembers of its idempotent producers, as it is written down: behind the Trim in
// the payload of a `trim`, and as a snapshot in a node's KvStore. What it means is in
// server/producers/README.md, and of transactions in server/transactions/README.md.
//
// A transaction begins with a `begin`, an entry of the log's own. A batch of it says that it is
// part of one, and a marker ends it: a control batch of one record, as Kafka has it.
#pragma once

#include "core/base/types.h"
#include "core/wire/frame.h"
#include "core/wire/record_batch.h"

#include <optional>
#include <variant>
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
    std::vector<ProducerBatch> batches; // The last ones of this epoch. Rising.
    std::int64_t transaction = -1;      // The number of the last one that began here.
    bool is_open = false;               // It did, and has not ended.
    Offset opened{-1};                  // Its first record; before there is one, -1.
    bool operator==(const Producer&) const = default;
};

// What a transaction left that came to nothing: all batches of its producer from `first` to the
// marker, which is at `last`.
struct AbortedTransaction {
    std::int64_t producer = 0;
    Offset first, last;
    bool operator==(const AbortedTransaction&) const = default;
};

struct ProducerTable {
    Position as_of;             // All entries before it are taken into account, and nothing else.
    bool has_forgotten = false; // Others have sent something as well, once.
    std::vector<Producer> producers;         // By their ids, rising.
    std::vector<AbortedTransaction> aborted; // By their ends, rising; as far as the log has them.
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
    field(p.transaction, p.is_open, p.opened);
    if constexpr (Codec::reads) {
        field.require(!p.batches.empty() || p.transaction >= 0);
        field.require(p.batches.size() <= Producer::batches_max);
        field.require(p.is_open ? p.transaction >= 0 : p.opened == Offset(-1));
    }
}
template <class Codec>
void describe(Codec& field, AbortedTransaction& a) {
    field(a.producer, a.first, a.last);
    if constexpr (Codec::reads) field.require(a.first >= Offset() && a.first < a.last);
}
template <class Codec>
void describe(Codec& field, ProducerTable& t) {
    field(t.as_of, t.has_forgotten, t.producers, t.aborted);
}

// Numbers rise with each transaction of a producer; so whoever hears late of one that is over does
// not take it for the next.
struct TransactionBegin {
    std::int64_t producer = 0;
    std::int16_t epoch = 0;
    std::int64_t number = 0;
    bool operator==(const TransactionBegin&) const = default;
};

template <class Codec>
void describe(Codec& field, TransactionBegin& b) {
    field(b.producer, b.epoch, b.number);
    if constexpr (Codec::reads) field.require(b.producer >= 0 && b.epoch >= 0 && b.number >= 0);
}

// What a marker says.
struct TransactionEnd {
    std::int64_t producer = 0;
    std::int16_t epoch = 0;
    bool commits = false;
    bool operator==(const TransactionEnd&) const = default;
};

// The batch that says so, as Kafka's clients know it.
RecordBatch marker(const TransactionEnd& end, std::int32_t coordinator_epoch, std::int64_t now_ms);
// Nothing, if this is no marker.
std::optional<TransactionEnd> end_of(const RecordBatch& batch);

// What an entry tells of a producer, if it tells anything: a batch of his, or how a transaction of
// his begins or ends. Of a batch that is no marker it allocates nothing.
using ProducerStep = std::variant<BatchHeader, TransactionBegin, TransactionEnd>;
std::optional<ProducerStep> producer_step_of(const Frame& frame);
std::int64_t producer_of(const ProducerStep& step);

} // namespace pyralog::wire
