// core/log/segment.h
//
// A file of committed entries: `<directory>/<first index>.seg`. Only the last segment of a log
// grows; the others are read, and at last removed whole, by the Log, when nobody reads them.
// Entries in it are never cut. The sparse index is a cache of the file: seal() writes it as a
// footer, and open() makes it anew where that is missing.
//
// One fiber at a time appends; any number read meanwhile, and see what append() has returned for.
// The file is open while it is used, and for as long after that as OpenSegments lets it be.
#pragma once

#include "core/env/environment.h"
#include "core/log/damage.h"
#include "core/log/open_segments.h"
#include "core/log/read_ahead.h"
#include "core/wire/segment.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pyralog {

class Segment {
public:
    ~Segment();

    // Nothing is on disk before the first append(). Without a pool the file stays open.
    static std::unique_ptr<Segment> create(Environment& env, std::string path, GroupId group,
                                           Position first, OpenSegments* pool = nullptr);

    // Reads past the page cache. Without a good footer the file is synced and scanned, up to the
    // first frame that is not intact, or that was written ahead, unless it stands before
    // `committed`. Null if it has no good header, nor a footer that says what
    // was in it: it was never used, or it is damaged, and the caller finds out. Error::corrupt if
    // it is another group's, or begins elsewhere than its name says.
    static Result<std::unique_ptr<Segment>> open(Environment& env, std::string path, GroupId group,
                                                 std::int64_t first_index,
                                                 OpenSegments* pool = nullptr,
                                                 std::int64_t committed = 0);

    GroupId group() const { return group_; }
    Position first() const { return index_.first; }
    Position end() const { return index_.end; }
    // The marks of a sealed one may be missing while nobody uses it.
    const wire::SegmentIndex& index() const { return index_; }
    std::uint64_t bytes() const { return index_.bytes; }
    bool sealed() const { return sealed_; }

    // Frames must follow end(). After an error only a node's end is left, save for out_of_space:
    // then the same frames may be tried again.
    Result<> append(std::span<const wire::Frame> frames);
    Result<> sync(); // Of the file and of its name.
    Result<> seal(); // Nothing is appended afterwards.

    // ---- Ahead of its end: segment_ahead.cc ----

    // What is not committed can be written to where it will stand, and is no part of the segment
    // until it is taken: README.md, "The bulk path". append() and seal() wait until all is taken.
    bool has_ahead() const { return !ahead_.empty(); }
    Position ahead_end() const { return has_ahead() ? ahead_.back().end : end(); }
    std::uint64_t ahead_bytes() const { return has_ahead() ? ahead_.back().file_end : bytes(); }
    wire::FramePlace place_ahead(std::int64_t index) const;

    // Frames must follow ahead_end(). Durable when this returns. After out_of_space, or unavailable
    // for too many open files, nothing of it is there; after any other error only a node's end is
    // left.
    Result<> write_ahead(std::span<const wire::Frame> frames);
    // This is what the first of them holds: now it is the last one of the segment.
    void take_ahead(const wire::Frame& frame);
    // What stands there is not wanted from `end` on. It is written over by whatever comes next.
    void cut_ahead(Position end);

    // After open(): goes on before `committed`, as open() would have.
    Result<> extend(std::int64_t committed);
    // And then: what stands behind the end and is the same as what `expected` has, up to the first
    // that is not. `found` is told of each, with its payload.
    using Expected = std::function<const wire::Frame*(std::int64_t index)>;
    using FoundAhead = std::function<void(const wire::Frame& frame)>;
    Result<> find_ahead(const Expected& expected, const FoundAhead& found);

    // Of a sealed one, which takes another file's name: that one is gone then, whatever it was. The
    // name is durable when its directory is synced.
    Result<> rename(std::string path);

    // Entries in the places of those from `from` to before `to`, that say nothing.
    Result<std::vector<wire::Frame>> nothing_between(Position from, Position to) const;

    // Frames from the one with this index to before `limit`; stops at `bytes_max` of payload, never
    // before the first. Error::corrupt if one of them is not intact, which damages() then knows.
    Result<std::vector<wire::Frame>> read(std::int64_t from, std::int64_t limit,
                                          std::size_t bytes_max);

    // The same by offset, from the frame that holds `from` on, and records only.
    Result<std::vector<wire::Frame>> read_records(Offset from, Offset limit, std::size_t bytes_max);

    // Where the entry begins that holds this offset, which is one of this segment's.
    Result<Position> find(Offset offset);

    // The first batch with a record of this time or later that ends behind `from`. Error::not_found
    // if there is none.
    Result<Position> find_time(std::int64_t timestamp_ms, Offset from);

    const std::string& path() const { return path_; }

    // Whoever waits in it enters first: it must neither end nor be closed meanwhile.
    void enter() { ++users_; }
    void leave();
    bool in_use() const { return users_ > 0; }
    std::size_t users() const { return users_; }
    bool is_open() const { return file_ != nullptr; }

