// raft/progress.h
//
// What the leader knows of one follower, and what it may send there. Pure.
//
//             accepted                     sent
//     Probe ───────────→ Replicate ──┐ ←─────┐
//       ↑                    │       └───────┘
//       └────────────────────┘ rejected
#pragma once

#include "core/base/time.h"
#include "core/base/types.h"

#include <array>
#include <optional>
#include <variant>

namespace pyralog::raft {

// Where do the logs part? One question at a time, and without entries: they could be the wrong
// ones. Heartbeats ask it again. What was sent before the search began, and may still be under way
// for long, is answered after it, and says nothing about it: so searches are numbered.
struct Probe {
    Position next;
};

// Entries flow, and more are sent before the first are answered.
struct Replicate {
    static constexpr std::size_t in_flight_max = 8; // The upper bound of the setting.

    Position next;
    std::array<Position, in_flight_max> in_flight; // Where each append ends, oldest first.
    std::size_t in_flight_count = 0;
};

class Progress {
public:
    Progress(Position next, Time now)
        : heard(now), spoken(now), checked(now), state_(Probe{next}) {}

    // It has our log up to here, and on its disk. This holds for as long as we lead.
    Position matched() const { return matched_; }
    Position next() const;
    bool is_probing() const { return std::holds_alternative<Probe>(state_); }
    bool has_in_flight() const;
    std::uint32_t search() const { return search_; } // The one under way, or else the last.

    // There is room for one more append.
    bool has_room(int in_flight_max) const;

    // An append with entries up to `end` is on its way.
    void sent(Position end);

    // It has our log up to `matched`.
    void reached(Position matched);

    // It has accepted something: entries flow, from `matched()` if they did not.
    void flow();

    // The logs part at or before `next`. False if this says nothing new: an answer that came late.
    bool rejected(Position next);

    // Whatever it had on its disk it may have no longer: all is asked anew.
    void forget(Position next);

    // Its vote is unknown: what it says counts for nothing,
    bool abstains = false;
    Position level; // until it has what we had when we first heard of that.

    Time heard;                 // When it last answered, in our term.
    Time spoken;                // When it was last told that we lead.
    Time checked;               // When something was last sent that finds out if entries were lost.
    std::uint64_t answered = 0; // The last read barrier that its answers cover.

private:
    Position matched_;
    std::uint32_t search_ = 0;
    std::variant<Probe, Replicate> state_;
};

} // namespace pyralog::raft
