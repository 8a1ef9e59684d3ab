// sim-tests/media.h
//
// What one node would still have if the power went now: its log entries, read from the durable
// bytes of its simulated disk. No Journal, Log or Segment is asked; only the decoders of single
// headers and frames are shared with them, so a mistake in how they recover does not hide here.
//
// Reads what has changed since it was last asked, and no more, so it can be asked at every
// acknowledgement. What it has once found durable it counts until it is overruled or its file is
// used again: rot is a fault of its own, with checks of its own.
//
// An entry that the journal only names is durable if its bytes are as well, in the segment. What
// stands in a segment and was written before it was committed counts for itself only once a mark of
// the journal, or a footer, says that it was.
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
        bool is_reduced = false;       // What compaction has left of it.
        bool operator==(const Entry&) const = default;
    };
    using Entries = std::map<std::int64_t, Entry>; // By index.

    // An entry is in the journal at first, then in a segment as well, and then there alone. In both
    // places it is the same, because it was committed before it moved; should it not be, what is in
    // the segment counts, and both count as batches. What a broken write has left at the end of one
    // segment is at the beginning of the next as well.
    class OfGroup {
    public:
        // Null: there is none.
        const Entry* find(std::int64_t index) const {
            const auto found = slots_.find(index);
            return found == slots_.end() ? nullptr : found->second.counts();
        }

    private:
        friend class NodeMedia;

        struct Slot {
            std::optional<Entry> stored, journaled; // One of them is there.
            std::size_t segments = 0;               // That hold `stored`.
            std::uint64_t life = 0;                 // Of the file that was the last to tell of it.
            const Entry* counts() const {
                return stored ? &*stored : journaled ? &*journaled : nullptr;
            }
        };

        std::map<std::int64_t, Slot> slots_;
        std::int64_t kept_ = 0;
    };

    // What is durable of a group now. The reference holds for ever, and says what was found at the
    // last call of any function here.
    const OfGroup& group(GroupId group);

    // The same as a copy; and that of all groups that have any.
    Entries entries(GroupId group);
    std::map<GroupId, Entries> all_entries();

    bool has_batches(); // Any, of any group.

    // Changes when a file of the journal begins, or is used again: then what is durable must be
    // somewhere else.
    std::uint64_t lives() const { return lives_; }

    // Since this was last asked, no entry before this index has gone, or has become another. Zero
    // at first.
    std::int64_t take_kept(GroupId group);

    // Up to where the journal is known now.
    struct Known {
        std::map<std::uint64_t, std::size_t> changes; // By the life of a file: how many it told of.
    };
    Known known();
    // Has anything become durable since, in a file that the journal had before its newest one, that
    // overrules what the group had at this index? So it is when a process is killed while a cut is
    // written: what the kernel holds of it becomes durable with the next start's first sync.
    bool overruled(GroupId group, std::int64_t index, const Known& since);

    // Is this batch durable, in any group, at this offset?
    bool has_batch(std::int64_t base_offset, std::uint32_t batch_crc);
    // Is what compaction has left of the batch at this offset, if it did so?
    bool has_reduced(GroupId group, std::int64_t base_offset);

    // A durable byte that is known to be so to the node as well: not in the newest round, where rot
    // cannot be told from a write that the power cut short. Now and then one of the few bytes that
    // say more than others: of a vote, of a segment's header, or of what a group was given last.
    struct Place {
        std::string path;
        std::uint64_t position = 0;
    };
    std::optional<Place> settled_byte(sim::Dice& dice);
    std::optional<Place> segment_byte(sim::Dice& dice); // The same, in a segment.
    // The same of a range. Headers are left out: without one, what the file gets later could not be
    // read here either, and nobody would know what the node has.
    bool settled(const sim::Medium::Range& range);

    // What looking has cost.
    std::uint64_t bytes_read() const { return bytes_read_; }
    std::uint64_t replays() const { return replays_; } // Of the journal, from its beginning.

