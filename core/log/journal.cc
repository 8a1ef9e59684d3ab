#include "core/log/journal.h"

#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "core/log/file_names.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace pyralog {

namespace {

// One is enough while rolling keeps step with the disk; more would only take space.
constexpr std::size_t spares_max = 1;
// How much of zeros is written at a time, so that a round in between does not wait for a whole
// file.
constexpr std::size_t zeros_bytes = 1_MiB;
// More rounds than this waiting to be written, and new records are refused.
constexpr std::size_t queued_rounds_max = 4;
// Beyond backlogged: as much again from each of the leaders that a node may follow at once, in a
// cluster of four; with more, appends are refused a little earlier than they could be.
constexpr std::size_t full_factor = 4;
// The most that is written past the journal before one round of it. Small frames wait for that.
constexpr std::uint64_t bulk_round_bytes_max = 32_MiB;

constexpr std::uint64_t aligned(std::uint64_t bytes) {
    constexpr std::uint64_t alignment = wire::RoundHeader::alignment;
    return (bytes + alignment - 1) / alignment * alignment;
}

std::uint64_t body_bytes(std::span<const wire::Frame> frames) {
    std::uint64_t total = 0;
    for (const wire::Frame& frame : frames) total += wire::journaled_size(frame);
    return total;
}

std::uint64_t round_bytes(std::span<const wire::Frame> frames) {
    return aligned(wire::RoundHeader::size + body_bytes(frames));
}

// The vote that a vote or a mark tells of, after the one before. A copy: the payload may be a slice
// of something large.
wire::Frame vote_in(const wire::Frame& frame, const std::optional<wire::Frame>& before) {
    wire::Frame vote = frame;
    vote.kind = wire::Frame::Kind::vote;
    vote.first = {};
    vote.payload.clear();
    if (frame.damaged > 0) {
        // A mark repeats what a vote has said.
        const bool same = before && before->term == frame.term && !before->payload.empty() &&
                          before->payload_crc == frame.payload_crc;
        SOMETIMES(same, "journal/damaged-vote-was-told-before");
        SOMETIMES(!same, "journal/damaged-vote");
        if (same) return *before;
        vote.damaged = vote.payload_crc = 0;
        return vote;
    }
    const Bytes payload = Bytes::copy_of(joined(frame.payload).view());
    if (!payload.empty()) vote.payload.push_back(payload);
    return vote;
}

// Payload and padding, behind room for the header, at the beginning of `into`. Returns how many
// bytes all of that takes. An extent has nothing but its header and what that takes with it.
std::size_t put_payload(const wire::Frame& frame, std::span<std::byte> into) {
    if (frame.place.is_known()) return wire::extent_size;
    std::size_t at = wire::Frame::header_size;
    for (const Bytes& part : frame.payload) {
        if (!part.empty()) std::memcpy(into.data() + at, part.data(), part.size());
        at += part.size();
    }
    const std::size_t stored = wire::stored_size(at - wire::Frame::header_size);
    if (at < stored) std::memset(into.data() + at, 0, stored - at);
    return stored;
}

} // namespace

