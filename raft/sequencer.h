// raft/sequencer.h
//
// Decides what becomes of a batch that an idempotent producer sends to the leader of a partition:
// it is appended if it is the next of its producer, and if not, it is known already, or refused.
//
// What is committed decides, and, within a leader's term, what this leader has appended since. That
// may yet be overruled, and is forgotten when the term is over. What was appended before the term
// must have been committed and applied by then: the caller sees to it. Pure.
#pragma once

#include "core/base/types.h"
#include "raft/producers.h"

namespace pyralog::raft {

class Sequencer {
public:
    enum class Verdict : std::uint8_t {
        append,
        duplicate,    // Has its place already: Decision::offset.
        out_of_order, // Something is missing before it, or it lies behind what is remembered.
        old_epoch,    // Its producer has gone on.
        too_many,     // There are as many producers as may be, and this one is not among them.
    };
    struct Decision {
        Verdict verdict = Verdict::append;
        Offset offset;
    };

    // Of a producer of whom nothing is known any sequence is taken, as Kafka does since KIP-360: he
    // may have been forgotten, or the topic made anew. But not, if a batch before it was refused
    // here: it is to come again, and first.
    Decision decide(const wire::BatchHeader& batch, Term term, std::size_t producers_max) const;

    // What was decided to be appended was, in this term; or was not, though it may be tried again.
    void proposed(const wire::BatchHeader& batch, Offset offset, Term term);
    void refused(const wire::BatchHeader& batch);

    // Nothing that this replica has appended counts any more.
    void deposed() { ahead_.clear(); }

    // As Producers: of what is committed.
    void apply(const wire::BatchHeader& batch, Offset offset, std::int64_t now_ms);
    void replace(const wire::ProducerTable& table) { known_.replace(table); }
    void restore(Producers known) { known_ = std::move(known); }
    const Producers& known() const { return known_; }

private:
    const wire::Producer* find(std::int64_t id, Term term) const;
    std::size_t count(Term term) const;

    // A producer of whom nothing is known, and his first batch that was refused.
    struct Refused {
        std::int16_t epoch = 0;
        std::int32_t sequence = 0;
    };
    static constexpr std::size_t refused_max = 1024; // Beyond that those of the lowest ids go.

    Producers known_;
    // What is known of a producer, and what this leader has appended of him on top of that. Only
    // of those of whom something is not applied yet.
    std::map<std::int64_t, wire::Producer> ahead_;
    Term ahead_term_;
    std::map<std::int64_t, Refused> refused_;
};

} // namespace pyralog::raft
