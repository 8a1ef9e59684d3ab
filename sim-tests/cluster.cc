#include "sim-tests/cluster.h"

#include <utility>

namespace pyralog::simtest {

Cluster::Cluster(sim::World& world, const Plan& plan) : world_(world) {
    for (int id = 1; id <= plan.nodes; ++id) {
        nodes_.push_back(NodeId(id));
        configs_[NodeId(id)] = config_of(plan, NodeId(id));
        brokers_[NodeId(id)] = nullptr;
    }
}

std::vector<Address> Cluster::kafka_addresses() const {
    std::vector<Address> addresses;
    for (const NodeId node : nodes_) addresses.push_back(kafka_address_of(node));
    return addresses;
}

void Cluster::start(NodeId node) {
    if (running(node) || lost(node)) return;
    refused_opens_[node] = world_.disk(node).refused_opens();
    world_.boot(node, sim::World::Main([this, node](Environment& env) {
                    server::Broker broker(env, configs_.at(node));
                    brokers_.at(node) = &broker;
                    const Result<> ended = broker.run();
                    brokers_.at(node) = nullptr;
                    return ended;
                }));
}

const raft::Host* Cluster::host(NodeId node) const {
    const server::Broker* broker = brokers_.at(node);
    return broker ? broker->host() : nullptr;
}

const server::Catalogue* Cluster::catalogue(NodeId node) const {
    const server::Broker* broker = brokers_.at(node);
    return broker ? broker->catalogue() : nullptr;
}

std::optional<Finding> Cluster::observe() {
    const NodeId node = world_.stepped();
    if (!have_met() && brokers_.contains(node))
        if (const raft::Host* const here = host(node); here && here->disks().is_introduced())
            introduced_.insert(node);
    if (!brokers_.contains(node) || running(node)) return {};
    const auto status = world_.exit_status(node);
    if (!status || std::exchange(ends_seen_[node], boots(node)) == boots(node)) return {};
    return judge_end(node, *status);
}

std::optional<Finding> Cluster::judge_end(NodeId node, const Result<>& status) {
    const std::string who = "node " + std::to_string(node.value);
    if (status.ok()) return report(oracle::broker_ended, who + " ended by itself");
    switch (status.error()) {
    case Error::device_failed:
    case Error::out_of_space: ended_.push_back(node); return {};
    case Error::unavailable: {
        // Who may not open a file that he cannot do without says so, and is started again.
        const bool was_refused = world_.disk(node).refused_opens() > refused_opens_[node];
        if (!was_refused)
            return report(oracle::broker_ended, who + " ended and could have gone on");
        ended_.push_back(node);
        return {};
    }
    case Error::corrupt:
        if (!damaged(node))
            return report(oracle::refused_recovery, who + " says that its disk is damaged");
        lost_.insert(node);
        return judge_refusal(node, world_.disk(node), excuses_);
    default:
        return report(oracle::broker_ended,
                      who + " ended: " + std::string(to_string(status.error())));
    }
}

} // namespace pyralog::simtest
