#include "core/wire/peer.h"

#include "core/base/crc32c.h"
#include "core/wire/arbitrary_test.h"
#include "core/wire/golden_test.h"

#include <algorithm>
#include <cstring>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::wire;

namespace {

constexpr std::size_t body_size_max = 1_MiB;

// What a reader of a stream does with the bytes of one packet, or of what should be one.
template <class T>
Result<T> read_as(const Bytes& bytes, Result<T> (*from)(const PeerHeader&, Bytes)) {
    if (bytes.size() < PeerHeader::size) return Error::disconnected;
    const PeerHeader header = TRY(peer_header(bytes.view().first(PeerHeader::size), body_size_max));
    if (bytes.size() - PeerHeader::size < header.body_size) return Error::disconnected;
    return from(header, bytes.slice(PeerHeader::size, header.body_size));
}
Result<Packet> read_packet(const Bytes& bytes) { return read_as(bytes, packet_from); }
Result<Hello> read_hello(const Bytes& bytes) { return read_as(bytes, hello_from); }

Bytes bytes_of(const Packet& packet) { return joined(to_peer(packet)); }

Bytes flipped(const Bytes& good, std::size_t bit) {
    Buffer bad(good.size());
    std::memcpy(bad.data(), good.data(), good.size());
    bad.view()[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    return std::move(bad).freeze();
}

// Both sums of a header are right, whatever the body is.
Bytes with_right_sums(const Bytes& body) {
    const auto size = static_cast<std::uint32_t>(body.size());
    const std::uint32_t magic = 0x50595250;
    const std::uint32_t sum = crc32c(body.view());
    const Bytes twelve = joined({encode(magic), encode(size), encode(sum)});
    return joined({twelve, encode(crc32c(twelve.view())), body});
}

Frame records_frame() {
    Frame frame;
    frame.group = GroupId(7);
    frame.term = Term(3);
    frame.first = {12, Offset(100)};
    frame.records = 5;
    frame.payload = {Bytes::copy_of("hello, world")};
    frame.payload_crc = crc32c(frame.payload);
    return frame;
}

PeerMessage append_of(std::vector<Frame> frames) {
    AppendRequest request;
    request.term = Term(4);
    request.first = {12, Offset(100)};
    request.previous_term = Term(2);
    request.committed = {11, Offset(95)};
    request.context = 9;
    request.search = 3;
    return {GroupId(7), request, std::move(frames)};
}

Packet one_append() {
    Packet packet;
    packet.messages.push_back(append_of({records_frame()}));
    return packet;
}

// One message of each kind; the append has a frame of each kind that may be in a log.
Packet one_of_each() {
    Frame term_start;
    term_start.kind = Frame::Kind::term_start;
    term_start.group = GroupId(7);
    term_start.term = Term(4);
    term_start.first = records_frame().end();
    Frame members;
    members.kind = Frame::Kind::members;
    members.group = GroupId(7);
    members.term = Term(4);
    members.first = term_start.end();
    members.payload = {
        encode(Members{.voters = {NodeId(1), NodeId(2)}, .outgoing = {}, .learners = {}})};
    members.payload_crc = crc32c(members.payload);
    Packet packet;
    const GroupId group(7);
    packet.messages.push_back({group, VoteRequest{Term(3), true, Term(2), {5, Offset(6)}}, {}});
    packet.messages.push_back({group, VoteReply{Term(3), false, true}, {}});
    packet.messages.push_back(append_of({records_frame(), term_start, members}));
    packet.messages.push_back(
        {group, AppendReply{Term(4), true, {13, Offset(105)}, Term(3), 9, 3}, {}});
    packet.messages.push_back({group, Forward{21, Bytes::copy_of("create")}, {}});
    packet.messages.push_back({group, ForwardReply{21, 10, Bytes::copy_of("no")}, {}});
    packet.messages.push_back({group, Leadership{Term(4), true}, {}});
    packet.messages.push_back(
        {group, FramesRequest{{5, Offset(6)}, {6, Offset(9)}, Term(2), 0x12345678}, {}});
    const Compacted compacted{{4, Offset(5)}, Offset(3)};
    packet.messages.push_back(
        {group, FramesReply{records_frame().first, compacted}, {records_frame()}});
    packet.messages.push_back(
        {group,
         ResetRequest{Term(4), {{12, Offset(100)}, Term(3), Offset(101)}, {13, Offset(105)}, 9},
         {}});
    packet.messages.push_back({group, CompactedRequest{}, {}});
    packet.messages.push_back({group, CompactedReply{compacted}, {}});
    packet.messages.push_back({group, StandRequest{Term(4)}, {}});
    packet.messages.push_back({group, HandOver{NodeId(3)}, {}});
    packet.messages.push_back({group, TermRequest{}, {}});
    packet.messages.push_back({group, TermReply{Term(4), true}, {}});
    return packet;
}

Hello some_hello() {
    Hello hello;
    hello.cluster = "log";
    hello.node = NodeId(2);
    hello.incarnation = 0x1122334455667788;
    hello.kafka_host = "b.example";
    hello.kafka_port = 9092;
    hello.grpc = "b.example:9095";
    return hello;
}

void check_same(const Frame& a, const Frame& b) {
    CHECK(a.kind == b.kind);
    CHECK(a.group == b.group);
    CHECK(a.term == b.term);
    CHECK(a.first == b.first);
    CHECK(a.records == b.records);
    CHECK(a.payload_crc == b.payload_crc);
    CHECK(joined(a.payload).text() == joined(b.payload).text());
}

void check_same(const PeerMessage& a, const PeerMessage& b) {
    CHECK(a.group == b.group);
    REQUIRE(a.body.index() == b.body.index());
    std::visit(
        [&](const auto& body) {
            const auto& other = std::get<std::decay_t<decltype(body)>>(b.body);
            CHECK(encode(body).text() == encode(other).text());
        },
        a.body);
    REQUIRE(a.frames.size() == b.frames.size());
    for (std::size_t i = 0; i < a.frames.size(); ++i) check_same(a.frames[i], b.frames[i]);
}

} // namespace

TEST_CASE("a hello and a packet have the bytes in FORMATS.md", "[wire]") {
    const Bytes hello = joined(to_peer(some_hello()));
    CHECK(hex_of(hello) == golden("peer_hello", hello));
    CHECK(read_hello(bytes_of_hex(golden("peer_hello", hello))).ok());
    const Bytes packet = bytes_of(one_append());
    CHECK(hex_of(packet) == golden("peer_packet", packet));
    CHECK(read_packet(bytes_of_hex(golden("peer_packet", packet))).ok());
}

TEST_CASE("a hello comes back as it went", "[wire]") {
    const Result<Hello> read = read_hello(joined(to_peer(some_hello())));
    REQUIRE(read.ok());
    CHECK(encode(read.value()).text() == encode(some_hello()).text());
    CHECK(read.value().version == Hello::protocol);
    CHECK(read.value().kafka_port == 9092);
    CHECK(read.value().grpc == "b.example:9095");
}

TEST_CASE("messages of every kind come back as they went, with their frames", "[wire]") {
    const Packet sent = one_of_each();
    CHECK(sent.messages.size() == std::variant_size_v<PeerBody>);
    const Result<Packet> read = read_packet(bytes_of(sent));
    REQUIRE(read.ok());
    REQUIRE(read.value().messages.size() == sent.messages.size());
    for (std::size_t i = 0; i < sent.messages.size(); ++i) {
        INFO("message " << i);
        CHECK(sent.messages[i].body.index() == i);
        check_same(sent.messages[i], read.value().messages[i]);
    }
}

TEST_CASE("a packet without messages is one", "[wire]") {
    const Result<Packet> read = read_packet(bytes_of({}));
    REQUIRE(read.ok());
    CHECK(read.value().messages.empty());
}

TEST_CASE("a large payload is sent as it is, and not copied", "[wire]") {
    Frame frame = records_frame();
    frame.payload = {Bytes::copy_of(std::string(100'000, 'x'))};
    frame.payload_crc = crc32c(frame.payload);
    Packet packet;
    packet.messages.push_back(append_of({frame}));
    const BytesChain chain = to_peer(packet);
    const bool shared = std::any_of(chain.begin(), chain.end(), [&](const Bytes& part) {
        return part.data() == frame.payload.front().data();
    });
    CHECK(shared);
    CHECK(read_packet(joined(chain)).ok());
}

TEST_CASE("no beginning of a packet is taken for a packet", "[wire]") {
    const Bytes whole = bytes_of(one_of_each());
    const PeerHeader header =
        peer_header(whole.view().first(PeerHeader::size), body_size_max).value();
    for (std::size_t size = 0; size < PeerHeader::size; ++size)
        CHECK(peer_header(whole.view().first(size), body_size_max).error() == Error::malformed);
    for (std::size_t size = 0; size < header.body_size; ++size) {
        const Bytes body = whole.slice(PeerHeader::size, size);
        CHECK(packet_from(header, body).error() == Error::corrupt);
        // Nor if its sums are made right again.
        CHECK(read_packet(with_right_sums(body)).error() == Error::malformed);
    }
    const Bytes hello = joined(to_peer(some_hello()));
    for (std::size_t size = 0; size < hello.size() - PeerHeader::size; ++size)
        CHECK(!read_hello(with_right_sums(hello.slice(PeerHeader::size, size))).ok());
}

TEST_CASE("bytes after the last message make a packet malformed", "[wire]") {
    const Bytes whole = bytes_of(one_append());
    const Bytes body = whole.slice(PeerHeader::size, whole.size() - PeerHeader::size);
    CHECK(read_packet(with_right_sums(body)).ok());
    const Bytes longer = joined({body, Bytes::copy_of(std::string_view("\0", 1))});
    CHECK(read_packet(with_right_sums(longer)).error() == Error::malformed);
}

TEST_CASE("every single flipped bit of a packet is noticed", "[wire]") {
    const Bytes good = bytes_of(one_of_each());
    for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
        const Result<Packet> read = read_packet(flipped(good, bit));
        REQUIRE(!read.ok());
        const bool in_header = bit / 8 < PeerHeader::size;
        CHECK(read.error() == (in_header ? Error::malformed : Error::corrupt));
    }
    const Bytes hello = joined(to_peer(some_hello()));
    for (std::size_t bit = 0; bit < 8 * hello.size(); ++bit)
        CHECK(!read_hello(flipped(hello, bit)).ok());
}

TEST_CASE("a packet with right sums and a flipped bit is refused, or is another packet", "[wire]") {
    const Bytes good = bytes_of(one_of_each());
    const Bytes body = good.slice(PeerHeader::size, good.size() - PeerHeader::size);
    for (std::size_t bit = 0; bit < 8 * body.size(); ++bit) {
        const Result<Packet> read = read_packet(with_right_sums(flipped(body, bit)));
        if (!read.ok()) {
            CHECK((read.error() == Error::malformed || read.error() == Error::corrupt));
            continue;
        }
        // Whatever was read can be written again, to the journal too.
        CHECK(bytes_of(read.value()).size() == good.size());
        for (const PeerMessage& message : read.value().messages)
            for (const Frame& frame : message.frames)
                CHECK(decode_header(std::span<const std::byte, Frame::header_size>(
                                        encode_header(frame).view()))
                          .ok());
    }
}

TEST_CASE("a header that announces more than may come is malformed", "[wire]") {
    const Bytes whole = bytes_of(one_append());
    const auto head = whole.view().first(PeerHeader::size);
    const std::size_t body_size = whole.size() - PeerHeader::size;
    CHECK(peer_header(head, body_size).ok());
    CHECK(peer_header(head, body_size - 1).error() == Error::malformed);
}

TEST_CASE("a payload that is not the one that was summed makes a packet corrupt", "[wire]") {
    Frame frame = records_frame();
    ++frame.payload_crc;
    Packet packet;
    packet.messages.push_back(append_of({records_frame(), frame}));
    CHECK(read_packet(bytes_of(packet)).error() == Error::corrupt);
}

TEST_CASE("a frame that no log can hold makes a packet malformed", "[wire]") {
    const auto refused = [](auto spoil) {
        Frame frame = records_frame();
        spoil(frame);
        Packet packet;
        packet.messages.push_back(append_of({frame}));
        return !read_packet(bytes_of(packet)).ok();
    };
    CHECK(!refused([](Frame&) {}));
    CHECK(refused([](Frame& f) { f.kind = Frame::Kind::vote; }));
    CHECK(refused([](Frame& f) { f.kind = static_cast<Frame::Kind>(0); }));
    CHECK(refused([](Frame& f) { f.kind = static_cast<Frame::Kind>(9); }));
    CHECK(refused([](Frame& f) { f.kind = Frame::Kind::term_start; })); // With records.
    CHECK(refused([](Frame& f) { f.records = 0; }));
    CHECK(refused([](Frame& f) { f.records = -1; }));
    CHECK(refused([](Frame& f) { f.term = Term(-1); }));
    CHECK(refused([](Frame& f) { f.first.index = -1; }));
    CHECK(refused([](Frame& f) { f.first.index = INT64_MAX; }));
    CHECK(refused([](Frame& f) { f.first.offset = Offset(-1); }));
}

TEST_CASE("arbitrary bytes in a packet with right sums never crash", "[wire][model]") {
    Random random(17);
    for (int i = 0; i < 2000; ++i) {
        const std::size_t size = random.below(200);
        std::string text;
        for (std::size_t at = 0; at < size; ++at) text += static_cast<char>(random.below(256));
        const Bytes bytes = with_right_sums(Bytes::copy_of(text));
        (void)read_packet(bytes); // Whatever it says, it says it.
        (void)read_hello(bytes);
    }
}

TEST_CASE("arbitrary messages come back as they went", "[wire][model]") {
    Random random(18);
    for (int i = 0; i < 300; ++i) {
        Packet packet;
        packet.messages.push_back({GroupId(1), arbitrary<VoteRequest>(random), {}});
        packet.messages.push_back({GroupId(2), arbitrary<AppendRequest>(random), {}});
        packet.messages.push_back({GroupId(3), arbitrary<AppendReply>(random), {}});
        packet.messages.push_back({GroupId(4), arbitrary<Forward>(random), {}});
        packet.messages.push_back({GroupId(5), arbitrary<ForwardReply>(random), {}});
        packet.messages.push_back({GroupId(6), arbitrary<Leadership>(random), {}});
        packet.messages.push_back({GroupId(7), arbitrary<FramesRequest>(random), {}});
        packet.messages.push_back({GroupId(8), arbitrary<FramesReply>(random), {}});
        packet.messages.push_back({GroupId(9), arbitrary<ResetRequest>(random), {}});
        const Result<Packet> read = read_packet(bytes_of(packet));
        REQUIRE(read.ok());
        for (std::size_t at = 0; at < packet.messages.size(); ++at)
            check_same(packet.messages[at], read.value().messages[at]);
    }
}
