#include "core/wire/producers.h"

#include "core/wire/codec.h"

namespace pyralog::wire {

namespace {

constexpr std::size_t producer_id_at = 43;

constexpr std::int16_t control_version = 0;
enum class Control : std::int16_t { abort = 0, commit = 1 };

struct ControlKey {
    std::int16_t version = control_version;
    Control type = Control::abort;
};
template <class Codec>
void describe(Codec& field, ControlKey& k) {
    field(k.version, k.type);
}

struct ControlValue {
    std::int16_t version = control_version;
    std::int32_t coordinator_epoch = 0;
};
template <class Codec>
void describe(Codec& field, ControlValue& v) {
    field(v.version, v.coordinator_epoch);
}

RecordBatch taken(Bytes bytes) {
    auto batch = RecordBatch::take_first(bytes);
    CHECK(std::holds_alternative<RecordBatch>(batch));
    return std::get<RecordBatch>(std::move(batch));
}

} // namespace

RecordBatch marker(const TransactionEnd& end, std::int32_t coordinator_epoch, std::int64_t now_ms) {
    constexpr std::int32_t no_sequence = -1;
    const Bytes key =
        encode(ControlKey{control_version, end.commits ? Control::commit : Control::abort});
    const Bytes value = encode(ControlValue{control_version, coordinator_epoch});
    RecordBatchBuilder builder;
    builder.from(end.producer, end.epoch, no_sequence).add(key.text(), value.text(), now_ms);
    builder.mark(BatchHeader::transactional_bit | BatchHeader::control_bit);
    return taken(builder.build());
}

std::optional<TransactionEnd> end_of(const RecordBatch& batch) {
    const BatchHeader& header = batch.header();
    if (!header.is_control() || !header.is_transactional() || !header.has_producer()) return {};
    const auto records = records_of(batch);
    if (!records.ok() || records.value().size() != 1 || !records.value()[0].key) return {};
    Reader reader(*records.value()[0].key);
    ControlKey key;
    reader(key);
    if (!reader.ok() || (key.type != Control::abort && key.type != Control::commit)) return {};
    return TransactionEnd{header.producer_id, header.producer_epoch, key.type == Control::commit};
}

std::optional<ProducerStep> producer_step_of(const Frame& frame) {
    if (frame.kind == Frame::Kind::begin) {
        const auto begin = decode<TransactionBegin>(joined(frame.payload));
        if (!begin.ok()) return {};
        return begin.value();
    }
    if (frame.kind != Frame::Kind::records || frame.payload.empty()) return {};
    // Mostly the first part is the header that the leader stamped, or the whole batch.
    Bytes bytes = frame.payload.front();
    if (bytes.size() < BatchHeader::size) bytes = joined(frame.payload);
    if (bytes.size() < BatchHeader::size) return {};
    // Of nobody: minus one.
    if ((bytes.view()[producer_id_at] & std::byte{0x80}) != std::byte{}) return {};
    Reader reader(bytes.slice(0, BatchHeader::size));
    BatchHeader header;
    reader(header);
    if (!header.is_control()) return header;
    Bytes whole = joined(frame.payload);
    const auto batch = RecordBatch::take_first(whole);
    const auto* const read = std::get_if<RecordBatch>(&batch);
    const auto end = read ? end_of(*read) : std::nullopt;
    if (!end) return {};
    return *end;
}

std::int64_t producer_of(const ProducerStep& step) {
    if (const auto* const batch = std::get_if<BatchHeader>(&step)) return batch->producer_id;
    if (const auto* const begin = std::get_if<TransactionBegin>(&step)) return begin->producer;
    return std::get<TransactionEnd>(step).producer;
}

} // namespace pyralog::wire
