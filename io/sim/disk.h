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
// Rules where core/env/disk.h leaves room:
//   - Garbage and tears stay within the bytes that were being written: what was durable beside them
//     in the same sector is not harmed.
//   - Changes of one name keep their order: if a later one survives, so does the earlier.
//   - A rename between two directories is made durable by a sync of the one it leads to.
//   - More un-synced changes of a file than unsynced_max: the oldest go to the medium by
//   themselves.
#pragma once

#include "core/env/disk.h"
#include "core/env/fiber.h"
#include "io/sim/image.h"
#include "io/sim/timeline.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pyralog::sim {

class Medium final : public Happening {
public:
    static constexpr std::size_t sector_size = 512;
    static constexpr std::size_t unsynced_max = 4096;
    static constexpr std::size_t path_parts_max = 64;

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
    void set_quota(std::optional<std::uint64_t> bytes) { quota_ = bytes; }
    // Flips bits where they are. False: there is no such byte.
    bool rot(std::string_view path, std::uint64_t position, std::byte mask);
    // One bit of one file, drawn among those that are durable; where it was.
    struct Rotten {
        std::string path;
        std::uint64_t position;
    };
    std::optional<Rotten> rot_somewhere(std::string_view directory);
    bool make_unreadable(std::string_view path, std::uint64_t position); // Its sector.
    void fail_next_sync() { fail_next_sync_ = true; }
    void fail_next_write() { fail_next_write_ = true; }

    // ---- For oracles: without time, and without leaving a mark ----

    std::optional<Bytes> content(std::string_view path) const;
    std::optional<Bytes> durable_content(std::string_view path) const;
    // A part of it; how many bytes there were.
    std::optional<std::size_t> read_durable(std::string_view path, std::uint64_t position,
                                            std::span<std::byte> into) const;
    std::optional<std::vector<std::string>> list(std::string_view directory) const;
    std::optional<std::vector<std::string>> durable_list(std::string_view directory) const;
    // Changes whenever something durable does, in this file or anywhere on the medium.
    std::uint64_t generation() const { return generation_; }
    std::optional<std::uint64_t> generation(std::string_view path) const;
    bool has_unsynced() const;
    std::size_t unit_size() const { return unit_size_; }

    void happen(std::uint64_t call) override;

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
    };

    // Stands on the stack of the fiber that waits for it.
    struct Call {
        Call(Scheduler& fibers, Kind k) : kind(k), done(fibers) {}
        Kind kind;
        Signal done;
        std::uint64_t id = 0;
        Inode file = 0;
        std::uint64_t position = 0;
        std::uint64_t covers = 0; // A sync: changes up to this one.
        std::span<std::byte> into;
        const BytesChain* data = nullptr;
        Durability durability = Durability::later;
        Disk::Open how = Disk::Open::existing;
        std::string_view path, to;
        bool fails = false;
        bool past_cache = false; // A read: from the medium, once nothing is left to be written.
        Result<> result;
        std::uint64_t number = 0; // What a read, a size or an open returns.
        std::vector<std::string> names;
    };

    // False: this process has gone, and nothing will happen.
    bool serves(std::uint64_t incarnation, Kind kind);
    void carry_out(Call& call); // Submits it and waits until it is done.
    void perform(Call& call);
    static bool changes_something(Kind kind);

    // ---- Files ----

    struct Change {
        std::uint64_t order;
        bool is_resize;
        std::uint64_t position; // A resize: the new size.
        Bytes data;
        std::uint64_t end() const { return position + data.size(); }
    };
    struct Entry {
        bool is_directory = false;
        Image visible, durable;
        std::vector<Change> unsynced;
        std::uint64_t order = 0;       // Of the latest change.
        bool visible_is_stale = false; // A failed sync forgot changes that readers still see.
        std::set<std::uint64_t> unreadable, rotten; // Sectors.
        std::map<std::string, Inode, std::less<>> names, durable_names;
        std::uint64_t handles = 0;
        std::uint64_t generation = 0;
    };

    void read(Call& call, Entry& file);
    void write(Call& call, Entry& file);
    Result<> room_for(const Entry& file, std::uint64_t end);
    void rewritten(Entry& file, std::uint64_t position, std::size_t size);
    void add_change(Entry& file, Change change);
    void make_durable(Entry& file, const Change& change);
    void make_durable_up_to(Entry& file, std::uint64_t order);
    void write_through(Entry& file, Change change);
    static void supersede(std::vector<Change>& changes, std::uint64_t first, std::uint64_t end);
    void sync_fails(Entry& file, std::uint64_t covers);
    void durable_changed(Entry& file);
    bool rot(Inode inode, std::uint64_t position, std::byte mask);

    // ---- Power cuts ----

    enum class Cut : std::uint8_t { keeps_all, keeps_none, by_unit };
    Cut draw_cut();
    bool cut_file(Entry& file, const std::vector<Change>& in_flight, Cut how);
    bool cut_write(Image& image, const Change& change, std::uint64_t old_size, Cut how);
    bool cut_names(Cut how);
    void in_flight_writes(std::map<Inode, std::vector<Change>>& found) const;

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

        bool shares_name_with(const NameChange& other) const;
        bool within(Inode of) const {
            return kind == Kind::rename ? to_directory == of : directory == of;
        }
    };
    struct Place {
        Inode directory;
        std::string_view name;
    };

    Result<> open(Call& call);
    Result<> list_names(Call& call);
    Result<> rename(Call& call);
    Result<> remove(Call& call);
    Result<> sync_directory(Call& call);
    void apply(const NameChange& change);
    void note(NameChange change);
    void forget_unreachable();
    std::optional<Inode> find(std::string_view path, bool durable) const;
    std::optional<Place> place_of(std::string_view path) const; // Its directory exists.
    const Entry* entry(std::string_view path, bool durable) const;
    std::uint64_t used() const;

    static constexpr Inode root = 1;

    Timeline& timeline_;
    NodeId node_;
    Dice time_dice_, error_dice_, cut_dice_;
    std::size_t unit_size_;
    std::uint64_t incarnation_ = 0;
    std::vector<Call*> calls_; // Sorted by id.
    std::uint64_t next_call_ = 1;
    std::map<Inode, Entry> entries_;
    Inode next_inode_ = root + 1;
    std::vector<NameChange> name_changes_; // Not durable yet, in order.
    std::uint64_t name_order_ = 0;
    std::uint64_t generation_ = 0;
    Duration hangs_until_{0};
    std::optional<std::uint64_t> quota_;
    bool fail_next_sync_ = false;
    bool fail_next_write_ = false;
};

// The disk as one process sees it.
class SimDisk final : public Disk {
public:
    SimDisk(Medium& medium, Scheduler& fibers, std::uint64_t incarnation)
        : medium_(medium), fibers_(fibers), incarnation_(incarnation) {}

    Result<std::unique_ptr<File>> open(std::string_view path, Open how, Access access) override;
    Result<std::vector<std::string>> list(std::string_view directory) override;
    Result<> create_directory(std::string_view path) override;
    Result<> rename(std::string_view from, std::string_view to) override;
    Result<> remove(std::string_view path) override;
    Result<> sync_directory(std::string_view directory) override;

private:
    Result<> names(Medium::Kind kind, std::string_view path, std::string_view to = {});

    Medium& medium_;
    Scheduler& fibers_;
    std::uint64_t incarnation_;
};

} // namespace pyralog::sim
