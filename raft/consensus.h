// raft/consensus.h
//
// Raft as a function: inputs and the time go in, Effects come out, and nothing else happens. It
// waits for nothing and knows no clock. It never sees a record: it deals in positions and terms,
// and the Group around it moves the bytes.
//
// One Consensus is one replica of one group, in the hands of one Group. Messages are the world's:
// one that no replica of ours would send is dropped. All else that is wrong is a mistake of the
// caller, and is checked. Two runs with the same inputs have the same effects.
//
// Members are fixed by the constructor for now. A quorum may already be joint, and entries may
// already carry members; what is missing is an input that proposes them.
//
// Liveness is per group for now: an idle leader sends a heartbeat to each follower. What will
// replace it is an input `peer_alive(now, node)` from the failure detector between two nodes, which
// does here what a heartbeat and its answer do: renew `leader_heard_` on the follower of that node,
// and `Progress::heard` on the leader. send_heartbeats() would then speak to probed followers only.
#pragma once

#include "core/base/random.h"
#include "core/base/result.h"
#include "core/base/terms.h"
#include "core/base/time.h"
#include "core/base/types.h"
#include "core/wire/raft.h"
#include "raft/config.h"
#include "raft/progress.h"
#include "raft/quorum.h"

#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

namespace pyralog::raft {

using wire::Entry;
using wire::Members;
using wire::Message;
using wire::Vote;

enum class Role : std::uint8_t { follower, pre_candidate, candidate, leader };
std::string_view to_string(Role role);

struct Append { // The next entry: proposed here, received, or the first of our own term.
    Position first;
    Entry entry;
    bool operator==(const Append&) const = default;
};
struct Cut { // A newer leader has overruled the log from here on.
    Position end;
    bool operator==(const Cut&) const = default;
};

struct Reset { // The leader no longer has what is missing here: the log is forgotten, and begins
               // anew.
    LogStart start;
    bool operator==(const Reset&) const = default;
};

struct Envelope {
    NodeId to;
    Message message;
    bool behind_entries = false; // Must not overtake the entries that were sent before it.
};

// Entries are wanted at `to`. The request lacks only these: take as many as the limits permit from
// `request.first` on, send it, and report with sent().
struct Entries {
    NodeId to;
    wire::AppendRequest request;
};

// What must now be done, in this order. A vote or an ack that the disk may yet forget would be a
// lie, so they wait in `send_when_durable` until all of `persist`, here and in all Effects before,
// is on the disk. Then comes persisted().
struct Effects {
    std::vector<std::variant<Vote, Append, Cut, Reset>> persist; // In order.
    std::vector<Envelope> send;     // At once: for an append, the leader's disk is one of many.
    std::vector<Entries> replicate; // At once too. What is not sent is asked for again.
    std::vector<Envelope> send_when_durable;
    Position committed;                // No leader can take back what lies before. It may lie
                                       // beyond what is durable here, never beyond the log's end.
    std::uint64_t barriers_passed = 0; // So many read barriers have been passed, ever.
    std::uint64_t ticket = 0;          // For persisted(). Rises.

    bool needs_disk() const { return !persist.empty() || !send_when_durable.empty(); }
};

class Consensus {
public:
    // Kafka gives a leader epoch 31 bits. Nobody stands in a term beyond this.
    static constexpr Term term_max{std::numeric_limits<std::int32_t>::max() - 1};

    // What a recovered disk holds: the last vote, a log that ends at `log_end` and is told by its
    // `terms`, which also say where it begins, and of which everything before `committed` is known
    // to be committed. `config` must outlive this, and be valid.
    Consensus(const RaftConfig& config, NodeId self, Members members, Vote saved,
              Position committed, Position log_end, TermTable terms, Random random, Time now);

    // Inputs. Take the Effects after one of them, or after several: they add up, in order. Time may
    // stand still between two inputs; where it seems to go back, it stands still.

    // deadline() has passed. Harmless before, and a leader whose heartbeats are almost due sends
    // them then: so those of many groups can leave together. Where there are others, a leader is
    // due once in a heartbeat interval, whatever else it has said: see give_way().
    void tick(Time now);

    // Stands for election without waiting for the deadline. Never needed; it saves a new group,
    // which nobody leads, its first timeout. Does nothing where a leader is heard.
    void campaign(Time now);

    // Instead of tick() while this node would make a bad leader, for a reason that Raft does not
    // see. A leader steps down, and whoever would stand now waits for another timeout. Where nobody
    // else could lead it is tick().
    void give_way(Time now);

    void receive(Time now, NodeId from, const Message& message);

    // On the leader: claims the next place for a batch of so many records; none for an entry that
    // is the log's own. Error::unavailable when too much waits for a majority already.
    Result<Range> propose(Time now, std::int32_t records);

    // On the leader: a read barrier. When Effects::barriers_passed reaches the number returned, we
    // were still the leader after this call, and everything that any leader had committed before
    // it lies before Effects::committed.
    Result<std::uint64_t> barrier(Time now);

    // On the leader: `to` is to lead in its place, as soon as it has all that is in the log.
    // Nothing is proposed until it does, or it has taken too long. Error::unavailable if it is not
    // ready for that, or another transfer is under way. Error::not_found if it could never lead.
    Result<> transfer(Time now, NodeId to);

    // The effects with this ticket, and all before them, are durable. Tickets of effects that need
    // no disk may be left out.
    void persisted(std::uint64_t ticket);

    // The log begins at `start` from now on, which lies before what is committed: what is before it
    // can no longer be sent to anybody. A ResetRequest then says `start`, and the Group adds of
    // which record it is.
    void trimmed(Position start);

