// What of a segment is written before it is committed.
#include "core/base/bug.h"
#include "core/base/probe.h"
#include "core/log/read_device.h"
#include "core/log/segment.h"

#include <utility>

namespace pyralog {

wire::FramePlace Segment::place_ahead(std::int64_t index) const {
    if (!has_ahead() || index < ahead_.front().first.index || index >= ahead_.back().end.index)
        return {};
    const auto place = static_cast<std::size_t>(index - ahead_.front().first.index);
    return {first().index, ahead_[place].file_position};
}

Result<> Segment::write_ahead(std::span<const wire::Frame> frames) {
    CHECK(!sealed_ && !frames.empty() && frames.front().first == ahead_end());
    const std::uint64_t begin = ahead_bytes();
    std::uint64_t at = begin;
    // First of all: a cut may come whenever this waits.
    for (const wire::Frame& frame : frames) {
        const std::uint64_t behind = at + wire::stored_size(frame);
        ahead_.push_back({frame.first, frame.end(), at, behind});
        at = behind;
    }
    const auto write = [&]() -> Result<> {
        if (!made_) TRY(make_file());
        TRY(be_open());
        unsynced_ = true;
        TRY(cut_torn_tail(begin));
        trimmed_ = false; // Should the write fail.
        const BytesChain bytes = wire::encode_frames(frames, wire::FrameForm::ahead);
        const auto durability = BUG(M39) ? Durability::later : Durability::now;
        TRY(file_->write_at(begin, bytes, durability));
        trimmed_ = ahead_bytes() == at; // Or some of it has been cut meanwhile.
        unsynced_ = !named_;
        if (named_) return {};
        // Nobody knows what is durable if this fails, for whatever reason.
        const Result<> synced = sync();
        if (!synced.ok() && synced.error() != Error::cancelled) return Error::device_failed;
        return synced;
    };
    const Position first = frames.front().first;
    const Result<> written = write();
    if (!written.ok()) cut_ahead(first);
    return written;
}

void Segment::take_ahead(const wire::Frame& frame) {
    CHECK(has_ahead() && frame.first == end() && ahead_.front().first == end());
    CHECK(index_.bytes == ahead_.front().file_position && frame.damaged == 0);
    index_.add(frame);
    CHECK(index_.bytes == ahead_.front().file_end);
    ahead_.pop_front();
}

void Segment::cut_ahead(Position end) {
    while (has_ahead() && ahead_.back().first.index >= end.index) {
        ahead_.pop_back();
        trimmed_ = false;
    }
}

Result<> Segment::extend(std::int64_t committed) {
    CHECK(!sealed_ && !has_ahead());
    TRY(be_open());
    const auto device = TRY(env_.disk.open(path_, Disk::Open::existing, Disk::Access::aligned));
    return scan(*device, TRY(file_->size()), committed);
}

// The file was synced when it was opened: what is here is not in memory alone.
Result<> Segment::find_ahead(const Expected& expected, const FoundAhead& found) {
    CHECK(!sealed_ && !has_ahead());
    TRY(be_open());
    const std::uint64_t file_size = TRY(file_->size());
    const auto device = TRY(env_.disk.open(path_, Disk::Open::existing, Disk::Access::aligned));
    for (;;) {
        const wire::Frame* const next = expected(ahead_end().index);
        if (!next) return {};
        const std::uint64_t at = ahead_bytes();
        const std::size_t size = wire::stored_size(*next);
        if (at > file_size || size > file_size - at) return {};
        const auto frame = TRY(read_frame(*device, Disk::Access::aligned, at, *next));
        if (!frame) return {};
        ahead_.push_back({next->first, next->end(), at, at + size});
        found(*frame);
    }
}

} // namespace pyralog
