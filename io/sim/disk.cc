#include "io/sim/disk.h"

#include "core/base/crc32c.h"

#include <algorithm>

namespace pyralog::sim {

namespace {

std::string_view name_of(std::uint8_t kind) {
    constexpr std::array<std::string_view, 11> names{
        "read",   "write",  "sync",          "size", "resize", "open", "list", "create_directory",
        "rename", "remove", "sync_directory"};
    return names[kind];
}

std::uint64_t code_of(const Result<>& result) {
    return result.ok() ? 0 : 1 + static_cast<std::uint64_t>(result.error());
}

bool is_aligned(std::uint64_t number) { return number % Buffer::disk_alignment == 0; }

// Whether memory is aligned is the same in every run: Buffer sees to it.
bool is_aligned(const std::byte* memory) {
    return is_aligned(reinterpret_cast<std::uintptr_t>(memory));
}

} // namespace

// A File of one process.
class SimFile final : public File {
public:
    SimFile(Medium& medium, Scheduler& fibers, std::uint64_t incarnation, Medium::Inode file,
            Disk::Access access)
        : medium_(medium), fibers_(fibers), incarnation_(incarnation), file_(file),
          aligned_(access == Disk::Access::aligned) {}
    ~SimFile() override { --medium_.entries_.at(file_).handles; }

    Result<std::size_t> read_at(std::uint64_t position, std::span<std::byte> into) override {
        if (aligned_) {
            CHECK(is_aligned(position) && is_aligned(into.size()));
            CHECK(into.empty() || is_aligned(into.data()));
        }
        Medium::Call call(fibers_, Medium::Kind::read);
        call.past_cache = aligned_;
        call.position = position;
        call.into = into;
        TRY(carry_out(call));
        return static_cast<std::size_t>(call.number);
    }

    Result<> write_at(std::uint64_t position, const BytesChain& data,
                      Durability durability) override {
        if (aligned_) {
            CHECK(is_aligned(position));
            for (const Bytes& part : data)
                CHECK(part.empty() || (is_aligned(part.data()) && is_aligned(part.size())));
        }
        Medium::Call call(fibers_, Medium::Kind::write);
        call.position = position;
        call.data = &data;
        call.durability = durability;
        return carry_out(call);
    }

    Result<> sync() override {
        Medium::Call call(fibers_, Medium::Kind::sync);
        return carry_out(call);
    }

    Result<std::uint64_t> size() override {
        Medium::Call call(fibers_, Medium::Kind::size);
        TRY(carry_out(call));
        return call.number;
    }

    Result<> resize(std::uint64_t size) override {
        if (aligned_) CHECK(is_aligned(size));
        Medium::Call call(fibers_, Medium::Kind::resize);
        call.position = size;
        return carry_out(call);
    }

private:
    Result<> carry_out(Medium::Call& call) {
        if (!medium_.serves(incarnation_, call.kind)) return Error::cancelled;
        call.file = file_;
        medium_.carry_out(call);
        return call.result;
    }

