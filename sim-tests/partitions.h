// sim-tests/partitions.h
//
// The catalogue of partitions: which directed links a shape cuts, and when. Pure functions of who
// is there and of the dice; who carries them out is the nemesis.
//
// A partition is a list of stages. In each, exactly the links of its set are cut, and in the last
// there are none. Most shapes have two stages; flapping and swizzle have many.
//
// Clients are somewhere, too. Where a shape has sides, each client is on one of them, on the other,
// or hears both.
#pragma once

#include "io/sim/dice.h"
#include "io/sim/faults.h"
#include "io/sim/network.h"

#include <optional>
#include <string_view>
#include <vector>

namespace pyralog::simtest {

// Who is there to be cut off.
struct Scene {
    std::vector<NodeId> brokers, clients;
    std::optional<NodeId> leader; // Of some group, if anybody leads.
};

enum class Shape : std::uint8_t {
    split,         // Two sides, and nothing between them.
    one_way,       // ... but only the bytes of one of them are lost.
    bridge,        // Two sides, each of which hears one node between them.
    ring,          // Each hears its two neighbours: four brokers or more.
    majority_ring, // Each hears a majority, and no two the same: three brokers or more.
    leader_hears,  // A leader hears everybody, and nobody hears it.
    leader_speaks, // Everybody hears a leader, and it hears nobody.
    isolate,       // One broker is alone: the leader as often as any other.
    flapping,      // A split, a one_way or an isolate that comes and goes.
    swizzle,       // Brokers are cut off one by one, and come back in another order.
    clients_apart, // Brokers hear each other; clients hear, or are heard by, only some of them.
    count_,
};
sim::Fault fault_of(Shape shape); // How it is counted.

bool is_possible(Shape shape, const Scene& scene);
std::vector<Shape> possible_shapes(const Scene& scene);

struct Stage {
    Duration after{0}; // The beginning of the partition.
    sim::Links cut;
};
// Lasts for `length`, more or less; `shape` must be possible.
std::vector<Stage> draw_partition(Shape shape, const Scene& scene, Duration length,
                                  sim::Dice& dice);

// Of shapes with two stages: what is cut in the first.
sim::Links draw_cut(Shape shape, const Scene& scene, sim::Dice& dice);

constexpr std::size_t flaps_max = 40;

} // namespace pyralog::simtest
