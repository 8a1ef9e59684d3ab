// server/admin/observer.h
//
// Looks on at a node that serves: which partitions are well and why others are not, how it is with
// the peers, and how much went through in the last minutes. It changes nothing. What it finds out
// is found out when somebody asks, but for two things that need a memory: since when a follower
// lags, and the history. For those it looks by itself every now and then.
#pragma once

#include "server/admin/verdict.h"
#include "server/node.h"

#include <deque>
#include <map>
#include <string>
#include <vector>

namespace pyralog::server {

struct PartitionSeen {
    std::string topic; // Empty: the controller's own group.
    std::int32_t index = 0;
    GroupId group;
    PartitionFacts facts;
    Verdict verdict;
    // Of the replica on this node, if there is one: facts.is_here.
    Offset start, committed, end;
    std::optional<NodeId> preferred; // Who was to lead it when it was made.
};

// What happened between two looks, an interval apart.
struct Moment {
    WallTime at;
    std::uint64_t records_written = 0, requests = 0, errors = 0, bytes_in = 0, bytes_out = 0;
    std::uint64_t produces = 0;
    std::int64_t produce_p50_us = 0, produce_p99_us = 0; // Zero if there were none.
    std::int64_t connections = 0;
    std::int64_t entries_behind = 0; // What followers of what is led here lack, all together.
};

class Observer {
public:
    static constexpr Duration interval = 2s;
    static constexpr std::size_t moments_max = 150; // Five minutes.

    explicit Observer(const Node& node) : node_(node), began_(node.env.clock.now()) {}

    // Looks, until cancelled.
    Result<> run();
    void look();

    // Of all topics, in their order; and the controller's own group.
    PartitionSeen controller() const;
    PartitionSeen partition(const Topic& topic, std::int32_t index) const;

    // Why this node cannot serve; empty if it can.
    std::vector<std::string> unready() const;

    const std::deque<Moment>& history() const { return history_; }

    // How far consumer groups lag.
    struct GroupLag {
        std::int64_t records = 0; // As far as it is known here,
        std::int64_t unknown = 0; // and of so many partitions it is not.
    };
    // By group and topic. Waits: it reads what was committed.
    std::map<std::pair<std::string, std::string>, GroupLag> group_lags(bool& is_cut_short) const;
    // Where the log of a partition ends for consumers, if this node has it.
    std::optional<Offset> end_of(std::string_view topic, std::int32_t partition) const;

    // What nobody counts, for /metrics. Waits, as group_lags() does.
    void gather(Metrics::Families& families) const;

    const Node& node() const { return node_; }

private:
    PartitionSeen view(GroupId group, std::vector<NodeId> replicas) const;
    void look_at_followers(Time now);
    void look_at_totals(Time now);
    void gather_node(Metrics::Families& families) const;
    void gather_partitions(Metrics::Families& families) const;
    void gather_groups(Metrics::Families& families) const;

    const Node& node_;
    const Time began_;
    std::map<GroupId, std::int64_t> ends_;              // Of what is led here, at the last look.
    std::map<std::pair<GroupId, NodeId>, Time> behind_; // Followers that lack some of that, since.
    std::int64_t entries_behind_ = 0;

    std::deque<Moment> history_;
    std::uint64_t records_then_ = 0;
    RequestMeter::Totals totals_then_;
    Metrics::Histogram::Buckets produces_then_{};
};

// The value that so many per mille of the samples in these buckets do not exceed, as well as the
// buckets tell: within one they count as evenly spread. Zero if there are none.
std::int64_t quantile(const Metrics::Histogram::Buckets& buckets, std::uint64_t per_mille);

// Names what gather() tells.
void foretell_observations(Metrics& metrics);

} // namespace pyralog::server
