#include "server/admin/admin.h"

#include <array>

namespace pyralog::server {

namespace {

constexpr std::size_t piece_bytes = 4096;

// After an accept that failed, which is usually a lack of descriptors: others have to close first.
constexpr Duration accept_pause = 100ms;

struct Client {
    Environment& env;
    Stream& stream;
    const AdminActions& actions;

    Result<> serve() {
        const Deadline patience(env.fibers, env.clock.now() + admin_patience);
        const AdminAnswer answer = TRY(read());
        const bool written =
            stream.write({Bytes::copy_of(format_http_response(answer.response))}).ok();
        if (written) linger();
        // Even if the answer was lost: the request was not.
        if (answer.must_stop) actions.stop();
        return {};
    }

    Result<AdminAnswer> read() {
        std::string bytes;
        std::array<std::byte, piece_bytes> piece;
        for (;;) {
            const ParsedRequest parsed = parse_http_request(bytes);
            if (const auto* request = std::get_if<HttpRequest>(&parsed))
                return answer_admin(*request, actions);
            if (const auto* refusal = std::get_if<HttpResponse>(&parsed))
                return AdminAnswer{*refusal};
            const std::size_t count = TRY(stream.read_some(piece));
            if (count == 0) return Error::disconnected;
            bytes.append(reinterpret_cast<const char*>(piece.data()), count);
        }
    }

    // Closing drops what is still on its way, so the client closes first. What it sends meanwhile
    // is thrown away, for as long as it cares to send it.
    void linger() {
        const Deadline patience(env.fibers, env.clock.now() + admin_linger);
        std::array<std::byte, piece_bytes> piece;
        for (;;) {
            const Result<std::size_t> count = stream.read_some(piece);
            if (!count.ok() || count.value() == 0) return;
        }
    }
};

} // namespace

AdminAnswer answer_admin(const HttpRequest& request, const AdminActions& actions) {
    constexpr std::string_view json = "application/json";
    const bool is_stop = request.path == "/v1/stop";
    const bool is_known = is_stop || request.path == "/v1/status" || request.path == "/metrics" ||
                          request.path == "/healthz";
    if (!is_known) return {{404, "text/plain; charset=utf-8", "there is no such page\n"}};
    if (request.method != (is_stop ? "POST" : "GET"))
        return {{405, "text/plain; charset=utf-8",
                 is_stop ? "this page takes POST only\n" : "this page takes GET only\n"}};
    if (is_stop) return {{202, std::string(json), "{\"stopping\":true}\n"}, true};
    if (request.path == "/metrics")
        return {{200, "text/plain; version=0.0.4; charset=utf-8", actions.metrics()}};
    const Status status = actions.status();
    if (request.path == "/v1/status") return {{200, std::string(json), to_json(status)}};
    const bool is_ready = status.state == Status::State::ready;
    return {{is_ready ? 200 : 503, "text/plain; charset=utf-8",
             std::string(to_string(status.state)) + '\n'}};
}

Result<> serve_admin(Environment& env, Listener& listener, const AdminActions& actions) {
    Condition changed(env.fibers);
    std::int64_t clients = 0;
    Scope scope(env.fibers);
    for (;;) {
        TRY(changed.wait([&] { return clients < admin_clients_max; }));
        Result<std::unique_ptr<Stream>> accepted = listener.accept();
        if (!accepted.ok()) {
            if (accepted.error() == Error::cancelled) return Error::cancelled;
            env.log.warning("admin_accept_failed", {{"error", accepted.error()}});
            TRY(env.fibers.sleep_until(env.clock.now() + accept_pause));
            continue;
        }
        ++clients;
        scope.spawn("admin client", [&, stream = std::move(accepted).value()] {
            // Who has gone, or was too slow, needs no answer.
            (void)Client{env, *stream, actions}.serve();
            --clients;
            changed.notify_all();
        });
    }
}

Result<HttpResponse> ask_admin(Network& network, const Address& address,
                               const HttpRequest& request) {
    const std::unique_ptr<Stream> stream = TRY(network.connect(address));
    TRY(stream->write({Bytes::copy_of(format_http_request(request, to_string(address)))}));
    std::string bytes;
    std::array<std::byte, piece_bytes> piece;
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
