#include "server/space_watch.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"

#include <algorithm>
#include <cstring>

namespace pyralog::server {

namespace {

constexpr std::size_t zeros_bytes = 1_MiB; // Written at a time.
// So many times the limit must be free for a disk to fill at its leisure: with the default limit
// there is 1 GiB, which is more than a device writes in `interval`, or nearly.
constexpr std::uint64_t near_factor = 5;

// What has not worked is tried again in a while.
Result<> unless_cancelled(const Result<>& result) {
    return !result.ok() && result.error() == Error::cancelled ? result : Result<>();
}

} // namespace

SpaceWatch::SpaceWatch(Environment& env, const SpaceConfig& config)
    : env_(env), config_(config),
      total_(env.metrics, "pyralog_disk_total_bytes", "Size of the file system with the data."),
      free_(env.metrics, "pyralog_disk_free_bytes",
            "Free space of the file system with the data.") {}

// A reserve of another size is not the one that is wanted: its making was interrupted, or the
// setting was changed.
Result<> SpaceWatch::prepare() {
    std::uint64_t size = 0;
    const Result<> found = [&]() -> Result<> {
        const auto file = TRY(env_.disk.open(reserve_path, Disk::Open::existing));
        size = TRY(file->size());
        return {};
    }();
    TRY(unless_cancelled(found));
    has_reserve_ = found.ok() && size == config_.reserve_bytes && size > 0;
    if (found.ok() && !has_reserve_) TRY(unless_cancelled(env_.disk.remove(reserve_path)));
    return look();
}

Result<> SpaceWatch::run() {
    for (;;) {
        TRY(env_.fibers.sleep_until(env_.clock.now() + pause()));
        TRY(look());
        if (!has_reserve_ && config_.reserve_bytes > 0) TRY(set_aside());
    }
}

Duration SpaceWatch::pause() const {
    return seen_.free / near_factor < config_.free_bytes_min ? short_interval : interval;
}

Result<> SpaceWatch::look() {
    const Result<Disk::Space> space = env_.disk.space();
    SOMETIMES(!space.ok() && space.error() == Error::device_failed, "space/not-told");
    if (!space.ok()) return unless_cancelled(space.error());
    seen_ = space.value();
    total_.set(static_cast<std::int64_t>(seen_.total));
    free_.set(static_cast<std::int64_t>(seen_.free));
    decide();
    return has_reserve_ && is_spent() ? give_back() : Result<>();
}

// Not back and forth at the limit: there must be an eighth more than it before all is well again.
void SpaceWatch::decide() {
    const std::uint64_t limit = config_.free_bytes_min;
    const bool now_short = seen_.free < (short_ ? limit + limit / 8 : limit);
    if (now_short == short_) return;
    short_ = now_short;
    if (short_) {
        REACHABLE("space/short");
        env_.log.error("the disk is nearly full: new records are refused until topics are deleted, "
                       "other files removed, or the disk has grown",
                       {{"free_bytes", seen_.free},
                        {"disk.free_bytes_min", limit},
                        {"total_bytes", seen_.total}});
    } else {
        REACHABLE("space/enough-again");
        env_.log.info("there is room on the disk again: new records are taken",
                      {{"free_bytes", seen_.free}});
    }
}

bool SpaceWatch::is_spent() const {
    return seen_.free < config_.reserve_bytes / 2 || BUGGIFY("space/gives-the-reserve-back");
}

Result<> SpaceWatch::give_back() {
    REACHABLE("space/gave-the-reserve-back");
    env_.log.warning("the disk is full: gave back the room that was set aside",
                     {{"free_bytes", seen_.free}, {"reserve_bytes", config_.reserve_bytes}});
    const Result<> removed = env_.disk.remove(reserve_path);
    has_reserve_ = !removed.ok();
    return unless_cancelled(removed);
}

// Only where it leaves more than is wanted free. A device that fails ends the node, here as
// anywhere: it may have dropped more than these bytes.
Result<> SpaceWatch::set_aside() {
    if (short_ || seen_.free < config_.free_bytes_min + 2 * config_.reserve_bytes) return {};
    (void)env_.disk.remove(reserve_path); // What an attempt before this one may have left.
    const Result<> made = write_reserve();
    if (!made.ok()) (void)env_.disk.remove(reserve_path);
    has_reserve_ = made.ok();
    if (!made.ok() && made.error() == Error::device_failed) return made;
    return unless_cancelled(made);
}

// Bytes that are written, not only a size: else the room would not be taken.
Result<> SpaceWatch::write_reserve() {
    const std::uint64_t size = config_.reserve_bytes;
    const auto file = TRY(env_.disk.open(reserve_path, Disk::Open::create_new));
    Buffer memory(std::min<std::uint64_t>(size, zeros_bytes));
    std::memset(memory.data(), 0, memory.size());
    const Bytes zeros = std::move(memory).freeze();
    for (std::uint64_t at = 0; at < size; at += zeros.size())
        TRY(file->write_at(at, {zeros.slice(0, std::min<std::uint64_t>(zeros.size(), size - at))}));
    return file->sync();
}

} // namespace pyralog::server
