#include "core/wire/compaction.h"

#include "core/base/crc32c.h"
#include "core/wire/fixed.h"
#include "core/wire/with_producers.h"

namespace pyralog::wire {

namespace {

constexpr std::uint32_t note_magic = 0x504c434e; // "PLCN"
constexpr std::uint32_t note_version = 1;

bool is_sensible(const Compacted& compacted) {
    return compacted.end.index >= 0 && compacted.end.offset >= Offset() &&
           compacted.deleted >= Offset() && compacted.deleted <= compacted.end.offset;
}

Result<WithProducers<Compaction>> read_compaction(const Frame& frame) {
    CHECK(frame.kind == Frame::Kind::compaction);
    auto read = decode<WithProducers<Compaction>>(joined(frame.payload));
    if (!read.ok() || !is_sensible(read.value().said.to)) return Error::corrupt;
    const Position end = read.value().said.to.end;
    if (end.index > frame.first.index || end.offset > frame.first.offset) return Error::corrupt;
    if (!read.value().is_whole(end, frame.first)) return Error::corrupt;
    return read;
}

} // namespace

BytesChain compaction_payload(const Compaction& compaction,
                              const std::optional<ProducerTable>& producers) {
    return {encode(WithProducers<Compaction>{compaction, producers})};
}

Result<Compaction> compaction_of(const Frame& frame) { return TRY(read_compaction(frame)).said; }

Result<std::optional<ProducerTable>> producers_of_compaction(const Frame& frame) {
    return TRY(read_compaction(frame)).producers;
}

Bytes encode(const CompactedNote& note) {
    Buffer bytes(CompactedNote::size);
    FixedWriter writer(bytes.view().subspan(crc_size));
    writer.put(note_magic).put(note_version).put(std::uint32_t{0}).put(note.group.value);
    writer.put(note.compacted.end.index).put(note.compacted.end.offset.value);
    writer.put(note.compacted.deleted.value);
    writer.fill();
    FixedWriter(bytes.view()).put(crc32c(bytes.view().subspan(crc_size)));
    return std::move(bytes).freeze();
}

std::optional<CompactedNote> decode_compacted_note(std::span<const std::byte> bytes) {
    if (bytes.size() != CompactedNote::size) return {};
    FixedReader reader(bytes);
    if (reader.get<std::uint32_t>() != crc32c(bytes.subspan(crc_size))) return {};
    if (reader.get<std::uint32_t>() != note_magic) return {};
    if (reader.get<std::uint32_t>() != note_version) return {};
    reader.skip(sizeof(std::uint32_t));
    CompactedNote note;
    note.group = GroupId(reader.get<std::int64_t>());
    note.compacted.end.index = reader.get<std::int64_t>();
    note.compacted.end.offset = Offset(reader.get<std::int64_t>());
    note.compacted.deleted = Offset(reader.get<std::int64_t>());
    if (!is_sensible(note.compacted)) return {};
    return note;
}

} // namespace pyralog::wire
