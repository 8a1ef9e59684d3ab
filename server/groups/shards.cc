// The partitions of __consumer_offsets on this node: what is committed there goes into the KvStore,
// and who leads one loads its groups from that.
#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/config.h"
#include "core/base/probe.h"
#include "server/groups/shard.h"

namespace pyralog::server {

using namespace wire::kafka;

Result<> Coordinator::run() {
    Result<> ended;
    {
        Scope scope(env_.fibers);
        const auto keep = [&](std::string_view name, Result<> (Coordinator::*body)()) {
            scope.spawn(name, [this, &scope, &ended, body] {
                const Result<> over = (this->*body)();
                if (ended.ok() && !scope.cancelled()) ended = over;
                scope.cancel();
            });
        };
        keep("groups/catalogue", &Coordinator::follow_catalogue);
        keep("groups/logs", &Coordinator::follow_logs);
        keep("groups/deadlines", &Coordinator::keep_deadlines);
        keep("groups/retention", &Coordinator::keep_retention);
        scope.join();
    }
    while (!shards_.empty()) drop(shards_.begin()->first);
    return ended.ok() ? Error::cancelled : ended;
}

// Every change of the catalogue, and of who leads.
Result<> Coordinator::follow_catalogue() {
    for (;;) {
        note_deleted_topics();
        changed_.notify_all();
        bool notified = false;
        TRY(controller_.changed().wait([&] { return std::exchange(notified, true); }));
    }
}

Result<> Coordinator::follow_logs() {
    for (;;) {
        TRY(changed_.wait([&] { return has_work(); }));
        look_for_shards();
        TRY(apply_some());
        TRY(load_some());
    }
}

bool Coordinator::is_behind(const Shard& shard) const {
    return !shard.applied || shard.group->committed().offset > *shard.applied;
}

// Nobody but this node can add to the log, and it does not before it has loaded. So there is an end
// to wait for.
bool Coordinator::can_load(const Shard& shard) const {
    const raft::Group& group = *shard.group;
    if (!shard.tenure && group.leads() && BUG(G05)) return true;
    if (shard.tenure || !group.serves()) return false;
    return group.committed().index >= group.log().end().index && !is_behind(shard);
}

bool Coordinator::has_work() const {
    for (const auto& [id, shard] : shards_) {
        const bool is_over = shard->tenure && !is_current(*shard);
        if (shard->group->is_closing() || is_over || is_behind(*shard) || can_load(*shard))
            return true;
    }
    if (const Topic* const found = topic())
        for (const Topic::Partition& partition : found->partitions)
            if (!shards_.contains(partition.group) && host_.find(partition.group)) return true;
    return false;
}

void Coordinator::drop(GroupId id) {
    const auto found = shards_.find(id);
    if (found->second->tenure) end_tenure(*found->second);
    shards_.erase(found);
    applied_changed_.notify_all();
}

void Coordinator::look_for_shards() {
    std::vector<GroupId> closing;
    for (const auto& [id, shard] : shards_) {
        if (shard->group->is_closing()) closing.push_back(id);
        if (shard->tenure && !is_current(*shard)) end_tenure(*shard);
    }
    for (const GroupId id : closing) drop(id);
    const Topic* const found = topic();
    if (!found) return;
    for (const Topic::Partition& partition : found->partitions) {
        raft::GroupRef group = host_.find(partition.group);
        if (!group || shards_.contains(partition.group)) continue;
        shards_[partition.group] =
            std::make_unique<Shard>(partition.group, std::move(group), changed_);
    }
}

// ---- Applying ----

// What is committed in all logs and not applied, as far as it goes, in one batch: one sync is
// enough for all of them.
Result<> Coordinator::apply_some() {
    KvStore::Batch batch;
    std::map<GroupId, Offset> ends;
    std::map<GroupId, PendingOffsetTable> pendings;
    bool stuck = false;
    std::vector<GroupId> ids;
    for (const auto& [id, shard] : shards_)
        if (is_behind(*shard)) ids.push_back(id);
    for (const GroupId id : ids) {
        Shard& shard = *shards_.at(id);
        if (!shard.applied) TRY(read_applied(shard));
        if (!is_behind(shard)) continue;
        PendingOffsetTable pending = shard.pending;
        const Result<Offset> end = read_some(shard, pending, batch);
        if (!end.ok() && end.error() == Error::cancelled) return Error::cancelled;
        // What is damaged here is mended from another replica; this node knows less until then.
        SOMETIMES(!end.ok(), "groups/waits-until-the-log-can-be-read");
        stuck |= !end.ok();
        if (end.ok()) ends[id] = end.value();
        if (end.ok()) pendings[id] = std::move(pending);
    }
    if (stuck) TRY(env_.fibers.sleep_until(env_.clock.now() + Coordinating::retry_pause));
    if (BUGGIFY("groups/applies-late"))
        TRY(env_.fibers.sleep_until(env_.clock.now() + Coordinating::retry_pause));
    if (ends.empty()) return {};
    for (const auto& [id, end] : ends)
        batch.put(shards_.at(id)->applied_key(), std::to_string(end.value));
    TRY(env_.kv.commit(std::move(batch)));
    for (const auto& [id, end] : ends) shards_.at(id)->applied = end;
    for (auto& [id, pending] : pendings) shards_.at(id)->pending = std::move(pending);
    applied_changed_.notify_all();
    return {};
}

Result<> Coordinator::read_applied(Shard& shard) {
    const auto stored = TRY(env_.kv.get(shard.applied_key()));
    const auto offset = stored ? parse_integer(*stored) : std::optional<std::int64_t>(0);
    if (!offset || *offset < 0) return Error::corrupt;
    TRY(read_pending(shard));
    SOMETIMES(*offset > 0, "groups/goes-on-where-it-was");
    shard.applied = Offset(*offset);
    return {};
}

namespace {

// The value of a pending offset, as it is stored.
struct StoredPending {
    Offset place;
    bool is_removal = false;
    std::string value;
};
template <class Codec>
void describe(Codec& field, StoredPending& p) {
    field(p.place, p.is_removal, p.value);
}

std::string name_of(const PendingOffsetTable::Key& key) {
    return std::to_string(key.first) + '/' + key.second;
}

// In the time of these producers: is the transaction over that had a record here, and how?
std::optional<bool> counts(const raft::Producers& producers, std::int64_t id, Offset place) {
    const wire::Producer* const producer = producers.find(id);
    const bool is_open =
        producer && producer->is_open && producer->opened >= Offset() && producer->opened <= place;
    if (is_open) return {};
    for (const wire::AbortedTransaction& aborted : producers.aborted_in(place, place + 1))
        if (aborted.producer == id) return false;
    return true;
}

void put(const std::string& prefix, const std::string& pending_prefix,
         const PendingOffsetTable::Changes& changes, KvStore::Batch& batch) {
    for (const auto& [key, value] : changes.facts) {
        SOMETIMES(!value, "groups/applied-a-removal");
        if (value)
            batch.put(prefix + key, *value);
        else
            batch.remove(prefix + key);
    }
    for (const auto& [key, value] : changes.pending) {
        const std::string name = pending_prefix + name_of(key);
        if (value)
            batch.put(name, wire::encode(StoredPending{value->place, !value->value,
                                                       value->value.value_or("")})
                                .text());
        else
            batch.remove(name);
    }
}

} // namespace

Result<> Coordinator::read_pending(Shard& shard) {
    const std::string prefix = shard.pending_prefix();
    PendingOffsetTable found;
    bool is_sound = true;
    TRY(env_.kv.scan(
        prefix,
        [&](std::string_view key, std::string_view value) {
            const std::string_view name = key.substr(prefix.size());
            const auto slash = name.find('/');
            const auto producer = parse_integer(name.substr(0, slash));
            const auto read = wire::decode<StoredPending>(Bytes::copy_of(value));
            is_sound &= slash != std::string_view::npos && producer && read.ok();
            if (!is_sound) return false;
            std::optional<std::string> stored;
            if (!read.value().is_removal) stored = read.value().value;
            found.restore({*producer, std::string(name.substr(slash + 1))},
                          {read.value().place, std::move(stored)});
            return true;
        }));
    if (!is_sound) return Error::corrupt;
    shard.pending = std::move(found);
    return {};
}

// The log's records as they come, each in the place of the one before it with the same key; those
// of transactions when these commit.
Result<Offset> Coordinator::read_some(Shard& shard, PendingOffsetTable& pending,
                                      KvStore::Batch& batch) {
    const std::size_t most = BUGGIFY("groups/reads-little") ? 1 : Coordinating::read_bytes_max;
    // Not a place for records that are needed: those that had a later one may be gone.
    Offset end = std::max(*shard.applied, shard.group->log().log_start().offset);
    Bytes rest = joined(TRY(shard.group->read(end, most)));
    PendingOffsetTable::Changes changes;
    while (!rest.empty()) {
        auto taken = wire::RecordBatch::take_first(rest);
        const auto* const read = std::get_if<wire::RecordBatch>(&taken);
        if (!read) return Error::corrupt;
        const wire::BatchHeader& header = read->header();
        const auto marker = wire::end_of(*read);
        if (marker && read->first() >= end) pending.end(marker->producer, marker->commits, changes);
        const std::vector<wire::Record> records =
            header.is_control() ? std::vector<wire::Record>() : TRY(wire::records_of(*read));
        for (const wire::Record& record : records) {
            if (record.offset < end || !record.key) continue; // A batch is read whole.
            const std::string key(record.key->text());
            std::optional<std::string> value;
            if (record.value) value = std::string(record.value->text());
            if (header.is_transactional() && !BUG(T07))
                pending.part(header.producer_id, key, std::move(value), record.offset, changes);
            else
                pending.plain(key, std::move(value), record.offset, changes);
        }
        end = std::max(end, read->end());
    }
    const raft::Producers* const producers = shard.group->producers();
    if (!pending.all().empty() && producers && end >= shard.group->committed().offset)
        pending.settle([&](std::int64_t id, Offset place) { return counts(*producers, id, place); },
                       changes);
    put(shard.prefix(), shard.pending_prefix(), changes, batch);
    return end;
}

// ---- Loading ----

Result<> Coordinator::load_some() {
    std::vector<GroupId> ids;
    for (const auto& [id, shard] : shards_)
        if (can_load(*shard)) ids.push_back(id);
    for (const GroupId id : ids)
        if (can_load(*shards_.at(id))) TRY(load(*shards_.at(id)));
    return {};
}

Result<> Coordinator::load(Shard& shard) {
    if (BUGGIFY("groups/loads-late"))
        TRY(env_.fibers.sleep_until(env_.clock.now() + Coordinating::retry_pause));
    const Term term = shard.group->term();
    const Time now = env_.clock.now();
    const std::size_t skipped = shard.prefix().size();
    std::map<std::string, Entry> groups;
    TRY(env_.kv.scan(
        shard.prefix(),
        [&](std::string_view key, std::string_view value) {
            const auto about = decode_offsets_topic_key(Bytes::copy_of(key.substr(skipped)));
            if (!about.ok()) return true; // Not in a form of ours.
            if (const auto* const offset = std::get_if<OffsetKey>(&about.value())) {
                groups.try_emplace(offset->group, rules_).first->second.commits = 1;
                return true;
            }
            const auto stored = decode_group_value(Bytes::copy_of(value));
            if (!stored.ok()) return true;
            const std::string& name = std::get<GroupKey>(about.value()).group;
            const auto known = groups.find(name);
            const std::uint64_t commits = known == groups.end() ? 0 : known->second.commits;
            if (known != groups.end()) groups.erase(known);
            groups.try_emplace(name, rules_, stored.value(), now).first->second.commits = commits;
            return true;
        }));
    if (!shard.group->leads() || shard.group->term() != term) return {};
    SOMETIMES(!groups.empty(), "groups/loaded");
    groups_ += groups.size();
    groups_gauge_.set(static_cast<std::int64_t>(groups_));
    shard.tenure.emplace(term, std::move(groups), std::set<Ticket>());
    for (auto& [name, entry] : shard.tenure->groups) set_deadline(shard, name, entry);
    env_.log.info("coordinates groups",
                  {{"group", shard.id}, {"term", term}, {"groups", shard.tenure->groups.size()}});
    return {};
}

// Until all that was committed before the call is in the KvStore.
Result<> Coordinator::catch_up(GroupId id) {
    const raft::GroupRef group = host_.find(id);
    if (!group) return Error::not_leader;
    const Offset end = TRY(group->read_barrier());
    const auto is_applied = [&] {
        const auto shard = shards_.find(id);
        return shard == shards_.end() || (shard->second->applied && *shard->second->applied >= end);
    };
    SOMETIMES(!is_applied(), "groups/reads-what-is-not-applied-yet");
    TRY(applied_changed_.wait(is_applied));
    if (!shards_.contains(id)) return Error::not_leader;
    return {};
}

} // namespace pyralog::server
