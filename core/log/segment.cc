#include "core/log/segment.h"

#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "core/log/read_device.h"

#include <algorithm>
#include <utility>

namespace pyralog {

namespace {

constexpr std::size_t scan_bytes = 1_MiB;
// A read takes what it was asked for and a little more, within these bounds.
constexpr std::size_t window_bytes_min = 16_KiB;
constexpr std::size_t window_bytes_max = 1_MiB;

std::string_view directory_of(std::string_view path) { return path.substr(0, path.rfind('/')); }

Result<Bytes> read_plain(File& file, std::uint64_t position, std::size_t count) {
    Buffer memory(count);
    const std::size_t got = TRY(file.read_at(position, memory.view()));
    return std::move(memory).freeze(got);
}

// So many bytes of a chain, from there on. Shares the memory.
BytesChain slice_of(const BytesChain& chain, std::size_t first, std::size_t count) {
    BytesChain slice;
    for (const Bytes& part : chain) {
        if (count == 0) break;
        const std::size_t skipped = std::min(first, part.size());
        first -= skipped;
        const std::size_t taken = std::min(count, part.size() - skipped);
        if (taken > 0) slice.push_back(part.slice(skipped, taken));
        count -= taken;
    }
    CHECK(count == 0);
    return slice;
}

void drop_front(BytesChain& chain, std::size_t count) {
    std::size_t parts = 0;
    while (count > 0 && count >= chain[parts].size()) count -= chain[parts++].size();
    chain.erase(chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(parts));
    if (count > 0) chain.front() = chain.front().slice(count, chain.front().size() - count);
}

} // namespace

// Reads one frame after the other, in pieces that frames are slices of.
class Segment::Cursor {
public:
    // With a device past the page cache: that is, a handle for aligned access.
    Cursor(const Segment& segment, wire::SegmentIndex::Mark begin, std::size_t bytes_wanted,
           File* device = nullptr)
        : segment_(segment), position_(begin.file_position), end_(segment.index_.bytes),
          wanted_(bytes_wanted), least_(std::max(window_bytes_min, bytes_wanted / 16)),
          follows_(begin.entry), device_(device) {
        narrow_ = BUGGIFY("segment/small-window");
    }

    // What is passed on the way to what is wanted need not have its payload.
    void pass_before(std::int64_t index) { wanted_index_ = index; }
    void pass_before(Offset offset) { wanted_offset_ = offset; }

    // From now on through this one, which may have it already.
    void read_through(ReadAhead::Reader& reader) { reader_ = &reader; }

    bool at_end() const { return position_ >= end_; }
    std::uint64_t position() const { return position_; }
    Position follows() const { return follows_; }

    // Is the next one known to have a longer payload? If it is damaged, next() finds out.
    bool is_longer_than(std::size_t bytes) {
        if (!have(wire::Frame::header_size).ok()) return false;
        const auto decoded = decode_next();
        return decoded.ok() && decoded.value().payload_size > bytes;
    }

