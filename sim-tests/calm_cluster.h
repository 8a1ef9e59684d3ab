// sim-tests/calm_cluster.h
//
// For tests of the tests: three brokers, a producer and a consumer in a world that breaks nothing,
// with all oracles that look at the cluster, so that a test can do one thing and see what comes of
// it.
#pragma once

#include "sim-tests/check_cluster.h"
#include "sim-tests/workload.h"

namespace pyralog::simtest {

class CalmCluster {
public:
    static constexpr NodeId blank{77}; // Has a disk, and nothing on it.

    explicit CalmCluster(std::uint64_t seed = 5) : CalmCluster(calm_plan(seed)) {}
    explicit CalmCluster(Plan calm)
        : plan(std::move(calm)), world(plan.seed, plan.faults), cluster(world, plan),
          workload(plan.workload, history, cluster.kafka_addresses(),
                   [this] { return world.now(); }),
          check(cluster, media, history) {
        for (const NodeId node : cluster.nodes()) {
            world.add_host(node, kafka_address_of(node).host);
            media.try_emplace(node, world.disk(node));
        }
        world.add_host(blank, "blank");
        world.set_observer([this] {
            if (!finding) finding = cluster.observe();
            if (!finding) finding = check.observe();
        });
    }
    ~CalmCluster() {
        world.set_observer({});
        for (const NodeId node : world.nodes()) world.kill(node);
    }
    CalmCluster(const CalmCluster&) = delete;
    CalmCluster& operator=(const CalmCluster&) = delete;

    // Which oracle has fired after so long.
    std::string run(Duration time) {
        if (!std::exchange(started_, true)) {
            for (const NodeId node : cluster.nodes()) cluster.start(node);
            for (const Workload::Program& program : workload.programs())
                world.boot(program.node, program.main);
        }
        world.run_until(world.now() + time, [this] { return finding.has_value(); });
        return finding ? std::string(finding->oracle) : "good";
    }

    // What is asked of this node's disk is answered by another.
    void look_elsewhere(NodeId node) {
        media.erase(node);
        media.try_emplace(node, world.disk(blank));
    }

    static Plan calm_plan(std::uint64_t seed) {
        Plan calm;
        calm.seed = seed;
        calm.config.raft.election_timeout = 400ms; // There is a leader soon.
        calm.config.raft.heartbeat_interval = 50ms;
        calm.config.journal.file_bytes = 256_KiB;
        calm.config.journal.journal_bytes_max = 8_MiB;
        calm.workload.topics.push_back({.name = "t"});
        return calm;
    }

    Plan plan;
    History history;
    sim::World world;
    Cluster cluster;
    std::map<NodeId, NodeMedia> media;
    Workload workload;
    ClusterCheck check;
    std::optional<Finding> finding;

private:
    bool started_ = false;
};

} // namespace pyralog::simtest
