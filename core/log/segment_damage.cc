// What of a segment is damaged, and how it is written anew where it stood.
#include "core/log/segment.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"

#include <algorithm>
#include <limits>

namespace pyralog {

namespace {

constexpr std::uint64_t block_before(std::uint64_t position) {
    return position / Buffer::disk_alignment * Buffer::disk_alignment;
}
constexpr std::uint64_t block_behind(std::uint64_t position) {
    return block_before(position + Buffer::disk_alignment - 1);
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

void Segment::forget_before(Position start) {
    std::erase_if(holes_,
                  [&](const auto& known) { return known.second.damage.end.index <= start.index; });
}

// ---- Mending ----

Term Segment::term_at(Position entry) const {
    const auto behind = std::ranges::upper_bound(index_.terms, entry, {}, &TermStart::first);
    return behind == index_.terms.begin() ? Term() : (behind - 1)->term;
}

bool Segment::lie_in(const Hole& hole, Position start, std::span<const wire::Frame> frames) const {
    Position next = std::max(hole.damage.first, start);
    for (const wire::Frame& frame : frames) {
        const bool is_whole = frame.damaged == 0 && wire::payload_intact(frame);
        if (!frame.is_entry() || frame.group != group_ || frame.first != next || !is_whole)
            return false;
        if (frame.term != term_at(frame.first)) return false;
        next = frame.end();
    }
    return next == hole.damage.end;
}

bool Segment::fits(const Hole& hole, Position start, std::span<const wire::Frame> frames) const {
    const auto& known = hole.damage.entry;
    return lie_in(hole, start, frames) && (!known || wire::is_same_entry(*known, frames.front()));
}

Segment::Holes::const_iterator Segment::hole_at(Position first, Position start) const {
    return std::ranges::find_if(holes_, [&](const auto& hole) {
        const Damage& damage = hole.second.damage;
        return std::max(damage.first, start) == first && damage.end.index > start.index;
    });
}

bool Segment::fits_reduced(std::span<const wire::Frame> frames, Position start) const {
    if (frames.empty()) return false;
    const auto found = hole_at(frames.front().first, start);
    if (found == holes_.end() || !lie_in(found->second, start, frames)) return false;
    const auto& [file_position, hole] = *found;
    if (hole.damage.entry)
        return !wire::is_same_entry(*hole.damage.entry, frames.front()) &&
               wire::is_reduced_from(*hole.damage.entry, frames.front());
    const bool is_reduced = std::ranges::any_of(
        frames, [](const auto& frame) { return frame.kind == wire::Frame::Kind::reduced; });
    std::uint64_t bytes = 0;
    for (const wire::Frame& frame : frames) bytes += wire::stored_size(frame);
    // What lies before the start has left room of a size that nobody knows.
    const bool is_whole = hole.damage.first >= start;
    return is_reduced && (!is_whole || bytes != hole.file_end - file_position);
}

void Segment::forget(Position first) {
    std::erase_if(holes_, [&](const auto& known) {
        const Damage& damage = known.second.damage;
        return damage.first <= first && first < damage.end;
    });
}

// Appends entries from one place to another that take so many bytes in the file, and say nothing.
// Error::malformed if none do: then something else stood there.
Result<> Segment::fill(Position from, Position to, std::uint64_t bytes,
                       std::vector<wire::Frame>& frames) const {
    while (from.index < to.index) {
        const auto left = static_cast<std::uint64_t>(to.index - from.index);
        if (bytes < left * wire::Frame::header_size) return Error::malformed;
        const std::int64_t records = std::min<std::int64_t>(
            to.offset - from.offset, std::numeric_limits<std::int32_t>::max());
        wire::Frame frame;
        frame.kind = records > 0 ? wire::Frame::Kind::reduced : wire::Frame::Kind::term_start;
        frame.group = group_;
        frame.term = term_at(from);
        frame.first = from;
        frame.records = static_cast<std::int32_t>(records);
        Buffer payload(std::min<std::uint64_t>(bytes - left * wire::Frame::header_size,
                                               wire::Frame::payload_size_max));
        std::ranges::fill(payload.view(), std::byte{0});
        if (!payload.view().empty()) frame.payload.push_back(std::move(payload).freeze());
        bytes -= wire::stored_size(frame);
        from = frame.end();
        frames.push_back(std::move(frame));
    }
    if (from != to || bytes > 0) return Error::malformed;
    return {};
}

Result<std::vector<wire::Frame>> Segment::nothing_between(Position from, Position to) const {
    std::vector<wire::Frame> frames;
    const auto count = static_cast<std::uint64_t>(to.index - from.index);
    TRY(fill(from, to, count * wire::Frame::header_size, frames));
    return frames;
}

// What goes in the place of entries from `from` to before `to`, with a frame wherever a mark says
// that one begins.
Result<std::vector<wire::Frame>> Segment::filling(wire::SegmentIndex::Mark from,
                                                  wire::SegmentIndex::Mark to) const {
    std::vector<wire::Frame> frames;
    for (const auto& mark : index_.marks) {
        if (mark.file_position <= from.file_position) continue;
        if (mark.file_position >= to.file_position) break;
        TRY(fill(from.entry, mark.entry, mark.file_position - from.file_position, frames));
        from = mark;
    }
    TRY(fill(from.entry, to.entry, to.file_position - from.file_position, frames));
    return frames;
}

// Filling may begin earlier, where a block that is to be written in part cannot be read: nobody
// will ever say what stood there.
Result<wire::SegmentIndex::Mark> Segment::begin_of_filling(wire::SegmentIndex::Mark begin,
                                                           wire::SegmentIndex::Mark wanted) const {
    while (begin.file_position < wanted.file_position &&
           begin.file_position > wire::SegmentHeader::size) {
        const std::uint64_t edge = block_before(begin.file_position);
        const Result<> readable = look_at_edge(edge, begin.file_position);
        if (readable.ok()) break;
        if (readable.error() != Error::unavailable) return readable.error();
        REACHABLE("segment/filled-what-cannot-be-read");
        begin = mark_before(edge);
    }
    return begin;
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
    const Result<> edge = look_at_edge(wire::SegmentHeader::size, Buffer::disk_alignment);
    if (!edge.ok()) return edge.error() == Error::unavailable ? Result<>() : edge;
    TRY(file_->write_at(0, {wire::encode(wire::SegmentHeader{group_, index_.first})}));
    TRY(file_->sync());
    REACHABLE("segment/header-restored");
    has_header_ = true;
    return {};
}

// With the header and the footer where they stand beside it: they may have gone with it, and the
// index has all that they say.
Result<> Segment::mend(std::span<const wire::Frame> frames, Position start) {
    if (frames.empty()) return Error::malformed;
    const bool too_many = BUGGIFY("segment/too-many-are-open-to-mend-it", 100'000);
    if (const Result<> opened = too_many ? Error::unavailable : be_open(); !opened.ok()) {
        const Error error = opened.error();
        const bool is_final = error == Error::device_failed || error == Error::cancelled;
        SOMETIMES(!is_final, "segment/cannot-be-opened-to-be-mended");
        return is_final ? error : Error::not_found;
    }
    const auto found = hole_at(frames.front().first, start);
    if (found == holes_.end() || !fits(found->second, start, frames)) return Error::malformed;
    const std::uint64_t from = found->first;
    const std::uint64_t file_end = found->second.file_end;
    std::uint64_t end = file_end;
    std::uint64_t needed = 0;
    for (const wire::Frame& frame : frames) needed += wire::stored_size(frame);
    if (needed > end - from) return Error::malformed;
    const wire::SegmentIndex::Mark wanted{frames.front().first, end - needed};
    const auto begin_at = TRY(begin_of_filling({found->second.damage.first, from}, wanted));
    const std::vector<wire::Frame> before = TRY(filling(begin_at, wanted));
    SOMETIMES(!before.empty(), "segment/filled-what-is-trimmed");
    BytesChain chain = wire::encode_frames(before);
    const BytesChain rest = wire::encode_frames(frames);
    chain.insert(chain.end(), rest.begin(), rest.end());
    std::uint64_t begin = begin_at.file_position;
    if (begin == wire::SegmentHeader::size) {
        begin = 0;
        chain.insert(chain.begin(), wire::encode(wire::SegmentHeader{group_, index_.first}));
    }
    if (sealed_ && end == index_.bytes) {
        chain.push_back(wire::encode_footer(index_));
        end += chain.back().size();
    }
    TRY(write_what_can_be(begin, end, std::move(chain)));
    REACHABLE("segment/mended");
    has_header_ = has_header_ || begin == 0;
    // Meanwhile somebody may have found out that there is more.
    if (const auto now = holes_.find(from); now != holes_.end() && now->second.file_end == file_end)
        holes_.erase(now);
    forget_before(start);
    return {};
}

// Where the block of an edge cannot be read only what does not lie in it is written. That block is
// among what is damaged then, with all that stands in it. Two damages that begin or end in a block
// of the other would wait for each other otherwise. Error::unavailable if nothing is left.
Result<> Segment::write_what_can_be(std::uint64_t begin, std::uint64_t end, BytesChain chain) {
    const Result<> first = look_at_edge(block_before(begin), begin);
    if (!first.ok() && first.error() != Error::unavailable) return first;
    const Result<> last = look_at_edge(end, block_behind(end));
    if (!last.ok() && last.error() != Error::unavailable) return last;
    // Nothing of ours stands behind the end of one that grows: its next append cuts that off.
    if (!last.ok() && end == index_.bytes) return Error::unavailable;
    const std::uint64_t from = first.ok() ? begin : block_behind(begin);
    const std::uint64_t to = last.ok() ? end : block_before(end);
    if (from >= to) return Error::unavailable;
    SOMETIMES(to - from < end - begin, "segment/mended-but-for-an-edge");
    if (to - from < end - begin) chain = {joined(chain).slice(from - begin, to - from)};
    TRY(file_->write_at(from, chain));
    return file_->sync();
}

} // namespace pyralog