Journal::Journal(Environment& env, std::string directory, const JournalConfig& config,
                 std::uint64_t identity)
    : env_(env), directory_(std::move(directory)), config_(config), identity_(identity),
      work_(env.fibers), durable_changed_(env.fibers), files_wanted_(env.fibers),
      file_changed_(env.fibers), rounds_total_(env.metrics, "pyralog_journal_rounds_total",
                                               "Journal writes, each made durable by one sync."),
      bytes_total_(env.metrics, "pyralog_journal_bytes_total",
                   "Bytes written to the journal, with headers and padding."),
      frames_total_(env.metrics, "pyralog_journal_frames_total",
                    "Entries, cuts and votes written to the journal."),
      syncs_total_(env.metrics, "pyralog_journal_syncs_total",
                   "How often somebody asked for what was appended to be durable."),
      damaged_total_(env.metrics, "pyralog_journal_damaged_frames_total",
                     "Frames of which only the header was found at the start."),
      bulk_bytes_total_(env.metrics, "pyralog_journal_bulk_bytes_total",
                        "Bytes of entries that were written straight to their segments."),
      bulk_refused_total_(env.metrics, "pyralog_journal_bulk_refused_total",
                          "How often a partition had enough for that, and the journal had to have "
                          "it."),
      wait_(env.metrics, "pyralog_journal_wait_seconds",
            "How long they waited for it, if they had to."),
      round_time_(env.metrics, "pyralog_journal_round_seconds",
                  "How long it took to write a round and to make it durable."),
      round_bytes_(env.metrics, "pyralog_journal_round_bytes",
                   "Size of a round, with headers and padding.", Metrics::Histogram::Of::numbers),
      round_frames_(env.metrics, "pyralog_journal_round_frames",
                    "Entries, cuts and votes in a round.", Metrics::Histogram::Of::numbers),
      bytes_gauge_(env.metrics, "pyralog_journal_in_use_bytes",
                   "Size of the journal files that are still needed.") {
    config_.file_bytes = aligned(config_.file_bytes);
}

void Journal::append(const wire::Frame& frame) {
    if (failure_) return;
    CHECK(frame.damaged == 0 && !frame.place.is_known());
    queue_.push_back(frame);
    queue_bytes_ += wire::stored_size(frame);
    ++appended_;
    if (const auto bulk = bulk_.find(frame.group); bulk != bulk_.end() && frame.is_entry())
        bulk->second.queued_bytes += wire::stored_size(frame);
    lay_out();
    work_.notify_all();
}

Result<> Journal::sync() {
    syncs_total_.add();
    const std::uint64_t target = appended_;
    if (failure_) return *failure_;
    SOMETIMES(durable_ >= target, "journal/sync-of-nothing-new");
    if (durable_ >= target) return {};
    const Time began = env_.clock.now();
    TRY(durable_changed_.wait([&] { return failure_ || durable_ >= target; }));
    SOMETIMES(durable_ < target, "journal/failed-while-somebody-waited");
    if (durable_ < target) return *failure_;
    wait_.add(env_.clock.now() - began);
    return {};
}

// Past the page cache, which would answer for a device that has gone. Through a handle of its own:
// the current file may change meanwhile.
void Journal::ask_device() {
    const auto file =
        env_.disk.open(path_of(file_number()), Disk::Open::existing, Disk::Access::aligned);
    if (!file.ok()) return;
    Buffer block(Buffer::disk_alignment);
    (void)file.value()->read_at(0, block.view());
}

Result<> Journal::run() {
    CHECK(current_);
    Scope scope(env_.fibers);
    scope.spawn("journal files", [this] {
        const Result<> end = prepare_files();
        if (!end.ok()) fail(end.error());
    });
    const Result<> end = write_rounds();
    if (!end.ok()) fail(end.error());
    return *failure_;
}

void Journal::fail(Error error) {
    if (failure_) return;
    SOMETIMES(error == Error::device_failed, "journal/device-failed");
    SOMETIMES(error == Error::out_of_space, "journal/out-of-space");
    failure_ = error;
    if (error != Error::cancelled)
        env_.log.error("journal failed", {{"error", error}, {"round", next_round_}});
    work_.notify_all();
    durable_changed_.notify_all();
    file_changed_.notify_all();
}

Result<> Journal::write_rounds() {
    for (;;) {
        if (queue_.empty()) TRY(wait_for_work());
        if (failure_) return *failure_;
        if (BUGGIFY("journal/late-round"))
            TRY(env_.fibers.sleep_until(env_.clock.now() + 1ms));
        else if (BUGGIFY("journal/yield"))
            env_.fibers.yield();
        TRY(write_round());
    }
}

