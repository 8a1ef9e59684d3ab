#include "raft/group.h"

#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/crc32c.h"
#include "core/base/probe.h"
#include "raft/host.h"

namespace pyralog::raft {

namespace {

// For so many election timeouts a replica that could not read its log leaves others the lead. They
// need one to miss it, and few to agree. If they cannot, a bad leader is better than none.
constexpr int unfit_timeouts = 5;

// A fiber that waits may be slow to look: until `late` is true, or for a while.
constexpr Duration late_most = 1s;

template <class Late>
Result<> look_late(Environment& env, Condition& changed, Late late) {
    const Deadline most(env.fibers, env.clock.now() + late_most);
    const Result<> waited = changed.wait(late);
    if (!waited.ok() && waited.error() == Error::timed_out) return {};
    return waited;
}

} // namespace

Group::Group(Environment& env, Host& host, GroupId id, const RaftConfig& config,
             std::unique_ptr<Log> log, wire::Vote vote, wire::Members members)
    : env_(env), host_(host), id_(id), config_(config), log_(std::move(log)),
      consensus_(config, host.self(), std::move(members), vote, log_->segments_end(), log_->end(),
                 log_->terms(),
                 env.random.fork("consensus " + std::to_string(id.value) + ' ' +
                                 std::to_string(env.random.next())),
                 env.clock.now()),
      committed_(log_->segments_end()), changed_(env.fibers) {
    // Of what is yet to be committed all passes through here.
    if (committed_.index == 0) followed_ = 0;
    log_->on_damage([this] { host_.repair_->want(id_); });
}

Group::~Group() { CHECK(users_ == 0); }

GroupRef::~GroupRef() {
    if (group_ && --group_->users_ == 0 && group_->closing_) group_->host_.released();
}

// ---- For who serves clients ----

Result<Group::Proposal> Group::propose(const wire::RecordBatch& batch) {
    if (closing_) return Error::not_found;
    if (host_.is_backlogged()) return Error::unavailable;
    const Range place = TRY(consensus_.propose(env_.clock.now(), batch.records()));
    wire::Frame frame;
    frame.group = id_;
    frame.term = consensus_.term();
    frame.first = place.first;
    frame.records = batch.records();
    frame.payload = batch.stamped(place.first.offset, frame.term);
    frame.payload_crc = crc32c(frame.payload);
    std::vector<wire::Frame> material;
    material.push_back(std::move(frame));
    const Proposal proposal{place, consensus_.term()};
    input_done(std::move(material));
    return proposal;
}

// What has become of a proposal: done, or never, or unknown for good. Nothing of these: ask later.
Result<> Group::settled(const Proposal& proposal, bool here) const {
    const Position end = proposal.place.end;
    // Whoever trimmed the log has seen what stood there, or a leader has that sent us its own
    // start.
    SOMETIMES(proposal.place.first.index < consensus_.start().index, "group/proposal-trimmed");
    if (proposal.place.first.index < consensus_.start().index) return Error::unavailable;
    const bool filled = consensus_.end().index >= end.index;
    const bool there =
        filled && (consensus_.terms().at(proposal.place.first.index) == proposal.term || BUG(M29));
    // Cut here, but it may still be elsewhere, and win: whoever overruled it may be overruled
    // before its own entry is committed (the paper's figure 8). Only what is committed in its place
    // is final.
    SOMETIMES(!there && committed_.index > proposal.place.first.index, "group/proposal-overruled");
    SOMETIMES(!there && committed_.index <= proposal.place.first.index,
              "group/proposal-cut-and-perhaps-elsewhere");
    if (!there)
        return committed_.index > proposal.place.first.index ? Error::not_leader
                                                             : Error::unavailable;
    if (committed_.index >= end.index) return {};
    SOMETIMES(here && consensus_.durable_end().index < end.index, "group/not-even-durable-here");
    if (here && consensus_.durable_end().index >= end.index) return {};
    // Whoever leads now may or may not have it.
    if ((consensus_.term() != proposal.term || !leads()) && !BUG(M29)) {
        REACHABLE("group/proposal-left-to-the-next-leader");
        return Error::unavailable;
    }
    return Error::timed_out;
}

Result<> Group::wait_settled(const Proposal& proposal, bool here) {
    TRY(changed_.wait([&] {
        const Result<> now = settled(proposal, here);
        return closing_ || now.ok() || now.error() != Error::timed_out;
    }));
    // Some look when all is decided.
    const auto is_open = [&] {
        const Result<> now = settled(proposal, here);
        return !closing_ && !now.ok() && now.error() != Error::not_leader;
    };
    if (is_open() && BUGGIFY("group/settles-late", 1'000'000))
        TRY(look_late(env_, changed_, [&] { return !is_open(); }));
    SOMETIMES(closing_, "group/closed-while-a-proposal-waited");
    if (closing_) return Error::not_found;
    return settled(proposal, here);
}

Result<> Group::settle(const Proposal& proposal) { return wait_settled(proposal, false); }
Result<> Group::settle_here(const Proposal& proposal) { return wait_settled(proposal, true); }

Result<> Group::wait_stored(const Proposal& proposal) {
    const auto is_lost = [&] {
        const Result<> now = settled(proposal, true);
        return !now.ok() && now.error() != Error::timed_out;
    };
    TRY(changed_.wait([&] { return closing_ || is_stored(proposal) || is_lost(); }));
    if (closing_) return Error::not_found;
    return is_lost() ? settled(proposal, true) : Result<>();
}

Result<Offset> Group::read_barrier() {
    if (leads() && BUG(M23)) return committed_.offset;
    const Term term = consensus_.term();
    const std::uint64_t number = TRY(consensus_.barrier(env_.clock.now()));
    input_done();
    TRY(changed_.wait([&] {
        return closing_ || barriers_passed_ >= number || !leads() || consensus_.term() != term;
    }));
    // Some look when this replica leads again.
    if (!closing_ && !leads() && BUGGIFY("group/reads-late", 1'000'000))
        TRY(look_late(env_, changed_, [&] { return closing_ || leads(); }));
    if (closing_) return Error::not_found;
    SOMETIMES(!leads(), "group/deposed-while-a-read-waited");
    SOMETIMES(leads() && consensus_.term() != term, "group/leads-again-after-a-read-waited");
    if (!leads() || consensus_.term() != term) return Error::not_leader;
    return committed_.offset;
}

Result<Offset> Group::trim(Offset offset) {
    if (closing_) return Error::not_found;
    if (!serves()) return Error::not_leader;
    if (offset > committed_.offset) return Error::malformed;
    if (offset > log_->log_start().offset) {
        const Result<Position> found = noticed(log_->position_of(offset));
        if (closing_) return Error::not_found;
        const bool trimmed = !found.ok() && found.error() == Error::not_found;
        SOMETIMES(trimmed, "group/trimmed-while-it-looked-for-the-place");
        if (!found.ok() && !trimmed) return found.error();
        // What goes with the records is needed, of those who sent them.
        TRY(load_producers());
        if (!serves()) return Error::not_leader;
        // What is found behind it may not stay there.
        if (found.ok()) {
            const wire::Trim trim{std::min(found.value(), committed_), offset};
            const Proposal proposal =
                TRY(propose(wire::Frame::Kind::trim,
                            wire::trim_payload(trim, producers_to_carry(forget_none))));
            if (BUG(M33)) return offset;
            TRY(settle(proposal));
        }
    }
    return log_->log_start().offset;
}

Result<> Group::agree(const wire::Compaction& compaction) {
    if (closing_) return Error::not_found;
    if (!serves()) return Error::not_leader;
    if (compaction.to.end.index > committed_.index) return Error::malformed;
    // What goes with the records is needed, of those who sent them.
    TRY(load_producers());
    if (!serves()) return Error::not_leader;
    // Of what is compacted nothing may turn out not to count later.
    if (compaction.to.end.offset > TRY(stable_end())) return Error::unavailable;
    if (is_agreeing()) return Error::unavailable;
    const Proposal proposal =
        TRY(propose(wire::Frame::Kind::compaction,
                    wire::compaction_payload(compaction, producers_to_carry(forget_none))));
    agreeing_ = proposal.place.first.index;
    agreeing_term_ = proposal.term;
    return settle(proposal);
}

// What follows the last one must go further than it does.
bool Group::is_agreeing() const {
    return agreeing_term_ == consensus_.term() && agreeing_ >= committed_.index;
}

// An entry that is the log's own.
Result<Group::Proposal> Group::propose(wire::Frame::Kind kind, BytesChain payload) {
    const Range place = TRY(consensus_.propose(env_.clock.now(), 0));
    wire::Frame frame;
    frame.kind = kind;
    frame.group = id_;
    frame.term = consensus_.term();
    frame.first = place.first;
    frame.payload = std::move(payload);
    frame.payload_crc = crc32c(frame.payload);
    const Proposal proposal{place, consensus_.term()};
    std::vector<wire::Frame> material;
    material.push_back(std::move(frame));
    input_done(std::move(material));
    return proposal;
}

Result<Offset> Group::wait_committed(Offset beyond) {
    TRY(changed_.wait([&] { return closing_ || committed_.offset > beyond; }));
    if (closing_) return Error::not_found;
    return committed_.offset;
}

Result<BytesChain> Group::read(Offset from, std::size_t bytes_max, std::optional<Offset> limit) {
    return noticed(log_->read(from, limit.value_or(committed_.offset), bytes_max));
}

Result<BytesChain> Group::read_from_time(std::int64_t timestamp_ms, Offset limit, Offset from) {
    const Offset first = TRY(noticed(log_->offset_for_time(timestamp_ms, limit, from)));
    return noticed(log_->read(std::max(first, log_->log_start().offset), limit, 1));
}

// What this replica cannot read it cannot serve either, and others have it. What of it can be
// mended the log tells by itself: where it tells nothing there is nothing to be called whole again.
template <class T>
Result<T> Group::noticed(Result<T> read) {
    if (!read.ok() && (read.error() == Error::corrupt || read.error() == Error::device_failed))
        unfit_until_ = env_.clock.now() + unfit_timeouts * config_.election_timeout;
    return read;
}
template Result<std::vector<wire::Frame>> Group::noticed(Result<std::vector<wire::Frame>>);

Result<std::optional<wire::Compaction>> Group::compaction() { return noticed(log_->compaction()); }

Result<CompactionWork> Group::compact(const BatchReader& reader, std::size_t key_bytes_max,
                                      const CompactionPace& pace) {
    return noticed(log_->compact(reader, key_bytes_max, pace));
}

// A trim that can be read again moves the log's start, of which Consensus must know before it says
// anything.
Result<> Group::mend(std::span<const wire::Frame> frames) {
    TRY(log_->mend(frames));
    input_done();
    return {};
}

void Group::log_is_damaged() {
    unfit_until_ = env_.clock.now() + unfit_timeouts * config_.election_timeout;
    host_.repair_->want(id_);
}

bool Group::serves() const {
    if (!leads()) return false;
    const bool committed_own =
        committed_.index > 0 && consensus_.terms().at(committed_.index - 1) == consensus_.term();
    return committed_own || BUG(M24);
}

// ---- For the Host ----

void Group::tick(Time now) {
    consensus_.tick(now);
    input_done();
}

void Group::hand_over(NodeId to) {
    const Result<> begun = consensus_.transfer(env_.clock.now(), to);
    SOMETIMES(begun.ok(), "group/gives-the-lead-away");
    if (begun.ok()) env_.log.info("gives the lead to another node", {{"group", id_}, {"node", to}});
    input_done();
}

void Group::give_way(Time now) {
    consensus_.give_way(now);
    input_done();
}

void Group::lose_vote(Time now) {
    consensus_.lose_vote(now);
    input_done();
}

void Group::campaign(Time now) {
    consensus_.campaign(now);
    input_done();
}

void Group::receive(NodeId from, wire::PeerMessage message) {
    Message value;
    if (auto* append = std::get_if<wire::AppendRequest>(&message.body)) {
        // The entries are told by the frames, which must lie end to end.
        append->entries.clear();
        Position next = append->first;
        for (const wire::Frame& frame : message.frames) {
            SOMETIMES(frame.first != next, "group/frames-do-not-lie-end-to-end");
            if (frame.first != next) return;
            next = frame.end();
            wire::Entry entry{frame.term, frame.records, {}};
            if (frame.kind == wire::Frame::Kind::members) {
                Result<wire::Members> members = wire::decode<wire::Members>(joined(frame.payload));
                if (!members.ok() || frame.records != 0) return;
                entry.members = std::move(members).value();
            }
            append->entries.push_back(std::move(entry));
        }
        // A follower has no other way to say that it cannot take more: the leader will ask again.
        if (!message.frames.empty() && host_.is_full()) {
            const std::size_t count = count_in_place(message.frames);
            SOMETIMES(count > 0, "group/full-and-takes-what-is-in-place");
            SOMETIMES(count == 0, "group/full-and-drops-an-append");
            if (count == 0) return;
            append->entries.resize(count);
            message.frames.resize(count);
        }
        value = std::move(*append);
    } else if (auto* reply = std::get_if<wire::AppendReply>(&message.body)) {
        value = *reply;
    } else if (auto* reset = std::get_if<wire::ResetRequest>(&message.body)) {
        value = *reset;
    } else if (auto* request = std::get_if<wire::VoteRequest>(&message.body)) {
        value = *request;
    } else if (auto* vote = std::get_if<wire::VoteReply>(&message.body)) {
        value = *vote;
    } else if (auto* stand = std::get_if<wire::StandRequest>(&message.body)) {
        value = *stand;
    } else if (const auto* ask = std::get_if<wire::TermRequest>(&message.body)) {
        value = *ask;
    } else if (const auto* term = std::get_if<wire::TermReply>(&message.body)) {
        value = *term;
    } else if (const auto* over = std::get_if<wire::HandOver>(&message.body)) {
        return hand_over(over->to);
    } else {
        return;
    }
    consensus_.receive(env_.clock.now(), from, value);
    input_done(std::move(message.frames));
}

// How many of these, from the first on, stand where the log has entries already: the same ones, of
// which it may learn that they are committed, and then at most one that overrules ours and all that
// is behind it. Both make room in a journal that is full, and may be all that can: perhaps its
// files are held by just what is overruled.
std::size_t Group::count_in_place(std::span<const wire::Frame> frames) const {
    std::size_t count = 0;
    for (const wire::Frame& frame : frames) {
        const std::int64_t index = frame.first.index;
        if (index >= log_->end().index) break;
        ++count;
        if (index >= log_->start().index && log_->terms().at(index) != frame.term) break;
    }
    return count;
}

void Group::saved(const Effects& effects) {
    for (const Envelope& reply : effects.send_when_durable) send(reply);
    consensus_.persisted(effects.ticket);
    input_done();
}

void Group::close() {
    closing_ = true;
    changed_.notify_all();
    for (Condition* watcher : watchers_) watcher->notify_all();
}

// After every input. Nothing here waits: the journal and the transport only queue. `material` has
// the frames of what was proposed or received.
void Group::input_done(std::vector<wire::Frame> material) {
    Effects effects = consensus_.take_effects();
    for (const auto& step : effects.persist)
        std::visit([&](const auto& s) { persist(s, material); }, step);
    for (const Envelope& envelope : effects.send) send(envelope);
    for (const Entries& wanted : effects.replicate) replicate(wanted);
    const bool moved = committed_ != effects.committed;
    committed_ = effects.committed;
    barriers_passed_ = effects.barriers_passed;
    if (moved) {
        follow_producers();
        log_->set_committed(committed_);
    }
    const bool trimmed = consensus_.start() != log_->start();
    if (trimmed) consensus_.trimmed(log_->start());
    if (effects.needs_disk()) host_.when_durable(*this, std::move(effects));
    host_.deadline_changed(*this);
    if (const bool abstains = consensus_.abstains(); abstains != abstained_) {
        abstained_ = abstains;
        host_.abstention_changed(*this);
    }
    const bool led_by_another = told_of_leader();
    changed_.notify_all();
    if (moved || led_by_another)
        for (Condition* watcher : watchers_) watcher->notify_all();
    if (trimmed) input_done();
}

// Tells the Host of a new leader. True if there is one, or there is none any more.
bool Group::told_of_leader() {
    if (leader_told_ == consensus_.leader() && term_told_ == consensus_.term()) return false;
    if (!leads() && sequencer_) sequencer_->deposed();
    if (leads() && producers() && !producers()->all().empty() && BUG(M34)) sequencer_->restore({});
    const bool leader_changed = leader_told_ != consensus_.leader();
    leader_told_ = consensus_.leader();
    term_told_ = consensus_.term();
    if (leader_changed || leads()) host_.leader_changed(*this);
    return true;
}

void Group::persist(const Append& step, std::vector<wire::Frame>& material) {
    for (wire::Frame& frame : material) {
        if (frame.first != step.first) continue;
        CHECK(frame.term == step.entry.term && frame.records == step.entry.records);
        log_->append(frame);
        return;
    }
    // Nobody gave us this one: it is the first of our own term.
    CHECK(step.entry.is_term_start() && leads());
    wire::Frame frame;
    frame.kind = wire::Frame::Kind::term_start;
    frame.group = id_;
    frame.term = step.entry.term;
    frame.first = step.first;
    log_->append(frame);
}

void Group::persist(const Cut& step, std::vector<wire::Frame>&) { log_->cut(step.end); }

void Group::persist(const Reset& step, std::vector<wire::Frame>&) {
    env_.log.info("log begins anew",
                  {{"group", id_}, {"start", step.start.first}, {"end_before", log_->end()}});
    log_->reset(step.start);
    if (followed_) lose_producers();
}

void Group::persist(const wire::Vote& step, std::vector<wire::Frame>&) {
    wire::Frame frame;
    frame.kind = wire::Frame::Kind::vote;
    frame.group = id_;
    frame.term = step.term;
    frame.payload = {wire::encode(step)};
    frame.payload_crc = crc32c(frame.payload);
    host_.journal_->append(frame);
}

void Group::send(const Envelope& envelope) {
    wire::PeerMessage message{id_, {}, {}};
    std::visit([&](const auto& m) { message.body = m; }, envelope.message);
    // Which record is the first is nothing to Consensus.
    if (auto* reset = std::get_if<wire::ResetRequest>(&message.body)) {
        CHECK(reset->start.first == log_->start());
        reset->start.offset = log_->log_start().offset;
    }
    using Lane = Transport::Lane;
    host_.transport_.send(envelope.to, std::move(message),
                          envelope.behind_entries ? Lane::entries : Lane::prompt);
}

void Group::replicate(const Entries& wanted) {
    std::vector<wire::Frame> frames = log_->tail(wanted.request.first, config_.append_bytes_max);
    if (frames.empty() || BUGGIFY("group/replicates-through-a-read"))
        replicate_from_disk(wanted);
    else
        send_entries(wanted, std::move(frames));
}

void Group::send_entries(const Entries& wanted, std::vector<wire::Frame> frames) {
    const auto count_max = static_cast<std::size_t>(config_.append_entries_max);
    SOMETIMES(frames.size() > count_max, "group/more-entries-than-one-append-takes");
    if (frames.size() > count_max) frames.resize(count_max);
    if (BUGGIFY("group/sends-one-entry")) frames.resize(1);
    const Position end = frames.back().end();
    host_.transport_.send(wanted.to, {id_, wanted.request, std::move(frames)},
                          Transport::Lane::entries);
    consensus_.sent(wanted.to, end);
}

// A follower that is far behind. One read at a time for each; what Consensus wants meanwhile it
// will want again.
void Group::replicate_from_disk(const Entries& wanted) {
    SOMETIMES(reading_for_.contains(wanted.to), "group/is-reading-for-that-follower-already");
    if (!host_.running_ || closing_ || !reading_for_.insert(wanted.to).second) return;
    REACHABLE("group/reads-for-a-follower");
    host_.running_->spawn("read for follower", [this, ref = GroupRef(this), wanted] {
        Result<std::vector<wire::Frame>> frames =
            noticed(log_->read_frames(wanted.request.first, log_->end(), config_.append_bytes_max));
        reading_for_.erase(wanted.to);
        const bool trimmed = !frames.ok() && frames.error() == Error::not_found;
        SOMETIMES(trimmed, "group/trimmed-while-it-read-for-a-follower");
        if (!frames.ok() && frames.error() != Error::cancelled && !trimmed)
            env_.log.warning("cannot read entries for a follower",
                             {{"group", id_}, {"node", wanted.to}, {"error", frames.error()}});
        SOMETIMES(!frames.ok() && frames.error() != Error::cancelled,
                  "group/cannot-read-for-a-follower");
        if (!frames.ok() || frames.value().empty()) return;
        if (BUGGIFY("group/forgets-what-it-read")) return;
        // The request is as old as the read: it is only good if nothing has changed since.
        const Progress* progress = consensus_.progress(wanted.to);
        if (!leads() || consensus_.term() != wanted.request.term || !progress ||
            progress->next() != wanted.request.first) {
            REACHABLE("group/read-for-a-follower-in-vain");
            return;
        }
        send_entries(wanted, std::move(frames).value());
        input_done();
    });
}

} // namespace pyralog::raft
