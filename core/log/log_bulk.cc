// The way past the journal: README.md, "The bulk path".
#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "core/log/log.h"
#include "core/log/read_device.h"
#include "core/log/segment_writer.h"

#include <algorithm>

namespace pyralog {

namespace {

// Of one log at a time. What has not moved to its segment yet goes with it.
constexpr std::uint64_t bulk_bytes_max = 16_MiB;
// After a full disk, or too many open files, the journal has it all for so long.
constexpr Duration bulk_retry_delay = 1s;

} // namespace

// ---- While it runs ----

Segment* Log::growing() const {
    if (segments_.empty() || segments_.back()->sealed()) return nullptr;
    return segments_.back().get();
}

bool Log::is_wanted_sealed(const Segment& segment) const {
    return compacting_ && !segment.sealed() &&
           segment.first().index < compacting_->seal_before.index;
}

// A segment that is to be sealed gets nothing ahead, so that it comes to be empty of that.
bool Log::takes(std::int64_t last) const {
    if (last >= end_.index || last < moved_.index) return false;
    if (is_moving_ || start_.first.index > moved_.index) return false;
    if (!journal_.is_durable(overwrite_after_)) {
        REACHABLE("log/bulk-waits-for-a-cut");
        return false;
    }
    if (env_.clock.now() < bulk_not_before_ || BUGGIFY("log/takes-no-bulk")) return false;
    const Segment* const segment = growing();
    if (segment && (segment->end() != moved_ || is_wanted_sealed(*segment) ||
                    is_rewritten(segment) || is_too_old(*segment)))
        return false;
    const std::int64_t first = segment ? segment->ahead_end().index : moved_.index;
    std::uint64_t total = 0;
    for (std::int64_t i = first; i <= last; ++i) {
        const wire::Frame& frame = *in_memory(i);
        total += wire::stored_size(frame);
        if (frame.damaged > 0 || total > bulk_bytes_max) return false;
    }
    const std::uint64_t before = segment ? segment->ahead_bytes() : wire::SegmentHeader::size;
    const std::uint64_t most =
        segment && segment_bytes_max_ > 0 ? segment_bytes_max_ : config_.segment_bytes;
    SOMETIMES(before + total > most, "log/segment-too-full-for-bulk");
    return before + total <= most;
}

// All that has not moved yet, up to this one: what comes before large entries is written as well,
// though the journal has it.
Result<> Log::write(std::int64_t last) {
    CHECK(!bulk_from_);
    // Others were written before it.
    if (!takes(last)) return Error::unavailable;
    const std::uint64_t resets = resets_;
    bulk_from_ = growing() ? growing()->ahead_end().index : moved_.index;
    const auto write = [&]() -> Result<> {
        if (*bulk_from_ > last) return {};
        if (!growing()) TRY(begin_segment());
        Segment& segment = *growing();
        const Reading writing(*this, segment);
        std::vector<wire::Frame> frames;
        for (std::int64_t i = *bulk_from_; i <= last && in_memory(i); ++i)
            frames.push_back(*in_memory(i));
        // A cut may have come while the directory was made.
        if (frames.empty()) return Error::unavailable;
        SOMETIMES(frames.size() > 1, "log/several-entries-past-the-journal");
        return segment.write_ahead(frames);
    };
    Result<> written = write();
    bulk_from_.reset();
    bulk_done_.notify_all();
    if (resets_ != resets) {
        REACHABLE("log/begun-anew-during-a-bulk-write");
        return written.ok() || written.error() == Error::not_found ? Error::unavailable
                                                                   : written.error();
    }
    SOMETIMES(!written.ok() && written.error() == Error::out_of_space, "log/no-space-for-bulk");
    if (!written.ok()) bulk_not_before_ = env_.clock.now() + bulk_retry_delay;
    return written;
}

wire::FramePlace Log::place_of(const wire::Frame& frame) const {
    const wire::Frame* const there = in_memory(frame.first.index);
    if (!growing() || !there || !wire::is_same_entry(*there, frame)) return {};
    return growing()->place_ahead(frame.first.index);
}

// Before what is behind the segment's end is written over by anything. With Moving held: nothing
// new is begun meanwhile.
Result<> Log::make_writable() {
    TRY(bulk_done_.wait([this] { return !bulk_from_; }));
    while (!journal_.is_durable(overwrite_after_)) TRY(journal_.sync());
    return {};
}

// What is committed of what stands ahead belongs to the segment from now on, and nothing is written
// for it. The journal is synced up to `limit`. Returns how much it was.
std::size_t Log::take_ahead(std::int64_t limit) {
    Segment* const segment = growing();
    if (!segment || segment->end() != moved_) return 0;
    // What is being written now may be small entries that are durable in the journal only.
    if (bulk_from_) limit = std::min(limit, *bulk_from_);
    while (segment->has_ahead() && segment->end().index < limit)
        segment->take_ahead(*in_memory(segment->end().index));
    if (segment->end() == moved_) return 0;
    REACHABLE("log/moved-by-taking-what-is-ahead");
    const std::size_t moved = pass_over(segment->end());
    journal_.release(group_, moved_);
    drop_cached();
    budget_.make_room();
    return moved;
}

// The cut is in the journal's queue. Until it is durable the journal may name what is taken back.
void Log::cut_ahead(Position end) {
    Segment* const segment = growing();
    if (!segment || segment->ahead_end().index <= end.index) return;
    REACHABLE("log/cut-takes-back-what-is-ahead");
    segment->cut_ahead(end);
    overwrite_after_ = journal_.appended();
}

// ---- At recovery ----

// What is in the tail before this is in segments, or wanted by nobody. What stands in segments up
// to there may be what was overruled, and end at another offset.
void Log::pass_over_replayed(Position end) {
    early_.erase(early_.begin(), early_.lower_bound(end.index));
    while (!tail_.empty() && tail_.front().first.index < end.index) {
        if (tail_.front().damaged > 0) note_whole(tail_.front().first.index);
        budget_.change(-static_cast<std::int64_t>(weight(tail_.front())), 0);
        tail_.pop_front();
    }
    if (moved_.index <= end.index) moved_ = end;
    if (end_.index <= end.index) end_ = end;
}

// Frames that were written ahead do not say if they were committed. Up to the marks they were; and
// what lies before the start is only passed, to get at what is behind it.
Result<> Log::extend_segments() {
    Segment* const segment = growing();
    const std::int64_t known = std::max(marked_.index, start_.first.index);
    if (!segment || segment->end().index >= known) return {};
    {
        const Reading reading(*this, *segment);
        TRY(segment->extend(known));
    }
    if (segment->end().index <= moved_.index) return {};
    REACHABLE("log/segment-reaches-to-the-mark");
    const auto& terms = segment->index().terms;
    for (std::size_t i = 0; i < terms.size(); ++i) {
        const Position end = i + 1 < terms.size() ? terms[i + 1].first : segment->end();
        if (end.index > end_.index) terms_.append(terms[i].term, std::max(terms[i].first, end_));
    }
    if (segment->index().compaction) compacting().last = segment->index().compaction;
    pass_over_replayed(segment->end());
    push_early();
    return {};
}

// What follows there is ahead again if the journal has it as well, whole or by name. What it names
// elsewhere, behind something that has rotted, is written to the journal: then nothing needs those
// bytes any more.
Result<> Log::find_ahead() {
    std::vector<std::int64_t> named;
    for (const wire::Frame& frame : tail_)
        if (frame.damaged > 0 && frame.place.is_known()) named.push_back(frame.first.index);
    Segment* const segment = growing();
    if (segment && segment->end() == moved_) {
        const Reading reading(*this, *segment);
        TRY(segment->find_ahead([this](std::int64_t index) { return in_memory(index); },
                                [this](const wire::Frame& frame) {
                                    const std::int64_t index = frame.first.index;
                                    if (in_memory(index)->damaged > 0) heal(index, frame);
                                    REACHABLE("log/found-ahead");
                                }));
    }
    for (const std::int64_t index : named) {
        wire::Frame& frame = tail_[static_cast<std::size_t>(index - tail_.front().first.index)];
        if (frame.damaged == 0) continue;
        const auto whole = TRY(read_extent(env_.disk, frame));
        frame.place = {};
        if (!whole) {
            REACHABLE("log/extent-has-rotted");
            env_.log.error("an entry that the journal names is damaged",
                           {{"group", group_}, {"position", frame.first}, {"term", frame.term}});
            continue;
        }
        REACHABLE("log/extent-behind-a-damaged-one");
        heal(index, *whole);
        journal_.append(*in_memory(index));
        overwrite_after_ = journal_.appended();
    }
    return {};
}

} // namespace pyralog
