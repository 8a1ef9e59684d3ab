#include "io/sim/world.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace pyralog;

namespace {
constexpr NodeId clock_node{1}, other_clock_node{2};
}

TEST_CASE("a drifting clock runs at its own pace, to the nanosecond", "[sim]") {
    sim::World world(1);
    world.add_host(clock_node, "one");
    world.time(clock_node).set_drift(500);
    world.boot(clock_node, [](Environment& env) { (void)env.fibers.sleep_until(Time(10s)); });
    world.run_for(1s);
    CHECK(world.environment(clock_node).clock.now() == Time(1'000'500'000ns));
    world.run_until(std::chrono::hours(1), [&] { return !world.running(clock_node); });
    // The first moment at which the clock shows ten seconds, rounded up: 10 s / 1.0005.
    CHECK(world.now() == 9'995'002'499ns);
    CHECK(world.counts().effective(sim::Fault::drift) > 0);
}

TEST_CASE("a sleeper wakes at the first moment at which its clock shows the time", "[sim]") {
    rc::prop("at every pace", [] {
        const auto ppm = *rc::gen::inRange<std::int64_t>(-400'000, 400'000);
        const auto sleep = Duration(*rc::gen::inRange<std::int64_t>(0, 100'000'000'000));
        const auto later = *rc::gen::inRange<std::int64_t>(-400'000, 400'000);
        sim::Timeline timeline(1, {});
        sim::NodeTime time(timeline, clock_node);
        time.boot();
        time.set_drift(ppm);
        timeline.advance(timeline.now() + 12'345'678ns);
        time.set_drift(later);
        const Time wanted = time.local() + sleep;
        const Duration moment = time.world_moment(wanted);
        const Time before = time.local();
        if (moment > timeline.now()) {
            timeline.advance(moment - 1ns);
            RC_ASSERT(time.local() < wanted);
            timeline.advance(moment);
        }
        RC_ASSERT(time.local() >= wanted);
        RC_ASSERT(time.local() >= before);
    });
}

TEST_CASE("a change of pace neither jumps nor leaves a sleeper behind", "[sim]") {
    sim::World world(1);
    world.boot(clock_node, [](Environment& env) { (void)env.fibers.sleep_until(Time(10s)); });
    world.run_for(5s);
    world.time(clock_node).set_drift(-100'000);
    CHECK(world.environment(clock_node).clock.now() == Time(5s));
    world.run_until(std::chrono::hours(1), [&] { return !world.running(clock_node); });
    CHECK(world.now() == 10'555'555'556ns); // The other five seconds take 5 / 0.9.
}

TEST_CASE("each boot starts the clock anew, and leaves the wall clock alone", "[sim]") {
    sim::Faults faults;
    faults.monotonic_offset_most = 1h;
    faults.wall_offset_most = 10s;
    sim::World world(1, faults);
    std::vector<Time> booted;
    const auto look = [&](Environment& env) { booted.push_back(env.clock.now()); };
    (void)world.run_to_end(clock_node, look);
    const WallTime before = world.time(clock_node).wall();
    world.run_for(10s);
    (void)world.run_to_end(clock_node, look);
    CHECK(booted[0] != booted[1]);
    CHECK(booted[0] >= Time{});
    CHECK(booted[1] <= Time(1h));
    CHECK(world.time(clock_node).wall().unix_ms - before.unix_ms == 10'000);
}

TEST_CASE("the wall clock jumps when it is told to, and the other clock does not", "[sim]") {
    sim::World world(1);
    world.add_host(clock_node, "one");
    world.add_host(other_clock_node, "two");
    const WallTime before = world.time(clock_node).wall();
    const Time now = world.time(clock_node).local();
    world.time(clock_node).jump_wall(-3s);
    CHECK(world.time(clock_node).wall().unix_ms == before.unix_ms - 3'000);
    CHECK(world.time(clock_node).local() == now);
    CHECK(world.time(other_clock_node).wall() == before);
    CHECK(world.counts().effective(sim::Fault::wall_jump) == 1);
}

TEST_CASE("a wall clock stands still for a while, and then shows the time again", "[sim]") {
    sim::World world(1);
    world.add_host(clock_node, "one");
    world.run_for(1s);
    sim::NodeTime& time = world.time(clock_node);
    const WallTime before = time.wall();
    time.freeze_wall(world.now() + 5s);
    world.run_for(3s);
    CHECK(time.wall() == before);
    CHECK(time.local() == Time(4s)); // The other clock goes on.
    CHECK(world.counts().effective(sim::Fault::wall_freeze) == 1);
    world.run_for(3s);
    CHECK(time.wall().unix_ms == before.unix_ms + 6'000);
    CHECK(world.counts().fired(sim::Fault::wall_freeze) == 1);
}

TEST_CASE("a pace that is far off is set right as far as is asked", "[sim]") {
    sim::World world(1);
    world.add_host(clock_node, "one");
    sim::NodeTime& time = world.time(clock_node);
    time.set_drift(-300'000);
    world.run_for(10s);
    CHECK(time.local() == Time(7s));
    time.limit_drift(100'000);
    world.run_for(10s);
    CHECK(time.local() == Time(16s));
    time.limit_drift(200'000); // Is not.
    world.run_for(10s);
    CHECK(time.local() == Time(25s));
}

TEST_CASE("nodes draw how far their wall clocks are off", "[sim]") {
    sim::Faults faults;
    faults.wall_offset_most = 10s;
    sim::World world(7, faults);
    for (const NodeId id : {clock_node, other_clock_node}) {
        world.add_host(id, id == clock_node ? "one" : "two");
        const std::int64_t off = world.time(id).wall().unix_ms - sim::NodeTime::wall_begin_ms;
        CHECK(off != 0);
        CHECK(std::abs(off) <= 10'000);
    }
    CHECK(world.time(clock_node).wall() != world.time(other_clock_node).wall());
}

TEST_CASE("nodes draw their own pace", "[sim]") {
    sim::Faults faults;
    faults.drift_ppm_most = 1000;
    sim::World world(7, faults);
    for (const NodeId id : {clock_node, other_clock_node})
        world.boot(id, [](Environment& env) { (void)env.fibers.park(); });
    world.run_for(1000s);
    const Duration a = world.time(clock_node).local() - Time{};
    const Duration b = world.time(other_clock_node).local() - Time{};
    CHECK(a != b);
    for (const Duration d : {a, b}) {
        CHECK(d >= 999s);
        CHECK(d <= 1001s);
    }
}
