// core/log/journal.h
//
// What a node has written lately, in one place for all its logs: appends, cuts and votes. It is the
// only thing that anybody waits for. Frames gather while a round of them is being written, and the
// next round is written only when that one is durable. So at recovery a bad round with a good later
// one behind it is damage; with nothing behind it, it is a torn tail, which nobody was told of. The
// difference decides if a replica may vote. (Rot in the very last round looks like a torn tail,
// until a seal follows it. When nothing else does, one is written after a short while.)
//
// The files are in `directory`. Each begins with what it must carry over from those before it, and
// the oldest is used again once nothing in it is needed: see README.md.
//
// A failed write is final: nobody knows what the disk holds, and trying again proves nothing. From
// then on everything is refused with that error, and the node has to end.
//
// Outlives the Logs that write to it. Life: construct, open(), then run() in a fiber of its own.
#pragma once

#include "core/env/environment.h"
#include "core/log/config.h"
#include "core/wire/frame.h"
#include "core/wire/journal.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pyralog {

class Journal {
public:
    // Where there is no room it is tried again after so long.
    static constexpr Duration space_retry_delay = 1s;

    // `identity` tells this node's journal from that of any other node or cluster.
    Journal(Environment& env, std::string directory, const JournalConfig& config,
            std::uint64_t identity);
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    // What is known of it elsewhere: there was this file, and later ones are to be noted when they
    // have begun. Before open().
    using Note = std::function<Result<>(std::uint64_t file)>;
    void expect(std::uint64_t newest, Note note) {
        expected_ = newest;
        note_begun_ = std::move(note);
    }

    // Hands every durable frame to `replay`, in order: of all groups entries, cuts, votes, starts
    // and marks. A mark holds the group's vote (`term` and payload are those of its last vote
    // frame, zero and empty if there was none) and, in `first`, up to where the entries are in
    // segments. Payloads are slices of a whole file: copy what is to be kept. `replay` may wait;
    // its error ends open(). Entries may come again, and may come after later ones: Log::replay()
    // knows about both.
    //
    // A payload that was durable and is damaged is left out, which Frame::damaged says; it may come
    // again and be whole then. Error::corrupt if anything else that was durable is damaged or
    // missing. Log lines say what, and after an error nothing on disk has been changed.
    using Replay = std::function<Result<>(const wire::Frame& frame)>;
    Result<> open(const Replay& replay);

    // The same for whoever only wants to know what a node that does not run has on its disk:
    // nothing is changed. This Journal is of no use afterwards.
    Result<> inspect(const Replay& replay);

    // Writes rounds until cancelled, or until the device fails. The others only queue and wait.
    Result<> run();

    // What can write entries of one group to where they are to stay, so that a round need only name
    // them. It is asked when the round is made, one at a time of each group.
    class BulkWriter {
    public:
        virtual ~BulkWriter() = default;
        // Could it write the entries up to this one now? Does not wait.
        virtual bool takes(std::int64_t last) const = 0;
        // Does so, durably. Waits. After out_of_space or unavailable the round holds them; after
        // any other error the journal has failed.
        virtual Result<> write(std::int64_t last) = 0;
        // Where this very entry is then. Nowhere: it is not there, or not any more.
        virtual wire::FramePlace place_of(const wire::Frame& frame) const = 0;
    };
    // While it is known here it must not end. detach() waits for what it is asked for, come what
    // may.
    void attach(GroupId group, BulkWriter& writer);
    void detach(GroupId group);

    // Entries that are only named, and in no segment yet, take up a good part of what they may.
    bool bulk_crowded() const { return bulk_held_ > bulk_held_max() / 2; }

    // So many frames were appended, and so many of them are durable.
    std::uint64_t appended() const { return appended_; }
    bool is_durable(std::uint64_t appended) const { return durable_ >= appended; }

    // Puts a frame into the next round. Does not wait; shares the payload.
    // Entries, cuts and starts come from the group's Log; votes from its Consensus, with the term
    // in `term` and whatever else there is in the payload.
    void append(const wire::Frame& frame);

    // Returns once all that was appended before is durable. Overlapping calls share one round.
    // Error::out_of_space and device_failed are final.
    Result<> sync();

