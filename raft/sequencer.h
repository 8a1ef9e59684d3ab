// raft/sequencer.h
//
// Decides what becomes of a batch that an idempotent producer sends to the leader of a partition:
// it is appended if it is the next of its producer, and if not, it is known already, or refused. A
// batch of a transaction is taken only while that is open here, and of such a producer no other.
//
// What is committed decides, and, within a leader's term, what this leader has appended since. That
// may yet be overruled, and is forgotten when the term is over. What was appended before the term
// must have been committed and applied by then: the caller sees to it. Pure.
#pragma once

#include "core/base/types.h"
#include "raft/producers.h"

#include <deque>

namespace pyralog::raft {

class Sequencer {
public:
    enum class Verdict : std::uint8_t {
        append,
        duplicate,      // Has its place already: Decision::offset.
        out_of_order,   // Something is missing before it, or it lies behind what is remembered.
        old_epoch,      // Its producer has gone on.
        too_many,       // There are as many producers as may be, and this one is not among them.
        no_transaction, // It says that it is part of one, and none is open; or the reverse.
    };
    struct Decision {
        Verdict verdict = Verdict::append;
        Offset offset;
    };

    // A producer of whom nothing is known begins with sequence zero. Where some were forgotten he
    // may be one of them, and then any sequence is taken, as Kafka does since KIP-360: but not, if
    // a batch before it was refused here: it is to come again, and first.
    Decision decide(const wire::BatchHeader& batch, Term term, std::size_t producers_max) const;

    // What is to become of a transaction that is to begin, or to end.
    enum class Turn : std::uint8_t {
        now,      // It is next.
        done,     // It has.
        never,    // A later one has begun, or the producer's epoch is over; an end needs nothing.
        too_many, // As above, or as many transactions as may be came to nothing.
    };
    Turn may_begin(const wire::TransactionBegin& begin, Term term, std::size_t producers_max,
                   std::size_t aborted_max) const;
    // Now: and it has to begin before, if it has not.
    Turn may_end(const wire::TransactionBegin& begun, Term term) const;
    bool has_begun(const wire::TransactionBegin& begin, Term term) const;

    // What was decided to be appended was, at this place and in this term; or was not, though it
    // may be tried again.
    void proposed(const wire::ProducerStep& step, Position place, Term term);
    void refused(const wire::BatchHeader& batch);

    // Nothing that this replica has appended counts any more.
    void deposed();

    // As Producers: of what is committed.
    void take(const wire::Frame& entry, std::int64_t now_ms);
    void replace(const wire::ProducerTable& table) { known_.replace(table); }
    void restore(Producers known) { known_ = std::move(known); }
    const Producers& known() const { return known_; }
    // What will be known at the end of this leader's log, if all of that is committed.
    Producers foreseen(Term term, std::int64_t now_ms) const;

private:
    const wire::Producer* find(std::int64_t id, Term term) const;
    std::size_t count(Term term) const;
    Decision decide_first(const wire::BatchHeader& batch) const;

    // A producer of whom nothing is known, and his first batch that was refused.
    struct Refused {
        std::int16_t epoch = 0;
        std::int32_t sequence = 0;
    };
    static constexpr std::size_t refused_max = 1024; // Beyond that those of the lowest ids go.

    struct Step {
        wire::ProducerStep step;
        Position place;
    };
    struct Ahead {
        wire::Producer producer;
        std::int64_t last = 0; // The index of his last step.
    };

    Producers known_;
    // What this leader has appended and is not applied yet, in order; and what is known of its
    // producers with that.
    std::deque<Step> steps_;
    std::map<std::int64_t, Ahead> ahead_;
    Term ahead_term_;
    std::map<std::int64_t, Refused> refused_;
};

} // namespace pyralog::raft
