// io/sim/disk.h
//
// The disk of one node. It belongs to the node and not to a process on it: processes come and go,
// each with a SimDisk of its own, and the Medium stays.
//
// A file has two images: what readers see, and what is on the medium; and, in order, the changes
// that lead from the second to the first. sync() applies those that had returned before it was
// called. A directory has its names twice, in the same way. A power cut forgets the first image;
// of the pending changes each unit (512 bytes or 4 KiB, drawn once per node) survives, is lost, is
// torn or becomes garbage, on its own; the size and the names go their own ways.
//
// What a call does it does when it completes, after a drawn time, except that a write in flight can
// already be on the medium in part when the power goes.
//
// A sync that fails leaves behind one of four things, which real systems have left behind. What it
// should have covered ...
//   keeps        waits as before: trying again would work.
//   marks_clean  counts as written, and is not (ext4, xfs): readers see it, and a second sync
//                succeeds, until the cache lets go of it at a drawn time; then they see what the
//                medium has. Each handle of the file that was open is told once.
//   reverts      is gone, and readers see what was before (btrfs).
//   drops_all    is gone with all that waited on this disk, in any file (a device that loses its
//                cache): the next sync of any of them succeeds.
// A fifth, late_sync_error, breaks the contract of core/env/disk.h: the sync returns without an
// error, and the next one of the file reports it (ext4 with data=journal). What was written with
// Durability::now is not touched by it. It is damage: whoever injects it must count the node's
// copies as gone, as with rot.
//
// Damage is done to what is durable: bits flip, sectors become unreadable, and writes turn out,
// when others have followed, never to have been made (lost) or to have been made elsewhere
// (misdirected). That a write was lost is decided after the fact, from a bounded memory of the last
// durable ones, because it must be known what came later: the last write of a file is never lost,
// since nothing on the disk could tell that it was ever made. Even so, a file's last write but one
// may be the last that somebody relies on; whoever chooses says which places may be hit.
//
// All damage is written down as it is done (harms()), and of a file that was damaged the bytes are
// kept that it would have without (read_unharmed()): so that whoever says that something is missing
// can prove it.
//
// Rules where core/env/disk.h leaves room:
//   - Garbage and tears stay within the bytes that were being written: what was durable beside them
//     in the same sector is not harmed.
//   - Changes of one name keep their order: if a later one survives, so does the earlier.
//   - A rename between two directories is made durable by a sync of the one it leads to.
//   - More un-synced changes of a file than unsynced_max: the oldest go to the medium by
//   themselves.
//   - Reads are never short: the interface leaves no room for it.
//   - Code that cannot wait may ask for everything at once, and waits afterwards for the time that
//   it took (AtOnce). Readers see each change at once. But each has its moment within that time,
//   and a power cut before it finds the medium as it was then: a sync covers at its moment what it
//   is to cover, and a change whose moment has not come was never made. A process that is killed
//   has done all of it.
//   - A name or a size that could not be changed may have been changed all the same; so may some of
//   what a full disk had no room for have been written.
#pragma once

#include "core/env/disk.h"
#include "core/env/fiber.h"
#include "io/sim/image.h"
#include "io/sim/timeline.h"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace pyralog::sim {

class Medium final : public Happening {
public:
    static constexpr std::size_t sector_size = 512;
    static constexpr std::size_t unsynced_max = 4096;
    static constexpr std::size_t path_parts_max = 64;
    static constexpr std::size_t recent_max = 64;
    static constexpr std::size_t recent_bytes_max = 16 * 1024;

    using Inode = std::uint64_t;

    Medium(Timeline& timeline, NodeId node);
    ~Medium() override; // No call may be under way.

    // ---- For the World ----

    // From now on only this process is served; zero: none.
    void serve(std::uint64_t incarnation) { incarnation_ = incarnation; }
    // The process has gone, with the power or without. Calls that were under way return
    // Error::cancelled, and may have happened. True if there were any.
    bool process_killed();
    void power_cut();

    // ---- For tests and the nemesis ----

