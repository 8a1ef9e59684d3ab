// What a Group knows of its idempotent producers: followed as entries are committed, read from its
// log when it does not know it, and carried by trims and compactions, which take the batches away
// that told of it.
#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "raft/group.h"
#include "raft/host.h"

namespace pyralog::raft {

namespace {

constexpr std::size_t load_bytes_max = 1_MiB; // Of a log, in one read.

} // namespace

// ---- For who serves clients ----

// Until an entry of the own term is committed, what will be of those before it is open.
Result<> Group::knows_producers() {
    SOMETIMES(!serves(), "group/asked-in-sequence-before-it-serves");
    SOMETIMES(serves() && !followed_, "group/asked-in-sequence-before-it-has-loaded");
    if (serves() && !followed_) host_.producers_.want(id_);
    if (!serves() || !followed_) return Error::unavailable;
    CHECK(*followed_ >= committed_.index);
    return {};
}

Result<Group::Sequenced> Group::propose_in_sequence(const wire::RecordBatch& batch) {
    if (closing_) return Error::not_found;
    if (!leads()) return Error::not_leader;
    TRY(knows_producers());
    const wire::BatchHeader& header = batch.header();
    const Sequencer::Decision decision =
        sequencer().decide(header, term(), static_cast<std::size_t>(config_.producers_max));
    if (decision.verdict != Sequencer::Verdict::append)
        return Sequenced{decision.verdict, {}, decision.offset};
    const Proposal proposal = TRY(propose(batch));
    sequencer().proposed(header, proposal.place.first, proposal.term);
    return Sequenced{decision.verdict, proposal, proposal.place.first.offset};
}

void Group::refused(const wire::BatchHeader& batch) { sequencer().refused(batch); }

Result<> Group::settle_up_to(Offset end, Term term) {
    const auto is_over = [&] { return !leads() || consensus_.term() != term; };
    TRY(changed_.wait([&] { return closing_ || committed_.offset >= end || is_over(); }));
    if (closing_) return Error::not_found;
    SOMETIMES(committed_.offset < end, "group/deposed-before-a-repeated-batch-was-committed");
    if (committed_.offset < end) return Error::unavailable;
    return {};
}

// All that is in this leader's log by now.
Result<> Group::settle_all() {
    const Term term = consensus_.term();
    const std::int64_t end = consensus_.end().index;
    const auto is_over = [&] { return !leads() || consensus_.term() != term; };
    TRY(changed_.wait([&] { return closing_ || committed_.index >= end || is_over(); }));
    if (closing_) return Error::not_found;
    if (committed_.index < end) return Error::unavailable;
    return {};
}

Result<Group::Proposal> Group::propose_begin(const wire::TransactionBegin& begin) {
    const Proposal proposal = TRY(propose(wire::Frame::Kind::begin, {wire::encode(begin)}));
    sequencer().proposed(begin, proposal.place.first, proposal.term);
    return proposal;
}

Result<Sequencer::Turn> Group::begin_transaction(const wire::TransactionBegin& begin) {
    if (closing_) return Error::not_found;
    if (!leads()) return Error::not_leader;
    TRY(knows_producers());
    if (host_.is_backlogged()) return Error::unavailable;
    const Sequencer::Turn turn =
        sequencer().may_begin(begin, term(), static_cast<std::size_t>(config_.producers_max),
                              static_cast<std::size_t>(config_.aborted_max));
    SOMETIMES(turn == Sequencer::Turn::done, "group/transaction-begins-again");
    SOMETIMES(turn == Sequencer::Turn::never, "group/transaction-begins-when-it-is-over");
    if (turn == Sequencer::Turn::done) TRY(settle_all());
    if (turn == Sequencer::Turn::now) TRY(settle(TRY(propose_begin(begin))));
    return turn;
}

// One that has not begun here, and is over, must not begin later: so it does both now.
Result<> Group::end_transaction(const wire::TransactionBegin& begun, wire::TransactionEnd end,
                                Term coordinator_term) {
    if (closing_) return Error::not_found;
    if (!leads()) return Error::not_leader;
    TRY(knows_producers());
    if (host_.is_backlogged()) return Error::unavailable;
    if (sequencer().may_end(begun, term()) == Sequencer::Turn::done) {
        REACHABLE("group/transaction-ends-again");
        return settle_all();
    }
    const bool has_begun = sequencer().has_begun(begun, term());
    SOMETIMES(!has_begun, "group/transaction-ends-before-it-began");
    if (!has_begun) TRY(propose_begin(begun));
    if (BUG(T03)) end.commits = true;
    const wire::RecordBatch marker =
        wire::marker(end, coordinator_term.value, env_.clock.wall().unix_ms);
    const Proposal proposal = TRY(propose(marker));
    sequencer().proposed(end, proposal.place.first, proposal.term);
    return settle(proposal);
}

Result<Offset> Group::stable_end() {
    if (closing_) return Error::not_found;
    if (!followed_) host_.producers_.want(id_);
    if (!followed_) return Error::unavailable;
    if (!sequencer_) return committed_.offset;
    return std::min(sequencer_->known().first_open().value_or(committed_.offset),
                    committed_.offset);
}

const Producers* Group::producers() const {
    static const Producers none;
    if (!followed_) return nullptr;
    return sequencer_ ? &sequencer_->known() : &none;
}

Result<> Group::forget_producers(std::int64_t seen_before_ms) {
    if (closing_) return Error::not_found;
    if (!serves()) return Error::not_leader;
    if (!followed_ || !sequencer_ || !sequencer_->known().any_seen_before(seen_before_ms))
        return {};
    const LogStart start = log_->log_start();
    return settle(TRY(
        propose(wire::Frame::Kind::trim, wire::trim_payload({start.first, start.offset},
                                                            producers_to_carry(seen_before_ms)))));
}

// ---- As entries are committed ----

Sequencer& Group::sequencer() {
    if (!sequencer_) sequencer_ = std::make_unique<Sequencer>();
    return *sequencer_;
}

// Those from where the log was last known to be committed. Nothing of them has been moved yet.
void Group::follow_producers() {
    std::int64_t index = log_->committed().index;
    // A log that was begun anew has no such entries.
    for (; index < committed_.index; ++index) {
        const wire::Frame* const entry = log_->in_memory(index);
        const bool is_whole = entry && entry->damaged == 0;
        if (followed_ && index >= *followed_) {
            if (is_whole)
                take_producers(*entry);
            else
                lose_producers();
        } else if (!followed_ && is_whole && wire::producer_step_of(*entry)) {
            host_.producers_.want(id_); // To know them when this replica leads.
        }
        if (entry) grown_bytes_ += wire::stored_size(*entry);
    }
    if (grown_bytes_ >= config_.producers_snapshot_bytes) host_.producers_.want(id_);
}

void Group::take_producers(const wire::Frame& entry) {
    CHECK(*followed_ == entry.first.index);
    followed_ = entry.first.index + 1;
    using Kind = wire::Frame::Kind;
    const bool tells =
        wire::producer_step_of(entry) || entry.kind == Kind::trim || entry.kind == Kind::compaction;
    if (tells) sequencer().take(entry, env_.clock.wall().unix_ms);
}

// What was known is not all any more. The log has it, or will have.
void Group::lose_producers() {
    REACHABLE("group/does-not-know-its-producers-any-more");
    followed_.reset();
    if (sequencer_) sequencer_->restore({});
    host_.producers_.want(id_);
}

// A trim or a compaction takes records away, and with them what is known of those who sent them.
// As of the entry that carries it: all that is before it in this leader's log is committed with it.
std::optional<wire::ProducerTable> Group::producers_to_carry(std::int64_t seen_from_ms) const {
    CHECK(followed_ && serves());
    if (!sequencer_ || BUG(P04)) return {};
    const Producers known = sequencer_->foreseen(term(), env_.clock.wall().unix_ms);
    if (known.all().empty() && !known.has_forgotten()) return {};
    return known.table(consensus_.end(), seen_from_ms);
}

// ---- Loading ----

namespace {

// What the entries before a place tell of producers.
struct Loading {
    Producers known;
    std::int64_t begun = 0; // Where the log began.
    std::int64_t next = 0;
    // What lies before that is known as well.
    bool is_complete = false;

