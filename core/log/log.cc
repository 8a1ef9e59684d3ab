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

// As a log keeps it: rounds are the journal's.
wire::Frame kept(const wire::Frame& frame) {
    wire::Frame copy = wire::owned(frame);
    copy.round = 0;
    if (copy.damaged == 0) copy.place = {}; // Of one without a payload nothing is missing.
    return copy;
}

} // namespace

struct Log::Planted {
    std::map<Offset, wire::Frame> overruled; // For M32.
};

Log::Log(Environment& env, Journal& journal, TailBudget& budget, const LogConfig& config,
         GroupId group)
    : env_(env), journal_(journal), budget_(budget), config_(config), group_(group),
      directory_(group_directory(group)), bulk_done_(env.fibers) {
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

// What lies before the start of the log need not be whole, and is perhaps half removed. But where
// that is only the journal knows: so what counts here are the last segments that follow each other,
// and finish_replay() says if they begin early enough.
Result<> Log::open_segments() {
    std::vector<std::int64_t> firsts;
    const Result<std::vector<std::string>> names = env_.disk.list(directory_);
    if (!names.ok() && names.error() != Error::not_found) return names.error();
    if (names.ok())
        for (const std::string& name : names.value())
            if (const auto first = segment_first_index(name)) firsts.push_back(*first);
    if (names.ok()) TRY(find_compaction_files(names.value()));
    for (std::size_t i = 0; i < firsts.size(); ++i) {
        std::optional<std::int64_t> next;
        if (i + 1 < firsts.size()) next = firsts[i + 1];
        TRY(open_segment(firsts[i], next));
    }
    end_ = committed_ = moved_;
    return {};
}

Result<> Log::open_segment(std::int64_t first_index, std::optional<std::int64_t> next) {
    const bool is_newest = !next;
    auto segment = TRY(Segment::open(env_, segment_path(directory_, first_index), group_,
                                     first_index, &budget_.open_segments(), next.value_or(0)));
    if (!segment) {
        // Made and not yet written when the power went; or all of it is lost, and then the marks in
        // the journal know.
        SOMETIMES(is_newest, "log/newest-segment-was-never-written");
        if (next) begin_late(*next, "a segment has lost its header");
        left_over_.push_back(first_index);
        return {};
    }
    if (segment->first() != moved_) {
        begin_late(first_index, segments_.empty() ? "the first segments are missing"
                                                  : "segments do not follow each other");
        for (auto& earlier : segments_) retired_.push_back(std::move(earlier));
        segments_.clear();
        terms_ = TermTable(segment->first(), Term());
    }
    // A name that only memory holds is no name yet.
    if (is_newest && !segment->sealed()) TRY(env_.disk.sync_directory(directory_));
    SOMETIMES(segments_.size() > 1, "log/opened-with-three-segments");
    if (segment->index().compaction) compacting().last = segment->index().compaction;
    for (const TermStart& start : segment->index().terms) {
        if (start.term < terms_.last()) return damaged("terms fall between segments", moved_);
        terms_.append(start.term, start.first);
    }
    moved_ = segment->end();
    segments_.push_back(std::move(segment));
    return {};
}

// What was found is only good for a log that begins here or later.
void Log::begin_late(std::int64_t index, std::string_view why) {
    least_start_ = index;
    gap_ = why;
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
    case wire::Frame::Kind::start: return replay_start(frame);
    case wire::Frame::Kind::mark:
        SOMETIMES(frame.first.index > 0, "log/mark-held-against-segments");
        marked_ = std::max(marked_, frame.first); // A later start may excuse the segments.
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

// What lies before the start counts as if segments held it, whether they do or not. If the log
// ended before it, it was begun anew there.
Result<> Log::replay_start(const wire::Frame& frame) {
    const Result<LogStart> read = wire::start_of(frame);
    if (!read.ok()) return damaged("what says where the log begins is malformed", frame.first);
    const LogStart start = read.value();
    SOMETIMES(start <= start_, "log/replayed-start-again");
    if (start <= start_) return {};
    SOMETIMES(start.first.index > end_.index, "log/replayed-start-behind-the-end");
    SOMETIMES(start.first.index < moved_.index, "log/replayed-start-within-segments");
    start_ = start;
    pass_over_replayed(start.first);
    if (terms_.start().index <= start.first.index) terms_.trim(start.first, start.before);
    terms_.cut(end_);
    push_early();
    return {};
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
        const bool is_same = wire::is_same_entry(*same, frame);
        if (!is_same && !wire::is_reduced_from(*same, frame) &&
            !wire::is_reduced_from(frame, *same))
            return damaged("two entries in one place", frame.first);
        // One of the two may be all that is left of it.
        if (same->damaged > 0 && frame.damaged == 0) heal(index, kept(frame));
        if (same->damaged > 0 && frame.place.is_known())
            tail_[static_cast<std::size_t>(index - tail_.front().first.index)].place = frame.place;
        return {};
    }
    const auto known = early_.find(index);
    const bool was_whole = known != early_.end() && wire::is_same_entry(known->second, frame) &&
                           known->second.damaged == 0;
    wire::Frame entry = was_whole ? std::move(known->second) : kept(frame);
    if (!follows(entry)) {
        REACHABLE("log/replayed-entry-came-early");
        early_.insert_or_assign(index, std::move(entry));
        return {};
    }
    early_.erase(index);
    push(std::move(entry));
    push_early();
    return {};
}

void Log::push_early() {
    for (auto next = early_.begin(); next != early_.end() && follows(next->second);
         next = early_.erase(next)) {
        REACHABLE("log/early-entry-found-its-place");
        push(std::move(next->second));
    }
}

bool Log::follows(const wire::Frame& frame) const {
    return frame.first == end_ && frame.term >= terms_.last();
}

Result<> Log::finish_replay() {
    CHECK(!replayed_);
    TRY(extend_segments());
    if (marked_.index > moved_.index)
        return damaged("segments have lost entries that the journal no longer has", marked_);
    if (least_start_ > start_.first.index) return damaged(gap_, start_.first);
    if (!early_.empty()) return damaged("entries are missing", end_);
    TRY(find_ahead());
    replayed_ = true;
    segment_begun_ = env_.clock.now();
    committed_ = moved_;
    SOMETIMES(least_start_ > 0, "log/gap-before-its-start");
    retire_before(start_.first.index);
    // The newest file, if nothing is in it, will be used again.
    std::erase_if(left_over_, [&](std::int64_t first) { return first >= start_.first.index; });
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
    if (!planted_) planted_ = std::make_unique<Planted>();
    for (std::int64_t i = end.index; i < end_.index; ++i)
        if (in_memory(i)->kind == wire::Frame::Kind::records)
            planted_->overruled.insert_or_assign(in_memory(i)->first.offset, *in_memory(i));
#endif
    while (end_.index > end.index) pop();
    CHECK(end_ == end);
    wire::Frame cut;
    cut.kind = wire::Frame::Kind::cut;
    cut.group = group_;
    cut.first = end;
    journal_.append(cut);
    cut_ahead(end);
}

void Log::set_committed(Position committed) {
    CHECK(committed.index <= end_.index);
    if (committed.index <= committed_.index) return;
    std::vector<const wire::Frame*> trims;
    for (std::int64_t i = std::max(committed_.index, moved_.index); i < committed.index; ++i) {
        const wire::Frame& frame = *in_memory(i);
        movable_bytes_ += weight(frame);
        // Without its payload it says nothing until it is mended.
        if (frame.kind == wire::Frame::Kind::trim && frame.damaged == 0) trims.push_back(&frame);
        if (frame.kind == wire::Frame::Kind::compaction) {
            compacting().last = i;
            compacting().wanted.reset();
        }
    }
    committed_ = committed;
    // Each of them: a later one may say less, and all replicas come to the same start, whatever is
    // committed at once.
    SOMETIMES(trims.size() > 1, "log/committed-several-trims");
    for (const wire::Frame* frame : trims) take_trim(*frame);
    if (!writer_) return;
    if (movable_bytes_ >= config_.segment_flush_bytes || journal_.bulk_crowded() ||
        BUGGIFY("log/moves-early"))
        writer_->wake(*this);
    SOMETIMES(journal_.crowded(), "log/committed-in-a-crowded-journal");
    if (journal_.crowded() || BUGGIFY("log/frees-files-early", 50'000)) writer_->free_files();
}

void Log::take_trim(const wire::Frame& frame) {
    const Result<wire::Trim> read = wire::trim_of(frame);
    if (read.ok())
        trim(read.value());
    else
        env_.log.error("an entry says nonsense of where its log begins",
                       {{"group", group_}, {"position", frame.first}});
}

// It is in the journal before anything that follows from it is: no later entry gets into a segment
// before that is synced.
void Log::trim(const wire::Trim& trim) {
    CHECK(replayed_ && trim.first.index <= committed_.index);
    SOMETIMES(trim.offset <= start_.offset, "log/trimmed-already");
    if (trim.first.index < start_.first.index || trim.offset <= start_.offset) return;
    SOMETIMES(trim.first.index > moved_.index, "log/trimmed-beyond-its-segments");
    SOMETIMES(trim.offset > trim.first.offset, "log/trimmed-within-a-batch");
    start_ = {trim.first, terms_.before(trim.first.index), trim.offset};
    terms_.trim(trim.first);
    terms_.cut(end_);
    journal_.append(wire::start_frame(group_, start_));
    for (const auto& segment : segments_) segment->forget_before(start_.first);
    if (writer_ && has_old()) writer_->wake_to_remove(*this);
}

Offset Log::expired(std::optional<std::int64_t> oldest_ms,
                    std::optional<std::uint64_t> bytes_max) const {
    std::uint64_t bytes = 0; // Those that can be deleted.
    for (const auto& segment : segments_) bytes += segment->bytes();
    Position kept = start_.first;
    const auto is_old = [&](std::int64_t timestamp_max) {
        return oldest_ms && timestamp_max != wire::SegmentIndex::no_timestamp &&
               timestamp_max < *oldest_ms;
    };
    for (const auto& segment : segments_) {
        const bool is_newest = segment == segments_.back();
        const bool is_bare = !is_newest && segment->end().offset == segment->first().offset;
        const bool is_too_much = !is_newest && bytes_max && bytes - segment->bytes() >= *bytes_max;
        SOMETIMES(is_too_much, "log/too-large");
        if (!is_bare && !is_too_much && !is_old(segment->index().timestamp_max))
            return std::max(start_.offset, kept.offset);
        bytes -= segment->bytes();
        kept = std::min(segment->end(), moved_);
    }
    // All that is in segments is too old.
    for (std::int64_t i = kept.index; i < committed_.index; ++i) {
        const wire::Frame* const frame = in_memory(i);
        if (!frame || frame->damaged > 0 ||
            (frame->records > 0 && !is_old(wire::batch_timestamp_max(*frame))))
            break;
        kept = frame->end();
    }
    return std::max(start_.offset, kept.offset);
}

void Log::reset(const LogStart& start) {
    CHECK(replayed_ && end_ == committed_ && start.first.index > end_.index);
    SOMETIMES(!segments_.empty(), "log/begun-anew-with-segments");
    SOMETIMES(moved_.index < end_.index, "log/begun-anew-with-what-was-to-be-moved");
    ++resets_;
    if (compacting_) compacting_->last.reset();
    pass_over(end_);
    while (drop_oldest()) {
    }
    for (auto& segment : segments_) retired_.push_back(std::move(segment));
    segments_.clear();
    start_ = start;
    moved_ = committed_ = end_ = start.first;
    terms_ = TermTable(start.first, start.before);
    journal_.append(wire::start_frame(group_, start_));
    overwrite_after_ = journal_.appended(); // Nor is a segment begun that seems to be the second.
    if (writer_ && has_old()) writer_->wake_to_remove(*this);
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
        total += std::max(size_of(frame->payload), wire::Frame::header_size);
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
    if (from.index < start_.first.index) return Error::not_found;
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
    const Reading reading(*this, *segment);
    Result<std::vector<wire::Frame>> frames = segment->read(from.index, end, bytes_max);
    if (!frames.ok()) return unread(frames.error(), from.index < start_.first.index);
    return frames;
}

// A file that is gone was trimmed meanwhile, or else it is lost.
Error Log::unread(Error error, bool is_trimmed) const {
    SOMETIMES(is_trimmed, "log/trimmed-while-it-was-read");
    if (is_trimmed) return Error::not_found;
    return error == Error::not_found ? damaged("a segment is missing", start_.first) : error;
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
    if (!planted_) return frame;
    const auto old = planted_->overruled.find(frame.first.offset);
    if (old != planted_->overruled.end() && frame.kind == wire::Frame::Kind::records &&
        old->second.term != frame.term && BUG(M32))
        return old->second;
#endif
    return frame;
}

Result<BytesChain> Log::read(Offset from, Offset limit, std::size_t bytes_max) {
    BytesChain batches;
    if (BUGGIFY("log/reads-one-batch")) bytes_max = 0;
    // Of a log that is compacted whole segments may have no records left.
    for (;;) {
        if (from < start_.offset) return Error::not_found;
        if (from >= std::min(limit, end_.offset)) return batches;
        if (!tail_.empty() && from >= tail_.front().first.offset) break;
        Segment* const segment = segment_at(from);
        CHECK(segment && from < segment->end().offset);
        REACHABLE("log/batches-read-from-a-segment");
        const Reading reading(*this, *segment);
        const Result<std::vector<wire::Frame>> frames =
            segment->read_records(from, limit, bytes_max);
        if (!frames.ok()) return unread(frames.error(), from < start_.offset);
        for (const wire::Frame& frame : frames.value())
            batches.insert(batches.end(), frame.payload.begin(), frame.payload.end());
        if (!batches.empty()) return batches;
        REACHABLE("log/read-past-a-segment-without-records");
        from = segment->end().offset;
    }
    std::size_t total = 0;
    for (std::size_t i = place_in_tail(from); i < tail_.size(); ++i) {
        const wire::Frame& frame = cached(tail_[i]);
        if (!frame.has_records()) continue;
        if (frame.first.offset >= limit) break;
        if (frame.payload.empty() && frame.damaged == 0) continue;
        SOMETIMES(frame.damaged > 0, "log/read-up-to-a-damaged-entry");
        if (frame.damaged > 0 && batches.empty()) return Error::corrupt;
        total += size_of(frame.payload);
        if (!batches.empty() && (total > bytes_max || frame.damaged > 0)) break;
        batches.insert(batches.end(), frame.payload.begin(), frame.payload.end());
    }
    return batches;
}

Result<Offset> Log::offset_for_time(std::int64_t timestamp_ms, Offset limit, Offset from) {
    const auto answer = [&](Position found) -> Result<Offset> {
        if (found.offset < limit) return found.offset;
        return Error::not_found;
    };
    from = std::max(from, start_.offset);
    for (Offset at = from;;) {
        Segment* const segment = segment_for_time(timestamp_ms, at);
        if (!segment) break;
        REACHABLE("log/time-found-in-a-segment");
        const Reading reading(*this, *segment);
        const Result<Position> found = segment->find_time(timestamp_ms, at);
        if (found.ok()) return answer(found.value());
        if (found.error() != Error::not_found) return found.error();
        REACHABLE("log/time-was-only-before-the-start");
        at = segment->end().offset;
    }
    // While the disk was waited for, entries may have moved to a segment: those are looked at here.
    for (const wire::Frame& frame : tail_) {
        if (frame.end().offset <= from) continue;
        if (frame.damaged > 0) return Error::corrupt; // It may have been this one.
        if (wire::batch_timestamp_max(frame) >= timestamp_ms) return answer(frame.first);
    }
    REACHABLE("log/no-such-time");
    return Error::not_found;
}

// The first segment that may hold such a batch.
Segment* Log::segment_for_time(std::int64_t timestamp_ms, Offset from) const {
    for (const auto& segment : segments_)
        if (segment->end().offset > from && segment->index().timestamp_max >= timestamp_ms)
            return segment.get();
    return nullptr;
}

Result<Position> Log::position_of(Offset offset) {
    if (offset < start_.offset) return Error::not_found;
    if (offset >= end_.offset) return end_;
    if (!tail_.empty() && offset >= tail_.front().first.offset)
        return tail_[place_in_tail(offset)].first;
    Segment* const segment = segment_at(offset);
    CHECK(segment && offset < segment->end().offset);
    const Reading reading(*this, *segment);
    return segment->find(offset);
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

std::uint64_t Log::bytes() const {
    std::uint64_t bytes = movable_bytes_;
    for (const auto& segment : segments_) bytes += segment->bytes();
    return bytes;
}

void Log::set_limits(std::size_t segment_bytes, Duration segment_age) {
    config_.segment_bytes = segment_bytes;
    config_.segment_age = segment_age;
    segment_bytes_max_ = 0;
}

// Segments that were made together would all be full together, were their sizes the same.
Result<Segment*> Log::growing_segment() {
    if (!segments_.empty()) {
        Segment& newest = *segments_.back();
        if (segment_bytes_max_ == 0) segment_bytes_max_ = config_.segment_bytes;
        if (!newest.sealed() && !is_full(newest)) return &newest;
        SOMETIMES(newest.sealed(), "log/newest-segment-was-sealed-at-recovery");
        REACHABLE("log/next-segment");
        if (!newest.sealed()) {
            const Reading sealing(*this, newest);
            TRY(newest.seal());
        }
    }
    TRY(begin_segment());
    return segments_.back().get();
}

Result<> Log::begin_segment() {
    const std::uint64_t resets = resets_;
    TRY(make_directory());
    if (resets_ != resets) return Error::unavailable;
    const std::uint64_t jitter = config_.segment_bytes / 20;
    segment_bytes_max_ = config_.segment_bytes - jitter + env_.random.below(2 * jitter + 1);
    segments_.push_back(Segment::create(env_, segment_path(directory_, moved_.index), group_,
                                        moved_, &budget_.open_segments()));
    segment_begun_ = env_.clock.now();
    return {};
}

bool Log::is_full(const Segment& segment) const {
    if (segment.end() == segment.first()) return false;
    if (segment.bytes() >= segment_bytes_max_ || BUGGIFY("log/seals-early", 50'000)) return true;
    SOMETIMES(is_too_old(segment), "log/segment-sealed-for-its-age");
    return is_too_old(segment);
}

bool Log::is_too_old(const Segment& segment) const {
    return segment.end() != segment.first() &&
           env_.clock.now() >= segment_begun_ + config_.segment_age;
}

Result<std::size_t> Log::move_piece() {
    std::int64_t limit = committed_.index;
    const bool is_held = is_damaged_before(committed_);
    SOMETIMES(is_held, "log/nothing-moves-past-what-is-damaged");
    if (is_held) limit = *damaged_->journaled.begin();
    if (moved_.index >= limit) return std::size_t{0};
    // A majority may have an entry before this node's disk has it. Segments never get ahead of the
    // journal, so that recovery finds in it all that led to what they hold, cuts included.
    const std::uint64_t resets = resets_;
    TRY(journal_.sync());
    if (resets_ != resets) return std::size_t{0};
    if (const std::size_t taken = take_ahead(limit)) return taken;
    const Moving moving(*this);
    TRY(make_writable());
    if (resets_ != resets) return std::size_t{0};
    if (const std::size_t taken = take_ahead(limit)) return taken;
    Segment& segment = *TRY(growing_segment());
    if (resets_ != resets) return std::size_t{0};
    const Reading writing(*this, segment);
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
    CHECK(!segment.has_ahead());
    SOMETIMES(frames.empty(), "log/piece-was-written-and-not-synced");
    if (!frames.empty()) TRY(segment.append(frames));
    const Result<> synced = segment.sync();
    SOMETIMES(resets_ != resets, "log/begun-anew-while-a-piece-was-moved");
    // Nobody knows what is durable now, and a second sync that succeeds proves nothing.
    if (!synced.ok())
        return synced.error() == Error::cancelled ? Error::cancelled : Error::device_failed;
    if (resets_ != resets) return std::size_t{0};

    const std::size_t moved = pass_over(segment.end());
    journal_.release(group_, moved_);
    drop_cached();
    budget_.make_room();
    return moved;
}

// What stands before `end` is in segments, or is wanted by nobody. Returns how much it was.
std::size_t Log::pass_over(Position end) {
    std::size_t bytes = 0;
    for (std::int64_t i = moved_.index; i < end.index; ++i) {
        bytes += weight(*in_memory(i));
        // What nobody wants needs no mending.
        if (in_memory(i)->damaged > 0) note_whole(i);
    }
    moved_ = end;
    movable_bytes_ -= bytes;
    cached_bytes_ += bytes;
    budget_.change(0, static_cast<std::int64_t>(bytes));
    return bytes;
}

bool Log::has_old() const {
    const std::int64_t start = start_.first.index;
    const bool has_strays = compacting_ && !compacting_->strays.empty();
    return !left_over_.empty() || !retired_.empty() || has_strays || start > moved_.index ||
           (!segments_.empty() && is_old(*segments_.front(), start));
}

// One that is empty is about to be written.
bool Log::is_old(const Segment& segment, std::int64_t start) {
    return segment.first().index < start && segment.end().index <= start && !segment.has_ahead();
}

void Log::retire_before(std::int64_t start) {
    std::size_t count = 0;
    while (count < segments_.size() && is_old(*segments_[count], start)) ++count;
    const auto end = segments_.begin() + static_cast<std::ptrdiff_t>(count);
    std::move(segments_.begin(), end, std::back_inserter(retired_));
    segments_.erase(segments_.begin(), end);
}

// The journal comes first: whoever starts again and finds the first segments missing must know that
// nobody wants them. In which order the disk then forgets their names does not matter.
Result<> Log::remove_old() {
    const Position start = start_.first;
    const std::int64_t committed = committed_.index;
    const std::uint64_t resets = resets_;
    TRY(journal_.sync());
    if (resets_ != resets) return {}; // What is to go now waits for another sync.
    // The journal may name what stands behind the start, in the same file.
    const Moving moving(*this);
    TRY(make_writable());
    if (resets_ != resets) return {};
    take_ahead(committed); // Else a segment with that could not be sealed.
    if (start.index > moved_.index) {
        REACHABLE("log/passed-over-what-is-trimmed");
        pass_over(start);
    }
    while (!tail_.empty() && tail_.front().first.index < start.index && drop_oldest()) {
    }
    retire_before(start.index);

    std::vector<std::string> paths;
    if (compacting_) paths = compacting_->strays;
    for (const std::int64_t first : left_over_) paths.push_back(segment_path(directory_, first));
    const std::size_t retired = retired_.size();
    for (const auto& segment : retired_) paths.push_back(segment->path());
    for (const std::string& path : paths) {
        const Result<> removed = env_.disk.remove(path);
        if (!removed.ok() && removed.error() != Error::not_found) return removed;
    }
    if (!paths.empty()) TRY(env_.disk.sync_directory(directory_));
    SOMETIMES(paths.size() > 1, "log/removed-several-segments");
    left_over_.clear();
    if (compacting_) compacting_->strays.clear();
    const auto end = retired_.begin() + static_cast<std::ptrdiff_t>(retired);
    std::move(retired_.begin(), end, std::back_inserter(removed_));
    retired_.erase(retired_.begin(), end); // While it waited there may have come others.
    close_removed();
    return seal_for_compaction();
}

void Log::close_removed() {
    std::erase_if(removed_, [](const auto& segment) {
        SOMETIMES(segment->in_use(), "log/removed-while-it-is-read");
        return !segment->in_use();
    });
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