    void hang_until(Duration when) { hangs_until_ = std::max(hangs_until_, when); }
    // As large as the disk seems without one.
    static constexpr std::uint64_t plenty = 1ULL << 40;
    void set_quota(std::optional<std::uint64_t> bytes) { quota_ = bytes; }
    std::uint64_t used() const; // By all files.
    // With so many files open at once, the next open is Error::unavailable, as on a real disk.
    void limit_open_files(std::optional<std::uint64_t> files) { open_files_max_ = files; }
    std::uint64_t open_files() const;
    std::uint64_t refused_opens() const { return refused_opens_; } // So far.
    // Flips bits where they are. False: there is no such byte.
    bool rot(std::string_view path, std::uint64_t position, std::byte mask);
    // One bit of one file, drawn among those that are durable; where it was.
    struct Rotten {
        std::string path;
        std::uint64_t position;
    };
    std::optional<Rotten> rot_somewhere(std::string_view directory);
    bool make_unreadable(std::string_view path, std::uint64_t position); // Its sector.
    // The next read of this byte, of the file that has this name then, gets another sector's bytes
    // for its sector, or zeros. Nothing on the medium is harmed, and a second read is right.
    void misdirect_read(std::string_view path, std::uint64_t position) {
        misdirected_read_ = {std::string(path), position};
    }
    void fail_next_sync() { fail_next_sync_ = true; }
    void fail_next_write() { fail_next_write_ = true; }
    // The n-th rename from now on finds no space.
    void refuse_rename(std::uint64_t n) { refuse_rename_ = n; }
    // The next power cut is by unit, and deals with units of un-synced writes in this way, in their
    // order; sizes stay. With more units than fates, the rest is drawn.
    enum class Fate : std::uint8_t { survives, lost, torn, garbage };
    void plan_cut(std::vector<Fate> fates) { planned_cut_ = std::move(fates); }
    // How many units there are that a power cut would now decide about, of all files.
    std::size_t unsynced_units() const;
    // The next sync that has something to do: see late_sync_error.
    void lie_at_next_sync() { lie_at_next_sync_ = true; }

    // From now on the last durable writes are remembered, each up to recent_bytes_max of it.
    void remember_writes() { remembers_ = true; }
    // A part of a durable file.
    struct Range {
        std::string path;
        std::uint64_t position = 0;
        std::size_t size = 0;
    };
    using MayHit = std::function<bool(const Range& range)>;
    // One of the writes that are remembered and still there was never made. What it hit.
    std::optional<Range> lose_somewhere(const MayHit& may_hit);
    // ... and its bytes are elsewhere instead, whole units away: at the second range.
    std::optional<std::pair<Range, Range>> misdirect_somewhere(const MayHit& may_hit);

    // The whole disk has gone, for good: says so in harms(), and nothing else.
    void lose_all();
    // The same, and there is an empty one in its place. While no process runs.
    void replace();

    // ---- For oracles: without time, and without leaving a mark ----

    // Something that was done to what is durable, in the order in which it was done. It may be over
    // since: the place was written anew.
    struct Harm {
        Fault fault = Fault::rot;
        Inode file = 0;             // Zero: the whole disk.
        std::uint64_t position = 0; // Of the first byte; of a size: what it should be.
        std::size_t size = 0;       // Of a sector that cannot be read; zero of a size.
        Bytes should_be, is;        // Empty of a sector that cannot be read, and of a size.
        std::string path = {};      // Of the file then, if it had one; of late_sync_error only.
        // By byte, once any is: what has been written there since, or would have been. None of it
        // is this harm's any more.
        std::vector<bool> written_over = {};
    };
    const std::vector<Harm>& harms() const { return harms_; }
    // What this file would hold without. As read_durable() if it was never harmed.
    std::size_t read_unharmed(Inode file, std::uint64_t position, std::span<std::byte> into) const;
    std::uint64_t unharmed_size(Inode file) const;
    bool is_harmed(Inode file) const;
    bool is_unreadable(Inode file, std::uint64_t position) const; // Its sector.
    std::uint64_t durable_size(Inode file) const { return entries_.at(file).durable.size(); }
    // By what they are called, by one of their names.
    std::map<Inode, std::string> durable_files() const;

