#include "io/sim/network.h"

#include "core/base/crc32c.h"

#include <algorithm>
#include <cstring>

namespace pyralog::sim {

// An end of a stream in the hands of a process.
class SimStream final : public Stream {
public:
    SimStream(Fabric& fabric, Scheduler& fibers, Fabric::Connection& connection, std::size_t side)
        : fabric_(fabric), connection_(connection), side_(side),
          incarnation_(connection.ends[side].host->incarnation), readable_(fibers),
          writable_(fibers) {
        end().stream = this;
    }
    ~SimStream() override {
        end().stream = nullptr;
        if (end().host->incarnation == incarnation_) fabric_.wake_listeners(*end().host);
        fabric_.close(connection_, side_);
    }

    Result<std::size_t> read_some(std::span<std::byte> into) override;
    Result<> write(const BytesChain& data) override;
    const Address& peer() const override { return connection_.addresses[1 - side_]; }

    void wake() {
        readable_.notify_all();
        writable_.notify_all();
    }
    Condition& readable() { return readable_; }
    Condition& writable() { return writable_; }

private:
    Fabric::End& end() { return connection_.ends[side_]; }

    Fabric& fabric_;
    Fabric::Connection& connection_; // Lives while an end of it is held.
    std::size_t side_;
    std::uint64_t incarnation_;
    Condition readable_, writable_;
};

class SimListener final : public Listener {
public:
    SimListener(Fabric& fabric, Scheduler& fibers, Fabric::Host& host, Address address)
        : fabric_(fabric), fibers_(fibers), host_(host), incarnation_(host.incarnation),
          address_(std::move(address)), changed_(fibers) {}
    ~SimListener() override {
        if (host_.incarnation == incarnation_) host_.listeners.erase(address_.port);
        for (const std::uint64_t id : backlog_)
            if (Fabric::Connection* connection = fabric_.find(id)) fabric_.close(*connection, 1);
    }

    Result<std::unique_ptr<Stream>> accept() override {
        if (!fabric_.serves(host_, incarnation_, false)) return Error::cancelled;
        TRY(changed_.wait([this] { return !backlog_.empty() && fabric_.may_open(host_); }));
        Fabric::Connection* connection = fabric_.find(backlog_.front());
        CHECK(connection != nullptr); // This process holds its end.
        backlog_.pop_front();
        return std::unique_ptr<Stream>(
            std::make_unique<SimStream>(fabric_, fibers_, *connection, 1));
    }
    const Address& address() const override { return address_; }

