#include "server/connection.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace pyralog::server {

namespace {

// So much of a frame is believed to come. Beyond that its buffer doubles as it fills.
constexpr std::size_t believed_bytes = 256_KiB;

// So much has stall_max to come through.
constexpr std::size_t stall_bytes = 1_MiB;

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
    if (ended_.ok() || ended_.error() != Error::malformed) return;
    node_.requests.not_understood();
    node_.env.log.warning("closed a connection for what came over it",
                          {{"client", to_string(stream_->peer())}});
}

Result<> Connection::start_all() {
    for (;;) {
        ByteBudget::Share memory(node_.request_bytes);
        Bytes frame = TRY(read_frame(memory));
        TRY(wait_while_muted());
        if (BUGGIFY("connection/hangs-up", 2'000)) return Error::disconnected;
        SOMETIMES(started_.size() > 1, "connection/requests-wait-for-earlier-ones");
        ++unanswered_;
        const wire::kafka::ApiKey api = api_of(frame);
        const std::size_t size = frame.size();
        const Time now = node_.env.clock.now();
        auto started = TRY(start(node_, std::move(frame), stream_->peer().host));
        mute(started->mute());
        node_.requests.came(api, size);
        TRY(started_.push({std::move(started), api, now, std::move(memory)}));
    }
}

Result<> Connection::answer_all() {
    for (;;) {
        const Request request = TRY(started_.pop());
        const Answered answer = TRY(request.started->finish());
        if (BUGGIFY("connection/answers-late", 50'000))
            TRY(node_.env.fibers.sleep_until(node_.env.clock.now() + 5ms));
        mute(answer.throttle);
        for (const wire::kafka::ErrorCode error : answer.errors)
            node_.requests.told(request.api, error);
        if (!answer.frame.empty()) TRY(write(answer.frame));
        node_.requests.answered(request.api, size_of(answer.frame),
                                node_.env.clock.now() - request.came);
        --unanswered_;
        quiet_since_ = node_.env.clock.now();
    }
}

void Connection::mute(Duration throttle) {
    if (throttle > Duration(0))
        muted_until_ = std::max(muted_until_, node_.env.clock.now() + throttle);
}

// It may become longer meanwhile, by the answer to an earlier request.
Result<> Connection::wait_while_muted() {
    while (node_.env.clock.now() < muted_until_) {
        REACHABLE("connection/not-heard");
        TRY(node_.env.fibers.sleep_until(muted_until_));
    }
    return {};
}

Time Connection::stall_deadline() const {
    return node_.env.clock.now() + node_.config.kafka.stall_max;
}

// The next one, without its size.
Result<Bytes> Connection::read_frame(ByteBudget::Share& memory) {
    std::array<std::byte, 4> prefix{};
    TRY(wait_for_a_byte(prefix[0]));
    TRY(read(std::span(prefix).subspan(1)));
    std::int32_t claimed = 0;
    wire::Reader reader(Bytes::copy_of(prefix));
    reader(claimed);
    const bool absurd =
        claimed < 0 || static_cast<std::size_t>(claimed) > node_.config.kafka.request_bytes_max;
    SOMETIMES(absurd, "connection/absurd-length");
    if (absurd) return Error::malformed;
    const auto size = static_cast<std::size_t>(claimed);
    const std::size_t believed = BUGGIFY("connection/believes-little") ? 16 : believed_bytes;
    TRY(memory.grow(std::min(size, believed)));
    Buffer frame(memory.bytes());
    TRY(read(frame.view()));
    while (frame.size() < size) {
        const std::size_t wanted = std::min(size, frame.size() * 2);
        TRY(memory.grow(wanted)); // While it is copied, both are there.
        Buffer larger(wanted);
        std::memcpy(larger.data(), frame.data(), frame.size());
        const std::size_t filled = frame.size();
        frame = std::move(larger);
        larger = {};
        memory.shrink(wanted);
        TRY(read(frame.view().subspan(filled)));
    }
    return std::move(frame).freeze();
}

// Who waits for an answer of ours is not idle: a member may wait for others for minutes.
Result<> Connection::wait_for_a_byte(std::byte& byte) {
    const Duration most = node_.config.kafka.connection_idle_max;
    quiet_since_ = node_.env.clock.now();
    for (;;) {
        const Time now = node_.env.clock.now();
        const Deadline idle(node_.env.fibers, (unanswered_ > 0 ? now : quiet_since_) + most);
        const Result<> read = read_exactly(*stream_, {&byte, 1});
        const bool late = !read.ok() && read.error() == Error::timed_out;
        const bool waits = unanswered_ > 0 || node_.env.clock.now() < quiet_since_ + most;
        SOMETIMES(late && waits, "connection/silent-while-it-waits");
        if (!late || !waits) return read;
    }
}

Result<> Connection::read(std::span<std::byte> into) {
    while (!into.empty()) {
        const Deadline stall(node_.env.fibers, stall_deadline());
        const std::size_t count = std::min(into.size(), stall_bytes);
        TRY(read_exactly(*stream_, into.first(count)));
        into = into.subspan(count);
    }
    return {};
}

Result<> Connection::write(const BytesChain& answer) {
    BytesChain round;
    std::size_t size = 0;
    for (const Bytes& part : answer) {
        for (std::size_t at = 0; at < part.size();) {
            const std::size_t count = std::min(part.size() - at, stall_bytes - size);
            round.push_back(part.slice(at, count));
            at += count;
            size += count;
            if (size < stall_bytes) continue;
            const Deadline stall(node_.env.fibers, stall_deadline());
            TRY(stream_->write(std::exchange(round, {})));
            size = 0;
        }
    }
    if (round.empty()) return {};
    const Deadline stall(node_.env.fibers, stall_deadline());
    return stream_->write(round);
}

} // namespace pyralog::server
