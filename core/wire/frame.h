// core/wire/frame.h
//
// Stands before every entry, in the journal, in segments and between nodes: 64 bytes, the layout is
// in FORMATS.md. The payload of a records frame is a Kafka batch, to the byte. It has a checksum of
// ours as well, since Kafka's leaves out the first 21 bytes: base offset, length, epoch, magic.
//
// A large entry may stand in its segment before it is committed: its frame there says so, and the
// journal has an extent in its place, which is the same header, and where that frame is.
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/types.h"

#include <cstdint>
#include <span>

namespace pyralog::wire {

// Where a frame stands, in the segment that begins with the entry of this index.
struct FramePlace {
    static constexpr std::int64_t nowhere = -1;
    std::int64_t segment = nowhere;
    std::uint64_t file_position = 0;
    bool is_known() const { return segment != nowhere; }
    bool operator==(const FramePlace&) const = default;
};

struct Frame {
    static constexpr std::size_t header_size = 64;
    static constexpr std::size_t payload_size_max = 64_MiB;

    enum class Kind : std::uint8_t {
        records = 1,    // A Kafka batch.
        term_start = 2, // A new leader's first entry: without it nothing older could be committed.
        members = 3,    // Who votes, from here on.
        trim = 4,       // Where the log begins, once this is committed: see log_start.h.
        reduced = 5,    // A batch of which only some records are left, or none, and no payload.
        compaction = 6, // How far the log is compacted, once this is committed: see compaction.h.
        begin = 7,      // A producer begins a transaction: see producers.h.
        vote = 16,      // The rest stand in the journal only. What this replica promised.
        cut = 17,       // The entries from `first` on have been overruled.
        mark = 18,      // Vote, and what is in segments, carried over when a file is used again.
        seal = 19,      // Says that the round before it was durable.
        start = 20,     // Where the log begins: see log_start.h.
    };

    Kind kind = Kind::records;
    GroupId group;
    Term term;
    Position first;
    std::int32_t records = 0;      // None in Raft's own; of a start: see log_start.h.
    std::uint64_t round = 0;       // Of the journal's writes. Zero elsewhere.
    std::uint32_t payload_crc = 0; // Over the payload as it is stored.
    // So many bytes belong into the payload and are not what they should be where this was read:
    // the payload is empty then, and all else still holds. Zero: it is whole. Never written.
    std::uint32_t damaged = 0;
    // Of an extent. Its payload may be here as well; or `damaged` says that it has yet to be read.
    FramePlace place;
    BytesChain payload;

    bool is_entry() const { return kind < Kind::vote; }
    // Takes offsets: as many as `records`, of which a reduced one may have fewer left.
    bool has_records() const { return kind == Kind::records || kind == Kind::reduced; }
    Position end() const { return first.after(records); }
};

enum class FrameForm : std::uint16_t {
    plain = 0,
    ahead = 1,  // In a segment only: it was not known to be committed when it was written.
    extent = 2, // In the journal only.
};

// The 64 bytes that stand before the payload. Sums up the payload if payload_crc is still zero, so
// whoever knows the sum sets it.
Bytes encode_header(const Frame& frame);
void encode_header(const Frame& frame, std::span<std::byte, Frame::header_size> into,
                   FrameForm form = FrameForm::plain);

// Could some version of ours have written this? What can not is refused where it comes in, so that
// the rest of the code may add to the numbers of a frame without a thought.
bool is_sensible(const Frame& frame);

// A frame without its payload yet, and how long that is.
struct FrameHeader {
    Frame frame;
    std::size_t payload_size = 0;
    FrameForm form = FrameForm::plain;
};

// Error::corrupt if these are not the bytes of a frame that some version of ours has written: as it
// is sent between nodes, or as it stands in the journal, or in a segment.
using HeaderBytes = std::span<const std::byte, Frame::header_size>;
Result<FrameHeader> decode_header(HeaderBytes bytes);
Result<FrameHeader> decode_header_in_journal(HeaderBytes bytes);
Result<FrameHeader> decode_header_in_segment(HeaderBytes bytes);

// Is the payload the one that payload_crc was computed from?
bool payload_intact(const Frame& frame);

// In a file each frame is followed by zeros up to a multiple of 8.
constexpr std::size_t frame_alignment = 8;
constexpr std::size_t stored_size(std::size_t payload_size) {
    return (Frame::header_size + payload_size + frame_alignment - 1) / frame_alignment *
           frame_alignment;
}
inline std::size_t stored_size(const Frame& frame) {
    return stored_size(size_of(frame.payload) + frame.damaged);
}

// Behind the header of an extent stands where the entry is, with a sum over both.
constexpr std::size_t extent_size = Frame::header_size + 24;
void encode_extent(const Frame& frame, std::span<std::byte, extent_size> into);
FramePlace decode_place(std::span<const std::byte, extent_size> extent); // Nowhere: it is damaged.

// In the journal.
inline std::size_t journaled_size(const Frame& frame) {
    return frame.place.is_known() ? extent_size : stored_size(frame);
}
inline std::size_t journaled_size(const FrameHeader& header) {
    return header.form == FrameForm::extent ? extent_size : stored_size(header.payload_size);
}

// Are these the same entry, as far as their headers say? Then so are their payloads.
bool is_same_entry(const Frame& one, const Frame& other);

// Is `other` what compaction has left of this entry? Place and term decide what an entry is.
bool is_reduced_from(const Frame& one, const Frame& other);

// The same frame without its payload, which is not what the header says.
Frame without_payload(Frame frame);

// The same frame with a payload of its own: this one may be a slice of something large.
Frame owned(const Frame& frame);

} // namespace pyralog::wire
