// core/wire/raft.h
//
// What replicas say to each other, and to themselves after a crash. Here are the values and how
// they are written; what they mean is in raft/README.md.
#pragma once

#include "core/base/terms.h"
#include "core/base/types.h"

#include <optional>
#include <variant>
#include <vector>

namespace pyralog::wire {

// What a replica has promised: to follow nobody of a lower term, and to vote for nobody else in
// this one. In the journal.
struct Vote {
    Term term;
    std::optional<NodeId> candidate;
    // What else this node has promised stood on a disk that it has lost, or could not read.
    bool is_unknown = false;
    bool operator==(const Vote&) const = default;

    // The candidate of a vote whose name was damaged: nobody. So in that term nobody gets the vote
    // a second time.
    static constexpr NodeId forgotten{-1};
};

template <class Codec>
void describe(Codec& field, Vote& v) {
    field(v.term, v.candidate, v.is_unknown);
}

// Who agrees. In the log, as the payload of a frame. Sorted, and nobody is in two of the lists
// except that `outgoing` may share with `voters`.
struct Members {
    std::vector<NodeId> voters;
    std::vector<NodeId> outgoing; // Voters before a change. While there are any, both sets decide.
    std::vector<NodeId> learners; // Have the log, and no vote.
    bool operator==(const Members&) const = default;
};

template <class Codec>
void describe(Codec& field, Members& m) {
    field(m.voters, m.outgoing, m.learners);
}

// A frame of the log, without its payload. With neither records nor members it is the first entry
// of its term, or another one that is nothing to Consensus.
struct Entry {
    Term term;
    std::int32_t records = 0;
    std::optional<Members> members; // New ones count as soon as they are appended.

    bool is_term_start() const { return records == 0 && !members; }
    bool operator==(const Entry&) const = default;
};

template <class Codec>
void describe(Codec& field, Entry& e) {
    field(e.term, e.records, e.members);
}

struct VoteRequest {
    Term term;             // The one that the candidate stands in, or would stand in.
    bool pre_vote = false; // Could I win? Nobody promises anything.
    Term log_term;         // Of its last entry.
    Position log_end;
    bool invited = false; // By its leader, who is to lead no longer.
    bool operator==(const VoteRequest&) const = default;
};

template <class Codec>
void describe(Codec& field, VoteRequest& m) {
    field(m.term, m.pre_vote, m.log_term, m.log_end, m.invited);
}

struct VoteReply {
    Term term; // Granted: the one of the request. If not: that of whoever refuses.
    bool pre_vote = false;
    bool granted = false;
    bool operator==(const VoteReply&) const = default;
};

template <class Codec>
void describe(Codec& field, VoteReply& m) {
    field(m.term, m.pre_vote, m.granted);
}

// The frames follow it, as they are on the leader's disk, one for each entry.
struct AppendRequest {
    Term term;
    Position first;             // Where they begin.
    Term previous_term;         // Of the entry just before that; zero at the beginning of the log.
    Position committed;         // The leader's, which may lie beyond these entries.
    std::uint64_t context = 0;  // How many read barriers had been asked for when this was sent.
    std::uint32_t search = 0;   // How often its leader has had to look anew for the place where the
                                // logs part.
    Position level = {};        // To a follower that abstains: where the leader's log ended when it
                                // first heard that it does. Else the beginning of all logs.
    std::vector<Entry> entries; // None in a heartbeat, and in a probe.
    bool operator==(const AppendRequest&) const = default;
};

template <class Codec>
void describe(Codec& field, AppendRequest& m) {
    field(m.term, m.first, m.previous_term, m.committed, m.context, m.search, m.level, m.entries);
}

struct AppendReply {
    Term term;
    bool accepted = false;
    // Accepted: equal to the leader's log and durable here, up to this place. If not: the logs part
    // at or before it. `matched_term` is that of the entry just before.
    Position matched;
    Term matched_term;
    std::uint64_t context = 0; // Both of the request.
    std::uint32_t search = 0;
    bool abstains = false; // Its vote is unknown: this is no ack, and counts for nothing.
    bool operator==(const AppendReply&) const = default;
};

template <class Codec>
void describe(Codec& field, AppendReply& m) {
    field(m.term, m.accepted, m.matched, m.matched_term, m.context, m.search, m.abstains);
}

// To a follower that lacks entries which its leader no longer has: they were trimmed, and all that
// is before `start` was committed. It forgets its log, and goes on from there. It answers as to an
// append of no entries at that place.
struct ResetRequest {
    Term term;
    LogStart start;
    Position committed;
    std::uint64_t context = 0;
    std::uint32_t search = 0;
    bool operator==(const ResetRequest&) const = default;
};

template <class Codec>
void describe(Codec& field, ResetRequest& m) {
    field(m.term, m.start.first, m.start.before, m.start.offset, m.committed, m.context, m.search);
}

// From the leader of this term, to a follower that has all of its log: stand for election at once.
struct StandRequest {
    Term term;
    bool operator==(const StandRequest&) const = default;
};

template <class Codec>
void describe(Codec& field, StandRequest& m) {
    field(m.term);
}

// From a replica whose vote is unknown, to all who vote with it: which is your term? Whoever
// answers takes nothing in any more from the disk that it had before.
struct TermRequest {
    bool operator==(const TermRequest&) const = default;
};

template <class Codec>
void describe(Codec&, TermRequest&) {}

struct TermReply {
    Term term;
    bool vouches = false; // It knows its own vote.
    bool operator==(const TermReply&) const = default;
};

template <class Codec>
void describe(Codec& field, TermReply& m) {
    field(m.term, m.vouches);
}

using Message = std::variant<VoteRequest, VoteReply, AppendRequest, AppendReply, ResetRequest,
                             StandRequest, TermRequest, TermReply>;

} // namespace pyralog::wire