    // What readers have found to be damaged, and nobody has mended: by place, and of all that was
    // found at most so much.
    static constexpr std::size_t damages_max = 256;
    std::vector<Damage> damages() const;
    bool is_damaged() const { return !holes_.empty(); }

    // Reads frames from the one with this index to before `limit`, past the page cache, for their
    // own sake: what is damaged is in damages() then, and passed over. Stops when it has read about
    // so much. Waits. Where to go on. Error::corrupt never.
    // Writes the header again, if that was lost.
    Result<std::int64_t> scrub(std::int64_t from, std::int64_t limit, std::size_t bytes);

    // What lies before `start` is wanted by nobody any more: no damage there is one.
    void forget_before(Position start);

    // Are these what compaction has left of one of them, elsewhere, and take another room? And what
    // is known of that one, is not any more.
    bool fits_reduced(std::span<const wire::Frame> frames, Position start) const;
    void forget(Position first);

    // Writes the frames of one of these, all of it from `start` on, to where they belong, and
    // syncs. Waits. What of it lies before `start` is filled with entries that say nothing: so
    // those behind them can be read. What begins or ends in a block that cannot be read is written
    // but for that, and damages() tells of the block. Error::malformed if they are not what belongs
    // there. Error::unavailable if nothing is left to be written then. Error::not_found if the file
    // cannot be opened now. Of all others only a node's end is left.
    Result<> mend(std::span<const wire::Frame> frames, Position start);

private:
    friend class OpenSegments;
    class Cursor;
    struct Hole {
        Damage damage;
        std::uint64_t file_end = 0;
    };
    struct Ahead {
        Position first, end;
        std::uint64_t file_position = 0, file_end = 0;
    };

    Segment(Environment& env, std::string path, GroupId group, Position first, OpenSegments* pool);
    ReadAhead* read_ahead() const { return pool_ ? pool_->read_ahead_ : nullptr; }
    wire::SegmentIndex::Mark begin(const ReadAhead::Reader& reader, std::uint64_t otherwise) const;
    bool can_close() const { return users_ == 0 && !unsynced_; }
    void close();
    Result<> be_open();
    Result<std::unique_ptr<File>> open_sealed();
    void set_file(std::unique_ptr<File> file);
    struct Footer {
        wire::SegmentFooter::Trailer trailer;
        Bytes body;
    };
    static Result<std::optional<Footer>> read_footer(File& device, std::uint64_t file_size);
    bool load_footer(const Footer& footer, const wire::SegmentHeader& header);
    Result<> scan(File& device, std::uint64_t file_size, std::int64_t committed);
    Result<> make_file();
    Result<> cut_torn_tail(std::uint64_t end);

    // segment_damage.cc
    wire::SegmentIndex::Mark mark_before(std::uint64_t file_position) const;
    wire::SegmentIndex::Mark mark_behind(std::uint64_t file_position) const;
    void note_frame(std::uint64_t file_position, wire::Frame frame) const;
    void note_place(Position first, std::uint64_t file_position) const;
    void note_unreadable(std::uint64_t file_position, std::uint64_t count) const;
    void note(std::uint64_t file_position, Hole hole) const;
    Term term_at(Position entry) const;
    using Holes = std::map<std::uint64_t, Hole>;
    Holes::const_iterator hole_at(Position first, Position start) const;
    bool lie_in(const Hole& hole, Position start, std::span<const wire::Frame> frames) const;
    bool fits(const Hole& hole, Position start, std::span<const wire::Frame> frames) const;
    Result<> fill(Position from, Position to, std::uint64_t bytes,
                  std::vector<wire::Frame>& frames) const;
    Result<std::vector<wire::Frame>> filling(wire::SegmentIndex::Mark from,
                                             wire::SegmentIndex::Mark to) const;
    Result<wire::SegmentIndex::Mark> begin_of_filling(wire::SegmentIndex::Mark begin,
                                                      wire::SegmentIndex::Mark wanted) const;
    Result<> restore_header();
    Result<> look_at_edge(std::uint64_t from, std::uint64_t end) const;
    Result<> write_what_can_be(std::uint64_t begin, std::uint64_t end, BytesChain chain);

    Environment& env_;
    std::string path_;
    GroupId group_;
    wire::SegmentIndex index_;
    std::deque<Ahead> ahead_; // Each follows the one before it.
    OpenSegments* const pool_;
    OpenSegments::Place place_; // In the pool, while it is open.
    std::unique_ptr<File> file_;
    bool made_ = false;     // There is a file.
    bool unsynced_ = false; // With something in it that is not durable.
    bool indexed_ = true;   // The marks are there.
    bool named_ = false;    // Its name is durable.
    bool trimmed_ = false;  // Nothing stands behind the last frame, or behind what is ahead.
    bool sealed_ = false;
    std::size_t users_ = 0;
    bool has_header_ = true;
    mutable Holes holes_; // By where they begin in the file.
};

} // namespace pyralog