    bool full() const { return backlog_.size() >= fabric_.timeline_.faults.backlog_most; }
    void arrived(std::uint64_t connection) {
        backlog_.push_back(connection);
        changed_.notify_all();
    }
    void wake() { changed_.notify_all(); }

private:
    Fabric& fabric_;
    Scheduler& fibers_;
    Fabric::Host& host_;
    std::uint64_t incarnation_;
    Address address_;
    Condition changed_;
    std::deque<std::uint64_t> backlog_;
};

// ---- Streams, from inside ----

Result<std::size_t> SimStream::read_some(std::span<std::byte> into) {
    CHECK(!into.empty());
    if (!fabric_.serves(*end().host, incarnation_, false)) return Error::cancelled;
    Fabric::Pipe& pipe = connection_.pipes[1 - side_];
    TRY(readable_.wait([&] { return pipe.unread > 0 || pipe.finished || end().reset; }));
    if (pipe.unread == 0) {
        if (end().reset) return Error::disconnected;
        return std::size_t{0};
    }
    std::size_t wanted = std::min(into.size(), pipe.unread);
    if (wanted > 1 && pipe.link->dice.chance(fabric_.timeline_.faults.short_read, "short read") &&
        fabric_.timeline_.inject(Fault::short_read)) {
        fabric_.timeline_.counts.effect(Fault::short_read);
        wanted -= 1 + static_cast<std::size_t>(pipe.link->dice.pick(wanted - 1));
    }
    std::size_t at = 0;
    while (at < wanted) {
        Bytes& front = pipe.arrived.front();
        const std::size_t count = std::min(front.size(), wanted - at);
        std::memcpy(into.data() + at, front.data(), count);
        at += count;
        if (count == front.size())
            pipe.arrived.pop_front();
        else
            front = front.slice(count, front.size() - count);
    }
    pipe.unread -= wanted;
    fabric_.consumed(connection_, side_, wanted);
    return wanted;
}

Result<> SimStream::write(const BytesChain& data) {
    if (!fabric_.serves(*end().host, incarnation_, true)) return Error::cancelled;
    Fabric::Pipe& pipe = connection_.pipes[side_];
    BytesChain round;
    std::size_t part = 0, offset = 0;
    while (part < data.size()) {
        if (data[part].empty()) {
            ++part;
            continue;
        }
        TRY(writable_.wait([&] { return pipe.used < pipe.window || end().reset; }));
        if (end().reset) return Error::disconnected;
        std::size_t room = pipe.window - pipe.used;
        std::size_t size = 0;
        round.clear();
        round.reserve(data.size() - part);
        while (room > 0 && part < data.size()) {
            const std::size_t count = std::min(room, data[part].size() - offset);
            if (count > 0) round.push_back(data[part].slice(offset, count));
            room -= count;
            size += count;
            offset += count;
            if (offset < data[part].size()) break;
            ++part;
            offset = 0;
        }
        fabric_.send(connection_, side_, round, size);
    }
    return {};
}

// ---- Fabric ----

namespace {

constexpr std::array<std::string_view, 4> own_names{"localhost", "127.0.0.1", "::1", "0.0.0.0"};

} // namespace

Fabric::~Fabric() { CHECK(attempts_.empty()); }

bool Fabric::serves(const Host& host, std::uint64_t incarnation, bool has_effect) {
    if (host.incarnation == incarnation) return true;
    if (!timeline_.inject(Fault::fenced)) return true;
    if (has_effect) timeline_.counts.effect(Fault::fenced);
    return false;
}

Fabric::Host& Fabric::host(NodeId node) {
    const auto found = hosts_.find(node);
    CHECK(found != hosts_.end());
    return found->second;
}

void Fabric::add_host(NodeId node, std::string_view name) {
    Host& host = hosts_[node];
    host.id = node;
    host.names.emplace_back(name);
    const bool is_new = names_.emplace(name, node).second;
    CHECK(is_new);
}

Fabric::Host* Fabric::find_host(const Host& asking, std::string_view name) {
    if (std::ranges::find(own_names, name) != own_names.end()) return &host(asking.id);
    const auto found = names_.find(name);
    return found == names_.end() ? nullptr : &host(found->second);
}

void Fabric::serve(NodeId node, std::uint64_t incarnation) {
    Host& h = host(node);
    h.incarnation = incarnation;
    h.up = true;
}

std::size_t Fabric::process_ended(NodeId node, bool power_cut) {
    Host& gone = host(node);
    gone.incarnation = 0;
    gone.listeners.clear();
    gone.up = !power_cut;
    std::size_t open = 0;
    for (auto& [id, connection] : connections_) {
        for (std::size_t side = 0; side < 2; ++side) {
            End& end = connection->ends[side];
            if (end.host != &gone || !end.open) continue;
            ++open;
            end.open = false;
            Pipe& pipe = connection->pipes[side];
            if (power_cut)
                purge(pipe, pipe.stalled ? 0 : some_of(pipe));
            else
                send_reset(*connection, side);
            maybe_linger(*connection, side);
        }
    }
    std::erase_if(connections_, [](const auto& item) {
        const Connection& c = *item.second;
        return !c.ends[0].open && !c.ends[1].open && !c.ends[0].stream && !c.ends[1].stream &&
               c.pipes[0].pieces.empty() && c.pipes[1].pieces.empty();
    });
    return open;
}

// ---- Connecting ----

Result<std::unique_ptr<Listener>> Fabric::listen(Host& host, std::uint64_t incarnation,
                                                 Scheduler& fibers, const Address& local) {
    if (!serves(host, incarnation, true)) return Error::cancelled;
    if (find_host(host, local.host) != &host) return Error::unavailable; // Not an address of ours.
    Address address = local;
    if (local.port == 0) {
        do address.port = free_port(host);
        while (host.listeners.contains(address.port));
    }
    if (host.listeners.contains(address.port)) return Error::already_exists;
    auto listener = std::make_unique<SimListener>(*this, fibers, host, address);
    host.listeners[address.port] = listener.get();
    return std::unique_ptr<Listener>(std::move(listener));
}

std::uint16_t Fabric::free_port(Host& host) {
    const std::uint16_t port = host.next_port;
    host.next_port = port == UINT16_MAX ? first_free_port : static_cast<std::uint16_t>(port + 1);
    return port;
}

Result<std::unique_ptr<Stream>> Fabric::connect(Host& from, std::uint64_t incarnation,
                                                Scheduler& fibers, const Address& remote) {
    if (!serves(from, incarnation, true)) return Error::cancelled;
    Host* to = find_host(from, remote.host);
    if (!to) return Error::disconnected; // No such name.
    if (!may_open(from)) return Error::disconnected;
    Link& there = link(from.id, to->id);
    Attempt attempt(fibers, from, *to, remote.port);
    attempt.id = next_id_++;
    timeline_.record(Step::connect, from.id.value, attempt.id, remote.port);
    attempts_[attempt.id] = &attempt;
    if (!there.dice.chance(timeline_.faults.black_hole, "black hole") || !swallow())
        plan(timeline_.now() + delay(there) + slow_connect(there), attempt.id, Event::syn);
    const Result<> waited = attempt.done.wait();
    attempts_.erase(attempt.id);
    Connection* connection = find(attempt.connection);
    if (!waited.ok() || attempt.refused) {
        if (connection) close(*connection, 0);
        return waited.ok() ? Error::disconnected : waited.error();
    }
    // Broken, and forgotten by both sides, in the moment since it was established.
    if (!connection) return Error::disconnected;
    return std::unique_ptr<Stream>(std::make_unique<SimStream>(*this, fibers, *connection, 0));
}

void Fabric::limit_streams(NodeId node, std::optional<std::uint64_t> streams) {
    host(node).streams_max = streams;
    wake_listeners(host(node));
}

void Fabric::wake_listeners(Host& host) {
    for (const auto& [port, listener] : host.listeners) listener->wake();
}

std::uint64_t Fabric::open_streams(NodeId node) const {
    std::uint64_t open = 0;
    for (const auto& [id, connection] : connections_)
        for (const End& end : connection->ends)
            if (end.host->id == node && end.stream) ++open;
    return open;
}

bool Fabric::may_open(const Host& host) {
    if (!host.streams_max || open_streams(host.id) < *host.streams_max) return true;
    if (!timeline_.inject(Fault::too_many_streams)) return true;
    timeline_.counts.effect(Fault::too_many_streams);
    return false;
}

// No answer comes, for as long as somebody waits for one.
bool Fabric::swallow() {
    if (!timeline_.inject(Fault::black_hole)) return false;
    timeline_.counts.effect(Fault::black_hole);
    return true;
}

Duration Fabric::slow_connect(Link& there) {
    if (!there.dice.chance(timeline_.faults.slow_connect, "slow connect") ||
        !timeline_.inject(Fault::slow_connect))
        return Duration{0};
    timeline_.counts.effect(Fault::slow_connect);
    return there.dice.draw(timeline_.faults.slow_connect_time);
}

bool Fabric::try_again(Attempt& attempt, Event event) {
    if (++attempt.tries > connect_tries_max) return false;
    plan(timeline_.now() + connect_retry * (1 << (attempt.tries - 1)), attempt.id, event);
    return true;
}

void Fabric::syn(Attempt& attempt) {
    Link& there = link(attempt.from.id, attempt.to.id);
    Link& back = link(attempt.to.id, attempt.from.id);
    if (there.barred && swallow()) return; // Also what was on its way when the bar came down.
    const auto listener = attempt.to.listeners.find(attempt.port);
    const bool heard = listener != attempt.to.listeners.end();
    if (there.blocked || back.blocked) obstruct(there.blocked ? there : back);
    const bool full = heard && listener->second->full() && timeline_.inject(Fault::backlog_full);
    if (full) timeline_.counts.effect(Fault::backlog_full);
    if (there.blocked || back.blocked || !attempt.to.up || full) {
        if (!try_again(attempt, Event::syn)) {
            attempt.refused = true;
            attempt.done.set();
        }
        return;
    }
    if (!heard ||
        (there.dice.chance(timeline_.faults.refuse, "refuse") && timeline_.inject(Fault::refuse))) {
        if (heard) timeline_.counts.effect(Fault::refuse);
        plan(timeline_.now() + delay(back), attempt.id, Event::refused);
        return;
    }
    attempt.connection = make_connection(attempt).id;
    listener->second->arrived(attempt.connection);
    plan(timeline_.now() + delay(back), attempt.id, Event::established);
}

void Fabric::established(Attempt& attempt) {
    if (Link& back = link(attempt.to.id, attempt.from.id); back.blocked) {
        obstruct(back);
        if (try_again(attempt, Event::established)) return;
        attempt.refused = true;
    }
    attempt.done.set();
}

Fabric::Connection& Fabric::make_connection(Attempt& attempt) {
    const std::uint64_t id = next_id_++;
    auto& connection = *(connections_[id] = std::make_unique<Connection>());
    connection.id = id;
    connection.ends[0].host = &attempt.from;
    connection.ends[1].host = &attempt.to;
    std::array<Link*, 2> links{&link(attempt.from.id, attempt.to.id),
                               &link(attempt.to.id, attempt.from.id)};
    const Faults& faults = timeline_.faults;
    for (std::size_t side = 0; side < 2; ++side) {
        connection.ends[side].open = true;
        Pipe& pipe = connection.pipes[side];
        pipe.link = links[side];
        pipe.back = links[1 - side];
        const std::uint64_t least = faults.window_least;
        const std::uint64_t less = pipe.link->dice.pick(faults.window_most - least + 1);
        pipe.window = faults.window_most - static_cast<std::size_t>(less);
        CHECK(pipe.window > 0);
    }
    connection.addresses[0] = {attempt.from.names.front(), free_port(attempt.from)};
    connection.addresses[1] = {attempt.to.names.front(), attempt.port};
    timeline_.record(Step::accept, attempt.to.id.value, id, attempt.id);
    timeline_.trace({.kind = TraceKind::stream,
                     .node = attempt.to.id,
                     .peer = attempt.from.id,
                     .stream = id,
                     .port = attempt.port});
    return connection;
}

Fabric::Connection* Fabric::find(std::uint64_t id) {
    const auto found = connections_.find(id);
    return found == connections_.end() ? nullptr : found->second.get();
}

// ---- Sending ----

void Fabric::maybe_corrupt(Link& link, BytesChain& parts) {
    if (std::max(link.from, link.to).value >= timeline_.faults.corrupt_nodes_end) return;
    if (!link.dice.chance(timeline_.faults.corrupt, "corrupt") || !timeline_.inject(Fault::corrupt))
        return;
    Bytes& part = parts[static_cast<std::size_t>(link.dice.pick(parts.size()))];
    Buffer copy(part.size());
    std::memcpy(copy.data(), part.data(), part.size());
    const std::uint64_t bit = link.dice.pick(part.size() * 8);
    copy.view()[static_cast<std::size_t>(bit / 8)] ^= static_cast<std::byte>(1u << (bit % 8));
    part = std::move(copy).freeze();
    timeline_.counts.effect(Fault::corrupt);
}

void Fabric::send(Connection& connection, std::size_t side, BytesChain& parts, std::size_t size) {
    Pipe& pipe = connection.pipes[side];
    Link& link = *pipe.link;
    pipe.used += size;
    if (pipe.broken) return timeline_.counts.effect(Fault::vanish);
    maybe_corrupt(link, parts);
    timeline_.record(Step::piece, link.from.value, connection.id, size, crc32c(parts));
    const BytesChain told = timeline_.tracing() ? parts : BytesChain();
    std::span<const Bytes> bytes(told);
    for (Bytes& part : parts) pipe.in_flight.push_back(std::move(part));
    if (size > 1 && link.dice.chance(timeline_.faults.split_write, "split write") &&
        timeline_.inject(Fault::split_write)) {
        timeline_.counts.effect(Fault::split_write);
        const auto first = 1 + static_cast<std::size_t>(link.dice.pick(size - 1));
        send_piece(connection, side, Piece::Kind::data, first, bytes);
        bytes = {};
        size -= first;
    }
    send_piece(connection, side, Piece::Kind::data, size, bytes);
}

void Fabric::send_piece(Connection& connection, std::size_t side, Piece::Kind kind,
                        std::size_t size, std::span<const Bytes> parts) {
    Pipe& pipe = connection.pipes[side];
    if (pipe.broken) return;
    Link& link = *pipe.link;
    Duration due = timeline_.now();
    if (link.bytes_per_second > 0) {
        const auto ns =
            static_cast<unsigned __int128>(size) * 1'000'000'000u / link.bytes_per_second;
        link.free_at = std::max(link.free_at, due) + Duration(static_cast<std::int64_t>(ns));
        due = link.free_at;
    }
    due = std::max(due + delay(link), pipe.last_due);
    pipe.last_due = due;
    pipe.pieces.push_back({kind, size, due, ++link.sent});
    timeline_.trace({.kind = TraceKind::sent,
                     .node = link.from,
                     .peer = link.to,
                     .id = link.sent,
                     .stream = connection.id,
                     .size = size,
                     .port = connection.addresses[1].port,
                     .text = kind == Piece::Kind::fin     ? "end"
                             : kind == Piece::Kind::reset ? "reset"
                                                          : "",
                     .bytes = parts});
    plan(due, connection.id, Event::deliver, side);
}

// The process has gone, or wants no more of it: what is on its way may be lost, and the word that
// it is over follows, unless the way is blocked: nobody is left to repeat it.
void Fabric::send_reset(Connection& connection, std::size_t side) {
    Pipe& pipe = connection.pipes[side];
    if (pipe.broken) return;
    if (pipe.stalled) {
        purge(pipe, 0);
        return;
    }
    purge(pipe, some_of(pipe));
    send_piece(connection, side, Piece::Kind::reset, 0);
}

void Fabric::close(Connection& connection, std::size_t side) {
    End& end = connection.ends[side];
    if (std::exchange(end.open, false) && !end.reset) {
        const bool unread = connection.pipes[1 - side].unread > 0;
        Pipe& pipe = connection.pipes[side];
        const bool resets = pipe.link->dice.chance(timeline_.faults.close_resets, "close resets") &&
                            timeline_.inject(Fault::reset);
        if (resets) timeline_.counts.effect(Fault::reset);
        if (unread || resets)
            send_reset(connection, side);
        else
            send_piece(connection, side, Piece::Kind::fin, 0);
        maybe_linger(connection, side);
    }
    forget_if_over(connection);
}

std::size_t Fabric::some_of(Pipe& pipe) {
    const std::uint64_t lost = pipe.link->dice.pick(pipe.pieces.size() + 1);
    return pipe.pieces.size() - static_cast<std::size_t>(lost);
}

// What a writer that has gone had sent may take a way of its own. Not on a stream that was reset:
// what is left of that arrives nowhere, and should have been there long ago.
void Fabric::maybe_linger(Connection& connection, std::size_t side) {
    Pipe& pipe = connection.pipes[side];
    if (pipe.pieces.empty() || pipe.stalled || connection.ends[1 - side].reset) return;
    if (!pipe.link->dice.chance(timeline_.faults.linger, "linger")) return;
    if (!timeline_.inject(Fault::linger)) return;
    const Duration longer = pipe.link->dice.draw(timeline_.faults.linger_time);
    pipe.lingers = true;
    pipe.last_due += longer;
    for (Piece& piece : pipe.pieces) {
        piece.due += longer;
        plan(piece.due, connection.id, Event::deliver, side);
    }
}

// Drops what is on its way, but for the first pieces. True if there were bytes in it.
bool Fabric::purge(Pipe& pipe, std::size_t pieces_kept) {
    bool lost = false;
    while (pipe.pieces.size() > pieces_kept) {
        std::size_t size = pipe.pieces.back().size;
        lost = lost || size > 0;
        timeline_.trace({.kind = TraceKind::dropped,
                         .node = pipe.link->from,
                         .peer = pipe.link->to,
                         .id = pipe.pieces.back().number,
                         .size = size});
        pipe.pieces.pop_back();
        while (size > 0) {
            Bytes& back = pipe.in_flight.back();
            const std::size_t count = std::min(size, back.size());
            size -= count;
            if (count == back.size())
                pipe.in_flight.pop_back();
            else
                back = back.slice(0, back.size() - count);
        }
    }
    return lost;
}

// ---- Arriving ----

void Fabric::happen(std::uint64_t what) {
    const std::uint64_t id = what >> 8;
    const auto event = static_cast<Event>((what & 0xff) >> 1);
    const auto side = static_cast<std::size_t>(what & 1);
    if (event == Event::syn || event == Event::refused || event == Event::established) {
        const auto found = attempts_.find(id);
        if (found == attempts_.end()) return;
        Attempt& attempt = *found->second;
        if (event == Event::syn) return syn(attempt);
        if (event == Event::established) return established(attempt);
        attempt.refused = true;
        attempt.done.set();
        return;
    }
    Connection* connection = find(id);
    if (!connection) return;
    switch (event) {
    case Event::flush: connection->pipes[side].stalled = false; [[fallthrough]];
    case Event::deliver: deliver(*connection, side); break;
    case Event::credit: credit(*connection, side); break;
    case Event::give_up: give_up(*connection, side); break;
    default: check_failed("an event of a connection", __FILE__, __LINE__);
    }
    forget_if_over(*connection);
}

void Fabric::deliver(Connection& connection, std::size_t side) {
    Pipe& pipe = connection.pipes[side];
    while (!pipe.pieces.empty() && pipe.pieces.front().due <= timeline_.now()) {
        if (pipe.stalled) return;
        if (pipe.link->blocked) {
            hold(connection, side);
            // A live sender's system repeats itself until the link heals; the dead do not.
            if (!connection.ends[side].host->up || pipe.pieces.front().kind == Piece::Kind::reset)
                purge(pipe, 0);
            else
                pipe.stalled = true;
            return;
        }
        const Piece piece = pipe.pieces.front();
        pipe.pieces.pop_front();
        timeline_.record(Step::deliver, pipe.link->to.value,
                         connection.id << 2 | static_cast<std::uint64_t>(piece.kind), piece.number);
        timeline_.trace({.kind = TraceKind::delivered,
                         .node = pipe.link->to,
                         .peer = pipe.link->from,
                         .id = piece.number,
                         .stream = connection.id,
                         .size = piece.size});
        End& reader = connection.ends[1 - side];
        switch (piece.kind) {
        case Piece::Kind::data:
            if (!deliver_data(connection, side, piece)) return;
            break;
        case Piece::Kind::fin:
            pipe.finished = true;
            if (reader.stream) reader.stream->readable().notify_all();
            break;
        case Piece::Kind::reset: break_end(connection, 1 - side); break;
        }
    }
}

// False: the stream is broken, and nothing behind this piece arrives.
bool Fabric::deliver_data(Connection& connection, std::size_t side, const Piece& piece) {
    Pipe& pipe = connection.pipes[side];
    Link& link = *pipe.link;
    End& reader = connection.ends[1 - side];
    timeline_.counts.fire(Fault::delay);
    if (piece.number < link.newest) timeline_.counts.effect(Fault::delay);
    link.newest = std::max(link.newest, piece.number);

    const bool takes = reader.open && !reader.reset;
    std::size_t left = piece.size;
    while (left > 0) {
        Bytes& front = pipe.in_flight.front();
        const std::size_t count = std::min(left, front.size());
        if (takes) pipe.arrived.push_back(front.slice(0, count));
        if (count == front.size())
            pipe.in_flight.pop_front();
        else
            front = front.slice(count, front.size() - count);
        left -= count;
    }
    if (!takes) {
        // Nobody is there. The system says so, if there is one.
        if (reader.host->up && !connection.pipes[1 - side].broken && connection.ends[side].open)
            send_piece(connection, 1 - side, Piece::Kind::reset, 0);
        return true;
    }
    pipe.unread += piece.size;
    link.bytes_delivered += piece.size;
    if (pipe.lingers && connection.id < link.newest_connection)
        timeline_.counts.effect(Fault::linger);
    link.newest_connection = std::max(link.newest_connection, connection.id);
    if (pipe.back->blocked) hold(connection, side); // It arrived, but the sender never hears of it.
    if (maybe_reset(link) && break_both(connection)) return false;
    if (link.dice.chance(timeline_.faults.vanish, "vanish") && timeline_.inject(Fault::vanish)) {
        pipe.broken = true;
        if (purge(pipe, 0)) timeline_.counts.effect(Fault::vanish);
        plan(timeline_.now() + link.dice.draw(timeline_.faults.give_up_time), connection.id,
             Event::give_up, side);
    }
    if (reader.stream) reader.stream->readable().notify_all();
    return !pipe.broken;
}

bool Fabric::maybe_reset(Link& link) {
    if (link.dice.chance(timeline_.faults.reset, "reset")) return true;
    if (!link.lossy || !link.dice.chance(timeline_.faults.lossy_reset, "reset")) return false;
    timeline_.counts.effect(Fault::lossy_link);
    return true;
}

void Fabric::consumed(Connection& connection, std::size_t reader_side, std::size_t size) {
    const std::size_t side = 1 - reader_side;
    Pipe& pipe = connection.pipes[side];
    pipe.consumed += size;
    if (pipe.consumed < std::max<std::size_t>(1, pipe.window / 4)) return;
    pipe.credit += std::exchange(pipe.consumed, 0);
    if (pipe.link->dice.chance(timeline_.faults.zero_window, "zero window") &&
        timeline_.inject(Fault::zero_window)) {
        pipe.zero_until = timeline_.now() + pipe.link->dice.draw(timeline_.faults.zero_window_time);
    }
    plan(timeline_.now() + delay(*pipe.back), connection.id, Event::credit, side);
}

void Fabric::credit(Connection& connection, std::size_t side) {
    Pipe& pipe = connection.pipes[side];
    if (pipe.back->blocked) return hold(connection, side);
    if (timeline_.now() < pipe.zero_until)
        return plan(pipe.zero_until, connection.id, Event::credit, side);
    if (pipe.zero_until > Duration{0} && pipe.used >= pipe.window)
        timeline_.counts.effect(Fault::zero_window);
    pipe.zero_until = Duration{0};
    pipe.used -= std::exchange(pipe.credit, 0);
    if (SimStream* writer = connection.ends[side].stream) writer->writable().notify_all();
}

// A partition is in the way of this pipe, and its sender's system begins to notice.
void Fabric::hold(Connection& connection, std::size_t side) {
    Pipe& pipe = connection.pipes[side];
    if (std::exchange(pipe.held, true)) return;
    obstruct(pipe.link->blocked ? *pipe.link : *pipe.back);
    if (!pipe.link->dice.chance(timeline_.faults.blocked_gives_up, "blocked gives up")) return;
    plan(timeline_.now() + pipe.link->dice.draw(timeline_.faults.give_up_time), connection.id,
         Event::give_up, side);
}

void Fabric::give_up(Connection& connection, std::size_t side) {
    Pipe& pipe = connection.pipes[side];
    End& sender = connection.ends[side];
    if (!pipe.held && !pipe.broken) return; // It healed in time.
    if (!sender.open || sender.reset) return;
    if (!timeline_.inject(Fault::gave_up)) return;
    timeline_.counts.effect(Fault::gave_up);
    pipe.broken = true;
    purge(pipe, 0);
    break_end(connection, side);
}

bool Fabric::break_both(Connection& connection) {
    if (!timeline_.inject(Fault::reset)) return false;
    const bool one = break_end(connection, 0);
    const bool other = break_end(connection, 1);
    if (one || other) timeline_.counts.effect(Fault::reset);
    return true;
}

// Tells one end that its stream is broken. False: nobody is there to be told.
bool Fabric::break_end(Connection& connection, std::size_t side) {
    End& end = connection.ends[side];
    if (std::exchange(end.reset, true) || !end.open) return false;
    timeline_.record(Step::reset, end.host->id.value, connection.id, side);
    timeline_.trace({.kind = TraceKind::reset, .node = end.host->id, .stream = connection.id});
    if (end.stream) end.stream->wake();
    return true;
}

void Fabric::forget_if_over(Connection& connection) {
    for (std::size_t side = 0; side < 2; ++side) {
        const End& end = connection.ends[side];
        if (end.open || end.stream || !connection.pipes[side].pieces.empty()) return;
    }
    connections_.erase(connection.id);
}

} // namespace pyralog::sim
