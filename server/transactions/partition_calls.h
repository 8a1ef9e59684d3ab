// server/transactions/partition_calls.h
//
// Tells the leaders of partitions, on this node or another, that a transaction begins there or
// ends. Both may be said any number of times, by anybody, and late: a partition takes each once,
// and nothing of a transaction that is over. So calls that were lost are simply made again.
#pragma once

#include "core/env/environment.h"
#include "raft/host.h"

#include <map>
#include <optional>

namespace pyralog::server {

class PartitionCalls {
public:
    static constexpr std::size_t answering_max = 1024; // Of other nodes; what is beyond is dropped.

    // Both outlive this.
    PartitionCalls(Environment& env, raft::Host& host);

    // Answers those of other nodes, until cancelled.
    Result<> run();

    // What the leader of the partition said. Waits for one that says something for good, until the
    // caller's Deadline.
    Result<raft::Sequencer::Turn> begin(GroupId partition, const wire::TransactionBegin& begin);

    // One attempt. Error::not_leader, Error::unavailable: try again.
    Result<> end(GroupId partition, const wire::TransactionBegin& begun,
                 const wire::TransactionEnd& end, Term coordinator_term);

private:
    struct Call;
    struct Asked {
        explicit Asked(Scheduler& fibers) : answered(fibers) {}
        NodeId node;
        Signal answered;
        std::optional<wire::ForwardReply> reply;
    };

    template <class Codec>
    friend void describe(Codec& field, Call& call);

    Result<raft::Sequencer::Turn> ask(const Call& call);
    Result<raft::Sequencer::Turn> ask_here(const Call& call);
    Result<raft::Sequencer::Turn> ask_at(NodeId node, const Call& call);
    void receive(NodeId from, wire::PeerMessage message);
    void answer(NodeId to, const wire::Forward& question);

    Environment& env_;
    raft::Host& host_;
    std::map<std::uint64_t, Asked*> asked_;
    std::uint64_t last_asked_ = 0;
    std::size_t answering_ = 0;
    Scope* running_ = nullptr;
};

} // namespace pyralog::server
