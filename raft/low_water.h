// raft/low_water.h
//
// How far all replicas of a group have compacted their logs, those included that do not run: what
// says that a key is deleted may only be forgotten before that. Else a replica that still has what
// was deleted, and lacks what says so, would take the old record for the newest.
//
// The leader asks, and everybody answers what is durable. Answers do not grow wrong: a log is never
// less compacted than it was. So one that comes late is still good.
#pragma once

#include "core/env/environment.h"
#include "core/wire/peer.h"

#include <map>

namespace pyralog::raft {

class Group;
class Host;

class LowWater {
public:
    LowWater(Environment& env, Host& host);
    LowWater(const LowWater&) = delete;
    LowWater& operator=(const LowWater&) = delete;

    // Asks all replicas, once for each group at a time. Waits. Error::unavailable if one of them
    // does not answer in time.
    Result<Position> ask(const Group& group);

    // A CompactedRequest or a CompactedReply. Does not wait.
    void receive(NodeId from, const wire::PeerMessage& message);

private:
    Environment& env_;
    Host& host_;
    std::map<GroupId, std::map<NodeId, Position>> asked_; // With what was answered.
    Condition answered_;
};

} // namespace pyralog::raft