    // Returns when the device has answered, whatever it said: one that hangs shows here even when
    // there is nothing to write. Waits, not cancellable.
    void ask_device();

    // The entries of `group` before `end` are durable in segments. A file of which all is released
    // is used again.
    void release(GroupId group, Position end);

    // The group is deleted: nothing of it is needed any more. Its frames may still be replayed.
    void forget(GroupId group);

    // The last vote frame of the group that was written or replayed. Without a payload if that was
    // damaged: then the term is all that is known of it.
    std::optional<wire::Frame> vote(GroupId group) const;

    // Groups of which something was written or replayed, and that were not forgotten since.
    std::vector<GroupId> groups() const;

    // Too much is waiting to move to segments, or there is no room for the next file: refuse what
    // can be refused.
    bool backlogged() const;

    // Nothing more can be taken in at all: there is no room for the next file, or several times the
    // limit is in use. In between a node refuses what its clients bring and takes what other
    // leaders send: entries that keep its files from being used again may be waiting for just that
    // to become committed.
    bool full() const;

    // More than half of what may be in use is. Files are freed then as soon as something in them is
    // committed, and not only when the newest is full: a backlogged node may fill none.
    bool crowded() const {
        return files_.size() > 1 && bytes_in_use_ > config_.journal_bytes_max / 2;
    }

    // What keeps the oldest file from being used again: for each group, where its entries in that
    // file end. Empty while the oldest file is the one that is being written.
    struct Pin {
        GroupId group;
        Position end;
    };
    std::vector<Pin> pinned() const;

    // What files would take up that hold frames of these sizes and nothing else, were they appended
    // now one after the other.
    std::uint64_t bytes_to_hold(std::span<const std::size_t> frames) const;

    std::uint64_t file_number() const; // Of the one that is being written.
    std::uint64_t bytes_in_use() const { return bytes_in_use_; }
    const JournalConfig& config() const { return config_; }

    // Notified when file_number() has changed, and when the journal has failed.
    Condition& file_changed() { return file_changed_; }
    bool failed() const { return failure_.has_value(); }

private:
    // A file from which something may still be needed.
    struct InUse {
        std::uint64_t number = 0;
        std::uint64_t bytes = 0;
        std::size_t pins = 0; // Groups with entries in it that are not yet elsewhere.
    };
    // A file without a name of its own, ready to become the next one.
    struct Spare {
        std::string path;
        std::uint64_t bytes = 0;
    };
    // Entries of one group in one file.
    struct Held {
        std::uint64_t file = 0;
        std::int64_t first = 0;
        Position end;
    };
    struct Known {
        Position released;
        std::int64_t next = 0; // One more than the greatest index that was appended and not cut.
        std::optional<wire::Frame> vote;
        std::optional<wire::Frame> start; // Of a log that does not begin at the beginning.
        std::vector<Held> held;           // In the order of files.
        // By index: how large entries are of which the journal only says where they are.
        std::map<std::int64_t, std::uint64_t> named;
    };
    struct Bulk {
        BulkWriter* writer = nullptr;
        std::uint64_t queued_bytes = 0;
        Signal* detached = nullptr; // Of who waits in detach().
    };
    // Of a round, a group that may write past the journal.
    struct BulkJob {
        GroupId group;
        std::int64_t last = 0;
        std::uint64_t bytes = 0;
        Result<> written = Error::unavailable;
    };
    // A file as recovery finds it.
    struct Found {
        wire::JournalHeader header;
        std::string path;
        std::unique_ptr<pyralog::File> file;
    };

    Result<> make_directory();
    Result<bool> replay_all(const Replay& replay);
    Result<std::vector<Found>> find_files();
    Result<> settle_size(const Spare& spare);
    Result<std::uint64_t> size_of_file(const std::string& path);
    Result<Found> look_at(const std::string& name, std::uint64_t number);
    Result<> replay_file(const Found& found, std::optional<std::uint64_t> after_round,
                         const Replay& replay);
    Error damaged(std::string_view path, std::uint64_t file_position, std::string_view what);
    void tell_of_damaged(std::string_view path, std::span<const wire::Frame> frames);

