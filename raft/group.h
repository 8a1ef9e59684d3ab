// raft/group.h
//
// One replica of one partition: a Consensus, its Log, and those who wait for them. It has no fiber
// and no timer of its own, so an idle group costs its memory only. The Host has both, for all.
//
//   requests ─┐                  ┌─ send ────────────────────────────→ Transport
//   messages ─┼→ Consensus ──→ Effects ─ persist → Journal → sync ─┬→ send_when_durable
//   deadline ─┘                  └─ committed → readers            └→ persisted() ──→ Consensus
//
// A Group lives until its Host removes it, which waits for everybody who holds a GroupRef. Waits
// end with Error::not_found when that begins.
#pragma once

#include "core/log/log.h"
#include "core/wire/peer.h"
#include "core/wire/record_batch.h"
#include "raft/consensus.h"
#include "raft/sequencer.h"

#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

namespace pyralog::raft {

class Host;

class Group {
public:
    Group(Environment&, Host&, GroupId, const RaftConfig&, std::unique_ptr<Log>, wire::Vote,
          wire::Members);
    ~Group();
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

    // ---- For who serves clients ----

    // Two steps, so that a connection keeps its requests in order and still has many in flight.
    // propose() claims the next place and does not wait. Error::not_leader; Error::unavailable when
    // too much is under way already.
    struct Proposal {
        Range place;
        Term term;
    };
    Result<Proposal> propose(const wire::RecordBatch& batch);

    // Returns once a majority has the batch on disk. Error::not_leader: it never will.
    // Error::unavailable: it may, or it may not.
    Result<> settle(const Proposal& proposal);

    // The same for this replica's disk alone, which is what Kafka's acks=1 asks for.
    Result<> settle_here(const Proposal& proposal);

    // For whoever looks on: this replica's disk has it, even if others were quicker, for whom the
    // other two do not wait. Errors as theirs.
    Result<> wait_stored(const Proposal& proposal);
    bool is_stored(const Proposal& proposal) const {
        return consensus_.durable_end().index >= proposal.place.end.index;
    }

    // The same for a batch of an idempotent producer, who may send it again, and has others under
    // way. Only what was appended has a proposal; what was before has its first offset.
    // Error::unavailable also while it is not known yet what he has sent before, and nothing was
    // appended.
    struct Sequenced {
        Sequencer::Verdict verdict = Sequencer::Verdict::append;
        Proposal proposal;
        Offset offset;
    };
    Result<Sequenced> propose_in_sequence(const wire::RecordBatch& batch);

    // He will send this one again, before those that he has sent behind it.
    void refused(const wire::BatchHeader& batch);

    // Returns once all records before `end` are committed, which are in the log of the leader of
    // this term. Error::unavailable: it may never be so.
    Result<> settle_up_to(Offset end, Term term);

    // A transaction of a producer begins here; until it ends, batches of it are taken, and no
    // others of his. Returns when that is committed, or must not be. May be said again. Waits.
    // Errors as settle(), and Error::unavailable as propose_in_sequence().
    Result<Sequencer::Turn> begin_transaction(const wire::TransactionBegin& begin);
    // It ends: with a marker, of which each epoch of his that is lower is over. Whatever comes of
    // it late is refused from then on, also that it begins. Waits; the same errors.
    Result<> end_transaction(const wire::TransactionBegin& begun, wire::TransactionEnd end,
                             Term coordinator_term);
    // Of all records before it is known whether they count. Error::unavailable: not here, yet.
    Result<Offset> stable_end();

    // All idempotent producers that are known here, by id, as far as batches are committed. Waits,
    // perhaps for the disk. Error::unavailable if it cannot be known here yet.
    Result<> load_producers();
    const Producers* producers() const; // Null until then.
    // Stores what is known of them, so that the log need not be read that far again. Waits.
    Result<> store_producers();
    // Forgets those of whom nothing was committed since, on all replicas. Waits. Errors as
    // settle().
    Result<> forget_producers(std::int64_t seen_before_ms);

    // Forgets the records before `offset`, on all replicas, and returns when none of them will ever
    // have a leader that still knows them. The answer is the first offset that is left, which is
    // `offset` or a later one. Waits. Error::malformed if so many are not committed, else as
    // settle().
    Result<Offset> trim(Offset offset);

    // Has all replicas compact their logs as far as this says. Returns when none of them will ever
    // have a leader that does not know it. Waits. Error::malformed if not all that it speaks of is
    // committed, Error::unavailable also while it is open what has become of the last one, else as
    // settle().
    Result<> agree(const wire::Compaction& compaction);

    // See Log.
    Result<std::optional<wire::Compaction>> compaction();
    Result<CompactionWork> compact(const BatchReader& reader, std::size_t key_bytes_max,
                                   const CompactionPace& pace);

    // An end that no later leader can take back, and that holds all that was acknowledged before
    // the call.
    Result<Offset> read_barrier();

    // Returns once more than `beyond` is committed here. The answer is the end of that.
    Result<Offset> wait_committed(Offset beyond);

    // Notified whenever more is committed here, or the leader changes. Who watches removes itself
    // before the Condition or its GroupRef ends.
    void watch(Condition& changed) { watchers_.push_back(&changed); }
    void unwatch(Condition& changed) { std::erase(watchers_, &changed); }

