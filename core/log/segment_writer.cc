#include "core/log/segment_writer.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"

#include <algorithm>

namespace pyralog {

namespace {

// While a journal file is kept by what was not committed when it became full, this is how often to
// look again.
constexpr Duration pin_retry_delay = 1s;

} // namespace

SegmentWriter::SegmentWriter(Environment& env, Journal& journal, const LogConfig& config)
    : env_(env), journal_(journal), config_(config), changed_(env.fibers),
      pieces_total_(env.metrics, "pyralog_segment_pieces_total",
                    "How often entries of one log were moved to a segment."),
      bytes_total_(env.metrics, "pyralog_segment_bytes_total", "Bytes moved to segments."),
      carried_total_(env.metrics, "pyralog_segment_carried_total",
                     "How often entries that were not committed kept a journal file in use, and "
                     "were written once more.") {}

SegmentWriter::~SegmentWriter() {
    for (const auto& [group, log] : logs_) {
        journal_.detach(group);
        log->writer_ = nullptr;
    }
}

void SegmentWriter::add(Log& log) {
    CHECK(log.writer_ == nullptr && !logs_.contains(log.group()));
    logs_.emplace(log.group(), &log);
    log.writer_ = this;
    if (journal_.config().bulk_min_bytes > 0) journal_.attach(log.group(), log);
    if (log.movable_bytes_ >= config_.segment_flush_bytes) wake(log);
    if (log.has_old()) wake_to_remove(log);
}

void SegmentWriter::remove(Log& log) {
    if (log.writer_ != this) return;
    journal_.detach(log.group());
    logs_.erase(log.group());
    std::erase(ready_, &log);
    std::erase(trimmed_, &log);
    log.waits_for_writer_ = log.waits_for_removal_ = false;
    if (busy_ == &log) {
        REACHABLE("segment-writer/removed-while-busy");
        // One log is busy at a time, and only its owner removes it.
        Signal idle(env_.fibers);
        idle_ = &idle;
        idle.wait_through();
    }
    log.writer_ = nullptr;
}

void SegmentWriter::wake(Log& log) {
    if (log.waits_for_writer_) return;
    log.waits_for_writer_ = true;
    ready_.push_back(&log);
    changed_.notify_all();
}

void SegmentWriter::wake_to_remove(Log& log) {
    if (log.waits_for_removal_) return;
    log.waits_for_removal_ = true;
    trimmed_.push_back(&log);
    changed_.notify_all();
}

Log* SegmentWriter::find(GroupId group) const {
    const auto found = logs_.find(group);
    return found == logs_.end() ? nullptr : found->second;
}

Result<> SegmentWriter::run() {
    Scope scope(env_.fibers);
    // Ends with the scope, or with the journal: then the node ends as well.
    scope.spawn("journal watch", [this] { (void)watch_journal(); });
    for (;;) {
        TRY(changed_.wait([this] {
            return file_full_ || !ready_.empty() || !trimmed_.empty() ||
                   flushes_done_ < flushes_wanted_;
        }));
        const Result<> done = work();
        if (done.ok()) continue;
        const bool no_files = done.error() == Error::unavailable;
        if (done.error() != Error::out_of_space && !no_files) return done;
        SOMETIMES(no_files, "segment-writer/too-many-open-files");
        SOMETIMES(!no_files, "segment-writer/no-space");
        // What is not moved stays in the journal, which says when that becomes too much.
        env_.log.error(no_files ? "too many open files for another segment"
                                : "no space for segments");
        TRY(env_.fibers.sleep_until(env_.clock.now() + Journal::space_retry_delay));
    }
}

// A node that has just recovered has old files as well.
Result<> SegmentWriter::watch_journal() {
    std::uint64_t seen = 0;
    const auto full = [&] { return journal_.failed() || journal_.file_number() != seen; };
    for (;;) {
        if (journal_.pinned().empty()) {
            TRY(journal_.file_changed().wait(full));
        } else {
            const Duration delay =
                BUGGIFY("segment-writer/looks-again-early") ? Duration(1ms) : pin_retry_delay;
            const Deadline retry(env_.fibers, env_.clock.now() + delay);
            const Result<> waited = journal_.file_changed().wait(full);
            if (!waited.ok() && waited.error() != Error::timed_out) return waited;
        }
        if (journal_.failed()) return Error::device_failed;
        seen = journal_.file_number();
        file_full_ = true;
        changed_.notify_all();
    }
}

// Whatever fails is still there to be done the next time.
Result<> SegmentWriter::work() {
    while (!trimmed_.empty()) TRY(remove_old());
    if (flushes_done_ < flushes_wanted_) {
        const std::uint64_t ticket = flushes_wanted_;
        TRY(move_all());
        flushes_done_ = ticket;
        changed_.notify_all();
    }
    if (file_full_) {
        file_full_ = false;
        const Result<> freed = free_oldest_file();
        if (!freed.ok()) {
            file_full_ = true;
            return freed;
        }
    }
    if (!ready_.empty()) {
        SOMETIMES(ready_.size() > 1, "segment-writer/two-logs-wait");
        if (BUGGIFY("segment-writer/another-log-first")) {
            ready_.push_back(ready_.front());
            ready_.pop_front();
        }
        Log& log = *ready_.front();
        TRY(move(log.group(), log.committed().index));
        if (!ready_.empty() && ready_.front() == &log) {
            ready_.pop_front();
            log.waits_for_writer_ = false;
        }
    }
    return {};
}

// Whoever is woken again meanwhile has another turn.
Result<> SegmentWriter::remove_old() {
    Log& log = *trimmed_.front();
    trimmed_.pop_front();
    log.waits_for_removal_ = false;
    const GroupId group = log.group();
    busy_ = &log;
    const Result<> removed = log.remove_old();
    busy_ = nullptr;
    if (idle_) std::exchange(idle_, nullptr)->set(); // `log` may be gone from here on.
    if (removed.ok()) return {};
    if (Log* const left = find(group)) wake_to_remove(*left);
    return removed;
}

// One file after the other, as long as moving sets them free. What then still keeps the oldest one
// is not committed.
Result<> SegmentWriter::free_oldest_file() {
    std::vector<Journal::Pin> pins = journal_.pinned();
    while (!pins.empty()) {
        for (const Journal::Pin& pin : pins) TRY(move(pin.group, pin.end.index));
        std::vector<Journal::Pin> left = journal_.pinned();
        bool moved = left.size() != pins.size();
        for (std::size_t i = 0; !moved && i < left.size(); ++i)
            moved = left[i].group != pins[i].group || left[i].end != pins[i].end;
        pins = std::move(left);
        SOMETIMES(!moved, "segment-writer/file-held-by-what-is-not-committed");
        if (!moved) break;
    }
    const bool needless = BUGGIFY("segment-writer/carries-over-needlessly");
    if (pins.empty() || (!journal_.crowded() && !needless)) return {};
    // What is damaged cannot be written again. It holds the file, whatever becomes of the others.
    const bool is_held = std::ranges::any_of(pins, [this](const Journal::Pin& pin) {
        const Log* const log = find(pin.group);
        return log && log->is_damaged_before(pin.end);
    });
    SOMETIMES(is_held, "segment-writer/file-held-by-what-is-damaged");
    if (is_held) return {};
    const bool is_hollow = journal_.backlogged() && pays_to_write_anew();
    SOMETIMES(is_hollow, "segment-writer/journal-is-hollow");
    if (is_hollow)
        TRY(write_anew());
    else
        carry_over(pins);
    // What waits to be written has freed nothing yet, and is not to be written twice.
    return journal_.sync();
}

// Only what goes into one file twice, so that files come free faster than this fills them.
void SegmentWriter::carry_over(std::span<const Journal::Pin> pins) {
    std::vector<std::size_t> frames;
    for (const Journal::Pin& pin : pins) {
        Log* const log = find(pin.group);
        if (!log) continue;
        const std::size_t before = frames.size();
        log->add_sizes(frames, pin.end);
        std::vector<std::size_t> twice = frames;
        twice.insert(twice.end(), frames.begin(), frames.end());
        const bool too_much = journal_.bytes_to_hold(twice) > journal_.bytes_to_hold(frames);
        SOMETIMES(too_much, "segment-writer/too-much-to-carry-over");
        if (too_much) {
            frames.resize(before);
            continue;
        }
        log->carry_over(pin.end);
        carried_total_.add();
    }
}

// A journal may be full of files of which next to nothing is needed, since each start begins one,
// behind one that is too full to be carried over. Then all that is needed is written anew, if that
// frees a good part of the journal for certain: what it comes to is known beforehand, and is no
// reason to do it again.
bool SegmentWriter::pays_to_write_anew() const {
    std::vector<std::size_t> frames;
    for (const auto& [group, log] : logs_) {
        if (log->is_damaged_before(log->end())) return false;
        log->add_sizes(frames, log->end());
    }
    const std::uint64_t needed = journal_.bytes_to_hold(frames);
    return journal_.bytes_in_use() > needed + needed / 2 + 2 * journal_.config().file_bytes;
}

Result<> SegmentWriter::write_anew() {
    TRY(move_all());
    for (const auto& [group, log] : logs_) {
        log->carry_over(log->end());
        carried_total_.add();
    }
    return {};
}

Result<> SegmentWriter::move_all() {
    std::vector<GroupId> groups;
    for (const auto& [group, log] : logs_) groups.push_back(group);
    for (const GroupId group : groups)
        if (Log* const log = find(group)) TRY(move(group, log->committed().index));
    return {};
}

// Up to `end`, or as far as it is committed; in whole pieces, so perhaps further.
Result<> SegmentWriter::move(GroupId group, std::int64_t end) {
    for (Log* log = find(group); log; log = find(group)) {
        if (log->segments_end().index >= end) return {};
        busy_ = log;
        // If this is cancelled, so is what follows.
        if (BUGGIFY("segment-writer/moves-slowly", 100'000))
            (void)env_.fibers.sleep_until(env_.clock.now() + 100ms);
        const Result<std::size_t> moved = log->move_piece();
        busy_ = nullptr;
        if (idle_) std::exchange(idle_, nullptr)->set(); // `log` may be gone from here on.
        const std::size_t bytes = TRY(moved);
        if (bytes == 0) return {};
        pieces_total_.add();
        bytes_total_.add(bytes);
    }
    return {};
}

Result<> SegmentWriter::flush() {
    const std::uint64_t ticket = ++flushes_wanted_;
    changed_.notify_all();
    return changed_.wait([&] { return flushes_done_ >= ticket; });
}

} // namespace pyralog
