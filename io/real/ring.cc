#include "io/real/ring.h"

#include <liburing.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace pyralog::real {

struct Ring::Operation {
    Signal done;
    int result;
};

std::unique_ptr<Ring> Ring::open(Scheduler& fibers, int& refusal, bool may_defer) {
    auto ring = std::make_unique<io_uring>();
    // One thread submits and collects, so the kernel need not interrupt it to post completions.
    io_uring_params params{};
    params.flags =
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    bool deferred = may_defer;
    int outcome = may_defer ? io_uring_queue_init_params(entries, ring.get(), &params) : -EINVAL;
    if (outcome == -EINVAL) { // Before Linux 6.1.
        params = {};
        deferred = false;
        outcome = io_uring_queue_init_params(entries, ring.get(), &params);
    }
    if (outcome < 0) {
        refusal = -outcome;
        return nullptr;
    }
    const int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    // Without NODROP (before Linux 5.5) a completion could be lost, and a fiber with it.
    outcome = !(params.features & IORING_FEAT_NODROP) ? -ENOSYS
              : event < 0                             ? -errno
                          : io_uring_register_eventfd(ring.get(), event);
    if (outcome < 0) {
        refusal = -outcome;
        if (event >= 0) close(event);
        io_uring_queue_exit(ring.get());
        return nullptr;
    }
    (void)io_uring_register_ring_fd(ring.get()); // Saves a little per call, where it is known.
    auto opened = std::unique_ptr<Ring>(new Ring(fibers, std::move(ring), deferred, event));
    opened->after_sleep();
    return opened;
}

Ring::Ring(Scheduler& fibers, std::unique_ptr<io_uring> ring, bool deferred, int event)
    : ring_(std::move(ring)), fibers_(fibers), room_(fibers), deferred_(deferred), event_(event) {}

Ring::~Ring() {
    CHECK(under_way_ == 0);
    io_uring_queue_exit(ring_.get());
    close(event_);
}

io_uring_sqe* Ring::next_entry() {
    io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
    CHECK(entry != nullptr); // There are as many as operations that may be under way.
    ++under_way_;
    ++unsubmitted_;
    return entry;
}

template <class Prepare>
Result<int> Ring::perform(Prepare prepare) {
    TRY(room_.wait([this] { return under_way_ < entries; }));
    Operation operation{Signal(fibers_), 0};
    io_uring_sqe* entry = next_entry();
    prepare(entry);
    io_uring_sqe_set_data(entry, &operation); // What prepares an entry, clears it.
    operation.done.wait_through();
    return operation.result;
}

Result<int> Ring::read(int fd, std::span<std::byte> into, std::uint64_t position) {
    const iovec piece{into.data(), into.size()};
    return perform(
        [&](io_uring_sqe* entry) { io_uring_prep_readv(entry, fd, &piece, 1, position); });
}

Result<int> Ring::write(int fd, std::span<const iovec> pieces, std::uint64_t position, int flags) {
    return perform([&](io_uring_sqe* entry) {
        io_uring_prep_writev2(entry, fd, pieces.data(), static_cast<unsigned>(pieces.size()),
                              position, flags);
    });
}

// Not RWF_DSYNC: past the page cache the kernel would end such a write in a worker thread that is
// bound to one processor. When the processors are busy that worker waits for a tick: 4 ms instead
// of 0.1 (bench/io_bench beside a busy loop per processor). The thread that syncs can run anywhere.
Result<int> Ring::write_durably(int fd, std::span<const iovec> pieces, std::uint64_t position) {
    TRY(room_.wait([this] { return under_way_ + 2 <= entries; }));
    Operation write{Signal(fibers_), 0};
    Operation sync{Signal(fibers_), 0};
    io_uring_sqe* first = next_entry();
    io_uring_prep_writev2(first, fd, pieces.data(), static_cast<unsigned>(pieces.size()), position,
                          0);
    io_uring_sqe_set_flags(first, IOSQE_IO_LINK);
    io_uring_sqe_set_data(first, &write);
    io_uring_sqe* second = next_entry();
    io_uring_prep_fsync(second, fd, IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_data(second, &sync);
    write.done.wait_through();
    sync.done.wait_through();
    std::size_t size = 0;
    for (const iovec& piece : pieces) size += piece.iov_len;
    const bool is_whole = write.result >= 0 && static_cast<std::size_t>(write.result) == size;
    // After a failed or short write the kernel does not sync; the caller goes on from there.
    return is_whole && sync.result < 0 ? sync.result : write.result;
}

Result<int> Ring::sync_data(int fd) {
    return perform(
        [&](io_uring_sqe* entry) { io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC); });
}

bool Ring::submit() {
    while (unsubmitted_ > 0) {
        const int count =
            deferred_ ? io_uring_submit_and_get_events(ring_.get()) : io_uring_submit(ring_.get());
        if (count == -EINTR) continue;
        if (count == -EAGAIN || count == -EBUSY || count == 0) return false; // Short of memory.
        CHECK(count > 0 && static_cast<unsigned>(count) <= unsubmitted_);
        unsubmitted_ -= static_cast<unsigned>(count);
    }
    return true;
}

void Ring::collect() {
    if (under_way_ == 0) return;
    const bool was_full = under_way_ == entries;
    const unsigned flags = IO_URING_READ_ONCE(*ring_->sq.kflags);
    // After an error the flag stays, and the next turn asks again.
    if (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) (void)io_uring_get_events(ring_.get());
    io_uring_cqe* completion = nullptr;
    while (io_uring_peek_cqe(ring_.get(), &completion) == 0) {
        auto* operation = static_cast<Operation*>(io_uring_cqe_get_data(completion));
        operation->result = completion->res;
        io_uring_cqe_seen(ring_.get(), completion);
        --under_way_;
        operation->done.set();
    }
    if (was_full && under_way_ < entries) room_.notify_all();
}

// With deferred completions the kernel queues its work before it looks whether events are wanted,
// with a full barrier between; here it is the other way round, so one of the two sees the other. A
// plain ring has no such barrier between a completion and that look, hence its events stay on.
void Ring::before_sleep() {
    if (!deferred_ || under_way_ == 0) return;
    (void)io_uring_cq_eventfd_toggle(ring_.get(), true);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    (void)io_uring_get_events(ring_.get());
}

void Ring::after_sleep() {
    if (deferred_) (void)io_uring_cq_eventfd_toggle(ring_.get(), false);
}

} // namespace pyralog::real
