// server/connection.h
//
// One client. Two fibers and a bounded queue between them: one starts requests in the order in
// which they come; the other finishes them in that order, which is the order of the answers that
// Kafka promises. When the queue is full nobody reads, and the client feels it through TCP.
//
// A client that was too fast is answered at once and then not heard for a while (KIP-219): of what
// it sends meanwhile one request is read, and waits.
//
// Memory follows what has come, never what is claimed to come: a frame's buffer grows with it, and
// so does its share of what all clients together may take (Node::request_bytes). The share is held
// until the answer has been sent. So that nobody sits on one, what has begun must go on: each MiB
// of a request and of an answer has kafka.stall_max to come through.
#pragma once

#include "core/env/channel.h"
#include "server/dispatch.h"

namespace pyralog::server {

class Connection {
public:
    Connection(Node& node, std::unique_ptr<Stream> stream);

    // Until the client goes, misbehaves, or the fiber is cancelled. Whichever of the two fibers
    // ends first ends the other.
    void run();

private:
    struct Request {
        std::unique_ptr<Started> started;
        wire::kafka::ApiKey api{};
        Time came;
        ByteBudget::Share memory;
    };

    Result<> start_all();
    Result<> answer_all();
    Result<Bytes> read_frame(ByteBudget::Share& memory);
    void mute(Duration throttle);
    Result<> wait_while_muted();
    Result<> wait_for_a_byte(std::byte& byte);
    Result<> read(std::span<std::byte> into);
    Result<> write(const BytesChain& answer);
    Time stall_deadline() const;

    Node& node_;
    std::unique_ptr<Stream> stream_;
    Channel<Request> started_;
    std::size_t unanswered_ = 0;
    Time muted_until_; // A client that was too fast is not heard.
    Time quiet_since_; // Neither a request nor an answer.
    Result<> ended_;
};

} // namespace pyralog::server
