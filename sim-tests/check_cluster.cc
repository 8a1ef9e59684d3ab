#include "sim-tests/check_cluster.h"

#include <algorithm>
#include <utility>

namespace pyralog::simtest {

namespace {

constexpr std::string_view applied_key = "controller/applied";
constexpr std::string_view catalogue_prefix = "catalogue/";

std::string group_name(GroupId id) { return "group " + std::to_string(id.value); }

std::string place_of(const LogStart& start) {
    return "index " + std::to_string(start.first.index) + ", offset " +
           std::to_string(start.first.offset.value) + ", to be read from " +
           std::to_string(start.offset.value);
}

std::string on_node(NodeId node, GroupId id) {
    return "node " + std::to_string(node.value) + ", " + group_name(id) + ": ";
}

} // namespace

std::optional<Finding> ClusterCheck::observe() {
    if (auto finding = check_acknowledged()) return finding;
    const NodeId node = cluster_.world().stepped();
    if (node >= first_client) return {};
    if (node.value != 0) return check_node(node);
    // What is stored changes in steps that are nobody's.
    for (const NodeId any : cluster_.nodes())
        if (auto finding = check_catalogue(any)) return finding;
    return {};
}

std::optional<Finding> ClusterCheck::check_node(NodeId node) {
    Promise& promise = promises_[node];
    // It may have given up that disk, and end again before it has begun: so what there was first.
    if (promise.boot != cluster_.boots(node) && cluster_.damaged(node))
        had_.try_emplace(node, media_.at(node).all_entries());
    if (promise.boot != cluster_.boots(node))
        promise = {cluster_.boots(node), false, media_.at(node).all_entries(),
                   media_.at(node).known()};
    if (auto finding = each_changed([&](NodeId on, const raft::Group& group, GroupId id) {
            return check_replica(on, group, id);
        }))
        return finding;
    const raft::Host* host = cluster_.host(node);
    if (!host) return {};
    had_.erase(node); // It has begun, with that or without.
    if (std::exchange(promise.kept, true)) return {};
    return check_recovered(node, *host);
}

// The other half of durable-not-on-media: what is recovered is no less than the disk had, and no
// more than it has.
std::optional<Finding> ClusterCheck::check_recovered(NodeId node, const raft::Host& host) {
    const auto promised = std::exchange(promises_.at(node).entries, {});
    if (cluster_.damaged(node)) return {};
    for (const auto& [id, group] : host.groups()) {
        const auto entries = promised.find(id);
        if (entries == promised.end()) continue;
        for (const auto& [index, entry] : entries->second)
            if (!has_recovered(node, *group, entry, promises_.at(node).known))
                return report(oracle::recovered_less,
                              on_node(node, id) + "index " + std::to_string(index) + " of term " +
                                  std::to_string(entry.term.value) +
                                  " was durable, and is not in the log that was recovered");
    }
    return {};
}

// What the kernel held of a killed process's writes is durable now as well: a cut among it
// overrules what was durable before, and then the replica must have what the disk has now.
bool ClusterCheck::has_recovered(NodeId node, const raft::Group& group,
                                 const NodeMedia::Entry& entry, const NodeMedia::Known& known) {
    const raft::Consensus& replica = group.consensus();
    const std::int64_t index = entry.first.index;
    const auto has = [&](std::optional<Term> term) {
        return index < replica.end().index ? replica.terms().at(index) == term : !term;
    };
    if (index < group.log().start().index || has(entry.term)) return true;
    NodeMedia& media = media_.at(node);
    if (!media.overruled(group.id(), index, known)) return false;
    const NodeMedia::Entry* const now = media.group(group.id()).find(index);
    return has(now ? std::optional(now->term) : std::nullopt);
}

// Read from what is stored, and not from the Controller: so it sees what a power cut would leave.
std::optional<Finding> ClusterCheck::check_catalogue(NodeId node) {
    const sim::Facts& facts = cluster_.world().facts(node);
    if (std::exchange(facts_seen_[node], facts.generation()) == facts.generation()) return {};
    const auto applied = facts.durable().find(applied_key);
    if (applied == facts.durable().end()) return {};
    sim::Facts::Map stored;
    for (auto at = facts.durable().lower_bound(catalogue_prefix);
         at != facts.durable().end() && at->first.starts_with(catalogue_prefix); ++at)
        stored.insert(*at);
    const auto [known, is_new] = catalogues_.try_emplace(applied->second, stored);
    if (is_new || known->second == stored) return {};
    return report(oracle::catalogues_differ,
                  "node " + std::to_string(node.value) + " has applied the commands before " +
                      applied->second + " and stores what another with as many does not");
}

std::optional<Finding> ClusterCheck::watch() {
    return each_changed([&](NodeId node, const raft::Group& group, GroupId id) {
        (void)look_at(node, group, id);
        return std::optional<Finding>();
    });
}

template <class Visit>
std::optional<Finding> ClusterCheck::each_changed(const Visit& visit) {
    const NodeId node = cluster_.world().stepped();
    if (node.value == 0 || node >= first_client) return {};
    const raft::Host* host = cluster_.host(node);
    if (!host) return {};
    Seen& seen = seen_[node];
    if (seen.boot != cluster_.boots(node)) seen = {cluster_.boots(node), {}};
    // A node that runs removes a group only with its topic, and then its disk has none of it.
    const auto forget_from = [&](std::size_t first) {
        for (std::size_t k = first; k < seen.inputs.size(); ++k)
            if (!host->groups().contains(seen.inputs[k].first))
                deleted_groups_.insert(seen.inputs[k].first);
        seen.inputs.resize(first);
    };
    std::size_t i = 0;
    for (const auto& [id, group] : host->groups()) {
        const std::uint64_t inputs = group->consensus().inputs();
        // Where groups have come or gone, all that follow are looked at.
        const bool is_known = i < seen.inputs.size() && seen.inputs[i].first == id;
        if (!is_known) forget_from(i);
        if (is_known && seen.inputs[i].second == inputs) {
            ++i;
            continue;
        }
        if (!is_known) seen.inputs.emplace_back(id, 0);
        seen.inputs[i++].second = inputs;
        if (auto finding = visit(node, *group, id)) return finding;
    }
    forget_from(i);
    return {};
}

std::optional<ClusterCheck::Changed> ClusterCheck::look_at(NodeId node, const raft::Group& of,
                                                           GroupId id) {
    const raft::Consensus& replica = of.consensus();
    Look look;
    look.boot = cluster_.boots(node);
    look.role = replica.role();
    look.vote = replica.vote();
    look.durable_vote = replica.durable_vote();
    look.end = replica.end();
    look.durable_end = replica.durable_end();
    look.committed = replica.committed();
    look.told = of.committed();
    look.start = of.log().start();
    look.barriers_asked = replica.barriers_asked();
    look.barriers_passed = replica.barriers_passed();
    const auto& starts = replica.terms().starts();
    look.terms = starts.size();
    if (!starts.empty()) look.last_term = starts.back();
    GroupState& group = groups_.try_emplace(id, replica.members()).first->second;
    group.agreement.heard(replica);
    group.trimmed = std::max(group.trimmed, look.start.offset);
    Look& last = group.looks[node];
    if (last == look) return {};
    const bool started = last.boot != look.boot;
    if (look.role == raft::Role::leader &&
        (last.role != raft::Role::leader || last.vote.term != look.vote.term)) {
        ++elections_;
        elected_[id].push_back({look.vote.term, cluster_.world().now()});
    }
    const Look before = std::exchange(last, look);
    if (changes_) changes_(node, id, replica);
    note_moments(node, id, before, look);
    return Changed{group, before, look, started};
}

void ClusterCheck::note_moments(NodeId node, GroupId group, const Look& before, const Look& now) {
    using raft::Role;
    using What = Moment::What;
    const auto is_now = [&](Role role) { return now.role == role && before.role != role; };
    if (is_now(Role::pre_candidate) || is_now(Role::candidate))
        moments_.push_back({What::stands, node, group});
    if (is_now(Role::leader)) moments_.push_back({What::elected, node, group});
    if (now.vote.candidate && now.vote != before.vote && now.vote.candidate != node)
        moments_.push_back({What::votes, node, group});
    if (now.role == Role::leader && now.end.index > before.end.index)
        moments_.push_back({What::appends, node, group});
}

std::optional<Finding> ClusterCheck::check_replica(NodeId node, const raft::Group& of, GroupId id) {
    const auto changed = look_at(node, of, id);
    if (!changed) return {};
    const raft::Consensus& replica = of.consensus();
    if (auto finding = note_given_up(node, id, replica, *changed)) return finding;
    const auto& [group, before, look, started] = *changed;
    // A trim that was committed is forgotten with the process, and comes again with what is
    // committed: before that, nobody is told of a start.
    if ((!started && (look.told < before.told || look.start < before.start)) ||
        look.told > look.committed || look.start > look.told)
        return report(oracle::went_back, on_node(node, id) + "committed " +
                                             std::to_string(look.told.index) + " after " +
                                             std::to_string(before.told.index) + ", start " +
                                             std::to_string(look.start.index) + " after " +
                                             std::to_string(before.start.index));
    const auto violation =
        started ? group.agreement.observe_started(replica) : group.agreement.observe(replica);
    if (violation) return report(violation->invariant, group_name(id) + ": " + violation->detail);
    if (auto finding = check_durable(node, of, group, started)) return finding;
    if (look.role == raft::Role::leader) return check_commit(id, group, replica);
    return {};
}

// A replica that abstains is one whose disk was harmed, and lacked something that was durable.
std::optional<Finding> ClusterCheck::note_given_up(NodeId node, GroupId id,
                                                   const raft::Consensus& replica,
                                                   const Changed& changed) {
    if (!replica.abstains()) {
        // At first one with an empty disk takes itself for new.
        if (!changed.before.durable_vote.is_unknown) return {};
        if (const auto known = given_up_.find(node); known != given_up_.end())
            known->second.erase(id);
        return {};
    }
    const std::uint64_t disk = cluster_.host(node)->disks().number();
    if (!changed.started) return {};
    const bool is_known = std::exchange(changed.group.disks[node], disk) == disk;
    if (is_known && changed.before.durable_vote.is_unknown) return {};
    if (!cluster_.damaged(node))
        return report(oracle::refused_recovery,
                      on_node(node, id) + "abstains, and nobody had damaged its disk");
    changed.group.agreement.gave_up(node);
    // It was level. Now it does not know if it was when it cast the vote that has rotted.
    if (is_known)
        return judge_forgetting(node, id, cluster_.world().disk(node), cluster_.excuses());
    // For a node that was promised to be whole again it is another disk.
    if (std::exchange(given_up_for_[node], disk) == disk) return {};
    // Where it was not level yet, what counts is what there was before.
    for (auto& [group, entries] : std::exchange(had_[node], {}))
        given_up_[node].try_emplace(group, std::move(entries));
    return judge_refusal(node, cluster_.world().disk(node), cluster_.excuses());
}

void ClusterCheck::replaced(NodeId node) {
    for (auto& [group, entries] : media_.at(node).all_entries())
        given_up_[node].try_emplace(group, std::move(entries));
    for (auto& [id, group] : groups_) group.agreement.gave_up(node);
}

const NodeMedia::Entry* ClusterCheck::given_up_entry(NodeId node, GroupId id,
                                                     std::int64_t index) const {
    for (const auto* disks : {&given_up_, &had_}) {
        const auto known = disks->find(node);
        if (known == disks->end()) continue;
        const auto group = known->second.find(id);
        if (group == known->second.end()) continue;
        const auto entry = group->second.find(index);
        if (entry != group->second.end()) return &entry->second;
    }
    return nullptr;
}

bool ClusterCheck::had_batch(NodeId node, const Produce& produce) {
    for (const auto* disks : {&given_up_, &had_}) {
        const auto known = disks->find(node);
        if (known == disks->end()) continue;
        for (const auto& [id, entries] : known->second)
            for (const auto& [index, entry] : entries)
                if (entry.first.offset.value == produce.base_offset &&
                    entry.batch_crc == produce.batch_crc)
                    return true;
    }
    return false;
}

// What has gone from the medium is looked for again, and with it all that may yet be overruled,
// whenever a file of the journal is used again: what has moved to a segment has to be there.
std::optional<Finding> ClusterCheck::check_durable(NodeId node, const raft::Group& replica,
                                                   GroupState& group, bool started) {
    if (cluster_.damaged(node)) return {};
    const raft::Consensus& consensus = replica.consensus();
    const std::int64_t end = consensus.durable_end().index;
    GroupState::Verified& verified = group.verified[node];
    verified.index = std::min(verified.index, end); // It was cut.
    if (verified.index == end && !started) return {};
    NodeMedia& media = media_.at(node);
    const std::int64_t start = replica.log().start().index;
    verified.index = std::max(start, std::min(verified.index, media.take_kept(replica.id())));
    if (verified.lives != media.lives())
        verified.index = std::min(verified.index, consensus.committed().index);
    if (started) verified.index = start;
    verified.lives = media.lives();
    const NodeMedia::OfGroup& entries = media.group(replica.id());
    for (; verified.index < end; ++verified.index) {
        const NodeMedia::Entry* const entry = entries.find(verified.index);
        const Term term = consensus.terms().at(verified.index);
        if (entry && entry->term == term) continue;
        return report(oracle::durable_not_on_media,
                      on_node(node, replica.id()) + "index " + std::to_string(verified.index) +
                          " of term " + std::to_string(term.value) +
                          " is called durable, and is not on the disk");
    }
    return {};
}

// A leader may count an entry as committed only when a majority has it on disk: it, and all before.
std::optional<Finding> ClusterCheck::check_commit(GroupId id, GroupState& group,
                                                  const raft::Consensus& leader) {
    for (; group.checked < leader.committed().index; ++group.checked) {
        // Its leader may be the last one to hear of it.
        if (deleted_groups_.contains(id)) continue;
        const Term term = leader.terms().at(group.checked);
        const auto has_it = [&](NodeId voter) {
            const NodeMedia::Entry* const entry = media_.at(voter).group(id).find(group.checked);
            const NodeMedia::Entry* const gone = given_up_entry(voter, id, group.checked);
            return (entry && entry->term == term) || (gone && gone->term == term);
        };
        if (raft::reached_by_majority<int>(group.members,
                                           [&](NodeId voter) { return has_it(voter) ? 1 : 0; }))
            continue;
        return report(oracle::committed_not_durable,
                      group_name(id) + ": node " + std::to_string(leader.self().value) +
                          " committed index " + std::to_string(group.checked) + " of term " +
                          std::to_string(term.value));
    }
    return {};
}

std::optional<Finding> ClusterCheck::check_acknowledged() {
    const auto& stored = history_.stored();
    for (; acknowledged_ < stored.size(); ++acknowledged_) {
        const Produce& produce = history_.produces()[stored[acknowledged_]];
        // What only the leader's disk had may have been overruled before the answer arrived.
        if (produce.acks != Acks::all) continue;
        if (deleted_ && deleted_(history_.name(produce.partition).topic)) continue;
        std::int32_t copies = 0;
        for (auto& [node, media] : media_)
            copies +=
                media.has_batch(produce.base_offset, produce.batch_crc) || had_batch(node, produce)
                    ? 1
                    : 0;
        if (copies < produce.replicas / 2 + 1) copies += count_reduced(produce);
        if (copies >= produce.replicas / 2 + 1 || is_trimmed(produce)) continue;
        return report(oracle::acknowledged_not_durable,
                      to_string(history_.name(produce.partition)) + ": offset " +
                          std::to_string(produce.base_offset) + " was acknowledged to client " +
                          std::to_string(produce.client) + " and is durable on " +
                          std::to_string(copies) + " of " + std::to_string(produce.replicas) +
                          " disks");
    }
    return {};
}

// Of a topic that is compacted perhaps nothing is left of it, but its place.
std::int32_t ClusterCheck::count_reduced(const Produce& produce) {
    const auto group =
        which_group_ ? which_group_(history_.name(produce.partition)) : std::optional<GroupId>();
    if (!group || !history_.is_compacted(produce.partition)) return 0;
    std::int32_t copies = 0;
    for (auto& [node, media] : media_)
        copies += media.has_reduced(*group, produce.base_offset) ? 1 : 0;
    return copies;
}

bool ClusterCheck::is_trimmed(const Produce& produce) const {
    if (!which_group_) return false;
    const auto group = which_group_(history_.name(produce.partition));
    const auto known = group ? groups_.find(*group) : groups_.end();
    return known != groups_.end() &&
           known->second.trimmed >= Offset(produce.base_offset + produce.records);
}

std::map<GroupId, raft::Members> ClusterCheck::groups() const {
    std::map<GroupId, raft::Members> members;
    for (const auto& [id, group] : groups_) members.emplace(id, group.members);
    return members;
}

// Others have what is damaged: a minority is.
bool ClusterCheck::is_whole(const raft::Host& host) {
    return std::ranges::all_of(
        host.groups(), [](const auto& group) { return group.second->log().damages().empty(); });
}

bool ClusterCheck::settled() const {
    std::map<GroupId, Position> committed;
    std::map<GroupId, std::size_t> replicas;
    // Who abstains waits for all others.
    const bool all_run = std::ranges::all_of(
        cluster_.nodes(), [&](NodeId node) { return cluster_.host(node) != nullptr; });
    for (const NodeId node : cluster_.nodes()) {
        const raft::Host* host = cluster_.host(node);
        if (cluster_.damaged(node)) {
            if (host && (!is_whole(*host) || (all_run && !host->abstaining().empty())))
                return false;
            continue;
        }
        if (!host) return false;
        for (const auto& [id, group] : host->groups()) {
            const raft::Consensus& replica = group->consensus();
            if (!group->log().is_compacted()) return false;
            const auto [other, is_new] = committed.try_emplace(id, replica.committed());
            if (other->second != replica.committed() || replica.end() != replica.committed() ||
                replica.durable_end() != replica.end())
                return false;
            ++replicas[id];
        }
    }
    // A topic is made, and deleted, on one node after the other.
    return std::ranges::all_of(replicas, [&](const auto& group) {
        const auto& voters = groups_.at(group.first).members.voters;
        const auto whole =
            std::ranges::count_if(voters, [&](NodeId voter) { return !cluster_.damaged(voter); });
        return group.second == static_cast<std::size_t>(whole);
    });
}

namespace {

// As far as they have read their logs at all. When they saw it is not the same.
bool remember_the_same(const raft::Group& one, const raft::Group& other) {
    if (!one.producers() || !other.producers()) return true;
    const auto& here = one.producers()->all();
    const auto& there = other.producers()->all();
    return one.producers()->aborted() == other.producers()->aborted() &&
           std::ranges::equal(here, there, [](const auto& a, const auto& b) {
               return a.first == b.first && a.second.epoch == b.second.epoch &&
                      a.second.batches == b.second.batches &&
                      a.second.transaction == b.second.transaction &&
                      a.second.is_open == b.second.is_open && a.second.opened == b.second.opened;
           });
}

} // namespace

std::optional<Finding> ClusterCheck::compare_prefixes() {
    for (const NodeId node : cluster_.nodes()) {
        if (cluster_.damaged(node)) continue;
        const raft::Host* host = cluster_.host(node);
        CHECK(host != nullptr);
        for (const auto& [id, group] : host->groups()) {
            // Against the first replica: equality is transitive.
            NodeId first = node;
            for (const NodeId voter : groups_.at(id).members.voters)
                if (!cluster_.damaged(voter)) first = std::min(first, voter);
            const std::int64_t end = group->consensus().committed().index;
            const NodeMedia::OfGroup& mine = media_.at(node).group(id);
            const NodeMedia::OfGroup& theirs = media_.at(first).group(id);
            const LogStart& start = group->log().log_start();
            const auto& others = cluster_.host(first)->groups();
            if (const auto other = others.find(id);
                other != others.end() && other->second->log().log_start() != start)
                return report(oracle::prefixes_differ,
                              group_name(id) + ": begins at " + place_of(start) + " on node " +
                                  std::to_string(node.value) + ", and at " +
                                  place_of(other->second->log().log_start()) + " on node " +
                                  std::to_string(first.value));
            if (const auto other = others.find(id);
                other != others.end() && !remember_the_same(*group, *other->second))
                return report(oracle::producers_differ,
                              group_name(id) + ": nodes " + std::to_string(node.value) + " and " +
                                  std::to_string(first.value) +
                                  " do not remember the same of its producers");
            std::int64_t index = start.first.index;
            for (; index < end; ++index) {
                const NodeMedia::Entry* const here = mine.find(index);
                const NodeMedia::Entry* const there = theirs.find(index);
                if (here && there && *here == *there) continue;
                return report(oracle::prefixes_differ, group_name(id) + ": index " +
                                                           std::to_string(index) + " on nodes " +
                                                           std::to_string(node.value) + " and " +
                                                           std::to_string(first.value));
            }
        }
    }
    return {};
}

} // namespace pyralog::simtest
