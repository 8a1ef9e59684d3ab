// sim-tests/ambush.h
//
// Strikes at the moments that matter, which a fault that comes at any time seldom meets: right
// behind a vote, while an entry is on its way to the disks, while many entries are that had to wait
// for one, when a leader has spoken and has not heard the answers. Only with faults of the classes
// that the run has anyway, and only so often. And it tells the prober when to ask.
#pragma once

#include "sim-tests/check_cluster.h"
#include "sim-tests/cluster.h"
#include "sim-tests/prober.h"

namespace pyralog::simtest {

class Ambush {
public:
    Ambush(Cluster& cluster, const Plan& plan, Prober* prober);

    // So many ends of transactions have been asked for: what decides the newest will soon be
    // written.
    void expect(std::uint64_t ends);
    // What has just happened to a replica.
    void notice(const Moment& moment);
    // No more strikes.
    void stop() { active_ = false; }

private:
    void later(Duration delay, std::function<void()> action);
    Duration soon();
    bool may_strike();
    bool may_strike_at_end(NodeId leader, GroupId group);
    bool holds_transactions(NodeId leader, GroupId group) const;

    void at_vote(NodeId voter);
    void at_candidacy(NodeId candidate, GroupId group);
    void at_append(NodeId leader, GroupId group);
    void pause(NodeId leader, GroupId group);
    void hang_and_depose(NodeId leader, GroupId group);
    void cut_while_writing(NodeId leader, GroupId group);
    void part_from_group(NodeId leader, GroupId group);
    void cut_off(NodeId leader, GroupId group, Duration length);
    NodeId some_node();

    Cluster& cluster_;
    const Plan& plan_;
    Prober* const prober_;
    sim::Dice dice_;
    const Duration election_timeout_;
    const bool lies_in_wait_; // Not in every run: what always strikes hides other things.
    Duration not_before_{0};
    std::uint64_t ends_ = 0;
    Duration end_expected_until_{-1};
    bool active_ = true;
};

} // namespace pyralog::simtest
