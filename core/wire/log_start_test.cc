#include "core/wire/log_start.h"

#include "core/wire/golden_test.h"

#include <cstring>
#include <limits>

#include <catch2/catch.hpp>

using namespace pyralog;
using wire::Frame;
using wire::Trim;

namespace {

Bytes stored(const Frame& frame) {
    const Bytes payload = joined(frame.payload);
    Buffer bytes(Frame::header_size + payload.size());
    wire::encode_header(frame, bytes.view().first<Frame::header_size>());
    std::memcpy(bytes.data() + Frame::header_size, payload.data(), payload.size());
    return std::move(bytes).freeze();
}

Frame trim_frame(const Trim& trim) {
    Frame frame;
    frame.kind = Frame::Kind::trim;
    frame.group = GroupId(7);
    frame.term = Term(3);
    frame.first = {42, Offset(300)};
    frame.payload = wire::trim_payload(trim);
    return frame;
}

} // namespace

TEST_CASE("a trim and a start have the bytes in FORMATS.md", "[wire]") {
    const Bytes trim = stored(trim_frame({{12, Offset(100)}, Offset(102)}));
    CHECK(wire::hex_of(trim) == wire::golden("frame_trim", trim));
    Frame frame = wire::start_frame(GroupId(7), {{12, Offset(100)}, Term(2), Offset(102)});
    frame.round = 9;
    const Bytes start = stored(frame);
    CHECK(wire::hex_of(start) == wire::golden("frame_start", start));
}

TEST_CASE("what a trim says comes back, and may not lie behind it", "[wire]") {
    for (const Trim& good : {Trim{{12, Offset(100)}, Offset(102)},
                             {{42, Offset(300)}, Offset(300)},
                             {{0, Offset(0)}, Offset(0)}})
        CHECK(wire::trim_of(trim_frame(good)).value() == good);
    for (const Trim& bad : {Trim{{43, Offset(300)}, Offset(300)},
                            {{42, Offset(301)}, Offset(301)},
                            {{12, Offset(100)}, Offset(301)},
                            {{12, Offset(100)}, Offset(99)},
                            {{-1, Offset(100)}, Offset(100)},
                            {{12, Offset(-1)}, Offset(0)}})
        CHECK(wire::trim_of(trim_frame(bad)).error() == Error::corrupt);
    Frame longer = trim_frame({{12, Offset(100)}, Offset(102)});
    longer.payload.push_back(Bytes::copy_of("x"));
    CHECK(wire::trim_of(longer).error() == Error::corrupt);
}

TEST_CASE("what a start says comes back, and its record is not before its place", "[wire]") {
    const LogStart start{{12, Offset(100)}, Term(2), Offset(102)};
    CHECK(wire::start_of(wire::start_frame(GroupId(7), start)).value() == start);
    constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
    CHECK_FALSE(LogStart{{12, Offset(100)}, Term(2), Offset(99)}.is_sensible());
    CHECK(LogStart{{12, Offset(100)}, Term(2), Offset(100 + most)}.is_sensible());
    CHECK_FALSE(LogStart{{12, Offset(100)}, Term(2), Offset(101 + most)}.is_sensible());
    Frame more = wire::start_frame(GroupId(7), start);
    more.payload.push_back(Bytes::copy_of("x"));
    CHECK(wire::start_of(more).error() == Error::corrupt);
    CHECK(wire::start_of(wire::without_payload(more)).error() == Error::corrupt);
}
