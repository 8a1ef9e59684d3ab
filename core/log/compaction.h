// core/log/compaction.h
//
// Compaction leaves of each key the newest record. What a log has to be told for that, since it
// knows nothing of records, and what it tells of it.
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/types.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog {

struct KeyedRecord {
    Offset offset;
    std::optional<Bytes> key; // Without one a record stays.
    // Says that its key is deleted: a tombstone. Without a key: is of use as long as one.
    bool deletes = false;
    bool is_void = false; // Never counted, and goes, whatever its key.
};

// Reads batches, for who knows nothing of them. Both are pure: all replicas must come to the same.
class BatchReader {
public:
    virtual ~BatchReader() = default;

    // The records that are in a batch, in order. Nothing: that cannot be told, and all of them
    // stay.
    virtual std::optional<std::vector<KeyedRecord>> records_in(const BytesChain& batch) const = 0;

    // The batch with no other records than these, which are some of those that are in it, in order,
    // and at least one. They keep their offsets, and the batch keeps its first and its last.
    virtual BytesChain reduced(const BytesChain& batch, std::span<const Offset> kept) const = 0;
};

// Where the newest record of each key is, as far as there is room for keys.
class NewestOffsets {
public:
    explicit NewestOffsets(std::size_t bytes_max) : bytes_max_(bytes_max) {}

    // Offsets rise. Takes it even if there is no more room: who notes looks if there is some.
    void note(std::string_view key, Offset offset);
    bool full() const { return bytes_ >= bytes_max_; }
    std::optional<Offset> of(std::string_view key) const;

private:
    // Of a key in the map, besides its bytes.
    static constexpr std::size_t entry_bytes = 96;

    std::map<std::string, Offset, std::less<>> offsets_;
    std::size_t bytes_ = 0;
    const std::size_t bytes_max_;
};

struct CompactionWork {
    std::uint64_t passes = 0;   // Over all of a log, as many as there are for its keys.
    std::uint64_t segments = 0; // That were written anew,
    std::uint64_t bytes = 0;    // with so much.
    std::uint64_t records = 0;  // That were dropped.
    std::uint64_t deletes = 0;  // Of all that are left: those that say that a key is deleted.
};

// Called after each MiB or so: waits as long as that is to take. What it returns ends the work.
using CompactionPace = std::function<Result<>()>;

// Of a log, as far as its segments can be compacted and have records.
struct Compactable {
    Position end;                  // Behind the last of them.
    std::uint64_t clean_bytes = 0; // Before what was asked for,
    std::uint64_t dirty_bytes = 0; // and behind it.
};

} // namespace pyralog
