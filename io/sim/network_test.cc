#include "io/sim/world.h"

#include <catch2/catch.hpp>

#include <set>

using namespace pyralog;
using sim::Fault;

namespace {

constexpr NodeId server{1}, client{2};
constexpr std::uint16_t port = 9000;

Result<> wait_for(Environment& env, Duration time) {
    return env.fibers.sleep_until(env.clock.now() + time);
}

// Reads all that comes on every stream until it ends, and remembers how.
struct Sink {
    std::string bytes;
    std::vector<Duration> arrivals;
    int finished = 0, broken = 0;

    void operator()(Environment& env) {
        auto listener = env.network.listen({"node1", port});
        REQUIRE(listener.ok());
        Scope scope(env.fibers);
        for (;;) {
            auto stream = listener.value()->accept();
            if (!stream.ok()) return;
            scope.spawn("sink", [this, &env, kept = std::move(stream).value()] {
                std::array<std::byte, 1000> into{};
                for (;;) {
                    const auto count = kept->read_some(into);
                    if (!count.ok()) {
                        broken += count.error() == Error::disconnected;
                        return;
                    }
                    if (count.value() == 0) {
                        ++finished;
                        return;
                    }
                    arrivals.push_back(env.clock.now() - Time{});
                    for (const std::byte b : std::span(into).first(count.value()))
                        bytes += static_cast<char>(b);
                }
            });
        }
    }
};

std::unique_ptr<Stream> connected(Environment& env, std::string_view host = "node1") {
    auto stream = env.network.connect({std::string(host), port});
    REQUIRE(stream.ok());
    return std::move(stream).value();
}

void say(Stream& stream, std::string_view text) {
    REQUIRE(stream.write({Bytes::copy_of(text)}).ok());
}

struct Two {
    explicit Two(std::uint64_t seed = 1, const sim::Faults& faults = {}) : world(seed, faults) {
        world.boot(server, [this](Environment& env) { sink(env); });
        world.run_for(1ms);
    }
    template <class Body>
    void client_runs(Body body) {
        world.boot(client, body);
        world.run_for(60s);
    }
    const sim::FaultCounts& counts() { return world.counts(); }

    Sink sink;
    sim::World world;
};

// Five nodes, each with a stream to each other on which it says something now and then.
constexpr std::array<NodeId, 5> five{NodeId{1}, NodeId{2}, NodeId{3}, NodeId{4}, NodeId{5}};

void chatter(Environment& env, NodeId self) {
    auto listener = std::move(env.network.listen({"0.0.0.0", port})).value();
    Scope scope(env.fibers);
    scope.spawn("accept", [&] {
        for (;;) {
            auto stream = listener->accept();
            if (!stream.ok()) return;
            scope.spawn("read", [kept = std::move(stream).value()] {
                std::array<std::byte, 100> into{};
                for (;;) {
                    const auto count = kept->read_some(into);
                    if (!count.ok() || count.value() == 0) return;
                }
            });
        }
    });
    for (const NodeId peer : five) {
        if (peer == self) continue;
        scope.spawn("talk", [&, peer] {
            const auto stream = connected(env, "node" + std::to_string(peer.value));
            while (stream->write({Bytes::copy_of("hello")}).ok() && wait_for(env, 1ms).ok()) {
            }
        });
    }
    scope.join();
}

using Pairs = std::set<std::pair<int, int>>;

// The directed pairs between which nothing passes while a partition lasts, of the five.
Pairs silent_under(const std::function<void(sim::Fabric&)>& partition) {
    sim::World world(1);
    for (const NodeId id : five) world.boot(id, [id](Environment& env) { chatter(env, id); });
    world.run_for(100ms);
    sim::Fabric& network = world.network();
    partition(network);
    const auto delivered = [&] {
        std::map<std::pair<int, int>, std::uint64_t> bytes;
        for (const NodeId a : five)
            for (const NodeId b : five)
                if (a != b) bytes[{a.value, b.value}] = network.bytes_delivered(a, b);
        return bytes;
    };
    const auto before = delivered();
    world.run_for(100ms);
    const auto during = delivered();
    CHECK(world.counts().effective(Fault::partition) > 0);
    network.heal_all();
    world.run_for(100ms);
    Pairs silent;
    for (const auto& [pair, bytes] : delivered()) {
        if (during.at(pair) == before.at(pair)) silent.insert(pair);
        CHECK(bytes >= before.at(pair) + 5 * 150); // All that was held up came in the end.
    }
    return silent;
}

Pairs both_ways(Pairs pairs) {
    for (const auto& [a, b] : Pairs(pairs)) pairs.insert({b, a});
    return pairs;
}

} // namespace

