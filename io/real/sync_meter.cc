#include "io/real/sync_meter.h"

#include "core/base/random.h"

#include <fcntl.h>
#include <liburing.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>

namespace pyralog::real {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t spinners_max = 64;

Duration since(SteadyClock::time_point start) { return SteadyClock::now() - start; }

int errno_of(ssize_t moved, std::size_t wanted) {
    if (moved < 0) return errno;
    return static_cast<std::size_t>(moved) == wanted ? 0 : EIO;
}

Bytes noise(std::size_t size) {
    Buffer buffer(size);
    Random random(1);
    for (std::size_t at = 0; at < size; at += sizeof(std::uint64_t)) {
        const std::uint64_t word = random.next();
        std::memcpy(buffer.data() + at, &word, sizeof word);
    }
    return std::move(buffer).freeze();
}

// Keeps every processor at work for as long as it lives.
class Busy {
public:
    explicit Busy(bool wanted) {
        const std::size_t count =
            std::min<std::size_t>(std::thread::hardware_concurrency(), spinners_max);
        for (std::size_t i = 0; wanted && i < count; ++i)
            threads_.emplace_back([this] {
                while (!done_.load(std::memory_order_relaxed)) {
                }
            });
    }
    ~Busy() {
        done_.store(true);
        for (std::thread& thread : threads_) thread.join();
    }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

private:
    std::atomic<bool> done_ = false;
    std::vector<std::thread> threads_;
};

// Sorts them.
Duration quantile(std::vector<Duration>& times, std::size_t percent) {
    if (times.empty()) return Duration{0};
    std::ranges::sort(times);
    return times[std::min(times.size() - 1, times.size() * percent / 100)];
}

} // namespace

std::unique_ptr<SyncMeter> SyncMeter::open(const std::string& directory, std::uint64_t size,
                                           Duration most, std::string& reason) {
    std::unique_ptr<SyncMeter> meter(new SyncMeter);
    if (meter->prepare(directory, size, most)) return meter;
    reason = meter->failure_;
    return nullptr;
}

SyncMeter::~SyncMeter() {
    if (ring_) io_uring_queue_exit(ring_.get());
    if (buffered_ >= 0) close(buffered_);
    if (direct_ >= 0) close(direct_);
}

bool SyncMeter::failed(std::string_view call, int error) {
    failure_ = std::string(call) + ": " + std::generic_category().message(error);
    return false;
}

bool SyncMeter::prepare(const std::string& directory, std::uint64_t size, Duration most) {
    const std::string path = directory + "/probe." + std::to_string(getpid());
    buffered_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (buffered_ < 0) return failed("cannot make a file", errno);
    direct_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    const int error = errno;
    (void)unlink(path.c_str());
    if (direct_ < 0) return failed("cannot open a file", error);
    data_ = noise(write_bytes_max);

    const auto start = SteadyClock::now();
    const std::vector<std::byte> zeros(write_bytes_max);
    while (size_ < size && (size_ == 0 || since(start) < most)) {
        const ssize_t moved =
            pwrite(buffered_, zeros.data(), zeros.size(), static_cast<off_t>(size_));
        if (const int wrong = errno_of(moved, zeros.size())) return failed("cannot write", wrong);
        // Each at once: else the time is that of the page cache, and the device comes later.
        if (fdatasync(buffered_) != 0) return failed("cannot sync", errno);
        size_ += zeros.size();
    }
    if (fsync(buffered_) != 0) return failed("cannot sync", errno);
    (void)posix_fadvise(buffered_, 0, 0, POSIX_FADV_DONTNEED);
    look_at_direct();
    open_ring();
    return true;
}

void SyncMeter::look_at_direct() {
    const bool taken = fcntl(direct_, F_SETFL, fcntl(direct_, F_GETFL) | O_DIRECT) == 0;
    for (const std::size_t unit : {std::size_t{512}, Buffer::disk_alignment}) {
        if (!taken) break;
        // Bytes, place and address are multiples of this, and of no more.
        const ssize_t moved =
            pwrite(direct_, data_.view().data() + unit, unit, static_cast<off_t>(unit));
        if (moved != static_cast<ssize_t>(unit)) continue;
        alignment_ = unit;
        return;
    }
    close(direct_);
    direct_ = -1;
}

// As Ring opens its own.
void SyncMeter::open_ring() {
    auto ring = std::make_unique<io_uring>();
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    int outcome = io_uring_queue_init_params(8, ring.get(), &params);
    if (outcome == -EINVAL) outcome = io_uring_queue_init(8, ring.get(), 0);
    if (outcome == 0)
        ring_ = std::move(ring);
    else
        ring_refusal_ = -outcome;
}

