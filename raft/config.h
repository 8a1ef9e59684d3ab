// raft/config.h
#pragma once

#include "core/base/config.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/base/types.h"

namespace pyralog::raft {

struct RaftConfig {
    Duration election_timeout = 1s;
    Duration heartbeat_interval = 150ms;
    std::size_t append_bytes_max = 1_MiB;
    int append_entries_max = 1024;
    int appends_in_flight_max = 4;
    std::int64_t uncommitted_entries_max = 65536;
    bool pre_vote = true;
    int producers_max = 10'000;
    int aborted_max = 100'000;
    std::size_t producers_snapshot_bytes = 64_MiB;

    template <class Visitor>
    void describe(Visitor& setting) {
        setting("raft.election_timeout", election_timeout, Bounds<Duration>{50ms, 60s},
                "How long a follower hears nothing from its leader before it asks for votes. It "
                "waits up to twice as long, by lot, so that two seldom ask at once.");
        setting("raft.heartbeat_interval", heartbeat_interval, Bounds<Duration>{5ms, 10s},
                "How often an idle leader says that it is alive.");
        setting("raft.append_bytes_max", append_bytes_max, Bounds<std::size_t>{1_KiB, 32_MiB},
                "The most record bytes in one append to a follower, if it is not a single batch.");
        setting("raft.append_entries_max", append_entries_max, Bounds<int>{1, 4096},
                "The most batches in one append to a follower.");
        setting("raft.appends_in_flight_max", appends_in_flight_max, Bounds<int>{1, 8},
                "How many appends a follower may owe an answer to. Few: what must wait meanwhile "
                "travels in larger appends.");
        setting("raft.uncommitted_entries_max", uncommitted_entries_max,
                Bounds<std::int64_t>{8, 1 << 20},
                "How many batches a leader takes in before a majority has stored them.");
        setting("raft.pre_vote", pre_vote,
                "Ask if an election could be won before disturbing the leader with a new term.");
        setting("raft.producers_max", producers_max, Bounds<int>{1, 20'000},
                "Idempotent producers that a partition remembers; more are refused until some have "
                "been forgotten.");
        setting("raft.aborted_max", aborted_max, Bounds<int>{1, 1'000'000},
                "Transactions that came to nothing and of which a partition's log still has "
                "records; with so many no others begin there until the oldest have been deleted.");
        setting("raft.producers_snapshot_bytes", producers_snapshot_bytes,
                Bounds<std::size_t>{4_KiB, 1_GiB},
                "When a partition has grown by this much, each replica stores what it remembers of "
                "its producers: after a restart no more than that is read again.");
    }

    // So much before its time a heartbeat goes out if its leader is asked then. Half of the way, so
    // that those of any two groups come together the first time that one of them is due.
    Duration heartbeat_slack() const { return heartbeat_interval / 2; }

    // What no single bound can say: two heartbeats in a row may be lost without an election.
    Result<> validate() const {
        if (heartbeat_interval * 3 > election_timeout) return Error::malformed;
        return {};
    }
};

} // namespace pyralog::raft
