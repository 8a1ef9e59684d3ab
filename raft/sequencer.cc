#include "raft/sequencer.h"

#include "core/base/bug.h"
#include "core/base/probe.h"

#include <algorithm>

namespace pyralog::raft {

namespace {

// On a circle, one comes before the other if the way forward is less than half of it.
bool is_before(std::int32_t one, std::int32_t other) {
    constexpr std::uint32_t sequences = std::uint32_t{1} << 31;
    const std::uint32_t ahead =
        (static_cast<std::uint32_t>(other) - static_cast<std::uint32_t>(one)) % sequences;
    return ahead > 0 && ahead < sequences / 2;
}

} // namespace

const wire::Producer* Sequencer::find(std::int64_t id, Term term) const {
    if (term == ahead_term_)
        if (const auto ahead = ahead_.find(id); ahead != ahead_.end()) return &ahead->second;
    return known_.find(id);
}

std::size_t Sequencer::count(Term term) const {
    std::size_t count = known_.all().size();
    if (term == ahead_term_)
        count += static_cast<std::size_t>(std::ranges::count_if(
            ahead_, [&](const auto& ahead) { return !known_.find(ahead.first); }));
    return count;
}

Sequencer::Decision Sequencer::decide(const wire::BatchHeader& batch, Term term,
                                      std::size_t producers_max) const {
    const wire::Producer* const producer = find(batch.producer_id, term);
    if (!producer) {
        if (known_.all().size() + ahead_.size() >= producers_max && count(term) >= producers_max)
            return {Verdict::too_many, {}};
        const auto refused = refused_.find(batch.producer_id);
        const bool is_behind_refused = refused != refused_.end() &&
                                       refused->second.epoch == batch.producer_epoch &&
                                       is_before(refused->second.sequence, batch.base_sequence);
        if (is_behind_refused && !BUG(P05)) return {Verdict::out_of_order, {}};
        return {};
    }
    if (batch.producer_epoch < producer->epoch) return {Verdict::old_epoch, {}};
    if (batch.producer_epoch > producer->epoch) {
        if (batch.base_sequence == 0) return {};
        return {Verdict::out_of_order, {}};
    }
    const std::int32_t last = Producers::last_of(batch);
    for (const wire::ProducerBatch& known : producer->batches)
        if (known.first_sequence == batch.base_sequence && known.last_sequence == last)
            return {Verdict::duplicate, known.offset};
    const std::int32_t next = Producers::after(producer->batches.back().last_sequence);
    if (batch.base_sequence == next) return {};
    if (is_before(next, batch.base_sequence) && BUG(P03)) return {};
    return {Verdict::out_of_order, {}};
}

void Sequencer::proposed(const wire::BatchHeader& batch, Offset offset, Term term) {
    if (term != ahead_term_) ahead_.clear();
    ahead_term_ = term;
    auto ahead = ahead_.find(batch.producer_id);
    if (ahead == ahead_.end()) {
        const wire::Producer* const known = known_.find(batch.producer_id);
        ahead = ahead_.emplace(batch.producer_id, known ? *known : wire::Producer()).first;
    }
    note_batch(ahead->second, batch, offset);
    refused_.erase(batch.producer_id);
    if (BUG(P02)) known_.apply(batch, offset, 0);
}

void Sequencer::refused(const wire::BatchHeader& batch) {
    if (known_.find(batch.producer_id)) return;
    const Refused now{batch.producer_epoch, batch.base_sequence};
    const auto [before, is_new] = refused_.try_emplace(batch.producer_id, now);
    if (!is_new &&
        (before->second.epoch != now.epoch || is_before(now.sequence, before->second.sequence)))
        before->second = now;
    if (refused_.size() > refused_max) refused_.erase(refused_.begin());
}

void Sequencer::apply(const wire::BatchHeader& batch, Offset offset, std::int64_t now_ms) {
    known_.apply(batch, offset, now_ms);
    refused_.erase(batch.producer_id);
    const auto ahead = ahead_.find(batch.producer_id);
    SOMETIMES(ahead != ahead_.end() && ahead->second.batches.back().offset > offset,
              "sequencer/more-of-a-producer-is-under-way");
    if (ahead != ahead_.end() && ahead->second.batches.back().offset <= offset) ahead_.erase(ahead);
}

} // namespace pyralog::raft
