#include "core/wire/segment.h"

#include "core/base/bug.h"
#include "core/base/crc32c.h"
#include "core/wire/fixed.h"

#include <algorithm>

namespace pyralog::wire {

namespace {

constexpr std::uint32_t segment_magic = 0x504c5347; // "PLSG"
constexpr std::uint32_t footer_magic = 0x504c5346;  // "PLSF"
constexpr std::uint32_t segment_version = 1;

constexpr std::size_t footer_head_size = 6 * 8 + 2 * 4;
constexpr std::int64_t no_compaction = -1;
constexpr std::size_t term_size = 4 + 8 + 8;
constexpr std::size_t mark_size = 4 * 8;

// Where Kafka's batch says how late its latest record is.
constexpr std::size_t batch_header_size = 61;
constexpr std::size_t batch_timestamp_max_at = 35;

void put(FixedWriter& writer, Position position) {
    writer.put(position.index).put(position.offset.value);
}

Position get_position(FixedReader& reader) {
    Position position;
    position.index = reader.get<std::int64_t>();
    position.offset = Offset(reader.get<std::int64_t>());
    return position;
}

// The last mark that `before` holds for, or where the frames begin.
template <class Before>
std::uint64_t last_mark(const std::vector<SegmentIndex::Mark>& marks, Before before) {
    const auto found = std::partition_point(marks.begin(), marks.end(), before);
    return found == marks.begin() ? SegmentHeader::size : (found - 1)->file_position;
}

// The numbers of a footer, in the order that an index built from frames has them in.
bool sensible(const SegmentIndex& index) {
    if (index.end.index < index.first.index || index.end.offset < index.first.offset) return false;
    if (index.compaction &&
        (*index.compaction < index.first.index || *index.compaction >= index.end.index))
        return false;
    for (std::size_t i = 0; i < index.terms.size(); ++i) {
        const TermStart& start = index.terms[i];
        if (start.first < index.first || start.first >= index.end) return false;
        if (i > 0 && (start.term <= index.terms[i - 1].term ||
                      start.first.index <= index.terms[i - 1].first.index))
            return false;
    }
    for (std::size_t i = 0; i < index.marks.size(); ++i) {
        const SegmentIndex::Mark& mark = index.marks[i];
        if (mark.file_position < SegmentHeader::size || mark.file_position >= index.bytes)
            return false;
        if (i > 0 && (mark.file_position <= index.marks[i - 1].file_position ||
                      mark.entry.index <= index.marks[i - 1].entry.index ||
                      mark.entry.offset < index.marks[i - 1].entry.offset))
            return false;
    }
    return index.terms.empty() == (index.first == index.end);
}

} // namespace

Bytes encode(const SegmentHeader& header) {
    Buffer bytes(SegmentHeader::size);
    FixedWriter writer(bytes.view().subspan(crc_size));
    writer.put(segment_magic).put(segment_version).put(std::uint32_t{0}).put(header.group.value);
    put(writer, header.first);
    writer.fill();
    FixedWriter(bytes.view()).put(crc32c(bytes.view().subspan(crc_size)));
    return std::move(bytes).freeze();
}

std::optional<SegmentHeader> decode_segment_header(std::span<const std::byte> bytes) {
    if (bytes.size() < SegmentHeader::size) return {};
    bytes = bytes.first(SegmentHeader::size);
    FixedReader reader(bytes);
    if (reader.get<std::uint32_t>() != crc32c(bytes.subspan(crc_size))) return {};
    if (reader.get<std::uint32_t>() != segment_magic) return {};
    if (reader.get<std::uint32_t>() != segment_version) return {};
    reader.skip(sizeof(std::uint32_t));
    SegmentHeader header;
    header.group = GroupId(reader.get<std::int64_t>());
    header.first = get_position(reader);
    return header;
}

void SegmentIndex::add(const Frame& frame) {
    CHECK(fits(frame));
    if (terms.empty() || terms.back().term < frame.term) terms.push_back({frame.term, frame.first});
    if (marks.empty() || bytes - marks.back().file_position >= mark_distance)
        marks.push_back({frame.first, bytes, no_timestamp});
    const std::int64_t timestamp = batch_timestamp_max(frame);
    marks.back().timestamp_max = std::max(marks.back().timestamp_max, timestamp);
    timestamp_max = std::max(timestamp_max, timestamp);
    if (frame.kind == Frame::Kind::compaction) compaction = frame.first.index;
    bytes += stored_size(frame);
    end = frame.end();
}

bool SegmentIndex::fits(const Frame& frame) const {
    return frame.is_entry() && frame.first == end &&
           (terms.empty() || frame.term >= terms.back().term);
}

std::uint64_t SegmentIndex::place_of(Offset offset) const {
    return last_mark(marks, [&](const Mark& mark) { return mark.entry.offset <= offset; });
}

std::uint64_t SegmentIndex::place_of_index(std::int64_t index) const {
    return last_mark(marks, [&](const Mark& mark) { return mark.entry.index <= index; });
}

std::int64_t batch_timestamp_max(const Frame& frame) {
    if (!frame.has_records() || size_of(frame.payload) < batch_header_size)
        return SegmentIndex::no_timestamp;
    std::uint64_t bits = 0;
    std::size_t at = 0; // Of the part, in the batch.
    for (const Bytes& part : frame.payload) {
        for (std::size_t i = batch_timestamp_max_at; i < batch_timestamp_max_at + 8; ++i)
            if (i >= at && i < at + part.size())
                bits = bits << 8 | static_cast<std::uint64_t>(part.view()[i - at]);
        at += part.size();
        if (at >= batch_header_size) break;
    }
    return std::max(SegmentIndex::no_timestamp, static_cast<std::int64_t>(bits));
}

BytesChain encode_frames(std::span<const Frame> frames, FrameForm form) {
    Buffer headers(frames.size() * Frame::header_size);
    for (std::size_t i = 0; i < frames.size(); ++i) {
        Frame frame = frames[i];
        frame.round = 0;
        const auto into = headers.view().subspan(i * Frame::header_size);
        encode_header(frame, into.first<Frame::header_size>(), form);
    }
    const Bytes stored_headers = std::move(headers).freeze();
    const Bytes zeros = Bytes::copy_of(std::string_view("\0\0\0\0\0\0\0\0", frame_alignment));
    BytesChain chain;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        const Frame& frame = frames[i];
        chain.push_back(stored_headers.slice(i * Frame::header_size, Frame::header_size));
        chain.insert(chain.end(), frame.payload.begin(), frame.payload.end());
        const std::size_t padding =
            stored_size(frame) - Frame::header_size - size_of(frame.payload);
        if (padding > 0) chain.push_back(zeros.slice(0, padding));
    }
    return chain;
}

