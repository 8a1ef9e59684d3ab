// What of a segment is damaged, and how it is written anew where it stood.
#include "core/log/segment.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"

#include <algorithm>

namespace pyralog {

namespace {

constexpr std::uint64_t block = Buffer::disk_alignment;

constexpr std::uint64_t block_before(std::uint64_t position) { return position / block * block; }
constexpr std::uint64_t block_behind(std::uint64_t position) {
    return block_before(position + block - 1);
}

} // namespace

// ---- What is known of it ----

// The last mark at or before this place, and the first one at or behind it. The frames begin and
// end with one.
wire::SegmentIndex::Mark Segment::mark_before(std::uint64_t file_position) const {
    const auto behind =
        std::partition_point(index_.marks.begin(), index_.marks.end(),
                             [&](const auto& mark) { return mark.file_position <= file_position; });
    if (behind == index_.marks.begin()) return {index_.first, wire::SegmentHeader::size};
    return *(behind - 1);
}

wire::SegmentIndex::Mark Segment::mark_behind(std::uint64_t file_position) const {
    const auto behind =
        std::partition_point(index_.marks.begin(), index_.marks.end(),
                             [&](const auto& mark) { return mark.file_position < file_position; });
    if (behind == index_.marks.end()) return {index_.end, index_.bytes};
    return *behind;
}

// All but its payload is known, and where it stands.
void Segment::note_frame(std::uint64_t file_position, wire::Frame frame) const {
    const std::uint64_t file_end = file_position + wire::stored_size(frame);
    note(file_position, {{frame.first, frame.end(), std::move(frame)}, file_end});
}

// Nothing is known of the frame that stands here. The index tells of one not far behind it.
void Segment::note_place(Position first, std::uint64_t file_position) const {
    const wire::SegmentIndex::Mark behind = mark_behind(file_position + 1);
    note(file_position, {{first, behind.entry, {}}, behind.file_position});
}

// Somewhere in these bytes is a sector that cannot be read. It is written as a whole, so all is
// needed that stands in it.
void Segment::note_unreadable(std::uint64_t file_position, std::uint64_t count) const {
    const wire::SegmentIndex::Mark before = mark_before(block_before(file_position));
    const wire::SegmentIndex::Mark behind = mark_behind(block_behind(file_position + count));
    note(before.file_position, {{before.entry, behind.entry, {}}, behind.file_position});
}

// What lies in what is known already says nothing new, and what lies around it says more.
void Segment::note(std::uint64_t file_position, Hole hole) const {
    const auto covers = [](std::uint64_t at, const Hole& one, std::uint64_t other_at,
                           const Hole& other) {
        return at <= other_at && one.file_end >= other.file_end;
    };
    for (const auto& [at, known] : holes_)
        if (covers(at, known, file_position, hole)) return;
    std::erase_if(holes_, [&](const auto& known) {
        return covers(file_position, hole, known.first, known.second);
    });
    SOMETIMES(holes_.size() == damages_max, "segment/more-damage-than-is-kept");
    if (holes_.size() == damages_max) return;
    holes_.emplace(file_position, std::move(hole));
}

std::vector<Damage> Segment::damages() const {
    std::vector<Damage> damages;
    for (const auto& [file_position, hole] : holes_) damages.push_back(hole.damage);
    return damages;
}

// ---- Mending ----

Term Segment::term_at(Position entry) const {
    const auto behind = std::ranges::upper_bound(index_.terms, entry, {}, &TermStart::first);
    return behind == index_.terms.begin() ? Term() : (behind - 1)->term;
}

bool Segment::fits(std::uint64_t file_position, const Hole& hole,
                   std::span<const wire::Frame> frames) const {
    Position next = hole.damage.first;
    std::uint64_t at = file_position;
    for (const wire::Frame& frame : frames) {
        const bool is_whole = frame.damaged == 0 && wire::payload_intact(frame);
        if (!frame.is_entry() || frame.group != group_ || frame.first != next || !is_whole)
            return false;
        if (frame.term != term_at(frame.first)) return false;
        next = frame.end();
        at += wire::stored_size(frame);
    }
    const auto& known = hole.damage.entry;
    if (known && !wire::is_same_entry(*known, frames.front())) return false;
    return next == hole.damage.end && at == hole.file_end;
}

// Of a block that is written in part the rest must be readable: whoever writes it reads it first.
Result<> Segment::look_at_edge(std::uint64_t from, std::uint64_t end) const {
    if (from >= end) return {};
    Buffer memory(end - from);
    const Result<std::size_t> got = file_->read_at(from, memory.view());
    if (got.ok()) return {};
    if (got.error() != Error::corrupt) return got.error();
    REACHABLE("segment/more-is-damaged-than-was-known");
    note_unreadable(from, end - from);
    return Error::unavailable;
}

// Where the rest of its block cannot be read it waits for that to be mended.
Result<> Segment::restore_header() {
    if (has_header_) return {};
    const Result<> edge = look_at_edge(wire::SegmentHeader::size, block);
    if (!edge.ok()) return edge.error() == Error::unavailable ? Result<>() : edge;
    TRY(file_->write_at(0, {wire::encode(wire::SegmentHeader{group_, index_.first})}));
    TRY(file_->sync());
    REACHABLE("segment/header-restored");
    has_header_ = true;
    return {};
}

// With the header and the footer where they stand beside it: they may have gone with it, and the
// index has all that they say.
Result<> Segment::mend(std::span<const wire::Frame> frames) {
    if (frames.empty()) return Error::malformed;
    const auto found = std::ranges::find_if(
        holes_, [&](const auto& hole) { return hole.second.damage.first == frames.front().first; });
    if (found == holes_.end() || !fits(found->first, found->second, frames))
        return Error::malformed;
    const std::uint64_t from = found->first;
    std::uint64_t begin = from;
    std::uint64_t end = found->second.file_end;
    BytesChain chain = wire::encode_frames(frames);
    if (begin == wire::SegmentHeader::size) {
        begin = 0;
        chain.insert(chain.begin(), wire::encode(wire::SegmentHeader{group_, index_.first}));
    }
    if (sealed_ && end == index_.bytes) {
        chain.push_back(wire::encode_footer(index_));
        end += chain.back().size();
    }
    TRY(look_at_edge(block_before(begin), begin));
    TRY(look_at_edge(end, block_behind(end)));
    TRY(file_->write_at(begin, chain));
    TRY(file_->sync());
    REACHABLE("segment/mended");
    has_header_ = has_header_ || begin == 0;
    holes_.erase(from);
    return {};
}

} // namespace pyralog
