#include "io/sim/world.h"

#include <catch2/catch.hpp>

#include <set>

using namespace pyralog;
using Batch = KvStore::Batch;

namespace {

constexpr NodeId store_node{1};

// Commits pairs a<i>, b<i> forever, and counts those that returned.
void commit_pairs(Environment& env, int& returned) {
    if (!env.kv.open().ok()) return;
    for (int i = returned;; ++i) {
        const std::string number = std::to_string(i);
        if (!env.kv.commit(Batch().put("a" + number, "x").put("b" + number, "x")).ok()) return;
        ++returned;
    }
}

} // namespace

TEST_CASE("a power cut keeps what was committed, and of the rest all of a batch or nothing",
          "[sim]") {
    std::set<std::size_t> survivors; // Of the batch that was under way.
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        sim::World world(seed);
        int returned = 0;
        world.boot(store_node, [&](Environment& env) { commit_pairs(env, returned); });
        world.run_for(1ms + Duration(seed * 7'001));
        world.cut_power(store_node);
        const auto& facts = world.facts(store_node).durable();
        REQUIRE(returned > 0);
        REQUIRE(facts.size() % 2 == 0);
        REQUIRE(facts.size() / 2 >= static_cast<std::size_t>(returned));
        REQUIRE(facts.size() / 2 <= static_cast<std::size_t>(returned) + 1);
        for (int i = 0; i < returned; ++i) {
            REQUIRE(facts.contains("a" + std::to_string(i)));
            REQUIRE(facts.contains("b" + std::to_string(i)));
        }
        survivors.insert(facts.size() / 2 - static_cast<std::size_t>(returned));
        if (facts.size() / 2 == static_cast<std::size_t>(returned))
            CHECK(world.counts().effective(sim::Fault::lost_commit) == 1);
    }
    CHECK(survivors == std::set<std::size_t>{0, 1});
}

TEST_CASE("overlapping commits share a sync", "[sim]") {
    sim::World world(1);
    (void)world.run_to_end(store_node, [&](Environment& env) {
        REQUIRE(env.kv.open().ok());
        Scope scope(env.fibers);
        for (int i = 0; i < 100; ++i)
            scope.spawn("commit", [&env, i] {
                REQUIRE(env.kv.commit(Batch().put(std::to_string(i), "")).ok());
            });
        scope.join();
    });
    CHECK(world.now() < 3 * sim::Faults{}.commit_time.most);
    CHECK(world.facts(store_node).durable().size() == 100);
}

TEST_CASE("after a commit that failed the store takes no more until the next boot", "[sim]") {
    sim::World world(1);
    world.add_host(store_node, "one");
    world.facts(store_node).fail_next_commit();
    (void)world.run_to_end(store_node, [&](Environment& env) {
        REQUIRE(env.kv.open().ok());
        CHECK(env.kv.commit(Batch().put("a", "")).error() == Error::device_failed);
        CHECK(env.kv.commit(Batch().put("b", "")).error() == Error::device_failed);
    });
    CHECK(world.counts().effective(sim::Fault::commit_error) == 1);
    CHECK(!world.facts(store_node).durable().contains("b"));
    (void)world.run_to_end(store_node, [&](Environment& env) {
        REQUIRE(env.kv.open().ok());
        CHECK(env.kv.commit(Batch().put("c", "")).ok());
    });
    CHECK(world.facts(store_node).durable().contains("c"));
}

TEST_CASE("a commit fails as often as the faults say", "[sim]") {
    sim::Faults faults;
    faults.commit_error = {500'000};
    int failed = 0;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        sim::World world(seed, faults);
        (void)world.run_to_end(store_node, [&](Environment& env) {
            REQUIRE(env.kv.open().ok());
            if (!env.kv.commit(Batch().put("a", "")).ok()) ++failed;
        });
    }
    CHECK(failed > 25);
    CHECK(failed < 75);
}

TEST_CASE("a damaged store says so when it is opened", "[sim]") {
    sim::World world(1);
    world.add_host(store_node, "one");
    world.facts(store_node).damage();
    (void)world.run_to_end(
        store_node, [&](Environment& env) { CHECK(env.kv.open().error() == Error::corrupt); });
}
