// io/sim/rocksdb/file_system.h
//
// RocksDB's files on the simulated disk of a node, beside all its other files. No call waits: the
// SimDisk that it stands on is one that does everything at once and adds up the time. When the
// process has ended, every call fails.
//
// Errors are never retryable: whatever the disk refuses ends the store. FileExists cannot fail, as
// RocksDB would take a failure for an answer; it asks what is in memory anyway.
#pragma once

#include "io/sim/disk.h"

#include <rocksdb/file_system.h>

#include <memory>

namespace pyralog::sim {

std::unique_ptr<rocksdb::FileSystem> file_system_on(SimDisk& disk);

} // namespace pyralog::sim
