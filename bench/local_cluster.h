// bench/local_cluster.h
//
// Three nodes of the program beside this one, each a process, and a client that keeps so many
// produce requests on their way. The nodes and their data are gone when the LocalCluster is.
#pragma once

#include "bench/bench.h"
#include "bench/socket.h"
#include "core/wire/kafka/metadata.h"
#include "core/wire/kafka/produce.h"

#include <array>
#include <deque>
#include <string>
#include <sys/types.h>
#include <vector>

namespace pyralog::bench {

class LocalCluster {
public:
    static constexpr int nodes = 3;

    explicit LocalCluster(const std::string& room);
    ~LocalCluster();
    LocalCluster(const LocalCluster&) = delete;
    LocalCluster& operator=(const LocalCluster&) = delete;

    // Makes a topic, if there is none, and returns the ports of its partitions' leaders once each
    // has one and all nodes hold it.
    std::vector<std::uint16_t> leaders_of(const std::string& topic);

    struct Usage {
        std::uint64_t rss_bytes = 0;
        Duration cpu{};
    };
    Usage usage(int node) const; // From 0 on.

private:
    std::array<pid_t, nodes> processes_{};
    std::array<std::uint16_t, nodes> ports_{};
};

// One connection that produces to one partition with acks=all. Ends the program if it is refused.
class Producer {
public:
    Producer(std::uint16_t port, std::string topic, std::int32_t partition)
        : socket_(Socket::connect(port)), topic_(std::move(topic)), partition_(partition) {}

    std::size_t in_flight() const { return sent_.size(); }
    void send(const Bytes& batch);
    Duration receive(); // How long the oldest one has taken.

private:
    Socket socket_;
    std::string topic_;
    std::int32_t partition_;
    std::int32_t next_ = 0;
    struct Sent {
        wire::kafka::RequestHeader header;
        Duration when;
    };
    std::deque<Sent> sent_;
};

// So many records of so many bytes, not compressed.
Bytes batch_of(int records, std::size_t bytes);

} // namespace pyralog::bench
