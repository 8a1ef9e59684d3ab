#include "server/transactions/transaction_state.h"

#include "core/base/bug.h"

#include <array>

namespace pyralog::server {

namespace {

using Phase = TransactionValue::Phase;

constexpr std::array<std::pair<Phase, std::string_view>, 6> phase_names{{
    {Phase::empty, "Empty"},
    {Phase::ongoing, "Ongoing"},
    {Phase::prepare_commit, "PrepareCommit"},
    {Phase::prepare_abort, "PrepareAbort"},
    {Phase::complete_commit, "CompleteCommit"},
    {Phase::complete_abort, "CompleteAbort"},
}};

} // namespace

std::string_view to_string(Phase phase) {
    return phase_names.at(static_cast<std::size_t>(phase)).second;
}

std::optional<Phase> parse_phase(std::string_view text) {
    for (const auto& [phase, name] : phase_names)
        if (name == text) return phase;
    return {};
}

TransactionState::TransactionState(TransactionValue stored, Time now)
    : value_(std::move(stored)), started_(now) {}

// Whoever has a name of an earlier epoch is fenced, and one with another id was never here.
ErrorCode TransactionState::check(const Name& who) const {
    if (who.producer != value_.name.producer) return ErrorCode::invalid_producer_id_mapping;
    if (who.epoch != value_.name.epoch && !BUG(T02)) return ErrorCode::producer_fenced;
    return ErrorCode::none;
}

void TransactionState::bump(std::optional<Name> before, std::optional<std::int64_t> fresh) {
    if (needs_id()) {
        CHECK(fresh);
        value_.name = {*fresh, 0};
    } else {
        ++value_.name.epoch;
    }
    value_.before = before.value_or(Name());
}

// The marker of an abort that the producer has not asked for has a later epoch than his batches.
void TransactionState::prepare(bool commits) {
    value_.ending = value_.name;
    value_.phase = commits ? Phase::prepare_commit : Phase::prepare_abort;
}

TransactionState::Told TransactionState::init(Time, std::optional<Name> mine,
                                              std::int32_t timeout_ms,
                                              std::optional<std::int64_t> fresh) {
    if (is_prepared()) return {ErrorCode::concurrent_transactions};
    const bool is_new = value_.name.producer < 0;
    if (mine && !is_new && *mine != value_.name) {
        // He asks again, or his time was up: the name is his already.
        if (*mine == value_.before && value_.phase != Phase::ongoing)
            return {ErrorCode::none, false, value_.name};
        return {ErrorCode::producer_fenced};
    }
    if (value_.phase == Phase::ongoing) {
        const Name old = value_.name;
        prepare(false);
        value_.ending.epoch = ++value_.name.epoch;
        value_.before = mine ? old : Name();
        return {ErrorCode::concurrent_transactions, true};
    }
    bump(mine && !is_new ? mine : std::nullopt, fresh);
    value_.phase = Phase::empty;
    value_.partitions.clear();
    value_.timeout_ms = timeout_ms;
    value_.started_ms = -1;
    return {ErrorCode::none, true, value_.name};
}

TransactionState::Told TransactionState::add(Time now, const Name& who,
                                             const TransactionPartitions& partitions,
                                             std::size_t partitions_max) {
    if (const ErrorCode error = check(who); error != ErrorCode::none) return {error};
    if (is_prepared()) return {ErrorCode::concurrent_transactions};
    Told told{ErrorCode::none, false, value_.name};
    if (value_.phase != Phase::ongoing) {
        value_.phase = Phase::ongoing;
        value_.partitions.clear();
        value_.started_ms = -1;
        ++value_.number;
        started_ = now;
        told.is_changed = true;
    }
    for (const auto& [name, group] : partitions) {
        const auto known = value_.partitions.find(name);
        if (known != value_.partitions.end() && known->second == group) continue;
        if (value_.partitions.size() >= partitions_max) {
            told.error = ErrorCode::policy_violation;
            return told;
        }
        value_.partitions[name] = group;
        told.is_changed = true;
    }
    return told;
}

ErrorCode TransactionState::verify(const Name& who,
                                   const std::pair<std::string, std::int32_t>& partition) const {
    if (const ErrorCode error = check(who); error != ErrorCode::none) return error;
    if (is_prepared()) return ErrorCode::concurrent_transactions;
    const bool is_part = value_.phase == Phase::ongoing && value_.partitions.contains(partition);
    return is_part ? ErrorCode::none : ErrorCode::transaction_abortable;
}

TransactionState::Told TransactionState::end(const Name& who, bool commits, bool bumps,
                                             std::optional<std::int64_t> fresh) {
    const Phase complete = commits ? Phase::complete_commit : Phase::complete_abort;
    const Phase prepared = commits ? Phase::prepare_commit : Phase::prepare_abort;
    // He asks again, and has another name since.
    const bool is_again = bumps && who == value_.before;
    if (is_again && value_.phase == complete) return {ErrorCode::none, false, value_.name};
    if (is_again && value_.phase == prepared) return {ErrorCode::concurrent_transactions};
    if (const ErrorCode error = check(who); error != ErrorCode::none) return {error};
    switch (value_.phase) {
    case Phase::ongoing:
        prepare(commits);
        if (bumps) {
            const Name old = value_.name;
            // In the epoch that follows, so that nothing of this one comes late.
            value_.ending.epoch = static_cast<std::int16_t>(old.epoch + 1);
            bump(old, fresh);
        }
        return {ErrorCode::none, true, value_.name};
    case Phase::complete_commit:
    case Phase::complete_abort:
        if (value_.phase == complete && !bumps) return {ErrorCode::none, false, value_.name};
        return {ErrorCode::invalid_txn_state};
    case Phase::empty: return {ErrorCode::invalid_txn_state};
    case Phase::prepare_commit:
    case Phase::prepare_abort: break;
    }
    return {value_.phase == prepared ? ErrorCode::concurrent_transactions
                                     : ErrorCode::invalid_txn_state};
}

void TransactionState::complete() {
    CHECK(is_prepared());
    value_.phase =
        value_.phase == Phase::prepare_commit ? Phase::complete_commit : Phase::complete_abort;
    value_.partitions.clear();
    value_.started_ms = -1;
}

std::optional<Time> TransactionState::deadline() const {
    if (value_.phase != Phase::ongoing) return {};
    return started_ + std::chrono::milliseconds(value_.timeout_ms);
}

bool TransactionState::tick(Time now) {
    const auto due = deadline();
    if (!due || now < *due) return false;
    value_.before = value_.name;
    prepare(false);
    value_.ending.epoch = ++value_.name.epoch;
    return true;
}

wire::TransactionBegin TransactionState::begin() const {
    const Name& name = is_prepared() ? value_.ending : value_.name;
    return {name.producer, name.epoch, value_.number};
}

wire::TransactionEnd TransactionState::how_it_ends() const {
    CHECK(is_prepared());
    return {value_.ending.producer, value_.ending.epoch, value_.phase == Phase::prepare_commit};
}

TransactionValue TransactionState::stored(std::int64_t now_ms) {
    value_.updated_ms = now_ms;
    if (value_.phase == Phase::ongoing && value_.started_ms < 0) value_.started_ms = now_ms;
    return value_;
}

} // namespace pyralog::server