    Result<> write_rounds();
    Result<> wait_for_work();
    Result<> write_round();
    Result<> write_frames(std::span<wire::Frame> frames, Buffer memory);
    void lay_out();
    std::vector<wire::Frame> take_round();
    std::size_t next_part(std::span<const wire::Frame> frames) const;
    void unqueue(const wire::Frame& frame);

    // journal_bulk.cc
    bool is_bulk(const wire::Frame& frame) const;
    Result<bool> write_bulk(std::span<wire::Frame> frames);
    std::vector<BulkJob> bulk_jobs(std::span<const wire::Frame> frames) const;
    Result<> do_bulk_jobs(std::vector<BulkJob>& jobs);
    void end_bulk_jobs(std::span<const BulkJob> jobs);
    std::uint64_t bulk_held_max() const { return config_.journal_bytes_max / 2; }
    void note_named(Known& known, const wire::Frame& frame);
    void forget_named(Known& known, std::int64_t from, std::int64_t to);

    void encode_round(std::span<wire::Frame> frames, std::span<std::byte> round) const;
    Result<> write(Bytes bytes, std::uint64_t file_position, std::size_t frames);
    void fail(Error error);

    Result<> begin_file(std::uint64_t round_bytes);
    std::vector<wire::Frame> checkpoint() const;
    Result<Spare> take_spare(std::uint64_t bytes);
    Result<Spare> make_spare(std::uint64_t bytes);
    Result<> prepare_files();
    Result<> drop_old_files();
    bool wants_spare() const;
    std::string path_of(std::uint64_t number) const;
    std::uint64_t round_limit() const;
    std::uint64_t bytes_of_file(std::uint64_t marks, std::uint64_t round) const;

    void note(const wire::Frame& frame);
    void note_entry(Known& known, const wire::Frame& frame);
    void note_cut(Known& known, const wire::Frame& frame);
    void let_go(const Held& held);
    void release(Known& known, Position end);
    InUse* in_use(std::uint64_t number);
    void recount();

    Environment& env_;
    std::string directory_;
    JournalConfig config_;
    std::uint64_t identity_;
    std::uint64_t expected_ = 0; // The newest file is this one, or a later one.
    Note note_begun_;

    std::deque<wire::Frame> queue_;
    std::size_t queue_bytes_ = 0;
    std::uint64_t appended_ = 0; // Frames, since open().
    std::uint64_t durable_ = 0;  // Of these.
    std::uint64_t next_round_ = 1;
    std::uint64_t durable_round_ = 0;
    bool sealed_ = true; // Nothing but seals since the last seal.
    std::optional<Error> failure_;

    std::deque<InUse> files_;     // Oldest first; the last one is being written.
    std::size_t needed_from_ = 0; // In files_: the first that is still needed.
    std::uint64_t bytes_in_use_ = 0;
    std::unique_ptr<pyralog::File> current_;
    std::uint64_t salt_ = 0; // Of the current file.
    std::uint64_t write_position_ = 0;

    // For the next round: the payloads of the first that wait are where they are to be.
    Buffer memory_;
    std::size_t laid_out_ = 0; // So many.
    std::size_t laid_end_ = wire::RoundHeader::size;
    Buffer spare_memory_; // For the round after it.

    std::vector<Spare> spares_;
    std::uint64_t next_spare_ = 1;
    bool preparing_ = false;
    bool space_short_ = false;
    std::vector<InUse> dropped_; // To become spares, or to be removed.

    std::map<GroupId, Known> known_;

    std::map<GroupId, Bulk> bulk_;
    std::vector<GroupId> bulk_busy_; // They are being asked.
    std::uint64_t bulk_held_ = 0;    // Of all `named`.

    Condition work_;
    Condition durable_changed_;
    Condition files_wanted_;
    Condition file_changed_;

    Metrics::Counter rounds_total_;
    Metrics::Counter bytes_total_;
    Metrics::Counter frames_total_;
    Metrics::Counter syncs_total_;
    Metrics::Counter damaged_total_;
    Metrics::Counter bulk_bytes_total_;
    Metrics::Counter bulk_refused_total_;
    Metrics::Histogram wait_;
    Metrics::Histogram round_time_;
    Metrics::Histogram round_bytes_;
    Metrics::Histogram round_frames_;
    Metrics::Gauge bytes_gauge_;
};

} // namespace pyralog
