#include "core/wire/segment.h"

#include <cstring>
#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>

using namespace pyralog;
using wire::Frame;
using wire::SegmentHeader;
using wire::SegmentIndex;

namespace {

const SegmentHeader header{GroupId(5), {10, Offset(30)}};

// Frames one after the other, from header.first on.
class SegmentBytes {
public:
    void add(Term term, std::int32_t records, std::size_t payload_size,
             std::int64_t timestamp = 0) {
        Frame frame;
        frame.kind = records > 0 ? Frame::Kind::records : Frame::Kind::term_start;
        frame.group = header.group;
        frame.term = term;
        frame.first = end_;
        frame.records = records;
        std::string payload(payload_size, 'x');
        for (std::size_t i = 0; i < 8 && 35 + i < payload.size(); ++i)
            payload[35 + i] = static_cast<char>(timestamp >> (8 * (7 - i)));
        frame.payload = {Bytes::copy_of(payload)};
        places_.push_back(bytes_.size());
        bytes_.resize(bytes_.size() + wire::stored_size(frame));
        const auto into = std::span(bytes_).subspan(places_.back());
        wire::encode_header(frame, into.first<Frame::header_size>());
        std::memcpy(into.data() + Frame::header_size, payload.data(), payload.size());
        end_ = frame.end();
    }
    Bytes bytes() const { return Bytes::copy_of(bytes_); }
    Position end() const { return end_; }
    std::size_t place(std::size_t i) const { return places_[i]; }
    std::vector<std::byte>& raw() { return bytes_; }

private:
    std::vector<std::byte> bytes_;
    std::vector<std::size_t> places_;
    Position end_ = header.first;
};

} // namespace

TEST_CASE("a segment's header reads back, and no bit of it may flip", "[wire]") {
    const Bytes bytes = encode(header);
    CHECK(wire::decode_segment_header(bytes.view()) == header);
    std::vector<std::byte> bad(bytes.view().begin(), bytes.view().end());
    for (std::size_t i = 0; i < bad.size(); ++i) {
        bad[i] ^= std::byte{4};
        CHECK(!wire::decode_segment_header(bad));
        bad[i] ^= std::byte{4};
    }
    CHECK(!wire::decode_segment_header(bytes.view().first(63)));
}

TEST_CASE("a scan passes what was written ahead only as far as it is known to count", "[wire]") {
    std::vector<Frame> frames(4);
    Position next = header.first;
    for (Frame& frame : frames) {
        frame.group = header.group;
        frame.term = Term(1);
        frame.first = next;
        frame.records = 2;
        frame.payload = {Bytes::copy_of("some records")};
        next = frame.end();
    }
    const std::span all(frames);
    BytesChain chain = wire::encode_frames(all.first(1));
    for (const auto& part : wire::encode_frames(all.subspan(1, 2), wire::FrameForm::ahead))
        chain.push_back(part);
    for (const auto& part : wire::encode_frames(all.last(1))) chain.push_back(part);
    const Bytes bytes = joined(chain);
    for (std::int64_t known = 0; known <= 5; ++known) {
        SegmentIndex index(header.first);
        scan_segment(bytes, header.group, index, header.first.index + known);
        CHECK(index.end.index - header.first.index == (known < 2 ? 1 : known == 2 ? 2 : 4));
    }
}

TEST_CASE("a scan stops at the first frame that is not whole, for every length", "[wire]") {
    SegmentBytes segment;
    segment.add(Term(1), 0, 0);
    segment.add(Term(1), 3, 70);
    segment.add(Term(2), 1, 13);
    const Bytes all = segment.bytes();
    for (std::size_t size = 0; size <= all.size(); ++size) {
        SegmentIndex index(header.first);
        const wire::SegmentScan scan = scan_segment(all.slice(0, size), header.group, index);
        const std::int64_t whole = size >= all.size()         ? 3
                                   : size >= segment.place(2) ? 2
                                   : size >= segment.place(1) ? 1
                                                              : 0;
        REQUIRE(index.end.index - header.first.index == whole);
        REQUIRE(scan.taken + SegmentHeader::size == index.bytes);
        REQUIRE(scan.needed > 0);
    }
}

