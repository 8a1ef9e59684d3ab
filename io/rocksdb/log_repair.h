// io/rocksdb/log_repair.h
//
// Makes RocksDB's files fit to be opened after a power cut: cuts off the torn ends of the newest
// write-ahead log and of the manifest. Blocks; to be called before RocksDB opens them.
#pragma once

#include <rocksdb/io_status.h>

#include <string>

namespace rocksdb {
class FileSystem;
}

namespace pyralog::rocks {

// Status::Corruption: a log is damaged before its end.
rocksdb::Status repair_logs(rocksdb::FileSystem& files, const std::string& path);

// Makes the names around `path` durable, and its own.
rocksdb::IOStatus sync_name_of(rocksdb::FileSystem& files, const std::string& path);

} // namespace pyralog::rocks