    Medium& medium_;
    Scheduler& fibers_;
    std::uint64_t incarnation_;
    Medium::Inode file_;
    bool aligned_;
};

// ---- SimDisk ----

Result<std::unique_ptr<File>> SimDisk::open(std::string_view path, Open how, Access access) {
    if (!medium_.serves(incarnation_, Medium::Kind::open)) return Error::cancelled;
    Medium::Call call(fibers_, Medium::Kind::open);
    call.path = path;
    call.how = how;
    medium_.carry_out(call);
    TRY(call.result);
    return std::unique_ptr<File>(
        std::make_unique<SimFile>(medium_, fibers_, incarnation_, call.number, access));
}

Result<std::vector<std::string>> SimDisk::list(std::string_view directory) {
    if (!medium_.serves(incarnation_, Medium::Kind::list)) return Error::cancelled;
    Medium::Call call(fibers_, Medium::Kind::list);
    call.path = directory;
    medium_.carry_out(call);
    TRY(call.result);
    return std::move(call.names);
}

Result<> SimDisk::names(Medium::Kind kind, std::string_view path, std::string_view to) {
    if (!medium_.serves(incarnation_, kind)) return Error::cancelled;
    Medium::Call call(fibers_, kind);
    call.path = path;
    call.to = to;
    medium_.carry_out(call);
    return call.result;
}

Result<> SimDisk::create_directory(std::string_view path) {
    return names(Medium::Kind::create_directory, path);
}
Result<> SimDisk::rename(std::string_view from, std::string_view to) {
    return names(Medium::Kind::rename, from, to);
}
Result<> SimDisk::remove(std::string_view path) { return names(Medium::Kind::remove, path); }
Result<> SimDisk::sync_directory(std::string_view directory) {
    return names(Medium::Kind::sync_directory, directory);
}

// ---- Calls ----

Medium::Medium(Timeline& timeline, NodeId node)
    : timeline_(timeline), node_(node),
      time_dice_(timeline.root, "node/" + std::to_string(node.value) + "/disk/time"),
      error_dice_(timeline.root, "node/" + std::to_string(node.value) + "/disk/error"),
      cut_dice_(timeline.root, "node/" + std::to_string(node.value) + "/disk/cut"),
      unit_size_(cut_dice_.coin() ? sector_size : Image::page_size) {
    entries_[root].is_directory = true;
}

Medium::~Medium() { CHECK(calls_.empty()); }

bool Medium::changes_something(Kind kind) {
    return kind != Kind::read && kind != Kind::size && kind != Kind::list;
}

bool Medium::serves(std::uint64_t incarnation, Kind kind) {
    if (incarnation == incarnation_) return true;
    timeline_.counts.fire(Fault::fenced);
    if (changes_something(kind)) timeline_.counts.effect(Fault::fenced);
    return false;
}

void Medium::carry_out(Call& call) {
    const Faults& faults = timeline_.faults;
    std::uint32_t payload = 0;
    Duration time{};
    switch (call.kind) {
    case Kind::read:
        time = time_dice_.draw(faults.read_time);
        call.fails = error_dice_.chance(faults.read_error);
        break;
    case Kind::write:
        time = time_dice_.draw(faults.write_time);
        call.fails =
            error_dice_.chance(faults.write_error) || std::exchange(fail_next_write_, false);
        payload = crc32c(*call.data);
        if (call.durability == Durability::now) time += time_dice_.draw(faults.sync_time);
        break;
    case Kind::sync:
    case Kind::sync_directory:
        time = time_dice_.draw(faults.sync_time);
        call.fails = error_dice_.chance(faults.sync_error) || std::exchange(fail_next_sync_, false);
        call.covers = call.kind == Kind::sync ? entries_.at(call.file).order : name_order_;
        break;
    default: time = time_dice_.draw(faults.name_time); break;
    }
    if (time_dice_.chance(faults.slow_disk)) {
        time += time_dice_.draw(faults.slow_disk_time);
        timeline_.counts.both(Fault::slow_disk);
    }
    call.id = next_call_++;
    calls_.push_back(&call);
    if (!call.path.empty() || !call.to.empty())
        payload =
            crc32c(std::as_bytes(std::span(call.to)), crc32c(std::as_bytes(std::span(call.path))));
    timeline_.record(Step::file_call, node_.value,
                     call.id << 8 | static_cast<std::uint64_t>(call.kind), call.position, payload);
    timeline_.schedule(timeline_.now() + time, *this, call.id);
    call.done.wait_through();
}

void Medium::happen(std::uint64_t id) {
    const auto place =
        std::lower_bound(calls_.begin(), calls_.end(), id,
                         [](const Call* call, std::uint64_t i) { return call->id < i; });
    if (place == calls_.end() || (*place)->id != id) return; // Its process was killed.
    Call& call = **place;
    if (timeline_.now() < hangs_until_) {
        timeline_.counts.both(Fault::hung_disk);
        timeline_.schedule(hangs_until_, *this, id);
        return;
    }
    calls_.erase(place);
    perform(call);
    timeline_.record(Step::file_done, node_.value, id, code_of(call.result), 0);
    timeline_.trace(node_, [&] {
        std::string line = "disk " + std::string(name_of(static_cast<std::uint8_t>(call.kind)));
        if (call.file != 0)
            line += " file=" + std::to_string(call.file) + " at=" + std::to_string(call.position);
        else
            line += " path=" + std::string(call.path);
        if (call.data) line += " bytes=" + std::to_string(size_of(*call.data));
        if (!call.result.ok())
            line += " error=\"" + std::string(to_string(call.result.error())) + '"';
        return line;
    });
    call.done.set();
}

void Medium::perform(Call& call) {
    Entry* file = call.file != 0 ? &entries_.at(call.file) : nullptr;
    switch (call.kind) {
    case Kind::read: return read(call, *file);
    case Kind::write: return write(call, *file);
    case Kind::sync:
        if (call.fails) {
            sync_fails(*file, call.covers);
            call.result = Error::device_failed;
        } else {
            make_durable_up_to(*file, call.covers);
        }
        return;
    case Kind::size: call.number = file->visible.size(); return;
    case Kind::resize:
        call.result = room_for(*file, call.position);
        if (call.result.ok()) add_change(*file, {0, true, call.position, {}});
        return;
    case Kind::open: call.result = open(call); return;
    case Kind::list: call.result = list_names(call); return;
    case Kind::create_directory: {
        call.how = Disk::Open::create_new;
        call.result = open(call);
        return;
    }
    case Kind::rename: call.result = rename(call); return;
    case Kind::remove: call.result = remove(call); return;
    case Kind::sync_directory: call.result = sync_directory(call); return;
    }
}

// ---- Files ----

void Medium::read(Call& call, Entry& file) {
    if (call.fails) {
        timeline_.counts.both(Fault::read_error);
        call.result = Error::device_failed;
        return;
    }
    const bool from_medium = call.past_cache && file.unsynced.empty();
    const Image& image = from_medium ? file.durable : file.visible;
    call.number = image.read(call.position, call.into);
    if (call.number == 0) return;
    if (error_dice_.chance(timeline_.faults.read_rot)) {
        const std::uint64_t position = call.position + error_dice_.pick(call.number);
        const auto mask = static_cast<std::byte>(1u << error_dice_.pick(8));
        if (rot(call.file, position, mask)) image.read(call.position, call.into);
    }
    if (error_dice_.chance(timeline_.faults.unreadable_sector)) {
        timeline_.counts.fire(Fault::unreadable_sector);
        file.unreadable.insert((call.position + error_dice_.pick(call.number)) / sector_size);
    }
    const auto hit = [&](const std::set<std::uint64_t>& sectors) {
        const auto first = sectors.lower_bound(call.position / sector_size);
        return first != sectors.end() && *first * sector_size < call.position + call.number;
    };
    if (hit(file.unreadable)) {
        timeline_.counts.effect(Fault::unreadable_sector);
        call.result = Error::corrupt;
        return;
    }
    if (hit(file.rotten)) timeline_.counts.effect(Fault::rot);
}

void Medium::write(Call& call, Entry& file) {
    const std::uint64_t end = call.position + size_of(*call.data);
    call.result = room_for(file, end);
    if (!call.result.ok()) return;
    std::uint64_t left = end - call.position;
    if (call.fails) {
        timeline_.counts.both(Fault::write_error);
        call.result = Error::device_failed;
        left = error_dice_.between(0, left); // Some of it may be there all the same.
    }
    std::uint64_t position = call.position;
    for (const Bytes& part : *call.data) {
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(part.size(), left));
        if (count == 0) continue;
        Change change{0, false, position, part.slice(0, count)};
        if (call.durability == Durability::now && call.result.ok())
            write_through(file, std::move(change));
        else
            add_change(file, std::move(change));
        position += count;
        left -= count;
    }
}

