#include "server/admin/admin.h"

#include <array>
#include <list>

namespace pyralog::server {

namespace {

constexpr std::size_t request_piece_bytes = 4096;

// After an accept that failed, which is usually a lack of descriptors: others have to close first.
constexpr Duration admin_accept_pause = 100ms;

// One line for a request that is refused, and no flood of them.
class Complaints {
public:
    Complaints(Environment& env, Metrics::Counter& refused) : env_(env), refused_(refused) {}

    void add(const Address& client, int status, std::string_view why) {
        refused_.add();
        const Time now = env_.clock.now();
        if (now - began_ >= 1s) {
            if (unsaid_ > 0)
                env_.log.warning("refused more requests at the admin port", {{"count", unsaid_}});
            began_ = now;
            said_ = 0;
            unsaid_ = 0;
        }
        if (said_ == admin_complaints_max) {
            ++unsaid_;
            return;
        }
        ++said_;
        env_.log.warning("refused a request at the admin port",
                         {{"client", to_string(client)},
                          {"status", status},
                          {"why", why.substr(0, why.find('\n'))}});
    }

private:
    Environment& env_;
    Metrics::Counter& refused_;
    Time began_;
    int said_ = 0;
    int unsaid_ = 0;
};

// Who is at the door. The fibers that still read are known one by one, in the order in which they
// came: each has a Scope of its own, which ends without it when his place is wanted.
class Clients {
public:
    Clients(Environment& env, const AdminConfig& config)
        : env_(env), config_(config), changed_(env.fibers) {}

    struct Reader {
        Scope* scope;
        Time began;
    };

    void add() { ++count_; }
    void remove() {
        --count_;
        changed_.notify_all();
    }
    std::list<Reader>::iterator began_to_read(Scope& scope) {
        changed_.notify_all();
        return readers_.insert(readers_.end(), {&scope, env_.clock.now()});
    }
    void has_read(std::list<Reader>::iterator reader) { readers_.erase(reader); }

    Result<> wait_for_room() {
        while (count_ >= config_.connections_max) {
            const Time now = env_.clock.now();
            for (const Reader& reader : readers_)
                if (reader.began + admin_grace <= now && !reader.scope->cancelled()) {
                    reader.scope->cancel();
                    break;
                }
            const Deadline again(env_.fibers, now + admin_grace / 10);
            const Result<> waited = changed_.wait([&] { return count_ < config_.connections_max; });
            if (!waited.ok() && waited.error() != Error::timed_out) return waited;
        }
        return {};
    }

private:
    Environment& env_;
    const AdminConfig& config_;
    Condition changed_;
    std::int64_t count_ = 0;
    std::list<Reader> readers_;
};

struct Client {
    Environment& env;
    Stream& stream;
    const AdminConfig& config;
    const AdminActions& actions;
    Complaints& complaints;
    Clients& clients;

    Result<> serve() {
        const Time end = env.clock.now() + config.patience;
        const ParsedRequest request = TRY(read_until(end));
        const Deadline patience(env.fibers, end);
        const AdminAnswer answer = std::holds_alternative<HttpRequest>(request)
                                       ? actions.answer(std::get<HttpRequest>(request))
                                       : AdminAnswer{std::get<HttpResponse>(request)};
        const int status = answer.response.status;
        if (status >= 400 && status < 500)
            complaints.add(stream.peer(), status, answer.response.body);
        const bool written =
            stream.write({Bytes::copy_of(format_http_response(answer.response))}).ok();
        if (written) linger();
        // Even if the answer was lost: the request was not.
        if (answer.must_stop) actions.stop();
        return {};
    }

    Result<ParsedRequest> read_until(Time end) {
        Result<ParsedRequest> request = Error::cancelled;
        Scope reading(env.fibers);
        const auto place = clients.began_to_read(reading);
        reading.spawn("admin request", [&] {
            const Deadline patience(env.fibers, end);
            request = read();
        });
        reading.join();
        clients.has_read(place);
        return request;
    }

    // Never nothing.
    Result<ParsedRequest> read() {
        std::string bytes;
        std::array<std::byte, request_piece_bytes> piece;
        for (;;) {
            ParsedRequest parsed = parse_http_request(bytes);
            if (!std::holds_alternative<std::monostate>(parsed)) return parsed;
            const std::size_t count = TRY(stream.read_some(piece));
            if (count == 0) return Error::disconnected;
            bytes.append(reinterpret_cast<const char*>(piece.data()), count);
        }
    }

    // Closing drops what is still on its way, so the client closes first. What it sends meanwhile
    // is thrown away, for as long as it cares to send it.
    void linger() {
        const Deadline patience(env.fibers, env.clock.now() + admin_linger);
        std::array<std::byte, request_piece_bytes> piece;
        for (;;) {
            const Result<std::size_t> count = stream.read_some(piece);
            if (!count.ok() || count.value() == 0) return;
        }
    }
};

} // namespace

Result<> serve_admin(Environment& env, Listener& listener, const AdminConfig& config,
                     const AdminActions& actions) {
    AdminMetrics metrics(env.metrics);
    Complaints complaints(env, metrics.refused);
    Clients clients(env, config);
    Scope scope(env.fibers);
    for (;;) {
        Result<std::unique_ptr<Stream>> accepted = listener.accept();
        if (!accepted.ok()) {
            if (accepted.error() == Error::cancelled) return Error::cancelled;
            env.log.warning("admin_accept_failed", {{"error", accepted.error()}});
            TRY(env.fibers.sleep_until(env.clock.now() + admin_accept_pause));
            continue;
        }
        TRY(clients.wait_for_room());
        clients.add();
        metrics.served.add();
        metrics.open.add(1);
        scope.spawn("admin client", [&, stream = std::move(accepted).value()] {
            // Who has gone, or was too slow, needs no answer.
            (void)Client{env, *stream, config, actions, complaints, clients}.serve();
            metrics.open.add(-1);
            clients.remove();
        });
    }
}

Result<HttpResponse> ask_admin(Network& network, const Address& address,
                               const HttpRequest& request) {
    const std::unique_ptr<Stream> stream = TRY(network.connect(address));
    TRY(stream->write({Bytes::copy_of(format_http_request(request, to_string(address)))}));
    std::string bytes;
    std::array<std::byte, request_piece_bytes> piece;
    for (;;) {
        const std::size_t count = TRY(stream->read_some(piece));
        if (count == 0) return Error::disconnected;
        bytes.append(reinterpret_cast<const char*>(piece.data()), count);
        ParsedResponse parsed = parse_http_response(bytes);
        if (std::holds_alternative<BadResponse>(parsed)) return Error::malformed;
        if (auto* response = std::get_if<HttpResponse>(&parsed)) return std::move(*response);
    }
}

Result<> write_admin_address(Disk& disk, const Address& address) {
    const std::string name(admin_address_file);
    const std::string fresh = name + ".new";
    if (const Result<> removed = disk.remove(fresh);
        !removed.ok() && removed.error() != Error::not_found)
        return removed.error();
    {
        const std::unique_ptr<File> file = TRY(disk.open(fresh, Disk::Open::create_new));
        TRY(file->write_at(0, {Bytes::copy_of(to_string(address) + '\n')}, Durability::now));
    }
    TRY(disk.rename(fresh, name));
    return disk.sync_directory("");
}

} // namespace pyralog::server
