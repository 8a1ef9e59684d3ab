// io/real/door.h
//
// Between the node's thread and a library that has threads of its own. What those bring goes
// through post(), and is done on the node's thread; what would make the node's thread wait for them
// goes through run_elsewhere().
#pragma once

#include "io/real/workers.h"

#include <functional>

namespace pyralog::real {

class Door {
public:
    Door(boost::asio::io_context& loop, Scheduler& fibers);

    // From any thread, while there is a World. `work` is done by the node's thread, outside of all
    // fibers, so it must not wait; what one thread posts is done in its order. What is posted while
    // no run() runs waits for the next one.
    void post(std::function<void()> work);

    // By a fiber, which waits until `work` has been done on a helper thread, come what may.
    template <std::invocable Work>
    void run_elsewhere(Work work) {
        worker_.run(std::move(work));
    }

    // By a fiber: returns when all has been done that was posted before. Waits, come what may.
    void settle();

private:
    boost::asio::io_context& loop_;
    Scheduler& fibers_;
    Workers worker_;
};

} // namespace pyralog::real
