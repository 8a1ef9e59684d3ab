// core/wire/with_producers.h
//
// The payload of an entry by whose leave batches go: what it says, and behind that, unless there is
// nothing to say of them, what is remembered of those who sent such batches.
#pragma once

#include "core/wire/codec.h"
#include "core/wire/producers.h"

#include <optional>

namespace pyralog::wire {

template <class Said>
struct WithProducers {
    Said said;
    std::optional<ProducerTable> producers;

    // Nothing before `end` is needed, and the table speaks of nothing behind the entry at `place`.
    bool is_whole(Position end, Position place) const {
        return !producers || (producers->as_of.index >= end.index && producers->is_before(place));
    }
};

template <class Codec, class Said>
void describe(Codec& field, WithProducers<Said>& w) {
    field(w.said);
    if constexpr (Codec::reads) {
        if (field.remaining() > 0) field(w.producers.emplace());
    } else if (w.producers) {
        field(*w.producers);
    }
}

} // namespace pyralog::wire
