// core/log/read_ahead.h
//
// Reads segments ahead of those who go through them in order: consumers that are far behind, and
// followers that were away. What is read ahead waits here, in the pieces in which the disk gave it,
// and answers are slices of these. It has a limit of its own: none of it takes room from what logs
// keep of their ends (TailBudget).
//
// Who goes on where somebody has stopped is taken to read in order. From then on a window of what
// follows is kept ready for him, which doubles as long as he takes as much as half of it at a time.
// Where there is no room for it he reads for himself, as much as he wants and no more. Who does not
// come back loses what was kept for him.
//
// What is read ahead is not looked at. Who finds it damaged reads it from the disk himself.
//
// One fiber runs run(); while none does, nothing is read ahead. Outlives the Segments that use it.
#pragma once

#include "core/base/metrics.h"
#include "core/env/environment.h"
#include "core/log/config.h"

#include <deque>
#include <list>
#include <memory>
#include <optional>

namespace pyralog {

class Segment;

class ReadAhead {
    struct Stream;

public:
    ReadAhead(Environment& env, const LogConfig& config);
    ~ReadAhead();
    ReadAhead(const ReadAhead&) = delete;
    ReadAhead& operator=(const ReadAhead&) = delete;

    // The least that is kept ready, and the most that is read at a time.
    static constexpr std::size_t window_bytes_min = 256_KiB;
    static constexpr std::size_t piece_bytes_max = 1_MiB;
    // Of so many readers is known where they stopped.
    static constexpr std::size_t readers_max = 256;
    // So long what was read ahead is kept even if others have no room, and so long at most.
    static constexpr Duration kept_min = 1s;
    static constexpr Duration kept_max = 10s;

    // Until cancelled.
    Result<> run();

    // What is held, or is being read.
    std::size_t bytes() const { return bytes_; }
    std::size_t readers() const { return streams_.size(); }

    // The segment ends, or its file is another one from now on.
    void forget(const Segment& segment);

    struct Place {
        Position entry;
        std::uint64_t file_position = 0;
    };

    // One read of a segment, which stays open meanwhile. It says where it stopped, or else nobody
    // goes on there.
    class Reader {
    public:
        // Begins at the entry that holds this offset, or has this index. Without a ReadAhead it
        // only reads.
        Reader(ReadAhead* ahead, const Segment& segment, Offset from);
        Reader(ReadAhead* ahead, const Segment& segment, std::int64_t from);
        ~Reader();
        Reader(const Reader&) = delete;
        Reader& operator=(const Reader&) = delete;

        // Where that is in the file, if somebody has stopped there.
        std::optional<Place> place() const;

        // Of the segment's file: at most `count` bytes from there on, and not none, unless the file
        // ends before. It has at least `count`. Waits.
        Result<Bytes> read(File& file, std::uint64_t file_position, std::size_t count);

        // Here the next one begins.
        void stop_at(const Place& next);

    private:
        template <class GoesOn>
        void find(GoesOn goes_on);

        ReadAhead* ahead_;
        const Segment& segment_;
        Stream* stream_ = nullptr; // Somebody has stopped there.
        bool stopped_ = false;
    };

private:
    struct Piece {
        std::uint64_t file_position = 0;
        Bytes bytes;
        std::uint64_t end() const { return file_position + bytes.size(); }
    };
    // One who has stopped somewhere.
    struct Stream {
        explicit Stream(Scheduler& fibers) : arrived(fibers) {}
        GroupId group;
        const Segment* segment = nullptr; // None if it has ended.
        Place next;
        Time stopped;
        bool reading = false;   // He is back.
        std::size_t window = 0; // None yet.

        std::deque<Piece> pieces;   // One after the other without a gap, and nothing before `next`.
        std::uint64_t read_end = 0; // Where the last of them ends, the one on its way included.
        std::uint64_t wanted_end = 0;
        std::unique_ptr<File> file; // Of its own: that of the segment may be closed.
        bool filling = false;       // A fiber reads.
        bool failed = false;        // It could not. The reader will find out why.
        bool gone = false;          // When that fiber is done, so is this.
        Condition arrived;          // Another piece, or there will be none.
    };
    using Streams = std::list<std::unique_ptr<Stream>>;

    Result<> drop_what_is_old();
    Stream& begin(const Segment& segment);
    Streams::iterator place_of(const Stream& stream);
    void go_on(Stream& stream, std::uint64_t taken);
    void want(Stream& stream, std::uint64_t end);
    void fill(Stream& stream);
    Result<> read_piece(Stream& stream, std::size_t count);
    std::size_t window_max() const;
    bool make_room(std::size_t bytes);
    void drop_before(Stream& stream, std::uint64_t file_position);
    void drop_pieces(Stream& stream);
    void drop(Stream& stream);
    void hold(std::int64_t change);

    Environment& env_;
    const std::size_t reader_bytes_max_;
    const std::size_t bytes_max_;
    Streams streams_; // Who was here last is the last.
    std::size_t bytes_ = 0;
    Scope* running_ = nullptr;
    Condition begun_; // There is a stream.
    Metrics::Gauge held_;
    Metrics::Counter read_total_;
    Metrics::Counter used_total_;
    Metrics::Counter wasted_total_;
};

} // namespace pyralog
