// io/rocksdb/careful_files.h
//
// RocksDB counts on a rename not to survive a power cut without the names that were made before it
// in the same directory: at recovery it makes tables, a manifest, and then CURRENT by a rename, and
// only then syncs the directory once. Journaling file systems happen to keep that order; nobody
// promises it. This one syncs the directory before each rename. RocksDB renames when it opens a
// store, and hardly ever else.
#pragma once

#include <rocksdb/file_system.h>

#include <memory>

namespace pyralog::rocks {

std::shared_ptr<rocksdb::FileSystem> careful(std::shared_ptr<rocksdb::FileSystem> files);

} // namespace pyralog::rocks
