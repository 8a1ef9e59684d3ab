// A node that has nothing but spans to send, and a collector that behaves as collectors may.
#include "server/tracing/exporter.h"

#include "server/tracing/test_collector.h"

#include <functional>
#include <memory>
#include <string>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;

namespace {

constexpr NodeId sender{1};

struct Station {
    TestCollector collector;
    Config config;
    Tracer* tracer = nullptr;
    int complaints = 0;
    bool has_ended = false;
    sim::World world; // Ends first: its processes use the above.

    explicit Station(bool has_collector = true, const sim::Faults& faults = {}) : world(7, faults) {
        config.otlp.endpoint = TestCollector::endpoint();
        config.otlp.sample_millionths = millionths;
        world.set_listener([this](const sim::TraceEvent& event) {
            complaints += event.kind == sim::TraceKind::log &&
                          event.text.find("cannot be sent") != std::string_view::npos;
        });
        if (has_collector) collector.boot(world);
        world.boot(sender, [this](Environment& env) -> Result<> {
            Tracer mine(env, config);
            tracer = &mine;
            const Result<> ended = mine.run();
            tracer = nullptr;
            has_ended = true;
            return ended;
        });
        world.run_for(1ms);
    }

    void in_sender(const std::function<void()>& body) {
        bool done = false;
        world.environment(sender).fibers.start("test", [&] {
            body();
            done = true;
        });
        REQUIRE(world.run_until(world.now() + 1s, [&] { return done; }));
    }
    void make(std::size_t count) {
        in_sender([&] {
            for (std::size_t i = 0; i < count; ++i) {
                const TraceRef trace = tracer->begin("span");
                if (trace) trace->end(trace->began());
            }
        });
    }
    std::int64_t counted(const std::string& what) {
        const std::string text = world.environment(sender).metrics.expose();
        const std::string name = "\npyralog_trace_spans_" + what + "_total ";
        return std::stoll(text.substr(text.find(name) + name.size()));
    }
    bool until(const std::function<bool()>& done, Duration within = 60s) {
        return world.run_until(world.now() + within, done);
    }
    void answer(std::string text, bool hangs_up = false, Duration delay = {}) {
        collector.answers.push_back({std::move(text), hangs_up, delay});
    }
    Duration between(std::size_t first, std::size_t second) {
        return collector.asked.at(second) - collector.asked.at(first);
    }
};

} // namespace

TEST_CASE("spans are sent together, a second after the first or when they are enough", "[server]") {
    Station station;
    station.make(3);
    station.world.run_for(900ms);
    CHECK(station.collector.taken.empty());
    station.world.run_for(200ms);
    REQUIRE(station.collector.taken.size() == 1);
    CHECK(count_spans(station.collector.taken[0]) == 3);
    CHECK(station.collector.taken[0].find("{\"key\":\"service.name\",\"value\":{\"stringValue\":"
                                          "\"pyralog\"}}") != std::string::npos);
    CHECK(station.collector.heads[0].starts_with("POST /v1/traces HTTP/1.1\r\n"));
    CHECK(station.collector.heads[0].find("\r\nContent-Type: application/json\r\n") !=
          std::string::npos);
    station.make(Exporter::batch_spans + 5);
    station.world.run_for(100ms);
    REQUIRE(station.collector.taken.size() == 2);
    CHECK(count_spans(station.collector.taken[1]) == Exporter::batch_spans);
    station.world.run_for(1100ms);
    REQUIRE(station.collector.taken.size() == 3);
    CHECK(count_spans(station.collector.taken[2]) == 5);
    CHECK(station.collector.connections == 1);
    CHECK(station.counted("exported") == 3 + Exporter::batch_spans + 5);
    CHECK(station.counted("failed") == 0);
}

TEST_CASE("what a collector cannot take now is sent again, after pauses that double", "[server]") {
    Station station;
    for (const int status : {429, 502, 503, 504}) station.answer(TestCollector::http(status));
    station.make(1);
    REQUIRE(station.until([&] { return station.counted("exported") == 1; }));
    REQUIRE(station.collector.asked.size() == 5);
    for (std::size_t i = 0; i < 4; ++i) {
        const Duration pause = Exporter::pause_min * (1 << i);
        CHECK(station.between(i, i + 1) >= pause / 2);
        CHECK(station.between(i, i + 1) <= pause + 100ms);
    }
    CHECK(station.collector.taken.size() == 1);
    CHECK(station.counted("failed") == 0);
}

TEST_CASE("a collector says how long it is to be left alone, within reason", "[server]") {
    Station station;
    station.answer(TestCollector::http(503, "Retry-After: 7\r\n"));
    station.answer(TestCollector::http(503, "Retry-After: 86400\r\n"));
    station.make(1);
    REQUIRE(station.until([&] { return station.counted("exported") == 1; }));
    CHECK(station.between(0, 1) >= 7s);
    CHECK(station.between(0, 1) < 8s);
    CHECK(station.between(1, 2) >= Exporter::pause_max);
    CHECK(station.between(1, 2) < Exporter::pause_max + 1s);
}

TEST_CASE("what a collector refuses is not sent again", "[server]") {
    Station station;
    for (const int status : {400, 401, 404, 413, 500}) station.answer(TestCollector::http(status));
    for (int i = 0; i < 5; ++i) {
        station.make(1);
        REQUIRE(station.until([&] { return station.counted("failed") == i + 1; }, 2s));
    }
    CHECK(station.collector.asked.size() == 5);
    CHECK(station.complaints == 1);
    station.make(1);
    REQUIRE(station.until([&] { return station.counted("exported") == 1; }, 2s));
    station.answer(TestCollector::http(200, {}, "{\"partialSuccess\":{\"rejectedSpans\":\"2\"}}"));
    station.make(3);
    REQUIRE(station.until([&] { return station.counted("exported") == 2; }, 2s));
    CHECK(station.counted("failed") == 7);
}