    // Whole batches of committed records, from the one that holds `from` up to `limit`, if there is
    // one; never less than one.
    Result<BytesChain> read(Offset from, std::size_t bytes_max, std::optional<Offset> limit = {});

    // The first batch that has a record of this time or later, before `limit`, and that ends behind
    // `from`. Error::not_found if there is none.
    Result<BytesChain> read_from_time(std::int64_t timestamp_ms, Offset limit, Offset from = {});

    // If this replica leads, another one is to, once it has all that there is. Does not wait: who
    // leads then is seen by who does.
    void hand_over(NodeId to);

    GroupId id() const { return id_; }
    bool leads() const { return consensus_.role() == Role::leader; }
    // Leads, and has committed an entry of its own term: it knows what is committed.
    bool serves() const;
    Term term() const { return consensus_.term(); }
    std::optional<NodeId> leader() const { return consensus_.leader(); }
    Position committed() const { return committed_; }
    const Consensus& consensus() const { return consensus_; }
    const Log& log() const { return *log_; }
    Log& log() { return *log_; }

    // ---- For the Host ----

    void tick(Time now);
    void give_way(Time now); // Instead of tick(): see Consensus.
    void campaign(Time now); // Stands for election now: nobody else leads this group yet.
    void receive(NodeId from, wire::PeerMessage message);
    void lose_vote(Time now);           // What was promised here is unknown.
    void saved(const Effects& effects); // The journal has them.
    void close();                       // Everybody who waits here is to leave.
    bool is_closing() const { return closing_; }
    // Some of its log could not be read a moment ago: another replica would make a better leader.
    bool is_unfit(Time now) const { return now < unfit_until_; }
    bool in_use() const { return users_ > 0; }
    // See Log::mend().
    Result<> mend(std::span<const wire::Frame> frames);
    // Some of the log is damaged; it is whole again.
    void log_is_damaged();
    void log_is_mended() { unfit_until_ = {}; }

private:
    friend class GroupRef;

    std::size_t count_in_place(std::span<const wire::Frame> frames) const;
    void input_done(std::vector<wire::Frame> material = {});
    void persist(const Append& step, std::vector<wire::Frame>& material);
    void persist(const Cut& step, std::vector<wire::Frame>& material);
    void persist(const Reset& step, std::vector<wire::Frame>& material);
    void persist(const wire::Vote& step, std::vector<wire::Frame>& material);
    void send(const Envelope& envelope);
    void replicate(const Entries& wanted);
    void replicate_from_disk(const Entries& wanted);
    void send_entries(const Entries& wanted, std::vector<wire::Frame> frames);
    Result<> settled(const Proposal& proposal, bool here) const;
    Result<> wait_settled(const Proposal& proposal, bool here);
    Result<Proposal> propose(wire::Frame::Kind kind, BytesChain payload);
    bool told_of_leader();
    bool is_agreeing() const;

    // group_producers.cc
    Result<> knows_producers();
    Result<> settle_all();
    Result<Proposal> propose_begin(const wire::TransactionBegin& begin);
    static constexpr std::int64_t forget_none = std::numeric_limits<std::int64_t>::min();
    void follow_producers();
    void take_producers(const wire::Frame& entry);
    void lose_producers();
    Sequencer& sequencer();
    std::optional<wire::ProducerTable> producers_to_carry(std::int64_t seen_from_ms) const;
    template <class T>
    Result<T> noticed(Result<T> read);

    Environment& env_;
    Host& host_;
    const GroupId id_;
    const RaftConfig& config_;
    std::unique_ptr<Log> log_;
    Consensus consensus_;
    Position committed_;
    std::uint64_t barriers_passed_ = 0;
    Condition changed_;
    std::vector<Condition*> watchers_;
    // What is known of producers; null while nothing is. All entries before the index are taken
    // into account; none: it was not read yet what they were.
    std::unique_ptr<Sequencer> sequencer_;
    std::optional<std::int64_t> followed_;
    std::uint64_t grown_bytes_ = 0; // Since what is known was last stored.
    std::set<NodeId> reading_for_;  // Followers for whom entries are being read from the disk.
    Term agreeing_term_;            // Of the last proposal of a compaction,
    std::int64_t agreeing_ = -1;    // and its place.
    std::optional<NodeId> leader_told_;
    Term term_told_;
    Time unfit_until_;
    std::size_t users_ = 0;
    bool closing_ = false;
    bool abstained_ = false; // As the Host knows.
};

// Keeps a Group alive across waits.
class GroupRef {
public:
    GroupRef() = default;
    explicit GroupRef(Group* group) : group_(group) {
        if (group_) ++group_->users_;
    }
    GroupRef(GroupRef&& other) noexcept : group_(std::exchange(other.group_, nullptr)) {}
    GroupRef& operator=(GroupRef&& other) noexcept {
        std::swap(group_, other.group_);
        return *this;
    }
    ~GroupRef();

    explicit operator bool() const { return group_ != nullptr; }
    Group& operator*() const { return *group_; }
    Group* operator->() const { return group_; }

private:
    Group* group_ = nullptr;
};

} // namespace pyralog::raft
