// sim-tests/check_cluster.h
//
// What must hold of the whole cluster, asked after every step of the world, from outside: no node
// could know it. Raft's invariants over all replicas of each group; and that what is committed, or
// was acknowledged to a client, is on the durable media of enough nodes at that moment.
//
// A step concerns one node, and most steps change nothing in any group, so almost all of the asking
// is a comparison of a few numbers.
#pragma once

#include "raft/invariants.h"
#include "sim-tests/cluster.h"
#include "sim-tests/media.h"

#include <map>
#include <optional>

namespace pyralog::simtest {

namespace oracle {
// Committed by a leader, and not durable on a majority of the group's disks.
inline constexpr std::string_view committed_not_durable = "committed-not-durable";
// Acknowledged to a client, and not durable on as many disks as that takes.
inline constexpr std::string_view acknowledged_not_durable = "acknowledged-not-durable";
// Committed, and in the end not the same bytes on every disk.
inline constexpr std::string_view prefixes_differ = "prefixes-differ";
} // namespace oracle

class ClusterCheck {
public:
    ClusterCheck(Cluster& cluster, std::map<NodeId, NodeMedia>& media, const History& history)
        : cluster_(cluster), media_(media), history_(history) {}

    // After each step.
    std::optional<Finding> observe();
    // Instead: follows the same things, so that elections() is the same, and judges nothing.
    std::optional<Finding> watch();

    // All groups that anybody was seen to have, with their members.
    std::map<GroupId, raft::Members> groups() const;

    // When everything is quiet: does every running replica have all that is committed, durably?
    bool settled() const;
    // And then: is it the same on all disks, to the byte?
    std::optional<Finding> compare_prefixes();

    // How often a replica has become a leader.
    std::uint64_t elections() const { return elections_; }

private:
    // What tells that a replica may have changed.
    struct Look {
        std::uint64_t boot = 0;
        raft::Role role = raft::Role::follower;
        raft::Vote vote, durable_vote;
        Position end, durable_end, committed;
        std::size_t terms = 0;
        TermStart last_term;
        bool operator==(const Look&) const = default;
    };
    // How many inputs each replica of a node had taken when it was last looked at: most steps are
    // none of any replica's.
    struct Seen {
        std::uint64_t boot = 0;
        std::vector<std::pair<GroupId, std::uint64_t>> inputs;
    };
    struct GroupState {
        explicit GroupState(const raft::Members& m) : members(m), agreement(m) {}
        raft::Members members;
        raft::Agreement agreement;
        std::map<NodeId, Look> looks;
        std::int64_t checked = 0; // Entries before this index were durable when committed.
    };

    // What has changed since the last look, if anything has.
    struct Changed {
        GroupState& group;
        bool started; // This is another process, with another replica.
    };
    // Calls `visit(node, replica, group)` for each that may have changed in this step, until it has
    // found something.
    template <class Visit>
    std::optional<Finding> each_changed(const Visit& visit);
    std::optional<Changed> look_at(NodeId node, const raft::Consensus& replica, GroupId id);
    std::optional<Finding> check_replica(NodeId node, const raft::Consensus& replica, GroupId id);
    std::optional<Finding> check_commit(GroupId id, GroupState& group,
                                        const raft::Consensus& leader);
    std::optional<Finding> check_acknowledged();

    Cluster& cluster_;
    std::map<NodeId, NodeMedia>& media_;
    const History& history_;
    std::map<GroupId, GroupState> groups_;
    std::map<NodeId, Seen> seen_;
    std::size_t acknowledged_ = 0; // Of the history's stored ones: these have been checked.
    std::uint64_t elections_ = 0;
};

} // namespace pyralog::simtest
