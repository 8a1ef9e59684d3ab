// io/real/network.h
//
// TCP through Asio, as core/env/network.h wants it. A stream first tries the socket directly, and
// waits for it only when the kernel says "not now"; Asio does the waiting, and holds no buffer of
// ours. A wait that ends early takes its registration back before it returns.
//
// Numeric addresses are taken as they are; a name is looked up on a thread of Asio's.
#pragma once

#include "core/base/logger.h"
#include "core/base/metrics.h"
#include "core/env/clock.h"
#include "core/env/fiber.h"
#include "core/env/network.h"

#include <memory>

namespace boost::asio {
class io_context;
}

namespace pyralog::real {

class Network final : public pyralog::Network {
public:
    // All of them outlive the Network, and everything that it makes.
    Network(boost::asio::io_context& loop, Scheduler& fibers, const pyralog::Clock& clock,
            Logger& log, Metrics& metrics);
    ~Network() override;

    Result<std::unique_ptr<pyralog::Listener>> listen(const Address& local) override;
    Result<std::unique_ptr<pyralog::Stream>> connect(const Address& remote) override;

    struct Shared; // What streams and listeners need of their Network.

private:
    std::unique_ptr<Shared> shared_;
};

} // namespace pyralog::real
