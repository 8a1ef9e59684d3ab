#include "core/wire/producers.h"

#include "core/wire/codec.h"

namespace pyralog::wire {

namespace {

constexpr std::size_t producer_id_at = 43;

} // namespace

std::optional<BatchHeader> producer_batch_of(const Frame& frame) {
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
    return header;
}

} // namespace pyralog::wire
