// bench/local_cluster.h
//
// Nodes of the program beside this one, each a process; and a client that keeps so many produce
// requests on their way. The nodes and their data are gone when the LocalCluster is.
#pragma once

#include "bench/bench.h"
#include "bench/client.h"
#include "core/wire/kafka/metadata.h"
#include "core/wire/kafka/produce.h"

#include <deque>
#include <string>
#include <sys/types.h>
#include <vector>

namespace pyralog::bench {

class LocalCluster {
public:
    // The settings are those of all nodes: "name=value".
    explicit LocalCluster(const std::string& room, std::size_t nodes = 3,
                          std::vector<std::string> settings = {});
    ~LocalCluster();
    LocalCluster(const LocalCluster&) = delete;
    LocalCluster& operator=(const LocalCluster&) = delete;

    std::size_t nodes() const { return nodes_.size(); }
    std::uint16_t port(std::size_t node) const { return nodes_[node].port; }

    // All of them, as an operator does.
    void stop();
    void start();

    void create_topic(const std::string& topic, std::int32_t partitions) const;
    // Makes a topic, if there is none, and returns the ports of its partitions' leaders once each
    // has one and all nodes hold it.
    std::vector<std::uint16_t> leaders_of(const std::string& topic) const;

    struct Usage {
        std::uint64_t rss_bytes = 0;
        Duration cpu{};
    };
    Usage usage(std::size_t node) const;

private:
    struct Node {
        std::vector<std::string> command;
        std::string log;
        std::uint16_t port = 0;
        pid_t process = 0;
    };
    std::vector<Node> nodes_;
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
