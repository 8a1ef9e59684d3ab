// raft/transport.h
//
// Two streams to each peer and two from each: connect, hello, packets. What has gathered while one
// packet was being written goes into the next. Messages may be lost, never garbled, and those on
// one stream keep their order while it lives; Raft asks for no more.
//
// Entries have a stream of their own. They fill a slow link for seconds, and who leads must be told
// several times a second: behind them heartbeats came too late, and each new leader sent the same
// entries again and was deposed in its turn.
//
// Everything is bounded: a queue to a peer that holds `queue_bytes_max` takes no more, and what is
// dropped is counted. Raft sends again what matters.
#pragma once

#include "core/base/config.h"
#include "core/env/environment.h"
#include "core/wire/peer.h"
#include "raft/acquaintance.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace pyralog::raft {

struct TransportConfig {
    std::size_t packet_bytes_max = 8_MiB;
    std::size_t queue_bytes_max = 32_MiB;
    Duration keepalive_interval = 1s;
    Duration silence_max = 5s;
    Duration connect_timeout = 2s;
    Duration reconnect_delay_max = 1s;

    template <class Visitor>
    void describe(Visitor& setting) {
        setting("peer.packet_bytes_max", packet_bytes_max, Bounds<std::size_t>{64_KiB, 64_MiB},
                "A packet to a peer is closed when it has grown to this size.");
        setting(
            "peer.queue_bytes_max", queue_bytes_max, Bounds<std::size_t>{256_KiB, 1_GiB},
            "What may wait on one of the two streams to a peer; more is dropped and sent again.");
        setting("peer.keepalive_interval", keepalive_interval, Bounds<Duration>{50ms, 60s},
                "How often an idle stream to a peer says that it is alive.");
        setting("peer.silence_max", silence_max, Bounds<Duration>{200ms, 300s},
                "A stream to or from a peer on which nothing comes for this long is closed.");
        setting("peer.connect_timeout", connect_timeout, Bounds<Duration>{50ms, 60s},
                "How long connecting and saying hello to a peer may take.");
        setting("peer.reconnect_delay_max", reconnect_delay_max, Bounds<Duration>{10ms, 60s},
                "The longest pause before the next attempt to reach a peer.");
    }
};

class Transport {
public:
    struct Peer {
        NodeId node;
        Address address;
    };
    // Called on the fiber that reads from that peer. Must not wait.
    using Receive = std::function<void(NodeId from, wire::PeerMessage message)>;
    using Connected = std::function<void(NodeId peer)>;

    // `self` is what peers are told. `peers` is everybody else.
    // With `disks`, those of peers are told apart, and an old one is not heard.
    Transport(Environment&, const TransportConfig&, wire::Hello self, std::vector<Peer> peers,
              Acquaintance* disks = nullptr);

    // Both before run(). `connected` is told when the prompt stream to a peer has come up.
    void on_receive(Receive receive) { receive_ = std::move(receive); }
    void on_connected(Connected connected) { connected_ = std::move(connected); }

    // Listens on `local` and talks to everybody until cancelled.
    Result<> run(std::unique_ptr<Listener> listener);

    // What takes the stream of entries: messages with frames, and what must not overtake them.
    enum class Lane : std::uint8_t { prompt, entries };

    // Queues; does not wait. What cannot be sent is dropped: false.
    bool send(NodeId to, wire::PeerMessage message, Lane lane = Lane::prompt);

    // Is the prompt stream to this peer up?
    bool connected(NodeId peer) const;

    // For those who look on: how it is with each peer.
    struct PeerState {
        NodeId node;
        Address address;
        bool is_connected = false;   // As above,
        Time since;                  // from then on.
        std::size_t queue_bytes = 0; // What waits to be sent, on both streams.
    };
    std::vector<PeerState> peers() const;

    // Where clients reach a peer, once it has said so.
    const std::map<NodeId, Address>& kafka_addresses() const { return kafka_addresses_; }
    // The same by gRPC: host:port, or empty if they do not.
    const std::map<NodeId, std::string>& grpc_addresses() const { return grpc_addresses_; }

private:
    static constexpr Lane lanes[] = {Lane::prompt, Lane::entries};
    struct Outgoing {
        Outgoing(Environment& env, Peer p, Lane l)
            : peer(std::move(p)), lane(l), since(env.clock.now()), changed(env.fibers) {}
        const Peer peer;
        const Lane lane;
        std::deque<wire::PeerMessage> queue;
        std::size_t queue_bytes = 0;
        bool connected = false;
        Time since; // It is, or is not.
        Condition changed;
    };

    bool queue(NodeId to, wire::PeerMessage message, Lane lane);
    void keep_connected(Outgoing& to);
    Result<> talk(Outgoing& to);
    Result<> write_packets(Outgoing& to, Stream& stream);
    Result<> write_packet(Outgoing& to, Stream& stream);
    Result<> accept_all(Listener& listener, Scope& scope);
    Result<> listen_to(Stream& stream);
    Result<> hear(Stream& stream, std::span<std::byte> into, Time& sign_due);
    wire::Hello hello_to(NodeId peer) const;
    bool is_known(const wire::Hello& peer) const;
    Result<wire::Hello> greet(Stream& stream);
    Result<wire::Hello> read_hello(Stream& stream);
    void learn(const wire::Hello& peer);

    Environment& env_;
    const TransportConfig& config_;
    const wire::Hello self_;
    const Bytes sign_; // Of life: what is sent back over a stream on which something has come.
    const std::size_t peer_count_;
    Acquaintance* const disks_;
    std::map<std::pair<NodeId, Lane>, std::unique_ptr<Outgoing>> outgoing_;
    std::map<NodeId, Address> kafka_addresses_;
    std::map<NodeId, std::string> grpc_addresses_;
    std::size_t incoming_count_ = 0;
    Receive receive_;
    Connected connected_;
    Metrics::Counter sent_bytes_;
    Metrics::Counter received_bytes_;
    Metrics::Counter sent_packets_;
    Metrics::Counter dropped_;
    Metrics::Counter refused_;
    Metrics::Counter lost_;
};

} // namespace pyralog::raft
