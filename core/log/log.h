// core/log/log.h
//
// The entries of one partition. New ones are in the node's Journal and in memory; once committed,
// the SegmentWriter moves them into segment files under `groups/<group>/`. So a segment is never
// cut and never wrong, and a cut costs one frame. Entries can be read as soon as they are appended;
// they are durable when a later Journal::sync() has returned.
//
// An entry can be damaged: it is there, and counts for length and terms, but some of it is not what
// was written. Whoever reads it gets Error::corrupt, until it is mended with what another replica
// has. In the journal it stays until then, and so do those behind it.
//
// Life: open() knows what the segments hold; the journal's frames of this group come through
// replay(); finish_replay() says if the log is whole. Then append() and cut().
//
// A log may begin behind index 0: once a `trim` entry is committed, what lies before the place that
// it names is gone for whoever reads, and whole segments of it are removed a little later. The
// journal knows where the log begins before anything is removed.
//
// A log can be compacted: of all records with the same key that stand before a place which its
// group has agreed on, the newest is left. Segments are written anew for that, one after the other,
// while all else goes on; entries keep their places, and are reduced: README.md has how.
//
// Refers to its Environment, Journal and TailBudget, which outlive it. Leave the SegmentWriter
// before the end. Only what says so may wait.
#pragma once

#include "core/base/ring.h"
#include "core/base/terms.h"
#include "core/env/environment.h"
#include "core/log/compaction.h"
#include "core/log/config.h"
#include "core/log/journal.h"
#include "core/log/segment.h"
#include "core/log/tail_budget.h"
#include "core/wire/compaction.h"
#include "core/wire/frame.h"
#include "core/wire/log_start.h"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog {

class SegmentWriter;

class Log : private Journal::BulkWriter {
public:
    // Waits. Error::corrupt if the segments are damaged or do not form a chain; the log line says
    // which. An unknown group is an empty log; its directory is made with its first segment.
    static Result<std::unique_ptr<Log>> open(Environment& env, Journal& journal, TailBudget& budget,
                                             const LogConfig& config, GroupId group);

    // The groups that have a directory. Waits.
    static Result<std::vector<GroupId>> list(Environment& env);

    // Names the metrics that only a log has that was damaged.
    static void foretell(Metrics& metrics);

    // Deletes the files of a group whose Log is gone. Waits; to be repeated if it fails.
    static Result<> remove(Environment& env, GroupId group);

    ~Log() override;

    // A frame of the journal at recovery: entries and cuts, where the log begins, and the mark that
    // says how far the segments must reach. Votes are no business of a log and change nothing.
    // Error::corrupt if it contradicts what is here. Copies the payload if it keeps it.
    Result<> replay(const wire::Frame& frame);

    // After the last of them. Waits, if entries stand in a segment that the journal only names.
    // Error::corrupt if entries are missing in the middle.
    Result<> finish_replay();

    GroupId group() const { return group_; }
    const LogStart& log_start() const { return start_; }
    Position start() const { return start_.first; }   // The first entry still kept.
    Position end() const { return end_; }             // Where the next one goes.
    Position segments_end() const { return moved_; }  // Before it, all is durable in segments.
    Position committed() const { return committed_; } // As far as this log was told.
    const TermTable& terms() const { return terms_; } // Which term wrote what.

    // `frame` is an entry, frame.first is end(), and terms do not fall. Computes payload_crc if
    // that is still zero. Does not wait.
    void append(const wire::Frame& frame);

    // Drops a suffix that a newer leader has overruled: `end` becomes the end. Never below what is
    // committed. Does not wait.
    void cut(Position end);

    // What no leader can take back; it may move to segments, and trims among it take effect. Lower
    // than before changes nothing. At most end().
    void set_committed(Position committed);

    // What is committed of it, on this disk: segments, and what has not moved to them yet.
    std::uint64_t bytes() const;

    // Other limits of a segment than those that it was opened with, also of the one that grows.
    void set_limits(std::size_t segment_bytes, Duration segment_age);

    // The log begins at `trim` from now on, if it does not do so already, or later. For tests, and
    // for set_committed(): replicas agree on where their logs begin. Does not wait.
    void trim(const wire::Trim& trim);