    void take(const wire::Frame& entry, std::int64_t now_ms) {
        next = entry.first.index + 1;
        known.take(entry, now_ms);
        if (entry.kind != wire::Frame::Kind::trim) return;
        // It says all about what it has taken away, or else there was nothing to say.
        const auto trim = wire::trim_of(entry);
        is_complete |= trim.ok() && trim.value().first.index >= begun;
    }
};

} // namespace

Result<> Group::load_producers() {
    std::optional<Loading> loading;
    for (;;) {
        if (closing_) return Error::not_found;
        if (followed_) return {};
        const std::int64_t start = log_->start().index;
        SOMETIMES(loading && loading->next < start, "group/trimmed-while-it-loaded-producers");
        if (!loading || loading->next < start) {
            const auto stored = TRY(host_.producers_.stored(id_));
            loading.emplace();
            loading->begun = loading->next = log_->start().index;
            loading->is_complete = loading->next == 0;
            if (stored && stored->as_of.index >= loading->next) {
                loading->known.replace(*stored);
                loading->next = stored->as_of.index;
                loading->is_complete = true;
                if (loading->next < committed_.index && BUG(P06)) loading->next = committed_.index;
            }
            continue;
        }
        if (loading->next >= committed_.index) break;
        const wire::Frame* const entry = log_->in_memory(loading->next);
        if (entry && entry->damaged == 0) {
            loading->take(*entry, env_.clock.wall().unix_ms);
            continue;
        }
        const Position from{loading->next, {}};
        const std::size_t most = BUGGIFY("group/loads-little") ? 1 : load_bytes_max;
        const auto frames = noticed(log_->read_frames(from, committed_, most));
        if (!frames.ok() && frames.error() == Error::not_found && !closing_) continue; // Trimmed.
        for (const wire::Frame& frame : TRY(frames))
            if (frame.first.index == loading->next) loading->take(frame, env_.clock.wall().unix_ms);
    }
    SOMETIMES(!loading->is_complete, "group/begun-anew-and-not-told-of-producers-yet");
    if (!loading->is_complete) return Error::unavailable;
    followed_ = loading->next;
    const bool knows_some = !loading->known.all().empty() || loading->known.has_forgotten();
    if (sequencer_ || knows_some) sequencer().restore(std::move(loading->known));
    return {};
}

Result<> Group::store_producers() {
    if (!followed_ || grown_bytes_ < config_.producers_snapshot_bytes) return {};
    grown_bytes_ = 0;
    // Before the end of what is committed all was followed; a table may be of a later place.
    if (*followed_ != committed_.index) return {};
    wire::ProducerTable table{committed_, false, {}, {}};
    if (sequencer_) table = sequencer_->known().table(committed_);
    return host_.producers_.store(id_, table);
}

} // namespace pyralog::raft