    // What was promised here is no longer known: see abstains(). Of a replica that has said nothing
    // since it was made.
    void lose_vote(Time now);

    // An append with the entries [request.first, end) of an Entries is on its way.
    void sent(NodeId to, Position end);

    Effects take_effects();
    Time deadline() const; // When to tick() next, if nothing else comes first.

    // Questions.
    // While this stands still, so does all that can be asked here: inputs change things, and after
    // each of them its effects are taken.
    std::uint64_t inputs() const { return last_ticket_; }
    NodeId self() const { return self_; }
    Role role() const { return role_; }
    Term term() const { return vote_.term; }
    const Vote& vote() const { return vote_; }
    std::optional<NodeId> leader() const { return leader_; }
    const Members& members() const { return members_; }
    Position committed() const { return committed_; }
    Position start() const { return terms_.start(); }     // Of the log.
    Position end() const { return end_; }                 // Of the log, durable or not.
    Position durable_end() const { return durable_end_; } // How much of this log is on the disk.
    const Vote& durable_vote() const { return durable_vote_; }
    const TermTable& terms() const { return terms_; }
    std::uint64_t barriers_asked() const { return barriers_asked_; }
    std::uint64_t barriers_passed() const { return barriers_passed_; }
    // Nobody may count on what this replica has promised: it neither votes nor stands, and its acks
    // are none. See README.md.
    bool abstains() const { return vote_.is_unknown || durable_vote_.is_unknown; }
    std::vector<NodeId> unheard() const; // While it does: who has yet to vouch for his vote.
    bool is_transferring() const { return transfer_.has_value(); }
    const Progress* progress(NodeId node) const; // On the leader: of a follower. Else null.

private:
    struct Transfer {
        NodeId to;
        Time until;
    };

    // What the disk will hold when some effects have been persisted.
    struct Pending {
        std::uint64_t ticket;
        Vote vote;
        Position end;
    };

    // consensus.cc
    void advance_time(Time now);
    void observe_term(Term term);
    void become_follower(Term term);
    void save_vote();
    void append(Entry entry);
    void cut(Position end);
    void reset(const LogStart& start);
    void send(NodeId to, Message message);
    void send_when_durable(NodeId to, Message message);
    std::vector<Entries> entries_wanted() const;
    Position known_position(std::int64_t index, Term term_max) const;

    // election.cc
    void on(NodeId from, const wire::VoteRequest& request);
    void on(NodeId from, const wire::VoteReply& reply);
    void on_pre_vote(NodeId from, const wire::VoteRequest& request);
    void refuse_vote(NodeId from, const wire::VoteRequest& request);
    void set_election_deadline();
    bool hears_leader() const;
    bool is_up_to_date(const wire::VoteRequest& request) const;
    void start_election();
    void stand_for_pre_vote();
    void stand(bool invited);
    void ask_for_votes(Term term, bool pre_vote, bool invited);
    void count_vote(NodeId from, bool granted);
    void become_leader();
    Time quorum_lost_at() const;

    // abstention.cc
    void on(NodeId from, const wire::TermRequest& request);
    void on(NodeId from, const wire::TermReply& reply);
    void ask_for_terms();
    bool has_heard_all() const;
    bool may_vote_for(NodeId candidate) const;
    void find_level(const wire::AppendRequest& request, Position verified);
    void end_abstention();
    void note_abstention(NodeId from, bool abstains);

    // transfer.cc
    void on(NodeId from, const wire::StandRequest& request);
    void invite();
    void end_late_transfer();

    // replication.cc
    void on(NodeId from, const wire::AppendRequest& request);
    void on(NodeId from, const wire::AppendReply& reply);
    void on(NodeId from, const wire::ResetRequest& request);
    void follow(NodeId leader, Term term);
    void reject(NodeId from, const wire::AppendRequest& request);
    std::optional<Position> merge(const wire::AppendRequest& request);
    Position where_to_probe(const wire::AppendReply& reply) const;
    void count_commit();
    void count_barriers();
    wire::AppendRequest append_request(const Progress& follower, Position first) const;
    void send_heartbeat(NodeId to, Progress& follower);
    void send_check(NodeId to, Progress& follower);
    void send_heartbeats(bool to_all);
    bool leads_committed() const;

    const RaftConfig& config_;
    const NodeId self_;
    const Members members_;
    Random random_;
    Time now_;

    // What the disk holds, or will once all effects are persisted.
    Vote vote_;
    TermTable terms_;
    Position end_;

    // How far it does already. The ends of logs that have since been cut are brought down to the
    // cut, so that a late persisted() cannot vouch for what took their place.
    Vote durable_vote_;
    Position durable_end_;
    std::vector<Pending> pending_;

    Position committed_;
    Role role_ = Role::follower;
    std::optional<NodeId> leader_;
    Time ticked_;            // Leader: when it last was.
    Time leader_heard_;      // Follower: when the leader last spoke.
    Time election_deadline_; // All but the leader: when to stand.

    std::map<NodeId, bool>
        heard_; // Of whoever abstains: who has said his term, and vouches for it.
    Time asked_for_terms_;
    Position level_; // Where the log of the leader of this term ended when it heard of us,
    Position equal_; // and up to where ours is known to equal it.

    std::vector<NodeId> granted_, refused_; // Candidate, sorted.
    std::map<NodeId, Progress> followers_;  // Leader: everybody else.
    std::optional<Transfer> transfer_;      // Leader: who is to lead instead.
    std::uint64_t barriers_asked_ = 0;
    std::uint64_t barriers_sent_ = 0; // So many are covered by a round under way.
    std::uint64_t barriers_passed_ = 0;

    Effects effects_;
    std::uint64_t last_ticket_ = 0;
};

} // namespace pyralog::raft