    // Where the records begin that are not to be deleted: whole segments go, oldest first, while
    // the latest record in one is from before `oldest_ms`, or while what is left behind one is at
    // least `bytes_max`. Of what is in no segment yet, single batches may be too old. None: no such
    // rule.
    Offset expired(std::optional<std::int64_t> oldest_ms,
                   std::optional<std::uint64_t> bytes_max) const;

    // Forgets all entries: the log begins at `start`, and ends there. For a replica of which all
    // that is not committed was cut, and all that is lies before that: its leader no longer has
    // what follows. Does not wait.
    void reset(const LogStart& start);

    // Entries from `from` on, as far as they are in memory: at least one, then up to `bytes_max` of
    // payload. Empty if there is none, or if `from` is no longer in memory: then read_frames().
    std::vector<wire::Frame> tail(Position from, std::size_t bytes_max) const;

    // The same from wherever they are, to before `limit`. Waits for the disk. Error::not_found if
    // `from` lies before start(), or does when the disk has answered; Error::corrupt if what is
    // there is damaged.
    Result<std::vector<wire::Frame>> read_frames(Position from, Position limit,
                                                 std::size_t bytes_max);

    // Whole Kafka batches, from the one that holds `from` to before `limit`, which is the end of a
    // batch. `from` may not lie before log_start().offset. Stops at `bytes_max`, but never before
    // the first. Waits only for what is no longer in memory. Errors as above.
    Result<BytesChain> read(Offset from, Offset limit, std::size_t bytes_max);

    // Where the first batch begins that has a record of this time or later, before `limit`, and
    // that ends behind `from` and behind the log's start. Waits. Error::not_found if there is none.
    Result<Offset> offset_for_time(std::int64_t timestamp_ms, Offset limit, Offset from = {});

    // The position of the first entry whose records end after `offset`: where the entry begins that
    // holds it. Waits if that has to be looked up in a segment; end() if there is none.
    Result<Position> position_of(Offset offset);

    // ---- Compaction: log_compaction.cc ----

    // How far the group wants this log to be compacted, by the last entry that says so and is known
    // to be committed; nothing if there is none. Waits. Errors as of read_frames().
    Result<std::optional<wire::Compaction>> compaction();
    // How far it is, durably.
    wire::Compacted compacted() const {
        return compacting_ ? compacting_->done : wire::Compacted();
    }

    // Is it as far as the group wants? False also while this log has yet to look what that is.
    bool is_compacted() const;

    // Compacts it as far as the group wants. Waits, for as long as `pace` says, and holds no more
    // than so many bytes of keys, and those of one batch. Error::unavailable: it is too early, or
    // the log has changed too much meanwhile. Error::not_found: it was trimmed meanwhile.
    // Error::corrupt: something is damaged, which damages() knows. Error::out_of_space. After all
    // of these it may be tried again; of others only a node's end is left.
    Result<CompactionWork> compact(const BatchReader& reader, std::size_t key_bytes_max,
                                   const CompactionPace& pace);

    // Of the segments to which nothing is added any more: those up to the first that has a record
    // of this time or later. What of them lies before `clean` is clean.
    Compactable compactable(Position clean, std::optional<std::int64_t> newest_ms,
                            Offset limit = Offset(std::numeric_limits<std::int64_t>::max())) const;

    // An entry that is in memory, as all are that no segment has; else null. Until the next change.
    const wire::Frame* in_memory(std::int64_t index) const;

    // What is known to be damaged, in order. Of what is in segments that is what somebody has tried
    // to read, and of all together not more than is worth asking for at once.
    static constexpr std::size_t damages_max = 64;
    std::vector<Damage> damages() const;

    // Called whenever somebody is done with a segment of which something is known to be damaged:
    // what he read may be good for all that, or he may have given up.
    void on_damage(std::function<void()> found) { on_damage_ = std::move(found); }

    // Reads about so much of what is in segments, from this entry on, to see if it is damaged:
    // past the page cache, and of no other use. Waits. Where to go on; segments_end() when all was
    // read.
    Result<std::int64_t> scrub(std::int64_t from, std::size_t bytes);