    std::optional<Bytes> content(std::string_view path) const;
    std::optional<Bytes> durable_content(std::string_view path) const;
    // A part of it; how many bytes there were.
    std::optional<std::size_t> read_durable(std::string_view path, std::uint64_t position,
                                            std::span<std::byte> into) const;
    std::optional<std::vector<std::string>> list(std::string_view directory) const;
    std::optional<std::vector<std::string>> durable_list(std::string_view directory) const;
    // Calls that were completed. So a test can end a process, or cut the power, at each of them.
    std::uint64_t completions() const { return completions_; }
    // Changes whenever something durable does, in this file or anywhere on the medium.
    std::uint64_t generation() const { return generation_; }
    std::optional<std::uint64_t> generation(std::string_view path) const;
    // The same for who looks very often: finding a file by its name costs more than all the rest.
    // What a durable name leads to stays the same until names_generation() changes.
    std::uint64_t names_generation() const { return names_generation_; }
    std::optional<Inode> durable_file(std::string_view path) const;
    std::optional<Inode> durable_directory(std::string_view path) const;
    // None of what is a file. What has become of them is in the generation of the directory.
    using Names = std::map<std::string, Inode, std::less<>>;
    const Names& durable_names(Inode directory) const {
        return entries_.at(directory).durable_names;
    }
    std::uint64_t generation(Inode of) const { return entries_.at(of).generation; }
    std::size_t read_durable(Inode file, std::uint64_t position, std::span<std::byte> into) const {
        return entries_.at(file).durable.read(position, into);
    }
    bool has_unsynced() const;
    std::size_t unit_size() const { return unit_size_; }

    void happen(std::uint64_t call) override;

    // For calls that do not wait: the time that they have taken since somebody waited for it.
    struct AtOnce {
        Duration cost{0};
    };

private:
    friend class SimDisk;
    friend class SimFile;

    // ---- Calls under way ----

    enum class Kind : std::uint8_t {
        read,
        write,
        sync,
        size,
        resize,
        open,
        list,
        create_directory,
        rename,
        remove,
        sync_directory,
        space,
        wait, // For what calls have taken that did not wait.
    };

    // Stands on the stack of the fiber that waits for it.
    struct Call {
        Call(Scheduler& fibers, Kind k) : kind(k), done(fibers) {}
        Kind kind;
        Signal done;
        std::uint64_t id = 0;
        Duration began{0};
        Inode file = 0;
        std::uint64_t position = 0;
        std::uint64_t covers = 0; // A sync: changes up to this one.
        std::span<std::byte> into;
        const BytesChain* data = nullptr;
        Durability durability = Durability::later;
        Disk::Open how = Disk::Open::existing;
        std::string_view path, to;
        bool fails = false;
        bool no_space = false;
        bool lies = false;                    // A sync.
        std::uint64_t* errors_told = nullptr; // A sync: to this handle.
        AtOnce* at_once = nullptr;            // Does not wait: its time is added to this.
        bool past_cache = false; // A read: from the medium, once nothing is left to be written.
        Result<> result;
        std::uint64_t number = 0; // What a read, a size or an open returns.
        std::vector<std::string> names;
        Disk::Space space;
    };

    // False: this process has gone, and nothing will happen.
    bool serves(std::uint64_t incarnation, Kind kind);
    static std::string words_of(const Call& call);
    void carry_out(Call& call); // Submits it and waits until it is done.
    void submit(Call& call, Duration time);
    void complete(Call& call);
    Duration draw_fate(Call& call); // How long it takes, and if it fails.
    void perform(Call& call);
    void perform_killed(Call& call);
    static bool changes_something(Kind kind);
    static bool needs_space(const Call& call);

    // ---- Files ----

