// What links and connects can have, each on its own: that it happens, and that it matters.
#include "io/sim/spread.h"
#include "io/sim/world.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

using namespace pyralog;
using sim::Fault;

namespace {

constexpr NodeId link_server{1}, link_client{2};
constexpr std::uint16_t link_port = 9000;

Result<> rest(Environment& env, Duration time) {
    return env.fibers.sleep_until(env.clock.now() + time);
}

// Takes connections until `accepts` of them, and writes down what comes: whose, and when.
struct Listening {
    struct Arrival {
        Duration when;
        int stream;
        std::string text;
    };
    std::vector<Arrival> arrivals;
    int streams = 0;
    int accepts = 1'000'000;
    const sim::World* world = nullptr; // Its time: clocks begin at each boot.

    void operator()(Environment& env) {
        auto listener = std::move(env.network.listen({"node1", link_port})).value();
        Scope scope(env.fibers);
        while (streams < accepts) {
            auto stream = listener->accept();
            if (!stream.ok()) return;
            scope.spawn("in", [this, id = streams++, kept = std::move(stream).value()] {
                std::array<std::byte, 1000> into{};
                for (;;) {
                    const auto count = kept->read_some(into);
                    if (!count.ok() || count.value() == 0) return;
                    std::string text;
                    for (const std::byte b : std::span(into).first(count.value()))
                        text += static_cast<char>(b);
                    arrivals.push_back({world->now(), id, text});
                }
            });
        }
        (void)env.fibers.park();
    }
};

struct LinkPair {
    explicit LinkPair(std::uint64_t seed, const sim::Faults& faults) : world(seed, faults) {
        listening.world = &world;
        world.boot(link_server, [this](Environment& env) { listening(env); });
        world.run_for(1ms);
    }
    const sim::FaultCounts& counts() const { return world.counts(); }
    Listening listening;
    sim::World world;
};

std::unique_ptr<Stream> linked(Environment& env) {
    auto stream = env.network.connect({"node1", link_port});
    REQUIRE(stream.ok());
    return std::move(stream).value();
}

// How long each of many bytes was on its way, one after the other.
std::vector<Duration> delays_under(std::uint64_t seed, const sim::Faults& faults,
                                   sim::FaultCounts& counts, int bytes = 400) {
    LinkPair pair(seed, faults);
    std::vector<Duration> sent;
    pair.world.boot(link_client, [&](Environment& env) {
        const auto stream = linked(env);
        for (int i = 0; i < bytes; ++i) {
            sent.push_back(pair.world.now());
            REQUIRE(stream->write({Bytes::copy_of("x")}).ok());
            const std::size_t wanted = sent.size();
            while (pair.listening.arrivals.size() < wanted) REQUIRE(rest(env, 10us).ok());
        }
    });
    pair.world.run_for(600s);
    REQUIRE(pair.listening.arrivals.size() == sent.size());
    std::vector<Duration> delays;
    for (std::size_t i = 0; i < sent.size(); ++i)
        delays.push_back(pair.listening.arrivals[i].when - sent[i]);
    std::ranges::sort(delays);
    counts.add(pair.counts());
    return delays;
}

sim::Faults spread_only(std::uint32_t sim::Faults::* weight) {
    sim::Faults faults;
    faults.link_time = {1ms, 3ms, sim::never, 0us};
    faults.spread_even = 0;
    faults.*weight = 1;
    return faults;
}

} // namespace

TEST_CASE("draws spread as their names say, and a draw of zero is the shortest", "[sim]") {
    constexpr std::uint64_t half = sim::spread_draws / 2;
    constexpr std::uint64_t last = sim::spread_draws - 1;
    CHECK(sim::exponential(1ms, 2ms, 0) == 1ms);
    CHECK(sim::exponential(0ms, 1s, half) > 690ms); // ln 2
    CHECK(sim::exponential(0ms, 1s, half) < 697ms);
    CHECK(sim::exponential(0ms, 1s, last) < 23s);
    CHECK(sim::exponential(0ms, 1s, last) > 21s);
    CHECK(sim::heavy_tail(1ms, 2ms, 0) == 1ms);
    CHECK(sim::heavy_tail(0ms, 1s, half) > 500ms);
    CHECK(sim::heavy_tail(0ms, 1s, half) < 700ms);
    CHECK(sim::heavy_tail(0ms, 1s, sim::spread_draws / 1000 * 999) > 80s);
    CHECK(sim::heavy_tail(0ms, 1s, last) == sim::heavy_tail_longest * 1s);
    Duration before{-1}, tail_before{-1};
    for (std::uint64_t draw = 0; draw < sim::spread_draws; draw += sim::spread_draws / 1000) {
        const Duration next = sim::exponential(0ms, 1s, draw);
        const Duration tail_next = sim::heavy_tail(0ms, 1s, draw);
        CHECK(next >= before);
        CHECK(tail_next >= tail_before);
        before = next;
        tail_before = tail_next;
    }
}