TEST_CASE("a partition silences the links that it cuts, and no other", "[sim]") {
    const std::array<NodeId, 2> low{five[0], five[1]};
    const std::array<NodeId, 3> high{five[2], five[3], five[4]};
    const Pairs halves{{1, 3}, {1, 4}, {1, 5}, {2, 3}, {2, 4}, {2, 5}};
    using sim::Fabric;
    CHECK(silent_under([&](Fabric& n) { n.split(low, high); }) == both_ways(halves));
    CHECK(silent_under([&](Fabric& n) { n.one_way(low, high); }) == halves);
    CHECK(silent_under([&](Fabric& n) { n.block(five[1], five[0]); }) == Pairs{{2, 1}});
    CHECK(silent_under([&](Fabric& n) { n.isolate(five[0], std::span(five).subspan(1)); }) ==
          both_ways({{1, 2}, {1, 3}, {1, 4}, {1, 5}}));
    CHECK(silent_under([&](Fabric& n) {
              n.split(low, high);
              n.cut({{five[0], five[3]}, {five[3], five[2]}, {five[1], five[4]}});
          }) == Pairs{{1, 4}, {4, 3}, {2, 5}});
    CHECK(silent_under([&](Fabric& n) {
              n.split(low, high);
              for (const NodeId b : high) n.heal(five[0], b), n.heal(b, five[0]);
          }) == both_ways({{2, 3}, {2, 4}, {2, 5}}));
}