SegmentScan scan_segment(const Bytes& bytes, GroupId group, SegmentIndex& index,
                         std::int64_t committed) {
    SegmentScan scan;
    while (true) {
        const std::size_t left = bytes.size() - scan.taken;
        if (left < Frame::header_size) {
            scan.needed = Frame::header_size;
            return scan;
        }
        const auto decoded = decode_header_in_segment(
            HeaderBytes(bytes.view().subspan(scan.taken, Frame::header_size)));
        if (!decoded.ok()) return scan;
        FrameHeader header = decoded.value();
        if (header.frame.group != group) return scan;
        const bool is_ahead = header.form == FrameForm::ahead;
        if (is_ahead && header.frame.first.index >= committed && !BUG(M40)) return scan;
        const std::size_t size = stored_size(header.payload_size);
        if (left < size) {
            scan.needed = size;
            return scan;
        }
        if (header.payload_size > 0)
            header.frame.payload.push_back(
                bytes.slice(scan.taken + Frame::header_size, header.payload_size));
        if (!index.fits(header.frame) || !payload_intact(header.frame)) return scan;
        index.add(header.frame);
        scan.taken += size;
    }
}

Bytes encode_footer(const SegmentIndex& index) {
    const std::size_t body_bytes =
        footer_head_size + index.terms.size() * term_size + index.marks.size() * mark_size;
    const std::size_t padding = (frame_alignment - body_bytes % frame_alignment) % frame_alignment;
    Buffer bytes(body_bytes + padding + SegmentFooter::trailer_size);
    const auto body = bytes.view().first(body_bytes + padding);
    FixedWriter writer(body);
    put(writer, index.first);
    put(writer, index.end);
    writer.put(index.timestamp_max).put(index.compaction.value_or(no_compaction));
    writer.put(static_cast<std::uint32_t>(index.terms.size()));
    writer.put(static_cast<std::uint32_t>(index.marks.size()));
    for (const TermStart& start : index.terms) {
        writer.put(start.term.value);
        put(writer, start.first);
    }
    for (const SegmentIndex::Mark& mark : index.marks) {
        put(writer, mark.entry);
        writer.put(mark.file_position).put(mark.timestamp_max);
    }
    writer.fill();

    const auto trailer = bytes.view().subspan(body.size());
    FixedWriter end(trailer.subspan(crc_size));
    end.put(footer_magic).put(index.bytes).put(std::uint64_t{body.size()}).put(crc32c(body));
    end.fill();
    FixedWriter(trailer).put(crc32c(trailer.subspan(crc_size)));
    return std::move(bytes).freeze();
}

