#include "io/sim/test_machine.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::sim_test;

namespace {

// Each call takes 10 us, each sync 100 us.
sim::Faults even(sim::Faults faults) {
    faults.write_time = faults.name_time = faults.read_time = {10us, 10us, sim::never, 0us};
    faults.sync_time = {100us, 100us, sim::never, 0us};
    return faults;
}

// A process that makes a file, fills it and makes it durable, at once; and then waits. The moments:
// 10 us the name, 20 the bytes, 120 the sync, 220 the sync of the directory, 230 more bytes.
struct Hasty {
    explicit Hasty(const sim::Faults& faults) : world(1, even(faults)) {
        world.boot(disk_node, [this](Environment& env) {
            sim::Medium::AtOnce at_once;
            sim::SimDisk disk(world.disk(disk_node), env.fibers, world.boots(disk_node), &at_once);
            const auto file = file_in_disk(disk);
            write(*file, 0, "first ");
            REQUIRE(file->sync().ok());
            REQUIRE(disk.sync_directory("").ok());
            write(*file, 6, "second");
            CHECK(world.now() == Duration{0});
            CHECK(at_once.cost >= 230us);
            CHECK(disk.has("f"));
            CHECK(content() == "first second");
            waited = disk.wait_for_cost();
            CHECK(at_once.cost == Duration{0});
        });
    }

    static std::unique_ptr<File> file_in_disk(Disk& disk) {
        auto file = disk.open("f", create_new);
        REQUIRE(file.ok());
        return std::move(file).value();
    }
    std::string content() {
        const auto found = world.disk(disk_node).content("f");
        return found ? std::string(found->text()) : "(none)";
    }
    // What is there after a power cut at that moment.
    std::string cut_at(Duration when) {
        world.run_until(when);
        world.cut_power(disk_node);
        return content();
    }

    sim::World world;
    bool waited = false;
};

} // namespace

TEST_CASE("who does everything at once waits for the time that it takes", "[sim]") {
    Hasty hasty(keeps_none());
    hasty.world.run_until(229us);
    CHECK(!hasty.waited);
    hasty.world.run_until(230us);
    CHECK(hasty.waited);
}

TEST_CASE("a sync that did not wait counts from its moment on, and not before", "[sim]") {
    CHECK(Hasty(keeps_none()).cut_at(119us) == "(none)");
    CHECK(Hasty(keeps_none()).cut_at(219us) == "(none)");
    CHECK(Hasty(keeps_none()).cut_at(221us) == "first ");
}

TEST_CASE("a power cut finds nothing of what was still to come", "[sim]") {
    CHECK(Hasty(keeps_all()).cut_at(5us) == "(none)");
    CHECK(Hasty(keeps_all()).cut_at(15us) == "");
    CHECK(Hasty(keeps_all()).cut_at(25us) == "first ");
    CHECK(Hasty(keeps_all()).cut_at(229us) == "first ");
    CHECK(Hasty(keeps_all()).cut_at(231us) == "first second");
}

TEST_CASE("a process that is killed has done all that it did at once", "[sim]") {
    Hasty hasty(keeps_none());
    hasty.world.run_until(50us);
    hasty.world.kill(disk_node);
    CHECK(!hasty.waited);
    CHECK(hasty.content() == "first second");
    CHECK(hasty.world.disk(disk_node).durable_content("f").has_value());
    hasty.world.cut_power(disk_node);
    CHECK(hasty.content() == "first ");
}

TEST_CASE("a sync that fails does so at once, and what was to be durable before it is", "[sim]") {
    sim::World world(1, even(keeps_none()));
    world.boot(disk_node, [&](Environment& env) {
        sim::Medium::AtOnce at_once;
        sim::SimDisk disk(world.disk(disk_node), env.fibers, world.boots(disk_node), &at_once);
        const auto file = Hasty::file_in_disk(disk);
        write(*file, 0, "kept");
        REQUIRE(file->sync().ok());
        REQUIRE(disk.sync_directory("").ok());
        CHECK(!world.disk(disk_node).durable_content("f"));
        write(*file, 4, "!");
        world.disk(disk_node).fail_next_sync();
        CHECK(file->sync().error() == Error::device_failed);
        CHECK(world.disk(disk_node).durable_content("f")->text() == "kept");
        (void)disk.wait_for_cost();
    });
    world.run_until(1s);
}

TEST_CASE("a disk that hangs makes who does not wait wait longer", "[sim]") {
    Hasty hasty(keeps_none());
    hasty.world.disk(disk_node).hang_until(1s);
    hasty.world.run_until(1s + 229us);
    CHECK(!hasty.waited);
    hasty.world.run_until(1s + 230us);
    CHECK(hasty.waited);
    CHECK(hasty.world.counts().effective(sim::Fault::hung_disk) > 0);
}

TEST_CASE("what comes after a sync that hangs is not made before it", "[sim]") {
    const auto cut_while_it_hangs = [](Duration hangs_from) {
        Hasty hasty(keeps_all());
        hasty.world.run_until(hangs_from);
        hasty.world.disk(disk_node).hang_until(1s);
        return hasty.cut_at(500ms);
    };
    CHECK(cut_while_it_hangs(50us) == "first ");
    CHECK(cut_while_it_hangs(150us) == "first ");
    CHECK(cut_while_it_hangs(231us) == "first second");
}
