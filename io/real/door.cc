#include "io/real/door.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace pyralog::real {

Door::Door(boost::asio::io_context& loop, Scheduler& fibers)
    : loop_(loop), fibers_(fibers), worker_(loop, fibers, "pyralog-door", 1) {}

void Door::post(std::function<void()> work) { boost::asio::post(loop_, std::move(work)); }

void Door::settle() {
    Signal done(fibers_);
    post([&done] { done.set(); });
    done.wait_through();
}

} // namespace pyralog::real
