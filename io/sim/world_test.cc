#include "io/sim/world.h"

#include "core/env/channel.h"
#include "io/sim/toys.h"

#include <catch2/catch.hpp>

#include <set>

using namespace pyralog;

using sim::toys::one, sim::toys::two, sim::toys::three;
using sim::toys::pause, sim::toys::Ran, sim::toys::rough, sim::toys::run_toys;

TEST_CASE("the same seed gives the same run, and another seed another", "[sim]") {
    for (const sim::Faults& faults : {sim::Faults{}, rough()}) {
        std::set<std::uint64_t> hashes;
        for (std::uint64_t seed = 0; seed < 10; ++seed) {
            const Ran first = run_toys(seed, faults);
            CHECK(run_toys(seed, faults) == first);
            CHECK(first.steps > 1000);
            hashes.insert(first.hash);
        }
        CHECK(hashes.size() == 10);
    }
}

TEST_CASE("what a process holds in buffers is known, and goes with it", "[sim]") {
    sim::World world(1);
    Bytes kept;
    world.boot(one, [&](Environment& env) {
        Buffer first(1'000);
        CHECK(world.buffer_bytes(one) == 1'000);
        const Bytes second = Bytes::copy_of("twelve bytes").slice(0, 6);
        first = Buffer();
        CHECK(world.buffer_bytes(one) == 12);
        kept = second;
        (void)pause(env, 10s);
    });
    world.boot(two, [&](Environment& env) {
        const Buffer own(50);
        (void)pause(env, 10s);
    });
    world.run_for(1s);
    CHECK(world.buffer_bytes(one) == 12);
    CHECK(world.buffer_bytes(two) == 50);
    world.kill(one);
    CHECK(world.buffer_bytes(one) == 0);
    world.boot(one, [](Environment& env) { (void)pause(env, 1s); });
    CHECK(world.buffer_bytes(one) == 0); // What outlives a process is not its successor's.
    kept = {};
    CHECK(world.buffer_bytes(one) == 0);
}

// The number is the same in every build: any compiler, optimised or not, and wherever the memory
// lies. It changes whenever the simulated world itself does, and then this line does too.
TEST_CASE("a seed means the same run in every build", "[sim]") {
    CHECK(run_toys(4711, rough()).hash == 0x12112e07798485f5u);
}

// Whatever breaks, each byte, call and process is still accounted for: the CHECKs of the simulator
// itself hold, and every kind of fault has its effect somewhere.
TEST_CASE("no mixture of faults confuses the world", "[sim]") {
    sim::FaultCounts counts;
    for (std::uint64_t seed = 0; seed < 80; ++seed) {
        sim::Choices choices(seed);
        sim::Dice dice(choices, "mixture");
        sim::Faults faults = rough();
        for (sim::Chance* chance : {&faults.slow_disk,
                                    &faults.read_error,
                                    &faults.write_error,
                                    &faults.sync_error,
                                    &faults.unreadable_sector,
                                    &faults.read_rot,
                                    &faults.slow_link,
                                    &faults.split_write,
                                    &faults.short_read,
                                    &faults.reset,
                                    &faults.vanish,
                                    &faults.close_resets,
                                    &faults.corrupt,
                                    &faults.refuse,
                                    &faults.black_hole,
                                    &faults.blocked_gives_up,
                                    &faults.commit_error,
                                    &faults.lossy_link,
                                    &faults.lossy_reset,
                                    &faults.slow_connect,
                                    &faults.zero_window,
                                    &faults.linger})
            if (dice.coin())
                chance->per_million = static_cast<std::uint32_t>(1 + dice.pick(30'000));
        if (dice.coin()) faults.run_cost = {};
        if (dice.coin()) faults.schedule = sim::Schedule::in_order;
        if (dice.coin()) faults.window_least = 1;
        if (dice.coin()) faults.link_bytes_per_second = 100'000;
        if (dice.coin()) faults.link_bytes_per_second_most = 10'000'000;
        if (dice.coin()) faults.backlog_most = 1;
        if (dice.coin()) faults.spread_exponential = 1;
        if (dice.coin()) faults.spread_heavy_tail = 1;
        if (dice.coin()) faults.spread_step = 1;
        if (dice.coin()) faults.wall_offset_most = 1s;
        const Ran first = run_toys(seed, faults, {}, &counts);
        CHECK(run_toys(seed, faults) == first);
    }
    for (const sim::Fault fault :
         {sim::Fault::kill,        sim::Fault::power_cut,        sim::Fault::lost_unit,
          sim::Fault::lost_size,   sim::Fault::lost_name,        sim::Fault::fenced,
          sim::Fault::slow_disk,   sim::Fault::write_error,      sim::Fault::sync_error,
          sim::Fault::pause,       sim::Fault::partition,        sim::Fault::delay,
          sim::Fault::split_write, sim::Fault::short_read,       sim::Fault::reset,
          sim::Fault::vanish,      sim::Fault::corrupt,          sim::Fault::refuse,
          sim::Fault::black_hole,  sim::Fault::gave_up,          sim::Fault::drift,
          sim::Fault::wall_jump,   sim::Fault::lost_commit,      sim::Fault::commit_error,
          sim::Fault::slow_link,   sim::Fault::slow_connect,     sim::Fault::zero_window,
          sim::Fault::link_step,   sim::Fault::link_exponential, sim::Fault::link_heavy_tail}) {
        INFO(to_string(fault));
        CHECK(counts.effective(fault) > 0);
    }
}

TEST_CASE("a trace has a line for each thing that happens, and changes nothing", "[sim]") {
    std::vector<std::string> lines;
    const Ran quiet = run_toys(1, rough());
    const Ran traced =
        run_toys(1, rough(), [&](std::string_view line) { lines.emplace_back(line); });
    CHECK(traced == quiet);
    REQUIRE(lines.size() > 1000);
    const auto has = [&](std::string_view what) {
        return std::ranges::any_of(
            lines, [&](const std::string& line) { return line.find(what) != std::string::npos; });
    };
    CHECK(has("n1   boot 1"));
    CHECK(has("info written end="));
    CHECK(has("disk write file="));
    CHECK(has("power cut"));
    CHECK(has("kv commits="));
}

TEST_CASE("one stream of dice does not know how much another was used", "[sim]") {
    sim::World world(1), other(1);
    sim::Dice a = world.dice("a"), same = other.dice("a");
    for (int i = 0; i < 100; ++i) (void)other.dice("b").pick(10);
    sim::Dice b = other.dice("b");
    for (int i = 0; i < 100; ++i) {
        (void)b.pick(10);
        CHECK(a.pick(1000) == same.pick(1000));
    }
}

TEST_CASE("fibers that are ready run in every order, or in turn", "[sim]") {
    const auto order = [](std::uint64_t seed, sim::Schedule schedule) {
        sim::Faults faults;
        faults.schedule = schedule;
        sim::World world(seed, faults);
        std::string said;
        for (const NodeId id : {one, two})
            world.boot(id, [&, id](Environment& env) {
                Scope scope(env.fibers);
                for (const char c : {'a', 'b'})
                    scope.spawn("fiber", [&, c, id] {
                        said += id == one ? c : static_cast<char>(c - 'a' + 'A');
                    });
                scope.join();
            });
        world.run_for(1ms);
        return said;
    };
    std::set<std::string> orders;
    for (std::uint64_t seed = 0; seed < 500; ++seed)
        orders.insert(order(seed, sim::Schedule::random));
    CHECK(orders.size() == 24);
    for (std::uint64_t seed = 0; seed < 10; ++seed)
        CHECK(order(seed, sim::Schedule::in_order) == order(0, sim::Schedule::in_order));
}

TEST_CASE("a fiber keeps its node busy for as long as it costs", "[sim]") {
    sim::Faults faults;
    faults.run_cost = {1ms, 1ms, sim::never, 0us};
    sim::World world(1, faults);
    (void)world.run_to_end(one, [](Environment& env) {
        for (int i = 0; i < 10; ++i) env.fibers.yield();
    });
    CHECK(world.now() == 10ms);
}

TEST_CASE("what main returns is the exit status", "[sim]") {
    sim::World world(1);
    CHECK(world.run_to_end(one, [](Environment&) {}).ok());
    CHECK(!world.running(one));
    const Result<> failed = world.run_to_end(one, [](Environment& env) -> Result<> {
            TRY(pause(env, 1s));
        return Error::device_failed;
    });
    CHECK(failed.error() == Error::device_failed);
    CHECK(world.boots(one) == 2);
    CHECK(world.now() == 1s);
    world.boot(one, [](Environment& env) { (void)env.fibers.park(); });
    CHECK(!world.exit_status(one));
    world.kill(one);
    CHECK(!world.exit_status(one)); // It did not end by itself.
}

namespace {

// Counts those that are alive.
struct Witness {
    explicit Witness(int& c) : count(&c) { ++*count; }
    Witness(const Witness& other) : count(other.count) { ++*count; }
    Witness& operator=(const Witness&) = delete;
    ~Witness() { --*count; }
    int* count;
};

} // namespace

TEST_CASE("the end of a process takes no time and leaves nothing of it", "[sim]") {
    for (const bool power : {false, true}) {
        sim::World world(1);
        int alive = 0;
        int waits_refused = 0;
        world.boot(one, [&, captured = Witness(alive)](Environment& env) {
            const Witness own(alive);
            Scope scope(env.fibers);
            auto file = std::move(env.disk.open("f", Disk::Open::create_new)).value();
            auto listener = std::move(env.network.listen({"node1", 0})).value();
            auto stream = std::move(env.network.connect(listener->address())).value();
            for (int i = 0; i < 10; ++i)
                scope.spawn("worker", [&] {
                    const Witness mine(alive);
                    (void)file->write_at(0, {Bytes::copy_of("x")});
                    for (Result<> r; r.ok();) r = pause(env, 1ms);
                    // A destructor or a farewell may ask for much; each time it is refused at once.
                    const BytesChain farewell{Bytes::copy_of("farewell")};
                    for (const Result<>& r :
                         {file->write_at(0, farewell), file->sync(), stream->write(farewell),
                          env.disk.remove("f"), env.kv.commit({}), pause(env, 1s)}) {
                        if (!r.ok() && r.error() == Error::cancelled) ++waits_refused;
                    }
                    if (!env.network.connect(listener->address()).ok()) ++waits_refused;
                });
            scope.join();
        });
        world.run_for(10ms);
        CHECK(alive == 12);
        const Duration before = world.now();
        const std::uint64_t fenced = world.counts().effective(sim::Fault::fenced);
        power ? world.cut_power(one) : world.kill(one);
        CHECK(world.now() == before);
        CHECK(alive == 0);
        CHECK(waits_refused == 70);
        CHECK(world.counts().effective(sim::Fault::fenced) - fenced == 60);
        CHECK(!world.running(one));
        world.run_for(10ms);
        CHECK(world.network().open_streams() == 0);
        if (!power) CHECK(world.disk(one).content("f")->text() == "x");
    }
}

TEST_CASE("a handle of a dead process does nothing for the one that follows", "[sim]") {
    sim::World world(1);
    std::unique_ptr<File> kept; // By something outside, as no process could.
    world.boot(one, [&](Environment& env) {
        kept = std::move(env.disk.open("f", Disk::Open::create_new)).value();
        REQUIRE(kept->write_at(0, {Bytes::copy_of("before")}).ok());
        (void)env.fibers.park();
    });
    world.run_for(1s);
    world.kill(one);
    (void)world.run_to_end(one, [&](Environment&) {
        CHECK(kept->write_at(0, {Bytes::copy_of("AFTER!")}).error() == Error::cancelled);
        CHECK(kept->sync().error() == Error::cancelled);
        std::array<std::byte, 4> into{};
        CHECK(kept->read_at(0, into).error() == Error::cancelled);
    });
    CHECK(world.disk(one).content("f")->text() == "before");
    CHECK(world.disk(one).durable_content("f") == std::nullopt);
    CHECK(world.counts().fired(sim::Fault::fenced) == 3);
    CHECK(world.counts().effective(sim::Fault::fenced) == 2);
}

TEST_CASE("a paused node stands still, and finds afterwards what has happened", "[sim]") {
    sim::World world(1);
    std::vector<Duration> woke;
    world.boot(one, [&](Environment& env) {
        for (;;) {
            if (!pause(env, 10ms).ok()) return;
            woke.push_back(env.clock.now() - Time{});
        }
    });
    world.run_for(15ms);
    world.pause(one, world.now() + 100ms);
    world.run_for(200ms);
    REQUIRE(woke.size() > 3);
    CHECK(woke[0] == 10ms);
    CHECK(woke[1] == 115ms); // It was due at 20 ms.
    CHECK(woke[2] == 125ms);
    CHECK(world.counts().effective(sim::Fault::pause) == 1);

    // A node that has nothing to do does not notice.
    world.boot(two, [&](Environment& env) { (void)env.fibers.park(); });
    world.run_for(1ms);
    world.pause(two, world.now() + 10ms);
    world.run_for(20ms);
    CHECK(world.counts().fired(sim::Fault::pause) == 2);
    CHECK(world.counts().effective(sim::Fault::pause) == 1);
}

TEST_CASE("a pause can be ended early", "[sim]") {
    sim::World world(1);
    world.boot(one, [](Environment& env) { (void)pause(env, 10ms); });
    world.pause(one, 1h);
    world.run_for(1s);
    CHECK(world.running(one));
    world.resume(one);
    world.run_for(20ms);
    CHECK(world.exit_status(one));
}

TEST_CASE("faults can be switched off while the world goes on", "[sim]") {
    sim::Faults faults;
    faults.write_error = sim::always;
    sim::World world(1, faults);
    const auto writes = [](Environment& env) -> Result<> {
        auto file =
            TRY(env.disk.open("f" + std::to_string(env.random.next()), Disk::Open::create_new));
        return file->write_at(0, {Bytes::copy_of("x")});
    };
    CHECK(world.run_to_end(one, writes).error() == Error::device_failed);
    world.set_faults({});
    CHECK(world.run_to_end(one, writes).ok());
}

TEST_CASE("a node can be killed while it is paused", "[sim]") {
    sim::World world(1);
    world.boot(one, [&](Environment& env) { (void)pause(env, 1s); });
    world.pause(one, 1h);
    world.run_for(2s);
    CHECK(world.running(one));
    world.cut_power(one);
    CHECK(!world.running(one));
    CHECK(world.run_to_end(one, [&](Environment& env) { (void)pause(env, 1s); }).ok());
}

TEST_CASE("one fiber can end another node, and one moment many", "[sim]") {
    sim::World world(1);
    for (const NodeId id : {one, two})
        world.boot(id, [&](Environment& env) {
            auto file = std::move(env.disk.open("f", Disk::Open::create_new)).value();
            REQUIRE(file->write_at(0, {Bytes::copy_of("x")}).ok());
            (void)env.fibers.park();
        });
    world.boot(three, [&](Environment& env) {
        REQUIRE(pause(env, 5ms).ok());
        const std::array<NodeId, 2> both{one, two};
        world.cut_power(both);
        CHECK(!world.running(one));
        CHECK(!world.running(two));
        REQUIRE(pause(env, 5ms).ok());
    });
    world.run_for(1s);
    CHECK(world.exit_status(three)->ok());
    CHECK(world.counts().fired(sim::Fault::power_cut) == 2);
}

TEST_CASE("the observer looks after every step, and plans happen when they are due", "[sim]") {
    sim::World world(1);
    std::uint64_t looked = 0;
    std::vector<Duration> happened;
    world.set_observer([&] { ++looked; });
    world.plan(20ms, [&] { happened.push_back(world.now()); });
    world.plan(10ms, [&] {
        happened.push_back(world.now());
        world.boot(one, [](Environment& env) { (void)pause(env, 5ms); });
    });
    while (world.step()) {
    }
    CHECK(looked == world.steps());
    CHECK(happened == std::vector<Duration>{10ms, 20ms});
    CHECK(world.exit_status(one)->ok());
    CHECK(!world.step());
    CHECK(world.now() == 20ms);
}

TEST_CASE("a run until something holds stops there, or at its end", "[sim]") {
    sim::World world(1);
    int count = 0;
    world.boot(one, [&](Environment& env) {
        while (pause(env, 1ms).ok()) ++count;
    });
    CHECK(world.run_until(1s, [&] { return count == 5; }));
    CHECK(world.now() == 5ms);
    CHECK(!world.run_until(10ms, [&] { return count == 500; }));
    CHECK(world.now() == 10ms);
}
