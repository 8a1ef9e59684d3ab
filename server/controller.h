// server/controller.h
//
// The cluster's catalogue, replicated: commands go into the controller's log, which is a log like
// any other, and each node applies what is committed there to its Catalogue, to its KvStore in one
// batch with how far it has come, and to the groups that it holds. Any node takes commands, and
// passes them on to the one that leads the controller's group.
#pragma once

#include "raft/host.h"
#include "server/catalogue.h"

#include <map>

namespace pyralog::server {

class Controller {
public:
    Controller(Environment&, raft::Host&, std::vector<NodeId> members);

    // Of the store: up to which offset of its log this node has applied it.
    static constexpr std::string_view applied_key = "controller/applied";

    // What this node had applied when it last stopped. Before anything else.
    Result<> restore();

    // The groups that this node holds by that: the controller's and those of partitions.
    std::vector<raft::Host::Member> groups() const;

    // Applies what is committed, until cancelled.
    Result<> run();

    // Has the command carried out, and says what became of it. Waits until this node has applied it
    // too. The caller sets a Deadline; without one it tries for ever.
    Result<Outcome> submit(const Command& command);

    const Catalogue& catalogue() const { return catalogue_; }
    // Notified when the catalogue has changed, or somebody leads who did not.
    Condition& changed() { return changed_; }
    // All that was committed in the controller's log when this node started has been applied.
    Offset applied() const { return applied_; }

private:
    Result<> apply_all(Bytes batches);
    Result<> apply(Offset offset, const Command& command);
    Result<> place(const Placed& placed);
    Outcome as_seen_now(const Command& command, Outcome outcome) const;
    Result<Outcome> submit_here(const Command& command);
    Result<Outcome> submit_to(NodeId leader, const Command& command);
    void receive(NodeId from, wire::PeerMessage message);
    void answer(NodeId from, const wire::Forward& request);

    struct Asked {
        explicit Asked(Scheduler& fibers) : answered(fibers) {}
        Signal answered;
        std::optional<wire::ForwardReply> reply;
    };

    Environment& env_;
    raft::Host& host_;
    const std::vector<NodeId> members_;
    Catalogue catalogue_;
    Offset applied_;
    Condition changed_;
    Condition applied_changed_;
    std::map<Offset, Outcome> outcomes_; // Of the last commands, for those who wait for them.
    std::map<std::uint64_t, Asked*> asked_;
    std::uint64_t last_asked_ = 0;
    Scope* running_ = nullptr;
    std::size_t answering_ = 0;
};

} // namespace pyralog::server
