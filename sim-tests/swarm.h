// sim-tests/swarm.h
//
// What a seed means: how large the cluster is and how it is set, which classes of faults exist in
// this run and how often they strike, and what the clients do. Each class is in a run with one
// chance in two, because faults that are always there hide each other (swarm testing); one run in
// ten has a single class, and one in twenty none at all.
#pragma once

#include "io/sim/faults.h"
#include "server/config.h"
#include "sim-tests/workload.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog::simtest {

enum class FaultClass : std::uint8_t {
    slow_links,     // Long and uneven delays; some links slower than others.
    pieces,         // Writes arrive in parts, reads are short, windows are small.
    broken_streams, // Resets, silent ends, refused and unanswered connects.
    corruption,     // Bits flipped on the way, between brokers only: Kafka has no checksum.
    partitions,
    kills,
    power_cuts,     // Of one node.
    blackouts,      // Of all nodes at one moment.
    rack_cuts,      // Of some of the nodes at one moment.
    recovery_ends,  // Of processes that have just started, several times in a row.
    restart_storms, // One node again and again.
    rolling_restarts,
    pauses,
    slow_disks,
    disk_errors, // Reads, writes and syncs that fail, and small facts that do.
    full_disks,
    rot,         // Damage to what was durable, where the atlas allows it.
    lost_disks,  // For good, together with the node; as many as the atlas allows.
    clocks,      // Drift, offsets and jumps.
    slow_fibers, // A fiber that runs keeps its node busy.
    whims,       // What is allowed and unusual, done now and then: core/base/buggify.h.
    count_,
};
std::string_view to_string(FaultClass fault_class);

struct NemesisPlan {
    // The mean time between two strikes of a class; zero: none.
    Duration partitions{0}, stream_breaks{0};
    Duration kills{0}, power_cuts{0}, blackouts{0}, rack_cuts{0}, restart_storms{0};
    Duration rolling_restarts{0}, pauses{0};
    Duration hung_disks{0}, full_disks{0}, rot{0}, lost_disks{0}, clock_jumps{0};
    sim::Chance recovery_ends;     // Of a start.
    bool decays = false;           // Rot strikes segments, and nobody is started anew for it.
    int racks = 2;                 // Nodes take turns.
    Duration election_timeout{1s}; // Of the brokers: what a long pause is.
    Duration partition_most{3s};   // How long one lasts.
    Duration pause_most{3s};
    Duration down_most{2s};       // How long a node stays down.
    std::uint64_t disk_quota = 0; // While a disk is full.
    std::uint64_t disk_size = 0;  // Of every disk, until the world is healed; zero: plenty.
};

struct Plan {
    std::uint64_t seed = 0;
    int nodes = 3;
    std::array<bool, static_cast<std::size_t>(FaultClass::count_)> classes{};
    sim::Faults faults;
    NemesisPlan nemesis;
    WorkloadPlan workload;
    // Damage may strike any number of nodes, and then only safety is judged: see atlas.h.
    bool unlimited_damage = false;
    Duration length{0};    // Until the world is healed.
    server::Config config; // Of all nodes, but for what tells them apart.
    bool engine = false;   // Small facts are in RocksDB itself, and not in the model.

    bool has(FaultClass fault_class) const {
        return classes[static_cast<std::size_t>(fault_class)];
    }
};

// What of a seed's plan is to be otherwise: how a run that failed is made smaller.
struct PlanEdits {
    std::vector<FaultClass> without;
    std::optional<int> nodes;
    std::optional<Duration> length;
    // At most so many; partitions of each topic.
    std::optional<int> producers, consumers, topics, partitions;
    std::optional<bool> engine;
    bool plain_clients = false;  // Nobody but producers and consumers.
    bool plain_settings = false; // As a node has them by itself.
    bool operator==(const PlanEdits&) const = default;
};

Plan draw_plan(std::uint64_t seed, const PlanEdits& edits = {});

// Where nodes listen: for clients, and for each other.
Address kafka_address_of(NodeId node);
Address peer_address_of(NodeId node);
Duration election_timeout_of(const Plan& plan);
server::Config config_of(const Plan& plan, NodeId node);

// One line for people.
std::string to_string(const Plan& plan);

} // namespace pyralog::simtest
