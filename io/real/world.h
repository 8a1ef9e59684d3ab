// io/real/world.h
//
// Linux behind the seam of core/env: one node's world. The thread that calls run() does everything:
// it runs the fibers, sends what they gave to the ring in one batch per turn, collects completions,
// and sleeps only when there is nothing else to do. Helper threads exist for what blocks (directory
// operations, RocksDB, files where io_uring is refused), and each is started when first needed.
//
// Nothing on disk is touched before a fiber asks for a file or for the KvStore; then the data
// directory is made if there is none, and locked against other processes for as long as the World
// lives. A program that needs only network and clock pays for nothing else.
//
// Not thread safe: made, run and destroyed on one thread. The process keeps its own signal handlers
// except for SIGINT and SIGTERM, which are this World's while run() lasts.
#pragma once

#include "core/env/environment.h"
#include "io/real/config.h"

#include <functional>
#include <memory>

namespace pyralog::real {

class Door;

class World {
public:
    explicit World(const IoConfig& config);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    // Runs `main` as a fiber, and returns what it returned once every fiber has ended. The first
    // SIGINT or SIGTERM cancels `main`; a second one ends the process at once, with a message and
    // the exit code 128 + signal. May be called again.
    Result<> run(std::function<Result<>(Environment&)> main);

    // Where io.sync is auto: measures which way is the better one on the data directory, which must
    // be there, and takes it. Blocks for choose_time (disk_probe.h). Only before run().
    void choose_sync();

    // For what happens before and after run().
    Logger& log();

    // For libraries that have threads of their own.
    Door& door();

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

} // namespace pyralog::real
