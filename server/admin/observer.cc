#include "server/admin/observer.h"

#include <algorithm>
#include <numeric>

namespace pyralog::server {

namespace {

// What a follower lacks. A leader that has not heard of it since it was elected does not know.
std::optional<std::int64_t> lacks(const raft::Consensus& leader, const raft::Progress& follower) {
    if (follower.is_probing() && follower.matched() == Position()) return {};
    return std::max<std::int64_t>(leader.end().index - follower.matched().index, 0);
}

} // namespace

Result<> Observer::run() {
    for (;;) {
        TRY(node_.env.fibers.sleep_until(node_.env.clock.now() + interval));
        look();
    }
}

void Observer::look() {
    const Time now = node_.env.clock.now();
    look_at_followers(now);
    look_at_totals(now);
}

// A follower keeps up if by each look it has all that was there at the one before: under load it
// always lacks a little.
void Observer::look_at_followers(Time now) {
    std::map<GroupId, std::int64_t> ends;
    std::map<std::pair<GroupId, NodeId>, Time> behind;
    entries_behind_ = 0;
    for (const auto& [id, group] : node_.host.groups()) {
        if (!group->leads()) continue;
        const raft::Consensus& consensus = group->consensus();
        const auto then = ends_.find(id);
        for (const NodeId follower : consensus.members().voters) {
            const raft::Progress* const progress = consensus.progress(follower);
            if (!progress) continue; // That is us.
            const std::int64_t matched = progress->matched().index;
            entries_behind_ += lacks(consensus, *progress).value_or(0);
            if (then == ends_.end() || matched >= then->second) continue;
            const auto known = behind_.find({id, follower});
            behind[{id, follower}] = known == behind_.end() ? now - interval : known->second;
        }
        ends[id] = consensus.end().index;
    }
    ends_ = std::move(ends);
    behind_ = std::move(behind);
}

void Observer::look_at_totals(Time) {
    const RequestMeter::Totals& totals = node_.requests.totals();
    Moment moment;
    moment.at = node_.env.clock.wall();
    moment.records_written = node_.records_written.value() - records_then_;
    moment.requests = totals.requests - totals_then_.requests;
    moment.errors = totals.errors - totals_then_.errors;
    moment.bytes_in = totals.bytes_in - totals_then_.bytes_in;
    moment.bytes_out = totals.bytes_out - totals_then_.bytes_out;
    moment.connections = node_.connections.value();
    moment.entries_behind = entries_behind_;
    if (const auto* const produces = node_.requests.produce_times()) {
        Metrics::Histogram::Buckets since = *produces;
        for (std::size_t i = 0; i < since.size(); ++i) since[i] -= produces_then_[i];
        moment.produces = std::accumulate(since.begin(), since.end(), std::uint64_t{0});
        moment.produce_p50_us = quantile(since, 500);
        moment.produce_p99_us = quantile(since, 990);
        produces_then_ = *produces;
    }
    records_then_ = node_.records_written.value();
    totals_then_ = totals;
    history_.push_back(moment);
    if (history_.size() > moments_max) history_.pop_front();
}

PartitionSeen Observer::controller() const {
    return view(controller_group, node_.config.member_ids());
}

PartitionSeen Observer::partition(const Topic& topic, std::int32_t index) const {
    const Topic::Partition& partition = topic.partitions.at(static_cast<std::size_t>(index));
    PartitionSeen seen = view(partition.group, partition.replicas);
    seen.topic = topic.name;
    seen.index = index;
    return seen;
}

PartitionSeen Observer::view(GroupId id, std::vector<NodeId> replicas) const {
    const Time now = node_.env.clock.now();
    PartitionSeen seen;
    seen.group = id;
    if (!replicas.empty()) seen.preferred = replicas.front();
    PartitionFacts& facts = seen.facts;
    facts.replicas = std::move(replicas);
    facts.leader = node_.host.leader_of(id);
    facts.term = node_.host.term_of(id);
    for (const auto& peer : node_.host.transport().peers())
        if (!peer.is_connected && std::ranges::count(facts.replicas, peer.node) > 0)
            facts.unreachable.push_back({peer.node, now - peer.since});
    const auto found = node_.host.groups().find(id);
    if (found != node_.host.groups().end()) {
        const raft::Group& group = *found->second;
        facts.is_here = true;
        facts.role = group.consensus().role();
        facts.serves = group.serves();
        facts.abstains = group.consensus().abstains();
        facts.unheard = group.consensus().unheard();
        facts.strangers = node_.host.disks().strangers();
        facts.damages = group.log().damages().size();
        facts.journal_is_full = node_.host.is_backlogged();
        facts.disk_is_short = node_.space.is_short();
        if (const auto since = node_.host.disk_hangs_since()) facts.disk_hangs_for = now - *since;
        seen.start = group.log().log_start().offset;
        seen.committed = group.committed().offset;
        seen.end = group.log().end().offset;
        for (const NodeId replica : facts.replicas) {
            const raft::Progress* const progress = group.consensus().progress(replica);
            if (!group.leads() || !progress) continue;
            const auto since = behind_.find({id, replica});
            facts.behind.push_back({replica, lacks(group.consensus(), *progress),
                                    since == behind_.end() ? Duration(0) : now - since->second});
        }
    }
    seen.verdict = judge(facts);
    return seen;
}

std::vector<std::string> Observer::unready() const {
    std::vector<std::string> reasons;
    const Time now = node_.env.clock.now();
    const PartitionSeen controller = this->controller();
    if (!controller.facts.leader)
        reasons.push_back("nobody is known to lead the cluster: " + controller.verdict.why);
    if (!node_.controller.catalogue().nodes().contains(node_.config.id()))
        reasons.push_back("the cluster has not yet been told where this node is reached");
    if (const auto since = node_.host.disk_hangs_since())
        reasons.push_back("the disk has not answered for " + in_words(now - *since));
    return reasons;
}

std::optional<Offset> Observer::end_of(std::string_view topic, std::int32_t partition) const {
    const Topic::Partition* const found = node_.controller.catalogue().find(topic, partition);
    if (!found) return {};
    const auto group = node_.host.groups().find(found->group);
    if (group == node_.host.groups().end()) return {};
    return group->second->committed().offset;
}

std::map<std::pair<std::string, std::string>, Observer::GroupLag>
Observer::group_lags(bool& is_cut_short) const {
    std::map<std::pair<std::string, std::string>, GroupLag> lags;
    const Result<bool> looked = node_.groups.look_at_offsets(
        [&](const wire::kafka::OffsetKey& about, const wire::kafka::OffsetValue& value) {
            GroupLag& lag = lags[{about.group, about.topic}];
            if (const auto end = end_of(about.topic, about.partition))
                lag.records += std::max<std::int64_t>(*end - Offset(value.offset), 0);
            else
                ++lag.unknown;
        });
    is_cut_short = !looked.ok() || looked.value();
    return lags;
}

std::int64_t quantile(const Metrics::Histogram::Buckets& buckets, std::uint64_t per_mille) {
    const std::uint64_t count = std::accumulate(buckets.begin(), buckets.end(), std::uint64_t{0});
    if (count == 0) return 0;
    const std::uint64_t rank = std::max<std::uint64_t>((count * per_mille + 999) / 1000, 1);
    std::uint64_t before = 0;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
        if (before + buckets[i] < rank) {
            before += buckets[i];
            continue;
        }
        const std::int64_t low = i == 0 ? 0 : Metrics::Histogram::bound(i - 1);
        const std::int64_t width = Metrics::Histogram::bound(i) - low;
        return low + width * static_cast<std::int64_t>(rank - before) /
                         static_cast<std::int64_t>(buckets[i]);
    }
    return 0;
}

} // namespace pyralog::server