private:
    using Inode = sim::Medium::Inode;

    // What a frame of the journal says of a group's entries: here is one, or they end here.
    struct Change {
        GroupId group;
        std::uint64_t round = 0;
        bool is_cut = false;
        Entry entry;
    };
    // A frame that is no entry, and more than a seal: a vote, a cut, where a log starts. There are
    // few of them.
    struct Note {
        std::uint64_t position = 0, head = 0, size = 0; // With its header, which is `head` long.
    };
    // So many of the last entries of a group with something in them are remembered, of each file.
    static constexpr std::size_t last_entries_max = 4;
    struct JournalFile {
        Inode inode = 0;
        std::uint64_t generation = 0;
        std::uint64_t life = 0; // Which of all lives of files that were ever seen.
        std::optional<wire::JournalHeader> header;
        std::uint64_t file_position = 0;
        std::uint64_t last_round = 0; // Where it begins.
        std::uint64_t next_round = 0;
        std::vector<Change> changes;
        std::vector<Note> notes;
        std::map<GroupId, std::vector<Note>> last_entries;
        std::map<GroupId, std::int64_t> marks;
    };
    // So much of a file's life counts.
    struct Part {
        std::uint64_t life = 0;
        const std::vector<Change>* changes = nullptr; // Not of those that were replayed before.
        std::size_t count = 0;
    };
    struct SegmentFile {
        Inode inode = 0;
        std::uint64_t generation = 0;
        std::uint64_t file_position = 0; // Zero: the header has not been seen yet.
        std::int64_t committed = 0;      // So far frames count that were written ahead.
        std::uint64_t named_end = 0;     // Up to there the journal has named something.
        GroupId group;
        std::vector<std::int64_t> indexes = {}; // Of the entries of which it holds what counts.
    };

    struct Directory {
        Inode inode = 0;
        std::uint64_t generation = 0;
        bool operator==(const Directory&) const = default;
    };

    void refresh();
    bool refresh_names();
    void refresh_segment_names();
    void refresh_segment_names(const std::string& prefix, const sim::Medium::Names* names);
    void end_life(JournalFile& file);
    bool read_journal(JournalFile& file);
    bool read_round(JournalFile& file);
    std::optional<Entry> named(const wire::Frame& extent);
    void refresh_marks();
    bool is_sealed(SegmentFile& file);
    std::vector<Part> parts_that_count() const;
    void replay_journal();
    std::optional<std::size_t> parts_gone(const std::vector<Part>& parts) const;
    void forget_journal();
    void forget(const Part& part);
    void apply(const Change& change, std::uint64_t life);
    void forget_journaled(OfGroup::Slot& slot);
    void read_segment(SegmentFile& file);
    void forget(SegmentFile& file);
    std::optional<Place> byte_of_a_note(sim::Dice& dice) const;
    std::optional<Place> byte_of_a_last_entry(sim::Dice& dice) const;
    std::uint64_t footer_end(const std::string& path, const SegmentFile& file) const;
    bool read(Inode file, std::uint64_t position, std::span<std::byte> into);
    void add_batch(const Entry& entry, std::int64_t count);

    const sim::Medium& medium_;
    std::optional<std::uint64_t> generation_, names_generation_;
    std::map<std::string, JournalFile> journal_;
    std::map<std::string, SegmentFile> segments_;
    std::map<GroupId, std::int64_t> marked_;       // By the files of the journal that there are.
    std::map<std::string, Directory> directories_; // Of groups.
    std::map<GroupId, OfGroup> groups_;
    std::vector<Part> replayed_;                            // In their order.
    std::map<std::uint64_t, std::vector<Change>> finished_; // By life: of files used again.
    std::map<std::pair<std::int64_t, std::uint32_t>, std::int64_t> batches_;
    std::uint64_t bytes_read_ = 0;
    std::uint64_t replays_ = 0;
    std::uint64_t lives_ = 0;
    std::uint64_t lives_begun_ = 0;
};

} // namespace pyralog::simtest
