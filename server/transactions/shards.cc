// The partitions of __transaction_state that are led from here: read when they come, and what is
// prepared in them is brought to its end.
#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "server/transactions/coordinator.h"
#include "server/transactions/transaction_log.h"

namespace pyralog::server {

namespace {

constexpr Duration retention_interval = 1min;
// Transactions that end at the same time, and of each so many partitions.
constexpr std::size_t ending_max = 64;
constexpr std::size_t ends_at_once = 16;

} // namespace

Result<> Transactions::run() {
    Result<> ended;
    {
        Scope scope(env_.fibers);
        const auto keep = [&](std::string_view name, auto body) {
            scope.spawn(name, [&scope, &ended, body] {
                const Result<> over = body();
                if (ended.ok() && !scope.cancelled()) ended = over;
                scope.cancel();
            });
        };
        keep("transactions/catalogue", [this]() -> Result<> {
            for (;;) {
                changed_.notify_all();
                bool notified = false;
                TRY(controller_.changed().wait([&] { return std::exchange(notified, true); }));
            }
        });
        keep("transactions/logs", [this] { return follow(); });
        keep("transactions/deadlines", [this] { return keep_deadlines(); });
        keep("transactions/ends", [this] { return keep_ending(); });
        keep("transactions/retention", [this] { return keep_retention(); });
        keep("transactions/calls", [this] { return calls.run(); });
        scope.join();
    }
    for (auto& [id, shard] : shards_) end_tenure(*shard);
    shards_.clear();
    return ended.ok() ? Error::cancelled : ended;
}

Result<> Transactions::follow() {
    for (;;) {
        TRY(changed_.wait([&] { return has_work(); }));
        look_for_shards();
        std::vector<GroupId> ids;
        for (const auto& [id, shard] : shards_)
            if (can_load(*shard)) ids.push_back(id);
        for (const GroupId id : ids) {
            const Result<> loaded = load(id);
            if (!loaded.ok() && loaded.error() == Error::cancelled) return loaded;
            SOMETIMES(!loaded.ok(), "transactions/cannot-read-its-log");
            if (!loaded.ok())
                TRY(env_.fibers.sleep_until(env_.clock.now() + Coordinating::retry_pause));
        }
    }
}

// Nobody but this node can add to the log, and it does not before it has loaded.
bool Transactions::can_load(const Shard& shard) const {
    const raft::Group& group = *shard.group;
    if (shard.term || !group.serves() || group.is_closing()) return false;
    return group.committed().index >= group.log().end().index;
}

bool Transactions::has_work() const {
    for (const auto& [id, shard] : shards_)
        if (shard->group->is_closing() || (shard->term && !is_current(*shard)) || can_load(*shard))
            return true;
    if (const Topic* const found = topic())
        for (const Topic::Partition& partition : found->partitions)
            if (!shards_.contains(partition.group) && host_.find(partition.group)) return true;
    return false;
}

void Transactions::look_for_shards() {
    for (auto next = shards_.begin(); next != shards_.end();) {
        Shard& shard = *next->second;
        if (shard.term && !is_current(shard)) end_tenure(shard);
        next = shard.group->is_closing() ? shards_.erase(next) : std::next(next);
    }
    const Topic* const found = topic();
    if (!found) return;
    for (const Topic::Partition& partition : found->partitions) {
        raft::GroupRef group = host_.find(partition.group);
        if (!group || shards_.contains(partition.group)) continue;
        shards_[partition.group] =
            std::make_unique<Shard>(partition.group, std::move(group), changed_);
    }
}

// Only this fiber removes shards.
Result<> Transactions::load(GroupId id) {
    Shard& shard = *shards_.at(id);
    const Term term = shard.group->term();
    const Offset limit = shard.group->committed().offset;
    const std::size_t most =
        BUGGIFY("transactions/reads-little") ? 1 : Coordinating::read_bytes_max;
    std::map<std::string, TransactionValue> values;
    Offset end = shard.group->log().log_start().offset;
    while (end < limit) {
        Bytes rest = joined(TRY(shard.group->read(end, most)));
        if (rest.empty()) break; // All behind it has been compacted.
        while (!rest.empty()) {
            auto taken = wire::RecordBatch::take_first(rest);
            const auto* const read = std::get_if<wire::RecordBatch>(&taken);
            if (!read) return Error::corrupt;
            for (const wire::Record& record : TRY(wire::records_of(*read))) {
                if (!record.key) continue;
                const auto key = decode_transaction_key(*record.key);
                if (!key.ok()) continue; // Not in a form of ours.
                values.erase(key.value());
                if (!record.value) continue;
                const auto value = decode_transaction_value(*record.value);
                if (value.ok()) values[key.value()] = value.value();
            }
            end = std::max(end, read->end());
        }
    }
    if (!shard.group->leads() || shard.group->term() != term) return {};
    shard.term = term;
    for (auto& [name, value] : values) {
        Entry entry;
        entry.state = TransactionState(std::move(value), env_.clock.now());
        entry.is_ending = entry.state.is_prepared();
        if (entry.is_ending) to_end_.push_back({id, term, name, entry.state.value().number});
        SOMETIMES(entry.is_ending, "transactions/goes-on-with-what-was-prepared");
        set_deadline(shard, name, shard.entries.emplace(name, std::move(entry)).first->second);
    }
    ids_gauge_.set(ids_gauge_.value() + static_cast<std::int64_t>(shard.entries.size()));
    to_end_changed_.notify_all();
    env_.log.info("coordinates transactions",
                  {{"group", id}, {"term", term}, {"ids", shard.entries.size()}});
    return {};
}

Result<> Transactions::keep_deadlines() {
    for (;;) {
        TRY(deadlines_changed_.wait([&] { return !deadlines_.empty(); }));
        const Time next = std::get<0>(*deadlines_.begin());
        if (next > env_.clock.now()) {
            const Deadline until(env_.fibers, next);
            const Result<> waited = deadlines_changed_.wait(
                [&] { return deadlines_.empty() || std::get<0>(*deadlines_.begin()) < next; });
            if (!waited.ok() && waited.error() != Error::timed_out) return waited;
            continue;
        }
        const auto [when, id, name] = *deadlines_.begin();
        Shard& shard = *shards_.at(id);
        if (!is_current(shard)) {
            end_tenure(shard);
            continue;
        }
        Entry& entry = shard.entries.at(name);
        REACHABLE("transactions/time-was-up");
        if (entry.state.tick(env_.clock.now())) (void)write(shard, name, entry);
    }
}

// ---- Ends ----

Result<> Transactions::keep_ending() {
    Scope scope(env_.fibers);
    for (;;) {
        TRY(to_end_changed_.wait([&] { return !to_end_.empty() && ending_ < ending_max; }));
        Ending next = std::move(to_end_.front());
        to_end_.pop_front();
        ++ending_;
        scope.spawn("end", [this, next = std::move(next)] {
            end_one(next);
            --ending_;
            to_end_changed_.notify_all();
        });
    }
}

Transactions::Entry* Transactions::find_current(const Ending& ending) {
    const auto shard = shards_.find(ending.shard);
    if (shard == shards_.end() || !is_current(*shard->second) ||
        *shard->second->term != ending.term)
        return nullptr;
    const auto entry = shard->second->entries.find(ending.id);
    // A tenure may end and begin again in one term, and whoever waited meanwhile comes late.
    const bool is_it =
        entry != shard->second->entries.end() && entry->second.state.is_ending(ending.number);
    return is_it ? &entry->second : nullptr;
}

// Its topic was deleted: a group that the catalogue has known, and knows no more.
bool Transactions::is_gone(const std::pair<std::string, std::int32_t>& name, GroupId group) const {
    const auto* const known = controller_.catalogue().find(name.first, name.second);
    return group < controller_.catalogue().next_group() && (!known || known->group != group);
}

// What is prepared is decided; but only once it is committed that it is.
void Transactions::end_one(const Ending& ending) {
    const auto is_over = [&] { return find_current(ending) == nullptr; };
    while (!is_over() && !BUG(M35)) {
        const auto written = find_current(ending)->written;
        if (settle(ending.shard, written) == ErrorCode::none) break;
        if (!env_.fibers.sleep_until(env_.clock.now() + Coordinating::retry_pause).ok()) return;
    }
    if (is_over()) return;
    const TransactionState state = find_current(ending)->state;
    bool all_know = true;
    const auto end_at = [&](const auto& name, GroupId group) {
        while (!is_over() && !is_gone(name, group)) {
            const auto ended = calls.end(group, state.begin(), state.how_it_ends(), ending.term);
            if (ended.ok()) return;
            SOMETIMES(!ended.ok(), "transactions/says-again-how-it-ends");
            if (!env_.fibers.sleep_until(env_.clock.now() + Coordinating::retry_pause).ok()) break;
        }
        all_know = all_know && is_gone(name, group);
    };
    const TransactionPartitions& partitions = state.value().partitions;
    for (auto next = partitions.begin(); next != partitions.end() && all_know;) {
        Scope scope(env_.fibers);
        for (std::size_t i = 0; i < ends_at_once && next != partitions.end(); ++i, ++next)
            scope.spawn("end at", [&end_at, next] { end_at(next->first, next->second); });
        scope.join();
    }
    if (!all_know) return; // This tenure is over, or the node ends.
    Entry* const entry = find_current(ending);
    if (!entry) return;
    entry->state.complete();
    entry->is_ending = false;
    const bool commits = entry->state.value().phase == TransactionState::Phase::complete_commit;
    (commits ? committed_total_ : aborted_total_).add();
    // If it is not written, all partitions are told again.
    (void)write(*shards_.at(ending.shard), ending.id, *entry);
}

// ---- Ids of which nothing is heard ----

Result<> Transactions::keep_retention() {
    for (;;) {
        TRY(env_.fibers.sleep_until(env_.clock.now() + retention_interval));
        const std::int64_t now_ms = env_.clock.wall().unix_ms;
        for (const auto& [id, shard] : shards_) {
            if (!is_current(*shard)) continue;
            for (auto next = shard->entries.begin(); next != shard->entries.end();) {
                const TransactionValue& value = next->second.state.value();
                const bool is_idle = !next->second.deadline && !next->second.is_ending &&
                                     now_ms - value.updated_ms >= config_.id_expiration / 1ms;
                if (!is_idle) {
                    ++next;
                    continue;
                }
                wire::RecordBatchBuilder builder;
                builder.add(encode_transaction_key(next->first), std::nullopt, now_ms);
                const auto parsed = wire::RecordBatch::parse(builder.build());
                // If it is not written now, it will be found again.
                if (!shard->group->propose(std::get<wire::RecordBatch>(parsed)).ok()) break;
                next = shard->entries.erase(next);
                ids_gauge_.set(ids_gauge_.value() - 1);
            }
        }
    }
}

} // namespace pyralog::server
