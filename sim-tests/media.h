// sim-tests/media.h
//
// What one node would still have if the power went now: its log entries, read from the durable
// bytes of its simulated disk. No Journal, Log or Segment is asked; only the decoders of single
// headers and frames are shared with them, so a mistake in how they recover does not hide here.
//
// Reads what has changed since it was last asked, and no more, so it can be asked at every
// acknowledgement. What it has once found durable it counts until it is overruled or its file is
// used again: rot is a fault of its own, with checks of its own.
#pragma once

#include "core/base/types.h"
#include "core/wire/frame.h"
#include "core/wire/journal.h"
#include "io/sim/disk.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace pyralog::simtest {

class NodeMedia {
public:
    explicit NodeMedia(const sim::Medium& medium) : medium_(medium) {}

    struct Entry {
        Term term;
        Position first;
        std::int32_t records = 0;
        std::uint32_t payload_crc = 0; // Our own, of the whole payload.
        std::uint32_t batch_crc = 0;   // Kafka's, of the batch; zero for entries of Raft's own.
        bool operator==(const Entry&) const = default;
    };
    using Entries = std::map<std::int64_t, Entry>; // By index.

    // The entries of a group that are durable now. The reference holds until the next call.
    const Entries& entries(GroupId group);

    bool has_batches(); // Any, of any group.

    // Those of all groups that have any.
    std::map<GroupId, Entries> all_entries();

    // Changes when a file of the journal begins, or is used again: then what is durable must be
    // somewhere else.
    std::uint64_t lives() const { return lives_; }

    // Is this batch durable, in any group, at this offset?
    bool has_batch(std::int64_t base_offset, std::uint32_t batch_crc);

    // A durable byte that is known to be so to the node as well: not in the newest round, where rot
    // cannot be told from a write that the power cut short.
    struct Place {
        std::string path;
        std::uint64_t position = 0;
    };
    std::optional<Place> settled_byte(sim::Dice& dice);
    // The same of a range. Headers are left out: without one, what the file gets later could not be
    // read here either, and nobody would know what the node has.
    bool settled(const sim::Medium::Range& range);

    std::uint64_t bytes_read() const { return bytes_read_; } // What looking has cost.

private:
    using Inode = sim::Medium::Inode;

    // What a frame of the journal says of a group's entries: here is one, or they end here.
    struct Change {
        GroupId group;
        std::uint64_t round = 0;
        bool is_cut = false;
        Entry entry;
    };
    struct JournalFile {
        Inode inode = 0;
        std::uint64_t generation = 0;
        std::optional<wire::JournalHeader> header;
        std::uint64_t file_position = 0;
        std::uint64_t last_round = 0; // Where it begins.
        std::uint64_t next_round = 0;
        std::vector<Change> changes;
    };
    struct SegmentFile {
        Inode inode = 0; // Zero: it is not there any more.
        std::uint64_t generation = 0;
        std::uint64_t file_position = 0; // Zero: the header has not been seen yet.
        GroupId group;
    };

    void refresh();
    bool refresh_names();
    bool read_journal(JournalFile& file, std::size_t& known);
    bool read_round(JournalFile& file);
    void replay_journal();
    void apply(const Change& change);
    void read_segment(SegmentFile& file);
    bool read(Inode file, std::uint64_t position, std::span<std::byte> into);
    void add_batch(const Entry& entry, std::int64_t count);

    const sim::Medium& medium_;
    std::optional<std::uint64_t> generation_, names_generation_;
    std::map<std::string, JournalFile> journal_;
    std::map<std::string, SegmentFile> segments_;
    std::map<GroupId, Entries> journaled_, stored_, all_;
    std::map<std::pair<std::int64_t, std::uint32_t>, std::int64_t> batches_;
    std::uint64_t bytes_read_ = 0;
    std::uint64_t lives_ = 0;
};

} // namespace pyralog::simtest
