// io/real/disk_probe.h
//
// What the disk below a directory is like, as far as a program can find out: what Linux says of it,
// and how long durable writes take. And what follows for a node: which way of making a write
// durable it should use, and why.
//
// A probe cannot tell whether the device keeps its word when the power goes. It can tell when no
// device can have done what was asked for, and says no more than that.
//
// Blocks, and is bounded: probe_disk() takes about probe_time, choose_sync() choose_time, unless a
// single write takes longer.
#pragma once

#include "io/real/config.h"
#include "io/real/sync_meter.h"

namespace pyralog::real {

constexpr Duration probe_time = 5s;
constexpr Duration choose_time = 200ms;

// Which way, and in words why.
struct SyncAdvice {
    SyncMethod method = SyncMethod::fdatasync;
    std::string why;
};

// By what durable writes of a few KiB take on an idle machine and on one that is at work. Nothing
// in `figures` that was not measured by io_uring counts.
SyncAdvice advise(std::span<const SyncFigure> figures);

// What the system says of a directory; empty where it says nothing.
struct DiskFacts {
    std::string file_system; // "ext4", or a number if it is a rare one.
    bool in_memory = false;
    std::string device;      // "254:0".
    std::string write_cache; // "write back": the device has a cache, and is told to empty it.
    std::string fua;         // "1": a single write can get past that cache.
};

DiskFacts facts_of(const std::string& directory);

struct DiskProbe {
    std::string directory;
    DiskFacts facts;
    bool direct = false;
    std::size_t direct_alignment = 0;
    std::string ring_refusal; // Empty: there is io_uring.
    std::vector<SyncFigure> figures;
    SyncMeter::Flow flow;
    std::int64_t busy_percent = 0; // Of all processors, by whatever else ran here.
    SyncAdvice advice;
    std::vector<std::string> warnings; // Each a sentence.
};

// False: `reason` says why nothing is known.
bool probe_disk(const std::string& directory, DiskProbe& probe, std::string& reason);

// The part of it that a node needs when it starts.
SyncAdvice choose_sync(const std::string& directory);

// What is to be said of these findings, if half of the durable writes of a few KiB are as quick as
// this.
std::vector<std::string> doubts(const DiskProbe& probe, Duration durable_write);

} // namespace pyralog::real
