// sim-tests/excuse.h
//
// Who need not work, and why: a proof that what he would need is not there any more, and that we
// took it. A node may refuse to start only if something that it had stored is missing from its
// disk; a group may stand still only if that is so on too many disks of its voters. A node that
// runs gets back from others what it has lost; nothing repairs the disk of one that refuses, so it
// is gone with all its copies.
//
// Two sides, that know of each other nothing but the proof:
//   - the prover (excuse.cc) compares what each file holds with what it would hold without the
//     damage, which the simulated disk keeps, and finds in the latter the frames, rounds and
//     headers that are lost;
//   - the judge (excuse_check.cc) believes neither the prover nor those images. At each place that
//     the proof names he takes the raw bytes, takes back what the list of injected faults says was
//     done there, and wants the two to differ, and the second to be what the proof says was there;
//     and he counts the voters himself.
//
// Both are pure. A node that refuses, or a group that stands still, without a proof that the judge
// accepts is a failure: of the product, or of whoever called it damaged.
//
// What is not proved is that the missing bytes are the ones that the node refused for: a node with
// one proven loss may refuse for another reason, and is excused. Of files of the store of small
// facts (RocksDB's own), and of spare files, it is only shown that their bytes are not what was
// written, not what they meant.
//
// An entry of the journal that has lost its payload is read by nobody, and keeps no node from
// starting. It is not missing if it stands elsewhere on the disk as well, whole.
#pragma once

#include "core/wire/frame.h"
#include "io/sim/disk.h"
#include "raft/consensus.h"
#include "sim-tests/check_history.h"

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog::simtest {

namespace oracle {
// A node refused its disk, or a group stood still, and the proof that something is missing is none.
inline constexpr std::string_view excuse_unfounded = "excuse-unfounded";
} // namespace oracle

// Something that was durable on a disk and is not there any more.
struct Missing {
    enum class What : std::uint8_t {
        journal_header,
        journal_round,   // The header of one, that its frames and its neighbours do not tell.
        journal_entry,   // With its header.
        journal_payload, // Of an entry whose header is there: no reason to refuse the disk.
        journal_vote,    // With its header; or a mark, which carries one, or where a log starts.
        journal_ballot, // The payload of a vote, or a mark, whose header is there: in that term its
                        // node votes for nobody, and if the disk stands for another, abstains.
        journal_note,   // A cut, or a seal.
        journal_unneeded, // Behind the rounds of the newest file; only a sector that cannot be
                          // read. Nothing is lost, but a node cannot know that.
        segment_header,   // That no footer tells.
        segment_entry,
        segment_footer,
        small_facts, // Of RocksDB, or a spare file of the journal: any bytes; or of a file of
                     // RocksDB that is gone, what a sync had said to be in it.
        file_end,    // The file should be longer.
        disk,        // All of it.
        count_,
    };
    What what = What::disk;
    sim::Fault fault = sim::Fault::lost_disk; // That did it.
    std::string path;
    std::uint64_t position = 0, size = 0; // Of the whole frame, round header or block.
    GroupId group;                        // Of a frame: whose it is,
    std::int64_t index = 0;               // and of an entry which.
};
std::string_view to_string(Missing::What what);

// A node, and what is missing from its disk; or its replica abstains; or it has lost nothing, and
// was never told that there is such a group.
struct Deprived {
    NodeId node;
    std::vector<Missing> missing;
    bool untold = false;
    bool abstains = false;
};

// Why a group stands still: a majority of its voters cannot be had, because each of the others is
// gone, or has lost entries of this very group from its segments, or has not heard of it while the
// controller, which alone could tell, stands still itself; or, of reads, one that runs and has lost
// some may lead.
struct Excuse {
    enum class Kind : std::uint8_t { no_majority, unreadable };
    Kind kind = Kind::no_majority;
    GroupId group;
    std::vector<Deprived> voters;      // Without those that are well.
    std::vector<Deprived> controllers; // The same of the controller's, if anybody is untold.
};
std::string_view to_string(Excuse::Kind kind);

// What there is to be looked at.
struct Disks {
    struct One {
        const sim::Medium* medium = nullptr;
        // Its node has refused it, or has met nobody since it is empty, or it was lost.
        bool gone = false;
        // The groups that its node has heard of; nothing if it does not run.
        std::optional<std::set<GroupId>> knows = {};
        // The groups in which its replica abstains. When its node gave the disk up, what was
        // missing was proved and judged (ClusterCheck::note_given_up); by now others may have
        // mended it.
        std::set<GroupId> abstains = {};
    };
    std::map<NodeId, One> nodes;
    std::map<GroupId, raft::Members> groups;
};

// ---- The prover ----

constexpr std::size_t missing_max = 64; // In one proof, of one disk: more prove nothing more.

// What is missing from this disk; of one group only, if that is asked for, and then also what only
// its replica misses: a ballot.
std::vector<Missing> missing_on(const sim::Medium& medium, std::optional<GroupId> of = {});
// Nothing: there is none.
std::optional<Excuse> excuse_for(GroupId group, bool to_read, const Disks& disks);

// What a file was before it was set aside; else its own path.
std::string before_set_aside(std::string_view path);

// A node reads its journal past the page cache, in whole blocks: where one sector cannot be read,
// neither can the others of its block.
std::uint64_t bytes_read_at_once(std::string_view path);
// The durable bytes of a file, with zeros for such blocks.
Bytes as_read(const sim::Medium& medium, sim::Medium::Inode file);

// ---- The judge ----

// What is wrong with it; nothing, if it holds.
std::optional<std::string> flaw_of(const Missing& missing, const sim::Medium& medium);
std::optional<std::string> flaw_of(const Excuse& excuse, const Disks& disks);
// A node that refuses its disk for this.
std::optional<std::string> flaw_of_refusal(std::span<const Missing> missing,
                                           const sim::Medium& medium);

// What the excuses of a run were, and how many of each.
using ExcuseCounts = std::map<std::string, std::uint64_t>;

// Proved, judged and counted. A finding if it is a false excuse.
std::optional<Finding> judge_refusal(NodeId node, const sim::Medium& medium, ExcuseCounts& counts);

// The same of a replica that had voted, on a disk that stands for another, and abstains again.
std::optional<Finding> judge_forgetting(NodeId node, GroupId group, const sim::Medium& medium,
                                        ExcuseCounts& counts);

} // namespace pyralog::simtest
