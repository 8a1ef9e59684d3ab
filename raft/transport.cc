#include "raft/transport.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"

#include <algorithm>

namespace pyralog::raft {

namespace {

// A peer reconnects before we have noticed that its last streams died; more than a few such
// leftovers are no peer of ours.
constexpr std::size_t incoming_per_peer_max = 8;
constexpr std::size_t hello_size_max = 4_KiB;
constexpr Duration reconnect_delay_min = 20ms;

} // namespace

Transport::Transport(Environment& env, const TransportConfig& config, wire::Hello self,
                     std::vector<Peer> peers, Acquaintance* disks)
    : env_(env), config_(config), self_(std::move(self)), sign_(Bytes::copy_of("+")),
      peer_count_(peers.size()), disks_(disks),
      sent_bytes_(env.metrics, "pyralog_peer_sent_bytes_total", "Bytes sent to peers."),
      received_bytes_(env.metrics, "pyralog_peer_received_bytes_total",
                      "Bytes received from peers."),
      sent_packets_(env.metrics, "pyralog_peer_sent_packets_total", "Packets sent to peers."),
      dropped_(env.metrics, "pyralog_peer_dropped_messages_total",
               "Messages to peers that did not fit into the queue or found no stream."),
      refused_(env.metrics, "pyralog_peer_refused_streams_total",
               "Streams from peers that were closed for what came over them."),
      lost_(env.metrics, "pyralog_peer_lost_streams_total",
            "Streams to peers that were up, and have ended.") {
    for (const Peer& peer : peers) {
        CHECK(peer.node != self_.node);
        for (const Lane lane : lanes)
            outgoing_.emplace(std::pair(peer.node, lane),
                              std::make_unique<Outgoing>(env_, peer, lane));
    }
}

Result<> Transport::run(std::unique_ptr<Listener> listener) {
    Scope scope(env_.fibers);
    for (auto& [where, to] : outgoing_)
        scope.spawn("peer out", [this, &to = *to] { keep_connected(to); });
    return accept_all(*listener, scope);
}

bool Transport::send(NodeId to, wire::PeerMessage message, Lane lane) {
    const bool queued = queue(to, std::move(message), lane);
    if (!queued) dropped_.add();
    return queued;
}

bool Transport::queue(NodeId to, wire::PeerMessage message, Lane lane) {
    const auto found = outgoing_.find({to, lane});
    if (found == outgoing_.end()) return false; // It has left the cluster.
    Outgoing& out = *found->second;
    const std::size_t size = wire::size_of(message);
    // Without a stream nothing is kept: it would be old when it arrived.
    // A single message may be larger than the bound, and would else never get through.
    SOMETIMES(!out.connected, "transport/dropped-without-a-stream");
    SOMETIMES(out.queue_bytes >= config_.queue_bytes_max, "transport/queue-full");
    SOMETIMES(size > config_.queue_bytes_max, "transport/message-larger-than-the-queue");
    if (!out.connected || out.queue_bytes >= config_.queue_bytes_max) return false;
    if (BUGGIFY("transport/says-queue-full", 10'000)) return false;
    out.queue_bytes += size;
    out.queue.push_back(std::move(message));
    if (out.queue.size() == 1) out.changed.notify_all();
    return true;
}

bool Transport::connected(NodeId peer) const {
    const auto found = outgoing_.find({peer, Lane::prompt});
    return found != outgoing_.end() && found->second->connected;
}

std::vector<Transport::PeerState> Transport::peers() const {
    std::vector<PeerState> peers; // In the order of outgoing_: the prompt stream comes first.
    for (const auto& [where, to] : outgoing_) {
        if (where.second == Lane::prompt)
            peers.push_back({to->peer.node, to->peer.address, to->connected, to->since, 0});
        peers.back().queue_bytes += to->queue_bytes;
    }
    return peers;
}

void Transport::learn(const wire::Hello& peer) {
    kafka_addresses_[peer.node] = Address{peer.kafka_host, peer.kafka_port};
    grpc_addresses_[peer.node] = peer.grpc;
}

// ---- To a peer ----

void Transport::keep_connected(Outgoing& to) {
    Duration delay = reconnect_delay_min;
    for (;;) {
        const Time began = env_.clock.now();
        const Result<> ended = talk(to);
        const bool was_up = to.connected;
        to.connected = false;
        if (was_up) to.since = env_.clock.now();
        if (was_up) lost_.add();
        to.queue.clear();
        to.queue_bytes = 0;
        if (ended.error() == Error::cancelled) return;
        env_.log.debug("stream to peer ended", {{"peer", to.peer.node}, {"error", ended.error()}});
        // A peer that was there a moment ago is asked again at once, and then ever more seldom.
        SOMETIMES(!was_up, "transport/could-not-connect");
        SOMETIMES(was_up && ended.error() == Error::timed_out, "transport/peer-went-silent");
        if (was_up && env_.clock.now() - began > config_.reconnect_delay_max)
            delay = reconnect_delay_min;
        if (BUGGIFY("transport/reconnects-late")) delay = config_.reconnect_delay_max;
        const Duration pause = env_.random.between(delay / 2, delay);
        if (!env_.fibers.sleep_until(env_.clock.now() + pause).ok()) return;
        delay = std::min(delay * 2, std::max(config_.reconnect_delay_max, reconnect_delay_min));
    }
}

// Always ends with an error: a stream to a peer is meant to last.
Result<> Transport::talk(Outgoing& to) {
    std::unique_ptr<Stream> stream;
    {
        const Deadline deadline(env_.fibers, env_.clock.now() + config_.connect_timeout);
        stream = TRY(env_.network.connect(to.peer.address));
        TRY(stream->write(wire::to_peer(hello_to(to.peer.node))));
        const wire::Hello answer = TRY(read_hello(*stream));
        if (answer.node != to.peer.node) {
            REACHABLE("transport/another-node-answers");
            env_.log.warning("another node answers at the address of a peer",
                             {{"peer", to.peer.node},
                              {"address", to_string(to.peer.address)},
                              {"answers", answer.node}});
            return Error::malformed;
        }
        if (disks_ && !TRY(disks_->meet(answer))) return Error::disconnected;
        // It hangs up if it remembers another disk; the next hello will say more.
        if (answer.remembers != hello_to(answer.node).disk) return Error::disconnected;
        learn(answer);
    }
    to.connected = true;
    to.since = env_.clock.now();
    env_.log.debug("stream to peer is up", {{"peer", to.peer.node}});
    if (connected_ && to.lane == Lane::prompt) connected_(to.peer.node);

    // The peer says every now and then that it hears us. Without that a stream whose other end has
    // silently gone would take whatever is written to it, for minutes.
    Scope scope(env_.fibers);
    scope.spawn("peer write", [this, &to, &stream = *stream] {
        (void)write_packets(to, stream); // If it fails, nothing will come back either.
    });
    std::array<std::byte, 64> signs{};
    for (;;) {
        const Deadline silence(env_.fibers, env_.clock.now() + config_.silence_max);
        if (TRY(stream->read_some(signs)) == 0) return Error::disconnected;
        if (BUGGIFY("transport/hangs-up", 5'000)) return Error::disconnected;
    }
}

Result<> Transport::write_packets(Outgoing& to, Stream& stream) {
    for (;;) {
        {
            const Deadline idle(env_.fibers, env_.clock.now() + config_.keepalive_interval);
            const Result<> more = to.changed.wait([&] { return !to.queue.empty(); });
            SOMETIMES(!more.ok() && more.error() == Error::timed_out, "transport/keepalive");
            if (!more.ok() && more.error() != Error::timed_out) return more.error();
        }
        if (BUGGIFY("transport/writes-late", 50'000))
            TRY(env_.fibers.sleep_until(env_.clock.now() + 1ms));
        TRY(write_packet(to, stream));
    }
}

// One packet of what is there; an empty one says that we are alive.
Result<> Transport::write_packet(Outgoing& to, Stream& stream) {
    wire::Packet packet;
    std::size_t size = 0;
    const std::size_t most = BUGGIFY("transport/small-packet") ? 0 : config_.packet_bytes_max;
    while (!to.queue.empty()) {
        const std::size_t next = wire::size_of(to.queue.front());
        SOMETIMES(size > 0 && size + next > config_.packet_bytes_max, "transport/packet-full");
        if (size > 0 && size + next > most) break;
        size += next;
        packet.messages.push_back(std::move(to.queue.front()));
        to.queue.pop_front();
        to.queue_bytes -= next;
    }
    const BytesChain bytes = wire::to_peer(packet);
    sent_bytes_.add(size_of(bytes));
    sent_packets_.add();
    return stream.write(bytes);
}

// ---- From peers ----

Result<> Transport::accept_all(Listener& listener, Scope& scope) {
    for (;;) {
        std::unique_ptr<Stream> stream = TRY(listener.accept());
        const bool too_many = incoming_count_ >= incoming_per_peer_max * (peer_count_ + 1);
        SOMETIMES(too_many, "transport/too-many-streams-from-peers");
        if (too_many || BUGGIFY("transport/takes-no-stream", 100'000)) {
            refused_.add();
            continue;
        }
        ++incoming_count_;
        scope.spawn("peer in", [this, stream = std::move(stream)] {
            const Result<> ended = listen_to(*stream);
            --incoming_count_;
            SOMETIMES(ended.error() == Error::corrupt, "transport/corrupt-packet");
            SOMETIMES(ended.error() == Error::malformed, "transport/malformed-packet");
            SOMETIMES(ended.error() == Error::timed_out, "transport/caller-went-silent");
            if (ended.error() == Error::corrupt || ended.error() == Error::malformed) {
                refused_.add();
                env_.log.warning(
                    "closed a stream from a peer for what came over it",
                    {{"address", to_string(stream->peer())}, {"error", ended.error()}});
            }
        });
    }
}

Result<wire::Hello> Transport::read_hello(Stream& stream) {
    std::array<std::byte, wire::PeerHeader::size> head{};
    TRY(read_exactly(stream, head));
    const wire::PeerHeader header = TRY(wire::peer_header(head, hello_size_max));
    Buffer body(header.body_size);
    TRY(read_exactly(stream, body.view()));
    const wire::Hello hello = TRY(wire::hello_from(header, std::move(body).freeze()));
    if (hello.version != wire::Hello::protocol || hello.cluster != self_.cluster) {
        REACHABLE("transport/another-cluster-calls");
        env_.log.warning("a node of another cluster or protocol has called",
                         {{"address", to_string(stream.peer())},
                          {"cluster", hello.cluster},
                          {"protocol", hello.version}});
        return Error::malformed;
    }
    return hello;
}

wire::Hello Transport::hello_to(NodeId peer) const {
    wire::Hello hello = self_;
    if (disks_) disks_->introduce(hello, peer);
    return hello;
}

bool Transport::is_known(const wire::Hello& peer) const {
    return !disks_ || disks_->is_known(peer.node, peer.disk);
}

// Who is refused for its disk is told which one is remembered.
Result<wire::Hello> Transport::greet(Stream& stream) {
    const Deadline deadline(env_.fibers, env_.clock.now() + config_.connect_timeout);
    const wire::Hello hello = TRY(read_hello(stream));
    const bool is_known = outgoing_.contains({hello.node, Lane::prompt});
    SOMETIMES(!is_known, "transport/a-stranger-calls");
    if (!is_known) return Error::malformed;
    const bool is_met = !disks_ || TRY(disks_->meet(hello));
    TRY(stream.write(wire::to_peer(hello_to(hello.node))));
    if (!is_met) return Error::disconnected;
    learn(hello);
    return hello;
}

// Fills all of `into`, however long that takes while there is progress, and gives a sign of life
// when it is time for one.
Result<> Transport::hear(Stream& stream, std::span<std::byte> into, Time& sign_due) {
    while (!into.empty()) {
        const Deadline silence(env_.fibers, env_.clock.now() + config_.silence_max);
        const std::size_t count = TRY(stream.read_some(into));
        if (count == 0) return Error::disconnected;
        into = into.subspan(count);
        if (env_.clock.now() < sign_due) continue;
        sign_due = env_.clock.now() + config_.keepalive_interval / 2;
        TRY(stream.write({sign_}));
    }
    return {};
}

Result<> Transport::listen_to(Stream& stream) {
    const wire::Hello peer = TRY(greet(stream));
    Time sign_due = env_.clock.now();
    for (;;) {
        std::array<std::byte, wire::PeerHeader::size> head{};
        TRY(hear(stream, head, sign_due));
        // One message may be larger than a packet should be: a batch cannot be split.
        const wire::PeerHeader header = TRY(wire::peer_header(
            head, config_.packet_bytes_max + wire::Frame::payload_size_max + 64_KiB));
        Buffer body(header.body_size);
        TRY(hear(stream, body.view(), sign_due));
        received_bytes_.add(wire::PeerHeader::size + header.body_size);
        wire::Packet packet = TRY(wire::packet_from(header, std::move(body).freeze()));
        SOMETIMES(!is_known(peer), "transport/packet-of-an-old-disk");
        if (!is_known(peer)) return Error::disconnected;
        for (wire::PeerMessage& message : packet.messages) receive_(peer.node, std::move(message));
    }
}

} // namespace pyralog::raft
