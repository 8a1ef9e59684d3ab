#include "io/real/door.h"
#include "io/real/world.h"

#include <thread>
#include <vector>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::real;

TEST_CASE("what other threads bring is done on the node's, in the order of each", "[real]") {
    constexpr int threads = 4;
    constexpr int each = 1000;
    World world(IoConfig{});
    std::vector<int> seen(threads, 0);
    bool in_order = true, on_the_node = true;
    const Result<> ended = world.run([&](Environment& env) -> Result<> {
        const std::thread::id node = std::this_thread::get_id();
        Condition changed(env.fibers);
        int done = 0;
        std::vector<std::thread> others;
        for (int i = 0; i < threads; ++i)
            others.emplace_back([&, i] {
                for (int n = 0; n < each; ++n)
                    world.door().post([&, i, n] {
                        in_order &= seen[static_cast<std::size_t>(i)]++ == n;
                        on_the_node &= std::this_thread::get_id() == node;
                        ++done;
                        changed.notify_all();
                    });
            });
        const Result<> waited = changed.wait([&] { return done == threads * each; });
        for (std::thread& other : others) other.join();
        return waited;
    });
    CHECK(ended.ok());
    CHECK(in_order);
    CHECK(on_the_node);
}

TEST_CASE("what waits for other threads leaves the node's alone", "[real]") {
    World world(IoConfig{});
    bool was_elsewhere = false;
    int turns = 0;
    const Result<> ended = world.run([&](Environment& env) -> Result<> {
        const std::thread::id node = std::this_thread::get_id();
        Scope scope(env.fibers);
        bool is_over = false;
        scope.spawn("others", [&] {
            while (!is_over && env.fibers.sleep_until(env.clock.now() + 1ms).ok()) ++turns;
        });
        world.door().run_elsewhere([&] {
            was_elsewhere = std::this_thread::get_id() != node;
            std::this_thread::sleep_for(50ms);
        });
        is_over = true;
        return {};
    });
    CHECK(ended.ok());
    CHECK(was_elsewhere);
    CHECK(turns > 1);
}

TEST_CASE("all that was posted before is done when the door has settled", "[real]") {
    World world(IoConfig{});
    int done = 0;
    const Result<> ended = world.run([&](Environment&) -> Result<> {
        for (int i = 0; i < 100; ++i) world.door().post([&] { ++done; });
        world.door().settle();
        CHECK(done == 100);
        return {};
    });
    CHECK(ended.ok());
}