    // A device may return another sector's bytes, and the right ones the next time.
    Result<wire::Frame> next() {
        Result<wire::Frame> frame = read_next();
        if (!frame.ok() && frame.error() == Error::corrupt) {
            window_.clear();
            available_ = 0;
            // And what is whole is not to suffer from a sector behind it that cannot be read.
            const bool was_narrow = std::exchange(narrow_, true);
            ReadAhead::Reader* const reader = std::exchange(reader_, nullptr);
            frame = read_next();
            reader_ = reader;
            narrow_ = was_narrow;
            if (frame.ok()) REACHABLE("segment/read-again");
        }
        if (!frame.ok() && frame.error() == Error::corrupt) note_damage();
        return frame;
    }
    // No frame is what the index says is here.
    Error misplaced() {
        const Error error = bad("a frame is not where it belongs");
        note_damage();
        return error;
    }

private:
    Result<wire::Frame> read_next() {
        harmed_.reset();
        unreadable_ = 0;
        TRY(have(wire::Frame::header_size));
        Result<wire::FrameHeader> decoded = decode_next();
        if (!decoded.ok()) return bad("a frame's header is bad");
        wire::FrameHeader header = std::move(decoded).value();
        if (header.frame.group != segment_.group_) return bad("a frame is another group's");
        const std::size_t stored = wire::stored_size(header.payload_size);
        if (stored > end_ - position_) return bad("a frame is longer than the segment");
        TRY(have(stored));
        header.frame.payload = slice_of(window_, wire::Frame::header_size, header.payload_size);
        // A frame can be whole and of this group, and yet belong elsewhere: a disk may write to
        // another place than it was told to.
        if (header.frame.first != follows_) return bad("a frame does not follow the one before it");
        if (is_wanted(header.frame) && !wire::payload_intact(header.frame)) {
            if (header.payload_size > 0) harmed_ = wire::without_payload(std::move(header.frame));
            return bad("a frame's payload is bad");
        }
        follows_ = header.frame.end();
        drop_front(window_, stored);
        available_ -= stored;
        position_ += stored;
        return std::move(header.frame);
    }
    // The header at the beginning of the window.
    Result<wire::FrameHeader> decode_next() const {
        constexpr std::size_t size = wire::Frame::header_size;
        const std::span<const std::byte> first = window_.front().view();
        if (first.size() >= size) return wire::decode_header_in_segment(first.first<size>());
        const Bytes header = joined(slice_of(window_, 0, size));
        return wire::decode_header_in_segment(header.view().first<size>());
    }
    bool is_wanted(const wire::Frame& frame) const {
        return frame.first.index >= wanted_index_ && frame.end().offset > wanted_offset_;
    }
    // At least `count` bytes from here on in the window.
    Result<> have(std::size_t count) {
        if (count > end_ - position_) return bad("a frame is longer than the segment");
        while (available_ < count) {
            const std::uint64_t from = position_ + available_;
            const std::size_t window = narrow_ ? 0 : std::max(wanted_, least_);
            const std::size_t asked = std::min<std::uint64_t>(
                std::max(count - available_, std::min(window, window_bytes_max)), end_ - from);
            Result<Bytes> read = device_   ? read_device(*device_, from, asked)
                                 : reader_ ? reader_->read(*segment_.file_, from, asked)
                                           : read_plain(*segment_.file_, from, asked);
            if (!read.ok() && read.error() == Error::corrupt) {
                unreadable_ = available_ + asked;
                return bad("a sector cannot be read");
            }
            window_.push_back(TRY(std::move(read)));
            available_ += window_.back().size();
            wanted_ -= std::min(wanted_, window_.back().size());
            if (window_.back().empty()) return bad("the file is too short");
        }
        return {};
    }
    Error bad(std::string_view what) {
        wrong_ = what;
        return Error::corrupt;
    }
    void note_damage() {
        REACHABLE("segment/damaged-is-refused");
        if (harmed_)
            segment_.note_frame(position_, *harmed_);
        else if (unreadable_ > 0)
            segment_.note_unreadable(position_, unreadable_);
        else
            segment_.note_place(follows_, position_);
        segment_.env_.log.error(
            "segment is damaged",
            {{"file", segment_.path_}, {"file_position", position_}, {"what", wrong_}});
    }