TEST_CASE("a connection that breaks, or ends in an answer, is made anew", "[server]") {
    Station station;
    station.answer("", true);
    station.answer("HTTP/1.1 200 OK\r\nContent-Le", true);
    station.make(1);
    REQUIRE(station.until([&] { return station.counted("exported") == 1; }));
    CHECK(station.collector.connections == 3);
    CHECK(station.counted("failed") == 0);
}

// As collectors do with connections on which nothing has come for a while.
TEST_CASE("a connection that was closed meanwhile costs nothing", "[server]") {
    Station station;
    station.answer(TestCollector::http(200), true);
    station.make(1);
    REQUIRE(station.until([&] { return station.counted("exported") == 1; }, 2s));
    station.world.run_for(5s);
    station.make(1);
    REQUIRE(station.until([&] { return station.counted("exported") == 2; }, 1200ms));
    CHECK(station.collector.connections == 2);
    station.answer(TestCollector::http(200, "Connection: close\r\n"), true);
    for (int i = 3; i <= 4; ++i) {
        station.make(1);
        REQUIRE(station.until([&] { return station.counted("exported") == i; }, 1200ms));
    }
    CHECK(station.collector.connections == 3);
}

TEST_CASE("whoever does not speak HTTP is asked once", "[server]") {
    Station station;
    station.answer("SSH-2.0-OpenSSH\r\n\r\n");
    station.make(1);
    REQUIRE(station.until([&] { return station.counted("failed") == 1; }, 2s));
    station.answer(std::string(1 << 20, 'x'));
    station.make(1);
    REQUIRE(station.until([&] { return station.counted("failed") == 2; }, 2s));
    CHECK(station.collector.asked.size() == 2);
}

TEST_CASE("a collector that is slow is waited for, and one that says nothing is given up",
          "[server]") {
    Station station;
    station.answer(TestCollector::http(200), false, Exporter::patience - 1s);
    station.make(1);
    REQUIRE(station.until([&] { return station.counted("exported") == 1; },
                          Exporter::batch_age + Exporter::patience));
    station.collector.is_silent = true;
    station.make(1);
    REQUIRE(station.until([&] { return station.counted("failed") == 1; }, 10min));
    CHECK(station.collector.asked.size() == 1 + Exporter::attempts_max);
    CHECK(station.complaints == 1);
}

TEST_CASE("where no collector is, so much is kept and the rest is dropped, and all is counted",
          "[server]") {
    Station station(false);
    constexpr auto all = Tracer::waiting_max + 1000;
    station.make(all);
    CHECK(station.counted("dropped") == 1000);
    REQUIRE(station.until([&] { return station.counted("failed") == Exporter::batch_spans; }, 60s));
    CHECK(station.complaints == 1);
    station.collector.boot(station.world); // What is left is brought when there is one.
    REQUIRE(station.until([&] { return station.counted("exported") > 0; }));
    REQUIRE(station.until([&] {
        return station.counted("exported") + station.counted("failed") +
                   station.counted("dropped") ==
               static_cast<std::int64_t>(all);
    }));
    CHECK(station.complaints == 1);
}

TEST_CASE("a node that stops does not wait for its collector", "[server]") {
    Station station;
    station.collector.is_silent = true;
    station.make(1);
    REQUIRE(station.until([&] { return station.collector.asked.size() == 1; }));
    station.world.environment(sender).fibers.cancel_all();
    CHECK(station.until([&] { return station.has_ended; }, 1ms));
}

TEST_CASE("traces are drawn by lot, as often as is set", "[server]") {
    Station station;
    const auto drawn = [&](std::int64_t share) {
        station.config.otlp.sample_millionths = share;
        int count = 0;
        station.in_sender([&] {
            for (int i = 0; i < 4000; ++i) count += bool(station.tracer->begin("span"));
        });
        return count;
    };
    CHECK(drawn(0) == 0);
    CHECK(drawn(millionths) == 4000);
    const int quarter = drawn(millionths / 4);
    CHECK(quarter > 900);
    CHECK(quarter < 1100);
}

TEST_CASE("without a collector there are no traces, and no die is thrown", "[server]") {
    Station station;
    station.config.otlp.endpoint.reset();
    station.in_sender([&] {
        const Tracer off(station.world.environment(sender), station.config);
        CHECK_FALSE(off.is_on());
    });
}

TEST_CASE("so many traces are open at a time, with so many steps each", "[server]") {
    Station station;
    station.in_sender([&] {
        std::vector<TraceRef> open;
        for (std::size_t i = 0; i < Tracer::open_max; ++i) {
            open.push_back(station.tracer->begin("span"));
            CHECK(open.back());
        }
        CHECK_FALSE(station.tracer->begin("span"));
        open.resize(1);
        CHECK(station.tracer->begin("span"));
        const Time began = open[0]->began();
        for (std::size_t i = 0; i < Trace::steps_max + 3; ++i)
            open[0]->step("step", began, began + 1us);
        open[0]->end(began + 1ms);
    });
    CHECK(station.counted("dropped") == 1);
    REQUIRE(station.until(
        [&] { return station.counted("exported") == Tracer::open_max + 1 + Trace::steps_max; }));
    std::string all;
    for (const std::string& body : station.collector.taken) all += body;
    CHECK(all.find("{\"key\":\"pyralog.steps_left_out\",\"value\":{\"intValue\":\"3\"}}") !=
          std::string::npos);
}
