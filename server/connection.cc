#include "server/connection.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace pyralog::server {

namespace {

// So much of a frame is believed to come. Beyond that its buffer doubles as it fills.
constexpr std::size_t believed_bytes = 256_KiB;

} // namespace

Connection::Connection(Node& node, std::unique_ptr<Stream> stream)
    : node_(node), stream_(std::move(stream)),
      started_(node.env.fibers,
               static_cast<std::size_t>(node.config.kafka.requests_in_flight_max)) {}

void Connection::run() {
    node_.connections.add(1);
    {
        Scope scope(node_.env.fibers);
        const auto keep = [&](std::string_view name, Result<> (Connection::*body)()) {
            scope.spawn(name, [this, &scope, body] {
                const Result<> over = (this->*body)();
                if (ended_.ok()) ended_ = over;
                scope.cancel();
            });
        };
        keep("requests", &Connection::start_all);
        keep("answers", &Connection::answer_all);
        scope.join();
    }
    node_.connections.add(-1);
    const bool late = !ended_.ok() && ended_.error() == Error::timed_out;
    SOMETIMES(late, "connection/idle-or-stuck-for-too-long");
    SOMETIMES(started_.size() > 0, "connection/ended-with-requests-unanswered");
    // A client that leaves or is too slow is no news; one that cannot be understood is.
    SOMETIMES(!ended_.ok() && ended_.error() == Error::malformed, "connection/not-understood");
    if (!ended_.ok() && ended_.error() == Error::malformed)
        node_.env.log.warning("closed a connection for what came over it",
                              {{"client", to_string(stream_->peer())}});
}

Result<> Connection::start_all() {
    for (;;) {
        const Deadline idle(node_.env.fibers,
                            node_.env.clock.now() + node_.config.kafka.connection_idle_max);
        Bytes frame = TRY(read_frame(*stream_, node_.config.kafka.request_bytes_max));
        if (BUGGIFY("connection/hangs-up", 2'000)) return Error::disconnected;
        SOMETIMES(started_.size() > 1, "connection/requests-wait-for-earlier-ones");
        TRY(started_.push(TRY(start(node_, std::move(frame)))));
    }
}

Result<> Connection::answer_all() {
    for (;;) {
        const std::unique_ptr<Started> request = TRY(started_.pop());
        const BytesChain answer = TRY(request->finish());
        if (BUGGIFY("connection/answers-late", 50'000))
            TRY(node_.env.fibers.sleep_until(node_.env.clock.now() + 5ms));
        if (answer.empty()) continue;
        const Deadline stuck(node_.env.fibers,
                             node_.env.clock.now() + node_.config.kafka.connection_idle_max);
        TRY(stream_->write(answer));
    }
}

Result<Bytes> read_frame(Stream& stream, std::size_t bytes_max) {
    std::array<std::byte, 4> prefix{};
    TRY(read_exactly(stream, prefix));
    std::int32_t claimed = 0;
    wire::Reader reader(Bytes::copy_of(prefix));
    reader(claimed);
    const bool absurd = claimed < 0 || static_cast<std::size_t>(claimed) > bytes_max;
    SOMETIMES(absurd, "connection/absurd-length");
    if (absurd) return Error::malformed;
    const auto size = static_cast<std::size_t>(claimed);
    const std::size_t believed = BUGGIFY("connection/believes-little") ? 16 : believed_bytes;
    Buffer frame(std::min(size, believed));
    TRY(read_exactly(stream, frame.view()));
    while (frame.size() < size) {
        Buffer larger(std::min(size, frame.size() * 2));
        std::memcpy(larger.data(), frame.data(), frame.size());
        const std::size_t filled = frame.size();
        frame = std::move(larger);
        TRY(read_exactly(stream, frame.view().subspan(filled)));
    }
    return std::move(frame).freeze();
}

} // namespace pyralog::server