std::optional<SegmentFooter::Trailer> decode_trailer(std::span<const std::byte> bytes,
                                                     std::uint64_t file_size) {
    if (bytes.size() != SegmentFooter::trailer_size) return {};
    FixedReader reader(bytes);
    if (reader.get<std::uint32_t>() != crc32c(bytes.subspan(crc_size))) return {};
    if (reader.get<std::uint32_t>() != footer_magic) return {};
    SegmentFooter::Trailer trailer;
    trailer.file_position = reader.get<std::uint64_t>();
    trailer.body_bytes = reader.get<std::uint64_t>();
    trailer.body_crc = reader.get<std::uint32_t>();
    if (trailer.file_position > file_size || trailer.body_bytes > file_size) return {};
    if (trailer.file_position + trailer.body_bytes + SegmentFooter::trailer_size != file_size)
        return {};
    return trailer;
}

std::optional<SegmentHeader> header_by_footer(std::span<const std::byte> body,
                                              const SegmentFooter::Trailer& trailer,
                                              GroupId group) {
    if (body.size() != trailer.body_bytes || body.size() < footer_head_size) return {};
    if (crc32c(body) != trailer.body_crc) return {};
    FixedReader reader(body);
    return SegmentHeader{group, get_position(reader)};
}

std::optional<SegmentHeader> header_by_footer(std::span<const std::byte> file, GroupId group) {
    if (file.size() < SegmentFooter::trailer_size) return {};
    const auto trailer = decode_trailer(file.last(SegmentFooter::trailer_size), file.size());
    if (!trailer) return {};
    return header_by_footer(file.subspan(trailer->file_position, trailer->body_bytes), *trailer,
                            group);
}

std::optional<SegmentIndex> decode_footer(std::span<const std::byte> body,
                                          const SegmentFooter::Trailer& trailer,
                                          const SegmentHeader& header) {
    if (body.size() != trailer.body_bytes || body.size() < footer_head_size) return {};
    if (crc32c(body) != trailer.body_crc) return {};
    FixedReader reader(body);
    SegmentIndex index(get_position(reader));
    if (index.first != header.first) return {};
    index.end = get_position(reader);
    index.bytes = trailer.file_position;
    index.timestamp_max = reader.get<std::int64_t>();
    const auto compaction = reader.get<std::int64_t>();
    if (compaction != no_compaction) index.compaction = compaction;
    const std::uint64_t terms = reader.get<std::uint32_t>();
    const std::uint64_t marks = reader.get<std::uint32_t>();
    const std::uint64_t size = footer_head_size + terms * term_size + marks * mark_size;
    if (size > body.size() || body.size() - size >= frame_alignment) return {};
    for (std::uint64_t i = 0; i < terms; ++i) {
        const Term term(reader.get<std::int32_t>());
        index.terms.push_back({term, get_position(reader)});
    }
    for (std::uint64_t i = 0; i < marks; ++i) {
        SegmentIndex::Mark mark;
        mark.entry = get_position(reader);
        mark.file_position = reader.get<std::uint64_t>();
        mark.timestamp_max = reader.get<std::int64_t>();
        index.marks.push_back(mark);
    }
    if (!sensible(index)) return {};
    return index;
}

} // namespace pyralog::wire