TEST_CASE("bytes keep their order in a stream, and no order with other streams", "[sim]") {
    sim::Faults faults;
    faults.link_time = {1us, 10ms, sim::never, 0us};
    faults.split_write = {300'000};
    faults.short_read = {300'000};
    faults.window_least = faults.window_most = 700;
    Two two(1, faults);
    std::string sent;
    two.client_runs([&](Environment& env) {
        const auto stream = connected(env);
        const auto other = connected(env);
        for (int i = 0; i < 500; ++i) {
            const std::string text = std::to_string(i) + ' ';
            sent += text;
            say(*stream, text);
            REQUIRE(other->write({Bytes::copy_of(std::string_view(""))}).ok());
        }
    });
    CHECK(two.sink.bytes == sent);
    CHECK(two.sink.finished == 2);
    CHECK(two.counts().effective(Fault::split_write) > 0);
    CHECK(two.counts().effective(Fault::short_read) > 0);
    CHECK(two.counts().effective(Fault::delay) == 0);

    Two mixed(1, faults);
    mixed.client_runs([&](Environment& env) {
        const auto stream = connected(env);
        const auto other = connected(env);
        for (int i = 0; i < 100; ++i) {
            say(*stream, "a");
            say(*other, "b");
            REQUIRE(wait_for(env, 10us).ok());
        }
    });
    CHECK(std::ranges::count(mixed.sink.bytes, 'a') == 100);
    CHECK(mixed.counts().effective(Fault::delay) > 0);
}

TEST_CASE("who is killed is heard of; whose power goes is not, until it is asked", "[sim]") {
    for (const bool power : {false, true}) {
        Two two;
        Result<std::size_t> read = std::size_t{0};
        Duration ended{};
        Result<> written;
        two.world.boot(client, [&](Environment& env) {
            const auto stream = connected(env);
            say(*stream, "x");
            std::array<std::byte, 1> into{};
            {
                const Deadline deadline(env.fibers, env.clock.now() + 5s);
                read = stream->read_some(into);
                ended = env.clock.now() - Time{};
            }
            for (int i = 0; i < 10 && written.ok(); ++i) {
                written = stream->write({Bytes::copy_of("still there?")});
                REQUIRE(wait_for(env, 10ms).ok());
            }
        });
        two.world.run_for(1s);
        power ? two.world.cut_power(server) : two.world.kill(server);
        two.world.run_for(1s);
        if (power) two.world.boot(server, [&](Environment& env) { two.sink(env); });
        two.world.run_for(10s);
        REQUIRE(two.world.exit_status(client));
        CHECK(read.error() == (power ? Error::timed_out : Error::disconnected));
        if (!power) CHECK(ended < 1100ms);
        CHECK(written.error() == Error::disconnected); // The rebooted system knows of no stream.
        if (!power) CHECK(two.counts().effective(Fault::kill) == 1);
    }
}

TEST_CASE("a node without power answers nothing", "[sim]") {
    Two two;
    two.world.cut_power(server);
    Result<> ended;
    two.client_runs([&](Environment& env) {
        const Deadline deadline(env.fibers, env.clock.now() + 3s);
        const auto stream = env.network.connect({"node1", port});
        ended = stream.ok() ? Result<>{} : Result<>(stream.error());
    });
    CHECK(ended.error() == Error::timed_out);
}

TEST_CASE("a connect waits through a short partition and gives up in a long one", "[sim]") {
    for (const auto& [is_short, from, to] :
         {std::tuple(true, client, server), std::tuple(false, client, server),
          std::tuple(true, server, client), std::tuple(false, server, client)}) {
        Two two;
        two.world.network().block(from, to);
        bool ok = false;
        two.world.boot(client,
                       [&](Environment& env) { ok = env.network.connect({"node1", port}).ok(); });
        two.world.run_for(1s);
        CHECK(two.world.running(client));
        if (is_short) two.world.network().heal_all();
        two.world.run_for(60s);
        CHECK(two.world.exit_status(client));
        CHECK(ok == is_short);
        CHECK(two.counts().effective(Fault::partition) > 0);
    }
}

TEST_CASE("the sender of blocked bytes may give up, and the reader hears nothing of it", "[sim]") {
    sim::Faults faults;
    faults.blocked_gives_up = sim::always;
    Two two(1, faults);
    Result<> written;
    two.world.boot(client, [&](Environment& env) {
        const auto stream = connected(env);
        say(*stream, "before ");
        REQUIRE(wait_for(env, 1s).ok());
        for (int i = 0; i < 100 && written.ok(); ++i) {
            written = stream->write({Bytes::copy_of("lost ")});
            REQUIRE(wait_for(env, 200ms).ok());
        }
        (void)env.fibers.park();
    });
    two.world.run_for(500ms);
    two.world.network().block(client, server);
    two.world.run_for(60s);
    CHECK(written.error() == Error::disconnected);
    two.world.network().heal_all();
    two.world.run_for(60s);
    CHECK(two.sink.bytes == "before ");
    CHECK(two.sink.broken + two.sink.finished == 0);
    CHECK(two.counts().effective(Fault::gave_up) == 1);
}

TEST_CASE("nobody connects over a barred link, and what is connected goes on", "[sim]") {
    Two two;
    bool connects = true;
    two.world.boot(client, [&](Environment& env) {
        const auto stream = connected(env);
        REQUIRE(wait_for(env, 1s).ok());
        say(*stream, "goes on");
        const Deadline patience(env.fibers, env.clock.now() + 10s);
        connects = env.network.connect({"node1", port}).ok();
    });
    two.world.run_for(500ms);
    two.world.network().bar(client, server);
    const bool is_short = GENERATE(false, true);
    two.world.run_for(20s);
    CHECK(two.sink.bytes == "goes on");
    CHECK(!connects);
    CHECK(two.counts().effective(Fault::black_hole) == 1);
    if (!is_short) return;
    two.world.network().heal_all();
    two.client_runs(
        [&](Environment& env) { connects = env.network.connect({"node1", port}).ok(); });
    CHECK(connects);
}

TEST_CASE("who is connecting when the link is barred gets no answer either", "[sim]") {
    sim::Faults faults;
    faults.slow_connect = sim::always;
    faults.slow_connect_time = {1s, 2s, sim::never, 0us};
    Two two(1, faults);
    std::optional<Error> ended;
    two.world.boot(client, [&](Environment& env) {
        const Deadline patience(env.fibers, env.clock.now() + 10s);
        ended = env.network.connect({"node1", port}).error();
    });
    two.world.run_for(500ms);
    two.world.network().bar(client, server);
    two.world.network().reset_streams(client, server);
    two.world.run_for(20s);
    CHECK(ended == Error::timed_out);
    CHECK(two.counts().effective(Fault::black_hole) == 1);
}

TEST_CASE("a stream whose peer cannot answer is held up though its bytes arrive", "[sim]") {
    sim::Faults faults;
    faults.window_least = faults.window_most = 1'000;
    Two two(1, faults);
    std::size_t written = 0;
    two.world.boot(client, [&](Environment& env) {
        const auto stream = connected(env);
        while (stream->write({Bytes::copy_of(std::string(100, 'x'))}).ok()) written += 100;
    });
    two.world.network().block(server, client);
    two.world.network().heal_all();
    two.world.run_for(100ms);
    const std::size_t before = written;
    CHECK(before > 1'000);
    two.world.network().block(server, client);
    two.world.run_for(100ms);
    const std::size_t during = written - before;
    two.world.run_for(100ms);
    CHECK(during <= 2'000);
    CHECK(written - before == during);
    two.world.network().heal_all();
    two.world.run_for(100ms);
    CHECK(written - before > during);
}

TEST_CASE("a slow reader holds its writer up, by a window", "[sim]") {
    sim::Faults faults;
    faults.window_least = faults.window_most = 10'000;
    sim::World world(1, faults);
    world.boot(server, [](Environment& env) {
        auto listener = std::move(env.network.listen({"node1", port})).value();
        const auto stream = std::move(listener->accept()).value();
        (void)env.fibers.park();
    });
    std::size_t written = 0;
    world.boot(client, [&](Environment& env) {
        const auto stream = connected(env);
        while (stream->write({Bytes::copy_of(std::string(100, 'x'))}).ok()) written += 100;
    });
    world.run_for(10s);
    CHECK(written == 10'000);
}

TEST_CASE("a link passes no more bytes than it has room for", "[sim]") {
    sim::Faults faults;
    faults.link_bytes_per_second = 1'000'000;
    Two two(1, faults);
    two.client_runs([&](Environment& env) {
        const auto stream = connected(env);
        for (int i = 0; i < 20; ++i) say(*stream, std::string(50'000, 'x'));
    });
    REQUIRE(two.sink.bytes.size() == 1'000'000);
    const Duration took = two.sink.arrivals.back() - two.sink.arrivals.front();
    CHECK(took > 900ms);
    CHECK(took < 1100ms);
}

TEST_CASE("some links are slow for a whole run", "[sim]") {
    sim::Faults faults;
    faults.link_time = {1ms, 1ms, sim::never, 0us};
    faults.slow_link = {500'000};
    std::set<Duration> times;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        Two two(seed, faults);
        Duration sent{};
        two.client_runs([&](Environment& env) {
            const auto stream = connected(env);
            sent = two.world.now();
            say(*stream, "x");
        });
        times.insert(two.sink.arrivals.at(0) - sent);
    }
    CHECK(times.contains(1ms));
    CHECK(times.size() > 4); // Each by a factor of its own.
    CHECK(*times.rbegin() <= 10ms);
}

TEST_CASE("connections are refused, and swallowed, as often as the faults say", "[sim]") {
    sim::Faults faults;
    faults.refuse = {200'000};
    faults.black_hole = {200'000};
    Two two(1, faults);
    int refused = 0, swallowed = 0;
    two.world.boot(client, [&](Environment& env) {
        for (int i = 0; i < 200; ++i) {
            const Deadline deadline(env.fibers, env.clock.now() + 100ms);
            const auto stream = env.network.connect({"node1", port});
            if (stream.ok()) continue;
            refused += stream.error() == Error::disconnected;
            swallowed += stream.error() == Error::timed_out;
        }
    });
    two.world.run_for(60s);
    CHECK(refused == static_cast<int>(two.counts().effective(Fault::refuse)));
    CHECK(swallowed == static_cast<int>(two.counts().effective(Fault::black_hole)));
    CHECK(refused > 10);
    CHECK(swallowed > 20);
    CHECK(refused + swallowed < 150);
}

TEST_CASE("a process that has as many streams as it may opens no other", "[sim]") {
    Two two;
    auto& network = two.world.network();
    const auto connects = [&](Environment& env) {
        const Deadline deadline(env.fibers, env.clock.now() + 1s);
        return env.network.connect({"node1", port});
    };
    two.world.boot(client, [&](Environment& env) {
        auto first = connected(env);
        CHECK(network.open_streams(client) == 1);
        network.limit_streams(client, 1);
        CHECK(connects(env).error() == Error::disconnected);
        say(*first, "a");
        first.reset();
        CHECK(connects(env).ok());
        network.limit_streams(client, {});

        // Who has no room accepts nobody, and who connects does not see that.
        REQUIRE(wait_for(env, 1s).ok());
        network.limit_streams(server, 0);
        const auto waits = connected(env);
        say(*waits, "b");
        REQUIRE(wait_for(env, 1s).ok());
        CHECK(two.sink.bytes == "a");
        CHECK(network.open_streams(server) == 0);
        network.limit_streams(server, {});
        REQUIRE(wait_for(env, 1s).ok());
        CHECK(two.sink.bytes == "ab");

        // Or until another stream ends.
        network.limit_streams(server, 1);
        auto third = connected(env);
        say(*third, "c");
        REQUIRE(wait_for(env, 1s).ok());
        CHECK(two.sink.bytes == "ab");
        REQUIRE(network.open_streams(server) == 1);
        CHECK(two.sink.finished > 0);
    });
    two.world.run_for(60s);
    CHECK(two.sink.bytes == "abc"); // The client has gone, and with it what was in the way.
    CHECK(two.counts().effective(Fault::too_many_streams) >= 3);
}

TEST_CASE("a stream that is reset ends for both", "[sim]") {
    sim::Faults faults;
    faults.reset = {100'000};
    Two two(1, faults);
    int broken = 0;
    two.client_runs([&](Environment& env) {
        for (int i = 0; i < 20; ++i) {
            const auto stream = connected(env);
            while (stream->write({Bytes::copy_of("x")}).ok()) {
                if (!wait_for(env, 5ms).ok()) return;
            }
            ++broken;
        }
    });
    CHECK(broken == 20);
    CHECK(two.sink.broken == 20);
    CHECK(two.counts().effective(Fault::reset) == 20);

    Two directed;
    directed.world.boot(client, [&](Environment& env) {
        const auto stream = connected(env);
        std::array<std::byte, 1> into{};
        CHECK(stream->read_some(into).error() == Error::disconnected);
    });
    directed.world.run_for(1s);
    directed.world.network().reset_streams(server, client);
    directed.world.run_for(1s);
    CHECK(directed.world.exit_status(client));
    CHECK(directed.sink.broken == 1);
}

TEST_CASE("a stream that vanishes ends for its writer alone", "[sim]") {
    sim::Faults faults;
    faults.vanish = {100'000};
    Two two(1, faults);
    int broken = 0;
    two.client_runs([&](Environment& env) {
        std::vector<std::unique_ptr<Stream>> kept;
        for (int i = 0; i < 3; ++i) {
            kept.push_back(connected(env));
            while (kept.back()->write({Bytes::copy_of("x")}).ok()) {
                if (!wait_for(env, 5ms).ok()) return;
            }
            ++broken;
        }
        (void)env.fibers.park();
    });
    CHECK(broken == 3);
    CHECK(two.sink.broken + two.sink.finished == 0);
    CHECK(two.counts().fired(Fault::vanish) == 3);
    CHECK(two.counts().effective(Fault::vanish) > 0);
}

TEST_CASE("bits flip on their way where the faults say so, and nowhere else", "[sim]") {
    for (const bool on : {false, true}) {
        sim::Faults faults;
        if (on) faults.corrupt = {100'000};
        Two two(1, faults);
        two.client_runs([&](Environment& env) {
            const auto stream = connected(env);
            const Bytes text = Bytes::copy_of("xxxx");
            for (int i = 0; i < 200; ++i) REQUIRE(stream->write({text}).ok());
            CHECK(text.text() == "xxxx"); // The sender's own memory is untouched.
        });
        REQUIRE(two.sink.bytes.size() == 800);
        const auto wrong = 800 - std::ranges::count(two.sink.bytes, 'x');
        CHECK(wrong == static_cast<std::ptrdiff_t>(two.counts().effective(Fault::corrupt)));
        CHECK((wrong > 0) == on);
    }
}

TEST_CASE("a close after the last byte loses nothing, unless the faults say so", "[sim]") {
    for (const bool loses : {false, true}) {
        sim::Faults faults;
        if (loses) faults.close_resets = sim::always;
        std::set<std::size_t> arrived;
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            Two two(seed, faults);
            two.client_runs([&](Environment& env) {
                const auto stream = connected(env);
                for (int i = 0; i < 3; ++i) say(*stream, "x");
            });
            arrived.insert(two.sink.bytes.size());
            CHECK(two.sink.finished == (loses ? 0 : 1));
            CHECK(two.sink.broken == (loses ? 1 : 0));
        }
        if (loses)
            CHECK(arrived.size() > 1);
        else
            CHECK(arrived == std::set<std::size_t>{3});
    }
}

TEST_CASE("closing with bytes unread breaks the stream of the peer", "[sim]") {
    Two two;
    Result<std::size_t> read = std::size_t{0};
    two.world.boot(client, [&](Environment& env) {
        auto listener = std::move(env.network.listen({"node2", port})).value();
        const auto stream = std::move(listener->accept()).value();
        say(*stream, "never read");
        std::array<std::byte, 1> into{};
        read = stream->read_some(into);
    });
    two.world.boot(NodeId{3}, [&](Environment& env) {
        const auto stream = connected(env, "node2");
        REQUIRE(wait_for(env, 1s).ok());
    });
    two.world.run_for(5s);
    CHECK(read.error() == Error::disconnected);
}

TEST_CASE("a host has the names that it was given, and an unknown one is nobody", "[sim]") {
    sim::World world(1);
    world.add_host(server, "broker.example");
    world.add_host(server, "10.0.0.1");
    Sink sink;
    world.boot(server, [&](Environment& env) {
        auto listener = std::move(env.network.listen({"10.0.0.1", port})).value();
        CHECK(env.network.listen({"node2", port}).error() == Error::unavailable);
        const auto stream = std::move(listener->accept()).value();
        CHECK(stream->peer().host == "node2");
    });
    world.boot(client, [&](Environment& env) {
        CHECK(env.network.connect({"nowhere", port}).error() == Error::disconnected);
        CHECK(connected(env, "broker.example")->peer().host == "broker.example");
    });
    world.run_for(1s);
    CHECK(world.exit_status(server));
    CHECK(world.exit_status(client));
}

TEST_CASE("a paused node's system takes connections and bytes for it", "[sim]") {
    Two two;
    two.world.pause(server, two.world.now() + 1s);
    two.world.boot(client, [&](Environment& env) { say(*connected(env), "hello"); });
    two.world.run_for(500ms);
    CHECK(two.world.exit_status(client));
    CHECK(two.sink.bytes.empty());
    two.world.run_for(1s);
    CHECK(two.sink.bytes == "hello");
}
