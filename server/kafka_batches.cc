#include "server/kafka_batches.h"

#include "server/decompress.h"

#include <algorithm>

namespace pyralog::server {

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

namespace {

std::optional<wire::RecordBatch> plain_of(const BytesChain& stored) {
    Bytes bytes = joined(stored);
    const auto taken = wire::RecordBatch::take_first(bytes);
    const auto* const batch = std::get_if<wire::RecordBatch>(&taken);
    if (!batch || !bytes.empty()) return {};
    return plain(*batch);
}

} // namespace

std::optional<std::vector<KeyedRecord>> KafkaBatches::records_in(const BytesChain& batch) const {
    const std::optional<wire::RecordBatch> whole = plain_of(batch);
    if (!whole) return {};
    std::vector<KeyedRecord> records;
    if (whole->header().is_control()) {
        records.push_back({whole->first(), {}, true, false});
        return records;
    }
    const bool is_void = is_aborted(whole->header());
    wire::RecordReader reader(*whole);
    for (;;) {
        const Result<std::optional<wire::Record>> next = reader.next();
        if (!next.ok()) return {};
        const std::optional<wire::Record>& record = next.value();
        if (!record) return records;
        records.push_back({record->offset, record->key, !record->value, is_void});
    }
}

bool KafkaBatches::is_aborted(const wire::BatchHeader& header) const {
    if (!header.is_transactional()) return false;
    auto next =
        std::ranges::lower_bound(aborted_, header.base_offset, {}, &wire::AbortedTransaction::last);
    // The first of this producer that ends behind it.
    for (; next != aborted_.end(); ++next)
        if (next->producer == header.producer_id) return next->first <= header.base_offset;
    return false;
}

// Its latest time is that of what is left.
BytesChain KafkaBatches::reduced(const BytesChain& batch, std::span<const Offset> kept) const {
    const std::optional<wire::RecordBatch> whole = plain_of(batch);
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
