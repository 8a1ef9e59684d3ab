// raft/producer_keeper.h
//
// Stores what partitions remember of their producers, so that after a restart only what came later
// is read again, and reads it for those who do not know it yet. In the KvStore, under `producers/`
// and the number of the group. A table may be of a later place than the end of the log that is
// found beside it: what it says was committed, so it is right for whatever this log becomes.
//
// Some fibers for all groups of a Host; nobody waits for them but producers whose leader has just
// started.
#pragma once

#include "core/env/environment.h"
#include "core/wire/producers.h"

#include <deque>
#include <optional>
#include <set>
#include <string>

namespace pyralog::raft {

class Host;

class ProducerKeeper {
public:
    static constexpr int at_once = 4; // So many run(): each has one piece of a log in memory.

    // Of the store: what a group remembers of its producers.
    static std::string key_of(GroupId group);

    ProducerKeeper(Environment& env, Host& host);

    // Removes what is stored of groups that are not here. Waits, as all the rest but want().
    Result<> forget_others();
    Result<> forget(GroupId group);

    Result<> run();

    // This group is to know its producers; what it knows is stored if it has grown enough.
    void want(GroupId group);

    // Nothing, if nothing is stored, or nothing that makes sense: the log knows as well.
    Result<std::optional<wire::ProducerTable>> stored(GroupId group);
    Result<> store(GroupId group, const wire::ProducerTable& table);

private:
    Environment& env_;
    Host& host_;
    std::set<GroupId> stored_;
    std::deque<GroupId> wanted_;
    std::set<GroupId> is_wanted_; // The same.
    Condition changed_;
    Metrics::Counter stored_total_;
    Metrics::Counter loaded_total_;
};

} // namespace pyralog::raft
