#include "core/log/read_ahead.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "core/log/segment.h"

#include <algorithm>
#include <utility>

namespace pyralog {

// ---- One read ----

ReadAhead::Reader::Reader(ReadAhead* ahead, const Segment& segment, Offset from)
    : ahead_(ahead), segment_(segment) {
    find([from](const Place& next) { return next.entry.offset == from; });
}

ReadAhead::Reader::Reader(ReadAhead* ahead, const Segment& segment, std::int64_t from)
    : ahead_(ahead), segment_(segment) {
    find([from](const Place& next) { return next.entry.index == from; });
}

// Who has come to the end of one segment goes on in the next, as fast as before.
template <class GoesOn>
void ReadAhead::Reader::find(GoesOn goes_on) {
    if (!ahead_) return;
    Streams& streams = ahead_->streams_;
    for (auto at = streams.end(); at != streams.begin();) {
        Stream& stream = **--at;
        if (stream.group != segment_.group() || stream.gone || !goes_on(stream.next)) continue;
        const bool is_other = stream.segment != &segment_;
        const Place start{segment_.first(), wire::SegmentHeader::size};
        if (is_other && !goes_on(start)) continue; // A file that has been written anew.
        SOMETIMES(stream.reading, "read-ahead/two-go-on-in-one-place");
        if (stream.reading || (is_other && stream.filling)) continue;
        SOMETIMES(is_other, "read-ahead/goes-on-in-the-next-segment");
        if (is_other) {
            ahead_->drop_pieces(stream);
            stream.file.reset();
            stream.failed = false;
            stream.segment = &segment_;
            stream.next = start;
        }
        stream.reading = true;
        stream_ = &stream;
        return;
    }
}

ReadAhead::Reader::~Reader() {
    if (!stream_) return;
    stream_->reading = false;
    if (!stopped_) ahead_->drop(*stream_);
}

std::optional<ReadAhead::Place> ReadAhead::Reader::place() const {
    if (!stream_) return {};
    return stream_->next;
}

Result<Bytes> ReadAhead::Reader::read(File& file, std::uint64_t file_position, std::size_t count) {
    if (stream_ && stream_->window > 0) {
        Stream& stream = *stream_;
        const auto is_here = [&] {
            return !stream.pieces.empty() && file_position < stream.pieces.back().end();
        };
        if (!is_here() && !stream.filling) stream.read_end = file_position;
        ahead_->want(stream, file_position + count);
        SOMETIMES(!is_here() && stream.filling, "read-ahead/not-here-yet");
        TRY(stream.arrived.wait([&] { return is_here() || !stream.filling; }));
        for (const Piece& piece : stream.pieces) {
            if (file_position < piece.file_position || file_position >= piece.end()) continue;
            const std::size_t first = file_position - piece.file_position;
            return piece.bytes.slice(first, std::min(count, piece.bytes.size() - first));
        }
    }
    Buffer memory(count);
    const std::size_t got = TRY(file.read_at(file_position, memory.view()));
    return std::move(memory).freeze(got);
}

void ReadAhead::Reader::stop_at(const Place& next) {
    stopped_ = true;
    if (!ahead_) return;
    const bool was_known = stream_ != nullptr;
    Stream& stream = was_known ? *stream_ : ahead_->begin(segment_);
    const std::uint64_t before = was_known ? stream.next.file_position : next.file_position;
    ahead_->drop_before(stream, next.file_position);
    stream.next = next;
    stream.stopped = ahead_->env_.clock.now();
    if (was_known) ahead_->go_on(stream, next.file_position - before);
}

// ---- All of them ----

ReadAhead::ReadAhead(Environment& env, const LogConfig& config)
    : env_(env), reader_bytes_max_(config.read_ahead_bytes),
      bytes_max_(config.node_read_ahead_bytes), begun_(env.fibers),
      held_(env.metrics, "pyralog_read_ahead_bytes",
            "Bytes of segments that are held for readers who go through them in order."),
      read_total_(env.metrics, "pyralog_read_ahead_bytes_total",
                  "Bytes of segments that were read ahead."),
      used_total_(env.metrics, "pyralog_read_ahead_used_bytes_total",
                  "How much of that a reader has taken."),
      wasted_total_(env.metrics, "pyralog_read_ahead_wasted_bytes_total",
                    "How much of that nobody has come for.") {}

ReadAhead::~ReadAhead() { CHECK(!running_); }

Result<> ReadAhead::run() {
    CHECK(!running_);
    Scope scope(env_.fibers);
    running_ = &scope;
    const Result<> ended = drop_what_is_old();
    running_ = nullptr;
    return ended;
}

Result<> ReadAhead::drop_what_is_old() {
    for (;;) {
        TRY(begun_.wait([this] { return !streams_.empty(); }));
        TRY(env_.fibers.sleep_until(env_.clock.now() + kept_max / 2));
        const Time now = env_.clock.now();
        for (auto next = streams_.begin(); next != streams_.end();) {
            Stream& stream = **next++;
            const bool is_old = !stream.reading && now >= stream.stopped + kept_max;
            SOMETIMES(is_old, "read-ahead/reader-has-not-come-back");
            if (is_old) drop(stream);
        }
    }
}

ReadAhead::Stream& ReadAhead::begin(const Segment& segment) {
    const std::size_t most = BUGGIFY("read-ahead/knows-few-readers") ? 1 : readers_max;
    for (auto next = streams_.begin(); streams_.size() >= most && next != streams_.end();) {
        Stream& oldest = **next++;
        SOMETIMES(!oldest.reading, "read-ahead/more-readers-than-are-known");
        if (!oldest.reading) drop(oldest);
    }
    streams_.push_back(std::make_unique<Stream>(env_.fibers));
    Stream& stream = *streams_.back();
    stream.group = segment.group();
    stream.segment = &segment;
    begun_.notify_all();
    return stream;
}

// He has come back, and taken so much.
void ReadAhead::go_on(Stream& stream, std::uint64_t taken) {
    streams_.splice(streams_.end(), streams_, place_of(stream));
    if (stream.window == 0)
        stream.window = window_bytes_min;
    else if (2 * taken >= stream.window)
        stream.window *= 2;
    stream.window = std::min(stream.window, window_max());
    if (BUGGIFY("read-ahead/forgets")) drop_pieces(stream);
    const std::uint64_t ready =
        stream.read_end - std::min(stream.read_end, stream.next.file_position);
    if (ready == 0 && !stream.filling) stream.read_end = stream.next.file_position;
    if (ready < stream.window / 2) want(stream, stream.next.file_position + stream.window);
}

ReadAhead::Streams::iterator ReadAhead::place_of(const Stream& stream) {
    return std::ranges::find_if(streams_, [&](const auto& one) { return one.get() == &stream; });
}

// With many readers each has less, and all of them something.
std::size_t ReadAhead::window_max() const {
    const auto count = static_cast<std::size_t>(
        std::ranges::count_if(streams_, [](const auto& stream) { return stream->window > 0; }));
    return std::min(reader_bytes_max_,
                    std::max(window_bytes_min, bytes_max_ / std::max<std::size_t>(count, 1)));
}

void ReadAhead::want(Stream& stream, std::uint64_t end) {
    stream.wanted_end = std::max(stream.wanted_end, end);
    if (!running_ || stream.filling || stream.failed || !stream.segment) return;
    if (stream.read_end >= std::min(stream.wanted_end, stream.segment->bytes())) return;
    stream.filling = true;
    running_->spawn("read ahead", [this, &stream] { fill(stream); });
}

void ReadAhead::fill(Stream& stream) {
    while (stream.segment && !stream.gone) {
        if (stream.pieces.empty())
            stream.read_end = std::max(stream.read_end, stream.next.file_position);
        const std::uint64_t end = std::min(stream.wanted_end, stream.segment->bytes());
        if (stream.read_end >= end) break;
        const std::size_t most = BUGGIFY("read-ahead/reads-a-bit") ? 4_KiB : piece_bytes_max;
        const std::size_t count = std::min<std::uint64_t>(most, end - stream.read_end);
        if (!make_room(count) || stream.gone) break;
        hold(static_cast<std::int64_t>(count));
        const Result<> read = read_piece(stream, count);
        stream.failed = !read.ok();
        SOMETIMES(stream.failed && read.error() != Error::cancelled, "read-ahead/cannot-read");
        if (stream.failed) break;
        stream.arrived.notify_all();
    }
    stream.filling = false;
    stream.arrived.notify_all();
    if (stream.gone) drop(stream);
}

// Of room for so much, which is given back as far as it was not needed.
Result<> ReadAhead::read_piece(Stream& stream, std::size_t count) {
    const std::uint64_t from = stream.read_end;
    stream.read_end += count;
    const auto read = [&]() -> Result<Bytes> {
        if (!stream.file) {
            const std::string path = stream.segment->path();
            stream.file = TRY(env_.disk.open(path, Disk::Open::existing));
        }
        Buffer memory(count);
        const std::size_t got = TRY(stream.file->read_at(from, memory.view()));
        if (got < count) return Error::corrupt;
        return std::move(memory).freeze();
    };
    Result<Bytes> bytes = read();
    if (bytes.ok()) read_total_.add(count);
    // Meanwhile it may have turned out that nobody wants it.
    const bool is_wanted = stream.segment && !stream.gone && stream.read_end == from + count;
    SOMETIMES(!is_wanted, "read-ahead/not-wanted-any-more");
    if (bytes.ok() && is_wanted) {
        stream.pieces.push_back({from, std::move(bytes).value()});
        return {};
    }
    hold(-static_cast<std::int64_t>(count));
    if (bytes.ok()) wasted_total_.add(count);
    if (!bytes.ok() && is_wanted) stream.read_end = from;
    if (!bytes.ok()) return bytes.error();
    return {};
}

// Takes it from those who have not been here for the longest time.
bool ReadAhead::make_room(std::size_t bytes) {
    const Time now = env_.clock.now();
    for (auto next = streams_.begin(); bytes_ + bytes > bytes_max_ && next != streams_.end();) {
        Stream& oldest = **next++;
        if (oldest.pieces.empty() || oldest.reading || now < oldest.stopped + kept_min) continue;
        REACHABLE("read-ahead/taken-from-who-does-not-come");
        drop(oldest);
    }
    SOMETIMES(bytes_ + bytes > bytes_max_, "read-ahead/no-room");
    return bytes_ + bytes <= bytes_max_;
}

void ReadAhead::drop_before(Stream& stream, std::uint64_t file_position) {
    for (const Piece& piece : stream.pieces) {
        const std::uint64_t first = std::max(piece.file_position, stream.next.file_position);
        const std::uint64_t end = std::min(piece.end(), file_position);
        if (first >= end) continue;
        REACHABLE("read-ahead/used");
        used_total_.add(end - first);
    }
    while (!stream.pieces.empty() && stream.pieces.front().end() <= file_position) {
        hold(-static_cast<std::int64_t>(stream.pieces.front().bytes.size()));
        stream.pieces.pop_front();
    }
}

void ReadAhead::drop_pieces(Stream& stream) {
    for (const Piece& piece : stream.pieces) {
        const std::uint64_t first = std::max(piece.file_position, stream.next.file_position);
        SOMETIMES(first < piece.end(), "read-ahead/wasted");
        if (first < piece.end()) wasted_total_.add(piece.end() - first);
        hold(-static_cast<std::int64_t>(piece.bytes.size()));
    }
    stream.pieces.clear();
    stream.read_end = stream.wanted_end = 0;
}

// As soon as nobody uses it.
void ReadAhead::drop(Stream& stream) {
    drop_pieces(stream);
    stream.gone = true;
    if (stream.filling) return;
    streams_.erase(place_of(stream));
}

void ReadAhead::forget(const Segment& segment) {
    for (const auto& stream : streams_) {
        if (stream->segment != &segment) continue;
        CHECK(!stream->reading);
        SOMETIMES(stream->filling, "read-ahead/segment-ends-while-it-is-read-ahead");
        drop_pieces(*stream);
        stream->segment = nullptr;
        if (!stream->filling) stream->file.reset();
    }
}

void ReadAhead::hold(std::int64_t change) {
    bytes_ = static_cast<std::size_t>(static_cast<std::int64_t>(bytes_) + change);
    held_.set(static_cast<std::int64_t>(bytes_));
}

} // namespace pyralog
