// io/sim/rocksdb/engine.h
//
// Small facts in RocksDB itself, on the simulated disk: the very adapter that a real node has, over
// files that lie in "kv" beside the node's own and share all their faults. To be given to
// World::use_store(); without it a node has the model in io/sim/kv_store.h.
//
// RocksDB cannot be suspended. A call into it happens at one moment, with all that it reads, writes
// and syncs and the background jobs that it gives rise to; then the calling fiber waits for the
// time that all this has taken. In that time each change has its own moment, so a power cut in the
// middle of a call finds what it would have found in the middle of a real one. (A process that is
// killed has finished the call.) The next call begins when that time is over.
//
// A memtable is made small, to a drawn size, so that a short run has flushes and compactions.
#pragma once

#include "io/sim/world.h"

#include <memory>

namespace pyralog::sim {

inline constexpr std::string_view engine_directory = "kv";

std::unique_ptr<KvStore> make_engine(const World::StoreContext& context);

} // namespace pyralog::sim