Result<> Medium::room_for(const Entry& file, std::uint64_t end) {
    if (!quota_ || end <= file.visible.size()) return {};
    if (used() + (end - file.visible.size()) <= *quota_) return {};
    timeline_.counts.both(Fault::out_of_space);
    return Error::out_of_space;
}

// New bytes bring new sectors: what was wrong with the old ones is gone.
void Medium::rewritten(Entry& file, std::uint64_t position, std::size_t size) {
    for (auto* sectors : {&file.unreadable, &file.rotten})
        sectors->erase(sectors->lower_bound(position / sector_size),
                       sectors->lower_bound((position + size + sector_size - 1) / sector_size));
}

void Medium::add_change(Entry& file, Change change) {
    change.order = ++file.order;
    if (change.is_resize) {
        file.visible.resize(change.position);
    } else {
        file.visible.write(change.position, change.data.view());
        rewritten(file, change.position, change.data.size());
    }
    file.unsynced.push_back(std::move(change));
    if (file.unsynced.size() > unsynced_max)
        make_durable_up_to(file, file.unsynced[unsynced_max / 4].order);
}

void Medium::make_durable(Entry& file, const Change& change) {
    if (change.is_resize)
        file.durable.resize(change.position);
    else
        file.durable.write(change.position, change.data.view());
}

