#include "io/real/network.h"

#include "io/real/workers.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

namespace pyralog::real {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {

constexpr int backlog = 1024;
// Pieces of one sendmsg(); the kernel takes 1024, but they stand on the fiber's stack.
constexpr std::size_t pieces_max = 128;
// A fiber whose socket is always ready lets the others run after so many calls.
constexpr int calls_per_turn = 32;
// Of the addresses that a name has.
constexpr std::size_t endpoints_max = 8;
// How long a listener waits when the process has no file descriptor left.
constexpr Duration accept_pause = 100ms;

Address address_of(const tcp::endpoint& endpoint) {
    return {endpoint.address().to_string(), endpoint.port()};
}

} // namespace

struct Network::Shared {
    asio::io_context& loop;
    Scheduler& fibers;
    const pyralog::Clock& clock;
    Logger& log;
    Metrics::Counter bytes_received;
    Metrics::Counter bytes_sent;
    Metrics::Gauge streams_open;

    Error ended(std::string_view call, const Address& peer, const error_code& reason) {
        log.debug("a stream ended",
                  {{"call", call}, {"peer", to_string(peer)}, {"reason", reason.message()}});
        return Error::disconnected;
    }

    // Until `socket` may be ready: look again. If the wait ends early, Asio has let go of it.
    template <class Socket>
    Result<> wait_ready(Socket& socket, tcp::socket::wait_type what) {
        Signal ended(fibers);
        socket.async_wait(what, [&ended](const error_code&) { ended.set(); });
        const Result<> waited = ended.wait();
        if (!waited.ok()) {
            error_code ignored; // There is nothing to do about it, and the handler runs anyway.
            // Ends the wait of the other direction as well; its fiber looks again.
            (void)socket.cancel(ignored);
            ended.wait_through();
        }
        return waited;
    }

    Result<std::vector<tcp::endpoint>> resolve(const Address& address);
};

// ---- Stream ----

namespace {

class Stream final : public pyralog::Stream {
public:
    Stream(Network::Shared& shared, tcp::socket socket, Address peer)
        : shared_(shared), socket_(std::move(socket)), peer_(std::move(peer)) {
        error_code ignored; // Without it the stream is slower, no more.
        (void)socket_.set_option(tcp::no_delay(true), ignored);
        shared_.streams_open.add(1);
    }
    ~Stream() override {
        CHECK(waiting_ == 0);
        shared_.streams_open.add(-1);
        error_code ignored; // Closed it is in any case.
        (void)socket_.close(ignored);
    }

    Result<std::size_t> read_some(std::span<std::byte> into) override;
    Result<> write(const BytesChain& data) override;
    const Address& peer() const override { return peer_; }

private:
    Result<> begin();
    Result<> wait_ready(tcp::socket::wait_type what) {
        calls_ = 0;
        ++waiting_;
        const Result<> waited = shared_.wait_ready(socket_, what);
        --waiting_;
        return waited;
    }

    Network::Shared& shared_;
    tcp::socket socket_;
    Address peer_;
    int waiting_ = 0;
    int calls_ = 0; // Since somebody waited here.
};

Result<> Stream::begin() {
    if (++calls_ >= calls_per_turn) {
        calls_ = 0;
        shared_.fibers.yield();
    }
    return unless_cancelled(shared_.fibers);
}

Result<std::size_t> Stream::read_some(std::span<std::byte> into) {
    CHECK(!into.empty());
    TRY(begin());
    for (;;) {
        const ssize_t count = recv(socket_.native_handle(), into.data(), into.size(), MSG_DONTWAIT);
        if (count >= 0) {
            shared_.bytes_received.add(static_cast<std::uint64_t>(count));
            return static_cast<std::size_t>(count);
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN)
            return shared_.ended("read", peer_, {errno, boost::system::system_category()});
        TRY(wait_ready(tcp::socket::wait_read));
    }
}

Result<> Stream::write(const BytesChain& data) {
    TRY(begin());
    std::size_t part = 0; // The first that is not all gone,
    std::size_t gone = 0; // and how much of it is.
    for (;;) {
        std::array<iovec, pieces_max> pieces;
        std::size_t count = 0;
        std::size_t skip = gone;
        std::size_t next = part;
        for (; next < data.size() && count < pieces_max; ++next) {
            const auto rest = data[next].view().subspan(std::exchange(skip, 0));
            // sendmsg() only reads what it is given.
            if (!rest.empty()) pieces[count++] = {const_cast<std::byte*>(rest.data()), rest.size()};
        }
        if (count == 0) return {};
        msghdr message{};
        message.msg_iov = pieces.data();
        message.msg_iovlen = count;
        const int more = next < data.size() ? MSG_MORE : 0;
        const ssize_t sent =
            sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT | more);
        if (sent < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN)
                return shared_.ended("write", peer_, {errno, boost::system::system_category()});
            TRY(wait_ready(tcp::socket::wait_write));
            continue;
        }
        shared_.bytes_sent.add(static_cast<std::uint64_t>(sent));
        gone += static_cast<std::size_t>(sent);
        while (part < data.size() && gone >= data[part].size()) gone -= data[part++].size();
    }
}

// ---- Listener ----

class Listener final : public pyralog::Listener {
public:
    Listener(Network::Shared& shared, tcp::acceptor acceptor, Address address)
        : shared_(shared), acceptor_(std::move(acceptor)), address_(std::move(address)) {}
    ~Listener() override {
        error_code ignored; // Closed it is in any case.
        (void)acceptor_.close(ignored);
    }

    Result<std::unique_ptr<pyralog::Stream>> accept() override;
    const Address& address() const override { return address_; }

private:
    Network::Shared& shared_;
    tcp::acceptor acceptor_;
    Address address_;
    bool is_out_of_descriptors_ = false;
};