bool SyncMeter::can(SyncWay way) const {
    const bool by_ring = way == SyncWay::ring_fdatasync || way == SyncWay::ring_dsync;
    if (by_ring && !ring_) return false;
    return way == SyncWay::buffered_fdatasync || direct();
}

std::uint64_t SyncMeter::next_place(std::size_t bytes) {
    if (place_ + bytes > size_) place_ = 0;
    const std::uint64_t place = place_;
    place_ += bytes;
    return place;
}

int SyncMeter::write_by_ring(std::size_t bytes, bool dsync) {
    const iovec piece{const_cast<std::byte*>(data_.view().data()), bytes};
    io_uring_sqe* const write = io_uring_get_sqe(ring_.get());
    io_uring_prep_writev2(write, direct_, &piece, 1, next_place(bytes), dsync ? RWF_DSYNC : 0);
    unsigned expected = 1;
    if (!dsync) {
        io_uring_sqe_set_flags(write, IOSQE_IO_LINK);
        io_uring_prep_fsync(io_uring_get_sqe(ring_.get()), direct_, IORING_FSYNC_DATASYNC);
        expected = 2;
    }
    int error = 0;
    int submitted = io_uring_submit_and_wait(ring_.get(), expected);
    if (submitted != static_cast<int>(expected)) return submitted < 0 ? -submitted : EIO;
    for (unsigned i = 0; i < expected; ++i) {
        io_uring_cqe* completion = nullptr;
        if (const int outcome = io_uring_wait_cqe(ring_.get(), &completion)) return -outcome;
        const bool is_write = i == 0;
        const int result = completion->res;
        io_uring_cqe_seen(ring_.get(), completion);
        if (result < 0) error = -result;
        if (is_write && result >= 0 && static_cast<std::size_t>(result) != bytes) error = EIO;
    }
    return error;
}

int SyncMeter::write_once(SyncWay way, std::size_t bytes) {
    if (way == SyncWay::ring_fdatasync || way == SyncWay::ring_dsync)
        return write_by_ring(bytes, way == SyncWay::ring_dsync);
    const iovec piece{const_cast<std::byte*>(data_.view().data()), bytes};
    const int fd = way == SyncWay::buffered_fdatasync ? buffered_ : direct_;
    const auto place = static_cast<off_t>(next_place(bytes));
    const int flags = way == SyncWay::direct_dsync ? RWF_DSYNC : 0;
    if (const int error = errno_of(pwritev2(fd, &piece, 1, place, flags), bytes)) return error;
    return flags != 0 || fdatasync(fd) == 0 ? 0 : errno;
}

std::vector<SyncFigure> SyncMeter::measure(std::span<const SyncWay> ways, std::size_t bytes,
                                           Duration most, bool busy) {
    CHECK(bytes > 0 && bytes <= write_bytes_max && bytes % Buffer::disk_alignment == 0);
    std::vector<std::vector<Duration>> times(ways.size());
    const Busy others(busy);
    const auto start = SteadyClock::now();
    for (std::size_t n = 0; n < writes_max && (n < writes_min || since(start) < most); ++n)
        for (std::size_t i = 0; i < ways.size(); ++i) {
            const auto began = SteadyClock::now();
            const int error = can(ways[i]) ? write_once(ways[i], bytes) : EOPNOTSUPP;
            times[i].push_back(since(began));
            if (error == 0) continue;
            failed(to_string(ways[i]), error);
            return {};
        }
    std::vector<SyncFigure> figures;
    for (std::size_t i = 0; i < ways.size(); ++i) {
        const Duration p50 = quantile(times[i], 50);
        figures.push_back({ways[i], bytes, busy, times[i].size(), p50, quantile(times[i], 99)});
    }
    return figures;
}

SyncMeter::Flow SyncMeter::flow(Duration most) {
    Flow flow;
    const int fd = direct() ? direct_ : buffered_;
    const auto start = SteadyClock::now();
    place_ = 0;
    while (flow.bytes == 0 || (since(start) < most && flow.bytes < size_)) {
        const ssize_t moved = pwrite(fd, data_.view().data(), write_bytes_max,
                                     static_cast<off_t>(next_place(write_bytes_max)));
        if (const int error = errno_of(moved, write_bytes_max)) {
            failed("cannot write", error);
            return {};
        }
        flow.bytes += write_bytes_max;
    }
    if (fdatasync(fd) != 0) {
        failed("cannot sync", errno);
        return {};
    }
    flow.time = since(start);
    return flow;
}

} // namespace pyralog::real
