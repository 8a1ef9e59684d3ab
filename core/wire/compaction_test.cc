#include "core/wire/compaction.h"

#include "core/base/crc32c.h"
#include "core/wire/golden_test.h"
#include "core/wire/segment.h"

#include <cstring>

#include <catch2/catch.hpp>

using namespace pyralog;
using wire::Compacted;
using wire::CompactedNote;
using wire::Compaction;
using wire::Frame;

namespace {

Frame frame_of(const Compaction& compaction) {
    Frame frame;
    frame.kind = Frame::Kind::compaction;
    frame.group = GroupId(7);
    frame.term = Term(3);
    frame.first = {42, Offset(300)};
    frame.payload = wire::compaction_payload(compaction);
    return frame;
}

const Compaction some{{{12, Offset(100)}, Offset(90)}, Offset(95), 1'700'000'000'000};

} // namespace

TEST_CASE("a compaction and a note of it have the bytes in FORMATS.md", "[wire]") {
    const Frame frame = frame_of(some);
    const Bytes payload = joined(frame.payload);
    Buffer bytes(Frame::header_size + payload.size());
    wire::encode_header(frame, bytes.view().first<Frame::header_size>());
    std::memcpy(bytes.data() + Frame::header_size, payload.data(), payload.size());
    const Bytes stored = std::move(bytes).freeze();
    CHECK(wire::hex_of(stored) == wire::golden("frame_compaction", stored));
    const Bytes note = wire::encode(CompactedNote{GroupId(7), some.to});
    CHECK(wire::hex_of(note) == wire::golden("compacted_note", note));
}

TEST_CASE("what a compaction says comes back, and may not lie behind it", "[wire]") {
    CHECK(wire::compaction_of(frame_of(some)).value() == some);
    for (const Compacted& bad : {Compacted{{43, Offset(300)}, Offset(1)},
                                 {{42, Offset(301)}, Offset(1)},
                                 {{12, Offset(100)}, Offset(101)},
                                 {{12, Offset(100)}, Offset(-1)},
                                 {{-1, Offset(100)}, Offset(1)}})
        CHECK(wire::compaction_of(frame_of({bad, {}, 0})).error() == Error::corrupt);
    Frame longer = frame_of(some);
    longer.payload.push_back(Bytes::copy_of("x"));
    CHECK(wire::compaction_of(longer).error() == Error::corrupt);
}

TEST_CASE("a note comes back, and no bit of it may change", "[wire]") {
    const CompactedNote note{GroupId(7), some.to};
    const Bytes good = wire::encode(note);
    CHECK(wire::decode_compacted_note(good.view()) == note);
    CHECK_FALSE(wire::decode_compacted_note(good.view().first(63)));
    for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
        std::vector<std::byte> bad(good.view().begin(), good.view().end());
        bad[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
        CHECK_FALSE(wire::decode_compacted_note(bad));
    }
}

TEST_CASE("one is as far as another in both of its numbers", "[wire]") {
    CHECK(some.to.has(some.to));
    CHECK(some.to.has({}));
    CHECK_FALSE(some.to.has({{13, Offset(100)}, Offset(90)}));
    CHECK_FALSE(some.to.has({{12, Offset(100)}, Offset(91)}));
}

TEST_CASE("what is left of an entry has its place and its term", "[wire]") {
    Frame whole;
    whole.group = GroupId(7);
    whole.term = Term(3);
    whole.first = {12, Offset(100)};
    whole.records = 5;
    whole.payload = {Bytes::copy_of("five")};
    whole.payload_crc = crc32c(whole.payload);
    Frame less = whole;
    less.kind = Frame::Kind::reduced;
    less.payload.clear();
    less.payload_crc = 0;
    CHECK(wire::is_sensible(less));
    CHECK(wire::is_reduced_from(whole, less));
    CHECK(wire::is_reduced_from(less, less));
    CHECK_FALSE(wire::is_reduced_from(less, whole));
    const auto differs = [&](auto change) {
        Frame other = less;
        change(other);
        return !wire::is_reduced_from(whole, other);
    };
    CHECK(differs([](Frame& f) { f.term = Term(4); }));
    CHECK(differs([](Frame& f) { f.group = GroupId(8); }));
    CHECK(differs([](Frame& f) { f.first.index = 13; }));
    CHECK(differs([](Frame& f) { f.records = 4; }));
}

TEST_CASE("the index of a segment knows its last compaction, and its footer too", "[wire]") {
    wire::SegmentIndex index({42, Offset(300)});
    CHECK_FALSE(index.compaction);
    index.add(frame_of(some));
    CHECK(index.compaction == 42);
    const Bytes footer = wire::encode_footer(index);
    const std::uint64_t file_size = index.bytes + footer.size();
    const auto trailer =
        wire::decode_trailer(footer.view().last(wire::SegmentFooter::trailer_size), file_size);
    REQUIRE(trailer);
    CHECK(wire::decode_footer(footer.view().first(trailer->body_bytes), *trailer,
                              {GroupId(7), index.first}) == index);
    index.compaction = 43;
    const Bytes bad = wire::encode_footer(index);
    const auto other =
        wire::decode_trailer(bad.view().last(wire::SegmentFooter::trailer_size), file_size);
    CHECK_FALSE(wire::decode_footer(bad.view().first(other->body_bytes), *other,
                                    {GroupId(7), index.first}));
}