void Medium::make_durable_up_to(Entry& file, std::uint64_t order) {
    const auto first_kept = std::find_if(file.unsynced.begin(), file.unsynced.end(),
                                         [&](const Change& c) { return c.order > order; });
    if (first_kept == file.unsynced.begin()) return;
    for (auto change = file.unsynced.begin(); change != first_kept; ++change)
        make_durable(file, *change);
    file.unsynced.erase(file.unsynced.begin(), first_kept);
    durable_changed(file);
}

// Durability::now: past all that waits for a sync. What waits and is older must not come back over
// it later, so it gives up its claim to these bytes; and a new size that waits comes first.
void Medium::write_through(Entry& file, Change change) {
    file.visible.write(change.position, change.data.view());
    rewritten(file, change.position, change.data.size());
    std::vector<Change> waiting;
    for (Change& older : file.unsynced) {
        if (older.is_resize) {
            supersede(waiting, older.position, UINT64_MAX);
            make_durable(file, older);
        } else {
            waiting.push_back(std::move(older));
        }
    }
    supersede(waiting, change.position, change.end());
    file.unsynced = std::move(waiting);
    make_durable(file, change);
    durable_changed(file);
}

// Takes the bytes [first, end) out of `changes`.
void Medium::supersede(std::vector<Change>& changes, std::uint64_t first, std::uint64_t end) {
    std::vector<Change> kept;
    for (Change& change : changes) {
        if (change.end() <= first || change.position >= end) {
            kept.push_back(std::move(change));
            continue;
        }
        if (change.position < first) {
            const auto count = static_cast<std::size_t>(first - change.position);
            kept.push_back({change.order, false, change.position, change.data.slice(0, count)});
        }
        if (change.end() > end) {
            const auto skipped = static_cast<std::size_t>(end - change.position);
            kept.push_back({change.order, false, end,
                            change.data.slice(skipped, change.data.size() - skipped)});
        }
    }
    changes = std::move(kept);
}

// A sync that fails leaves behind what real ones have left behind: changes that wait as before,
// changes that the system believes it has written (ext4, xfs: readers see them until the power
// goes), or a file as it was before them (btrfs). Some of them may have been written.
void Medium::sync_fails(Entry& file, std::uint64_t covers) {
    timeline_.counts.fire(Fault::sync_error);
    const auto covered = std::count_if(file.unsynced.begin(), file.unsynced.end(),
                                       [&](const Change& c) { return c.order <= covers; });
    if (covered == 0) return;
    const std::uint64_t written = error_dice_.pick(static_cast<std::uint64_t>(covered));
    if (written > 0) make_durable_up_to(file, file.unsynced[written - 1].order);
    timeline_.counts.effect(Fault::sync_error);
    switch (error_dice_.pick(3)) {
    case 0: return;
    case 1:
        std::erase_if(file.unsynced, [&](const Change& c) { return c.order <= covers; });
        file.visible_is_stale = true;
        return;
    default:
        file.unsynced.clear();
        file.visible = file.durable;
        return;
    }
}

void Medium::durable_changed(Entry& file) { file.generation = ++generation_; }

// ---- Power cuts ----

bool Medium::process_killed() {
    incarnation_ = 0;
    const std::vector<Call*> under_way = std::exchange(calls_, {});
    for (Call* call : under_way) {
        // The system may have got anywhere with it.
        const bool happened = cut_dice_.coin();
        Entry* file = call->file != 0 ? &entries_.at(call->file) : nullptr;
        if (call->kind == Kind::write) {
            const Bytes data = joined(*call->data);
            const std::uint64_t some = happened ? data.size() : cut_dice_.between(0, data.size());
            const auto count = static_cast<std::size_t>(some);
            if (count > 0 && room_for(*file, call->position + count).ok())
                add_change(*file, {0, false, call->position, data.slice(0, count)});
        } else if (happened && changes_something(call->kind)) {
            perform(*call);
            if (call->kind == Kind::open && call->result.ok()) --entries_.at(call->number).handles;
        }
        call->result = Error::cancelled;
        call->done.set();
    }
    return !under_way.empty();
}

