// What comes from another node: a header of 16 bytes and a body. With the first byte odd, size and
// sums of the header are set right first; a frame's own checksum is not.
#include "core/base/crc32c.h"
#include "core/wire/fixed.h"
#include "core/wire/peer.h"
#include "fuzz/frames.h"
#include "fuzz/target.h"

namespace pyralog::fuzz {

namespace {

constexpr std::size_t body_max = 1_MiB;

void mend_packet(Image& message) {
    if (message.size() < wire::PeerHeader::size) return;
    const std::span<std::byte> bytes(message);
    const auto body = bytes.subspan(wire::PeerHeader::size);
    wire::FixedWriter(bytes.subspan(4))
        .put(static_cast<std::uint32_t>(body.size()))
        .put(crc32c(body))
        .put(crc32c(bytes.first(12)));
}

// The last sum counts what was put before it.
void mend_twice(Image& message) {
    mend_packet(message);
    mend_packet(message);
}

// What was understood is written as it would be sent, and that must be understood as the same.
template <class Message, class Read>
bool reads(const wire::PeerHeader& header, const Bytes& body, const Read& read) {
    const Result<Message> message = read(header, body);
    if (!message.ok()) return false;
    const Bytes sent = joined(wire::to_peer(message.value()));
    const auto sent_header =
        wire::peer_header(sent.view().first(wire::PeerHeader::size), 2 * body_max);
    CHECK(sent_header.ok());
    const Bytes sent_body =
        sent.slice(wire::PeerHeader::size, sent.size() - wire::PeerHeader::size);
    const Result<Message> again = read(sent_header.value(), sent_body);
    CHECK(again.ok() && joined(wire::to_peer(again.value())).text() == sent.text());
    return true;
}

// A change of one byte anywhere does not get through.
void check_one_change(Image image, std::size_t position, std::byte mask) {
    if (mask == std::byte{0}) return;
    image[position % image.size()] ^= mask;
    const Bytes bytes = bytes_of(image);
    const auto header = wire::peer_header(bytes.view().first(wire::PeerHeader::size), body_max);
    if (!header.ok()) return;
    const Bytes body = bytes.slice(wire::PeerHeader::size, bytes.size() - wire::PeerHeader::size);
    CHECK(!wire::packet_from(header.value(), body).ok());
    CHECK(!wire::hello_from(header.value(), body).ok());
}

} // namespace

bool run_peer_packet(std::span<const std::byte> bytes) {
    Input input(bytes);
    const std::uint8_t how = input.byte();
    const std::size_t position = input.number(2);
    const auto mask = static_cast<std::byte>(input.byte());
    const Bytes given = input.all();
    Image image(given.view().begin(), given.view().end());
    if (how % 2 == 1) mend_twice(image);
    if (image.size() < wire::PeerHeader::size) return false;
    const Bytes all = bytes_of(image);
    const auto header = wire::peer_header(all.view().first(wire::PeerHeader::size), body_max);
    if (!header.ok() || header.value().body_size > all.size() - wire::PeerHeader::size)
        return false;
    const Bytes body = all.slice(wire::PeerHeader::size, header.value().body_size);
    const bool packet = reads<wire::Packet>(header.value(), body, wire::packet_from);
    const bool hello = reads<wire::Hello>(header.value(), body, wire::hello_from);
    if (packet || hello) {
        image.resize(wire::PeerHeader::size + body.size());
        check_one_change(std::move(image), position, mask);
    }
    return packet || hello;
}

} // namespace pyralog::fuzz