// Until there is a frame to write, or it is time for a seal.
Result<> Journal::wait_for_work() {
    const auto ready = [this] { return failure_ || !queue_.empty(); };
    if (sealed_) return work_.wait(ready);
    const Duration delay = BUGGIFY("journal/early-seal") ? Duration{0} : config_.seal_delay;
    const Deadline seal(env_.fibers, env_.clock.now() + delay);
    const Result<> waited = work_.wait(ready);
    if (waited.ok() || waited.error() == Error::timed_out) return {};
    return waited;
}

// A quarter of a file at most: then little of it is left unused when the next round is larger.
std::uint64_t Journal::round_limit() const {
    return std::min(config_.round_bytes_max, config_.file_bytes / 4);
}

// Copies what waits to where the next round will have it, as far as it fits. Meanwhile the disk is
// busy with the round before; later it would have to wait for this.
void Journal::lay_out() {
    for (; laid_out_ < queue_.size() && !is_bulk(queue_[laid_out_]); ++laid_out_) {
        const std::size_t end = laid_end_ + wire::stored_size(queue_[laid_out_]);
        if (laid_out_ > 0 && end > round_limit()) return;
        if (memory_.size() == 0) memory_ = std::exchange(spare_memory_, Buffer());
        if (memory_.size() < aligned(end)) {
            Buffer larger(
                std::max(aligned(end), std::min<std::uint64_t>(2 * memory_.size(), round_limit())));
            if (laid_out_ > 0) std::memcpy(larger.data(), memory_.data(), laid_end_);
            memory_ = std::move(larger);
        }
        laid_end_ += put_payload(queue_[laid_out_], memory_.view().subspan(laid_end_));
    }
}

// What fits into the rest of the file, up to the limit; one frame goes in whatever its size. When
// none waits this is a seal.
std::vector<wire::Frame> Journal::take_round() {
    std::vector<wire::Frame> frames;
    if (queue_.empty()) {
        frames.emplace_back().kind = wire::Frame::Kind::seal;
        return frames;
    }
    std::uint64_t limit = round_limit();
    const std::uint64_t left = files_.back().bytes - write_position_;
    if (left >= round_bytes(std::span(&queue_.front(), 1))) limit = std::min(limit, left);
    if (BUGGIFY("journal/small-round")) limit = 0;
    std::uint64_t total = wire::RoundHeader::size;
    std::uint64_t bulk = 0;
    while (!queue_.empty()) {
        const std::size_t stored = wire::stored_size(queue_.front());
        const bool goes_past = is_bulk(queue_.front());
        const std::size_t size = goes_past ? wire::extent_size : stored;
        if (goes_past) bulk += stored;
        if (!frames.empty() && (total + size > limit || bulk > bulk_round_bytes_max)) break;
        total += size;
        queue_bytes_ -= stored;
        frames.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    for (const wire::Frame& frame : frames) unqueue(frame);
    SOMETIMES(!queue_.empty(), "journal/queue-longer-than-a-round");
    SOMETIMES(frames.size() > 8, "journal/many-frames-in-a-round");
    SOMETIMES(total > limit, "journal/frame-larger-than-a-round");
    return frames;
}

void Journal::unqueue(const wire::Frame& frame) {
    const auto bulk = bulk_.find(frame.group);
    if (bulk == bulk_.end() || !frame.is_entry()) return;
    // What was queued before it was attached was not counted.
    bulk->second.queued_bytes -=
        std::min<std::uint64_t>(bulk->second.queued_bytes, wire::stored_size(frame));
}

// How many of them make a round. Those that were to get past the journal and did not may be more
// than that takes.
std::size_t Journal::next_part(std::span<const wire::Frame> frames) const {
    std::uint64_t total = wire::RoundHeader::size;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        total += wire::journaled_size(frames[i]);
        if (i > 0 && total > round_limit()) return i;
    }
    return frames.size();
}

