// How a log is compacted.
#include "core/log/compaction.h"

#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/crc32c.h"
#include "core/base/probe.h"
#include "core/log/compacted_note.h"
#include "core/log/file_names.h"
#include "core/log/log.h"
#include "core/log/segment_writer.h"

#include <algorithm>

namespace pyralog {

namespace {

constexpr std::size_t piece_bytes = 1_MiB;
// A reader takes a segment for the length of one read. So often it is waited for that nobody does.
constexpr int alone_attempts_max = 100;
constexpr Duration alone_pause = 10ms;
// Of what others have sent for a segment that has lost more.
constexpr std::size_t patch_bytes_max = 64_MiB;

} // namespace

void NewestOffsets::note(std::string_view key, Offset offset) {
    const auto found = offsets_.find(key);
    if (found != offsets_.end()) {
        found->second = std::max(found->second, offset);
        return;
    }
    offsets_.emplace(key, offset);
    bytes_ += key.size() + entry_bytes;
}

std::optional<Offset> NewestOffsets::of(std::string_view key) const {
    const auto found = offsets_.find(key);
    if (found == offsets_.end()) return {};
    return found->second;
}

// ---- What a log knows of it ----

// Without a good note it is as if nothing were compacted: doing it again leaves what is there.
Result<> Log::find_compaction_files(const std::vector<std::string>& names) {
    for (const std::string& name : names)
        if (name.ends_with(successor_suffix))
            compacting().strays.push_back(directory_ + '/' + name);
    SOMETIMES(compacting_ && !compacting_->strays.empty(), "log/compaction-was-interrupted");
    if (std::ranges::find(names, compacted_note_name) == names.end()) return {};
    const std::string path = directory_ + '/' + std::string(compacted_note_name);
    if (const auto noted = TRY(read_compacted_note(env_, path, group_))) compacting().done = *noted;
    return {};
}

// Of a log that was trimmed before anything of it was in a segment there is no directory yet.
Result<> Log::write_note(const wire::Compacted& compacted) {
    TRY(make_directory());
    const std::string path = directory_ + '/' + std::string(compacted_note_name);
    const std::string successor = path + std::string(successor_suffix);
    auto made = env_.disk.open(successor, Disk::Open::create_new);
    if (!made.ok() && made.error() == Error::already_exists)
        made = env_.disk.open(successor, Disk::Open::existing);
    const std::unique_ptr<File> file = TRY(std::move(made));
    TRY(file->resize(0));
    TRY(file->write_at(0, {wire::encode(wire::CompactedNote{group_, compacted})}));
    TRY(file->sync());
    TRY(env_.disk.rename(successor, path));
    TRY(env_.disk.sync_directory(directory_));
    compacting().done = compacted;
    return {};
}

Result<std::optional<wire::Compaction>> Log::compaction() {
    std::optional<wire::Compaction> none;
    if (!is_to_be_compacted()) return none;
    const std::int64_t index = *compacting_->last;
    const auto frames = TRY(read_frames({index, {}}, end_, 0));
    if (frames.empty() || frames.front().kind != wire::Frame::Kind::compaction)
        return damaged("an entry is not what an index says", {index, {}});
    const wire::Compaction read = TRY(wire::compaction_of(frames.front()));
    if (compacting_->last == index) compacting_->wanted = read.to;
    return std::optional(read);
}

bool Log::is_to_be_compacted() const {
    return compacting_ && compacting_->last && *compacting_->last >= start_.first.index;
}

bool Log::is_compacted() const {
    if (!is_to_be_compacted()) return true;
    return compacting_->wanted && compacting_->done.has(*compacting_->wanted);
}

Compactable Log::compactable(Position clean, std::optional<std::int64_t> newest_ms,
                             Offset limit) const {
    Compactable found;
    found.end = start_.first;
    for (const auto& segment : segments_) {
        const bool is_young = newest_ms && segment->index().timestamp_max >= *newest_ms;
        const bool is_beyond = segment->end().index > moved_.index || segment->end().offset > limit;
        if (may_grow(*segment) || is_beyond || is_young) break;
        // One without records is neither clean nor dirty: it may hold nothing but compactions.
        const bool is_bare = segment->end().offset == segment->first().offset;
        if (segment->end().index <= start_.first.index || is_bare) continue;
        (segment->end().index <= clean.index ? found.clean_bytes : found.dirty_bytes) +=
            segment->bytes();
        found.end = segment->end();
    }
    return found;
}

// An earlier one may have lost its footer.
bool Log::may_grow(const Segment& segment) const {
    return !segment.sealed() && &segment == segments_.back().get();
}

// By the fiber that adds to segments. One of which the last write is not known to be durable, it
// tries again before.
Result<> Log::seal_for_compaction() {
    if (segments_.empty()) return {};
    Segment& newest = *segments_.back();
    const bool is_wanted = is_wanted_sealed(newest) && newest.end() == moved_ &&
                           newest.end().index >= compacting_->seal_before.index &&
                           !newest.has_ahead() && journal_.is_durable(overwrite_after_);
    SOMETIMES(is_wanted, "log/sealed-to-be-compacted");
    if (!is_wanted) return {};
    const Reading sealing(*this, newest);
    return newest.seal();
}

// ---- A segment written anew ----

// While it is being read nobody closes it: so whoever else reads it does not open by its name what
// has taken its place.
Result<> Log::replace(Segment& old, const std::function<Result<>(Segment&)>& copy,
                      std::uint64_t& bytes) {
    const Segment*& rewritten = compacting().rewritten;
    if (rewritten) return Error::unavailable;
    const std::string path = old.path();
    auto fresh = Segment::create(env_, path + std::string(successor_suffix), group_, old.first(),
                                 &budget_.open_segments());
    rewritten = &old;
    Result<> done = copy(*fresh);
    if (done.ok()) done = fresh->seal();
    if (done.ok()) done = wait_until_alone(old);
    if (done.ok() && !is_there(old)) done = Error::unavailable;
    SOMETIMES(!done.ok() && done.error() == Error::out_of_space, "log/no-space-to-compact");
    SOMETIMES(!done.ok() && done.error() == Error::unavailable,
              "log/changed-while-it-was-rewritten");
    if (done.ok()) done = fresh->rename(path);
    rewritten = nullptr;
    if (!done.ok()) {
        // If it cannot be removed, that is done at the next start.
        const std::string successor = fresh->path();
        fresh.reset();
        (void)env_.disk.remove(successor);
        return done;
    }
    bytes += fresh->bytes();
    put_in_place(old, std::move(fresh));
    return env_.disk.sync_directory(directory_);
}

Result<> Log::wait_until_alone(const Segment& old) {
    for (int attempt = 0; old.users() > 1; ++attempt) {
        REACHABLE("log/waits-for-readers-of-what-it-rewrites");
        if (attempt == alone_attempts_max) return Error::unavailable;
        TRY(env_.fibers.sleep_until(env_.clock.now() + alone_pause));
    }
    return {};
}

bool Log::is_there(const Segment& old) const {
    return std::ranges::any_of(segments_,
                               [&](const auto& segment) { return segment.get() == &old; });
}

// It may have been trimmed while its file got another name; then that is to be removed again. What
// memory has of it is as it was, and goes.
void Log::put_in_place(const Segment& old, std::unique_ptr<Segment> fresh) {
    while (!tail_.empty() && tail_.front().first.index < old.end().index && drop_oldest()) {
    }
    const auto place =
        std::ranges::find_if(segments_, [&](const auto& segment) { return segment.get() == &old; });
    if (place != segments_.end()) {
        std::swap(*place, fresh);
        removed_.push_back(std::move(fresh));
        return;
    }
    retired_.push_back(std::move(fresh));
    if (writer_) writer_->wake_to_remove(*this);
}

// What another replica has of it is smaller, for it has compacted it. So the segment is written
// anew with that, once there is something for all that is damaged in it.
Result<> Log::mend_anew(Segment& segment, std::span<const wire::Frame> frames) {
    if (compacting().rewritten) return Error::not_found;
    if (!segment.sealed() && (bulk_from_ || segment.has_ahead())) return Error::unavailable;
    std::size_t bytes = 0;
    for (const auto& [index, patch] : damaged_->patches)
        for (const wire::Frame& frame : patch) bytes += wire::stored_size(frame);
    const std::size_t room = BUGGIFY("log/little-room-to-mend") ? 0 : patch_bytes_max;
    SOMETIMES(bytes > room, "log/more-to-mend-than-there-is-room-for");
    if (bytes > room) damaged_->patches.clear();
    damaged_->patches.insert_or_assign(frames.front().first.index,
                                       std::vector<wire::Frame>(frames.begin(), frames.end()));
    if (segment.damages().size() > 1) {
        REACHABLE("log/more-is-wanted-to-mend-a-segment");
        segment.forget(frames.front().first);
        return {};
    }
    std::uint64_t written = 0;
    const Result<> replaced =
        replace(segment, [&](Segment& fresh) { return copy_mended(segment, fresh); }, written);
    if (!replaced.ok() && replaced.error() == Error::corrupt) return Error::unavailable;
    if (!replaced.ok() && replaced.error() == Error::out_of_space) return Error::not_found;
    TRY(replaced);
    REACHABLE("log/mended-with-less");
    auto& patches = damaged_->patches;
    patches.erase(patches.lower_bound(segment.first().index),
                  patches.lower_bound(segment.end().index));
    return {};
}

namespace {

// Those from this index on; none if they end before. Damages may overlap, each up to the end of a
// block, and so does what is to take their places.
std::vector<wire::Frame> frames_from(std::int64_t index, const std::vector<wire::Frame>& patch) {
    const auto first = std::ranges::find_if(
        patch, [&](const wire::Frame& frame) { return frame.first.index >= index; });
    return {first, patch.end()};
}

} // namespace

Result<> Log::copy_mended(Segment& old, Segment& fresh) {
    Position at = old.first();
    const Position start = start_.first;
    if (start > at) {
        TRY(fresh.append(TRY(old.nothing_between(at, start))));
        at = start;
    }
    const auto& patches = damaged_->patches;
    while (at.index < old.end().index) {
        const auto behind = patches.upper_bound(at.index);
        const std::int64_t limit =
            behind == patches.end() ? old.end().index : std::min(behind->first, old.end().index);
        std::vector<wire::Frame> frames;
        if (behind != patches.begin()) frames = frames_from(at.index, std::prev(behind)->second);
        if (frames.empty()) frames = TRY(old.read(at.index, limit, piece_bytes));
        TRY(fresh.append(frames));
        at = frames.back().end();
    }
    return {};
}

// ---- The work ----

// Two parts: which record of each key is the newest, of as many keys as there is room for; and then
// each segment without those that are not. Segments come in their order, and each is durable before
// the next: what says that a key is deleted goes later than what it has deleted, whenever the
// process ends.
class Log::Compactor {
public:
    Compactor(Log& log, const BatchReader& reader, const wire::Compacted& to,
              std::size_t key_bytes_max, const CompactionPace& pace, CompactionWork& work)
        : log_(log), reader_(reader), to_(to), newest_(key_bytes_max), pace_(pace), work_(work),
          resets_(log.resets_) {}

