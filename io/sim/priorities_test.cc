#include "io/sim/priorities.h"

#include "io/sim/world.h"

#include <catch2/catch.hpp>

using namespace pyralog;

namespace {

constexpr NodeId only_node{1};

// How many of many rounds went wrong, of what two fibers do at one moment of each.
using Round = std::function<bool(Environment&)>;
int wrong_rounds(std::uint64_t seed, sim::Schedule schedule, int rounds, Round went_wrong) {
    sim::Faults faults;
    faults.schedule = schedule;
    sim::World world(seed, faults);
    int wrong = 0;
    world.boot(only_node, [&](Environment& env) {
        for (int round = 0; round < rounds; ++round) {
            if (!env.fibers.sleep_until(env.clock.now() + 1ms).ok()) return;
            wrong += went_wrong(env) ? 1 : 0;
        }
    });
    world.run_for(Duration(1ms) * (rounds + 1));
    return wrong;
}

// Takes the last one of a stock, if there is one: but between check and act it waits. Whoever comes
// later waits first, so in order this goes well.
bool oversold(Environment& env) {
    int stock = 1;
    Scope scope(env.fibers);
    const auto take = [&](int waits) {
        for (int i = 0; i < waits; ++i) env.fibers.yield();
        const bool there = stock > 0;
        env.fibers.yield();
        if (there) --stock;
    };
    scope.spawn("first", [&] { take(0); });
    scope.spawn("second", [&] { take(3); });
    scope.join();
    return stock < 0;
}

// Uses what another fiber makes, which was started before it and has less to do.
bool used_too_early(Environment& env) {
    bool made = false, early = false;
    Scope scope(env.fibers);
    scope.spawn("make", [&] {
        env.fibers.yield();
        made = true;
    });
    scope.spawn("use", [&] {
        for (int i = 0; i < 3; ++i) env.fibers.yield();
        early = !made;
    });
    scope.join();
    return early;
}

constexpr int rounds = 300;

} // namespace

TEST_CASE("a wait between check and act is found by chance and by a fall, and never in order",
          "[sim]") {
    int random = 0, no_fall = 0, one_fall = 0, two_falls = 0;
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        CHECK(wrong_rounds(seed, sim::Schedule::in_order, rounds, oversold) == 0);
        random += wrong_rounds(seed, sim::Schedule::random, rounds, oversold);
        // Only where a window ends in between.
        no_fall += wrong_rounds(seed, sim::Schedule::priorities, rounds, oversold);
        one_fall += wrong_rounds(seed, sim::Schedule::priorities_one_fall, rounds, oversold);
        two_falls += wrong_rounds(seed, sim::Schedule::priorities_two_falls, rounds, oversold);
    }
    CHECK(random > 0);
    CHECK(one_fall > no_fall);
    CHECK(two_falls > one_fall);
}

TEST_CASE("an order that holds by luck is found by chance and by priorities, and never in order",
          "[sim]") {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
        CHECK(wrong_rounds(seed, sim::Schedule::in_order, rounds, used_too_early) == 0);
        CHECK(wrong_rounds(seed, sim::Schedule::random, rounds, used_too_early) > 0);
        // As often as not: by priorities, one is held up for as long as the other takes.
        CHECK(wrong_rounds(seed, sim::Schedule::priorities, rounds, used_too_early) > rounds / 4);
    }
}

TEST_CASE("a fiber that spins does not starve the one that it waits for", "[sim]") {
    for (const auto schedule : {sim::Schedule::priorities, sim::Schedule::priorities_one_fall,
                                sim::Schedule::priorities_two_falls}) {
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            const auto spins = [](Environment& env) {
                bool done = false;
                Scope scope(env.fibers);
                for (int i = 0; i < 3; ++i)
                    scope.spawn("spins", [&] {
                        while (!done) env.fibers.yield();
                    });
                scope.spawn("works", [&] {
                    for (int i = 0; i < 100; ++i) env.fibers.yield();
                    done = true;
                });
                scope.join();
                return done;
            };
            CHECK(wrong_rounds(seed, schedule, 5, spins) == 5);
        }
    }
}

TEST_CASE("schedules are recorded, and without a record they are in order", "[sim]") {
    const auto order = [](std::uint64_t seed, const sim::ChoiceOptions& options,
                          sim::Schedule schedule, sim::ChoiceList* list = nullptr) {
        sim::Faults faults;
        faults.schedule = schedule;
        sim::World world(seed, faults, options);
        std::string said;
        for (const NodeId id : {NodeId(1), NodeId(2), NodeId(3)})
            world.boot(id, [&, id](Environment& env) {
                Scope scope(env.fibers);
                for (int c = 0; c < 3; ++c)
                    scope.spawn("fiber", [&, c, id] {
                        for (int i = 0; i < 3; ++i) {
                            said += static_cast<char>('a' + 3 * id.value + c);
                            env.fibers.yield();
                        }
                    });
                scope.join();
            });
        world.run_for(1ms);
        if (list) *list = world.choices().recorded();
        return said;
    };
    const std::string in_order = order(1, {}, sim::Schedule::in_order);
    for (const auto schedule :
         {sim::Schedule::random, sim::Schedule::priorities, sim::Schedule::priorities_two_falls}) {
        for (std::uint64_t seed = 0; seed < 10; ++seed) {
            sim::ChoiceList list;
            sim::ChoiceOptions options;
            options.recorded = true;
            const std::string first = order(seed, options, schedule, &list);
            CHECK(first != in_order);
            options.recorded = false;
            options.list = &list;
            CHECK(order(seed, options, schedule) == first);
            const sim::ChoiceList empty;
            options.list = &empty;
            CHECK(order(seed, options, schedule) == in_order);
        }
    }
}
