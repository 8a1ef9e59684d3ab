// Offsets that nobody has asked for in a long time, those of topics that are gone, and groups that
// have come to nothing.
#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "server/groups/shard.h"

namespace pyralog::server {

using namespace wire::kafka;

namespace {

constexpr std::size_t removals_max = 1000; // In one batch.

} // namespace

// Topics that this node knew and knows no more: they are gone, whatever it has still to hear of.
void Coordinator::note_deleted_topics() {
    if (controller_.applied() == catalogue_seen_) return;
    catalogue_seen_ = controller_.applied();
    std::map<std::string, wire::Uuid> now;
    for (const auto& [name, topic] : controller_.catalogue().topics()) now.emplace(name, topic.id);
    bool some = false;
    for (const auto& [name, id] : topics_seen_) {
        const auto known = now.find(name);
        if (known != now.end() && known->second == id) continue;
        topics_deleted_[name] = env_.clock.wall().unix_ms;
        some = true;
    }
    topics_seen_ = std::move(now);
    if (some) sweep_wanted_.notify_all();
}

Result<> Coordinator::keep_retention() {
    for (;;) {
        {
            const Deadline next(env_.fibers, env_.clock.now() + config_.offsets_retention_interval);
            const Result<> waited = sweep_wanted_.wait([&] { return !topics_deleted_.empty(); });
            if (!waited.ok() && waited.error() != Error::timed_out) return waited;
        }
        const std::map<std::string, std::int64_t> deleted = std::exchange(topics_deleted_, {});
        std::vector<GroupId> ids;
        for (const auto& [id, shard] : shards_) ids.push_back(id);
        for (const GroupId id : ids) {
            const Result<> swept = sweep(id, deleted);
            if (!swept.ok() && swept.error() == Error::cancelled) return swept;
        }
    }
}

// A group's numbers begin anew when it is forgotten: by then nobody may remember one of them.
bool Coordinator::is_over(const Entry& entry, std::int64_t now_ms) const {
    const std::int64_t retention_ms = config_.offsets_retention / 1ms;
    return retention_ms > 0 && entry.state.members().empty() && !entry.state.deadline() &&
           now_ms - entry.emptied_ms >= retention_ms;
}

bool Coordinator::is_expired(const Entry& entry, const OffsetKey& key, const OffsetValue& value,
                             std::int64_t now_ms) const {
    const std::int64_t retention_ms = config_.offsets_retention / 1ms;
    if (retention_ms == 0 || now_ms - value.commit_timestamp < retention_ms) return false;
    if (entry.state.members().empty()) return is_over(entry, now_ms);
    return entry.state.protocol_type() == "consumer" &&
           entry.state.phase() == GroupState::Phase::stable &&
           !entry.state.is_subscribed(key.topic);
}

// One partition, if it is led from here. It takes a while, and what has changed meanwhile is left
// for the next time.
Result<> Coordinator::sweep(GroupId id, const std::map<std::string, std::int64_t>& deleted) {
    struct Seen {
        std::uint64_t commits = 0;
        std::size_t kept = 0;
        Records removals;
    };
    std::map<std::string, Seen> seen;
    {
        const auto found = shards_.find(id);
        if (found == shards_.end() || !is_current(*found->second)) return {};
        for (const auto& [name, entry] : found->second->tenure->groups)
            seen[name].commits = entry.commits;
    }
    {
        const Deadline patience(env_.fibers, env_.clock.now() + 5s);
        TRY(catch_up(id));
    }
    const auto shard = shards_.find(id);
    if (shard == shards_.end() || !is_current(*shard->second)) return {};
    const std::string prefix = shard->second->prefix();
    const std::int64_t now_ms = env_.clock.wall().unix_ms;
    TRY(env_.kv.scan(
        prefix,
        [&](std::string_view key, std::string_view value) {
            const auto about = decode_offsets_topic_key(Bytes::copy_of(key.substr(prefix.size())));
            const auto* const where = about.ok() ? std::get_if<OffsetKey>(&about.value()) : nullptr;
            const auto read = decode_offset_value(Bytes::copy_of(value));
            if (!where || !read.ok()) return true;
            const auto known = seen.find(where->group);
            const auto at = shards_.find(id);
            if (known == seen.end() || at == shards_.end() || !at->second->tenure) return true;
            const Entry* const entry = find_entry(*at->second, where->group);
            const auto gone = deleted.find(where->topic);
            const bool is_gone =
                gone != deleted.end() && read.value().commit_timestamp <= gone->second;
            const bool is_old = entry && is_expired(*entry, *where, read.value(), now_ms);
            SOMETIMES(is_gone, "groups/offset-of-a-deleted-topic");
            SOMETIMES(is_old, "groups/offset-expired");
            if (is_gone || is_old)
                known->second.removals.emplace_back(encode_key(*where), std::nullopt);
            else
                ++known->second.kept;
            return true;
        }));
    for (auto& [name, group] : seen) {
        const auto at = shards_.find(id);
        if (at == shards_.end() || !is_current(*at->second)) return {};
        Entry* const entry = find_entry(*at->second, name);
        if (!entry || entry->commits != group.commits) continue;
        forget_swept(*at->second, name, *entry, group.kept == 0 && is_over(*entry, now_ms),
                     std::move(group.removals));
    }
    return {};
}

void Coordinator::forget_swept(Shard& shard, const std::string& group, Entry& entry, bool is_over,
                               Records removals) {
    if (is_over) removals.emplace_back(encode_key(GroupKey{group}), std::nullopt);
    SOMETIMES(is_over, "groups/group-forgotten");
    for (std::size_t at = 0; at < removals.size(); at += removals_max) {
        const auto first = removals.begin() + static_cast<std::ptrdiff_t>(at);
        const auto count = std::min(removals_max, removals.size() - at);
        const Records some(first, first + static_cast<std::ptrdiff_t>(count));
        // If it is not written now, it will be found again.
        if (write_offsets(shard, entry, some).error != ErrorCode::none) return;
    }
    if (is_over) drop(shard, group);
}

} // namespace pyralog::server
