// server/groups/shard.h
//
// What a Coordinator keeps of one partition of __consumer_offsets. Only for its own files.
//
// In the KvStore, by the number of the partition's group:
//
//     groups/NUMBER/ and the key of a record    what the last record with this key says
//     groups-applied/NUMBER                     up to where that is so
//     groups-pending/NUMBER/PRODUCER/ and a key what it is to say if his transaction commits
#pragma once

#include "server/groups/coordinator.h"
#include "server/groups/pending_offsets.h"

namespace pyralog::server {

// A group that is coordinated here.
struct Coordinator::Entry {
    Entry(const GroupRules& rules) : state(rules) {}
    Entry(const GroupRules& rules, const wire::kafka::GroupValue& stored, Time now)
        : state(rules, stored, now), emptied_ms(stored.state_timestamp) {}

    GroupState state;
    std::optional<Time> deadline;
    std::optional<raft::Group::Proposal> written; // The last of its own records, if not committed.
    std::uint64_t commits = 0;                    // How often its offsets have changed.
    std::int64_t emptied_ms = -1;                 // Since when it has had no members.
};

// From when a leader has loaded its groups until he leads no more.
struct Coordinator::Tenure {
    Term term;
    std::map<std::string, Entry> groups;
    std::set<Ticket> waiting;
};

struct Coordinator::Shard {
    Shard(GroupId i, raft::GroupRef g, Condition& changed)
        : id(i), group(std::move(g)), watcher(changed) {
        group->watch(watcher);
    }
    ~Shard() { group->unwatch(watcher); }
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;

    std::string prefix() const { return "groups/" + std::to_string(id.value) + '/'; }
    std::string pending_prefix() const { return Coordinator::pending_prefix(id); }
    std::string applied_key() const { return Coordinator::applied_key(id); }

    const GroupId id;
    raft::GroupRef group;
    Condition& watcher;
    std::optional<Offset> applied; // Unknown until it has been read.
    PendingOffsetTable pending;    // As of there.
    std::optional<Tenure> tenure;
};

} // namespace pyralog::server
