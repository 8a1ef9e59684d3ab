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
    AdminConfig config;
    std::string page = "all is well\n";
    int stops = 0;
    AdminActions actions{[this](const HttpRequest& request) { return answer(request); },
                         [this] { ++stops; }};

    AdminAnswer answer(const HttpRequest& request) const {
        if (request.path == "/stop") return {{202, "text/plain", "stopping\n", {}}, true};
        if (request.path == "/echo") return {{200, "text/plain", request.body, {}}};
        if (request.path == "/page") return {{200, "text/plain", page, {}}};
        return {{404, "text/plain", "there is no such page\nbut others\n", {}}};
    }
    std::vector<std::string> log; // What the node has logged.

    explicit Door(std::uint64_t seed, const sim::Faults& faults = {}) : world(seed, faults) {
        world.set_listener([this](const sim::TraceEvent& event) {
            if (event.kind == sim::TraceKind::log && event.node == server_id)
                log.emplace_back(event.text);
        });
        world.boot(server_id, [this](Environment& env) -> Result<> {
            const auto listener = TRY(env.network.listen(admin_address));
            return serve_admin(env, *listener, config, actions);
        });
        world.run_for(1ms);
    }

    std::int64_t open() {
        const std::string text = world.environment(server_id).metrics.expose();
        const std::string name = "\npyralog_admin_connections ";
        return std::stoll(text.substr(text.find(name) + name.size()));
    }

    // What a client does, to its end or for a minute. True if it came to its end.
    bool client(std::function<Result<>(Environment&)> main) {
        world.boot(client_id, std::move(main));
        return world.run_until(world.now() + 60s, [&] { return !world.running(client_id); });
    }

    Result<HttpResponse> ask(std::string method, std::string path, std::string body = {}) {
        Result<HttpResponse> answer = Error::unavailable;
        REQUIRE(client([&](Environment& env) -> Result<> {
            answer = ask_admin(env.network, admin_address, {method, path, {}, body});
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

TEST_CASE("what is asked is answered by whoever knows", "[server]") {
    Door door(1);
    CHECK(door.ask("GET", "/page").value().body == "all is well\n");
    CHECK(door.ask("PUT", "/echo", "debug").value().body == "debug");
    CHECK(door.ask("GET", "/etc/passwd").value().status == 404);
    CHECK(door.stops == 0);
}

TEST_CASE("a stop is answered before it is obeyed, and obeyed once", "[server]") {
    Door door(2);
    const auto answer = door.ask("POST", "/stop");
    CHECK(answer.value().status == 202);
    door.world.run_for(5s);
    CHECK(door.stops == 1);
}

TEST_CASE("a stop is obeyed even if nobody waits for the answer", "[server]") {
    Door door(3);
    CHECK(door.client([&](Environment& env) -> Result<> {
        const auto stream = TRY(env.network.connect(admin_address));
        TRY(stream->write({Bytes::copy_of(format_http_request({"POST", "/stop"}, "node1"))}));
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
    CHECK(door.ask("GET", "/page").value().status == 200);
}

TEST_CASE("who says nothing is shown the door", "[server]") {
    Door door(5);
    CHECK(door.say("GET / HTTP/1.1\r\n").empty());
    CHECK(door.ask("GET", "/page").value().status == 200);
}

TEST_CASE("a refused request is one line in the log, and a flood of them is few", "[server]") {
    Door door(7);
    CHECK(door.say("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 404 "));
    REQUIRE(door.log.size() == 1);
    CHECK(door.log[0].find("refused a request at the admin port") != std::string::npos);
    CHECK(door.log[0].find("status=404 why=\"there is no such page\"") != std::string::npos);
    CHECK(door.ask("GET", "/page").value().status == 200);
    CHECK(door.log.size() == 1);
    door.world.run_for(2s);
    door.log.clear();
    REQUIRE(door.client([&](Environment& env) -> Result<> {
        for (int i = 0; i < 200; ++i) {
            const auto stream = TRY(env.network.connect(admin_address));
            TRY(stream->write({Bytes::copy_of(std::string_view("garbage\r\n\r\n"))}));
        }
        return env.fibers.sleep_until(env.clock.now() + 10s);
    }));
    door.say("garbage\r\n\r\n");
    const Duration took = 15s; // No more than that: some lines in each second of it.
    CHECK(door.log.size() >= static_cast<std::size_t>(admin_complaints_max));
    CHECK(door.log.size() <= static_cast<std::size_t>((admin_complaints_max + 1) * (took / 1s)));
    CHECK(door.ask("GET", "/page").value().status == 200);
}

TEST_CASE("who reads slowly loses his answer, and nobody else's", "[server]") {
    Door door(8);
    door.page = std::string(8 << 20, 'x');
    const auto slow = NodeId(1002);
    std::size_t read = 0;
    bool ended = false;
    door.world.boot(slow, [&](Environment& env) -> Result<> {
        const auto stream = TRY(env.network.connect(admin_address));
        TRY(stream->write({Bytes::copy_of(format_http_request({"GET", "/page"}, "node1"))}));
        std::array<std::byte, 16> piece;
        for (;;) {
            const Result<std::size_t> count = stream->read_some(piece);
            ended = !count.ok() || count.value() == 0;
            if (ended) return {};
            read += count.value();
            TRY(env.fibers.sleep_until(env.clock.now() + 1s));
        }
    });
    door.world.run_for(1s);
    CHECK(door.ask("PUT", "/echo", "quick").value().body == "quick");
    door.world.run_for(door.config.patience + admin_linger);
    CHECK(door.open() == 0);
    CHECK(read < door.page.size());
    CHECK(door.world.running(server_id));
}

TEST_CASE("a byte a second is too slow, a byte each 50 ms is not", "[server]") {
    for (const Duration pause : {Duration(1s), Duration(50ms)}) {
        Door door(9);
        std::string answer;
        REQUIRE(door.client([&](Environment& env) -> Result<> {
            const auto stream = TRY(env.network.connect(admin_address));
            for (const char byte : format_http_request({"GET", "/page"}, "node1")) {
                if (!stream->write({Bytes::copy_of(std::string_view(&byte, 1))}).ok()) return {};
                TRY(env.fibers.sleep_until(env.clock.now() + pause));
            }
            std::array<std::byte, 256> piece;
            const std::size_t count = TRY(stream->read_some(piece));
            answer.assign(reinterpret_cast<const char*>(piece.data()), count);
            return {};
        }));
        CHECK(answer.starts_with("HTTP/1.1 200 ") == (pause < 1s));
    }
}

TEST_CASE("a crowd that says nothing gives way to who does", "[server]") {
    Door door(6);
    const auto crowd = NodeId(1002);
    door.world.boot(crowd, [](Environment& env) -> Result<> {
        std::vector<std::unique_ptr<Stream>> idle;
        for (std::int64_t i = 0; i < 3 * AdminConfig().connections_max; ++i)
            idle.push_back(TRY(env.network.connect(admin_address)));
        return env.fibers.sleep_until(env.clock.now() + 60s);
    });
    door.world.run_for(100ms);
    CHECK(door.open() == AdminConfig().connections_max);
    const Duration asked = door.world.now();
    CHECK(door.ask("GET", "/page").value().status == 200);
    const Duration waited = door.world.now() - asked;
    CHECK(waited > admin_grace / 2);
    CHECK(waited < door.config.patience); // Which is what each of them may take if nobody waits.
}

TEST_CASE("who is about to be answered keeps his place, and others wait", "[server]") {
    Door door(10);
    door.config.connections_max = 2;
    door.page = std::string(8 << 20, 'x'); // Which these two do not read.
    const auto slow = NodeId(1002);
    door.world.boot(slow, [](Environment& env) -> Result<> {
        std::vector<std::unique_ptr<Stream>> greedy;
        for (int i = 0; i < 2; ++i) {
            greedy.push_back(TRY(env.network.connect(admin_address)));
            TRY(greedy.back()->write(
                {Bytes::copy_of(format_http_request({"GET", "/page"}, "node1"))}));
        }
        return env.fibers.sleep_until(env.clock.now() + 60s);
    });
    door.world.run_for(1s);
    CHECK(door.open() == 2);
    const Duration asked = door.world.now();
    CHECK(door.ask("PUT", "/echo", "me").value().body == "me");
    CHECK(door.world.now() - asked > door.config.patience / 2);
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
            const auto answer = TRY(ask_admin(env.network, admin_address, {"GET", "/page"}));
            REQUIRE(answer.body == door.page);
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
