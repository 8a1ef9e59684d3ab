// raft/acquaintance.h
//
// Which disk a node is on, and which disks the others are on. Each disk draws a number once, before
// anything is promised; each node remembers, durably, the number of each other that it has met, and
// refuses what comes from another one. So an empty disk in the place of one that was lost is told
// from a new node, by those who have met the old one.
//
//     drawn ──→ introduced: all others have said that they remember this number, or at least one
//       │                   that they remember another. Until then the node says nothing.
//       └─────→ replaces another: what was promised on that one is not known here. It says so in
//                   each hello, and whoever remembers the old number takes this one instead.
//
// A node that cannot read what it has promised gives up its number as well, and draws another.
#pragma once

#include "core/env/environment.h"
#include "core/wire/peer.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace pyralog::raft {

class Acquaintance {
public:
    // Of the store: the number of the newest file of the journal.
    static constexpr std::string_view journal_key = "journal";

    // `others`: all nodes of the cluster but this one.
    Acquaintance(Environment& env, NodeId self, std::vector<NodeId> others);

    // Reads what is stored, or draws a number. Once, before anything else.
    Result<> open();

    // What was promised on this disk has been given up, or was never here: of a group without a
    // vote nobody knows what was promised.
    std::uint64_t number() const { return disk_.number; }
    bool replaces_another() const { return disk_.replaces; }
    // This node may speak. Notified by changed().
    bool is_introduced() const { return disk_.introduced; }
    // Who has yet to say that he remembers this disk, before it may.
    std::vector<NodeId> strangers() const;
    Condition& changed() { return changed_; }

    // Giving up: from the first on what was promised here is unknown, however this process ends;
    // the second says that nothing is left of it where a node would look. Durable when they return.
    Result<> begin_giving_up();
    Result<> has_given_up();
    bool gives_up() const { return disk_.gives_up; }

    // The newest file of the journal, so that it is missed if it is lost. Zero: there is none.
    std::uint64_t journal_file() const { return journal_file_; }
    Result<> note_journal_file(std::uint64_t number);

    // Where a log begins, of those that were given up: what was trimmed stays so.
    Result<std::map<GroupId, LogStart>> starts();

    // For the Transport. Fills in what a hello to this node says of disks.
    void introduce(wire::Hello& hello, NodeId to) const;
    // A hello has come. Waits. False if it comes from a disk that is no more.
    Result<bool> meet(const wire::Hello& hello);
    bool is_known(NodeId node, std::uint64_t disk) const;

    // This disk turns out to stand for another one. Must not wait.
    void on_replaces(std::function<void()> told) { on_replaces_ = std::move(told); }
    // The node has to end: with Error::corrupt if another disk stands for this one, else because
    // the store of small facts has failed, which is final.
    std::optional<Error> failure() const { return failure_; }

    // Of this node's journal, before it is set aside: starts() has them from then on.
    void keep_start(GroupId group, const LogStart& start);

private:
    struct DiskFacts {
        std::uint64_t number = 0;
        bool introduced = false;
        bool replaces = false;
        bool gives_up = false;

        template <class Codec>
        friend void describe(Codec& field, DiskFacts& d) {
            field(d.number, d.introduced, d.replaces, d.gives_up);
        }
    };

    Result<> store(DiskFacts facts, KvStore::Batch batch = {});
    Result<> commit(KvStore::Batch batch);
    Result<> hear_of_self(const wire::Hello& hello);
    Result<bool> hear_of_other(const wire::Hello& hello);
    std::uint64_t draw();

    Environment& env_;
    const NodeId self_;
    const std::vector<NodeId> others_;
    DiskFacts disk_;
    std::uint64_t journal_file_ = 0;
    std::map<NodeId, std::uint64_t> met_;
    std::map<NodeId, std::uint64_t> old_; // What others still remember of this node.
    std::set<NodeId> remembered_by_;
    std::map<GroupId, LogStart> kept_starts_;
    bool meeting_ = false; // One at a time: what is decided is stored before the next is.
    std::optional<Error> failure_;
    Condition changed_;
    std::function<void()> on_replaces_;
    Metrics::Gauge strangers_;
    Metrics::Counter refused_;
};

} // namespace pyralog::raft