Result<std::unique_ptr<pyralog::Stream>> Listener::accept() {
    TRY(unless_cancelled(shared_.fibers));
    for (;;) {
        tcp::socket socket(shared_.loop);
        tcp::endpoint peer;
        error_code error;
        (void)acceptor_.accept(socket, peer, error);
        if (!error) {
            is_out_of_descriptors_ = false;
            return std::unique_ptr<pyralog::Stream>(
                std::make_unique<Stream>(shared_, std::move(socket), address_of(peer)));
        }
        if (error == asio::error::would_block) {
            TRY(shared_.wait_ready(acceptor_, tcp::socket::wait_read));
            continue;
        }
        // Others may close theirs, and a client that gave up meanwhile is nobody's failure. The
        // pause keeps this from becoming a busy loop.
        if (!std::exchange(is_out_of_descriptors_, true))
            shared_.log.warning("cannot accept; trying again",
                                {{"address", to_string(address_)}, {"reason", error.message()}});
        TRY(shared_.fibers.sleep_until(shared_.clock.now() + accept_pause));
    }
}

// A name that is being looked up. It belongs to Asio's handler, for getaddrinfo() cannot be
// interrupted: a fiber that cannot wait any longer takes its address out, and goes.
struct Lookup {
    explicit Lookup(asio::io_context& loop) : resolver(loop) {}
    tcp::resolver resolver;
    Signal* done = nullptr;
    std::vector<tcp::endpoint>* found = nullptr;
    error_code* error = nullptr;
};

} // namespace

// ---- Network ----

Result<std::vector<tcp::endpoint>> Network::Shared::resolve(const Address& address) {
    TRY(unless_cancelled(fibers));
    error_code error;
    const auto numeric = asio::ip::make_address(address.host, error);
    if (!error) return std::vector{tcp::endpoint(numeric, address.port)};

    error.clear();
    Signal done(fibers);
    std::vector<tcp::endpoint> found;
    auto owned = std::make_unique<Lookup>(loop);
    Lookup& lookup = *owned;
    lookup.done = &done;
    lookup.found = &found;
    lookup.error = &error;
    lookup.resolver.async_resolve(
        address.host, std::to_string(address.port), tcp::resolver::numeric_service,
        [owned = std::move(owned)](const error_code& outcome,
                                   const tcp::resolver::results_type& all) {
            if (!owned->done) return;
            *owned->error = outcome;
            for (const auto& entry : all)
                if (owned->found->size() < endpoints_max) owned->found->push_back(entry.endpoint());
            owned->done->set();
        });
    const Result<> waited = done.wait();
    if (!waited.ok()) {
        lookup.done = nullptr;
        return waited.error();
    }
    if (error || found.empty()) {
        log.debug("cannot look up a name", {{"host", address.host}, {"reason", error.message()}});
        return Error::disconnected;
    }
    return found;
}

Network::Network(asio::io_context& loop, Scheduler& fibers, const pyralog::Clock& clock,
                 Logger& log, Metrics& metrics)
    : shared_(new Shared{
          loop, fibers, clock, log,
          Metrics::Counter(metrics, "pyralog_network_received_bytes_total", "Bytes received."),
          Metrics::Counter(metrics, "pyralog_network_sent_bytes_total", "Bytes sent."),
          Metrics::Gauge(metrics, "pyralog_network_streams", "Streams that are open.")}) {}

Network::~Network() = default;

Result<std::unique_ptr<pyralog::Listener>> Network::listen(const Address& local) {
    const auto endpoints = TRY(shared_->resolve(local));
    tcp::acceptor acceptor(shared_->loop);
    const tcp::endpoint& endpoint = endpoints.front();
    error_code error;
    (void)acceptor.open(endpoint.protocol(), error);
    // A restarted node gets its port back although old connections linger.
    if (!error) (void)acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) (void)acceptor.bind(endpoint, error);
    if (!error) (void)acceptor.listen(backlog, error);
    if (!error) (void)acceptor.non_blocking(true, error);
    tcp::endpoint bound;
    if (!error) bound = acceptor.local_endpoint(error);
    if (error == asio::error::address_in_use) return Error::already_exists;
    if (error) {
        shared_->log.error("cannot listen",
                           {{"address", to_string(local)}, {"reason", error.message()}});
        return Error::unavailable;
    }
    return std::unique_ptr<pyralog::Listener>(std::make_unique<Listener>(
        *shared_, std::move(acceptor), Address{local.host, bound.port()}));
}

Result<std::unique_ptr<pyralog::Stream>> Network::connect(const Address& remote) {
    const auto endpoints = TRY(shared_->resolve(remote));
    for (const tcp::endpoint& endpoint : endpoints) {
        tcp::socket socket(shared_->loop);
        Signal ended(shared_->fibers);
        error_code outcome;
        socket.async_connect(endpoint, [&](const error_code& error) {
            outcome = error;
            ended.set();
        });
        const Result<> waited = ended.wait();
        error_code error;
        if (!waited.ok()) {
            (void)socket.close(error);
            ended.wait_through();
            return waited.error();
        }
        // A port of the dynamic range that nobody listens on may be given to this very socket, and
        // TCP then connects it to itself.
        if (!outcome && socket.local_endpoint(error) == socket.remote_endpoint(error))
            outcome = asio::error::connection_refused;
        if (!outcome)
            return std::unique_ptr<pyralog::Stream>(
                std::make_unique<Stream>(*shared_, std::move(socket), remote));
        (void)shared_->ended("connect", remote, outcome); // The next address may do.
    }
    return Error::disconnected;
}

} // namespace pyralog::real
