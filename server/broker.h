// server/broker.h
//
// The node. It is made of an Environment and a Config, and of nothing else, so the one that serves
// clients and the one that the simulator torments are the same.
#pragma once

#include "core/env/environment.h"
#include "server/admin/status.h"
#include "server/config.h"

#include <functional>
#include <memory>

namespace pyralog::raft {
class Host;
}

namespace pyralog::server {

class Catalogue;
class Observer;
class Relay;
struct Node;

class Broker {
public:
    // What the program has beside the parts of every node, in a fiber of its own, while the node
    // serves. When it ends the node does.
    using Beside = std::function<Result<>(Node&)>;

    // `config` must make sense: see Config::problems(). Both outlive the Broker.
    Broker(Environment& env, const Config& config, Beside beside = {});
    ~Broker();

    // Recovers, joins the cluster, serves clients. Returns when it is told to stop, cancelled, or
    // with the error that makes it unfit to serve. Once.
    Result<> run();

    // As the side door tells it.
    Status status() const;

    // What it has counted, and what can be found out, as Prometheus text. Waits.
    std::string metrics() const;
    // The table of all that is in there, in Markdown; of a Broker that does not run.
    std::string metrics_reference();

    // For those who look on, once recovery is done; null before and afterwards.
    const raft::Host* host() const { return serving_ ? host_.get() : nullptr; }
    const Catalogue* catalogue() const;
    const Observer* observer() const { return serving_ ? observer_.get() : nullptr; }
    Relay& relay() const { return *relay_; }

private:
    struct Listeners;

    void make();
    Result<> listen(Listeners& listeners);
    Result<> recover_and_serve(Listeners& listeners, const class Pages& pages);
    Result<> recover();
    Result<> serve(Listeners& listeners, const Pages& pages);
    Result<> accept_clients(Listener& listener);
    Result<> register_self();

    Environment& env_;
    const Config& config_;
    const Beside beside_;
    std::unique_ptr<class SpaceWatch> space_;
    std::unique_ptr<raft::Host> host_;
    std::unique_ptr<class Controller> controller_;
    std::unique_ptr<class Coordinator> groups_;
    std::unique_ptr<class ProducerIds> producer_ids_;
    std::unique_ptr<class Transactions> transactions_;
    std::unique_ptr<Node> node_;
    std::unique_ptr<Observer> observer_;
    std::unique_ptr<Relay> relay_;
    Status::State state_ = Status::State::starting;
    bool serving_ = false;
};

} // namespace pyralog::server