TEST_CASE("delays are even, exponential or with a heavy tail, as the link was drawn", "[sim]") {
    sim::FaultCounts counts;
    const auto even = delays_under(1, spread_only(&sim::Faults::spread_even), counts);
    CHECK(even.front() >= 1ms);
    CHECK(even.back() <= 3ms);
    CHECK(counts.fired(Fault::link_exponential) == 0);

    const auto exponential = delays_under(1, spread_only(&sim::Faults::spread_exponential), counts);
    CHECK(exponential.front() >= 1ms);
    CHECK(exponential[200] > 1500us); // 1 ms + ln 2 ms.
    CHECK(exponential[200] < 1900us);
    CHECK(exponential.back() > 4ms);
    CHECK(exponential.back() < 24ms);
    CHECK(counts.fired(Fault::link_exponential) == 2); // There and back.
    CHECK(counts.effective(Fault::link_exponential) > 10);

    const auto heavy = delays_under(1, spread_only(&sim::Faults::spread_heavy_tail), counts);
    CHECK(heavy.front() >= 1ms);
    CHECK(heavy[200] < 1600us);
    CHECK(heavy.back() > 10ms);
    CHECK(heavy.back() <= 201ms);
    CHECK(counts.fired(Fault::link_heavy_tail) == 2);
    CHECK(counts.effective(Fault::link_heavy_tail) > 10);
}

TEST_CASE("a link may become slow at some moment, for good", "[sim]") {
    sim::Faults faults = spread_only(&sim::Faults::spread_step);
    faults.step_within = 500ms;
    sim::FaultCounts counts;
    const auto delays = delays_under(3, faults, counts);
    CHECK(delays.front() <= 3ms);
    CHECK(delays.back() >= 10ms);
    CHECK(delays.back() <= 30ms);
    CHECK(counts.fired(Fault::link_step) == 2);
    CHECK(counts.effective(Fault::link_step) > 100);
}

