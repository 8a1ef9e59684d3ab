// The room on the disk, watched without a broker around it.
#include "server/space_watch.h"

#include "io/sim/world.h"

#include <functional>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;

namespace {

constexpr NodeId watched_node{1};

// A process that does nothing but watch its disk.
class Watched {
public:
    explicit Watched(SpaceConfig config = {1_MiB, 256_KiB}) : config_(config) {
        world.boot(watched_node, [](Environment&) {}); // Now it has a disk.
        world.run_for(1ms);
    }

    void start() {
        world.boot(watched_node, sim::World::Main([this](Environment& env) -> Result<> {
                       SpaceWatch watch(env, config_);
                       watch_ = &watch;
                       const Result<> end = [&]() -> Result<> {
                           TRY(watch.prepare());
                           prepared = true;
                           return watch.run();
                       }();
                       watch_ = nullptr;
                       return end;
                   }));
    }
    void restart() {
        world.kill(watched_node);
        prepared = false;
        start();
        REQUIRE(world.run_until(world.now() + 1s, [&] { return prepared; }));
    }
    void wait() { world.run_for(3s); }
    bool is_short() const { return watch_->is_short(); }
    bool runs() const { return watch_ != nullptr; }
    std::size_t reserve() { return disk().content("reserve").value_or(Bytes()).size(); }
    void leave_free(std::uint64_t bytes) { disk().set_quota(disk().used() + bytes); }
    void put(const std::string& path, std::size_t bytes) {
        world.boot(NodeId(watched_node), [&](Environment& env) {
            const auto file = env.disk.open(path, Disk::Open::create_new);
            REQUIRE(file.ok());
            REQUIRE(file.value()->write_at(0, {Bytes::copy_of(std::string(bytes, 'x'))}).ok());
            REQUIRE(env.disk.sync_directory("").ok());
            REQUIRE(file.value()->sync().ok());
        });
        world.run_for(1s);
    }
    sim::Medium& disk() { return world.disk(watched_node); }
    SpaceConfig& config() { return config_; }

    bool prepared = false;

private:
    SpaceConfig config_;
    SpaceWatch* watch_ = nullptr;

public:
    sim::World world{1}; // Ends first: its processes still use the above.
};

} // namespace

TEST_CASE("a node sets room aside where there is enough of it", "[server]") {
    Watched watched;
    watched.start();
    watched.wait();
    CHECK(watched.reserve() == 256_KiB);
    CHECK(!watched.is_short());
}

TEST_CASE("a node without a reserve in its settings makes none, and removes what it finds",
          "[server]") {
    Watched watched({1_MiB, 0});
    watched.put("reserve", 1000);
    watched.start();
    watched.wait();
    CHECK(!watched.disk().content("reserve").has_value());
}

TEST_CASE("a reserve of another size is made anew", "[server]") {
    Watched watched;
    watched.put("reserve", 1000);
    watched.start();
    watched.wait();
    CHECK(watched.reserve() == 256_KiB);
    watched.config().reserve_bytes = 64_KiB;
    watched.restart();
    watched.wait();
    CHECK(watched.reserve() == 64_KiB);
}

TEST_CASE("no room is set aside that is wanted free", "[server]") {
    Watched watched;
    watched.leave_free(1_MiB + 512_KiB - 1);
    watched.start();
    watched.wait();
    CHECK(watched.reserve() == 0);
    CHECK(!watched.is_short());
    watched.leave_free(1_MiB + 512_KiB);
    watched.wait();
    CHECK(watched.reserve() == 256_KiB);
}

TEST_CASE("the reserve goes when the disk is full, also before anything else is opened",
          "[server]") {
    Watched watched;
    watched.start();
    watched.wait();
    const auto fill_up = [&] { watched.leave_free(0); };
    SECTION("while the node runs") {
        fill_up();
        watched.wait();
        CHECK(watched.reserve() == 0);
        CHECK(watched.is_short());
        CHECK(watched.runs());
    }
    SECTION("when it starts") {
        watched.world.kill(watched_node);
        fill_up();
        watched.restart();
        CHECK(watched.reserve() == 0);
        CHECK(watched.is_short());
    }
    watched.disk().set_quota({});
    watched.wait();
    CHECK(!watched.is_short());
    CHECK(watched.reserve() == 256_KiB);
}

TEST_CASE("a disk that fills quickly is found short before it is full", "[server]") {
    Watched watched;
    watched.leave_free(16_MiB);
    watched.start();
    watched.wait();
    for (std::uint64_t left = 4_MiB; left > 1_MiB; left -= 512_KiB) {
        watched.leave_free(left);
        watched.world.run_for(100ms);
        CHECK(!watched.is_short());
    }
    watched.leave_free(1_MiB - 1);
    watched.world.run_for(2 * SpaceWatch::short_interval);
    CHECK(watched.is_short());
}

TEST_CASE("a disk that does not say how much room it has ends nothing", "[server]") {
    Watched watched;
    sim::Faults faults;
    faults.name_error = sim::always;
    watched.world.set_faults(faults);
    watched.start();
    watched.wait();
    CHECK(watched.runs());
    CHECK(!watched.is_short());
    CHECK(watched.reserve() == 0);
    watched.world.set_faults({});
    watched.wait();
    CHECK(watched.reserve() == 256_KiB);
}

TEST_CASE("a device that fails while room is set aside ends the node", "[server]") {
    Watched watched;
    watched.start();
    watched.disk().fail_next_sync();
    watched.wait();
    CHECK(!watched.runs());
    CHECK(!watched.disk().content("reserve").has_value());
}

TEST_CASE("a reserve for which there is no room after all is tried again", "[server]") {
    Watched watched;
    sim::Faults faults;
    faults.no_space = sim::always;
    watched.world.set_faults(faults);
    watched.start();
    watched.wait();
    CHECK(watched.runs());
    CHECK(!watched.disk().content("reserve").has_value());
    watched.world.set_faults({});
    watched.wait();
    CHECK(watched.reserve() == 256_KiB);
}
