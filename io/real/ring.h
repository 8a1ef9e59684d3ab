// io/real/ring.h
//
// A liburing ring for files, used by the fibers of one thread. An operation is put into the ring by
// a fiber, which then waits, come what may, until the kernel is done with it: the kernel holds
// buffers of that fiber. The loop of the World submits everything that gathered in one call per
// turn, and collects what has completed.
//
// Errors are the kernel's: a negative number is an errno.
#pragma once

#include "core/base/result.h"
#include "core/env/fiber.h"

#include <cstdint>
#include <memory>
#include <span>

struct io_uring;
struct io_uring_sqe;
struct iovec;

namespace pyralog::real {

class Ring {
public:
    // Operations in the kernel's hands at one time; more wait here.
    static constexpr unsigned entries = 256;

    // What the kernel offers, best first: completions run by us when we ask for them, else plain.
    // Null if io_uring is refused or missing; `refusal` is then the errno. Tests ask for the plain
    // kind.
    static std::unique_ptr<Ring> open(Scheduler& fibers, int& refusal, bool may_defer = true);
    ~Ring(); // No operation may be under way.
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    // ---- For fibers: Error::cancelled only if the operation has not begun. ----

    Result<int> read(int fd, std::span<std::byte> into, std::uint64_t position);
    Result<int> write(int fd, std::span<const iovec> pieces, std::uint64_t position, int flags);
    // A write and, if it was whole, a sync of the file behind it, in one submission. A short write
    // is not synced.
    Result<int> write_durably(int fd, std::span<const iovec> pieces, std::uint64_t position);
    Result<int> sync_data(int fd);

    // ---- For the loop ----

    // What has gathered goes to the kernel. False if it would not take all of it now.
    bool submit();
    // Wakes the fibers whose operations have completed.
    void collect();
    // To be called before the loop sleeps: from now on a completion makes event() readable. Then
    // collect() once more, and sleep if nobody woke.
    void before_sleep();
    void after_sleep(); // A busy loop looks by itself, and needs no events.
    int event() const { return event_; }
    bool deferred() const { return deferred_; } // Which of the two kinds it is.

private:
    struct Operation;

    Ring(Scheduler& fibers, std::unique_ptr<io_uring> ring, bool deferred, int event);
    // `prepare` fills in the entry.
    template <class Prepare>
    Result<int> perform(Prepare prepare);
    io_uring_sqe* next_entry();

    std::unique_ptr<io_uring> ring_;
    Scheduler& fibers_;
    Condition room_;
    unsigned under_way_ = 0;
    unsigned unsubmitted_ = 0;
    bool deferred_;
    int event_;
};

} // namespace pyralog::real