TEST_CASE("each link has a bandwidth of its own", "[sim]") {
    sim::Faults faults;
    faults.link_bytes_per_second = 100'000;
    faults.link_bytes_per_second_most = 1'000'000;
    std::set<std::int64_t> rates;
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        LinkPair pair(seed, faults);
        pair.world.boot(link_client, [&](Environment& env) {
            const auto stream = linked(env);
            for (int i = 0; i < 20; ++i)
                REQUIRE(stream->write({Bytes::copy_of(std::string(10'000, 'x'))}).ok());
            (void)env.fibers.park();
        });
        pair.world.run_for(10s);
        const auto& arrivals = pair.listening.arrivals;
        const Duration took = arrivals.back().when - arrivals.front().when;
        CHECK(took >= 150ms);
        CHECK(took <= 2100ms);
        rates.insert(took / 10ms);
    }
    CHECK(rates.size() > 5);
}

TEST_CASE("some links break their connections, and others do not", "[sim]") {
    sim::Faults faults;
    faults.lossy_link = {500'000};
    faults.lossy_reset = {500'000};
    int broke = 0;
    sim::FaultCounts counts;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        LinkPair pair(seed, faults);
        bool ok = true;
        pair.world.boot(link_client, [&](Environment& env) {
            const auto stream = linked(env);
            for (int i = 0; i < 30 && ok; ++i) {
                ok = stream->write({Bytes::copy_of("x")}).ok();
                if (!rest(env, 5ms).ok()) return;
            }
        });
        pair.world.run_for(10s);
        broke += ok ? 0 : 1;
        CHECK((pair.counts().effective(Fault::lossy_link) > 0) == !ok);
        counts.add(pair.counts());
    }
    CHECK(broke > 3);
    CHECK(broke < 17);
    CHECK(counts.fired(Fault::lossy_link) > 5);
}

TEST_CASE("a connect may be slow, and succeeds", "[sim]") {
    sim::Faults faults;
    faults.slow_connect = sim::always;
    faults.slow_connect_time = {1s, 2s, sim::never, 0us};
    LinkPair pair(1, faults);
    Duration took{0};
    pair.world.boot(link_client, [&](Environment& env) {
        const Time began = env.clock.now();
        const auto stream = linked(env);
        took = env.clock.now() - began;
    });
    pair.world.run_for(10s);
    CHECK(took >= 1s);
    CHECK(took <= 2100ms);
    CHECK(pair.counts().effective(Fault::slow_connect) == 1);
}

TEST_CASE("who connects while too many wait to be accepted tries again", "[sim]") {
    sim::Faults faults;
    faults.backlog_most = 2;
    LinkPair pair(1, faults);
    pair.world.pause(link_server, pair.world.now() + 1s);
    int up = 0, up_while_paused = 0;
    pair.world.boot(link_client, [&](Environment& env) {
        Scope scope(env.fibers);
        for (int i = 0; i < 5; ++i)
            scope.spawn("connect", [&] {
                const auto stream = env.network.connect({"node1", link_port});
                up += stream.ok() ? 1 : 0;
                (void)env.fibers.park();
            });
        scope.join();
    });
    pair.world.run_for(500ms);
    up_while_paused = up;
    pair.world.run_for(10s);
    CHECK(up_while_paused == 2);
    CHECK(up == 5);
    CHECK(pair.counts().effective(Fault::backlog_full) > 0);
}

TEST_CASE("a reader's news of room may come late, and its writer waits", "[sim]") {
    Duration took[2]{};
    for (const bool late : {false, true}) {
        sim::Faults faults;
        faults.window_least = faults.window_most = 1'000;
        if (late) faults.zero_window = {300'000};
        faults.zero_window_time = {100ms, 200ms, sim::never, 0us};
        LinkPair pair(1, faults);
        pair.world.boot(link_client, [&](Environment& env) {
            const auto stream = linked(env);
            const Time began = env.clock.now();
            for (int i = 0; i < 100; ++i)
                REQUIRE(stream->write({Bytes::copy_of(std::string(100, 'x'))}).ok());
            took[late ? 1 : 0] = env.clock.now() - began;
        });
        pair.world.run_for(60s);
        CHECK((pair.counts().fired(Fault::zero_window) > 0) == late);
        CHECK((pair.counts().effective(Fault::zero_window) > 0) == late);
    }
    CHECK(took[0] < 100ms);
    CHECK(took[1] > 200ms);
}

TEST_CASE("nothing of a stream that was reset half way is brought later", "[sim]") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        sim::Faults faults;
        faults.linger = sim::always;
        faults.linger_time = {1ms, 2ms, sim::never, 0us};
        faults.reset = {200'000};
        LinkPair pair(seed, faults);
        pair.world.boot(link_client, [&](Environment& env) {
            const auto stream = linked(env);
            // All of it arrives at one moment, and some of it is too much.
            pair.world.network().isolate(link_client, std::array{link_server});
            for (int i = 0; i < 20; ++i)
                if (!stream->write({Bytes::copy_of("x")}).ok()) break;
            (void)env.fibers.sleep_until(env.clock.now() + 100ms);
            pair.world.network().heal_all();
            (void)env.fibers.park();
        });
        pair.world.run_for(300ms);
        pair.world.kill(link_client);
        pair.world.run_for(100ms);
    }
}

TEST_CASE("bytes of a stream that was closed may come behind those of the next one", "[sim]") {
    sim::FaultCounts counts;
    int overtaken = 0;
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        for (const bool lingers : {false, true}) {
            sim::Faults faults;
            if (lingers) faults.linger = sim::always;
            faults.linger_time = {10ms, 100ms, sim::never, 0us};
            LinkPair pair(seed, faults);
            pair.world.boot(link_client, [&](Environment& env) {
                for (const std::string_view text : {"old", "new"}) {
                    const auto stream = linked(env);
                    REQUIRE(stream->write({Bytes::copy_of(text)}).ok());
                    if (text == "new") (void)env.fibers.park();
                }
            });
            pair.world.run_for(1s);
            const auto& arrivals = pair.listening.arrivals;
            REQUIRE(arrivals.size() == 2);
            if (lingers) {
                overtaken += arrivals[0].text == "new" ? 1 : 0;
                counts.add(pair.counts());
            } else {
                CHECK(arrivals[0].text == "old");
                CHECK(pair.counts().fired(Fault::linger) == 0);
            }
        }
    }
    CHECK(overtaken > 5);
    CHECK(counts.fired(Fault::linger) >= 10);
    CHECK(counts.effective(Fault::linger) == static_cast<std::uint64_t>(overtaken));
}