    // Puts these frames in the place of one of the damages(), all of it, but for what stands in a
    // block with others that turn out to be damaged: damages() tells of those. Waits, and is
    // durable then. Where the log begins may be another place when this returns. Error::malformed
    // if they are not what was there; Error::unavailable if nothing could be put anywhere for such
    // others, or if the damage was cut meanwhile; Error::not_found if its segment cannot be opened
    // or replaced now. Of all others only a node's end is left.
    // What compaction has left of entries is taken for them. Whoever asks for it sees that it comes
    // from a log which is compacted as far as this one ever was, and wants to be.
    Result<> mend(std::span<const wire::Frame> frames);

private:
    friend class SegmentWriter;
    friend class TailBudget;
    struct Planted;

    Log(Environment& env, Journal& journal, TailBudget& budget, const LogConfig& config,
        GroupId group);
    Result<> open_segments();
    Result<> open_segment(std::int64_t first_index, std::optional<std::int64_t> next);
    void begin_late(std::int64_t index, std::string_view why);
    Error damaged(std::string_view what, Position where) const;

    void replay_cut(Position end);
    Result<> replay_start(const wire::Frame& frame);
    Result<> replay_entry(const wire::Frame& frame);
    void push_early();
    void take_trim(const wire::Frame& frame);
    bool follows(const wire::Frame& frame) const;
    void push(wire::Frame frame);
    void pop();

    // log_bulk.cc
    bool takes(std::int64_t last) const override;
    Result<> write(std::int64_t last) override;
    wire::FramePlace place_of(const wire::Frame& frame) const override;
    Segment* growing() const;
    bool is_wanted_sealed(const Segment& segment) const;
    Result<> begin_segment();
    std::size_t take_ahead(std::int64_t limit);
    Result<> make_writable();
    void cut_ahead(Position end);
    Result<> extend_segments();
    Result<> find_ahead();
    void pass_over_replayed(Position end);

    // log_damage.cc
    void note_damaged(const wire::Frame& frame);
    void note_whole(std::int64_t index);
    bool heal(std::int64_t index, const wire::Frame& whole);
    bool is_damaged_before(Position end) const;

    Error unread(Error error, bool is_trimmed) const;
    const wire::Frame& cached(const wire::Frame& frame) const;
    std::size_t place_in_tail(Offset offset) const;
    Segment* segment_at(std::int64_t index) const;
    Segment* segment_at(Offset offset) const;
    Segment* segment_for_time(std::int64_t timestamp_ms, Offset from) const;

    // Around every wait in a segment, which may be removed meanwhile.
    class Compactor;
    class Reading {
    public:
        Reading(Log& log, Segment& segment) : log_(log), segment_(segment) { segment_.enter(); }
        ~Reading() {
            if (segment_.is_damaged() && log_.on_damage_) log_.on_damage_();
            segment_.leave();
            log_.close_removed();
        }
        Reading(const Reading&) = delete;
        Reading& operator=(const Reading&) = delete;

    private:
        Log& log_;
        Segment& segment_;
    };
    void close_removed();

    // Keeps writes past the journal from being begun.
    class Moving {
    public:
        explicit Moving(Log& log) : log_(log) { log_.is_moving_ = true; }
        ~Moving() { log_.is_moving_ = false; }
        Moving(const Moving&) = delete;
        Moving& operator=(const Moving&) = delete;

    private:
        Log& log_;
    };

    // For the SegmentWriter. How many bytes were moved; none if there is nothing to move.
    Result<std::size_t> move_piece();
    Result<Segment*> growing_segment();
    bool is_full(const Segment& segment) const;
    bool is_too_old(const Segment& segment) const;
    Result<> make_directory();
    void carry_over(Position end); // Appends what is not in segments to the journal once more.
    void add_sizes(std::vector<std::size_t>& frames, Position end) const; // Of what that appends.
    bool has_old() const; // Before its start, and still here.
    Result<> remove_old();
    std::size_t pass_over(Position end);
    void retire_before(std::int64_t start);
    Result<> seal_for_compaction();
    bool may_grow(const Segment& segment) const;
    bool is_to_be_compacted() const;
    Result<> replace(Segment& old, const std::function<Result<>(Segment&)>& copy,
                     std::uint64_t& bytes);
    Result<> wait_until_alone(const Segment& old);
    bool is_there(const Segment& old) const;
    void put_in_place(const Segment& old, std::unique_ptr<Segment> fresh);
    Result<> mend_anew(Segment& segment, std::span<const wire::Frame> frames);
    Result<> copy_mended(Segment& old, Segment& fresh);
    Result<> find_compaction_files(const std::vector<std::string>& names);
    Result<> write_note(const wire::Compacted& compacted);
    static bool is_old(const Segment& segment, std::int64_t start);

