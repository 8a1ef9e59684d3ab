// What an Observer adds to /metrics. Lines for single partitions and groups are written up to
// admin.series_max of each, in the order of their names; the sums are of all.
#include "server/admin/observer.h"

#include <algorithm>
#include <array>

namespace pyralog::server {

namespace {

using Families = Metrics::Families;

struct Family {
    std::string_view name, help;
};

constexpr Family ready{"pyralog_ready", "1 while this node can serve: what /readyz says."};
constexpr Family uptime{"pyralog_uptime_seconds", "For how long this node has been serving."};
constexpr Family controller_known{"pyralog_controller_known",
                                  "1 while this node knows who leads the cluster."};
constexpr Family nodes_up{
    "pyralog_nodes_up", "Nodes of the cluster, this one included, that can be reached from here."};
constexpr Family nodes{"pyralog_nodes", "Nodes of the cluster."};
constexpr Family peer_up{"pyralog_peer_up", "1 while the stream to a peer is up."};
constexpr Family peer_seconds{"pyralog_peer_state_seconds",
                              "For how long the stream to a peer has been up, or down."};
constexpr Family peer_queue{"pyralog_peer_queue_bytes", "What waits to be sent to a peer."};
constexpr Family disk_hangs{"pyralog_disk_hangs_seconds",
                            "For how long the disk has not answered; 0 while it does."};
constexpr Family disk_short{"pyralog_disk_is_short",
                            "1 while new records are refused because the disk is nearly full."};
constexpr Family journal_full{"pyralog_journal_is_full",
                              "1 while new records wait because the journal is full."};
constexpr Family request_memory{"pyralog_requests_held_bytes",
                                "Memory for requests of clients that are not answered yet."};
constexpr Family answer_memory{"pyralog_answers_held_bytes",
                               "Memory for records that were fetched and are not sent yet."};
constexpr Family fetch_sessions{"pyralog_fetch_sessions",
                                "Clients of which it is remembered what they fetch."};
constexpr Family session_memory{"pyralog_fetch_sessions_bytes", "The memory for that."};
constexpr Family quota_accounts{"pyralog_quota_accounts",
                                "Clients with a quota, by quota, of which it is known how fast "
                                "they have lately been."};
constexpr Family log_level{"pyralog_log_level", "0 debug, 1 info, 2 warning, 3 error."};

constexpr Family topics{"pyralog_topics", "Topics of the cluster, as far as this node knows."};
constexpr Family here{"pyralog_partitions", "Partitions with a replica on this node."};
constexpr Family led{"pyralog_partitions_led", "Partitions that this node leads."};
constexpr Family without_leader{"pyralog_partitions_without_leader",
                                "Partitions of the cluster of which this node knows no leader; "
                                "/v1/partitions says why."};
constexpr Family under_replicated{
    "pyralog_partitions_under_replicated",
    "Partitions led here of which a replica cannot be reached, or has "
    "not caught up for 10 s."};
constexpr Family damaged{"pyralog_partitions_damaged",
                         "Partitions of which some of the log on this node cannot be read."};
constexpr Family damages{"pyralog_log_damages",
                         "Places of logs on this node that cannot be read, as far as is known; of "
                         "each log 64 at most."};
constexpr Family refusing{"pyralog_partitions_refusing",
                          "Partitions led here that take no records for now."};
constexpr Family not_preferred{"pyralog_partitions_not_preferred",
                               "Partitions led here that were to be led by another node."};
constexpr Family left_out{"pyralog_partitions_left_out",
                          "Partitions on this node beyond admin.series_max, which have no lines of "
                          "their own."};

constexpr Family leader{"pyralog_partition_leader",
                        "Of each partition on this node: the number of the node that leads, 0 if "
                        "none is known."};
constexpr Family term{"pyralog_partition_term",
                      "Of each partition on this node: its term, which rises with each leader."};
constexpr Family start_offset{"pyralog_partition_start_offset",
                              "Of each partition on this node: where its log begins."};
constexpr Family committed_offset{
    "pyralog_partition_committed_offset",
    "Of each partition on this node: where it ends for consumers, as far as this node knows."};
constexpr Family end_offset{"pyralog_partition_end_offset",
                            "Of each partition on this node: where its log ends here."};
constexpr Family behind_entries{
    "pyralog_follower_behind_entries",
    "Of each follower of a partition led here: what it lacks, in batches."};
constexpr Family behind_seconds{
    "pyralog_follower_behind_seconds",
    "Of each follower of a partition led here: for how long it has not caught up; 0 if it does."};

constexpr Family group_members{"pyralog_consumer_group_members",
                               "Members of all consumer groups that this node coordinates."};
constexpr Family group_states{"pyralog_consumer_groups_by_state",
                              "Consumer groups that this node coordinates, by their state."};
constexpr Family group_lag{"pyralog_consumer_group_lag",
                           "Records of a topic that a group has not yet committed, of the "
                           "partitions that have a replica on the coordinating node."};
constexpr Family group_unknown{
    "pyralog_consumer_group_partitions_unknown",
    "Partitions of which the lag of a group is not known on the coordinating node."};
constexpr Family groups_left_out{
    "pyralog_consumer_group_lag_left_out",
    "Groups and topics beyond admin.series_max, which have no lines of "
    "their own."};

constexpr std::array<Family, 39> all{ready,
                                     uptime,
                                     controller_known,
                                     nodes_up,
                                     nodes,
                                     peer_up,
                                     peer_seconds,
                                     peer_queue,
                                     disk_hangs,
                                     disk_short,
                                     journal_full,
                                     request_memory,
                                     answer_memory,
                                     fetch_sessions,
                                     session_memory,
                                     quota_accounts,
                                     log_level,
                                     topics,
                                     here,
                                     led,
                                     without_leader,
                                     under_replicated,
                                     damaged,
                                     damages,
                                     refusing,
                                     not_preferred,
                                     left_out,
                                     leader,
                                     term,
                                     start_offset,
                                     committed_offset,
                                     end_offset,
                                     behind_entries,
                                     behind_seconds,
                                     group_members,
                                     group_states,
                                     group_lag,
                                     group_unknown,
                                     groups_left_out};

void tell(Families& families, const Family& known, std::int64_t value,
          std::string_view labels = {}) {
    families.gauge(known.name, known.help, value, labels);
}

std::string label(std::string_view name, NodeId node) {
    return metrics_label(name, std::to_string(node.value));
}

std::int64_t seconds(Duration time) { return time.count() / 1'000'000'000; }

struct Sums {
    std::int64_t here = 0, led = 0, without_leader = 0, under_replicated = 0, damaged = 0;
    std::int64_t damages = 0, refusing = 0, not_preferred = 0, left_out = 0;

    void add(const PartitionSeen& seen) {
        const PartitionFacts& facts = seen.facts;
        const bool leads = facts.is_here && facts.role == raft::Role::leader;
        here += facts.is_here;
        led += leads;
        without_leader += !facts.leader;
        under_replicated += leads && seen.verdict.is_under_replicated;
        damaged += facts.damages > 0;
        damages += static_cast<std::int64_t>(facts.damages);
        refusing += seen.verdict.state == Verdict::State::refusing;
        not_preferred += leads && seen.preferred != facts.leader;
    }
};

void tell(Families& families, const Sums& sums) {
    tell(families, here, sums.here);
    tell(families, led, sums.led);
    tell(families, without_leader, sums.without_leader);
    tell(families, under_replicated, sums.under_replicated);
    tell(families, damaged, sums.damaged);
    tell(families, damages, sums.damages);
    tell(families, refusing, sums.refusing);
    tell(families, not_preferred, sums.not_preferred);
    tell(families, left_out, sums.left_out);
}

void tell(Families& families, const PartitionSeen& seen) {
    const PartitionFacts& facts = seen.facts;
    const std::string which = metrics_label("topic", seen.topic) + ',' +
                              metrics_label("partition", std::to_string(seen.index));
    tell(families, leader, facts.leader ? facts.leader->value : 0, which);
    tell(families, term, facts.term.value, which);
    tell(families, start_offset, seen.start.value, which);
    tell(families, committed_offset, seen.committed.value, which);
    tell(families, end_offset, seen.end.value, which);
    for (const PartitionFacts::Behind& one : facts.behind) {
        const std::string follower = which + ',' + label("follower", one.node);
        if (one.entries) tell(families, behind_entries, *one.entries, follower);
        tell(families, behind_seconds, seconds(one.lasting), follower);
    }
}

} // namespace

void foretell_observations(Metrics& metrics) {
    for (const Family& known : all) metrics.foretell(known.name, "gauge", known.help);
}

void Observer::gather(Families& families) const {
    gather_node(families);
    gather_partitions(families);
    gather_groups(families);
}

void Observer::gather_node(Families& families) const {
    const Time now = node_.env.clock.now();
    const auto peers = node_.host.transport().peers();
    const auto hangs = node_.host.disk_hangs_since();
    tell(families, ready, unready().empty());
    tell(families, uptime, seconds(now - began_));
    tell(families, controller_known, node_.host.leader_of(controller_group).has_value());
    tell(families, nodes, static_cast<std::int64_t>(node_.config.member_ids().size()));
    tell(families, nodes_up,
         1 + std::ranges::count_if(peers, [](const auto& peer) { return peer.is_connected; }));
    for (const auto& peer : peers) {
        const std::string which = label("peer", peer.node);
        tell(families, peer_up, peer.is_connected, which);
        tell(families, peer_seconds, seconds(now - peer.since), which);
        tell(families, peer_queue, static_cast<std::int64_t>(peer.queue_bytes), which);
    }
    tell(families, disk_hangs, hangs ? seconds(now - *hangs) : 0);
    tell(families, disk_short, node_.space.is_short());
    tell(families, journal_full, node_.host.is_backlogged());
    tell(families, request_memory, static_cast<std::int64_t>(node_.request_bytes.taken()));
    tell(families, answer_memory, static_cast<std::int64_t>(node_.answer_bytes.taken()));
    tell(families, fetch_sessions, static_cast<std::int64_t>(node_.fetch_sessions.size()));
    tell(families, session_memory, static_cast<std::int64_t>(node_.fetch_sessions.bytes()));
    tell(families, quota_accounts, static_cast<std::int64_t>(node_.quotas.accounts()));
    tell(families, log_level, static_cast<std::int64_t>(node_.env.log.least()));
}

void Observer::gather_partitions(Families& families) const {
    Sums sums;
    const auto& all_topics = node_.controller.catalogue().topics();
    std::int64_t told = 0;
    for (const auto& [name, topic] : all_topics) {
        for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
            const PartitionSeen seen = partition(topic, static_cast<std::int32_t>(i));
            sums.add(seen);
            if (!seen.facts.is_here) continue;
            if (told == node_.config.admin.series_max) {
                ++sums.left_out;
                continue;
            }
            ++told;
            tell(families, seen);
        }
    }
    tell(families, topics, static_cast<std::int64_t>(all_topics.size()));
    tell(families, sums);
}

void Observer::gather_groups(Families& families) const {
    std::int64_t members = 0;
    std::map<std::string_view, std::int64_t> states;
    for (const auto phase : {GroupState::Phase::empty, GroupState::Phase::preparing,
                             GroupState::Phase::completing, GroupState::Phase::stable})
        states[to_string(phase)] = 0;
    node_.groups.for_each([&](const std::string&, const GroupState& group) {
        members += static_cast<std::int64_t>(group.members().size());
        ++states[to_string(group.phase())];
    });
    tell(families, group_members, members);
    for (const auto& [state, count] : states)
        tell(families, group_states, count, metrics_label("state", state));
    bool is_cut_short = false;
    std::int64_t told = 0, untold = 0;
    for (const auto& [which, lag] : group_lags(is_cut_short)) {
        if (told == node_.config.admin.series_max) {
            ++untold;
            continue;
        }
        ++told;
        const std::string of =
            metrics_label("group", which.first) + ',' + metrics_label("topic", which.second);
        tell(families, group_lag, lag.records, of);
        tell(families, group_unknown, lag.unknown, of);
    }
    tell(families, groups_left_out, untold);
}

} // namespace pyralog::server