void Medium::in_flight_writes(std::map<Inode, std::vector<Change>>& found) const {
    for (const Call* call : calls_) {
        if (call->kind == Kind::write) {
            found[call->file].push_back({0, false, call->position, joined(*call->data)});
        } else if (call->kind == Kind::resize) {
            found[call->file].push_back({0, true, call->position, {}});
        }
    }
}

void Medium::power_cut() {
    incarnation_ = 0;
    timeline_.counts.fire(Fault::power_cut);
    const Cut how = draw_cut();
    std::map<Inode, std::vector<Change>> in_flight;
    in_flight_writes(in_flight);
    bool effective = false;
    for (auto& [inode, file] : entries_) {
        if (file.is_directory) continue;
        const auto writes = in_flight.find(inode);
        if (writes != in_flight.end() || !file.unsynced.empty() || file.visible_is_stale) {
            const bool lost = cut_file(
                file, writes != in_flight.end() ? writes->second : std::vector<Change>{}, how);
            effective = effective || lost;
        }
    }
    const bool lost_names = cut_names(how);
    if (effective || lost_names) timeline_.counts.effect(Fault::power_cut);
    for (Call* call : std::exchange(calls_, {})) {
        call->result = Error::cancelled;
        call->done.set();
    }
    hangs_until_ = timeline_.now();
    forget_unreachable();
    timeline_.trace(node_, [&] {
        return std::string("disk cut ") + (how == Cut::keeps_all    ? "keeps all"
                                           : how == Cut::keeps_none ? "keeps none"
                                                                    : "by unit");
    });
}

Medium::Cut Medium::draw_cut() {
    const Faults& faults = timeline_.faults;
    const std::uint64_t all = faults.cut_keeps_all;
    const std::uint64_t none = faults.cut_keeps_none;
    const std::uint64_t drawn = cut_dice_.pick(all + none + faults.cut_by_unit);
    if (drawn < all) return Cut::keeps_all;
    return drawn < all + none ? Cut::keeps_none : Cut::by_unit;
}

// True if the file now differs from what its readers saw.
bool Medium::cut_file(Entry& file, const std::vector<Change>& in_flight, Cut how) {
    std::vector<Change> changes = std::exchange(file.unsynced, {});
    changes.insert(changes.end(), in_flight.begin(), in_flight.end());

    // The size goes its own way: it is what it was after some of the changes.
    std::vector<std::uint64_t> sizes{file.durable.size()};
    for (const Change& change : changes)
        sizes.push_back(change.is_resize ? change.position : std::max(sizes.back(), change.end()));
    std::uint64_t kept = changes.size();
    if (how == Cut::keeps_none) kept = 0;
    if (how == Cut::by_unit) kept = cut_dice_.between(0, kept);

    bool lost = false;
    if (how != Cut::keeps_none) {
        const std::uint64_t old_size = file.durable.size();
        for (std::size_t i = 0; i < changes.size(); ++i) {
            if (!changes[i].is_resize) {
                const bool lost_some = cut_write(file.durable, changes[i], old_size, how);
                lost = lost || lost_some;
            } else if (i < kept) {
                file.durable.resize(changes[i].position);
            }
        }
    } else {
        lost = !changes.empty();
        for (std::size_t i = 0; i < changes.size(); ++i) timeline_.counts.both(Fault::lost_unit);
    }
    if (sizes[kept] != sizes.back()) {
        timeline_.counts.both(Fault::lost_size);
        lost = true;
    }
    file.durable.resize(sizes[kept]);
    file.visible = file.durable;
    file.visible_is_stale = false;
    durable_changed(file);
    return lost;
}

