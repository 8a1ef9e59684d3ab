#include "core/log/log.h"

#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/crc32c.h"
#include "core/base/probe.h"
#include "core/log/file_names.h"
#include "core/log/segment_writer.h"

#include <algorithm>

namespace pyralog {

namespace {

// The most that is moved and synced at a time: enough for a disk's full speed, and little enough
// that other logs need not wait long.
constexpr std::size_t piece_bytes_max = 8_MiB;

std::string segment_path(const std::string& directory, std::int64_t first_index) {
    return directory + '/' + segment_file_name(first_index);
}

Result<> create_directory(Disk& disk, std::string_view path) {
    const Result<> made = disk.create_directory(path);
    if (made.ok() || made.error() == Error::already_exists) return {};
    return made;
}

wire::Frame owned(const wire::Frame& frame) {
    wire::Frame copy = frame;
    copy.round = 0;
    copy.payload.clear();
    const Bytes payload = Bytes::copy_of(joined(frame.payload).view());
    if (!payload.empty()) copy.payload.push_back(payload);
    return copy;
}

} // namespace

Log::Log(Environment& env, Journal& journal, TailBudget& budget, const LogConfig& config,
         GroupId group)
    : env_(env), journal_(journal), budget_(budget), config_(config), group_(group),
      directory_(group_directory(group)) {
    budget_.join(*this);
}

Log::~Log() {
    CHECK(writer_ == nullptr);
    std::int64_t held = 0;
    for (const wire::Frame& frame : tail_) held += static_cast<std::int64_t>(weight(frame));
    budget_.change(-held, -static_cast<std::int64_t>(cached_bytes_));
    budget_.leave(*this);
}

// ---- Opening ----

Result<std::unique_ptr<Log>> Log::open(Environment& env, Journal& journal, TailBudget& budget,
                                       const LogConfig& config, GroupId group) {
    std::unique_ptr<Log> log(new Log(env, journal, budget, config, group));
    TRY(log->open_segments());
    return log;
}

Result<> Log::open_segments() {
    std::vector<std::int64_t> firsts;
    const Result<std::vector<std::string>> names = env_.disk.list(directory_);
    if (!names.ok() && names.error() != Error::not_found) return names.error();
    if (names.ok())
        for (const std::string& name : names.value())
            if (const auto first = segment_first_index(name)) firsts.push_back(*first);

    for (std::size_t i = 0; i < firsts.size(); ++i) {
        const std::string path = segment_path(directory_, firsts[i]);
        auto segment = TRY(Segment::open(env_, path, group_, firsts[i]));
        const bool is_newest = i + 1 == firsts.size();
        if (!segment) {
            // Made and not yet written when the power went; or all of it is lost, and then the
            // marks in the journal know.
            SOMETIMES(is_newest, "log/newest-segment-was-never-written");
            if (is_newest) break;
            return damaged("a segment has lost its header", moved_);
        }
        // Nothing is ever dropped from the beginning of a log yet, so the first one is at zero.
        if (segment->first() != moved_)
            return damaged("segments do not follow each other", segment->first());
        // A name that only memory holds is no name yet.
        if (is_newest && !segment->sealed()) TRY(env_.disk.sync_directory(directory_));
        SOMETIMES(i > 1, "log/opened-with-three-segments");
        for (const TermStart& start : segment->index().terms) {
            if (start.term < terms_.last()) return damaged("terms fall between segments", moved_);
            terms_.append(start.term, start.first);
        }
        moved_ = segment->end();
        segments_.push_back(std::move(segment));
    }
    end_ = committed_ = moved_;
    return {};
}

Error Log::damaged(std::string_view what, Position where) const {
    REACHABLE("log/damaged-is-refused");
    env_.log.error(
        "log is damaged",
        {{"group", group_}, {"what", what}, {"position", where}, {"segments_end", moved_}});
    return Error::corrupt;
}

Result<std::vector<GroupId>> Log::list(Environment& env) {
    std::vector<GroupId> groups;
    const Result<std::vector<std::string>> names = env.disk.list(groups_directory);
    if (!names.ok() && names.error() == Error::not_found) return groups;
    if (!names.ok()) return names.error();
    for (const std::string& name : names.value())
        if (const auto group = group_of_directory(name)) groups.push_back(*group);
    std::sort(groups.begin(), groups.end());
    return groups;
}

Result<> Log::remove(Environment& env, GroupId group) {
    const std::string directory = group_directory(group);
    const Result<std::vector<std::string>> names = env.disk.list(directory);
    if (!names.ok() && names.error() == Error::not_found) return {};
    if (!names.ok()) return names.error();
    // From the newest on, so that what is left after a power cut is still the beginning of a log.
    SOMETIMES(!names.value().empty(), "log/removed-with-segments");
    for (std::size_t i = names.value().size(); i-- > 0;)
        TRY(env.disk.remove(directory + '/' + names.value()[i]));
    TRY(env.disk.sync_directory(directory));
    TRY(env.disk.remove(directory));
    return env.disk.sync_directory(groups_directory);
}

// ---- Replay ----

Result<> Log::replay(const wire::Frame& frame) {
    CHECK(!replayed_ && frame.group == group_);
    switch (frame.kind) {
    case wire::Frame::Kind::vote:
    case wire::Frame::Kind::seal: return {};
    case wire::Frame::Kind::cut: replay_cut(frame.first); return {};
    case wire::Frame::Kind::mark:
        SOMETIMES(frame.first.index > 0, "log/mark-held-against-segments");
        if (frame.first.index > moved_.index)
            return damaged("segments have lost entries that the journal no longer has",
                           frame.first);
        return {};
    default: return replay_entry(frame);
    }
}

// What segments hold was committed, so a cut that reaches below their end was made before that, and
// of other entries.
void Log::replay_cut(Position end) {
    const std::int64_t index = std::max(end.index, moved_.index);
    SOMETIMES(end.index < moved_.index, "log/replayed-cut-reaches-into-segments");
    SOMETIMES(end_.index > index, "log/replayed-cut-takes-entries");
    SOMETIMES(early_.lower_bound(index) != early_.end(), "log/replayed-cut-takes-early-entries");
    early_.erase(early_.lower_bound(index), early_.end());
    while (end_.index > index) pop();
}

// Entries may come again, when they have been carried over to a later file, and later ones may come
// before them, when the file is gone in which they first were. What does not follow yet waits. At
// the end nothing may be waiting, so nothing that was in the journal is lost without a word.
Result<> Log::replay_entry(const wire::Frame& frame) {
    const std::int64_t index = frame.first.index;
    SOMETIMES(index < moved_.index, "log/replayed-entry-is-in-segments");
    if (index < moved_.index) return {};
    if (const wire::Frame* same = in_memory(index)) {
        REACHABLE("log/replayed-entry-again");
        if (!wire::is_same_entry(*same, frame))
            return damaged("two entries in one place", frame.first);
        // One of the two may be all that is left of it.
        if (same->damaged > 0 && frame.damaged == 0) heal(index, owned(frame));
        return {};
    }
    const auto known = early_.find(index);
    const bool was_whole = known != early_.end() && wire::is_same_entry(known->second, frame) &&
                           known->second.damaged == 0;
    wire::Frame entry = was_whole ? std::move(known->second) : owned(frame);
    if (!follows(entry)) {
        REACHABLE("log/replayed-entry-came-early");
        early_.insert_or_assign(index, std::move(entry));
        return {};
    }
    early_.erase(index);
    push(std::move(entry));
    for (auto next = early_.begin(); next != early_.end() && follows(next->second);
         next = early_.erase(next)) {
        REACHABLE("log/early-entry-found-its-place");
        push(std::move(next->second));
    }
    return {};
}

bool Log::follows(const wire::Frame& frame) const {
    return frame.first == end_ && frame.term >= terms_.last();
}

Result<> Log::finish_replay() {
    CHECK(!replayed_);
    if (!early_.empty()) return damaged("entries are missing", end_);
    replayed_ = true;
    committed_ = moved_;
    journal_.release(group_, moved_);
    return {};
}

// ---- Writing ----

void Log::append(const wire::Frame& frame) {
    CHECK(replayed_ && frame.is_entry() && frame.group == group_ && follows(frame));
    CHECK(frame.damaged == 0);
    wire::Frame entry = frame;
    entry.round = 0;
    if (entry.payload_crc == 0) entry.payload_crc = crc32c(entry.payload);
    journal_.append(entry);
    push(std::move(entry));
    budget_.make_room();
}

void Log::cut(Position end) {
    CHECK(replayed_ && end.index >= committed_.index && end.index <= end_.index);
    if (end.index == end_.index) return;
    SOMETIMES(end_.index - end.index > 1, "log/cut-several-entries");
#ifdef PYRALOG_BUGS
    for (std::int64_t i = end.index; i < end_.index; ++i)
        if (in_memory(i)->kind == wire::Frame::Kind::records)
            overruled_.insert_or_assign(in_memory(i)->first.offset, *in_memory(i));
#endif
    while (end_.index > end.index) pop();
    CHECK(end_ == end);
    wire::Frame cut;
    cut.kind = wire::Frame::Kind::cut;
    cut.group = group_;
    cut.first = end;
    journal_.append(cut);
}

void Log::set_committed(Position committed) {
    CHECK(committed.index <= end_.index);
    if (committed.index <= committed_.index) return;
    for (std::int64_t i = std::max(committed_.index, moved_.index); i < committed.index; ++i)
        movable_bytes_ += weight(*in_memory(i));
    committed_ = committed;
    if (!writer_) return;
    if (movable_bytes_ >= config_.segment_flush_bytes || BUGGIFY("log/moves-early"))
        writer_->wake(*this);
    SOMETIMES(journal_.crowded(), "log/committed-in-a-crowded-journal");
    if (journal_.crowded() || BUGGIFY("log/frees-files-early", 50'000)) writer_->free_files();
}

void Log::push(wire::Frame frame) {
    terms_.append(frame.term, frame.first);
    end_ = frame.end();
    budget_.change(static_cast<std::int64_t>(weight(frame)), 0);
    if (frame.damaged > 0) note_damaged(frame);
    tail_.push_back(std::move(frame));
}

void Log::pop() {
    CHECK(!tail_.empty() && tail_.back().first.index >= moved_.index);
    end_ = tail_.back().first;
    terms_.cut(end_);
    budget_.change(-static_cast<std::int64_t>(weight(tail_.back())), 0);
    if (tail_.back().damaged > 0) note_whole(tail_.back().first.index);
    tail_.pop_back();
}

std::size_t Log::weight(const wire::Frame& frame) {
    return sizeof(wire::Frame) + size_of(frame.payload) + frame.damaged;
}

// ---- Memory ----

const wire::Frame* Log::in_memory(std::int64_t index) const {
    if (tail_.empty() || index < tail_.front().first.index || index >= end_.index) return nullptr;
    return &tail_[static_cast<std::size_t>(index - tail_.front().first.index)];
}

bool Log::drop_oldest() {
    if (tail_.empty() || tail_.front().first.index >= moved_.index) return false;
    const std::size_t bytes = weight(tail_.front());
    cached_bytes_ -= bytes;
    budget_.change(-static_cast<std::int64_t>(bytes), -static_cast<std::int64_t>(bytes));
    tail_.pop_front();
    return true;
}

void Log::drop_cached() {
    const std::size_t most = BUGGIFY("log/drops-its-cache") ? 0 : config_.cache_bytes;
    while (cached_bytes_ > most && drop_oldest()) {
    }
}

// ---- Reading ----

std::vector<wire::Frame> Log::tail(Position from, std::size_t bytes_max) const {
    std::vector<wire::Frame> frames;
    std::size_t total = 0;
    if (BUGGIFY("log/short-tail")) bytes_max = 0;
    for (std::int64_t i = from.index; const wire::Frame* frame = in_memory(i); ++i) {
        if (frame->damaged > 0) break;
        total += size_of(frame->payload);
        if (!frames.empty() && total > bytes_max) break;
        frames.push_back(*frame);
    }
    return frames;
}

Segment* Log::segment_at(std::int64_t index) const {
    const auto after =
        std::partition_point(segments_.begin(), segments_.end(),
                             [&](const auto& segment) { return segment->first().index <= index; });
    return after == segments_.begin() ? nullptr : (after - 1)->get();
}

Segment* Log::segment_at(Offset offset) const {
    const auto after =
        std::partition_point(segments_.begin(), segments_.end(), [&](const auto& segment) {
            return segment->first().offset <= offset;
        });
    return after == segments_.begin() ? nullptr : (after - 1)->get();
}

Result<std::vector<wire::Frame>> Log::read_frames(Position from, Position limit,
                                                  std::size_t bytes_max) {
    if (from.index < start_.index) return Error::not_found;
    const std::int64_t end = std::min(limit.index, end_.index);
    if (from.index >= end) return std::vector<wire::Frame>();
    if (const wire::Frame* const front = in_memory(from.index)) {
        if (front->damaged > 0) return Error::corrupt;
        std::vector<wire::Frame> frames = tail(from, bytes_max);
        while (!frames.empty() && frames.back().first.index >= end) frames.pop_back();
        return frames;
    }
    Segment* const segment = segment_at(from.index);
    CHECK(segment && from.index < segment->end().index);
    REACHABLE("log/entries-read-from-a-segment");
    return segment->read(from.index, end, bytes_max);
}

// The entry in memory that holds `offset`; the front one must not begin after it.
std::size_t Log::place_in_tail(Offset offset) const {
    const auto after =
        std::partition_point(tail_.begin(), tail_.end(), [&](const wire::Frame& frame) {
            return frame.first.offset <= offset;
        });
    return static_cast<std::size_t>(after - tail_.begin()) - 1;
}

// With M32 a cache of batches knows them by their offset alone.
const wire::Frame& Log::cached(const wire::Frame& frame) const {
#ifdef PYRALOG_BUGS
    const auto old = overruled_.find(frame.first.offset);
    if (old != overruled_.end() && frame.kind == wire::Frame::Kind::records &&
        old->second.term != frame.term && BUG(M32))
        return old->second;
#endif
    return frame;
}

Result<BytesChain> Log::read(Offset from, Offset limit, std::size_t bytes_max) {
    if (from < start_.offset) return Error::not_found;
    BytesChain batches;
    if (from >= std::min(limit, end_.offset)) return batches;
    if (BUGGIFY("log/reads-one-batch")) bytes_max = 0;
    if (tail_.empty() || from < tail_.front().first.offset) {
        Segment* const segment = segment_at(from);
        CHECK(segment && from < segment->end().offset);
        REACHABLE("log/batches-read-from-a-segment");
        for (const wire::Frame& frame : TRY(segment->read_records(from, limit, bytes_max)))
            batches.insert(batches.end(), frame.payload.begin(), frame.payload.end());
        return batches;
    }
    std::size_t total = 0;
    for (std::size_t i = place_in_tail(from); i < tail_.size(); ++i) {
        const wire::Frame& frame = cached(tail_[i]);
        if (frame.kind != wire::Frame::Kind::records) continue;
        if (frame.first.offset >= limit) break;
        SOMETIMES(frame.damaged > 0, "log/read-up-to-a-damaged-entry");
        if (frame.damaged > 0 && batches.empty()) return Error::corrupt;
        total += size_of(frame.payload);
        if (!batches.empty() && (total > bytes_max || frame.damaged > 0)) break;
        batches.insert(batches.end(), frame.payload.begin(), frame.payload.end());
    }
    return batches;
}

Result<Offset> Log::offset_for_time(std::int64_t timestamp_ms, Offset limit) {
    const auto answer = [&](Offset found) -> Result<Offset> {
        if (found < limit) return found;
        return Error::not_found;
    };
    // Only the disk is waited for, and only where the answer is: so nothing moves from memory to a
    // segment that was looked at already.
    for (const auto& segment : segments_) {
        if (segment->index().timestamp_max < timestamp_ms) continue;
        REACHABLE("log/time-found-in-a-segment");
        return answer(TRY(segment->find_time(timestamp_ms)).offset);
    }
    for (const wire::Frame& frame : tail_) {
        if (frame.first.index < moved_.index) continue;
        if (frame.damaged > 0) return Error::corrupt; // It may have been this one.
        if (wire::batch_timestamp_max(frame) >= timestamp_ms) return answer(frame.first.offset);
    }
    REACHABLE("log/no-such-time");
    return Error::not_found;
}

Result<Position> Log::position_of(Offset offset) {
    if (offset < start_.offset) return Error::not_found;
    if (offset >= end_.offset) return end_;
    if (!tail_.empty() && offset >= tail_.front().first.offset)
        return tail_[place_in_tail(offset)].first;
    Segment* const segment = segment_at(offset);
    CHECK(segment && offset < segment->end().offset);
    return TRY(segment->read_records(offset, offset + 1, 0)).front().first;
}

// ---- For the SegmentWriter ----

Result<> Log::make_directory() {
    if (directory_made_) return {};
    TRY(create_directory(env_.disk, groups_directory));
    TRY(create_directory(env_.disk, directory_));
    TRY(env_.disk.sync_directory(""));
    TRY(env_.disk.sync_directory(groups_directory));
    directory_made_ = true;
    return {};
}

// Segments that were made together would all be full together, were their sizes the same.
Result<Segment*> Log::growing_segment() {
    if (!segments_.empty()) {
        Segment& newest = *segments_.back();
        if (segment_bytes_max_ == 0) segment_bytes_max_ = config_.segment_bytes;
        const bool early = newest.end() != newest.first() && BUGGIFY("log/seals-early", 50'000);
        if (!newest.sealed() && newest.bytes() < segment_bytes_max_ && !early) return &newest;
        SOMETIMES(newest.sealed(), "log/newest-segment-was-sealed-at-recovery");
        REACHABLE("log/next-segment");
        if (!newest.sealed()) TRY(newest.seal());
    }
    TRY(make_directory());
    const std::uint64_t jitter = config_.segment_bytes / 20;
    segment_bytes_max_ = config_.segment_bytes - jitter + env_.random.below(2 * jitter + 1);
    segments_.push_back(
        Segment::create(env_, segment_path(directory_, moved_.index), group_, moved_));
    return segments_.back().get();
}

Result<std::size_t> Log::move_piece() {
    std::int64_t limit = committed_.index;
    const bool is_held = is_damaged_before(committed_);
    SOMETIMES(is_held, "log/nothing-moves-past-what-is-damaged");
    if (is_held) limit = *damaged_->journaled.begin();
    if (moved_.index >= limit) return std::size_t{0};
    // A majority may have an entry before this node's disk has it. Segments never get ahead of the
    // journal, so that recovery finds in it all that led to what they hold, cuts included.
    TRY(journal_.sync());
    Segment& segment = *TRY(growing_segment());
    // An attempt before this one may have ended between the write and the sync.
    const std::uint64_t room = segment_bytes_max_ - std::min(segment_bytes_max_, segment.bytes());
    const std::uint64_t piece_bytes =
        BUGGIFY("log/small-piece") ? 0 : std::min<std::uint64_t>(piece_bytes_max, room);
    std::vector<wire::Frame> frames;
    std::size_t total = 0;
    for (std::int64_t i = segment.end().index; i < limit; ++i) {
        const wire::Frame& frame = *in_memory(i);
        total += wire::stored_size(frame);
        if (!frames.empty() && total > piece_bytes) break;
        frames.push_back(frame);
    }
    SOMETIMES(frames.empty(), "log/piece-was-written-and-not-synced");
    if (!frames.empty()) TRY(segment.append(frames));
    const Result<> synced = segment.sync();
    // Nobody knows what is durable now, and a second sync that succeeds proves nothing.
    if (!synced.ok())
        return synced.error() == Error::cancelled ? Error::cancelled : Error::device_failed;

    std::size_t moved = 0;
    for (std::int64_t i = moved_.index; i < segment.end().index; ++i)
        moved += weight(*in_memory(i));
    moved_ = segment.end();
    movable_bytes_ -= moved;
    cached_bytes_ += moved;
    budget_.change(0, static_cast<std::int64_t>(moved));
    journal_.release(group_, moved_);
    drop_cached();
    budget_.make_room();
    return moved;
}

void Log::carry_over(Position end) {
    REACHABLE("log/carried-over");
    CHECK(!is_damaged_before(end));
    for (std::int64_t i = moved_.index; i < std::min(end.index, end_.index); ++i)
        journal_.append(*in_memory(i));
}

void Log::add_sizes(std::vector<std::size_t>& frames, Position end) const {
    for (std::int64_t i = moved_.index; i < std::min(end.index, end_.index); ++i)
        frames.push_back(wire::stored_size(*in_memory(i)));
}

} // namespace pyralog
