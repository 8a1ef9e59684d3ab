#include "server/transactions/partition_calls.h"

#include "core/base/buggify.h"

namespace pyralog::server {

namespace {

// Of no partition: who hears it knows that it is for us.
constexpr GroupId calls_group{-2};
constexpr Duration call_patience = 2s;
constexpr Duration call_pause = 20ms;

} // namespace

struct PartitionCalls::Call {
    GroupId partition;
    wire::TransactionBegin begin;
    bool ends = false;
    wire::TransactionEnd end = {};
    Term coordinator_term = {};
};

template <class Codec>
void describe(Codec& field, PartitionCalls::Call& c) {
    field(c.partition, c.begin, c.ends, c.end.producer, c.end.epoch, c.end.commits);
    field(c.coordinator_term);
    if constexpr (Codec::reads) field.require(c.end.producer >= 0 && c.end.epoch >= 0);
}

PartitionCalls::PartitionCalls(Environment& env, raft::Host& host) : env_(env), host_(host) {}

Result<> PartitionCalls::run() {
    Result<> ended;
    {
        Scope scope(env_.fibers);
        running_ = &scope;
        host_.on_other(calls_group, [this](NodeId from, wire::PeerMessage message) {
            receive(from, std::move(message));
        });
        Condition never(env_.fibers);
        ended = never.wait([] { return false; });
        host_.on_other(calls_group, {});
        running_ = nullptr;
    }
    return ended;
}

Result<raft::Sequencer::Turn> PartitionCalls::begin(GroupId partition,
                                                    const wire::TransactionBegin& begin) {
    for (;;) {
        const auto told = ask({partition, begin});
        if (told.ok() || told.error() == Error::cancelled) return told;
        TRY(env_.fibers.sleep_until(env_.clock.now() + call_pause));
    }
}

Result<> PartitionCalls::end(GroupId partition, const wire::TransactionBegin& begun,
                             const wire::TransactionEnd& end, Term coordinator_term) {
    TRY(ask({partition, begun, true, end, coordinator_term}));
    return {};
}

Result<raft::Sequencer::Turn> PartitionCalls::ask(const Call& call) {
    const auto leader = host_.leader_of(call.partition);
    if (!leader) return Error::not_leader;
    const Deadline deadline(env_.fibers, env_.clock.now() + call_patience);
    auto told = *leader == host_.self() ? ask_here(call) : ask_at(*leader, call);
    // As if the answer had been lost.
    if (told.ok() && BUGGIFY("transactions/answer-is-lost", 50'000)) return Error::unavailable;
    return told;
}

Result<raft::Sequencer::Turn> PartitionCalls::ask_here(const Call& call) {
    const raft::GroupRef group = host_.find(call.partition);
    if (!group) return Error::not_leader;
    if (!call.ends) return group->begin_transaction(call.begin);
    TRY(group->end_transaction(call.begin, call.end, call.coordinator_term));
    return raft::Sequencer::Turn::done;
}

Result<raft::Sequencer::Turn> PartitionCalls::ask_at(NodeId node, const Call& call) {
    Asked asked(env_.fibers);
    asked.node = node;
    const std::uint64_t id = ++last_asked_;
    asked_[id] = &asked;
    host_.transport().send(node, {calls_group, wire::Forward{id, wire::encode(call)}, {}});
    const Result<> waited = asked.answered.wait();
    asked_.erase(id);
    TRY(waited);
    const wire::ForwardReply& reply = *asked.reply;
    if (reply.outcome != 0) return Error::unavailable;
    const auto turn = TRY(wire::decode<std::uint8_t>(reply.answer));
    if (turn > static_cast<std::uint8_t>(raft::Sequencer::Turn::too_many)) return Error::malformed;
    return static_cast<raft::Sequencer::Turn>(turn);
}

void PartitionCalls::receive(NodeId from, wire::PeerMessage message) {
    if (const auto* question = std::get_if<wire::Forward>(&message.body)) {
        answer(from, *question);
    } else if (auto* reply = std::get_if<wire::ForwardReply>(&message.body)) {
        const auto found = asked_.find(reply->id);
        if (found == asked_.end() || found->second->node != from) return; // Too late.
        found->second->reply = std::move(*reply);
        found->second->answered.set();
    }
}

void PartitionCalls::answer(NodeId to, const wire::Forward& question) {
    auto call = wire::decode<Call>(question.command);
    if (!running_ || !call.ok() || answering_ >= answering_max) return;
    ++answering_;
    running_->spawn("transaction", [this, to, id = question.id, call = call.value()] {
        Result<raft::Sequencer::Turn> told = Error::timed_out;
        {
            const Deadline deadline(env_.fibers, env_.clock.now() + call_patience);
            told = ask_here(call);
        }
        wire::ForwardReply reply{id, 0, {}};
        if (told.ok())
            reply.answer = wire::encode(static_cast<std::uint8_t>(told.value()));
        else
            reply.outcome = static_cast<std::uint8_t>(static_cast<int>(told.error()) + 1);
        host_.transport().send(to, {calls_group, std::move(reply), {}});
        --answering_;
    });
}

} // namespace pyralog::server
