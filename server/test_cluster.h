// server/test_cluster.h
//
// For tests: brokers in a simulated world that breaks nothing by itself, and clients that say what
// a test wants them to say.
#pragma once

#include "core/wire/kafka/create_topics.h"
#include "core/wire/kafka/list_offsets.h"
#include "io/sim/world.h"
#include "server/broker.h"
#include "server/node.h"

#include <array>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace pyralog::server {

using wire::kafka::CreateTopicsRequest;
using wire::kafka::ErrorCode;
using wire::kafka::ListOffsetsRequest;
using wire::kafka::RequestHeader;

constexpr NodeId client_node{100};
constexpr Duration patience = 60s; // Of a test: for what must come sooner or later.
constexpr Duration soon = 300ms;   // For what must not wait for anything but a disk and a link.
constexpr Duration moment = 5s;    // For what must not happen.

inline Address kafka_address_of(NodeId node) { return {"node" + std::to_string(node.value), 9092}; }
inline Address peer_address_of(NodeId node) { return {"node" + std::to_string(node.value), 9093}; }

// ---- Brokers, and a client ----

class Cluster;

// A connection to one broker. Calls go on with the world until there is an answer.
class Client {
public:
    Client(Cluster& cluster, NodeId broker);

    void write(const BytesChain& bytes);
    // The next frame, without its size; an error if none comes in time.
    Result<Bytes> read_frame(Duration within = patience);
    // Does the broker hang up, and say nothing before?
    bool is_closed(Duration within = moment);
    void hang_up();

    template <class Request>
    RequestHeader send(const Request& request, std::int16_t version) {
        const RequestHeader header{Request::key, version, ++correlation_, {}};
        write(wire::kafka::encode_request(request, version, header.correlation_id));
        return header;
    }
    template <class Response>
    Result<Response> receive(const RequestHeader& asked, Duration within = patience) {
        return wire::kafka::decode_response<Response>(TRY(read_frame(within)), asked);
    }
    template <class Request>
    typename Request::Response ask(const Request& request, std::int16_t version) {
        const RequestHeader asked = send(request, version);
        auto answer = receive<typename Request::Response>(asked);
        REQUIRE(answer.ok());
        return std::move(answer).value();
    }
    template <class Request>
    bool is_refused(const Request& request, std::int16_t version) {
        send(request, version);
        return is_closed();
    }

private:
    Cluster& cluster_;
    Stream* stream_ = nullptr; // The client's process owns it.
    std::int32_t correlation_ = 0;
};

class Cluster {
public:
    explicit Cluster(int size = 1, const std::function<void(Config&)>& change = {}) {
        for (int id = 1; id <= size; ++id) nodes.push_back(NodeId(id));
        for (const NodeId node : nodes) {
            Config& config = configs_[node];
            config.node_id = node.value;
            config.kafka.host = kafka_address_of(node).host;
            config.admin.port = 0;
            config.journal.file_bytes = 1_MiB;
            if (size > 1)
                for (const NodeId member : nodes) config.members[member] = peer_address_of(member);
            if (change) change(config);
            REQUIRE(config.problems().empty());
            start(node);
        }
        world.boot(client_node, [this](Environment& env) {
            Scope scope(env.fibers);
            std::list<std::unique_ptr<Stream>> streams;
            scope_ = &scope;
            streams_ = &streams;
            (void)env.fibers.sleep_until(env.clock.now() + 1000h); // Until the test is over.
        });
        REQUIRE(until([&] { return scope_ && all_ready(); }));
    }

    void start(NodeId node) {
        world.boot(node, sim::World::Main([this, node](Environment& env) -> Result<> {
                       Broker broker(env, configs_.at(node), [this, node](Node& inside) {
                           Scope scope(inside.env.fibers);
                           inside_[node] = {&inside, &scope};
                           const Result<> ended = inside.env.fibers.sleep_until(Time::max());
                           inside_.erase(node);
                           return ended;
                       });
                       struct Known {
                           Known(std::map<NodeId, Broker*>& b, NodeId n, Broker& broker)
                               : brokers(b), node(n) {
                               brokers[n] = &broker;
                           }
                           ~Known() { brokers.erase(node); }
                           std::map<NodeId, Broker*>& brokers;
                           NodeId node;
                       } const known(brokers_, node, broker);
                       return broker.run();
                   }));
    }
    Config& config(NodeId node) { return configs_.at(node); } // For its next start.
    void restart(NodeId node) {
        world.kill(node);
        start(node);
        REQUIRE(until([&] { return all_ready(); }));
    }
    bool all_ready() const {
        for (const NodeId node : nodes) {
            const auto found = brokers_.find(node);
            if (found == brokers_.end() || found->second->status().state != Status::State::ready)
                return false;
        }
        return true;
    }
    Status status(NodeId node) const { return brokers_.at(node)->status(); }

