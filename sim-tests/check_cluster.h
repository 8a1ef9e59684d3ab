// sim-tests/check_cluster.h
//
// What must hold of the whole cluster, asked after every step of the world, from outside: no node
// could know it. Raft's invariants over all replicas of each group; that what is committed, or was
// acknowledged to a client, is on the durable media of enough nodes at that moment; that what a
// replica calls durable is on its own; that a node finds all that its disk had when it starts; and
// that nodes which have applied as much of the controller's log store the same.
//
// Of a node whose disk was damaged on purpose nothing is expected that its disk should tell.
//
// A step concerns one node, and most steps change nothing in any group, so almost all of the asking
// is a comparison of a few numbers.
#pragma once

#include "raft/invariants.h"
#include "sim-tests/cluster.h"
#include "sim-tests/media.h"

#include <functional>
#include <map>
#include <optional>
#include <set>

namespace pyralog::simtest {

namespace oracle {
// Committed by a leader, and not durable on a majority of the group's disks.
inline constexpr std::string_view committed_not_durable = "committed-not-durable";
// Acknowledged to a client, and not durable on as many disks as that takes.
inline constexpr std::string_view acknowledged_not_durable = "acknowledged-not-durable";
// A replica calls it durable, and it is not on its own disk; or it was, and is so no longer.
inline constexpr std::string_view durable_not_on_media = "durable-not-on-media";
// It was on the disk when the node started, and the replica that it recovered does not have it.
inline constexpr std::string_view recovered_less = "recovered-less";
// Two nodes have applied the controller's log up to the same place and store different things.
inline constexpr std::string_view catalogues_differ = "catalogues-differ";
// What a replica tells to be committed, or where its log starts, fell within one life of it.
inline constexpr std::string_view went_back = "went-back";
// Committed, and in the end not the same bytes on every disk.
inline constexpr std::string_view prefixes_differ = "prefixes-differ";
// Two replicas have the same log, and do not remember the same of its idempotent producers.
inline constexpr std::string_view producers_differ = "producers-differ";
} // namespace oracle

// Something that a replica has just done, and a good moment to strike.
struct Moment {
    enum class What : std::uint8_t {
        stands,  // For election.
        elected, // It leads now.
        votes,   // For another, and its disk may not have that yet.
        appends, // To the log that it leads.
    };
    What what = What::stands;
    NodeId node;
    GroupId group;
};

class ClusterCheck {
public:
    ClusterCheck(Cluster& cluster, std::map<NodeId, NodeMedia>& media, const History& history)
        : cluster_(cluster), media_(media), history_(history) {}

    // After each step.
    std::optional<Finding> observe();
    // Instead: follows the same things, so that elections() is the same, and judges nothing.
    std::optional<Finding> watch();

    // What this node, which was just started, must find on its disk: instead of what its media say.
    void promise(NodeId node, std::map<GroupId, NodeMedia::Entries> entries) {
        promises_[node] = {cluster_.boots(node), false, std::move(entries),
                           media_.at(node).known()};
    }

    // This node's disk is about to be replaced by an empty one.
    void replaced(NodeId node);

    // Whether somebody has begun to delete this topic: its records may be gone from all disks
    // before an acknowledgement that was sent earlier arrives.
    void on_deleted(std::function<bool(const std::string& topic)> deleted) {
        deleted_ = std::move(deleted);
    }

    // Which group this partition is, as far as anybody knows: what it has trimmed may be gone from
    // all disks before an acknowledgement that was sent earlier arrives.
    using WhichGroup = std::function<std::optional<GroupId>(const TopicPartition&)>;
    void on_lookup(WhichGroup which) { which_group_ = std::move(which); }

    // This replica, which was seen, told this when it was last looked at: instead of what it did.
    void recall(NodeId node, GroupId group, Position committed, Position start) {
        Look& last = groups_.at(group).looks.at(node);
        last.told = committed;
        last.start = start;
    }

    std::size_t groups_seen() const { return groups_.size(); }
    // All groups that anybody was seen to have, with their members.
    std::map<GroupId, raft::Members> groups() const;

    // When everything is quiet: does every running replica have all that is committed, durably? Of
    // a node whose disk was damaged only this is asked: if it runs, has it got back all that it
    // knows to be damaged?
    bool settled() const;
    // And then: is it the same on all disks, to the byte? And what is known of producers?
    std::optional<Finding> compare_prefixes();

    // Hears of each change of a replica: of its role, vote, log or what it knows to be committed.
    using Changes = std::function<void(NodeId, GroupId, const raft::Consensus&)>;
    void on_change(Changes changes) { changes_ = std::move(changes); }

