// The requests: what they find, what they change, and when they may be answered.
#include "server/transactions/coordinator.h"

#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "server/transactions/transaction_log.h"

#include <algorithm>

namespace pyralog::server {

namespace {

constexpr Duration begin_patience = 5s;
constexpr Duration id_patience = 5s;
// Partitions that one request tells at the same time.
constexpr std::size_t begins_at_once = 16;

} // namespace

Transactions::Transactions(Environment& env, const TransactionConfig& config,
                           int replication_factor, raft::Host& host, Controller& controller,
                           ProducerIds& ids, const SpaceWatch& space)
    : env_(env), config_(config), replication_factor_(replication_factor), host_(host),
      controller_(controller), ids_(ids), space_(space), calls(env, host), changed_(env.fibers),
      deadlines_changed_(env.fibers), to_end_changed_(env.fibers),
      ids_gauge_(env.metrics, "pyralog_transactional_ids",
                 "Transactional ids that this node coordinates."),
      committed_total_(env.metrics, "pyralog_transactions_committed_total",
                       "Transactions that this node has committed."),
      aborted_total_(env.metrics, "pyralog_transactions_aborted_total",
                     "Transactions that this node has aborted.") {}

Transactions::~Transactions() = default;

// ---- Who coordinates ----

const Topic* Transactions::topic() const {
    return controller_.catalogue().find(transactions_topic_name);
}

Result<> Transactions::make_topic() {
    const CreateTopic command = make_compacted(transactions_topic_name, draw_uuid(env_.random),
                                               config_.partitions, replication_factor_);
    const Deadline deadline(env_.fibers, env_.clock.now() + Coordinating::topic_patience);
    (void)TRY(controller_.submit(command)); // Or somebody else has made it: it is there.
    return {};
}

Transactions::Found Transactions::find(const std::string& transactional_id) {
    if (transactional_id.empty()) return {ErrorCode::invalid_request, {}};
    if (!topic()) (void)make_topic(); // If it failed, there is none.
    const Topic* const made = topic();
    if (!made) return {ErrorCode::coordinator_not_available, {}};
    const GroupId id = partition_for(*made, transactional_id);
    const Deadline deadline(env_.fibers, env_.clock.now() + Coordinating::leader_patience);
    (void)controller_.changed().wait([&] { return host_.leader_of(id).has_value(); });
    const auto leader = host_.leader_of(id);
    return {leader ? ErrorCode::none : ErrorCode::coordinator_not_available, leader};
}

bool Transactions::is_current(const Shard& shard) const {
    return shard.term && shard.group->leads() && shard.group->term() == *shard.term;
}

Transactions::Access Transactions::access(const std::string& id) {
    if (id.empty()) return {ErrorCode::invalid_request};
    const Topic* const found = topic();
    if (!found) return {ErrorCode::not_coordinator};
    const GroupId partition = partition_for(*found, id);
    const raft::GroupRef group = host_.find(partition);
    if (!group || !group->leads() || BUGGIFY("transactions/says-not-coordinator", 20'000))
        return {ErrorCode::not_coordinator};
    const auto shard = shards_.find(partition);
    const bool is_loaded = shard != shards_.end() && is_current(*shard->second);
    if (is_loaded && BUGGIFY("transactions/loads-anew", 5'000)) end_tenure(*shard->second);
    SOMETIMES(!is_loaded, "transactions/asked-while-it-loads");
    if (!is_loaded || !is_current(*shard->second)) return {ErrorCode::coordinator_load_in_progress};
    const auto entry = shard->second->entries.find(id);
    const bool is_known = entry != shard->second->entries.end();
    return {ErrorCode::none, shard->second.get(), is_known ? &entry->second : nullptr};
}

// ---- Writing ----

// Not written: the tenure has ended, and the entry is gone with it.
ErrorCode Transactions::write(Shard& shard, const std::string& id, Entry& entry) {
    const std::int64_t now_ms = env_.clock.wall().unix_ms;
    wire::RecordBatchBuilder builder;
    builder.add(encode_transaction_key(id), encode_transaction_value(entry.state.stored(now_ms)),
                now_ms);
    auto parsed = wire::RecordBatch::parse(builder.build());
    const auto* const batch = std::get_if<wire::RecordBatch>(&parsed);
    CHECK(batch);
    const auto written = shard.group->propose(*batch);
    SOMETIMES(!written.ok(), "transactions/could-not-write");
    if (!written.ok()) {
        end_tenure(shard);
        return ErrorCode::not_coordinator;
    }
    entry.written = written.value();
    set_deadline(shard, id, entry);
    if (entry.state.is_prepared() && !entry.is_ending) {
        entry.is_ending = true;
        to_end_.push_back({shard.id, *shard.term, id, entry.state.value().number});
        to_end_changed_.notify_all();
    }
    return ErrorCode::none;
}

ErrorCode Transactions::settle(GroupId shard, std::optional<raft::Group::Proposal> written) {
    if (!written) return ErrorCode::none;
    const raft::GroupRef group = host_.find(shard);
    if (!group) return ErrorCode::not_coordinator;
    const Deadline deadline(env_.fibers, env_.clock.now() + Coordinating::write_patience);
    const Result<> settled = group->settle(*written);
    if (settled.ok()) return ErrorCode::none;
    return settled.error() == Error::timed_out ? ErrorCode::coordinator_not_available
                                               : ErrorCode::not_coordinator;
}

void Transactions::end_tenure(Shard& shard) {
    shard.term.reset();
    for (const auto& [id, entry] : shard.entries)
        if (entry.deadline) deadlines_.erase({*entry.deadline, shard.id, id});
    ids_gauge_.set(ids_gauge_.value() - static_cast<std::int64_t>(shard.entries.size()));
    shard.entries.clear();
    changed_.notify_all();
}

void Transactions::set_deadline(Shard& shard, const std::string& id, Entry& entry) {
    const std::optional<Time> next = entry.state.deadline();
    if (next == entry.deadline) return;
    if (entry.deadline) deadlines_.erase({*entry.deadline, shard.id, id});
    entry.deadline = next;
    if (!next) return;
    deadlines_.insert({*next, shard.id, id});
    deadlines_changed_.notify_all();
}

// ---- Requests ----

Transactions::Told Transactions::init(const std::string& id, std::optional<Name> mine,
                                      std::int32_t timeout_ms) {
    if (timeout_ms <= 0 || timeout_ms > config_.timeout_max / 1ms)
        return {ErrorCode::invalid_transaction_timeout};
    std::optional<std::int64_t> fresh;
    for (;;) {
        Access access = this->access(id);
        if (access.error != ErrorCode::none) return {access.error};
        if (space_.is_short()) return {ErrorCode::coordinator_not_available};
        if (!fresh && (!access.entry || access.entry->state.needs_id())) {
            const Deadline deadline(env_.fibers, env_.clock.now() + id_patience);
            const auto taken = ids_.take();
            if (!taken.ok()) return {ErrorCode::coordinator_load_in_progress};
            fresh = taken.value();
            continue; // Much may have changed meanwhile.
        }
        Shard& shard = *access.shard;
        if (!access.entry) {
            if (ids_gauge_.value() >= config_.ids_max) return {ErrorCode::policy_violation};
            ids_gauge_.add(1);
            access.entry = &shard.entries[id];
        }
        Entry& entry = *access.entry;
        const auto told = entry.state.init(env_.clock.now(), mine, timeout_ms, fresh);
        if (told.is_changed)
            if (const ErrorCode error = write(shard, id, entry); error != ErrorCode::none)
                return {error};
        const ErrorCode settled = settle(shard.id, entry.written);
        return {settled != ErrorCode::none ? settled : told.error, told.name};
    }
}

ErrorCode Transactions::add(const std::string& id, const Name& who,
                            const TransactionPartitions& partitions, Errors& errors) {
    const Access access = this->access(id);
    if (access.error != ErrorCode::none) return access.error;
    if (!access.entry) return ErrorCode::invalid_producer_id_mapping;
    if (space_.is_short()) return ErrorCode::coordinator_not_available;
    Shard& shard = *access.shard;
    const GroupId shard_id = shard.id;
    const auto told = access.entry->state.add(env_.clock.now(), who, partitions,
                                              static_cast<std::size_t>(config_.partitions_max));
    if (told.is_changed)
        if (const ErrorCode error = write(shard, id, *access.entry); error != ErrorCode::none)
            return error;
    if (told.error != ErrorCode::none) return told.error;
    const wire::TransactionBegin begin = access.entry->state.begin();
    const auto written = access.entry->written;
    if (const ErrorCode error = settle(shard_id, written); error != ErrorCode::none) return error;
    errors = begin_all(begin, partitions);
    return ErrorCode::none;
}

Transactions::Errors Transactions::begin_all(const wire::TransactionBegin& begin,
                                             const TransactionPartitions& partitions) {
    using Turn = raft::Sequencer::Turn;
    Errors errors;
    const auto tell = [&](const auto& name, GroupId group) {
        const auto turn = calls.begin(group, begin);
        SOMETIMES(!turn.ok(), "transactions/partition-does-not-answer");
        ErrorCode error = ErrorCode::none;
        if (!turn.ok()) error = ErrorCode::coordinator_load_in_progress; // Ask again.
        if (turn.ok() && turn.value() == Turn::too_many) error = ErrorCode::policy_violation;
        // It is over, by now.
        if (turn.ok() && turn.value() == Turn::never) error = ErrorCode::concurrent_transactions;
        errors[name] = error;
    };
    const Deadline deadline(env_.fibers, env_.clock.now() + begin_patience);
    if (partitions.size() == 1) {
        tell(partitions.begin()->first, partitions.begin()->second);
        return errors;
    }
    for (auto next = partitions.begin(); next != partitions.end();) {
        Scope scope(env_.fibers);
        for (std::size_t i = 0; i < begins_at_once && next != partitions.end(); ++i, ++next)
            scope.spawn("begin", [&tell, next] { tell(next->first, next->second); });
        scope.join();
    }
    return errors;
}

ErrorCode Transactions::verify(const std::string& id, const Name& who,
                               const TransactionPartitions& partitions, Errors& errors) {
    const Access access = this->access(id);
    if (access.error != ErrorCode::none) return access.error;
    if (!access.entry) return ErrorCode::invalid_producer_id_mapping;
    for (const auto& [name, group] : partitions)
        errors[name] = access.entry->state.verify(who, name);
    // Whoever takes himself for the coordinator, and is it no more, may not say so.
    const raft::GroupRef group = host_.find(access.shard->id);
    const Deadline deadline(env_.fibers, env_.clock.now() + Coordinating::read_patience);
    return group->read_barrier().ok() ? ErrorCode::none : ErrorCode::not_coordinator;
}

Transactions::Told Transactions::end(const std::string& id, const Name& who, bool commits,
                                     bool bumps) {
    std::optional<std::int64_t> fresh;
    for (;;) {
        const Access access = this->access(id);
        if (access.error != ErrorCode::none) return {access.error};
        if (!access.entry) return {ErrorCode::invalid_producer_id_mapping};
        Entry& entry = *access.entry;
        if (bumps && !fresh && entry.state.needs_id()) {
            const Deadline deadline(env_.fibers, env_.clock.now() + id_patience);
            const auto taken = ids_.take();
            if (!taken.ok()) return {ErrorCode::coordinator_load_in_progress};
            fresh = taken.value();
            continue;
        }
        const GroupId shard = access.shard->id;
        const auto told = entry.state.end(who, commits, bumps, fresh);
        if (told.is_changed)
            if (const ErrorCode error = write(*access.shard, id, entry); error != ErrorCode::none)
                return {error};
        const auto written = entry.written;
        const ErrorCode settled = settle(shard, written);
        return {settled != ErrorCode::none ? settled : told.error, told.name};
    }
}

// ---- For those who look on ----

const TransactionValue* Transactions::look(const std::string& id, ErrorCode& error) {
    const Access access = this->access(id);
    error = access.error;
    return access.entry ? &access.entry->state.value() : nullptr;
}

void Transactions::for_each(
    const std::function<void(const std::string&, const TransactionValue&)>& visit) const {
    for (const auto& [id, shard] : shards_)
        if (is_current(*shard))
            for (const auto& [name, entry] : shard->entries) visit(name, entry.state.value());
}

bool Transactions::is_loading() const {
    return std::ranges::any_of(shards_, [&](const auto& shard) {
        return shard.second->group->leads() && !is_current(*shard.second);
    });
}

} // namespace pyralog::server
