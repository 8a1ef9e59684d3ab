// io/real/workers.h
//
// Helper threads for what blocks. A fiber gives a piece of work away and waits, come what may,
// until it is done: the work refers to things on that fiber's stack. Neither the work nor what it
// touches may be used by the node's thread meanwhile; nothing that counts references without
// atomics (Bytes) may be copied or dropped in it.
//
// Threads are started when they are needed, up to the number given, and joined by the destructor.
#pragma once

#include "core/env/fiber.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace pyralog::real {

// Error::cancelled in a cancelled Scope: for calls that do not wait every time, or that cannot be
// cancelled once they have begun.
inline Result<> unless_cancelled(Scheduler& fibers) {
    if (fibers.cancelled()) return fibers.park();
    return {};
}

class Workers {
public:
    // `name` is for debuggers and top, at most 15 characters.
    Workers(boost::asio::io_context& loop, Scheduler& fibers, const char* name, int threads_max);
    ~Workers(); // No work may be under way.
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    // Does `work` on a helper thread. Returns when it is done, even if cancelled meanwhile.
    template <std::invocable Work>
    void run(Work work) {
        FiberBodyOf<Work> body(std::move(work));
        run_body(body);
    }

private:
    struct Job {
        FiberBody& body;
        Signal done;
    };

    void run_body(FiberBody& body);
    void serve();

    boost::asio::io_context& loop_;
    Scheduler& fibers_;
    const char* name_;
    std::size_t threads_max_;
    std::vector<std::thread> threads_;

    std::mutex mutex_; // Guards what follows.
    std::condition_variable changed_;
    std::deque<Job*> waiting_;
    std::size_t idle_ = 0;
    bool stopping_ = false;
};

} // namespace pyralog::real
