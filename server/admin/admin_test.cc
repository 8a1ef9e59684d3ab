#include "io/sim/world.h"
#include "server/admin/admin.h"

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace pyralog;
using namespace pyralog::server;

namespace {

constexpr NodeId server_id{1};
constexpr NodeId client_id{1001};
const Address admin_address{"node1", 9094};

// A node that is nothing but its side door, and clients in a world of their own.
struct Door {
    sim::World world;
    Status status;
    int stops = 0;
    AdminActions actions{[this] { return status; }, [] { return std::string("a_total 1\n"); },
                         [this] { ++stops; }};

    explicit Door(std::uint64_t seed, const sim::Faults& faults = {}) : world(seed, faults) {
        status.node = server_id;
        status.state = Status::State::ready;
        world.boot(server_id, [this](Environment& env) -> Result<> {
            const auto listener = TRY(env.network.listen(admin_address));
            return serve_admin(env, *listener, actions);
        });
        world.run_for(1ms);
    }

    // What a client does, to its end or for a minute. True if it came to its end.
    bool client(std::function<Result<>(Environment&)> main) {
        world.boot(client_id, std::move(main));
        return world.run_until(world.now() + 60s, [&] { return !world.running(client_id); });
    }

    Result<HttpResponse> ask(std::string method, std::string path) {
        Result<HttpResponse> answer = Error::unavailable;
        REQUIRE(client([&](Environment& env) -> Result<> {
            answer = ask_admin(env.network, admin_address, {method, path});
            return {};
        }));
        return answer;
    }

    // What comes back to these bytes, until the node closes.
    std::string say(std::string bytes) {
        std::string answer;
        REQUIRE(client([&](Environment& env) -> Result<> {
            const auto stream = TRY(env.network.connect(admin_address));
            TRY(stream->write({Bytes::copy_of(bytes)}));
            std::array<std::byte, 256> piece;
            for (;;) {
                const std::size_t count = TRY(stream->read_some(piece));
                if (count == 0) return {};
                answer.append(reinterpret_cast<const char*>(piece.data()), count);
            }
        }));
        return answer;
    }
};

} // namespace

TEST_CASE("each page of the side door is answered", "[server]") {
    Door door(1);
    CHECK(door.ask("GET", "/healthz").value().status == 200);
    CHECK(door.ask("GET", "/metrics").value().body == "a_total 1\n");
    CHECK(door.ask("GET", "/v1/status").value().body == to_json(door.status));
    CHECK(door.ask("GET", "/v1/stop").value().status == 405);
    CHECK(door.ask("POST", "/metrics").value().status == 405);
    CHECK(door.ask("GET", "/etc/passwd").value().status == 404);
    CHECK(door.stops == 0);
    door.status.state = Status::State::starting;
    CHECK(door.ask("GET", "/healthz").value().status == 503);
}

TEST_CASE("a stop is answered before it is obeyed, and obeyed once", "[server]") {
    Door door(2);
    const auto answer = door.ask("POST", "/v1/stop");
    CHECK(answer.value().status == 202);
    door.world.run_for(5s);
    CHECK(door.stops == 1);
}

TEST_CASE("a stop is obeyed even if nobody waits for the answer", "[server]") {
    Door door(3);
    CHECK(door.client([&](Environment& env) -> Result<> {
        const auto stream = TRY(env.network.connect(admin_address));
        TRY(stream->write({Bytes::copy_of(format_http_request({"POST", "/v1/stop"}, "node1"))}));
        return env.fibers.sleep_until(env.clock.now() + 1s);
    }));
    door.world.run_for(5s);
    CHECK(door.stops == 1);
}

TEST_CASE("nonsense gets its answer and an end", "[server]") {
    Door door(4);
    CHECK(door.say("nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
    CHECK(door.say(std::string(http_head_bytes_max, 'x')).starts_with("HTTP/1.1 431 "));
    CHECK(door.say(std::string(100'000, 'x')).starts_with("HTTP/1.1 431 "));
    CHECK(door.ask("GET", "/healthz").value().status == 200);
}

TEST_CASE("who says nothing is shown the door", "[server]") {
    Door door(5);
    CHECK(door.say("GET / HTTP/1.1\r\n").empty());
    CHECK(door.ask("GET", "/healthz").value().status == 200);
}

TEST_CASE("clients beyond the bound wait for their turn", "[server]") {
    Door door(6);
    const auto crowd = NodeId(1002);
    door.world.boot(crowd, [](Environment& env) -> Result<> {
        std::vector<std::unique_ptr<Stream>> idle;
        for (std::int64_t i = 0; i < admin_clients_max; ++i)
            idle.push_back(TRY(env.network.connect(admin_address)));
        return env.fibers.sleep_until(env.clock.now() + 60s);
    });
    door.world.run_for(1s);
    const Duration asked = door.world.now();
    CHECK(door.ask("GET", "/healthz").value().status == 200);
    CHECK(door.world.now() - asked > admin_patience / 2);
}

TEST_CASE("whatever the network does, a client ends and the door stays open", "[server]") {
    sim::Faults faults;
    faults.split_write = sim::Chance{500'000};
    faults.short_read = sim::Chance{500'000};
    faults.reset = sim::Chance{50'000};
    faults.close_resets = sim::Chance{250'000};
    int answered = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        Door door(seed, faults);
        REQUIRE(door.client([&](Environment& env) -> Result<> {
            const Deadline patience(env.fibers, env.clock.now() + 30s);
            const auto answer = TRY(ask_admin(env.network, admin_address, {"GET", "/v1/status"}));
            REQUIRE(answer.body == to_json(door.status));
            ++answered;
            return {};
        }));
        REQUIRE(door.world.running(server_id));
    }
    CHECK(answered > 50);
}

TEST_CASE("the address file has its name only once it is whole", "[server]") {
    // Without its name it is never read; so all cuts but the last show the old one or none.
    int whole = 0, early = 0;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        sim::World world(seed);
        world.boot(server_id, [](Environment& env) -> Result<> {
            TRY(write_admin_address(env.disk, {"127.0.0.1", 1}));
            return write_admin_address(env.disk, {"127.0.0.1", 2});
        });
        world.run_for(Duration(static_cast<std::int64_t>(seed) * 40'000));
        const bool finished = !world.running(server_id);
        ++(finished ? whole : early);
        if (!finished) world.cut_power(server_id);
        std::optional<std::string> text;
        world.boot(server_id, [&](Environment& env) -> Result<> {
            auto opened = env.disk.open(admin_address_file, Disk::Open::existing);
            if (!opened.ok()) return opened.error();
            std::array<std::byte, 64> room;
            const std::size_t count = TRY(opened.value()->read_at(0, room));
            text = std::string(reinterpret_cast<const char*>(room.data()), count);
            return {};
        });
        world.run_for(1s);
        if (finished) REQUIRE(text == "127.0.0.1:2\n");
        if (text) REQUIRE((text == "127.0.0.1:1\n" || text == "127.0.0.1:2\n"));
    }
    CHECK(whole > 5);
    CHECK(early > 5);
}