    struct Change {
        std::uint64_t order;
        bool is_resize;
        std::uint64_t position; // A resize: the new size.
        Bytes data;
        Duration when{0};       // Was made by a call that did not wait, whose moment this is.
        bool continues = false; // A part of the same write as the one before it.
        std::uint64_t end() const { return position + data.size(); }
    };
    struct Entry {
        Inode inode = 0;
        bool is_directory = false;
        Image visible, durable;
        std::optional<Image> unharmed; // From the first damage on.
        std::vector<Change> unsynced;
        std::uint64_t order = 0;       // Of the latest change.
        bool visible_is_stale = false; // A failed sync forgot changes that readers still see.
        // How often a sync has left changes behind without keeping them, and up to which of these
        // times anybody was told. Each handle that was open then is told as well.
        std::uint64_t errors = 0, errors_told = 0;
        std::set<std::uint64_t> unreadable;     // Sectors.
        std::map<std::uint64_t, Fault> damaged; // Sectors, and what was done to them.
        Names names, durable_names;
        std::uint64_t handles = 0;
        std::uint64_t generation = 0;
    };

    void read(Call& call, Entry& file);
    void write(Call& call, Entry& file);
    void size(Call& call, Entry& file);
    bool room_for(const Entry& file, std::uint64_t end) const;
    bool lacks_room(bool refused);
    bool may_open();
    void misdirect(const Call& call, const Entry& file, const Image& image);
    void rewritten(Entry& file, std::uint64_t position, std::size_t size);
    void add_change(Entry& file, Change change);
    void make_durable(Entry& file, const Change& change);
    void make_durable_up_to(Entry& file, std::uint64_t order);
    void write_through(Entry& file, Change change);
    static void supersede(std::vector<Change>& changes, std::uint64_t first, std::uint64_t end);
    Image as_the_device_has_it(const Entry& file) const;
    void sync(Call& call, Entry& file);
    void sync_fails(Call& call, Entry& file);
    void sync_lies(Call& call, Entry& file);
    bool make_some_durable(Entry& file, std::uint64_t covers);
    void mark_clean(Entry& file, std::uint64_t covers);
    void evict(Entry& file);
    void drop_all();
    void durable_changed(Entry& file);

    // ---- Calls that do not wait ----

    // A sync whose moment is to come.
    struct Later {
        std::uint64_t id;
        Kind kind;
        Inode inode;
        std::uint64_t covers;
        Duration when; // Or later, if the disk hangs.
    };

    void carry_out_at_once(Call& call, Duration time);
    bool put_off(const Call& call, Duration when);
    void come_true(std::uint64_t id);
    void come_true_now();
    void undo_what_is_to_come();

    // ---- Damage ----

    // A write that has become durable, and what it has replaced.
    struct Recent {
        Inode file;
        std::uint64_t position;
        Bytes before, data;
        bool overlaps(const Recent& other) const;
    };

    bool rot(Inode inode, std::uint64_t position, std::byte mask);
    void remember(const Entry& file, const Change& change);
    std::optional<Recent> draw_recent(const MayHit& may_hit);
    void damage(Entry& file, std::uint64_t position, std::span<const std::byte> bytes, Fault fault);
    void harm(Entry& file, std::uint64_t position, std::span<const std::byte> bytes, Fault fault);
    void make_unreadable(Entry& file, std::uint64_t position);
    void promise_in_vain(Entry& file, std::uint64_t covers);
    void note_written(Entry& file, std::uint64_t position, std::span<const std::byte> bytes);
    void note_resized(Entry& file, std::uint64_t size);
    void note_over(Inode file, std::uint64_t position, std::uint64_t end);

    // ---- Power cuts ----

    enum class Cut : std::uint8_t { keeps_all, keeps_none, by_unit };
    Cut draw_cut();
    Fate draw_fate_of_unit();
    std::size_t units_of(const Change& change) const;
    bool cut_file(Entry& file, const std::vector<Change>& in_flight, Cut how);
    bool cut_write(Entry& file, const Change& change, std::uint64_t old_size, std::uint64_t size,
                   Cut how);
    bool cut_names(Cut how);
    void in_flight_writes(std::map<Inode, std::vector<Change>>& found) const;
    void finish_some_names(Cut how);

    // ---- Names ----

    struct NameChange {
        enum class Kind : std::uint8_t { link, unlink, rename };
        std::uint64_t order;
        Kind kind;
        Inode directory;
        std::string name;
        Inode to_directory = 0;
        std::string to_name;
        Inode entry = 0;
        Duration when{0}; // As in Change.

