#include "core/wire/frame.h"

#include "core/base/crc32c.h"
#include "core/wire/fixed.h"
#include "core/wire/golden_test.h"

#include <cstring>
#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>

using namespace pyralog;
using wire::Frame;

namespace {

using Header = std::span<const std::byte, Frame::header_size>;

Header header_of(const Bytes& bytes) { return Header(bytes.view().first(Frame::header_size)); }

Frame some_frame() {
    Frame frame;
    frame.group = GroupId(7);
    frame.term = Term(3);
    frame.first = {12, Offset(100)};
    frame.records = 5;
    frame.payload = {Bytes::copy_of("hello"), Bytes::copy_of(", world")};
    return frame;
}

} // namespace

TEST_CASE("a frame in a file has the bytes in FORMATS.md", "[wire]") {
    const Frame frame = some_frame();
    Buffer stored(wire::stored_size(frame));
    std::memset(stored.data(), 0, stored.size());
    wire::encode_header(frame, stored.view().first<Frame::header_size>());
    const Bytes payload = joined(frame.payload);
    std::memcpy(stored.data() + Frame::header_size, payload.data(), payload.size());
    const Bytes bytes = std::move(stored).freeze();
    CHECK(wire::hex_of(bytes) == wire::golden("frame", bytes));
    CHECK(wire::decode_header(header_of(bytes)).ok());
}

TEST_CASE("an extent has the bytes in FORMATS.md, and each bit of them counts", "[wire]") {
    Frame frame = some_frame();
    frame.round = 9;
    frame.place = {12, 64};
    Buffer stored(wire::extent_size);
    wire::encode_extent(frame, stored.view().first<wire::extent_size>());
    const Bytes bytes = std::move(stored).freeze();
    CHECK(wire::hex_of(bytes) == wire::golden("frame_extent", bytes));
    // In the journal, and nowhere else.
    CHECK(!wire::decode_header(header_of(bytes)).ok());
    CHECK(!wire::decode_header_in_segment(header_of(bytes)).ok());
    const auto decoded = wire::decode_header_in_journal(header_of(bytes));
    REQUIRE(decoded.ok());
    CHECK(decoded.value().form == wire::FrameForm::extent);
    CHECK(decoded.value().payload_size == size_of(frame.payload));
    CHECK(decoded.value().frame.payload_crc == crc32c(frame.payload));
    CHECK(wire::decode_place(bytes.view().first<wire::extent_size>()) == frame.place);
    for (std::size_t bit = 8 * Frame::header_size; bit < 8 * (wire::extent_size - 4); ++bit) {
        Buffer bad(wire::extent_size);
        std::memcpy(bad.data(), bytes.data(), wire::extent_size);
        bad.view()[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
        CHECK(!wire::decode_place(bad.view().first<wire::extent_size>()).is_known());
    }
}

TEST_CASE("what is ahead in a segment is not taken for anything else", "[wire]") {
    Buffer bytes(Frame::header_size);
    const auto into = bytes.view().first<Frame::header_size>();
    wire::encode_header(some_frame(), into, wire::FrameForm::ahead);
    CHECK(!wire::decode_header(Header(into)).ok());
    CHECK(!wire::decode_header_in_journal(Header(into)).ok());
    const auto decoded = wire::decode_header_in_segment(Header(into));
    REQUIRE(decoded.ok());
    CHECK(decoded.value().form == wire::FrameForm::ahead);
    Frame vote = some_frame();
    vote.kind = Frame::Kind::vote;
    vote.records = 0;
    wire::encode_header(vote, into, wire::FrameForm::ahead);
    CHECK(!wire::decode_header_in_segment(Header(into)).ok());
}

TEST_CASE("a frame's header reads back as it was written", "[wire]") {
    rc::prop("any frame", [] {
        Frame frame;
        frame.group = GroupId(*rc::gen::inRange<std::int64_t>(0, INT64_MAX));
        frame.term = Term(*rc::gen::inRange<std::int32_t>(0, INT32_MAX));
        frame.first.index = *rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << 62);
        frame.first.offset = Offset(*rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << 62));
        frame.records = *rc::gen::inRange<std::int32_t>(1, INT32_MAX);
        frame.round = *rc::gen::arbitrary<std::uint64_t>();
        const auto text = *rc::gen::arbitrary<std::string>();
        frame.payload = {Bytes::copy_of(text)};
        const auto decoded = wire::decode_header(header_of(wire::encode_header(frame)));
        RC_ASSERT(decoded.ok());
        const wire::FrameHeader& header = decoded.value();
        RC_ASSERT(header.payload_size == text.size());
        RC_ASSERT(header.frame.kind == frame.kind && header.frame.group == frame.group);
        RC_ASSERT(header.frame.term == frame.term && header.frame.first == frame.first);
        RC_ASSERT(header.frame.records == frame.records && header.frame.round == frame.round);
        RC_ASSERT(header.frame.payload_crc == crc32c(frame.payload));
    });
}

TEST_CASE("every single flipped bit of a header is noticed", "[wire]") {
    const Bytes good = wire::encode_header(some_frame());
    for (std::size_t bit = 0; bit < 8 * Frame::header_size; ++bit) {
        Buffer bad(Frame::header_size);
        std::memcpy(bad.data(), good.data(), Frame::header_size);
        bad.view()[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
        CHECK(!wire::decode_header(header_of(std::move(bad).freeze())).ok());
    }
}

TEST_CASE("a payload that is not the one that was summed is noticed", "[wire]") {
    Frame frame = some_frame();
    frame.payload_crc = crc32c(frame.payload);
    CHECK(wire::payload_intact(frame));
    frame.payload.back() = Bytes::copy_of(", World");
    CHECK(!wire::payload_intact(frame));
}

TEST_CASE("a header with a right sum and senseless numbers is refused", "[wire]") {
    // Offset, size in bytes and value of a field; the sum is made right again.
    struct Lie {
        std::size_t at;
        std::size_t size;
        std::int64_t value;
    };
    for (const Lie lie :
         {Lie{8, 4, 64 * 1024 * 1024 + 1}, Lie{12, 1, 2}, Lie{13, 1, 0}, Lie{13, 1, 99},
          Lie{14, 2, 1}, Lie{16, 8, -1}, Lie{24, 8, -1}, Lie{24, 8, INT64_MAX}, Lie{32, 8, -5},
          Lie{48, 4, -1}, Lie{52, 4, 0}, Lie{52, 4, -1}}) {
        Buffer bytes(Frame::header_size);
        wire::encode_header(some_frame(), bytes.view().first<Frame::header_size>());
        for (std::size_t i = 0; i < lie.size; ++i)
            bytes.view()[lie.at + i] =
                static_cast<std::byte>(lie.value >> (8 * (lie.size - 1 - i)) & 0xff);
        wire::FixedWriter(bytes.view()).put(crc32c(bytes.view().subspan(4)));
        INFO("at " << lie.at);
        CHECK(!wire::decode_header(header_of(std::move(bytes).freeze())).ok());
    }
}
