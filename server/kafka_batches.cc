#include "server/kafka_batches.h"

#include "server/decompress.h"

#include <algorithm>

namespace pyralog::server {

namespace {

// The same batch with its records as they were before they were compressed. Nothing if they cannot
// be had, or are more than a batch may hold.
std::optional<wire::RecordBatch> plain(const wire::RecordBatch& batch) {
    wire::BatchHeader header = batch.header();
    if (header.compression() == wire::Compression::none) return batch;
    constexpr std::size_t head = wire::BatchHeader::size;
    const auto records =
        decompressed(header.compression(), batch.bytes().slice(head, batch.size() - head),
                     wire::RecordBatch::size_max - head);
    if (!records) return {};
    header.attributes =
        static_cast<std::int16_t>(header.attributes & ~wire::BatchHeader::compression_mask);
    Bytes bytes = wire::assemble(header, *records);
    auto taken = wire::RecordBatch::take_first(bytes);
    if (auto* const whole = std::get_if<wire::RecordBatch>(&taken)) return std::move(*whole);
    return {};
}

std::optional<wire::RecordBatch> plain(const BytesChain& stored) {
    Bytes bytes = joined(stored);
    const auto taken = wire::RecordBatch::take_first(bytes);
    const auto* const batch = std::get_if<wire::RecordBatch>(&taken);
    if (!batch || !bytes.empty()) return {};
    return plain(*batch);
}

} // namespace

std::optional<std::vector<KeyedRecord>> KafkaBatches::records_in(const BytesChain& batch) const {
    const std::optional<wire::RecordBatch> whole = plain(batch);
    if (!whole) return {};
    std::vector<KeyedRecord> records;
    wire::RecordReader reader(*whole);
    for (;;) {
        const Result<std::optional<wire::Record>> next = reader.next();
        if (!next.ok()) return {};
        const std::optional<wire::Record>& record = next.value();
        if (!record) return records;
        records.push_back({record->offset, record->key, !record->value});
    }
}

// Its latest time is that of what is left.
BytesChain KafkaBatches::reduced(const BytesChain& batch, std::span<const Offset> kept) const {
    const std::optional<wire::RecordBatch> whole = plain(batch);
    CHECK(whole && !kept.empty());
    wire::BatchHeader header = whole->header();
    header.record_count = 0;
    BytesChain records;
    wire::RecordReader reader(*whole);
    for (;;) {
        const Result<std::optional<wire::Record>> next = reader.next();
        CHECK(next.ok());
        const std::optional<wire::Record>& record = next.value();
        if (!record) break;
        if (!std::ranges::binary_search(kept, record->offset)) continue;
        header.max_timestamp = header.record_count == 0
                                   ? record->timestamp
                                   : std::max(header.max_timestamp, record->timestamp);
        ++header.record_count;
        records.push_back(reader.bytes());
    }
    CHECK(header.record_count == static_cast<std::int32_t>(kept.size()));
    return {wire::assemble(header, joined(records))};
}

bool has_keys(const wire::RecordBatch& batch) {
    const std::optional<wire::RecordBatch> whole = plain(batch);
    if (!whole || !whole->records_are_sound()) return false;
    const auto records = wire::records_of(*whole);
    return records.ok() &&
           std::ranges::all_of(records.value(), [](const auto& r) { return r.key.has_value(); });
}

} // namespace pyralog::server
