#include "io/real/test_node.h"

#include <csignal>
#include <filesystem>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::real;

TEST_CASE("a world returns what its main returned, and can run again", "[real]") {
    World world(IoConfig{});
    CHECK(world.run([](Environment&) -> Result<> { return {}; }).ok());
    CHECK(world.run([](Environment&) -> Result<> { return Error::corrupt; }).error() ==
          Error::corrupt);
}

TEST_CASE("a program that touches no file leaves none behind", "[real]") {
    TestNode node;
    node.config.data_dir += "/sub";
    node.run([](Environment& env) {
        REQUIRE(env.fibers.sleep_until(env.clock.now() + 1ms).ok());
        CHECK(env.network.listen({"127.0.0.1", 0}).ok());
    });
    CHECK(!std::filesystem::exists(node.directory()));
    node.run([](Environment& env) { CHECK(env.disk.list("").value().empty()); });
    CHECK(std::filesystem::exists(node.directory()));
    node.config.data_dir.resize(node.config.data_dir.size() - 4);
}

TEST_CASE("a fiber that main leaves behind is cancelled, and waited for", "[real]") {
    TestNode node;
    Result<> ended;
    bool returned = false;
    node.run([&](Environment& env) {
        env.fibers.start("left behind", [&] {
            ended = env.fibers.sleep_until(env.clock.now() + 1h);
            returned = true;
        });
        env.fibers.yield();
    });
    CHECK(returned);
    CHECK(ended.error() == Error::cancelled);
}

TEST_CASE("sleepers wake in the order of their times, also after one has gone", "[real]") {
    TestNode node;
    std::vector<int> woken;
    node.run([&](Environment& env) {
        const Time start = env.clock.now();
        Scope scope(env.fibers);
        for (const int ms : {30, 10, 20})
            scope.spawn("sleeper", [&, ms] {
                REQUIRE(env.fibers.sleep_until(start + std::chrono::milliseconds(ms)).ok());
                woken.push_back(ms);
            });
        {
            Scope gone(env.fibers);
            gone.spawn("gone", [&] { (void)env.fibers.sleep_until(start + 5ms); });
            env.fibers.yield();
        }
        scope.join();
        CHECK(env.clock.now() >= start + 30ms);
    });
    CHECK(woken == std::vector{10, 20, 30});
}

TEST_CASE("fibers that never wait do not keep the world from looking around", "[real]") {
    TestNode node;
    node.run([](Environment& env) {
        Scope scope(env.fibers);
        scope.spawn("busy", [&] {
            while (!env.fibers.cancelled()) env.fibers.yield();
        });
        REQUIRE(env.fibers.sleep_until(env.clock.now() + 5ms).ok());
        REQUIRE(env.disk.open("f", Disk::Open::create_new).ok());
    });
}

TEST_CASE("a world that spins finds its work as well", "[real]") {
    TestNode node;
    node.config.spin = 50us;
    node.run([](Environment& env) {
        auto file = env.disk.open("f", Disk::Open::create_new);
        REQUIRE(file.ok());
        for (int i = 0; i < 10; ++i) {
            REQUIRE(file.value()->write_at(0, {Bytes::copy_of("x")}, Durability::now).ok());
            REQUIRE(env.fibers.sleep_until(env.clock.now() + 1ms).ok());
        }
    });
}

namespace {

IoConfig quiet() {
    IoConfig config;
    config.log_level = Level::error;
    return config;
}

} // namespace

TEST_CASE("the first signal cancels main", "[real]") {
    for (const int signal : {SIGINT, SIGTERM}) {
        const int status = in_child([&] {
            World world(quiet());
            const Result<> ended = world.run([&](Environment& env) {
                kill(getpid(), signal);
                return env.fibers.sleep_until(env.clock.now() + 10s);
            });
            return !ended.ok() && ended.error() == Error::cancelled ? 0 : 1;
        });
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0);
    }
}

TEST_CASE("the second signal ends the process at once", "[real]") {
    const int status = in_child([] {
        close(STDERR_FILENO); // Its message is for people.
        World world(quiet());
        (void)world.run([](Environment& env) -> Result<> {
            kill(getpid(), SIGTERM);
            (void)env.fibers.sleep_until(env.clock.now() + 10s);
            kill(getpid(), SIGTERM);
            const Time end = env.clock.now() + 10s; // Deaf to having been cancelled.
            while (env.clock.now() < end) env.fibers.yield();
            return {};
        });
        return 1;
    });
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 128 + SIGTERM);
}

TEST_CASE("after run() signals mean again what they meant before", "[real]") {
    const int status = in_child([] {
        World world(IoConfig{});
        (void)world.run([](Environment&) -> Result<> { return {}; });
        kill(getpid(), SIGTERM);
        return 1;
    });
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGTERM);
}

TEST_CASE("every setting can be set to what its bounds permit", "[real]") {
    IoConfig config;
    auto settings = settings_of(config);
    CHECK(find_setting(settings, "io.ring")->set("false").empty());
    CHECK(!config.ring);
    CHECK(!find_setting(settings, "io.spin")->set("1s").empty());
    CHECK(find_setting(settings, "io.spin")->set("20us").empty());
    CHECK(config.spin == 20us);
}