    // Since this was last asked.
    std::vector<Moment> take_moments() { return std::exchange(moments_, {}); }

    // How often a replica has become a leader.
    std::uint64_t elections() const { return elections_; }

    // Of each group: since when there was a leader of which term.
    struct Elected {
        Term term;
        Duration when{0};
    };
    const std::map<GroupId, std::vector<Elected>>& elected() const { return elected_; }

private:
    static bool is_whole(const raft::Host& host);
    // What tells that a replica may have changed.
    struct Look {
        std::uint64_t boot = 0;
        raft::Role role = raft::Role::follower;
        raft::Vote vote, durable_vote;
        Position end, durable_end, committed;
        Position told, start; // By the Group, to who serves clients.
        std::uint64_t barriers_asked = 0, barriers_passed = 0;
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
        // Before this index, what each replica calls durable was looked for on its disk, and found.
        // Which files the disk had in use then, tells `lives`.
        struct Verified {
            std::int64_t index = 0;
            std::uint64_t lives = 0;
        };
        std::map<NodeId, Verified> verified;
        std::map<NodeId, std::uint64_t> disks; // The number of the one that each replica is on.
        Offset trimmed;                        // Somebody has deleted all records before it.
    };
    // What a node's disk had when it was started.
    struct Promise {
        std::uint64_t boot = 0;
        bool kept = false; // It has recovered, and was asked.
        std::map<GroupId, NodeMedia::Entries> entries;
        NodeMedia::Known known; // What of the journal said so.
    };

    // What has changed since the last look, if anything has.
    struct Changed {
        GroupState& group;
        Look before, now;
        bool started; // This is another process, with another replica.
    };
    // Calls `visit(node, replica, group)` for each that may have changed in this step, until it has
    // found something.
    template <class Visit>
    std::optional<Finding> each_changed(const Visit& visit);
    std::optional<Changed> look_at(NodeId node, const raft::Group& of, GroupId id);
    void note_moments(NodeId node, GroupId group, const Look& before, const Look& now);
    std::optional<Finding> check_node(NodeId node);
    std::optional<Finding> check_replica(NodeId node, const raft::Group& group, GroupId id);
    std::optional<Finding> check_durable(NodeId node, const raft::Group& replica, GroupState& group,
                                         bool started);
    std::optional<Finding> check_recovered(NodeId node, const raft::Host& host);
    bool has_recovered(NodeId node, const raft::Group& group, const NodeMedia::Entry& entry,
                       const NodeMedia::Known& known);
    std::optional<Finding> check_catalogue(NodeId node);
    std::optional<Finding> check_commit(GroupId id, GroupState& group,
                                        const raft::Consensus& leader);
    std::optional<Finding> note_given_up(NodeId node, GroupId id, const raft::Consensus& replica,
                                         const Changed& changed);
    const NodeMedia::Entry* given_up_entry(NodeId node, GroupId id, std::int64_t index) const;
    bool had_batch(NodeId node, const Produce& produce);
    std::optional<Finding> check_acknowledged();
    std::int32_t count_reduced(const Produce& produce);
    bool is_trimmed(const Produce& produce) const;

    Cluster& cluster_;
    std::map<NodeId, NodeMedia>& media_;
    const History& history_;
    std::map<GroupId, GroupState> groups_;
    Changes changes_;
    std::function<bool(const std::string& topic)> deleted_;
    WhichGroup which_group_;
    std::map<NodeId, Seen> seen_;
    std::set<GroupId> deleted_groups_; // By somebody, with their topics.
    std::vector<Moment> moments_;
    std::map<NodeId, Promise> promises_;
    // Of disks that were given up: what had been durable there. It counts for what was acknowledged
    // by then, and so for nothing that it does not have, until the replica is level again.
    std::map<NodeId, std::map<GroupId, NodeMedia::Entries>> given_up_;
    std::map<NodeId, std::uint64_t> given_up_for_;                // For the disk of this number.
    std::map<NodeId, std::map<GroupId, NodeMedia::Entries>> had_; // When a harmed one was started.
    std::map<NodeId, std::uint64_t> facts_seen_;                  // Which generation.
    std::map<std::string, sim::Facts::Map> catalogues_;           // By how much was applied.
    std::size_t acknowledged_ = 0; // Of the history's stored ones: these have been checked.
    std::uint64_t elections_ = 0;
    std::map<GroupId, std::vector<Elected>> elected_;
};

} // namespace pyralog::simtest
