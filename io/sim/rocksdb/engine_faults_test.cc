// What the disk does to RocksDB's files, and what the store says to that.
#include "io/sim/rocksdb/engine.h"
#include "io/sim/rocksdb/hooks.h"

#include <catch2/catch.hpp>

#include <filesystem>
#include <string>

using namespace pyralog;
using Batch = KvStore::Batch;

namespace {

constexpr NodeId faulty_node{1};

std::string key_of(int number) { return "key" + std::to_string(number); }

// A node with `count` commits in its store, each of them acknowledged; then it is killed.
struct Stored {
    explicit Stored(int count) : world(1) {
        world.use_store(sim::make_engine);
        world.boot(faulty_node, [count](Environment& env) {
            REQUIRE(env.kv.open().ok());
            for (int i = 0; i < count; ++i)
                REQUIRE(env.kv.commit(Batch().put(key_of(i), std::string(100, 'x'))).ok());
            (void)env.fibers.park();
        });
        world.run_for(1s);
        world.kill(faulty_node);
    }

    // The newest of RocksDB's files of that kind.
    std::string newest(std::string_view begin, std::string_view end) {
        std::string found;
        const auto names = world.disk(faulty_node).list(sim::engine_directory);
        for (const std::string& name : *names)
            if (name.starts_with(begin) && name.ends_with(end)) found = name;
        REQUIRE(!found.empty());
        return std::string(sim::engine_directory) + '/' + found;
    }
    std::size_t size(const std::string& path) {
        return world.disk(faulty_node).content(path)->size();
    }
    void flip(const std::string& path, std::size_t position) {
        REQUIRE(world.disk(faulty_node).rot(path, position, std::byte{0x10}));
    }
    // How many of the keys are there, from the first on.
    Result<int> present() {
        int found = 0;
        TRY(world.run_to_end(faulty_node, sim::World::Main([&](Environment& env) -> Result<> {
                                 TRY(env.kv.open());
                                 while (TRY(env.kv.get(key_of(found)))) ++found;
                                 return {};
                             })));
        return found;
    }

    sim::World world;
};

bool fails_with(const Result<int>& result, Error error) {
    return !result.ok() && result.error() == error;
}

} // namespace

TEST_CASE("rot in the engine's log is refused, but for its very last record", "[rocksdb]") {
    {
        Stored stored(10);
        CHECK(stored.present().value() == 10);
    }
    for (const std::size_t position : {0u, 6u, 100u, 700u}) {
        Stored stored(10);
        stored.flip(stored.newest("", ".log"), position);
        CHECK(fails_with(stored.present(), Error::corrupt));
    }
    // Nobody can tell this from a write that the power cut short.
    Stored stored(10);
    const std::string log = stored.newest("", ".log");
    stored.flip(log, stored.size(log) - 1);
    CHECK(stored.present().value() == 9);
}

TEST_CASE("rot in the engine's tables and manifest is refused", "[rocksdb]") {
    Stored table(10);
    CHECK(table.present().value() == 10); // Recovery has made a table of the log.
    const std::string path = table.newest("", ".sst");
    table.flip(path, 20);
    CHECK(fails_with(table.present(), Error::corrupt));

    Stored manifest(10);
    manifest.flip(manifest.newest("MANIFEST-", ""), 20);
    CHECK(fails_with(manifest.present(), Error::corrupt));
}

TEST_CASE("a sync that fails ends the engine until it is opened again", "[rocksdb]") {
    Stored stored(10);
    (void)stored.world.run_to_end(faulty_node, [&](Environment& env) {
        REQUIRE(env.kv.open().ok());
        stored.world.disk(faulty_node).fail_next_sync();
        CHECK(env.kv.commit(Batch().put("a", "b")).error() == Error::device_failed);
        CHECK(env.kv.commit(Batch().put("c", "d")).error() == Error::device_failed);
        CHECK(env.kv.get("key0").error() == Error::device_failed);
    });
    CHECK(stored.present().value() == 10);
}

TEST_CASE("a full disk ends the engine until there is room", "[rocksdb]") {
    Stored stored(10);
    (void)stored.world.run_to_end(faulty_node, [&](Environment& env) {
        REQUIRE(env.kv.open().ok());
        stored.world.disk(faulty_node).set_quota(0);
        CHECK(env.kv.commit(Batch().put("a", "b")).error() == Error::out_of_space);
    });
    CHECK(fails_with(stored.present(), Error::out_of_space));
    stored.world.disk(faulty_node).set_quota({});
    CHECK(stored.present().value() == 10);
}

TEST_CASE("a process that has ended gets nothing from its engine", "[rocksdb]") {
    sim::World world(1);
    world.use_store(sim::make_engine);
    bool is_committing = false;
    Result<> first, second;
    world.boot(faulty_node, [&](Environment& env) {
        REQUIRE(env.kv.open().ok());
        is_committing = true;
        first = env.kv.commit(Batch().put("a", std::string(5'000, 'x')));
        second = env.kv.commit(Batch());
    });
    REQUIRE(world.run_until(1s, [&] { return is_committing; }));
    world.cut_power(faulty_node);
    CHECK(first.error() == Error::cancelled);
    CHECK(second.error() == Error::cancelled);
}

TEST_CASE("RocksDB starts no thread in a simulated node, and its hooks are at work", "[rocksdb]") {
    const std::filesystem::directory_iterator tasks("/proc/self/task"), end;
    CHECK(std::distance(tasks, end) == 1);
    const sim::HookCounts before = sim::hook_counts();
    Stored stored(100);
    const sim::HookCounts& after = sim::hook_counts();
    CHECK(after.ids > before.ids);
    CHECK(after.timers > before.timers);
    CHECK(after.arenas > before.arenas);
    const std::filesystem::directory_iterator tasks_now("/proc/self/task");
    CHECK(std::distance(tasks_now, end) == 1);
}
