#include "io/rocksdb/log_tail.h"

#include "core/base/crc32c.h"

#include <optional>

namespace pyralog::rocks {

namespace {

constexpr std::size_t block_size = 32 * 1024;
constexpr std::size_t header_size = 7; // Checksum, length, type.

enum class Type : std::uint8_t { full = 1, first, middle, last };

struct Record {
    Type type;
    std::size_t size; // With its header.
};

std::uint32_t byte_at(std::span<const std::byte> log, std::size_t at) {
    return std::to_integer<std::uint32_t>(log[at]);
}

// RocksDB stores checksums turned and moved, because they lie within what has a checksum.
std::uint32_t masked(std::uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }

// The record at this place, if there is one.
std::optional<Record> record_at(std::span<const std::byte> log, std::size_t at) {
    if (log.size() - at < header_size) return {};
    const std::size_t room = block_size - at % block_size;
    const std::size_t length = byte_at(log, at + 4) | byte_at(log, at + 5) << 8;
    const std::uint32_t type = byte_at(log, at + 6);
    if (type < static_cast<std::uint32_t>(Type::full) ||
        type > static_cast<std::uint32_t>(Type::last))
        return {};
    if (header_size + length > room || header_size + length > log.size() - at) return {};
    const std::uint32_t crc = byte_at(log, at) | byte_at(log, at + 1) << 8 |
                              byte_at(log, at + 2) << 16 | byte_at(log, at + 3) << 24;
    if (masked(crc32c(log.subspan(at + 6, 1 + length))) != crc) return {};
    return Record{static_cast<Type>(type), header_size + length};
}

bool begins(const Record& record) {
    return record.type == Type::full || record.type == Type::first;
}

bool any_begins(std::span<const std::byte> log, std::size_t from) {
    for (std::size_t at = from; at + header_size <= log.size(); ++at) {
        const auto record = record_at(log, at);
        if (record && begins(*record)) return true;
    }
    return false;
}

} // namespace

LogTail tail_of(std::span<const std::byte> log) {
    LogTail tail;
    bool is_within = false; // Of a record that goes on.
    for (std::size_t at = 0; at < log.size();) {
        const std::size_t room = block_size - at % block_size;
        if (room < header_size) { // Nothing begins here; the block is filled up.
            at += room;
            continue;
        }
        const auto record = record_at(log, at);
        if (!record || begins(*record) == is_within) {
            tail.state =
                any_begins(log, at + (record ? 0 : 1)) ? LogState::damaged : LogState::torn;
            return tail;
        }
        at += record->size;
        is_within = record->type == Type::first || record->type == Type::middle;
        if (!is_within) tail.good = at;
    }
    if (is_within) tail.state = LogState::torn;
    return tail;
}

} // namespace pyralog::rocks