        bool shares_name_with(const NameChange& other) const;
        bool within(Inode of) const {
            return kind == Kind::rename ? to_directory == of : directory == of;
        }
    };
    struct Place {
        Inode directory;
        std::string_view name;
    };

    void name_call(Call& call);
    Result<> change_names(Call& call);
    Result<> open(Call& call);
    Result<> list_names(Call& call);
    Result<> tell_space(Call& call);
    Result<> rename(Call& call);
    Result<> remove(Call& call);
    Result<> sync_directory(Call& call);
    void make_names_durable(Inode directory, std::uint64_t covers);
    void apply(const NameChange& change);
    void note(NameChange change);
    void forget_unreachable();
    std::optional<Inode> find(std::string_view path, bool durable) const;
    std::optional<Place> place_of(std::string_view path) const; // Its directory exists.
    const Entry* entry(std::string_view path, bool durable) const;

    static constexpr Inode root = 1;
    // Events that are not the end of a call: the cache lets go of a file.
    static constexpr std::uint64_t eviction = std::uint64_t{1} << 63;
    // ... the moment of a sync that did not wait has come.
    static constexpr std::uint64_t later_sync = std::uint64_t{1} << 62;

    Timeline& timeline_;
    NodeId node_;
    Dice time_dice_, error_dice_, cut_dice_, damage_dice_;
    std::size_t unit_size_;
    std::uint64_t incarnation_ = 0;
    std::vector<Call*> calls_; // Sorted by id.
    std::uint64_t next_call_ = 1;
    std::uint64_t completions_ = 0;
    std::map<Inode, Entry> entries_;
    Inode next_inode_ = root + 1;
    std::vector<NameChange> name_changes_; // Not durable yet, in order.
    std::uint64_t name_order_ = 0;
    std::uint64_t generation_ = 0;
    std::uint64_t names_generation_ = 0;
    Duration moment_{0};       // Of the call that is carried out at once.
    std::vector<Later> later_; // Sorted by id.
    Duration hangs_until_{0};
    std::optional<std::uint64_t> quota_;
    std::optional<std::uint64_t> open_files_max_;
    std::uint64_t refused_opens_ = 0;
    std::optional<std::pair<std::string, std::uint64_t>> misdirected_read_;
    bool fail_next_sync_ = false;
    bool fail_next_write_ = false;
    bool lie_at_next_sync_ = false;
    std::uint64_t refuse_rename_ = 0;
    std::optional<std::vector<Fate>> planned_cut_;
    std::size_t planned_used_ = 0;
    bool remembers_ = false;
    std::deque<Recent> recent_; // The oldest first.
    std::vector<Harm> harms_;
};

// The disk as one process sees it.
class SimDisk final : public Disk {
public:
    // With `at_once` no call waits.
    SimDisk(Medium& medium, Scheduler& fibers, std::uint64_t incarnation,
            Medium::AtOnce* at_once = nullptr)
        : medium_(medium), fibers_(fibers), incarnation_(incarnation), at_once_(at_once) {}

    Result<std::unique_ptr<File>> open(std::string_view path, Open how, Access access) override;
    Result<std::vector<std::string>> list(std::string_view directory) override;
    Result<> create_directory(std::string_view path) override;
    Result<> rename(std::string_view from, std::string_view to) override;
    Result<> remove(std::string_view path) override;
    Result<> sync_directory(std::string_view directory) override;
    Result<Space> space() override;

    // Waits for all that was done at once, not cancellable. False: the process has ended.
    bool wait_for_cost();
    bool is_served() const { return medium_.incarnation_ == incarnation_; }
    // Is there such a name? Takes no time and cannot fail, like everything that is in memory.
    bool has(std::string_view path) const { return medium_.find(path, false).has_value(); }

private:
    Result<> names(Medium::Kind kind, std::string_view path, std::string_view to = {});

    Medium& medium_;
    Scheduler& fibers_;
    std::uint64_t incarnation_;
    Medium::AtOnce* at_once_;
};

} // namespace pyralog::sim
