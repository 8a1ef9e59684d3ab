// server/admin/status.h
//
// How a node is, as it tells whoever asks at its admin port: `pyralog status`, scripts, people.
// A value; the Broker fills it in, the command line reads the JSON.
#pragma once

#include "core/base/types.h"
#include "core/env/network.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pyralog::server {

// One node of the cluster, as the one that was asked sees it.
struct NodeStatus {
    NodeId id;
    Address address;           // Where clients reach it.
    bool is_up = false;        // It has been heard of lately.
    std::int64_t replicas = 0; // Of partitions, that it holds.
    std::int64_t partitions_led = 0;
};

struct Status {
    enum class State : std::uint8_t {
        starting, // It reads its disk, or nobody is known to lead the cluster.
        ready,
        stopping,
    };

    NodeId node;
    std::string cluster;
    State state = State::starting;
    std::optional<NodeId> controller; // Who leads the cluster, if that is known.
    std::int64_t topics = 0;
    std::int64_t partitions = 0;
    std::int64_t partitions_without_leader = 0;
    std::uint64_t disk_total_bytes = 0;
    std::uint64_t disk_free_bytes = 0;
    bool disk_is_short = false;    // Nearly full: new records are refused.
    std::vector<NodeStatus> nodes; // All members, by number.

    // Is everybody there, and does everything have a leader?
    bool formed() const;
};

std::string_view to_string(Status::State state);

// One object, its fields named as above, in the order above.
std::string to_json(const Status& status);

} // namespace pyralog::server
