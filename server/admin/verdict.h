// server/admin/verdict.h
//
// What is wrong with a partition, in words: why it has no leader, is under-replicated, or refuses
// records. A function of what one node knows of it, so two nodes may know different things, and say
// so. Pure.
#pragma once

#include "core/base/time.h"
#include "core/base/types.h"
#include "raft/consensus.h"

#include <optional>
#include <string>
#include <vector>

namespace pyralog::server {

struct PartitionFacts {
    std::vector<NodeId> replicas;
    std::optional<NodeId> leader;
    Term term;

    struct Unreachable {
        NodeId node;
        Duration lasting{0};
    };
    std::vector<Unreachable> unreachable; // Replicas that this node cannot talk to.

    // Of the replica on this node, if there is one.
    bool is_here = false;
    raft::Role role = raft::Role::follower;
    bool serves = false;
    std::size_t damages = 0;       // Places of its log that cannot be read.
    bool abstains = false;         // It has lost what it promised, and waits for the others:
    std::vector<NodeId> unheard;   // for an answer of these; for none, until it is level.
    std::vector<NodeId> strangers; // Who has yet to get to know this node, which is new.
    std::optional<Duration> disk_hangs_for; // The disk of this node does not answer.
    bool journal_is_full = false;           // Records are refused for one of these two.
    bool disk_is_short = false;

    // Of the followers, if the leader is here: who has not had all of it for so long.
    struct Behind {
        NodeId node;
        std::optional<std::int64_t> entries; // None: a new leader has not heard of it yet.
        Duration lasting{0};
    };
    std::vector<Behind> behind;
};

struct Verdict {
    enum class State : std::uint8_t {
        ok,
        under_replicated, // A replica lacks committed entries, or cannot be reached.
        repairing,        // Some of the log here is damaged, and another replica is asked for it;
                          // or all of it is, and it abstains until it is level.
        refusing,         // It is led from here, and takes no records.
        no_leader,
    };
    State state = State::ok;
    std::string why;                  // Empty if all is well.
    bool is_under_replicated = false; // Whatever is worse.
};
std::string_view to_string(Verdict::State state);

// A follower that has not had all of the log for so long is no replica to rely on.
constexpr Duration behind_after = 10s;

// The worst of what is the matter, and all that is.
Verdict judge(const PartitionFacts& facts);

// For people: 900 ms, 12 s, 3 min, 5 h, 2 d. Rounded down.
std::string in_words(Duration time);

} // namespace pyralog::server