// Gives each unit of an un-synced write its fate. True if any of it was lost.
bool Medium::cut_write(Image& image, const Change& change, std::uint64_t old_size, Cut how) {
    if (how == Cut::keeps_all) {
        image.write(change.position, change.data.view());
        return false;
    }
    const Faults& faults = timeline_.faults;
    const std::uint64_t survives = faults.unit_survives;
    const std::uint64_t lost = survives + faults.unit_lost;
    const std::uint64_t torn = lost + faults.unit_torn;
    const std::uint64_t weights = torn + faults.unit_garbage;
    bool lost_some = false;
    std::size_t at = 0;
    while (at < change.data.size()) {
        const std::uint64_t position = change.position + at;
        const std::size_t count = std::min(
            change.data.size() - at, unit_size_ - static_cast<std::size_t>(position % unit_size_));
        const auto fresh = change.data.view().subspan(at, count);
        at += count;
        const std::uint64_t fate = cut_dice_.pick(weights);
        timeline_.record(Step::unit, node_.value, position, fate);
        if (fate < survives) {
            image.write(position, fresh);
            continue;
        }
        Fault fault = Fault::lost_unit;
        if (fate >= lost && fate < torn) {
            fault = Fault::torn_unit;
            const auto cut = static_cast<std::size_t>(cut_dice_.pick(count));
            const bool head = cut_dice_.coin();
            if (head)
                image.write(position, fresh.first(cut));
            else
                image.write(position + cut, fresh.subspan(cut));
        } else if (fate >= torn || (position >= old_size && cut_dice_.coin())) {
            // Garbage; also where the file has grown over whatever was on the medium before.
            if (fate >= torn) fault = Fault::garbage_unit;
            std::vector<std::byte> garbage(count);
            for (std::byte& b : garbage) b = cut_dice_.byte();
            image.write(position, garbage);
        }
        timeline_.counts.fire(fault);
        if (image.holds(position, fresh)) continue;
        timeline_.counts.effect(fault);
        lost_some = true;
    }
    return lost_some;
}

// Names survive one by one, but never a later change of a name without the earlier ones, nor the
// end of a directory without the ends of the names in it.
bool Medium::cut_names(Cut how) {
    bool lost_some = false;
    std::vector<const NameChange*> lost;
    const std::vector<NameChange> changes = std::exchange(name_changes_, {});
    for (const NameChange& change : changes) {
        const bool drawn = how == Cut::keeps_none || (how == Cut::by_unit && cut_dice_.coin());
        const bool must = std::any_of(lost.begin(), lost.end(), [&](const NameChange* earlier) {
            return earlier->shares_name_with(change) || earlier->directory == change.entry ||
                   earlier->to_directory == change.entry;
        });
        if (drawn || must) {
            lost.push_back(&change);
            lost_some = true;
            timeline_.counts.both(Fault::lost_name);
        } else {
            apply(change);
        }
    }
    for (auto& [inode, entry] : entries_) entry.names = entry.durable_names;
    return lost_some;
}

// ---- Names ----

bool Medium::NameChange::shares_name_with(const NameChange& other) const {
    const auto touches = [&](Inode of, const std::string& what) {
        return (directory == of && name == what) ||
               (kind == Kind::rename && to_directory == of && to_name == what);
    };
    return touches(other.directory, other.name) ||
           (other.kind == Kind::rename && touches(other.to_directory, other.to_name));
}

void Medium::apply(const NameChange& change) {
    auto& names = entries_.at(change.directory).durable_names;
    if (change.kind == NameChange::Kind::link)
        names[change.name] = change.entry;
    else
        names.erase(change.name);
    if (change.kind == NameChange::Kind::rename)
        entries_.at(change.to_directory).durable_names[change.to_name] = change.entry;
    ++generation_;
}

void Medium::note(NameChange change) {
    change.order = ++name_order_;
    name_changes_.push_back(std::move(change));
    timeline_.record(Step::name_done, node_.value, name_changes_.back().entry, name_order_);
}

Result<> Medium::open(Call& call) {
    const auto place = place_of(call.path);
    if (!place) return find(call.path, false) ? Error::already_exists : Error::not_found;
    auto& names = entries_.at(place->directory).names;
    const auto found = names.find(place->name);
    if (call.how == Disk::Open::existing) {
        if (found == names.end() || entries_.at(found->second).is_directory)
            return Error::not_found;
        call.number = found->second;
    } else {
        if (found != names.end()) return Error::already_exists;
        call.number = next_inode_++;
        entries_[call.number].is_directory = call.kind == Kind::create_directory;
        names.emplace(place->name, call.number);
        note({0,
              NameChange::Kind::link,
              place->directory,
              std::string(place->name),
              0,
              {},
              call.number});
    }
    if (call.kind == Kind::open) ++entries_.at(call.number).handles;
    return {};
}