    const Segment& segment_;
    std::uint64_t position_;
    std::uint64_t end_;
    std::size_t wanted_;                // So much more,
    std::size_t least_;                 // and at least so much at a time,
    bool narrow_ = false;               // or only what it takes.
    BytesChain window_;                 // From here on,
    std::size_t available_ = 0;         // and how much that is.
    std::string_view wrong_;            // What is, for people.
    std::optional<wire::Frame> harmed_; // It is the payload of this one,
    std::size_t unreadable_ = 0;        // or something in so many bytes from here on.
    Position follows_;                  // Where the next frame must begin.
    std::int64_t wanted_index_ = 0;     // From this one on,
    Offset wanted_offset_{-1};          // and what ends behind this.
    File* device_;
    ReadAhead::Reader* reader_ = nullptr;
};

Segment::Segment(Environment& env, std::string path, GroupId group, Position first,
                 OpenSegments* pool)
    : env_(env), path_(std::move(path)), group_(group), index_(first), pool_(pool) {}

Segment::~Segment() {
    if (file_ && pool_) pool_->closed(place_);
    if (ReadAhead* const ahead = read_ahead()) ahead->forget(*this);
}

std::unique_ptr<Segment> Segment::create(Environment& env, std::string path, GroupId group,
                                         Position first, OpenSegments* pool) {
    return std::unique_ptr<Segment>(new Segment(env, std::move(path), group, first, pool));
}

void Segment::set_file(std::unique_ptr<File> file) {
    CHECK(!file_);
    file_ = std::move(file);
    made_ = true;
    if (pool_) place_ = pool_->opened(*this);
}

// What a sealed one knows of its entries is in its footer, and takes a MiB for 128 of them.
void Segment::close() {
    REACHABLE("segment/closed");
    pool_->closed(place_);
    file_.reset();
    if (!sealed_) return;
    index_.marks = {};
    indexed_ = false;
}

void Segment::leave() {
    CHECK(users_ > 0);
    --users_;
    if (!pool_ || !file_) return;
    pool_->close_some();
    if (file_ && can_close() && BUGGIFY("segment/closes-early")) close();
}

// Several may wait for it to be open.
Result<> Segment::be_open() {
    CHECK(made_);
    if (file_ && indexed_) {
        if (pool_) pool_->used(place_);
        return {};
    }
    REACHABLE("segment/opened-again");
    std::unique_ptr<File> file;
    if (sealed_)
        file = TRY(open_sealed());
    else
        file = TRY(env_.disk.open(path_, Disk::Open::existing));
    if (!file_) set_file(std::move(file));
    return {};
}

// What it must hold is known, whatever has become of the file. If that has lost its footer, and
// more than that, the frames are looked for one behind the other from where the last good one is
// known to stand: what is bad among them is damage as any other, and mended as such.
Result<std::unique_ptr<File>> Segment::open_sealed() {
    auto again = open(env_, path_, group_, index_.first.index, nullptr, index_.end.index);
    if (!again.ok() && again.error() != Error::corrupt) return again.error();
    Segment* const found = again.ok() ? again.value().get() : nullptr;
    const bool same = found && found->end() == end() && found->bytes() == bytes();
    SOMETIMES(!same, "segment/not-what-it-was");
    // Somebody else may be looking through those that are there.
    if (!indexed_ && same) {
        index_.marks = std::move(found->index_.marks);
    } else if (!indexed_) {
        index_.marks = {{index_.first, wire::SegmentHeader::size, index_.timestamp_max}};
    }
    indexed_ = true;
    has_header_ = found && found->has_header_;
    if (same) return std::move(found->file_);
    env_.log.error("segment is damaged",
                   {{"file", path_}, {"file_position", 0}, {"what", "it has changed"}});
    return env_.disk.open(path_, Disk::Open::existing);
}

Result<std::unique_ptr<Segment>> Segment::open(Environment& env, std::string path, GroupId group,
                                               std::int64_t first_index, OpenSegments* pool,
                                               std::int64_t committed) {
    std::unique_ptr<File> file = TRY(env.disk.open(path, Disk::Open::existing));
    const std::uint64_t file_size = TRY(file->size());
    // What counts is what the device has. If a sync has failed, a page cache may keep what never
    // got there, and call it written: the process that ended for it started again, read its own
    // entries back, synced without an error, and let the journal forget them.
    const std::unique_ptr<File> device =
        TRY(env.disk.open(path, Disk::Open::existing, Disk::Access::aligned));
    std::optional<wire::SegmentHeader> header;
    for (int reads = 0; reads < 2 && !header; ++reads) {
        Result<Bytes> start = read_device(*device, 0, wire::SegmentHeader::size);
        if (!start.ok() && start.error() != Error::corrupt) return start.error();
        if (start.ok()) header = wire::decode_segment_header(start.value().view());
    }
    const std::optional<Footer> footer = TRY(read_footer(*device, file_size));
    const bool has_header = header.has_value();
    if (!header && footer)
        header = wire::header_by_footer(footer->body.view(), footer->trailer, group);
    if (!header) {
        REACHABLE("segment/found-without-a-header");
        env.log.warning("segment has no header", {{"file", path}, {"bytes", file_size}});
        return std::unique_ptr<Segment>();
    }
    if (header->group != group || header->first.index != first_index) {
        env.log.error(
            "segment is damaged",
            {{"file", path}, {"file_position", 0}, {"what", "the file has another one's name"}});
        return Error::corrupt;
    }
    std::unique_ptr<Segment> segment = create(env, std::move(path), group, header->first, pool);
    segment->enter(); // Others are opened at the same time, and may find that too many are open.
    segment->set_file(std::move(file));
    segment->has_header_ = has_header;
    if (!has_header) {
        REACHABLE("segment/header-told-by-its-footer");
        env.log.error("segment has lost its header", {{"file", segment->path_}});
    }
    if (!footer || !segment->load_footer(*footer, *header))
        TRY(segment->scan(*device, file_size, committed));
    segment->named_ = segment->sealed_;
    segment->leave();
    return segment;
}

// Nothing: there is none, or not all of it can be read.
Result<std::optional<Segment::Footer>> Segment::read_footer(File& device, std::uint64_t file_size) {
    constexpr std::size_t trailer_size = wire::SegmentFooter::trailer_size;
    std::optional<Footer> none;
    if (file_size < wire::SegmentHeader::size + trailer_size) return none;
    const auto read = [&](std::uint64_t position, std::size_t count) -> Result<Bytes> {
        Result<Bytes> bytes = read_device(device, position, count);
        if (!bytes.ok() && bytes.error() == Error::corrupt) return Bytes();
        return bytes;
    };
    const Bytes end = TRY(read(file_size - trailer_size, trailer_size));
    const auto trailer = wire::decode_trailer(end.view(), file_size);
    SOMETIMES(!trailer, "segment/no-trailer");
    if (!trailer) return none;
    return std::optional(Footer{*trailer, TRY(read(trailer->file_position, trailer->body_bytes))});
}

// False if it is not good.
bool Segment::load_footer(const Footer& footer, const wire::SegmentHeader& header) {
    std::optional<wire::SegmentIndex> index =
        wire::decode_footer(footer.body.view(), footer.trailer, header);
    SOMETIMES(!index, "segment/bad-footer");
    if (!index) return false;
    REACHABLE("segment/sealed-one-opened");
    index_ = std::move(*index);
    sealed_ = true;
    return true;
}

// Synced first: what is found here is going to be released from the journal.
Result<> Segment::scan(File& device, std::uint64_t file_size, std::int64_t committed) {
    TRY(file_->sync());
    // In small pieces once a sector could not be read: what stands before it is good.
    std::size_t piece = BUGGIFY("segment/scan-in-bits") ? Buffer::disk_alignment : scan_bytes;
    std::size_t wanted = piece;
    std::uint64_t stopped_at = 0;
    while (index_.bytes < file_size) {
        const std::size_t asked = std::min<std::uint64_t>(wanted, file_size - index_.bytes);
        Result<Bytes> read = read_device(device, index_.bytes, asked);
        if (!read.ok() && read.error() == Error::corrupt) {
            REACHABLE("segment/unreadable-at-recovery");
            if (piece == wire::Frame::header_size) break;
            wanted = piece = wire::Frame::header_size;
            continue;
        }
        const Bytes bytes = TRY(std::move(read));
        const wire::SegmentScan scan = wire::scan_segment(bytes, group_, index_, committed);
        const bool was_last = index_.bytes + (bytes.size() - scan.taken) >= file_size;
        wanted = std::max(piece, scan.needed);
        if (scan.needed > 0 && !was_last && bytes.size() == asked) continue;
        // Here it ends, if it does so a second time.
        if (std::exchange(stopped_at, index_.bytes) == index_.bytes) break;
    }
    SOMETIMES(index_.bytes < file_size, "segment/torn-tail");
    SOMETIMES(index_.bytes == file_size, "segment/whole-tail");
    if (index_.bytes < file_size)
        env_.log.info("segment ends before its file",
                      {{"file", path_}, {"file_position", index_.bytes}, {"end", index_.end}});
    return {};
}

// Both a new file, and one that a power cut left without a header.
Result<> Segment::make_file() {
    Result<std::unique_ptr<File>> made = env_.disk.open(path_, Disk::Open::create_new);
    SOMETIMES(!made.ok() && made.error() == Error::already_exists, "segment/made-over-a-leftover");
    if (!made.ok() && made.error() == Error::already_exists)
        made = env_.disk.open(path_, Disk::Open::existing);
    std::unique_ptr<File> file = TRY(std::move(made));
    TRY(file->resize(0));
    TRY(file->write_at(0, {wire::encode(wire::SegmentHeader{group_, index_.first})}));
    unsynced_ = true;
    set_file(std::move(file));
    trimmed_ = true;
    return {};
}

// What a broken write has left behind the end, or what is not wanted any more.
Result<> Segment::cut_torn_tail(std::uint64_t end) {
    if (trimmed_) return {};
    REACHABLE("segment/torn-tail-trimmed");
    TRY(file_->resize(end));
    trimmed_ = true;
    return {};
}

Result<> Segment::append(std::span<const wire::Frame> frames) {
    CHECK(!sealed_ && !frames.empty() && !has_ahead());
    if (!made_) TRY(make_file());
    TRY(be_open());
    unsynced_ = true;
    TRY(cut_torn_tail(index_.bytes));
    trimmed_ = false; // Should the write fail.
    TRY(file_->write_at(index_.bytes, wire::encode_frames(frames)));
    trimmed_ = true;
    for (const wire::Frame& frame : frames) index_.add(frame);
    return {};
}

Result<> Segment::sync() {
    CHECK(file_);
    Result<> synced = file_->sync();
    if (!synced.ok() && synced.error() == Error::device_failed && BUG(M18)) synced = file_->sync();
    TRY(synced);
    if (!named_ && !BUG(M19s)) TRY(env_.disk.sync_directory(directory_of(path_)));
    named_ = true;
    unsynced_ = false;
    return {};
}

Result<> Segment::seal() {
    CHECK(!sealed_ && made_ && !has_ahead());
    TRY(be_open());
    unsynced_ = true;
    TRY(cut_torn_tail(index_.bytes)); // The footer is looked for at the end of the file.
    TRY(file_->write_at(index_.bytes, {wire::encode_footer(index_)}));
    TRY(file_->sync());
    unsynced_ = false;
    sealed_ = true;
    return {};
}

Result<> Segment::rename(std::string path) {
    CHECK(sealed_ && !unsynced_);
    TRY(env_.disk.rename(path_, path));
    path_ = std::move(path);
    return {};
}

namespace {

// What stands before something damaged is whole.
bool ends_before(const Result<wire::Frame>& next, const std::vector<wire::Frame>& frames) {
    return !next.ok() && next.error() == Error::corrupt && !frames.empty();
}

} // namespace

// Where somebody has stopped, or the last mark before.
wire::SegmentIndex::Mark Segment::begin(const ReadAhead::Reader& reader,
                                        std::uint64_t otherwise) const {
    if (const auto place = reader.place()) return {place->entry, place->file_position};
    return mark_before(otherwise);
}

Result<std::vector<wire::Frame>> Segment::read(std::int64_t from, std::int64_t limit,
                                               std::size_t bytes_max) {
    TRY(be_open());
    std::vector<wire::Frame> frames;
    std::size_t total = 0;
    const std::int64_t end = std::min(limit, index_.end.index);
    if (BUGGIFY("segment/reads-one")) bytes_max = 0;
    ReadAhead::Reader reader(read_ahead(), *this, from);
    Cursor cursor(*this, begin(reader, index_.place_of_index(from)), bytes_max);
    cursor.read_through(reader);
    cursor.pass_before(from);
    while (!cursor.at_end() && cursor.follows().index < end) {
        if (!frames.empty() && (total >= bytes_max || cursor.is_longer_than(bytes_max - total)))
            break;
        Result<wire::Frame> next = cursor.next();
        if (ends_before(next, frames)) return frames;
        wire::Frame frame = TRY(std::move(next));
        if (frame.first.index < from) continue;
        if (frames.empty() && frame.first.index > from) return cursor.misplaced();
        // Of a log that is compacted any number of frames may have no payload.
        total += std::max(size_of(frame.payload), wire::Frame::header_size);
        frames.push_back(std::move(frame));
    }
    reader.stop_at({cursor.follows(), cursor.position()});
    return frames;
}

Result<std::vector<wire::Frame>> Segment::read_records(Offset from, Offset limit,
                                                       std::size_t bytes_max) {
    TRY(be_open());
    std::vector<wire::Frame> frames;
    std::size_t total = 0;
    if (BUGGIFY("segment/reads-one-batch")) bytes_max = 0;
    ReadAhead::Reader reader(read_ahead(), *this, from);
    Cursor cursor(*this, begin(reader, index_.place_of(from)), bytes_max);
    cursor.read_through(reader);
    cursor.pass_before(from);
    bool is_found = false;
    while (!cursor.at_end() && cursor.follows().offset < limit) {
        if (!frames.empty() && (total >= bytes_max || cursor.is_longer_than(bytes_max - total)))
            break;
        Result<wire::Frame> next = cursor.next();
        if (ends_before(next, frames)) return frames;
        wire::Frame frame = TRY(std::move(next));
        if (frame.end().offset <= from || !frame.has_records()) continue;
        if (!is_found && frame.first.offset > from) return cursor.misplaced();
        is_found = true;
        SOMETIMES(frame.payload.empty(), "segment/nothing-is-left-of-a-batch");
        if (frame.payload.empty()) continue;
        total += size_of(frame.payload);
        frames.push_back(std::move(frame));
    }
    reader.stop_at({cursor.follows(), cursor.position()});
    return frames;
}

Result<Position> Segment::find(Offset offset) {
    TRY(be_open());
    Cursor cursor(*this, mark_before(index_.place_of(offset)), window_bytes_min);
    cursor.pass_before(offset);
    while (!cursor.at_end()) {
        const wire::Frame frame = TRY(cursor.next());
        if (frame.end().offset <= offset || !frame.has_records()) continue;
        if (frame.first.offset > offset) break;
        return frame.first;
    }
    return cursor.misplaced();
}

// Behind what is damaged it goes on at the next mark.
Result<std::int64_t> Segment::scrub(std::int64_t from, std::int64_t limit, std::size_t bytes) {
    TRY(be_open());
    TRY(restore_header());
    const auto device = TRY(env_.disk.open(path_, Disk::Open::existing, Disk::Access::aligned));
    const std::int64_t end = std::min(limit, index_.end.index);
    std::uint64_t position = index_.place_of_index(from);
    const std::uint64_t enough = position + wire::SegmentIndex::mark_distance + bytes;
    std::int64_t next = from;
    while (next < end && (next <= from || position < enough)) {
        Cursor cursor(*this, mark_before(position), bytes, device.get());
        cursor.pass_before(from);
        while (next < end && (next <= from || position < enough)) {
            const Result<wire::Frame> frame = cursor.next();
            if (!frame.ok() && frame.error() != Error::corrupt) return frame.error();
            const bool is_bad = !frame.ok();
            const auto behind = is_bad
                                    ? mark_behind(cursor.position() + 1)
                                    : wire::SegmentIndex::Mark{cursor.follows(), cursor.position()};
            position = behind.file_position;
            next = behind.entry.index;
            if (is_bad) break;
        }
    }
    return next;
}

Result<Position> Segment::find_time(std::int64_t timestamp_ms, Offset from) {
    TRY(be_open());
    const auto& marks = index_.marks;
    for (auto mark = marks.begin(); mark != marks.end(); ++mark) {
        const auto next = mark + 1;
        const Position end = next == marks.end() ? index_.end : next->entry;
        if (mark->timestamp_max < timestamp_ms || end.offset <= from) continue;
        Cursor cursor(*this, *mark, 2 * wire::SegmentIndex::mark_distance);
        cursor.pass_before(from);
        for (std::int64_t at = mark->entry.index; at < end.index; ++at) {
            const wire::Frame frame = TRY(cursor.next());
            const bool is_first = at == mark->entry.index;
            if (is_first && frame.first != mark->entry) return cursor.misplaced();
            if (frame.end().offset > from && wire::batch_timestamp_max(frame) >= timestamp_ms)
                return frame.first;
        }
        // The batch that the index speaks of lies before `from`, or the index was never ours.
        if (mark->entry.offset >= from) return cursor.misplaced();
    }
    return Error::not_found;
}

} // namespace pyralog
