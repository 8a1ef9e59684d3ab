// server/connection.h
//
// One client. Two fibers and a bounded queue between them: one starts requests in the order in
// which they come; the other finishes them in that order, which is the order of the answers that
// Kafka promises. When the queue is full nobody reads, and the client feels it through TCP.
//
// Memory follows what has come, never what is claimed to come: a frame's buffer grows with it.
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
    Result<> start_all();
    Result<> answer_all();

    Node& node_;
    std::unique_ptr<Stream> stream_;
    Channel<std::unique_ptr<Started>> started_;
    Result<> ended_;
};

// The next frame without its size. Error::malformed if it claims to be longer than `bytes_max`.
Result<Bytes> read_frame(Stream& stream, std::size_t bytes_max);

} // namespace pyralog::server