Result<> Medium::list_names(Call& call) {
    const auto directory = find(call.path, false);
    if (!directory || !entries_.at(*directory).is_directory) return Error::not_found;
    for (const auto& [name, inode] : entries_.at(*directory).names) call.names.push_back(name);
    return {};
}

Result<> Medium::rename(Call& call) {
    const auto from = place_of(call.path);
    const auto to = place_of(call.to);
    if (!from || !to) return Error::not_found;
    auto& names = entries_.at(from->directory).names;
    const auto found = names.find(from->name);
    if (found == names.end()) return Error::not_found;
    const Inode inode = found->second;
    names.erase(found);
    entries_.at(to->directory).names[std::string(to->name)] = inode;
    note({0, NameChange::Kind::rename, from->directory, std::string(from->name), to->directory,
          std::string(to->name), inode});
    return {};
}

Result<> Medium::remove(Call& call) {
    const auto place = place_of(call.path);
    if (!place) return Error::not_found;
    auto& names = entries_.at(place->directory).names;
    const auto found = names.find(place->name);
    if (found == names.end()) return Error::not_found;
    const Inode inode = found->second;
    if (!entries_.at(inode).names.empty()) return Error::already_exists; // Not an empty directory.
    names.erase(found);
    note({0, NameChange::Kind::unlink, place->directory, std::string(place->name), 0, {}, inode});
    return {};
}

Result<> Medium::sync_directory(Call& call) {
    const auto directory = find(call.path, false);
    if (!directory || !entries_.at(*directory).is_directory) return Error::not_found;
    if (call.fails) {
        timeline_.counts.both(Fault::sync_error);
        return Error::device_failed;
    }
    // From the newest to the oldest: a change that becomes durable takes with it those before it
    // that share a name with it.
    std::vector<const NameChange*> taken;
    std::vector<bool> takes(name_changes_.size());
    for (std::size_t i = name_changes_.size(); i-- > 0;) {
        const NameChange& change = name_changes_[i];
        takes[i] = (change.order <= call.covers && change.within(*directory)) ||
                   std::any_of(taken.begin(), taken.end(), [&](const NameChange* later) {
                       return later->shares_name_with(change);
                   });
        if (takes[i]) taken.push_back(&change);
    }
    std::vector<NameChange> kept;
    for (std::size_t i = 0; i < name_changes_.size(); ++i) {
        if (takes[i])
            apply(name_changes_[i]);
        else
            kept.push_back(std::move(name_changes_[i]));
    }
    name_changes_ = std::move(kept);
    forget_unreachable();
    return {};
}

void Medium::forget_unreachable() {
    std::set<Inode> reachable{root};
    for (const auto& [inode, entry] : entries_) {
        if (entry.handles > 0) reachable.insert(inode);
        for (const auto& [name, named] : entry.names) reachable.insert(named);
        for (const auto& [name, named] : entry.durable_names) reachable.insert(named);
    }
    for (const NameChange& change : name_changes_) {
        reachable.insert(change.entry);
        reachable.insert(change.directory);
        reachable.insert(change.to_directory);
    }
    std::erase_if(entries_, [&](const auto& item) { return !reachable.contains(item.first); });
}

