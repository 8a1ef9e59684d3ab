#include "server/byte_budget.h"

#include "io/sim/world.h"

#include <algorithm>
#include <functional>
#include <string>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;

namespace {

constexpr NodeId budget_node{1};

// Each step is a fiber; what they did, in order.
struct Stage {
    explicit Stage(std::size_t bytes_max) {
        world.boot(budget_node, [this, bytes_max](Environment& env) {
            ByteBudget budget(env.fibers, bytes_max);
            Scope scope(env.fibers);
            for (std::size_t i = 0; i < steps.size(); ++i)
                scope.spawn("step", [&, i] {
                    // One after the other, with time between them.
                    if (!env.fibers.sleep_until(env.clock.now() + 10ms * static_cast<int>(i)).ok())
                        return;
                    ByteBudget::Share share(budget);
                    steps[i](env, budget, share);
                });
            scope.join();
            left = budget.taken();
        });
    }
    void run() { world.run_for(60s); }

    using Step = std::function<void(Environment&, ByteBudget&, ByteBudget::Share&)>;
    sim::World world{1};
    std::vector<Step> steps;
    std::string done;
    std::size_t left = 1;
};

void hold(Environment& env, Duration time) {
    CHECK(env.fibers.sleep_until(env.clock.now() + time).ok());
}

} // namespace

TEST_CASE("whoever finds no room waits, and those behind it do so too", "[server]") {
    Stage stage(100);
    const auto takes = [&](char name, std::size_t bytes, Duration time) {
        stage.steps.push_back([&stage, name, bytes, time](Environment& env, ByteBudget& budget,
                                                          ByteBudget::Share& share) {
            CHECK(share.grow(bytes).ok());
            CHECK(share.bytes() == bytes);
            CHECK(budget.taken() <= 100);
            stage.done += name;
            hold(env, time);
        });
    };
    stage.steps.push_back([&](Environment& env, ByteBudget& budget, ByteBudget::Share& share) {
        CHECK(share.grow(90).ok());
        CHECK(share.grow(20).ok()); // Beyond it: this one is favoured now.
        CHECK(budget.taken() == 110);
        CHECK(budget.room() == 0);
        share.shrink(60);
        CHECK(budget.room() == 40);
        hold(env, 1s);
        stage.done += 'a';
    });
    takes('b', 80, 1s);
    takes('c', 10, 1ms); // There would be room, but not for who was there before.
    takes('d', 10, 1ms);
    stage.run();
    CHECK(stage.done == "abcd");
    CHECK(stage.left == 0);
}

TEST_CASE("of those who hold shares and all want more, one gets it", "[server]") {
    Stage stage(100);
    std::size_t most = 0;
    for (const char name : {'a', 'b', 'c', 'd'})
        stage.steps.push_back(
            [&stage, &most, name](Environment& env, ByteBudget& budget, ByteBudget::Share& share) {
                CHECK(share.grow(25).ok());
                hold(env, 1s);
                for (int i = 0; i < 3; ++i) {
                    CHECK(share.grow(25).ok());
                    most = std::max(most, budget.taken());
                }
                stage.done += name;
                share.shrink(25);
                hold(env, 100ms);
            });
    stage.run();
    std::ranges::sort(stage.done);
    CHECK(stage.done == "abcd");
    CHECK(most > 100);
    CHECK(most <= 200);
    CHECK(stage.left == 0);
}

TEST_CASE("who gives up waiting is in nobody's way", "[server]") {
    Stage stage(100);
    stage.steps.push_back([&](Environment& env, ByteBudget&, ByteBudget::Share& share) {
        CHECK(share.grow(101).ok());
        hold(env, 1s);
    });
    stage.steps.push_back([&](Environment& env, ByteBudget&, ByteBudget::Share& share) {
        const Deadline deadline(env.fibers, env.clock.now() + 100ms);
        CHECK(share.grow(100).error() == Error::timed_out);
        CHECK(share.bytes() == 0);
        stage.done += 'a';
    });
    stage.steps.push_back([&](Environment&, ByteBudget& budget, ByteBudget::Share& share) {
        CHECK(share.grow(1).ok());
        CHECK(budget.taken() == 1);
        ByteBudget::Share moved(std::move(share));
        CHECK(moved.bytes() == 1);
        CHECK(budget.taken() == 1);
        stage.done += 'b';
    });
    stage.run();
    CHECK(stage.done == "ab");
    CHECK(stage.left == 0);
}