TEST_CASE("a scan does not pass a flipped bit", "[wire]") {
    SegmentBytes segment;
    for (int i = 0; i < 3; ++i) segment.add(Term(1), 1, 64);
    for (std::size_t i = segment.place(1); i < segment.place(2); ++i) {
        segment.raw()[i] ^= std::byte{1};
        SegmentIndex index(header.first);
        scan_segment(segment.bytes(), header.group, index);
        REQUIRE(index.end.index == header.first.index + 1);
        segment.raw()[i] ^= std::byte{1};
    }
}

TEST_CASE("a scan takes only frames that follow, and only of its group", "[wire]") {
    SegmentBytes segment;
    segment.add(Term(2), 1, 10);
    segment.add(Term(1), 1, 10);
    SegmentIndex index(header.first);
    scan_segment(segment.bytes(), header.group, index);
    CHECK(index.end.index == header.first.index + 1);

    SegmentIndex elsewhere(Position{11, Offset(30)});
    CHECK(scan_segment(segment.bytes(), header.group, elsewhere).taken == 0);
    SegmentIndex another(header.first);
    CHECK(scan_segment(segment.bytes(), GroupId(6), another).taken == 0);
}

TEST_CASE("the index leads to the entry that holds an offset", "[wire]") {
    SegmentBytes segment;
    for (int i = 0; i < 100; ++i) segment.add(Term(1 + i / 30), i % 10 == 0 ? 0 : 1 + i % 3, 700);
    SegmentIndex index(header.first);
    scan_segment(segment.bytes(), header.group, index);
    REQUIRE(index.end == segment.end());
    CHECK(index.terms.size() == 4);
    CHECK(index.marks.size() > 10);
    for (std::int64_t i = header.first.index; i < index.end.index; ++i) {
        const std::uint64_t place = index.place_of_index(i);
        const std::uint64_t own =
            SegmentHeader::size + segment.place(static_cast<std::size_t>(i - header.first.index));
        REQUIRE(place <= own);
        REQUIRE(own - place <= SegmentIndex::mark_distance + 1000);
    }
}

TEST_CASE("the index knows the greatest timestamp", "[wire]") {
    SegmentBytes segment;
    segment.add(Term(1), 1, 61, 500);
    segment.add(Term(1), 1, 5000, 900);
    segment.add(Term(1), 1, 61, 700);
    segment.add(Term(1), 1, 10, 9999); // Too short to be a batch.
    SegmentIndex index(header.first);
    scan_segment(segment.bytes(), header.group, index);
    CHECK(index.timestamp_max == 900);
    CHECK(index.marks.front().timestamp_max == 900);
    CHECK(index.marks.back().timestamp_max == 700);
}

TEST_CASE("a timestamp is found in a batch of any pieces", "[wire]") {
    std::string batch(100, '\0');
    batch[42] = 77;
    batch[41] = 1;
    Frame frame;
    for (std::size_t i = 0; i <= batch.size(); ++i) {
        frame.payload = {Bytes::copy_of(std::string_view(batch).substr(0, i)),
                         Bytes::copy_of(std::string_view(batch).substr(i))};
        REQUIRE(wire::batch_timestamp_max(frame) == 256 + 77);
    }
}

TEST_CASE("a footer gives back the index, and no byte of it may change", "[wire]") {
    SegmentBytes segment;
    for (int i = 0; i < 50; ++i) segment.add(Term(1 + i / 20), 1, 300, i);
    SegmentIndex index(header.first);
    scan_segment(segment.bytes(), header.group, index);
    const Bytes footer = encode_footer(index);
    const std::uint64_t file_size = index.bytes + footer.size();
    const auto read = [&](std::span<const std::byte> bytes) -> std::optional<SegmentIndex> {
        const auto trailer =
            wire::decode_trailer(bytes.last(wire::SegmentFooter::trailer_size), file_size);
        if (!trailer || trailer->file_position != index.bytes) return {};
        return decode_footer(bytes.first(trailer->body_bytes), *trailer, header);
    };
    CHECK(read(footer.view()) == index);
    std::vector<std::byte> bad(footer.view().begin(), footer.view().end());
    for (std::size_t i = 0; i < bad.size(); ++i) {
        bad[i] ^= std::byte{0x80};
        REQUIRE(!read(bad));
        bad[i] ^= std::byte{0x80};
    }
}
