// io/real/sync_meter.h
//
// A stop-watch for durable writes: how long a directory's device takes for them, in each way in
// which Linux offers them. It writes into a scratch file that has its size and its blocks, as a
// journal file has, and which has lost its name before the first byte is written: nothing stays
// behind, however this ends.
//
// Blocks, and is bounded: each call says how long it may take. One write more may be under way
// then, and for how long is up to the device. Not thread safe.
#pragma once

#include "core/base/bytes.h"
#include "core/base/time.h"
#include "core/base/types.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct io_uring;

namespace pyralog::real {

enum class SyncWay : std::uint8_t {
    buffered_fdatasync, // Into the page cache, and a sync.
    direct_fdatasync,   // Past it, and a sync.
    direct_dsync,       // Past it, with RWF_DSYNC: one call. O_DSYNC is the same for all writes.
    ring_fdatasync,     // As a node does it: a write and a linked sync, in one submission.
    ring_dsync,         // As a node may do it: a write with RWF_DSYNC.
};

constexpr std::string_view to_string(SyncWay way) {
    switch (way) {
    case SyncWay::buffered_fdatasync: return "buffered write, fdatasync";
    case SyncWay::direct_fdatasync: return "direct write, fdatasync";
    case SyncWay::direct_dsync: return "direct write with RWF_DSYNC";
    case SyncWay::ring_fdatasync: return "io_uring: direct write, fdatasync";
    case SyncWay::ring_dsync: return "io_uring: direct write with RWF_DSYNC";
    }
    return "unknown";
}

// What came of some writes of one size.
struct SyncFigure {
    SyncWay way = SyncWay::direct_fdatasync;
    std::size_t bytes = 0;
    bool busy = false; // Each processor was kept busy meanwhile.
    std::size_t writes = 0;
    Duration p50{0}, p99{0};
};

class SyncMeter {
public:
    static constexpr std::size_t write_bytes_max = 1_MiB;
    static constexpr std::size_t writes_max = 1000; // Of one way, in one measurement.
    static constexpr std::size_t writes_min = 3;    // However long they take.

    // With a scratch file of `size`, a multiple of write_bytes_max, or of less if writing it takes
    // longer than `most`. Null: `reason` is why, for people.
    static std::unique_ptr<SyncMeter> open(const std::string& directory, std::uint64_t size,
                                           Duration most, std::string& reason);
    ~SyncMeter();
    SyncMeter(const SyncMeter&) = delete;
    SyncMeter& operator=(const SyncMeter&) = delete;

    // May one get past the page cache? And the smallest unit in which it takes bytes; zero if not.
    bool direct() const { return direct_ >= 0; }
    std::size_t direct_alignment() const { return alignment_; }
    // Zero, or the errno with which io_uring is refused.
    int ring_refusal() const { return ring_refusal_; }
    bool can(SyncWay way) const;

    // Writes of all `ways` in turn, so that whatever else goes on strikes all of them alike.
    // Nothing if one fails, or cannot be: failure() then says why.
    std::vector<SyncFigure> measure(std::span<const SyncWay> ways, std::size_t bytes, Duration most,
                                    bool busy = false);

    // So many bytes, one after the other, with a sync at the end; and the time that it took.
    struct Flow {
        std::uint64_t bytes = 0;
        Duration time{0};
    };
    Flow flow(Duration most);

    const std::string& failure() const { return failure_; }
    std::uint64_t size() const { return size_; }

private:
    SyncMeter() = default;
    bool prepare(const std::string& directory, std::uint64_t size, Duration most);
    void look_at_direct();
    void open_ring();
    int write_once(SyncWay way, std::size_t bytes); // Zero or an errno.
    int write_by_ring(std::size_t bytes, bool dsync);
    std::uint64_t next_place(std::size_t bytes);
    bool failed(std::string_view call, int error);

    int buffered_ = -1, direct_ = -1;
    std::size_t alignment_ = 0;
    std::uint64_t size_ = 0;
    std::uint64_t place_ = 0;
    Bytes data_; // Of no pattern: some devices would store less of one.
    std::unique_ptr<io_uring> ring_;
    int ring_refusal_ = 0;
    std::string failure_;
};

} // namespace pyralog::real
