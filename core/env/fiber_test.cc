#include "core/base/random.h"
#include "core/env/channel.h"
#include "core/env/fiber.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace pyralog;

namespace {

// The smallest world: virtual time, and the first ready fiber runs.
struct Toy {
    StackPool stacks;
    Scheduler fibers{stacks};
    Time now{};
    std::vector<std::string> said;

    ~Toy() {
        fibers.cancel_all();
        run();
        CHECK(fibers.alive_count() == 0);
    }
    void say(std::string what) { said.push_back(std::move(what)); }

    // Until nobody is ready and nobody waits for a time up to `end`.
    void run_until(Time end) {
        for (;;) {
            while (!fibers.idle()) fibers.run_one();
            const auto next = fibers.next_expiry();
            if (!next || *next > end) break;
            now = std::max(now, *next);
            fibers.expire(now);
        }
        now = std::max(now, end);
    }
    void run() { run_until(now); }
};

constexpr Time at(Duration since_boot) { return Time(since_boot); }

} // namespace

TEST_CASE("a fiber runs until it waits, and goes on when it is woken", "[env]") {
    Toy toy;
    Signal signal(toy.fibers);
    toy.fibers.start("one", [&] {
        toy.say("before");
        REQUIRE(signal.wait().ok());
        toy.say("after");
    });
    toy.run();
    CHECK(toy.said == std::vector<std::string>{"before"});
    signal.set();
    toy.run();
    CHECK(toy.said == std::vector<std::string>{"before", "after"});
    CHECK(toy.fibers.alive_count() == 0);
}

TEST_CASE("sleepers wake in the order of their times", "[env]") {
    Toy toy;
    for (const int ms : {30, 10, 20, 10})
        toy.fibers.start("sleeper", [&toy, ms] {
            REQUIRE(toy.fibers.sleep_until(at(std::chrono::milliseconds(ms))).ok());
            toy.say(std::to_string(ms));
        });
    toy.run_until(at(15ms));
    CHECK(toy.said == std::vector<std::string>{"10", "10"});
    toy.run_until(at(1s));
    CHECK(toy.said == std::vector<std::string>{"10", "10", "20", "30"});
}

TEST_CASE("the earliest of nested deadlines ends a wait, and only while it lives", "[env]") {
    Toy toy;
    Signal never(toy.fibers);
    toy.fibers.start("one", [&] {
        const Deadline outer(toy.fibers, at(10ms));
        {
            const Deadline inner(toy.fibers, at(1s));
            CHECK(never.wait().error() == Error::timed_out);
            CHECK(toy.now == at(10ms));
        }
        CHECK(toy.fibers.sleep_until(at(20ms)).error() == Error::timed_out);
        toy.say("ended");
    });
    toy.run_until(at(15ms));
    CHECK(toy.said.size() == 1);
    toy.fibers.start("two", [&] {
        { const Deadline over(toy.fibers, at(16ms)); }
        CHECK(toy.fibers.sleep_until(at(20ms)).ok());
        CHECK(toy.now == at(20ms));
        toy.say("slept");
    });
    toy.run_until(at(1s));
    CHECK(toy.said.size() == 2);
}

TEST_CASE("cancelling a scope reaches through joins to the innermost wait", "[env]") {
    Toy toy;
    Signal go(toy.fibers);
    int unwound = 0;
    struct Count {
        int& n;
        ~Count() { ++n; }
    };
    toy.fibers.start("root", [&] {
        Scope outer(toy.fibers);
        outer.spawn("parent", [&] {
            const Count count{unwound};
            Scope inner(toy.fibers);
            inner.spawn("child", [&] {
                const Count child_count{unwound};
                Signal never(toy.fibers);
                CHECK(never.wait().error() == Error::cancelled);
                CHECK(never.wait().error() == Error::cancelled); // And so does every later wait.
            });
            inner.join();
            CHECK(toy.fibers.cancelled());
        });
        REQUIRE(go.wait().ok());
        outer.cancel();
        outer.join();
        CHECK(unwound == 2);
        toy.say("joined");
    });
    toy.run();
    CHECK(unwound == 0);
    go.set();
    toy.run();
    CHECK(toy.said == std::vector<std::string>{"joined"});
}

TEST_CASE("a fiber spawned in a cancelled scope starts, and ends at its first wait", "[env]") {
    Toy toy;
    toy.fibers.start("root", [&] {
        Scope scope(toy.fibers);
        scope.cancel();
        scope.spawn("late", [&] {
            toy.say("started");
            CHECK(toy.fibers.sleep_until(at(1s)).error() == Error::cancelled);
        });
    });
    toy.run();
    CHECK(toy.said == std::vector<std::string>{"started"});
    CHECK(toy.now == at(0ms));
}

TEST_CASE("a condition that is true does not hide that its fiber is cancelled", "[env]") {
    Toy toy;
    Condition changed(toy.fibers);
    toy.fibers.start("loop", [&] {
        while (changed.wait([] { return true; }).ok()) toy.fibers.yield();
        toy.say("ended");
    });
    for (int i = 0; i < 3; ++i) toy.fibers.run_one();
    toy.fibers.cancel_all();
    toy.run();
    CHECK(toy.said.size() == 1);
}

TEST_CASE("a full channel makes the producer wait, a closed one gives out what it holds", "[env]") {
    Toy toy;
    Channel<int> channel(toy.fibers, 2);
    toy.fibers.start("producer", [&] {
        for (int i = 0; i < 5; ++i) {
            REQUIRE(channel.push(i).ok());
            toy.say("push " + std::to_string(i));
        }
        channel.close();
        CHECK(channel.push(9).error() == Error::disconnected);
    });
    toy.run();
    CHECK(toy.said.size() == 2);
    int sum = 0;
    toy.fibers.start("consumer", [&] {
        for (;;) {
            const Result<int> item = channel.pop();
            if (!item.ok()) {
                CHECK(item.error() == Error::disconnected);
                return;
            }
            sum += item.value();
        }
    });
    toy.run();
    CHECK(sum == 10);
}

TEST_CASE("each fiber has its own exceptions in flight", "[env]") {
    Toy toy;
    for (int i = 0; i < 3; ++i)
        toy.fibers.start("thrower", [&toy, i] {
            try {
                throw i;
            } catch (const int caught) {
                toy.fibers.yield(); // The others throw and catch meanwhile.
                try {
                    throw std::string("inner");
                } catch (const std::string&) {
                    toy.fibers.yield();
                }
                try {
                    throw;
                } catch (const int again) {
                    CHECK(again == caught);
                    toy.say(std::to_string(again));
                }
            }
        });
    toy.run();
    CHECK(toy.said == std::vector<std::string>{"0", "1", "2"});
}

TEST_CASE("thousands of sleepers with random times leave the heap in order", "[env]") {
    Toy toy;
    Random random(7);
    Time last{};
    int woken = 0;
    int cancelled = 0;
    toy.fibers.start("root", [&] {
        Scope scope(toy.fibers);
        for (int i = 0; i < 3000; ++i) {
            const Time when = at(Duration(random.between(1, 1'000'000)));
            scope.spawn("sleeper", [&, when] {
                if (!toy.fibers.sleep_until(when).ok()) {
                    ++cancelled;
                    return;
                }
                CHECK(toy.now == when);
                CHECK(last <= when);
                last = when;
                ++woken;
            });
        }
        REQUIRE(toy.fibers.sleep_until(at(Duration(500'000))).ok());
    });
    toy.run_until(at(1s));
    CHECK(woken + cancelled == 3000);
    CHECK(woken > 1000);
    CHECK(cancelled > 1000);
}
