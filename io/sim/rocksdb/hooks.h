// io/sim/rocksdb/hooks.h
//
// What makes RocksDB a function of what it is given. It has no seam for its condition variables,
// its timer, its random numbers and its memory accounting, so a program that links this has
// definitions of its own for a few of its symbols, which the dynamic linker prefers:
//
//   port::CondVar::Wait              runs one of RocksDB's own jobs instead of blocking; to the
//   port::CondVar::TimedWait         waiter that is a wake-up for nothing, or what it waited for
//   PeriodicTaskScheduler::Register  no timer, and so no thread for it
//   SemiStructuredUniqueIdGen        ids of the engine's own, not of machine, time and process
//   Random::GetTLSInstance           is seeded at each entry (it decides heights in skip lists,
//                                    and so when a memtable is full)
//   Arena::AllocateNewBlock          counts what was asked for, not what malloc has given
//
// They are at work only while an Inside lives on the same thread: elsewhere in the process RocksDB
// is what it always is. If a build has lost one of them (hidden symbols, a static library, a
// RocksDB without sync points), the first open() of an engine ends the process with a message.
//
// The only state of the simulator that is not a World's: RocksDB has no other place for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace pyralog::sim {

// What RocksDB asks for behind its interfaces.
class Backstage {
public:
    virtual ~Backstage() = default;
    virtual bool run_job() = 0; // One of those that were given away. False: there is none.
    virtual std::pair<std::uint64_t, std::uint64_t> unique_id() = 0;
    virtual std::uint32_t seed() = 0;
};

// RocksDB is being called, on this thread, for that engine. They nest.
class Inside {
public:
    explicit Inside(Backstage& backstage);
    ~Inside();
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

private:
    Backstage* outer_;
};

// How often each hook was at work, in this process.
struct HookCounts {
    std::uint64_t waits = 0;
    std::uint64_t timers = 0;
    std::uint64_t ids = 0;
    std::uint64_t arenas = 0;
};
const HookCounts& hook_counts();

// To be made before a store is opened: ends the process if a hook is not in place.
class HookCheck {
public:
    HookCheck();
    // The store is open. Ends the process if a hook was not at work, or a thread was started.
    void opened() const;

private:
    bool is_first_;
    HookCounts before_;
    std::ptrdiff_t threads_before_ = 0;
};

} // namespace pyralog::sim