    bool until(const std::function<bool()>& done, Duration within = patience) {
        return world.run_until(world.now() + within, done);
    }
    // The same for what is found out by asking, which goes on with the world itself.
    bool until_asked(const std::function<bool()>& done) {
        for (const Duration limit = world.now() + patience; world.now() < limit;) {
            if (done()) return true;
            world.run_for(50ms);
        }
        return false;
    }
    bool is_up(NodeId node) const { return brokers_.contains(node); }
    NodeId up() const { return brokers_.begin()->first; } // Some node that is.
    // Does this in a fiber of the client, and goes on until it is done.
    void in_client(const std::function<void(Environment&)>& body) {
        bool done = false;
        scope_->spawn("test", [&] {
            body(world.environment(client_node));
            done = true;
        });
        REQUIRE(until([&] { return done; }, 1h));
    }
    // The same in a fiber of a node that serves. What it has begun ends with the node.
    void in_node(NodeId node, const std::function<void(Node&)>& body) {
        bool done = false;
        begin_in_node(node, [&](Node& inside) {
            body(inside);
            done = true;
        });
        REQUIRE(until([&] { return done; }, 1h));
    }
    void begin_in_node(NodeId node, const std::function<void(Node&)>& body) {
        const Inside& inside = inside_.at(node);
        inside.scope->spawn("test", [body, &node = *inside.node] { body(node); });
    }
    Stream* keep(std::unique_ptr<Stream> stream) {
        return streams_->emplace_back(std::move(stream)).get();
    }
    void hang_up(const Stream* stream) {
        streams_->remove_if([&](const auto& kept) { return kept.get() == stream; });
    }

    Client connect(NodeId broker = NodeId(1)) { return Client(*this, broker); }

    // Makes a topic, and waits until its leader serves it.
    void make_topic(const std::string& name, std::int32_t partitions = 1,
                    std::int16_t replicas = -1) {
        Client client = connect();
        CreateTopicsRequest request;
        request.topics.push_back({name, partitions, replicas, {}, {}});
        REQUIRE(client.ask(request, 7).topics.at(0).error == ErrorCode::none);
        for (std::int32_t i = 0; i < partitions; ++i) leader_of(name, i);
    }
    // Who serves a partition, once somebody does.
    NodeId leader_of(const std::string& topic, std::int32_t partition = 0);

    std::vector<NodeId> nodes;

private:
    std::map<NodeId, Config> configs_;
    std::map<NodeId, Broker*> brokers_;
    struct Inside {
        Node* node = nullptr;
        Scope* scope = nullptr;
    };
    std::map<NodeId, Inside> inside_; // Of those that serve.
    Scope* scope_ = nullptr;
    std::list<std::unique_ptr<Stream>>* streams_ = nullptr;

public:
    sim::World world{1}; // Ends first: its processes still use the above.
};

inline NodeId Cluster::leader_of(const std::string& topic, std::int32_t partition) {
    ListOffsetsRequest request;
    request.topics.push_back({topic, {{partition, -1, ListOffsetsRequest::earliest}}});
    const Duration limit = world.now() + patience;
    while (world.now() < limit) {
        for (const auto& [node, broker] : brokers_) {
            Client client = connect(node);
            const ErrorCode error = client.ask(request, 7).topics.at(0).partitions.at(0).error;
            client.hang_up();
            if (error == ErrorCode::none) return node;
        }
        world.run_for(50ms);
    }
    FAIL("nobody serves " << topic);
    return {};
}

inline Client::Client(Cluster& cluster, NodeId broker) : cluster_(cluster) {
    cluster.in_client([&](Environment& env) {
        const Deadline deadline(env.fibers, env.clock.now() + patience);
        auto stream = env.network.connect(kafka_address_of(broker));
        if (stream.ok()) stream_ = cluster.keep(std::move(stream).value());
    });
    REQUIRE(stream_);
}

inline void Client::hang_up() {
    cluster_.in_client([&](Environment&) { cluster_.hang_up(stream_); });
}

inline void Client::write(const BytesChain& bytes) {
    cluster_.in_client([&](Environment& env) {
        const Deadline deadline(env.fibers, env.clock.now() + patience);
        (void)stream_->write(bytes); // Whether it arrived is seen by the answer.
    });
}

inline Result<Bytes> Client::read_frame(Duration within) {
    Result<Bytes> frame = Error::unavailable;
    cluster_.in_client([&](Environment& env) {
        frame = [&]() -> Result<Bytes> {
            const Deadline deadline(env.fibers, env.clock.now() + within);
            std::array<std::byte, 4> prefix{};
            TRY(read_exactly(*stream_, prefix));
            const auto size = TRY(wire::decode<std::uint32_t>(Bytes::copy_of(prefix)));
            Buffer buffer(size);
            TRY(read_exactly(*stream_, buffer.view()));
            return std::move(buffer).freeze();
        }();
    });
    return frame;
}

inline bool Client::is_closed(Duration within) {
    Result<std::size_t> read = Error::unavailable;
    cluster_.in_client([&](Environment& env) {
        const Deadline deadline(env.fibers, env.clock.now() + within);
        std::byte byte{};
        read = stream_->read_some({&byte, 1});
    });
    return read.ok() ? read.value() == 0 : read.error() == Error::disconnected;
}

} // namespace pyralog::server
