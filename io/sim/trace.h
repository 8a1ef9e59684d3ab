// io/sim/trace.h
//
// What happens in a world, for whoever wants to see it: typed, so that programs can draw it, and as
// lines for people. Listening changes nothing; where nobody listens, nothing is made.
//
// An event belongs to a step of the world, and many may belong to one. Step N is the one after
// which World::steps() is N: the number that a finding names.
#pragma once

#include "core/base/bytes.h"
#include "core/base/time.h"
#include "core/base/types.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pyralog::sim {

enum class TraceKind : std::uint8_t {
    note, // Words only.
    log,  // What the node itself has logged.
    boot,
    exit, // By itself.
    kill,
    power_cut,
    pause, // Until `until`.
    resume,
    block, // The link from `node` to `peer`.
    heal,
    call,      // A call to this node's disk begins. `id` is its number,
    disk,      // ... and here it has ended, which began at `began`.
    commit,    // Of small facts.
    stream,    // Accepted by `node`; `peer` connected.
    sent,      // A piece on its way from `node` to `peer`. `bytes` is what the stream was given.
    delivered, // At `node`, from `peer`.
    dropped,   // Will never arrive: sent by `node`, to `peer`.
    reset,     // This end of a stream was told that it is broken.
    fault,     // Injected by the dice of the world; `text` is its name.
};
std::string_view to_string(TraceKind kind);

struct TraceEvent {
    TraceKind kind = TraceKind::note;
    NodeId node{}; // 0: the world.
    NodeId peer{};
    std::uint64_t id = 0;     // Of a call; of a piece, unique for its directed pair of nodes.
    std::uint64_t stream = 0; // Of a piece, or of a stream's event.
    std::uint64_t size = 0;   // In bytes, of a piece.
    std::uint16_t port = 0;   // Of a piece: which its stream was connected to.
    Duration began{0};
    Duration until{0};
    std::string_view text{};
    std::span<const Bytes> bytes{}; // Of the first piece of those that were given as one.
    // From the Timeline:
    std::uint64_t step = 0;
    Duration time{0};
};

// "12.345678901 n3   disk sync file=3".
std::string to_line(const TraceEvent& event);

} // namespace pyralog::sim
