// core/wire/peer.h
//
// What nodes send each other. A stream carries messages one way only, from the node that connected:
//
//     connector  Hello ──────────→  acceptor
//                ←────────── Hello            (or the stream ends: not of this cluster)
//                Packet Packet Packet ... →
//                ←── + ── + ── + ...          (signs of life, a byte each)
//
// Hello and Packet are a header of 16 bytes and a body, whose size and checksum are in the header:
//
//     u32 magic | u32 body size | u32 CRC-32C of the body | u32 CRC-32C of these 12 bytes
//
// A packet holds the messages that had gathered when it was sent. The payloads of frames are
// slices of what the log holds; they are not copied.
#pragma once

#include "core/base/result.h"
#include "core/wire/codec.h"
#include "core/wire/compaction.h"
#include "core/wire/frame.h"
#include "core/wire/raft.h"

#include <array>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace pyralog::wire {

struct Hello {
    static constexpr std::int16_t protocol = 1;

    std::int16_t version = protocol;
    std::string cluster;
    NodeId node;
    std::uint64_t incarnation = 0; // Drawn anew at each start.
    std::string kafka_host;        // Where clients reach this node.
    std::uint16_t kafka_port = 0;
    std::string grpc;            // The same for gRPC, as host:port. Empty: nowhere.
    std::uint64_t disk = 0;      // The number of its disk, drawn once. Zero: it is not told.
    std::uint64_t remembers = 0; // Of whoever hears this: the disk that was met last. Zero: none.
    std::uint64_t replaces = 0;  // And the one that he remembers, if this disk stands for it.
};

template <class Codec>
void describe(Codec& field, Hello& h) {
    field(h.version, h.cluster, h.node, h.incarnation, h.kafka_host, h.kafka_port, h.grpc, h.disk,
          h.remembers, h.replaces);
}

// A request to the leader of a group, from a node that is not: what is to be proposed there.
struct Forward {
    std::uint64_t id = 0; // Of the sender's; comes back in the reply.
    Bytes command;
};

template <class Codec>
void describe(Codec& field, Forward& f) {
    field(f.id, f.command);
}

struct ForwardReply {
    std::uint64_t id = 0;
    std::uint8_t outcome = 0; // Zero, or one more than the value of an Error.
    Bytes answer;
};

template <class Codec>
void describe(Codec& field, ForwardReply& r) {
    field(r.id, r.outcome, r.answer);
}

// Who leads, said to everybody by the leader itself: nodes without a replica have no other way to
// know. The highest term counts.
struct Leadership {
    Term term;
    bool leads = false;
};

template <class Codec>
void describe(Codec& field, Leadership& l) {
    field(l.term, l.leads);
}

// From a replica that has lost what stood at [first, end) of its log.
struct FramesRequest {
    Position first;
    Position end;
    // Zero: whatever is committed there. Else it is one entry, of this term and with this sum of
    // its payload, committed or not.
    Term term;
    std::uint32_t payload_crc = 0;
};

template <class Codec>
void describe(Codec& field, FramesRequest& r) {
    field(r.first, r.end, r.term, r.payload_crc);
}

// The frames follow it: some from the first on that was asked for. None says nothing: whoever
// answers may not have it, or not know that it is committed, or have lost it as well.
struct FramesReply {
    Position first;      // Of the request.
    Compacted compacted; // How far the log is that they come from.
};

template <class Codec>
void describe(Codec& field, FramesReply& r) {
    field(r.first, r.compacted);
}

// How far is your log compacted? So far it is, durably.
struct CompactedRequest {};

template <class Codec>
void describe(Codec&, CompactedRequest&) {}

struct CompactedReply {
    Compacted compacted;
};

template <class Codec>
void describe(Codec& field, CompactedReply& r) {
    field(r.compacted);
}

// To the leader of a group: let this node lead it.
struct HandOver {
    NodeId to;
};

template <class Codec>
void describe(Codec& field, HandOver& h) {
    field(h.to);
}

// An alternative's place in this list is its number in a packet.
using PeerBody =
    std::variant<VoteRequest, VoteReply, AppendRequest, AppendReply, Forward, ForwardReply,
                 Leadership, FramesRequest, FramesReply, ResetRequest, CompactedRequest,
                 CompactedReply, StandRequest, HandOver, TermRequest, TermReply>;

struct PeerMessage {
    GroupId group;
    PeerBody body;
    std::vector<Frame> frames; // Of an AppendRequest, whose entries they tell; of a FramesReply.
};

struct Packet {
    std::vector<PeerMessage> messages;
};

// What the message takes on the wire, nearly; for the bounds of queues.
std::size_t size_of(const PeerMessage& message);

struct PeerHeader {
    static constexpr std::size_t size = 16;
    std::uint32_t body_size = 0;
    std::uint32_t body_crc = 0;
};

// A header and its body, to be written in one go.
BytesChain to_peer(const Hello& hello);
BytesChain to_peer(const Packet& packet);

// Error::malformed if these are not 16 bytes of ours, or announce more than `body_size_max`.
Result<PeerHeader> peer_header(std::span<const std::byte> bytes, std::size_t body_size_max);

// Error::corrupt if the checksum is wrong, of the body or of a payload in it. Error::malformed if a
// frame is none that a log can hold.
Result<Hello> hello_from(const PeerHeader& header, Bytes body);
Result<Packet> packet_from(const PeerHeader& header, Bytes body);

} // namespace pyralog::wire
