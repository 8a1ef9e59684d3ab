// io/rocksdb/log_tail.h
//
// How one of RocksDB's own logs ends: its write-ahead log, or its manifest. Both are records in
// blocks of 32 KiB, each with a checksum, and a record can go on in the next block.
//
// RocksDB stops at the first bad record. It cannot say whether that one was being written when the
// power went, which is nobody's loss, or was durable and acknowledged and has been damaged since.
// We can: a record is only begun when the one before it is durable. So whatever is bad with a good
// beginning of a record behind it, anywhere, was durable once, and is damage. Otherwise it is torn,
// and to be cut off. What stays open is damage to the very last record: it is taken for torn.
//
// Pure functions of bytes. A value that looks like a record can make a torn tail look damaged, not
// the other way round.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace pyralog::rocks {

enum class LogState : std::uint8_t { whole, torn, damaged };

struct LogTail {
    LogState state = LogState::whole;
    std::uint64_t good = 0; // Where the last whole record ends.
};

LogTail tail_of(std::span<const std::byte> log);

} // namespace pyralog::rocks
