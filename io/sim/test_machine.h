// io/sim/test_machine.h
//
// For tests of the disk: one node, whose processes do something and then wait for their end.
#pragma once

#include "io/sim/world.h"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace pyralog::sim_test {

using enum Disk::Open;

inline constexpr NodeId disk_node{1};

// What a cut does to un-synced changes, for sure.
inline sim::Faults keeps_none() {
    sim::Faults faults;
    faults.cut_keeps_all = faults.cut_by_unit = 0;
    return faults;
}
inline sim::Faults keeps_all() {
    sim::Faults faults;
    faults.cut_keeps_none = faults.cut_by_unit = 0;
    return faults;
}
inline sim::Faults by_unit(std::uint32_t survives, std::uint32_t lost, std::uint32_t torn,
                           std::uint32_t garbage) {
    sim::Faults faults;
    faults.cut_keeps_none = faults.cut_keeps_all = 0;
    faults.unit_survives = survives;
    faults.unit_lost = lost;
    faults.unit_torn = torn;
    faults.unit_garbage = garbage;
    return faults;
}

// One node whose process does something and then waits for its end.
struct Machine {
    explicit Machine(std::uint64_t seed = 1, const sim::Faults& faults = {}) : world(seed, faults) {
        world.add_host(disk_node, "one");
    }

    template <class Body>
    void runs(Body body) {
        world.boot(disk_node, [&done = done, body](Environment& env) {
            done = false;
            body(env);
            done = true;
            (void)env.fibers.park();
        });
        world.run_for(10s);
        REQUIRE(done);
    }
    sim::Medium& disk() { return world.disk(disk_node); }
    std::string content(std::string_view path) {
        const auto found = disk().content(path);
        return found ? std::string(found->text()) : "(none)";
    }
    std::string durable(std::string_view path) {
        const auto found = disk().durable_content(path);
        return found ? std::string(found->text()) : "(none)";
    }
    void cut() { world.cut_power(disk_node); }
    const sim::FaultCounts& counts() { return world.counts(); }

    bool done = false;
    sim::World world;
};

inline std::unique_ptr<File> file_in(Environment& env, std::string_view path) {
    auto file = env.disk.open(path, create_new);
    REQUIRE(file.ok());
    return std::move(file).value();
}

// A file with these bytes, of which nothing can be lost.
inline std::unique_ptr<File> durable_file(Environment& env, std::string_view path,
                                          std::string_view text) {
    auto file = file_in(env, path);
    REQUIRE(file->write_at(0, {Bytes::copy_of(text)}, Durability::now).ok());
    REQUIRE(env.disk.sync_directory("").ok());
    return file;
}

inline void write(File& file, std::uint64_t position, std::string_view text,
                  Durability durability = Durability::later) {
    REQUIRE(file.write_at(position, {Bytes::copy_of(text)}, durability).ok());
}

} // namespace pyralog::sim_test
