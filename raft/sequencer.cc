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
        if (const auto ahead = ahead_.find(id); ahead != ahead_.end())
            return &ahead->second.producer;
    return known_.find(id);
}

// Of those known, and those who are new.
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
    const bool is_new = !producer;
    const bool is_old = producer && batch.producer_epoch < producer->epoch;
    if (is_old && !BUG(T04)) return {Verdict::old_epoch, {}};
    const bool is_of_epoch = producer && batch.producer_epoch <= producer->epoch;
    const std::int32_t last = Producers::last_of(batch);
    if (is_of_epoch)
        for (const wire::ProducerBatch& known : producer->batches)
            if (known.first_sequence == batch.base_sequence && known.last_sequence == last)
                return {Verdict::duplicate, known.offset};
    const bool is_open = producer && producer->is_open;
    const bool fits = batch.is_transactional() ? is_open && is_of_epoch : !is_open;
    if (!fits) return {Verdict::no_transaction, {}};
    if (batch.base_sequence < 0) return {};
    if (is_new && known_.all().size() + ahead_.size() >= producers_max &&
        count(term) >= producers_max)
        return {Verdict::too_many, {}};
    if (is_new || (is_of_epoch && producer->batches.empty())) return decide_first(batch);
    if (!is_of_epoch) {
        if (batch.base_sequence == 0) return {};
        return {Verdict::out_of_order, {}};
    }
    const std::int32_t next = Producers::after(producer->batches.back().last_sequence);
    if (batch.base_sequence == next) return {};
    if (is_before(next, batch.base_sequence) && BUG(P03)) return {};
    return {Verdict::out_of_order, {}};
}

// Nothing is known of what he has sent in this epoch.
Sequencer::Decision Sequencer::decide_first(const wire::BatchHeader& batch) const {
    const bool may_begin = batch.base_sequence == 0 || known_.has_forgotten();
    if (!may_begin && !BUG(P05)) return {Verdict::out_of_order, {}};
    const auto refused = refused_.find(batch.producer_id);
    const bool is_behind_refused = refused != refused_.end() &&
                                   refused->second.epoch == batch.producer_epoch &&
                                   is_before(refused->second.sequence, batch.base_sequence);
    if (is_behind_refused && !BUG(P05)) return {Verdict::out_of_order, {}};
    return {};
}

// ---- Transactions ----

Sequencer::Turn Sequencer::may_begin(const wire::TransactionBegin& begin, Term term,
                                     std::size_t producers_max, std::size_t aborted_max) const {
    const wire::Producer* const producer = find(begin.producer, term);
    if (producer && (begin.epoch < producer->epoch || begin.number < producer->transaction))
        return Turn::never;
    if (producer && begin.number == producer->transaction)
        return producer->is_open ? Turn::done : Turn::never;
    const bool is_full = !producer && count(term) >= producers_max;
    if (is_full || known_.aborted().size() >= aborted_max) return Turn::too_many;
    return Turn::now;
}

Sequencer::Turn Sequencer::may_end(const wire::TransactionBegin& begun, Term term) const {
    const wire::Producer* const producer = find(begun.producer, term);
    if (!producer || begun.number > producer->transaction) return Turn::now;
    const bool is_it = begun.number == producer->transaction;
    return is_it && producer->is_open ? Turn::now : Turn::done;
}

bool Sequencer::has_begun(const wire::TransactionBegin& begin, Term term) const {
    const wire::Producer* const producer = find(begin.producer, term);
    return producer && producer->transaction >= begin.number;
}

// ---- What was appended, and what is committed ----

void Sequencer::deposed() {
    ahead_.clear();
    steps_.clear();
}

void Sequencer::proposed(const wire::ProducerStep& step, Position place, Term term) {
    if (term != ahead_term_) deposed();
    ahead_term_ = term;
    const std::int64_t id = wire::producer_of(step);
    auto ahead = ahead_.find(id);
    if (ahead == ahead_.end()) {
        const wire::Producer* const known = known_.find(id);
        ahead = ahead_.emplace(id, Ahead{known ? *known : wire::Producer(), 0}).first;
    }
    (void)note(ahead->second.producer, step, place.offset); // Counts when it is committed.
    ahead->second.last = place.index;
    steps_.push_back({step, place});
    refused_.erase(id);
    if (BUG(P02)) known_.apply(step, place.offset, 0);
}

void Sequencer::refused(const wire::BatchHeader& batch) {
    const wire::Producer* const known = known_.find(batch.producer_id);
    if (known && !known->batches.empty()) return;
    const Refused now{batch.producer_epoch, batch.base_sequence};
    const auto [before, is_new] = refused_.try_emplace(batch.producer_id, now);
    if (!is_new &&
        (before->second.epoch != now.epoch || is_before(now.sequence, before->second.sequence)))
        before->second = now;
    if (refused_.size() > refused_max) refused_.erase(refused_.begin());
}

void Sequencer::take(const wire::Frame& entry, std::int64_t now_ms) {
    known_.take(entry, now_ms);
    while (!steps_.empty() && steps_.front().place.index <= entry.first.index) {
        const std::int64_t id = wire::producer_of(steps_.front().step);
        const auto ahead = ahead_.find(id);
        const bool is_last = ahead != ahead_.end() && ahead->second.last <= entry.first.index;
        SOMETIMES(ahead != ahead_.end() && !is_last, "sequencer/more-of-a-producer-is-under-way");
        if (is_last) ahead_.erase(ahead);
        steps_.pop_front();
    }
    if (const auto step = wire::producer_step_of(entry)) refused_.erase(wire::producer_of(*step));
}

Producers Sequencer::foreseen(Term term, std::int64_t now_ms) const {
    Producers all = known_;
    if (term == ahead_term_)
        for (const Step& step : steps_) all.apply(step.step, step.place.offset, now_ms);
    return all;
}

} // namespace pyralog::raft
