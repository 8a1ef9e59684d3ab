// core/wire/segment.h
//
// A segment file as bytes; FORMATS.md has the layout. 64 bytes that say whose it is, then frames as
// they are sent between nodes, each padded to 8 bytes, and once it is sealed a footer. All pure.
#pragma once

#include "core/base/bytes.h"
#include "core/base/terms.h"
#include "core/wire/frame.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace pyralog::wire {

struct SegmentHeader {
    static constexpr std::size_t size = 64;
    GroupId group;
    Position first;
    bool operator==(const SegmentHeader&) const = default;
};

Bytes encode(const SegmentHeader& header);
std::optional<SegmentHeader> decode_segment_header(std::span<const std::byte> bytes);

// What is in a segment, and where: one mark for about every 4 KiB of file. A cache of the file.
struct SegmentIndex {
    static constexpr std::uint64_t mark_distance = 4096;
    static constexpr std::int64_t no_timestamp = -1;

    struct Mark {
        Position entry;
        std::uint64_t file_position = 0;
        std::int64_t timestamp_max = no_timestamp; // Of the batches up to the next mark.
        bool operator==(const Mark&) const = default;
    };

    Position first;
    Position end;
    std::uint64_t bytes = SegmentHeader::size; // Where the next frame goes.
    std::int64_t timestamp_max = no_timestamp;
    std::vector<TermStart> terms; // Of the entries in it, the first one's included.
    std::vector<Mark> marks;      // Both rise.
    // The index of the last entry that says how far the log is compacted.
    std::optional<std::int64_t> compaction;
    bool operator==(const SegmentIndex&) const = default;

    explicit SegmentIndex(Position start) : first(start), end(start) {}

    // Tells of the next frame. It must fit: see fits().
    void add(const Frame& frame);
    bool fits(const Frame& frame) const;

    // Where to begin to look for the entry that holds this offset, or has this index.
    std::uint64_t place_of(Offset offset) const;
    std::uint64_t place_of_index(std::int64_t index) const;
};

// As they stand in a segment: each with its header, and zeros up to the next.
BytesChain encode_frames(std::span<const Frame> frames, FrameForm form = FrameForm::plain);

// The greatest timestamp of a batch; no_timestamp for what is not one.
std::int64_t batch_timestamp_max(const Frame& frame);

// Reads frames of `group` from `bytes`, which stand at index.bytes in the file, and adds each one
// that is intact and follows. One that was written ahead counts only before `committed`: the bytes
// do not say if it ever was. Returns how many bytes were taken; less than all of them means that
// the next frame is incomplete, bad, or does not count. `needed` is then how many bytes would show
// it, or zero if more would not help.
struct SegmentScan {
    std::size_t taken = 0;
    std::size_t needed = 0;
};
SegmentScan scan_segment(const Bytes& bytes, GroupId group, SegmentIndex& index,
                         std::int64_t committed = 0);

// Stands at the end of a sealed segment: the index, and then 64 bytes that say where it begins.
struct SegmentFooter {
    static constexpr std::size_t trailer_size = 64;
    struct Trailer {
        std::uint64_t file_position = 0; // Of the footer, where the frames end.
        std::uint64_t body_bytes = 0;    // Without the trailer.
        std::uint32_t body_crc = 0;
    };
};
Bytes encode_footer(const SegmentIndex& index);
std::optional<SegmentFooter::Trailer> decode_trailer(std::span<const std::byte> bytes,
                                                     std::uint64_t file_size);
std::optional<SegmentIndex> decode_footer(std::span<const std::byte> body,
                                          const SegmentFooter::Trailer& trailer,
                                          const SegmentHeader& header);

// What the header of a segment has said, if the footer is all that is left.
std::optional<SegmentHeader> header_by_footer(std::span<const std::byte> body,
                                              const SegmentFooter::Trailer& trailer, GroupId group);
// The same from all of a file.
std::optional<SegmentHeader> header_by_footer(std::span<const std::byte> file, GroupId group);

} // namespace pyralog::wire
