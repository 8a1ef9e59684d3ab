// io/sim/network.h
//
// The network between all nodes. Like the disks it does not belong to any process: bytes that were
// sent are on their way whoever dies meanwhile, and a stream has two ends that learn of each
// other's fate only through it.
//
// A stream is two pipes, and a pipe runs over a link, the directed pair of nodes. What is written
// goes as pieces, each with a drawn delay, in order within its pipe and in no order with others. A
// sender may be a window ahead of its reader; that there is room again travels back over the link.
//
// A blocked link holds pieces until it heals, or until the sender's system gives up; news that a
// process died is lost on it, and then the other end is half open: it finds out when it sends, if
// the other node is up to answer. After a power cut nobody answers until the node boots.
#pragma once

#include "core/env/fiber.h"
#include "core/env/network.h"
#include "io/sim/timeline.h"

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace pyralog::sim {

class SimListener;
class SimStream;

// How the delays of a link are spread: see Faults.
enum class Spread : std::uint8_t { even, exponential, heavy_tail, step };

using Links = std::set<std::pair<NodeId, NodeId>>; // Directed: from, to.

class Fabric final : public Happening {
public:
    static constexpr int step_factor = 10;      // What a link's delays grow to at its step.
    static constexpr int connect_tries_max = 7; // At 0.2, 0.4, 0.8, ... seconds, as systems do.
    static constexpr Duration connect_retry = 200ms;
    static constexpr std::uint16_t first_free_port = 40'000;

    explicit Fabric(Timeline& timeline) : timeline_(timeline) {}
    ~Fabric() override;

    // ---- For the World ----

    // More names for one node are welcome. The first is what its peers see.
    void add_host(NodeId node, std::string_view host);
    void serve(NodeId node, std::uint64_t incarnation);
    // Its streams break: with a word to their peers, or, when the power went, without.
    // How many ends were open.
    std::size_t process_ended(NodeId node, bool power_cut);

    // ---- Partitions. Links are directed; to block a pair, block both ways. ----

    // `cause` is how it is counted, beside Fault::partition.
    void block(NodeId from, NodeId to, Fault cause = Fault::partition);
    void cut(const Links& links, Fault cause = Fault::partition); // These, and no others.
    void heal(NodeId from, NodeId to);
    void heal_all();
    bool blocked(NodeId from, NodeId to) const;

    using Nodes = std::span<const NodeId>;
    void split(Nodes one, Nodes other); // No byte between the two, either way.
    void isolate(NodeId node, Nodes others);
    void one_way(Nodes from, Nodes to); // Only the bytes from `from` to `to` are blocked.
    // Nobody at `from` gets an answer when it connects to `to`, until the link is healed: as behind
    // a wall that lets pass what is known to it. Streams that are there go on.
    void bar(NodeId from, NodeId to);

    // With so many streams open at once, the node's process connects to nobody, and accepts nobody:
    // who connects to it waits in the backlog.
    void limit_streams(NodeId node, std::optional<std::uint64_t> streams);
    std::uint64_t open_streams(NodeId node) const;

    // Breaks every stream between two nodes, so that both ends see it.
    void reset_streams(NodeId a, NodeId b);

    // ---- For tests ----

    std::uint64_t bytes_delivered(NodeId from, NodeId to) const;
    // How often a link that was blocked was in somebody's way.
    std::uint64_t held_up(NodeId from, NodeId to) const;
    std::size_t open_streams() const { return connections_.size(); }

    void happen(std::uint64_t what) override;

private:
    friend class SimListener;
    friend class SimNetwork;
    friend class SimStream;

    struct Host {
        NodeId id;
        std::vector<std::string> names;
        std::uint64_t incarnation = 0; // Zero: no process runs.
        bool up = false;               // Is there a system that answers for dead processes?
        std::map<std::uint16_t, SimListener*> listeners;
        std::uint16_t next_port = first_free_port;
        std::optional<std::uint64_t> streams_max;
    };

    struct Link {
        Link(Timeline& timeline, NodeId from, NodeId to);
        NodeId from, to;
        Dice time_dice, dice;
        bool blocked = false;
        Fault cause = Fault::partition;
        std::uint64_t held_up = 0;
        bool barred = false; // For new streams only.
        Spread spread = Spread::even;
        Duration step_at{0};
        std::uint32_t factor = 1;
        std::uint64_t bytes_per_second = 0; // Zero: as many as there are.
        bool lossy = false;
        Duration free_at{0};      // When its bandwidth has sent all that it has.
        std::uint64_t sent = 0;   // Pieces, numbered.
        std::uint64_t newest = 0; // The highest number delivered so far.
        std::uint64_t bytes_delivered = 0;
        std::uint64_t newest_connection = 0; // Of which bytes were delivered.
    };

    struct Piece {
        enum class Kind : std::uint8_t { data, fin, reset };
        Kind kind;
        std::size_t size; // Of the bytes in flight that belong to it.
        Duration due;
        std::uint64_t number;
    };

    // One direction of a stream.
    struct Pipe {
        Link* link = nullptr;
        Link* back = nullptr;        // On which news of the reader returns.
        std::deque<Piece> pieces;    // On their way,
        std::deque<Bytes> in_flight; // and their bytes.
        std::deque<Bytes> arrived;   // Not read yet.
        std::size_t unread = 0;      // Bytes in `arrived`.
        std::size_t window = 0;
        std::size_t used = 0;     // As the writer knows it.
        std::size_t consumed = 0; // Read, and the writer has not been told.
        std::size_t credit = 0;   // Read, and the news of it is on its way.
        Duration last_due{0};
        Duration zero_until{0}; // The reader's news waits until then.
        bool lingers = false;   // Its writer has gone, and its pieces take their time.
        bool stalled = false;   // Waits for its link to heal.
        bool held = false;      // A partition was noticed; whether the sender gives up is drawn.
        bool broken = false;    // Nothing that is sent arrives any more.
        bool finished = false;  // The end of the stream has arrived.
    };

    struct End {
        Host* host = nullptr;
        SimStream* stream = nullptr;
        bool open = false;  // Somebody has it, or will accept it.
        bool reset = false; // It was told that the stream is broken.
    };

    // Side 0 connected, side 1 accepted. pipes[s] carries what side s sends.
    struct Connection {
        std::uint64_t id;
        std::array<End, 2> ends;
        std::array<Pipe, 2> pipes;
        std::array<Address, 2> addresses;
    };

    // Stands on the stack of the fiber that connects.
    struct Attempt {
        Attempt(Scheduler& fibers, Host& f, Host& t, std::uint16_t p)
            : from(f), to(t), port(p), done(fibers) {}
        Host& from;
        Host& to;
        std::uint16_t port;
        Signal done;
        int tries = 0;
        bool refused = false;
        std::uint64_t connection = 0;
        std::uint64_t id = 0;
    };

    enum class Event : std::uint8_t { deliver, credit, give_up, flush, syn, refused, established };
    void plan(Duration when, std::uint64_t id, Event event, std::size_t side = 0) {
        timeline_.schedule(when, *this, id << 8 | static_cast<std::uint64_t>(event) << 1 | side);
    }

    bool serves(const Host& host, std::uint64_t incarnation, bool has_effect);
    Host& host(NodeId node);
    Host* find_host(const Host& asking, std::string_view name);
    Link& link(NodeId from, NodeId to);
    Duration delay(Link& link);
    void obstruct(Link& link); // It is blocked, and that has an effect.
    static std::uint16_t free_port(Host& host);
    bool may_open(const Host& host); // One more stream.
    static void wake_listeners(Host& host);

    // ---- Connecting ----
    Result<std::unique_ptr<Listener>> listen(Host& host, std::uint64_t incarnation,
                                             Scheduler& fibers, const Address& local);
    Result<std::unique_ptr<Stream>> connect(Host& from, std::uint64_t incarnation,
                                            Scheduler& fibers, const Address& remote);
    void syn(Attempt& attempt);
    bool swallow();
    Duration slow_connect(Link& there);
    bool try_again(Attempt& attempt, Event event); // Blocked or down. False: out of patience.
    void established(Attempt& attempt);
    Connection& make_connection(Attempt& attempt);
    Connection* find(std::uint64_t id);

    // ---- Sending ----
    void send(Connection& connection, std::size_t side, BytesChain& parts, std::size_t size);
    void send_piece(Connection& connection, std::size_t side, Piece::Kind kind, std::size_t size,
                    std::span<const Bytes> parts = {});
    void send_reset(Connection& connection, std::size_t side);
    void close(Connection& connection, std::size_t side);
    bool purge(Pipe& pipe, std::size_t pieces_kept);
    static std::size_t some_of(Pipe& pipe);
    void maybe_linger(Connection& connection, std::size_t side);
    bool maybe_reset(Link& link);
    void maybe_corrupt(Link& link, BytesChain& parts);

    // ---- Arriving ----
    void deliver(Connection& connection, std::size_t side);
    bool deliver_data(Connection& connection, std::size_t side, const Piece& piece);
    void credit(Connection& connection, std::size_t side);
    void hold(Connection& connection, std::size_t side);
    void give_up(Connection& connection, std::size_t side);
    bool break_both(Connection& connection);
    bool break_end(Connection& connection, std::size_t side);
    void consumed(Connection& connection, std::size_t reader_side, std::size_t size);
    void forget_if_over(Connection& connection);

    Timeline& timeline_;
    std::map<NodeId, Host> hosts_;
    std::map<std::string, NodeId, std::less<>> names_;
    std::map<std::pair<NodeId, NodeId>, Link> links_;
    std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;
    std::map<std::uint64_t, Attempt*> attempts_;
    std::uint64_t next_id_ = 1;
};

// The network as one process sees it.
class SimNetwork final : public Network {
public:
    SimNetwork(Fabric& fabric, Scheduler& fibers, NodeId node, std::uint64_t incarnation)
        : fabric_(fabric), fibers_(fibers), node_(node), incarnation_(incarnation) {}

    Result<std::unique_ptr<Listener>> listen(const Address& local) override {
        return fabric_.listen(fabric_.host(node_), incarnation_, fibers_, local);
    }
    Result<std::unique_ptr<Stream>> connect(const Address& remote) override {
        return fabric_.connect(fabric_.host(node_), incarnation_, fibers_, remote);
    }

private:
    Fabric& fabric_;
    Scheduler& fibers_;
    NodeId node_;
    std::uint64_t incarnation_;
};

} // namespace pyralog::sim
