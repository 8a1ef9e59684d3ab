// raft/host.h
//
// All groups of a node: recovery, the next deadline, one sync for all, and messages to their group.
//
// Whoever needs the disk hands in its effects, and one fiber syncs for everybody: whatever gathered
// while one sync ran shares the next. That is all the batching there is, and it keeps step with the
// disk by itself.
//
// A node whose disk hangs leads nothing. Heartbeats need no disk, so its followers would stay with
// it for ever, while its journal's queue is full and refuses all records, and old records cannot be
// read. After two election timeouts within one sync its leaders step down, and nobody on this node
// stands until the sync has ended. A leader to whom nobody writes asks the disk now and then, lest
// the first who does finds out.
//
// A replica that cannot read its own log does not lead it, as long as another one can: followers
// are content with its heartbeats, and whoever wants to read would ask in vain for ever.
#pragma once

#include "core/log/config.h"
#include "core/log/journal.h"
#include "core/log/read_ahead.h"
#include "core/log/segment_writer.h"
#include "raft/acquaintance.h"
#include "raft/group.h"
#include "raft/low_water.h"
#include "raft/producer_keeper.h"
#include "raft/repair.h"
#include "raft/transport.h"

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace pyralog::raft {

class Host {
public:
    struct Settings {
        const RaftConfig& raft;
        const JournalConfig& journal;
        const LogConfig& log;
        const TransportConfig& transport;
    };
    struct Member {
        GroupId group;
        wire::Members members;
        // Of its log, where they are not those of the node.
        std::optional<std::size_t> segment_bytes = {};
        std::optional<Duration> segment_age = {};
    };

    // What tells a node's journal from another's: cluster and node, as a number.
    static std::uint64_t journal_identity(std::string_view cluster, NodeId node);

    Host(Environment&, Settings, wire::Hello self, std::vector<Transport::Peer> peers);
    ~Host();

    // Recovers these groups from the disk; what it holds of others is forgotten: they were deleted.
    // Of `untold` and those that follow it nobody has ever told this node. Error::corrupt if the
    // disk holds one of them all the same, so that whoever knew of it has lost that; and if what
    // was durable is damaged. Of these a node with peers gives up what it has promised, sets its
    // journal aside and begins with what is in segments: all its replicas abstain then, until the
    // others have brought them level.
    static constexpr GroupId none_untold{std::numeric_limits<std::int64_t>::max()};
    Result<> open(const std::vector<Member>& groups, GroupId untold = none_untold);

    // Agrees with the peers, until cancelled or until the disk has failed. Once, after open().
    Result<> run(std::unique_ptr<Listener> listener);

    // A new group on this node, which stands for election at once if it is to `campaign`.
    // Error::already_exists.
    Result<> create(const Member& group, bool campaign);

    // Waits until nobody uses it any more, and removes its files.
    Result<> remove(GroupId group);

    // Empty if it is not, or no longer, on this node.
    GroupRef find(GroupId group);

    // Who leads, as far as this node has heard, of groups here and elsewhere.
    std::optional<NodeId> leader_of(GroupId group) const;
    Term term_of(GroupId group) const;

    // Asks whoever leads the group to let `to` lead it. Does not wait, and nobody promises
    // anything.
    void ask_to_hand_over(GroupId group, NodeId to);

    // A message that is not Raft's, from a peer and about this group. Must not wait. Nothing:
    // nobody hears them any more.
    using Other = std::function<void(NodeId from, wire::PeerMessage message)>;
    void on_other(GroupId about, Other other) { others_[about] = std::move(other); }
    // A group here has got a leader or lost it, or one elsewhere has got one. Must not wait.
    void on_leader_changed(std::function<void(GroupId)> changed) {
        leader_changed_ = std::move(changed);
    }

    // See LowWater::ask().
    Result<Position> compacted_everywhere(const Group& group) { return low_water_.ask(group); }

    // Of logs whose group says nothing else.
    const LogConfig& log_config() const { return settings_.log; }

    Transport& transport() { return transport_; }
    const Transport& transport() const { return transport_; }
    const Acquaintance& disks() const { return disks_; }
    const std::set<GroupId>& abstaining() const { return abstaining_; } // In these groups.
    NodeId self() const { return self_; }
    // Groups in the order of their ids, for those who look at all of them between two waits.
    const std::map<GroupId, std::unique_ptr<Group>>& groups() const { return groups_; }
    bool is_backlogged() const; // Clients are to wait,
    bool is_full() const;       // and leaders too.
    // Since when the disk has owed an answer, if it owes one for so long that nobody leads here.
    std::optional<Time> disk_hangs_since() const;

private:
    friend class Group;
    friend class GroupRef;
    friend class Repair;
    friend class ProducerKeeper;

    struct Unsaved {
        GroupId group;
        Effects effects;
    };

    Result<> recover(const std::vector<Member>& groups, GroupId untold);
    Result<> forget_others(GroupId untold);
    Result<> open_logs(const std::vector<Member>& groups,
                       std::map<GroupId, std::unique_ptr<Log>>& logs);
    void forget_recovery();
    Result<> begin_anew(); // Only with planted bugs.
    bool may_give_up(const std::vector<Member>& groups) const;
    Result<> give_up(const std::vector<Member>& groups);
    Result<> set_aside(const std::vector<Member>& groups);
    Result<bool> fits(const Member& member, const std::map<GroupId, LogStart>& starts);
    Result<wire::Vote> recovered_vote(const Log& log) const;
    Result<> tell_of_abstention();
    void lose_votes();
    Result<> sync_all();
    Result<> keep_deadlines();
    Result<> watch_disk();
    bool leads_any() const;
    void tick(Group& group, Time now);
    void tick_other_leaders(Time now);
    bool disk_hangs(Time now) const;
    void receive(NodeId from, wire::PeerMessage message);
    void peer_connected(NodeId peer);
    void tell_that_it_leads(NodeId node, const Group& group);
    Result<> tell_again();
    bool tells_in_any_order(NodeId peer); // Only with planted bugs.
    LogConfig log_config(const Member& member) const;
    std::unique_ptr<Group> make_group(const Member& member, std::unique_ptr<Log> log,
                                      wire::Vote vote);

    // From groups.
    void when_durable(Group& group, Effects effects);
    void deadline_changed(Group& group);
    void leader_changed(Group& group);
    void abstention_changed(Group& group);
    void released(); // The last GroupRef of some group has gone.

    struct Leader {
        Term term;
        std::optional<NodeId> node;
    };

    Environment& env_;
    const Settings settings_;
    const NodeId self_;
    const std::uint64_t identity_; // Of its journal.
    Acquaintance disks_;
    ReadAhead read_ahead_;
    TailBudget budget_;
    std::unique_ptr<Journal> journal_;
    std::unique_ptr<SegmentWriter> segment_writer_;
    Transport transport_;
    std::unique_ptr<Repair> repair_;
    LowWater low_water_;
    ProducerKeeper producers_;
    std::map<GroupId, std::unique_ptr<Group>> groups_;
    std::map<GroupId, Leader> leaders_elsewhere_;
    std::deque<std::pair<NodeId, wire::PeerMessage>> early_; // For groups that are not here yet.
    std::set<std::pair<Time, GroupId>> deadlines_;
    std::map<GroupId, Time> deadline_of_;
    std::vector<Unsaved> unsaved_;   // Effects that wait for the next sync,
    std::vector<Unsaved> saving_;    // and those that wait for the one under way.
    std::optional<Time> sync_began_; // Of the one under way.
    std::optional<Time> ask_began_;  // The same of a question to the disk.
    Time disk_answered_;             // To either.
    std::set<GroupId> abstaining_;
    Condition unsaved_changed_;
    std::set<std::pair<NodeId, GroupId>> untold_; // Who is still to hear that this node leads.
    Condition untold_changed_;
    Condition deadlines_changed_;
    Condition unused_;
    std::map<GroupId, Other> others_;
    std::function<void(GroupId)> leader_changed_;
    Scope* running_ = nullptr; // While run() runs: for reads on behalf of slow followers.
    Metrics::Gauge groups_gauge_;
    Metrics::Counter elections_;
    Metrics::Gauge abstaining_gauge_;
    Metrics::Counter given_up_;
};

} // namespace pyralog::raft