Result<> Journal::write_round() {
    lay_out();
    std::vector<wire::Frame> frames = take_round();
    Buffer memory = std::exchange(memory_, Buffer());
    SOMETIMES(laid_out_ > frames.size(), "journal/laid-out-for-more-than-a-round");
    const bool is_laid_out =
        laid_out_ >= frames.size() || frames.front().kind == wire::Frame::Kind::seal;
    laid_out_ = 0; // What was not taken is laid out again.
    laid_end_ = wire::RoundHeader::size;
    const bool is_named = TRY(write_bulk(frames));
    if (is_laid_out && !is_named) return write_frames(frames, std::move(memory));
    std::span<wire::Frame> rest = frames;
    while (!rest.empty()) {
        const auto part = rest.first(next_part(rest));
        SOMETIMES(part.size() < rest.size(), "journal/bulk-came-back-in-several-rounds");
        Buffer round(round_bytes(part));
        std::size_t at = wire::RoundHeader::size;
        for (const wire::Frame& frame : part) at += put_payload(frame, round.view().subspan(at));
        TRY(write_frames(part, std::move(round)));
        rest = rest.subspan(part.size());
    }
    return {};
}

// Whose payloads are in the memory.
Result<> Journal::write_frames(std::span<wire::Frame> frames, Buffer memory) {
    const std::uint64_t bytes = round_bytes(frames);
    if (memory.size() < bytes) memory = Buffer(bytes); // For a seal.
    const bool seal = frames.front().kind == wire::Frame::Kind::seal;
    SOMETIMES(seal, "journal/sealed");
    if (write_position_ + bytes > files_.back().bytes) {
        REACHABLE("journal/rolled");
        TRY(begin_file(bytes));
    } else if (BUGGIFY("journal/rolls-early", 5'000)) {
        TRY(begin_file(bytes));
    }
    if (!seal)
        for (const wire::Frame& frame : frames) note(frame);
    encode_round(frames, memory.view().first(bytes));
    TRY(write(std::move(memory).freeze(bytes), write_position_, frames.size()));
    write_position_ += bytes;
    sealed_ = seal;
    if (!seal) durable_ += frames.size();
    recount();
    durable_changed_.notify_all();
    if (wants_spare() && !BUGGIFY("journal/no-spare-in-time")) files_wanted_.notify_all();
    return {};
}

// All of the next round but the payloads, which are there.
void Journal::encode_round(std::span<wire::Frame> frames, std::span<std::byte> round) const {
    wire::RoundHeader header;
    header.file = files_.back().number;
    header.salt = salt_;
    header.round = next_round_;
    header.frames = static_cast<std::uint32_t>(frames.size());
    header.body_bytes = body_bytes(frames);
    encode(header, round);
    std::size_t at = wire::RoundHeader::size;
    for (wire::Frame& frame : frames) {
        frame.round = next_round_;
        const auto into = round.subspan(at);
        if (frame.place.is_known())
            wire::encode_extent(frame, into.first<wire::extent_size>());
        else
            wire::encode_header(frame, into.first<wire::Frame::header_size>());
        at += wire::journaled_size(frame);
    }
    if (at < round.size()) std::memset(round.data() + at, 0, round.size() - at);
}

// These are so many frames of the next round. Durable when this returns.
Result<> Journal::write(Bytes bytes, std::uint64_t file_position, std::size_t frames) {
    const std::size_t total = bytes.size();
    const Time began = env_.clock.now();
    Result<> written = current_->write_at(file_position, {bytes}, Durability::now);
    if (!written.ok() && written.error() == Error::device_failed && BUG(M18))
        written = current_->sync();
    // Memory for an outsized batch is not kept.
    std::optional<Buffer> back = Buffer::thaw(std::move(bytes));
    if (back && back->size() <= 2 * config_.round_bytes_max && back->size() > spare_memory_.size())
        spare_memory_ = std::move(*back);
    TRY(written);
    rounds_total_.add();
    bytes_total_.add(total);
    frames_total_.add(frames);
    round_time_.add(env_.clock.now() - began);
    round_bytes_.add_number(total);
    round_frames_.add_number(frames);
    durable_round_ = next_round_++;
    return {};
}

// ---- Files ----

std::string Journal::path_of(std::uint64_t number) const {
    return directory_ + '/' + journal_file_name(number);
}

// What would be lost with the files before: of each group its vote, how far its segments must reach
// by now, and where its log begins.
std::vector<wire::Frame> Journal::checkpoint() const {
    std::vector<wire::Frame> marks;
    marks.reserve(known_.size());
    for (const auto& [group, known] : known_) {
        wire::Frame& mark = marks.emplace_back();
        mark.kind = wire::Frame::Kind::mark;
        mark.group = group;
        mark.first = known.released;
        if (known.vote) {
            mark.term = known.vote->term;
            mark.payload = known.vote->payload;
            mark.payload_crc = known.vote->payload_crc;
        }
        if (known.start) marks.push_back(*known.start);
    }
    return marks;
}

// With room for its marks, should there soon be more of them, and for a round.
std::uint64_t Journal::bytes_of_file(std::uint64_t marks, std::uint64_t round) const {
    return aligned(
        std::max<std::uint64_t>(config_.file_bytes, wire::JournalHeader::size + 2 * marks + round));
}

// The next file, with room for a round of this size. It gets its name only when its header and its
// checkpoint are durable. So whatever has the name of a journal file was once good, and if it is
// not good now, it is damaged: there is nothing to guess.
Result<> Journal::begin_file(std::uint64_t round_size) {
    const std::uint64_t carried = round_bytes(checkpoint());
    const Spare spare = TRY(take_spare(bytes_of_file(carried, round_size)));
    current_ = TRY(env_.disk.open(spare.path, Disk::Open::existing, Disk::Access::aligned));

    recount();
    wire::JournalHeader header;
    header.identity = identity_;
    header.number = files_.empty() ? 1 : files_.back().number + 1;
    header.oldest = files_.empty() || needed_from_ == files_.size() ? header.number
                                                                    : files_[needed_from_].number;
    header.salt = env_.random.next();
    header.first_round = next_round_;
    header.after_round = durable_round_;
    header.bytes = spare.bytes;
    salt_ = header.salt;
    files_.push_back({header.number, spare.bytes, 0});
    std::vector<wire::Frame> marks = checkpoint();
    Buffer memory(wire::JournalHeader::size + round_bytes(marks));
    encode(header, memory.view().first(wire::JournalHeader::size));
    const auto round = memory.view().subspan(wire::JournalHeader::size);
    std::size_t at = wire::RoundHeader::size;
    for (const wire::Frame& mark : marks) at += put_payload(mark, round.subspan(at));
    encode_round(marks, round);
    TRY(write(std::move(memory).freeze(), 0, marks.size()));
    TRY(env_.disk.rename(spare.path, path_of(header.number)));
    if (!BUG(M19)) TRY(env_.disk.sync_directory(directory_));
    write_position_ = wire::JournalHeader::size + round_bytes(marks);
    // Nobody is told of anything in it before it would be missed.
    if (note_begun_) TRY(note_begun_(header.number));

    while (files_.front().number < header.oldest) {
        dropped_.push_back(files_.front());
        files_.pop_front();
    }
    recount();
    files_wanted_.notify_all();
    file_changed_.notify_all();
    return {};
}

std::uint64_t Journal::bytes_to_hold(std::span<const std::size_t> frames) const {
    const std::uint64_t marks = round_bytes(checkpoint());
    std::uint64_t total = 0, left = 0; // Of the last file: left.
    for (std::size_t i = 0; i < frames.size();) {
        std::uint64_t round = wire::RoundHeader::size;
        do round += frames[i++];
        while (i < frames.size() && round + frames[i] <= round_limit());
        round = aligned(round);
        if (round > left) {
            const std::uint64_t file = bytes_of_file(marks, round);
            total += file;
            left = file - wire::JournalHeader::size - marks;
        }
        left -= round;
    }
    return total;
}

bool Journal::wants_spare() const {
    return spares_.empty() && write_position_ > files_.back().bytes / 2;
}

Result<Journal::Spare> Journal::take_spare(std::uint64_t bytes) {
    SOMETIMES(preparing_, "journal/waited-for-a-spare");
    TRY(files_wanted_.wait([this] { return failure_ || !preparing_; }));
    if (failure_) return *failure_;
    for (std::size_t i = 0; i < spares_.size(); ++i) {
        SOMETIMES(spares_[i].bytes < bytes, "journal/spare-too-small");
        if (spares_[i].bytes < bytes) continue;
        Spare spare = std::move(spares_[i]);
        spares_.erase(spares_.begin() + static_cast<std::ptrdiff_t>(i));
        return spare;
    }
    REACHABLE("journal/no-spare-ready");
    preparing_ = true;
    Result<Spare> spare = make_spare(bytes);
    preparing_ = false;
    files_wanted_.notify_all();
    return spare;
}

// Zeros, and durable: a write into a file that has its size and its blocks costs the disk one write
// and no change to the file system. What a file of an earlier life holds does as well.
// After an attempt that has failed, one that cannot succeed is not begun: each time there would be
// no room for those who must write meanwhile.
Result<Journal::Spare> Journal::make_spare(std::uint64_t bytes) {
    if (space_short_) {
        const Result<Disk::Space> space = env_.disk.space();
        SOMETIMES(space.ok() && space.value().free < bytes, "journal/spare-does-not-fit");
        if (space.ok() && space.value().free < bytes) return Error::out_of_space;
    }
    Spare spare{directory_ + '/' + spare_file_name(next_spare_++), bytes};
    const Result<> made = [&]() -> Result<> {
        const auto file =
            TRY(env_.disk.open(spare.path, Disk::Open::create_new, Disk::Access::aligned));
        Buffer memory(std::min<std::uint64_t>(bytes, zeros_bytes));
        std::memset(memory.data(), 0, memory.size());
        const Bytes zeros = std::move(memory).freeze();
        for (std::uint64_t at = 0; at < bytes; at += zeros.size())
            TRY(file->write_at(
                at, {zeros.slice(0, std::min<std::uint64_t>(zeros.size(), bytes - at))}));
        return file->sync();
    }();
    if (made.ok()) return spare;
    SOMETIMES(made.error() == Error::out_of_space, "journal/no-space-for-a-spare");
    // It must not stand in the way of the next attempt, which has another name in any case.
    if (made.error() == Error::out_of_space) (void)env_.disk.remove(spare.path);
    return made.error();
}

// In the background: files that are no longer needed become spares, and if there is none when half
// of the current file is used, one is made. If there is no room for it, backlogged() says so while
// there is still half a file for what cannot be refused.
Result<> Journal::prepare_files() {
    const auto wanted = [this] { return !dropped_.empty() || wants_spare(); };
    for (;;) {
        // Whoever needed a file at once may have made one meanwhile.
        if (!wanted()) space_short_ = false;
        TRY(files_wanted_.wait([&] { return failure_ || (!preparing_ && wanted()); }));
        if (failure_) return {};
        preparing_ = true;
        Result<> done;
        if (!dropped_.empty()) {
            done = drop_old_files();
        } else {
            Result<Spare> spare = make_spare(config_.file_bytes);
            if (spare.ok())
                spares_.push_back(std::move(spare).value());
            else
                done = spare.error();
        }
        preparing_ = false;
        files_wanted_.notify_all();
        // Of space, or of files that may be open at once.
        const bool short_now = !done.ok() && (done.error() == Error::out_of_space ||
                                              done.error() == Error::unavailable);
        if (short_now && !space_short_)
            env_.log.error("cannot make the next journal file",
                           {{"error", done.error()}, {"bytes", config_.file_bytes}});
        space_short_ = short_now;
        if (short_now)
            TRY(env_.fibers.sleep_until(env_.clock.now() + space_retry_delay));
        else
            TRY(done);
    }
}

// The name goes first, durably, and only then may the file be written: a file that still has its
// old name after a power cut is then still the old file. A file that could not be dealt with is
// dealt with the next time.
Result<> Journal::drop_old_files() {
    std::vector<Spare> spares;
    Result<> done;
    while (done.ok() && !dropped_.empty()) {
        const InUse file = dropped_.front();
        const std::string path = path_of(file.number);
        if (spares_.size() + spares.size() < spares_max && file.bytes == config_.file_bytes &&
            !BUGGIFY("journal/old-file-not-reused")) {
            REACHABLE("journal/old-file-reused");
            Spare spare{directory_ + '/' + spare_file_name(next_spare_++), file.bytes};
            done = env_.disk.rename(path, spare.path);
            if (done.ok()) spares.push_back(std::move(spare));
        } else {
            REACHABLE("journal/old-file-removed");
            done = env_.disk.remove(path);
        }
        if (done.ok()) dropped_.erase(dropped_.begin());
    }
    if (!done.ok() && done.error() != Error::out_of_space) return done;
    TRY(env_.disk.sync_directory(directory_));
    for (Spare& spare : spares) spares_.push_back(std::move(spare));
    return done;
}

// ---- Who needs what ----

Journal::InUse* Journal::in_use(std::uint64_t number) {
    if (files_.empty() || number < files_.front().number) return nullptr;
    const std::uint64_t place = number - files_.front().number;
    return place < files_.size() ? &files_[place] : nullptr;
}

// Before the round is written: a file is held for an entry a little too early, never too late. Nor
// is one let go too early that a cut or a repetition makes needless: files are dropped between
// rounds, when this one is durable.
void Journal::note(const wire::Frame& frame) {
    if (frame.kind == wire::Frame::Kind::seal) return;
    Known& known = known_[frame.group];
    switch (frame.kind) {
    case wire::Frame::Kind::cut: note_cut(known, frame); break;
    case wire::Frame::Kind::start:
        known.start = wire::owned(frame);
        release(known, frame.first);
        break;
    case wire::Frame::Kind::mark:
        release(known, frame.first);
        if (frame.term == Term() && frame.payload.empty()) break;
        [[fallthrough]];
    case wire::Frame::Kind::vote: {
        known.vote = vote_in(frame, known.vote);
        break;
    }
    default: note_entry(known, frame);
    }
}

void Journal::note_entry(Known& known, const wire::Frame& frame) {
    const std::int64_t index = frame.first.index;
    const std::uint64_t number = files_.back().number;
    note_named(known, frame);
    if (index < known.next) {
        REACHABLE("journal/entry-again");
        // It comes again. Older files that hold it from here on hold one less.
        std::erase_if(known.held, [&](Held& held) {
            if (held.file == number || std::max(held.first, known.released.index) != index)
                return false;
            held.first = index + 1;
            if (held.first < held.end.index) return false;
            REACHABLE("journal/entry-again-frees-a-file");
            let_go(held);
            return true;
        });
    }
    known.next = std::max(known.next, index + 1);
    if (index < known.released.index) return;
    if (known.held.empty() || known.held.back().file != number) {
        known.held.push_back({number, index, frame.end()});
        ++files_.back().pins;
        return;
    }
    Held& held = known.held.back();
    held.first = std::min(held.first, index);
    held.end = std::max(held.end, frame.end());
}

void Journal::note_cut(Known& known, const wire::Frame& frame) {
    known.next = std::min(known.next, frame.first.index);
    forget_named(known, frame.first.index, std::numeric_limits<std::int64_t>::max());
    std::erase_if(known.held, [&](Held& held) {
        if (held.end.index <= frame.first.index) return false;
        SOMETIMES(held.file != files_.back().number, "journal/cut-reaches-into-older-files");
        SOMETIMES(held.first < known.released.index, "journal/cut-beside-what-is-released");
        held.end = frame.first;
        // What is released before the cut was in this file too, but needs it no more.
        if (std::max(held.first, known.released.index) < held.end.index) return false;
        let_go(held);
        return true;
    });
}

void Journal::let_go(const Held& held) {
    InUse* file = in_use(held.file);
    CHECK(file && file->pins > 0);
    --file->pins;
}

void Journal::release(GroupId group, Position end) {
    const auto found = known_.find(group);
    if (found == known_.end()) {
        if (end.index > 0) known_[group].released = end;
        return;
    }
    release(found->second, end);
    recount();
}

// At recovery a mark may say so after the entries have been seen, in older files than its own.
void Journal::release(Known& known, Position end) {
    if (end.index <= known.released.index) return;
    known.released = end;
    known.next = std::max(known.next, end.index);
    forget_named(known, 0, end.index);
    std::erase_if(known.held, [&](const Held& held) {
        if (held.end.index > end.index) return false;
        let_go(held);
        return true;
    });
}

void Journal::forget(GroupId group) {
    const auto found = known_.find(group);
    if (found == known_.end()) return;
    SOMETIMES(!found->second.held.empty(), "journal/forgotten-group-held-files");
    for (const Held& held : found->second.held) let_go(held);
    forget_named(found->second, 0, std::numeric_limits<std::int64_t>::max());
    known_.erase(found);
    recount();
}

void Journal::recount() {
    needed_from_ = 0;
    while (needed_from_ + 1 < files_.size() && files_[needed_from_].pins == 0) ++needed_from_;
    bytes_in_use_ = 0;
    for (std::size_t i = needed_from_; i < files_.size(); ++i) bytes_in_use_ += files_[i].bytes;
    bytes_gauge_.set(static_cast<std::int64_t>(bytes_in_use_));
}

std::vector<Journal::Pin> Journal::pinned() const {
    std::vector<Pin> pins;
    // What a round that is being written needs no more is not needed.
    std::size_t first = needed_from_;
    while (first < files_.size() && files_[first].pins == 0) ++first;
    if (first + 1 >= files_.size()) return pins;
    const std::uint64_t oldest = files_[first].number;
    for (const auto& [group, known] : known_)
        for (const Held& held : known.held)
            if (held.file == oldest) pins.push_back({group, held.end});
    return pins;
}

std::optional<wire::Frame> Journal::vote(GroupId group) const {
    const auto found = known_.find(group);
    return found == known_.end() ? std::nullopt : found->second.vote;
}

std::vector<GroupId> Journal::groups() const {
    std::vector<GroupId> groups;
    for (const auto& [group, known] : known_) groups.push_back(group);
    return groups;
}

bool Journal::backlogged() const {
    SOMETIMES(space_short_, "journal/no-space-for-the-next-file");
    SOMETIMES(bytes_in_use_ > config_.journal_bytes_max, "journal/too-much-in-use");
    SOMETIMES(queue_bytes_ > queued_rounds_max * config_.round_bytes_max,
              "journal/too-much-queued");
    if (BUGGIFY("journal/says-backlogged", 50'000)) return true;
    return failure_ || space_short_ || bytes_in_use_ > config_.journal_bytes_max ||
           queue_bytes_ > queued_rounds_max * config_.round_bytes_max;
}

bool Journal::full() const {
    SOMETIMES(bytes_in_use_ > full_factor * config_.journal_bytes_max, "journal/full");
    if (BUGGIFY("journal/says-full", 20'000)) return true;
    return failure_ || space_short_ || bytes_in_use_ > full_factor * config_.journal_bytes_max ||
           queue_bytes_ > full_factor * queued_rounds_max * config_.round_bytes_max;
}

std::uint64_t Journal::file_number() const { return files_.empty() ? 0 : files_.back().number; }

} // namespace pyralog
