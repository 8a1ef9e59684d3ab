#include "io/real/workers.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <pthread.h>

namespace pyralog::real {

Workers::Workers(boost::asio::io_context& loop, Scheduler& fibers, const char* name,
                 int threads_max)
    : loop_(loop), fibers_(fibers), name_(name),
      threads_max_(static_cast<std::size_t>(threads_max)) {
    CHECK(threads_max > 0);
}

Workers::~Workers() {
    {
        const std::lock_guard lock(mutex_);
        CHECK(waiting_.empty());
        stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void Workers::run_body(FiberBody& body) {
    Job job{body, Signal(fibers_)};
    bool is_short_of_threads = false;
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(&job);
        is_short_of_threads = waiting_.size() > idle_;
    }
    if (is_short_of_threads && threads_.size() < threads_max_)
        threads_.emplace_back([this] { serve(); });
    else
        changed_.notify_one();
    job.done.wait_through();
}

void Workers::serve() {
    pthread_setname_np(pthread_self(), name_);
    std::unique_lock lock(mutex_);
    for (;;) {
        ++idle_;
        changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        --idle_;
        if (waiting_.empty()) return;
        Job* job = waiting_.front();
        waiting_.pop_front();
        lock.unlock();
        job->body.run();
        // From here on the job is the fiber's again.
        boost::asio::post(loop_, [job] { job->done.set(); });
        lock.lock();
    }
}

} // namespace pyralog::real
