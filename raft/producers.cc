#include "raft/producers.h"

#include "core/base/bug.h"
#include "core/wire/compaction.h"
#include "core/wire/log_start.h"

#include <algorithm>

namespace pyralog::raft {

std::int32_t Producers::after(std::int32_t sequence, std::int32_t count) {
    constexpr std::int64_t sequences = std::int64_t{1} << 31;
    return static_cast<std::int32_t>((std::int64_t{sequence} + count) % sequences);
}

// ---- One producer ----

namespace {

// Sequences begin anew with an epoch.
void note_epoch(wire::Producer& producer, std::int16_t epoch) {
    if (epoch == producer.epoch) return;
    producer.epoch = epoch;
    producer.batches.clear();
}

void note_batch(wire::Producer& producer, const wire::BatchHeader& batch, Offset offset) {
    note_epoch(producer, batch.producer_epoch);
    producer.timestamp = batch.max_timestamp;
    const bool is_first = batch.is_transactional() && producer.is_open;
    if (is_first && producer.opened < Offset()) producer.opened = offset;
    if (batch.base_sequence < 0) return; // Of a coordinator, in his name.
    if (producer.batches.size() == wire::Producer::batches_max)
        producer.batches.erase(producer.batches.begin());
    producer.batches.push_back({batch.base_sequence, Producers::last_of(batch), offset});
}

void note_begin(wire::Producer& producer, const wire::TransactionBegin& begin) {
    if (begin.number <= producer.transaction || begin.epoch < producer.epoch) return;
    note_epoch(producer, begin.epoch);
    producer.transaction = begin.number;
    producer.is_open = true;
    producer.opened = Offset(-1);
}

std::optional<wire::AbortedTransaction> note_end(wire::Producer& producer,
                                                 const wire::TransactionEnd& end, Offset offset) {
    std::optional<wire::AbortedTransaction> aborted;
    const bool left_some = producer.is_open && producer.opened >= Offset();
    if (left_some && !end.commits) aborted = {end.producer, producer.opened, offset};
    // A later epoch than that of its batches fences what of them is still under way.
    if (end.epoch > producer.epoch) note_epoch(producer, end.epoch);
    producer.is_open = false;
    producer.opened = Offset(-1);
    return aborted;
}

} // namespace

std::optional<wire::AbortedTransaction> note(wire::Producer& producer,
                                             const wire::ProducerStep& step, Offset offset) {
    producer.id = wire::producer_of(step);
    if (const auto* const batch = std::get_if<wire::BatchHeader>(&step)) {
        note_batch(producer, *batch, offset);
        return {};
    }
    if (const auto* const begin = std::get_if<wire::TransactionBegin>(&step)) {
        note_begin(producer, *begin);
        return {};
    }
    return note_end(producer, std::get<wire::TransactionEnd>(step), offset);
}

// ---- All of them ----

void Producers::take(const wire::Frame& entry, std::int64_t now_ms) {
    using Kind = wire::Frame::Kind;
    if (const auto step = wire::producer_step_of(entry)) {
        apply(*step, entry.first.offset, now_ms);
        return;
    }
    // That one of these makes no sense, the log says itself.
    if (entry.kind == Kind::trim) {
        const auto table = wire::producers_of_trim(entry);
        if (table.ok() && table.value()) replace(*table.value());
        if (const auto trim = wire::trim_of(entry); trim.ok()) forget_aborted(trim.value().offset);
    }
    if (entry.kind == Kind::compaction) {
        const auto table = wire::producers_of_compaction(entry);
        if (table.ok() && table.value()) replace(*table.value());
        // No replica has anything left of them.
        if (const auto to = wire::compaction_of(entry); to.ok())
            forget_aborted(to.value().to.deleted);
    }
}

void Producers::apply(const wire::ProducerStep& step, Offset offset, std::int64_t now_ms) {
    wire::Producer& producer = producers_[wire::producer_of(step)];
    const auto* const batch = std::get_if<wire::BatchHeader>(&step);
    if (batch && batch->base_sequence >= 0 && !producer.batches.empty() &&
        producer.batches.back().offset >= offset)
        return;
    if (producer.opened >= Offset()) open_.erase({producer.opened, producer.id});
    const auto aborted = note(producer, step, offset);
    if (producer.opened >= Offset()) open_.emplace(producer.opened, producer.id);
    if (aborted) aborted_.push_back(*aborted);
    producer.seen_ms = now_ms;
}

void Producers::replace(const wire::ProducerTable& table) {
    has_forgotten_ |= table.has_forgotten;
    producers_.clear();
    open_.clear();
    for (const wire::Producer& producer : table.producers) {
        producers_[producer.id] = producer;
        if (producer.opened >= Offset()) open_.emplace(producer.opened, producer.id);
    }
    aborted_ = table.aborted;
}

void Producers::forget_aborted(Offset before) {
    std::erase_if(aborted_, [&](const auto& aborted) { return aborted.last < before; });
}

wire::ProducerTable Producers::table(Position as_of, std::int64_t seen_from_ms) const {
    wire::ProducerTable table{as_of, has_forgotten_, {}, aborted_};
    for (const auto& [id, producer] : producers_)
        if (producer.seen_ms >= seen_from_ms || producer.is_open)
            table.producers.push_back(producer);
        else
            table.has_forgotten = true;
    return table;
}

bool Producers::any_seen_before(std::int64_t seen_from_ms) const {
    return std::ranges::any_of(producers_, [&](const auto& known) {
        return known.second.seen_ms < seen_from_ms && !known.second.is_open;
    });
}

const wire::Producer* Producers::find(std::int64_t id) const {
    const auto found = producers_.find(id);
    return found == producers_.end() ? nullptr : &found->second;
}

std::optional<Offset> Producers::first_open() const {
    if (open_.empty() || BUG(T01)) return {};
    return open_.begin()->first;
}

std::vector<wire::AbortedTransaction> Producers::aborted_in(Offset first, Offset end) const {
    std::vector<wire::AbortedTransaction> found;
    auto next = std::ranges::lower_bound(aborted_, first, {}, &wire::AbortedTransaction::last);
    for (; next != aborted_.end(); ++next)
        if (next->first < end) found.push_back(*next);
    return found;
}

} // namespace pyralog::raft
