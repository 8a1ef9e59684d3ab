#include "core/wire/peer.h"

#include "core/base/crc32c.h"

namespace pyralog::wire {

namespace {

constexpr std::uint32_t magic = 0x50595250; // "PYRP"

// Around every message: group, which body it is, and the number of frames.
constexpr std::size_t message_overhead = 64;

struct RawHeader {
    std::uint32_t magic = 0, body_size = 0, body_crc = 0, own_crc = 0;
};

template <class Codec>
void describe(Codec& field, RawHeader& h) {
    field(h.magic, h.body_size, h.body_crc, h.own_crc);
}

std::uint32_t crc_of_first_twelve(std::span<const std::byte> header) {
    return crc32c(header.first(12));
}

template <class Body>
BytesChain with_header(const Body& body) {
    BytesChain chain = encode_chain(body);
    RawHeader raw{magic, static_cast<std::uint32_t>(size_of(chain)), crc32c(chain), 0};
    raw.own_crc = crc_of_first_twelve(encode(raw).view());
    chain.insert(chain.begin(), encode(raw));
    return chain;
}

template <class Body>
Result<Body> body_from(const PeerHeader& header, Bytes body) {
    if (body.size() != header.body_size || crc32c(body.view()) != header.body_crc)
        return Error::corrupt;
    return decode<Body>(std::move(body));
}

template <class Codec, std::size_t... Is>
void describe_body(Codec& field, PeerBody& body, std::index_sequence<Is...>) {
    auto which = static_cast<std::uint8_t>(body.index());
    field(which);
    if constexpr (Codec::reads) {
        field.require(which < sizeof...(Is));
        ((which == Is ? (void)body.template emplace<Is>() : (void)0), ...);
    }
    std::visit([&](auto& alternative) { field(alternative); }, body);
}

} // namespace

template <class Codec>
void describe(Codec& field, Frame& f) {
    field(f.kind, f.term, f.first, f.records, f.payload_crc, f.payload);
}

template <class Codec>
void describe(Codec& field, PeerMessage& m) {
    field(m.group);
    describe_body(field, m.body, std::make_index_sequence<std::variant_size_v<PeerBody>>());
    field(m.frames);
}

template <class Codec>
void describe(Codec& field, Packet& p) {
    field(p.messages);
}

std::size_t size_of(const PeerMessage& message) {
    std::size_t total = message_overhead;
    for (const Frame& frame : message.frames)
        total += Frame::header_size + pyralog::size_of(frame.payload);
    if (const auto* forward = std::get_if<Forward>(&message.body)) total += forward->command.size();
    return total;
}

BytesChain to_peer(const Hello& hello) { return with_header(hello); }
BytesChain to_peer(const Packet& packet) { return with_header(packet); }

Result<PeerHeader> peer_header(std::span<const std::byte> bytes, std::size_t body_size_max) {
    const RawHeader raw = TRY(decode<RawHeader>(Bytes::copy_of(bytes)));
    if (raw.magic != magic || raw.own_crc != crc_of_first_twelve(bytes)) return Error::malformed;
    if (raw.body_size > body_size_max) return Error::malformed;
    return PeerHeader{raw.body_size, raw.body_crc};
}

Result<Hello> hello_from(const PeerHeader& header, Bytes body) {
    return body_from<Hello>(header, std::move(body));
}

Result<Packet> packet_from(const PeerHeader& header, Bytes body) {
    Packet packet = TRY(body_from<Packet>(header, std::move(body)));
    for (PeerMessage& message : packet.messages) {
        for (Frame& frame : message.frames) {
            frame.group = message.group;
            if (!frame.is_entry() || !is_sensible(frame)) return Error::malformed;
            if (crc32c(frame.payload) != frame.payload_crc) return Error::corrupt;
        }
    }
    return packet;
}

} // namespace pyralog::wire
