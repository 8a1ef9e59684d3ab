#include "raft/producers.h"

#include <algorithm>

namespace pyralog::raft {

std::int32_t Producers::after(std::int32_t sequence, std::int32_t count) {
    constexpr std::int64_t sequences = std::int64_t{1} << 31;
    return static_cast<std::int32_t>((std::int64_t{sequence} + count) % sequences);
}

void note_batch(wire::Producer& producer, const wire::BatchHeader& batch, Offset offset) {
    if (producer.epoch != batch.producer_epoch) producer.batches.clear();
    producer.id = batch.producer_id;
    producer.epoch = batch.producer_epoch;
    producer.timestamp = batch.max_timestamp;
    if (producer.batches.size() == wire::Producer::batches_max)
        producer.batches.erase(producer.batches.begin());
    producer.batches.push_back({batch.base_sequence, Producers::last_of(batch), offset});
}

void Producers::apply(const wire::BatchHeader& batch, Offset offset, std::int64_t now_ms) {
    wire::Producer& producer = producers_[batch.producer_id];
    if (!producer.batches.empty() && producer.batches.back().offset >= offset) return;
    note_batch(producer, batch, offset);
    producer.seen_ms = now_ms;
}

// A producer of which the table says nothing was forgotten, but for what he has sent since then.
void Producers::replace(const wire::ProducerTable& table) {
    std::map<std::int64_t, wire::Producer> later = std::move(producers_);
    producers_.clear();
    for (const wire::Producer& producer : table.producers) producers_[producer.id] = producer;
    for (auto& [id, producer] : later) {
        std::erase_if(producer.batches, [&](const wire::ProducerBatch& batch) {
            return batch.offset < table.as_of.offset;
        });
        if (producer.batches.empty()) continue;
        const auto known = producers_.find(id);
        if (known != producers_.end() && known->second.epoch == producer.epoch) {
            auto& batches = producer.batches;
            const auto& before = known->second.batches;
            const std::size_t room = wire::Producer::batches_max - batches.size();
            const std::size_t kept = std::min(room, before.size());
            batches.insert(batches.begin(), before.end() - static_cast<std::ptrdiff_t>(kept),
                           before.end());
        }
        producers_[id] = std::move(producer);
    }
}

wire::ProducerTable Producers::table(Position as_of, std::int64_t seen_from_ms) const {
    wire::ProducerTable table{as_of, {}};
    for (const auto& [id, producer] : producers_)
        if (producer.seen_ms >= seen_from_ms) table.producers.push_back(producer);
    return table;
}

bool Producers::any_seen_before(std::int64_t seen_from_ms) const {
    return std::ranges::any_of(
        producers_, [&](const auto& known) { return known.second.seen_ms < seen_from_ms; });
}

const wire::Producer* Producers::find(std::int64_t id) const {
    const auto found = producers_.find(id);
    return found == producers_.end() ? nullptr : &found->second;
}

} // namespace pyralog::raft