    Result<> run() {
        ++work_.passes;
        work_.deletes = 0;
        TRY(learn());
        for (std::int64_t next = log_.start_.first.index; next < end_.index;) {
            if (log_.resets_ != resets_) return Error::unavailable;
            next = std::max(next, log_.start_.first.index);
            if (next >= end_.index) break;
            Segment* const segment = log_.segment_at(next);
            if (!segment || log_.may_grow(*segment) || next >= segment->end().index)
                return Error::unavailable;
            next = segment->end().index;
            const Reading reading(log_, *segment);
            if (TRY(is_to_change(*segment))) TRY(rewrite(*segment));
        }
        return log_.write_note({end_, std::min(to_.deleted, end_.offset)});
    }

private:
    // Up to where it has come is then known for every key.
    Result<> learn() {
        end_ = std::max(log_.compacted().end, log_.start_.first);
        while (end_.index < to_.end.index) {
            const auto frames = TRY(log_.read_frames(end_, to_.end, piece_bytes));
            for (const wire::Frame& frame : frames) {
                if (frame.first.index >= to_.end.index) break;
                if (const auto records = records_in(frame))
                    for (const KeyedRecord& record : *records)
                        if (record.key && !record.is_void)
                            newest_.note(record.key->text(), record.offset);
                end_ = frame.end();
                SOMETIMES(newest_.full(), "log/more-keys-than-there-is-room-for");
                if (newest_.full() || BUGGIFY("log/compacts-a-little", 20'000)) return {};
            }
            TRY(pace_());
            if (log_.resets_ != resets_) return Error::unavailable;
        }
        end_ = std::max(end_, to_.end);
        return {};
    }

    std::optional<std::vector<KeyedRecord>> records_in(const wire::Frame& frame) const {
        if (!frame.has_records() || frame.payload.empty()) return {};
        return reader_.records_in(frame.payload);
    }

    bool is_kept(const KeyedRecord& record) const {
        if (record.is_void) return false;
        if (!record.key) return !record.deletes || record.offset >= to_.deleted;
        const std::optional<Offset> newest = newest_.of(record.key->text());
        if (newest && *newest > record.offset) return false;
        if (newest && *newest == record.offset && BUG(N02)) return false;
        return !record.deletes || record.offset >= to_.deleted;
    }

    // What is left of it; nothing if that is all of it.
    std::optional<wire::Frame> reduced(const wire::Frame& frame, CompactionWork& work) const {
        if (frame.first.index >= end_.index) return {};
        const auto records = records_in(frame);
        if (!records) return {};
        std::vector<Offset> kept;
        for (const KeyedRecord& record : *records) {
            if (!is_kept(record)) continue;
            kept.push_back(record.offset);
            work.deletes += record.deletes ? 1 : 0;
        }
        if (kept.size() == records->size()) return {};
        work.records += records->size() - kept.size();
        wire::Frame less = frame;
        less.kind = wire::Frame::Kind::reduced;
        less.payload.clear();
        if (!kept.empty()) less.payload = reader_.reduced(frame.payload, kept);
        less.payload_crc = crc32c(less.payload);
        return less;
    }

    Result<bool> is_to_change(Segment& segment) {
        CompactionWork seen;
        std::int64_t next = std::max(segment.first().index, log_.start_.first.index);
        const std::int64_t end = std::min(segment.end().index, end_.index);
        while (next < end) {
            const auto frames = TRY(segment.read(next, end, piece_bytes));
            for (const wire::Frame& frame : frames)
                if (reduced(frame, seen)) return true;
            next = frames.back().end().index;
            TRY(pace_());
        }
        work_.deletes += seen.deletes;
        return false;
    }

    Result<> rewrite(Segment& old) {
        TRY(log_.replace(old, [&](Segment& fresh) { return copy(old, fresh); }, work_.bytes));
        REACHABLE("log/segment-was-compacted");
        ++work_.segments;
        return {};
    }

    Result<> copy(Segment& old, Segment& fresh) {
        Position at = old.first();
        const Position start = log_.start_.first;
        if (start > at) {
            REACHABLE("log/compacted-around-the-start");
            TRY(fresh.append(TRY(old.nothing_between(at, start))));
            at = start;
        }
        while (at.index < old.end().index) {
            std::vector<wire::Frame> frames = TRY(old.read(at.index, old.end().index, piece_bytes));
            for (wire::Frame& frame : frames)
                if (auto less = reduced(frame, work_)) frame = std::move(*less);
            TRY(fresh.append(frames));
            at = frames.back().end();
            TRY(pace_());
        }
        return {};
    }

    Log& log_;
    const BatchReader& reader_;
    const wire::Compacted to_;
    NewestOffsets newest_;
    Position end_; // Before it, the newest are known.
    const CompactionPace& pace_;
    CompactionWork& work_;
    const std::uint64_t resets_;
};

// The entry that says so must be durable here before anything follows from it.
Result<CompactionWork> Log::compact(const BatchReader& reader, std::size_t key_bytes_max,
                                    const CompactionPace& pace) {
    CompactionWork work;
    const std::optional<wire::Compaction> wanted = TRY(compaction());
    if (!wanted || compacted().has(wanted->to)) return work;
    if (!is_to_be_compacted() || !compacting_->strays.empty() || !writer_)
        return Error::unavailable;
    const bool is_moved = moved_.index > *compacting_->last;
    SOMETIMES(!is_moved, "log/must-move-before-it-is-compacted");
    if (!is_moved) {
        writer_->wake(*this);
        return Error::unavailable;
    }
    const Position end = wanted->to.end;
    const Segment* const newest = segments_.empty() ? nullptr : segments_.back().get();
    if (newest && !newest->sealed() && newest->first().index < end.index) {
        compacting_->seal_before = end;
        writer_->wake_to_remove(*this);
        return Error::unavailable;
    }
    while (!compacted().has(wanted->to)) {
        const std::uint64_t resets = resets_;
        TRY(Compactor(*this, reader, wanted->to, key_bytes_max, pace, work).run());
        if (resets_ != resets) return Error::unavailable;
    }
    return work;
}

} // namespace pyralog
