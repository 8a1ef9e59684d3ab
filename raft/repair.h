// raft/repair.h
//
// Gets back what replicas of this node have lost of their logs, and gives others what they have
// lost of theirs. What is asked for is told by its place, and by term and checksum where those are
// known: so nothing depends on who leads, and any replica can answer that has it.
//
//   Log::damages() ──→ FramesRequest ──→ a peer: what it can read, and knows to be committed, or
//   Log::mend()    ←── FramesReply   ←── the very entry
//
// A log that is compacted takes from others only what is compacted as far: README.md says why.
// Nobody ever answers that there was no such thing. A log takes only what fits, to the checksum.
//
// Another fiber reads all that is in segments, slowly and again and again, so that what nobody
// reads is found while others have it.
//
// One fiber for each group that has lost something, a few at a time, each with one request under
// way; when all peers have been asked in vain, or what they had could not be put where it belongs,
// it pauses.
#pragma once

#include "core/env/environment.h"
#include "core/log/damage.h"
#include "core/wire/peer.h"

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace pyralog::raft {

class Group;
class Host;

class Repair {
public:
    Repair(Environment& env, Host& host);
    Repair(const Repair&) = delete;
    Repair& operator=(const Repair&) = delete;

    // Something of this group's log is damaged. Does not wait.
    void want(GroupId group);

    // Until cancelled, or until the device has failed.
    Result<> run();

    // Looks for damage until cancelled, or until the device has failed.
    Result<> scrub();

    // A FramesRequest or a FramesReply. Does not wait.
    void receive(NodeId from, wire::PeerMessage message);

private:
    Result<> scrub_group(GroupId id);
    std::optional<Time> begin_what_is_due(Scope& scope);
    void changed();
    Result<> mend(GroupId id);
    Result<bool> mend_one(Group& group, const Damage& damage);
    struct Fetched {
        std::vector<wire::Frame> frames;
        wire::Compacted compacted; // How far at least the log is that they come from.
    };
    struct Asked {
        NodeId peer;
        Position first;
        std::optional<Fetched> answer;
    };
    Result<Fetched> fetch(Group& group, NodeId peer, const Damage& damage);
    Result<Fetched> ask(GroupId group, NodeId peer, wire::FramesRequest request);
    Result<bool> may_take(Group& group, const Damage& damage, const Fetched& fetched) const;
    std::vector<NodeId> peers_of(const Group& group) const;
    void serve(NodeId to, GroupId group, const wire::FramesRequest& request);
    Result<std::vector<wire::Frame>> find(Group& group, const wire::FramesRequest& request);

    Environment& env_;
    Host& host_;
    std::map<GroupId, Time> due_; // When to try.
    std::set<GroupId> mending_;
    std::map<GroupId, Asked> asked_;
    std::set<std::pair<NodeId, GroupId>> serving_;
    Condition changed_;
    bool changed_since_ = false; // run() has looked.
    Result<> failed_;            // The device.
    Condition answered_;
    Metrics::Counter asked_total_;
    Metrics::Counter served_total_;
    Metrics::Counter in_vain_total_;
    Metrics::Counter scrubbed_total_;
    Metrics::Counter scrubs_total_;
};

} // namespace pyralog::raft
