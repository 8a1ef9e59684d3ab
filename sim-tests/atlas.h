// sim-tests/atlas.h
//
// Says which disks may be damaged in a run. Damage is what no disk admits to: bits that flip,
// sectors that cannot be read any more, writes that were acknowledged and are lost or elsewhere, a
// sync that lies. A node may refuse to start for that, and nothing repairs its disk then, so a node
// with any damage counts as gone with all its copies. If it starts it has to get back from the
// others all that it knows to be damaged (ClusterCheck::settled).
//
// So there may be damage on at most a minority of the copies of anything. Every node may hold a
// copy of any group, and groups are made at any time; so what counts is the group with the fewest
// copies: with three of each, one node, with five, two.
//
// In unlimited mode any node may be damaged, and any number of them. Then this is demanded:
//   - every oracle that looks after each step stays as it is: Raft's properties, and that what is
//     committed or acknowledged is on enough media at that moment;
//   - whoever is told something is told what holds: no record that was never sent, no wrong byte,
//     no two records at one offset, no acknowledged record missing from a log that somebody could
//     read to its end after all;
//   - a node may refuse to start, a partition may refuse to serve, for ever, if it is proved that
//     what they need is not there any more (excuse.h); whoever has no such excuse has to serve.
//
// In both modes damage strikes only what is settled: what the disk itself shows to have been
// durable (NodeMedia::settled). Not what was written last and nothing follows, which in the journal
// is the newest round of a file, until a seal or another round follows it: no node could tell that
// it is gone from a write that a power cut had ended. It would forget what it has acknowledged and
// go on to vote, and one other node that never had the record is then enough to lose it. A disk on
// which the last write is lost is a disk on which it was never made.
#pragma once

#include "sim-tests/cluster.h"

#include <cstddef>

namespace pyralog::simtest {

class Atlas {
public:
    Atlas(const Cluster& cluster, const Plan& plan);

    // May this one be damaged now, or damaged again?
    bool allows(NodeId node) const;

    bool unlimited() const { return unlimited_; }
    std::size_t damaged_max() const { return damaged_max_; }

private:
    const Cluster& cluster_;
    const bool unlimited_;
    const std::size_t damaged_max_;
};

// Of the group with the fewest copies, in any run of this plan.
std::size_t copies_least(const Plan& plan);

} // namespace pyralog::simtest
