#include "core/wire/frame.h"

#include "core/base/crc32c.h"
#include "core/wire/fixed.h"

namespace pyralog::wire {

namespace {

constexpr std::uint8_t frame_version = 1;
constexpr std::size_t header_crc_size = sizeof(std::uint32_t);

bool known(std::uint8_t kind) {
    switch (static_cast<Frame::Kind>(kind)) {
    case Frame::Kind::records:
    case Frame::Kind::term_start:
    case Frame::Kind::members:
    case Frame::Kind::trim:
    case Frame::Kind::reduced:
    case Frame::Kind::compaction:
    case Frame::Kind::begin:
    case Frame::Kind::vote:
    case Frame::Kind::cut:
    case Frame::Kind::mark:
    case Frame::Kind::seal:
    case Frame::Kind::start: return true;
    }
    return false;
}

} // namespace

bool is_sensible(const Frame& frame) {
    constexpr std::int64_t limit = std::int64_t{1} << 62;
    if (!known(static_cast<std::uint8_t>(frame.kind))) return false;
    if (size_of(frame.payload) > Frame::payload_size_max) return false;
    if (frame.group.value < 0 || frame.term.value < 0) return false;
    if (frame.first.index < 0 || frame.first.index > limit) return false;
    if (frame.first.offset.value < 0 || frame.first.offset.value > limit) return false;
    if (frame.kind == Frame::Kind::start) return frame.records >= 0;
    return frame.has_records() ? frame.records > 0 : frame.records == 0;
}

void encode_header(const Frame& frame, std::span<std::byte, Frame::header_size> into,
                   FrameForm form) {
    const std::size_t payload_size = size_of(frame.payload) + frame.damaged;
    CHECK(is_sensible(frame) && (frame.damaged == 0 || form == FrameForm::extent));
    const std::uint32_t payload_crc =
        frame.payload_crc != 0 ? frame.payload_crc : crc32c(frame.payload);
    FixedWriter writer(into.subspan(header_crc_size));
    writer.put(payload_crc).put(static_cast<std::uint32_t>(payload_size));
    writer.put(frame_version).put(static_cast<std::uint8_t>(frame.kind));
    writer.put(static_cast<std::uint16_t>(form));
    writer.put(frame.group.value).put(frame.first.index).put(frame.first.offset.value);
    writer.put(frame.round).put(frame.term.value).put(frame.records).put(std::uint64_t{0});
    FixedWriter(into).put(crc32c(into.subspan(header_crc_size)));
}

Bytes encode_header(const Frame& frame) {
    Buffer header(Frame::header_size);
    encode_header(frame, std::span<std::byte, Frame::header_size>(header.view()));
    return std::move(header).freeze();
}

namespace {

Result<FrameHeader> decode_form(HeaderBytes bytes, FrameForm other) {
    FixedReader reader(bytes);
    if (reader.get<std::uint32_t>() != crc32c(bytes.subspan(header_crc_size)))
        return Error::corrupt;
    FrameHeader header;
    Frame& frame = header.frame;
    frame.payload_crc = reader.get<std::uint32_t>();
    header.payload_size = reader.get<std::uint32_t>();
    const auto version = reader.get<std::uint8_t>();
    const auto kind = reader.get<std::uint8_t>();
    const auto flags = reader.get<std::uint16_t>();
    frame.kind = static_cast<Frame::Kind>(kind);
    frame.group = GroupId(reader.get<std::int64_t>());
    frame.first.index = reader.get<std::int64_t>();
    frame.first.offset = Offset(reader.get<std::int64_t>());
    frame.round = reader.get<std::uint64_t>();
    frame.term = Term(reader.get<std::int32_t>());
    frame.records = reader.get<std::int32_t>();
    if (version != frame_version) return Error::corrupt;
    header.form = static_cast<FrameForm>(flags);
    if (header.form != FrameForm::plain && (header.form != other || !frame.is_entry()))
        return Error::corrupt;
    if (header.payload_size > Frame::payload_size_max || !is_sensible(frame)) return Error::corrupt;
    return header;
}

} // namespace

Result<FrameHeader> decode_header(HeaderBytes bytes) {
    return decode_form(bytes, FrameForm::plain);
}

Result<FrameHeader> decode_header_in_journal(HeaderBytes bytes) {
    return decode_form(bytes, FrameForm::extent);
}

Result<FrameHeader> decode_header_in_segment(HeaderBytes bytes) {
    return decode_form(bytes, FrameForm::ahead);
}

namespace {

constexpr std::size_t summed_of_extent = Frame::header_size + 2 * sizeof(std::uint64_t);

} // namespace

void encode_extent(const Frame& frame, std::span<std::byte, extent_size> into) {
    CHECK(frame.place.is_known());
    encode_header(frame, into.first<Frame::header_size>(), FrameForm::extent);
    FixedWriter writer(into.subspan(Frame::header_size));
    writer.put(frame.place.segment).put(frame.place.file_position);
    writer.put(crc32c(into.first(summed_of_extent))).put(std::uint32_t{0});
}

FramePlace decode_place(std::span<const std::byte, extent_size> extent) {
    FixedReader reader(extent.subspan(Frame::header_size));
    FramePlace place;
    place.segment = reader.get<std::int64_t>();
    place.file_position = reader.get<std::uint64_t>();
    // As with the numbers of a frame: one may add to it without a thought.
    constexpr std::uint64_t limit = std::uint64_t{1} << 62;
    const bool is_good = reader.get<std::uint32_t>() == crc32c(extent.first(summed_of_extent));
    if (!is_good || place.segment < 0 || place.file_position > limit) return {};
    return place;
}

bool payload_intact(const Frame& frame) { return crc32c(frame.payload) == frame.payload_crc; }

bool is_same_entry(const Frame& one, const Frame& other) {
    return one.kind == other.kind && one.group == other.group && one.term == other.term &&
           one.first == other.first && one.records == other.records &&
           one.payload_crc == other.payload_crc && stored_size(one) == stored_size(other);
}

bool is_reduced_from(const Frame& one, const Frame& other) {
    return one.has_records() && other.kind == Frame::Kind::reduced && one.group == other.group &&
           one.term == other.term && one.first == other.first && one.records == other.records;
}

Frame without_payload(Frame frame) {
    frame.damaged += static_cast<std::uint32_t>(size_of(frame.payload));
    frame.payload.clear();
    return frame;
}

Frame owned(const Frame& frame) {
    Frame copy = frame;
    const Bytes payload = Bytes::copy_of(joined(frame.payload).view());
    copy.payload.clear();
    if (!payload.empty()) copy.payload.push_back(payload);
    return copy;
}

} // namespace pyralog::wire