std::optional<Medium::Inode> Medium::find(std::string_view path, bool durable) const {
    Inode at = root;
    for (std::size_t parts = 0; !path.empty(); ++parts) {
        CHECK(parts < path_parts_max);
        const std::size_t end = std::min(path.find('/'), path.size());
        const auto& entry = entries_.at(at);
        const auto& names = durable ? entry.durable_names : entry.names;
        const auto found = names.find(path.substr(0, end));
        if (found == names.end()) return {};
        at = found->second;
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    return at;
}

std::optional<Medium::Place> Medium::place_of(std::string_view path) const {
    const std::size_t slash = path.rfind('/');
    const bool nested = slash != std::string_view::npos;
    const std::string_view name = nested ? path.substr(slash + 1) : path;
    const auto directory = find(nested ? path.substr(0, slash) : std::string_view(), false);
    if (name.empty() || !directory || !entries_.at(*directory).is_directory) return {};
    return Place{*directory, name};
}

const Medium::Entry* Medium::entry(std::string_view path, bool durable) const {
    const auto inode = find(path, durable);
    return inode ? &entries_.at(*inode) : nullptr;
}

std::uint64_t Medium::used() const {
    std::uint64_t total = 0;
    for (const auto& [inode, entry] : entries_)
        for (const auto& [name, named] : entry.names) total += entries_.at(named).visible.size();
    return total;
}

// ---- Damage on demand ----

bool Medium::rot(std::string_view path, std::uint64_t position, std::byte mask) {
    const auto inode = find(path, true);
    return inode && !entries_.at(*inode).is_directory && rot(*inode, position, mask);
}

bool Medium::rot(Inode inode, std::uint64_t position, std::byte mask) {
    Entry& file = entries_.at(inode);
    std::array<std::byte, 1> one{};
    if (mask == std::byte{0} || file.durable.read(position, one) == 0) return false;
    one[0] ^= mask;
    file.durable.write(position, one);
    // Readers see it, unless what they read is a change that has yet to reach the medium.
    const bool covered =
        std::any_of(file.unsynced.begin(), file.unsynced.end(), [&](const Change& c) {
            return c.position <= position && (c.is_resize || position < c.end());
        });
    if (!covered && !file.visible_is_stale) {
        file.visible.write(position, one);
        file.rotten.insert(position / sector_size);
    }
    durable_changed(file);
    timeline_.counts.fire(Fault::rot);
    timeline_.record(Step::rot, node_.value, inode, position);
    timeline_.trace(node_, [&] {
        return "disk rot file=" + std::to_string(inode) + " at=" + std::to_string(position);
    });
    return true;
}

std::optional<Medium::Rotten> Medium::rot_somewhere(std::string_view directory) {
    std::vector<std::pair<std::string, std::uint64_t>> files;
    std::uint64_t total = 0;
    for (const std::string& name : durable_list(directory).value_or(std::vector<std::string>{})) {
        const std::string path = directory.empty() ? name : std::string(directory) + '/' + name;
        const Entry* file = entry(path, true);
        if (file->is_directory || file->durable.size() == 0) continue;
        files.emplace_back(path, file->durable.size());
        total += file->durable.size();
    }
    if (total == 0) return {};
    std::uint64_t position = cut_dice_.pick(total);
    const auto mask = static_cast<std::byte>(1u << cut_dice_.pick(8));
    for (const auto& [path, size] : files) {
        if (position < size) {
            CHECK(rot(path, position, mask));
            return Rotten{path, position};
        }
        position -= size;
    }
    return {};
}

bool Medium::make_unreadable(std::string_view path, std::uint64_t position) {
    const auto inode = find(path, false);
    if (!inode || position >= entries_.at(*inode).visible.size()) return false;
    entries_.at(*inode).unreadable.insert(position / sector_size);
    timeline_.counts.fire(Fault::unreadable_sector);
    timeline_.record(Step::rot, node_.value, *inode, position, 1);
    return true;
}

// ---- Oracles ----

std::optional<Bytes> Medium::content(std::string_view path) const {
    const Entry* file = entry(path, false);
    if (!file || file->is_directory) return {};
    return file->visible.all();
}

std::optional<Bytes> Medium::durable_content(std::string_view path) const {
    const Entry* file = entry(path, true);
    if (!file || file->is_directory) return {};
    return file->durable.all();
}

std::optional<std::size_t> Medium::read_durable(std::string_view path, std::uint64_t position,
                                                std::span<std::byte> into) const {
    const Entry* file = entry(path, true);
    if (!file || file->is_directory) return {};
    return file->durable.read(position, into);
}

std::optional<std::vector<std::string>> Medium::list(std::string_view directory) const {
    const Entry* found = entry(directory, false);
    if (!found || !found->is_directory) return {};
    std::vector<std::string> names;
    for (const auto& [name, inode] : found->names) names.push_back(name);
    return names;
}

std::optional<std::vector<std::string>> Medium::durable_list(std::string_view directory) const {
    const Entry* found = entry(directory, true);
    if (!found || !found->is_directory) return {};
    std::vector<std::string> names;
    for (const auto& [name, inode] : found->durable_names) names.push_back(name);
    return names;
}

std::optional<std::uint64_t> Medium::generation(std::string_view path) const {
    const Entry* file = entry(path, true);
    if (!file) return {};
    return file->generation;
}

bool Medium::has_unsynced() const {
    return !name_changes_.empty() ||
           std::any_of(entries_.begin(), entries_.end(),
                       [](const auto& item) { return !item.second.unsynced.empty(); });
}

} // namespace pyralog::sim