    void drop_cached(); // As much as cache_bytes demands.
    bool drop_oldest(); // False if there is nothing to drop.
    static std::size_t weight(const wire::Frame& frame);

    Environment& env_;
    Journal& journal_;
    TailBudget& budget_;
    LogConfig config_;
    GroupId group_;
    std::string directory_;

    LogStart start_;
    Position moved_;
    Position committed_;
    Position end_;
    TermTable terms_;

    std::vector<std::unique_ptr<Segment>> segments_; // The last one grows.
    std::uint64_t segment_bytes_max_ = 0;            // Of the one that grows.
    Time segment_begun_;                             // The same, in this life of the node.
    bool directory_made_ = false;
    std::uint64_t resets_ = 0; // Whoever has waited may find another log.

    struct Compacting {
        std::optional<std::int64_t> last;      // The last entry that says how far, if committed,
        std::optional<wire::Compacted> wanted; // and what it says, if somebody has looked.
        wire::Compacted done;
        Position seal_before;               // So far no segment is to grow any more.
        const Segment* rewritten = nullptr; // Something is about to take its place.
        std::vector<std::string> strays;    // Files that an end of the process has left behind.
    };
    Compacting& compacting() {
        if (!compacting_) compacting_ = std::make_unique<Compacting>();
        return *compacting_;
    }
    bool is_rewritten(const Segment* segment) const {
        return compacting_ && compacting_->rewritten == segment;
    }
    std::unique_ptr<Compacting> compacting_; // Null while it never was, nor was to be.

    std::vector<std::int64_t> left_over_;           // Files without a header, before the start,
    std::vector<std::unique_ptr<Segment>> retired_; // and segments, all of which are to be removed;
    std::vector<std::unique_ptr<Segment>> removed_; // and what somebody was reading then.

    Ring<wire::Frame> tail_;       // Up to end_: all that is not in segments, and some that is.
    std::size_t cached_bytes_ = 0; // Of those that are.
    std::size_t movable_bytes_ = 0;

    std::map<std::int64_t, wire::Frame> early_; // Replayed before what comes before them.
    Position marked_;                           // So far the segments must reach.
    std::int64_t least_start_ = 0; // Later, then whatever is before segments_ does not matter.
    std::string_view gap_;         // Else this is what is wrong there.

    struct Damaged {
        explicit Damaged(Metrics& metrics);
        std::set<std::int64_t> journaled; // By index: what is in tail_ without its payload.
        Metrics::Gauge entries;           // So many.
        Metrics::Counter mended;
        // By index: what is to take the place of what is damaged in a segment, once there is
        // something for all of it.
        std::map<std::int64_t, std::vector<wire::Frame>> patches;
    };
    std::function<void()> on_damage_;
    std::unique_ptr<Damaged> damaged_; // Null while nothing ever was.
    std::unique_ptr<Planted> planted_; // What a planted bug keeps; else nothing.
    bool replayed_ = false;

    // Of writes past the journal.
    Condition bulk_done_;
    std::optional<std::int64_t> bulk_from_; // One is under way, from this entry on.
    bool is_moving_ = false;                // Somebody else is writing to the segment.
    std::uint64_t overwrite_after_ = 0;     // What of the journal must be durable before any is.
    Time bulk_not_before_;

    SegmentWriter* writer_ = nullptr;
    bool waits_for_writer_ = false; // In the writer's queue.
    bool waits_for_removal_ = false;
};

} // namespace pyralog
