// What of a log is damaged, and how it is mended.
#include "core/base/probe.h"
#include "core/log/log.h"
#include "core/log/segment_writer.h"

#include <algorithm>

namespace pyralog {

namespace {

constexpr std::string_view entries_name = "pyralog_log_damaged_entries";
constexpr std::string_view entries_help =
    "Entries in the journal that have lost their payload and wait to be mended.";
constexpr std::string_view mended_name = "pyralog_log_mended_total";
constexpr std::string_view mended_help =
    "How often damaged entries were replaced by those of another replica.";

} // namespace

Log::Damaged::Damaged(Metrics& metrics)
    : entries(metrics, std::string(entries_name), entries_help),
      mended(metrics, std::string(mended_name), mended_help) {}

void Log::foretell(Metrics& metrics) {
    metrics.foretell(entries_name, "gauge", entries_help);
    metrics.foretell(mended_name, "counter", mended_help);
}

void Log::note_damaged(const wire::Frame& frame) {
    if (!damaged_) damaged_ = std::make_unique<Damaged>(env_.metrics);
    damaged_->journaled.insert(frame.first.index);
    damaged_->entries.set(static_cast<std::int64_t>(damaged_->journaled.size()));
}

void Log::note_whole(std::int64_t index) {
    damaged_->journaled.erase(index);
    damaged_->entries.set(static_cast<std::int64_t>(damaged_->journaled.size()));
}

bool Log::is_damaged_before(Position end) const {
    return damaged_ && !damaged_->journaled.empty() && *damaged_->journaled.begin() < end.index;
}

// False if this is not what it has lost.
bool Log::heal(std::int64_t index, const wire::Frame& whole) {
    wire::Frame& frame = tail_[static_cast<std::size_t>(index - tail_.front().first.index)];
    const bool is_it = wire::is_same_entry(frame, whole) || wire::is_reduced_from(frame, whole);
    if (!is_it || whole.damaged > 0 || !wire::payload_intact(whole)) return false;
    SOMETIMES(whole.kind != frame.kind, "log/mended-with-what-compaction-has-left");
    const std::size_t before = weight(frame);
    frame = whole;
    frame.round = 0;
    // What is committed and not moved counts by its weight.
    if (index < committed_.index && index >= moved_.index) {
        movable_bytes_ -= before;
        movable_bytes_ += weight(frame);
    }
    budget_.change(static_cast<std::int64_t>(weight(frame)) - static_cast<std::int64_t>(before), 0);
    note_whole(index);
    return true;
}

std::vector<Damage> Log::damages() const {
    std::vector<Damage> damages;
    const Position start = start_.first;
    for (const auto& segment : segments_) {
        for (Damage& damage : segment->damages()) {
            SOMETIMES(damage.end.index <= start.index, "log/damage-was-trimmed");
            if (damages.size() == damages_max || damage.end.index <= start.index) continue;
            SOMETIMES(damage.first.index < start.index, "log/damage-reaches-over-the-start");
            damage.first = std::max(damage.first, start);
            damages.push_back(std::move(damage));
        }
    }
    if (!damaged_) return damages;
    for (const std::int64_t index : damaged_->journaled) {
        if (damages.size() == damages_max) break;
        if (index < start.index) continue;
        const wire::Frame& frame = *in_memory(index);
        damages.push_back({frame.first, frame.end(), frame});
    }
    return damages;
}

Result<std::int64_t> Log::scrub(std::int64_t from, std::size_t bytes) {
    from = std::max(from, start_.first.index);
    Segment* const segment = from < moved_.index ? segment_at(from) : nullptr;
    if (!segment) return moved_.index;
    // What is read by its name may be the one already that takes its place.
    if (is_rewritten(segment)) return segment->end().index;
    const Reading reading(*this, *segment);
    return segment->scrub(from, moved_.index, bytes);
}

// What is in the journal is appended to it once more: recovery takes of two the one that is whole.
Result<> Log::mend(std::span<const wire::Frame> frames) {
    CHECK(replayed_);
    if (frames.empty()) return Error::malformed;
    const std::int64_t index = frames.front().first.index;
    if (damaged_ && damaged_->journaled.contains(index)) {
        if (frames.size() != 1 || !heal(index, frames.front())) return Error::malformed;
        REACHABLE("log/mended-in-the-journal");
        const wire::Frame mended = *in_memory(index);
        const bool was_committed = index < committed_.index;
        journal_.append(mended);
        if (writer_ && committed_.index > moved_.index) writer_->wake(*this);
        if (writer_) writer_->free_files();
        TRY(journal_.sync());
        // When it was committed nobody could read what it says.
        if (mended.kind == wire::Frame::Kind::trim && was_committed) take_trim(mended);
    } else {
        Segment* const segment = index < moved_.index ? segment_at(index) : nullptr;
        if (!segment || is_rewritten(segment)) return Error::unavailable;
        const Reading mending(*this, *segment);
        // What is ahead may be in the way, and what of it is committed need not be.
        if (segment->has_ahead() && writer_) writer_->wake(*this);
        if (!damaged_) damaged_ = std::make_unique<Damaged>(env_.metrics);
        if (segment->fits_reduced(frames, start_.first))
            TRY(mend_anew(*segment, frames));
        else
            TRY(segment->mend(frames, start_.first));
    }
    damaged_->mended.add();
    env_.log.info("a damaged entry is mended",
                  {{"group", group_}, {"position", Position(frames.front().first)}});
    return {};
}

} // namespace pyralog
