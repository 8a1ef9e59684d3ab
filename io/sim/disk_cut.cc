// What a power cut leaves on a disk.
#include "io/sim/disk.h"

#include <algorithm>

namespace pyralog::sim {

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
    if (!timeline_.inject(Fault::power_cut)) return (void)process_killed();
    incarnation_ = 0;
    undo_what_is_to_come();
    const Cut how = draw_cut();
    std::map<Inode, std::vector<Change>> in_flight;
    in_flight_writes(in_flight);
    finish_some_names(how);
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
    planned_cut_.reset();
    forget_unreachable();
    timeline_.trace(node_, [&] {
        return std::string("disk cut ") + (how == Cut::keeps_all    ? "keeps all"
                                           : how == Cut::keeps_none ? "keeps none"
                                                                    : "by unit");
    });
}

// A name that was being changed may have been changed already, though nobody was told.
void Medium::finish_some_names(Cut how) {
    for (Call* call : calls_) {
        const bool is_change = call->kind == Kind::create_directory || call->kind == Kind::rename ||
                               call->kind == Kind::remove ||
                               (call->kind == Kind::open && call->how == Disk::Open::create_new);
        if (!is_change || how == Cut::keeps_none || call->fails) continue;
        if (how == Cut::by_unit && cut_dice_.pick(2) == 1) continue;
        perform(*call);
        if (call->kind == Kind::open && call->result.ok()) --entries_.at(call->number).handles;
    }
}

Medium::Cut Medium::draw_cut() {
    planned_used_ = 0;
    if (planned_cut_) return Cut::by_unit;
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
    if (how == Cut::by_unit && !planned_cut_) kept -= cut_dice_.pick(kept + 1);
    if (sizes[kept] != sizes.back() && !timeline_.inject(Fault::lost_size)) kept = changes.size();

    bool lost = false;
    const std::uint64_t size_before = file.durable.size();
    const std::uint64_t promised = file.unharmed ? file.unharmed->size() : size_before;
    if (how != Cut::keeps_none) {
        std::uint64_t old_size = file.durable.size(); // Bytes behind it were never written here.
        for (std::size_t i = 0; i < changes.size(); ++i) {
            if (!changes[i].is_resize) {
                const bool lost_some = cut_write(file, changes[i], old_size, sizes[kept], how);
                lost = lost || lost_some;
            } else if (i < kept) {
                file.durable.resize(changes[i].position);
                note_resized(file, changes[i].position);
                old_size = std::min(old_size, changes[i].position);
            }
        }
    } else {
        lost = !changes.empty();
        for (const Change& change : changes) {
            if (!timeline_.inject(Fault::lost_unit) && !change.is_resize) {
                file.durable.write(change.position, change.data.view());
                note_written(file, change.position, change.data.view());
            }
            timeline_.counts.effect(Fault::lost_unit);
        }
    }
    if (sizes[kept] != sizes.back()) {
        timeline_.counts.effect(Fault::lost_size);
        lost = true;
    }
    file.durable.resize(sizes[kept]);
    // A sync may have promised more, and that is missing then.
    const bool is_as_promised = sizes[kept] < size_before || sizes[kept] > promised;
    note_resized(file, is_as_promised ? sizes[kept] : promised);
    file.visible = file.durable;
    file.visible_is_stale = false;
    file.errors_told = file.errors;
    durable_changed(file);
    return lost;
}

Medium::Fate Medium::draw_fate_of_unit() {
    if (planned_cut_ && planned_used_ < planned_cut_->size())
        return (*planned_cut_)[planned_used_++];
    const Faults& faults = timeline_.faults;
    const std::uint64_t survives = faults.unit_survives;
    const std::uint64_t lost = survives + faults.unit_lost;
    const std::uint64_t torn = lost + faults.unit_torn;
    const std::uint64_t drawn = cut_dice_.pick(torn + faults.unit_garbage);
    if (drawn < survives) return Fate::survives;
    if (drawn < lost) return Fate::lost;
    return drawn < torn ? Fate::torn : Fate::garbage;
}

std::size_t Medium::units_of(const Change& change) const {
    if (change.is_resize || change.data.empty()) return 0;
    return static_cast<std::size_t>((change.end() - 1) / unit_size_ - change.position / unit_size_ +
                                    1);
}

std::size_t Medium::unsynced_units() const {
    std::size_t units = 0;
    for (const auto& [inode, file] : entries_)
        for (const Change& change : file.unsynced) units += units_of(change);
    std::map<Inode, std::vector<Change>> in_flight;
    in_flight_writes(in_flight);
    for (const auto& [inode, changes] : in_flight)
        for (const Change& change : changes) units += units_of(change);
    return units;
}

// Gives each unit of an un-synced write its fate; the file will end at `size`. True if any of it
// was lost.
bool Medium::cut_write(Entry& file, const Change& change, std::uint64_t old_size,
                       std::uint64_t size, Cut how) {
    const auto write = [&](std::uint64_t position, std::span<const std::byte> bytes) {
        file.durable.write(position, bytes);
        if (position < size)
            note_written(file, position,
                         bytes.first(std::min<std::uint64_t>(bytes.size(), size - position)));
    };
    if (how == Cut::keeps_all) {
        write(change.position, change.data.view());
        return false;
    }
    bool lost_some = false;
    std::size_t at = 0;
    while (at < change.data.size()) {
        const std::uint64_t position = change.position + at;
        const std::size_t count = std::min(
            change.data.size() - at, unit_size_ - static_cast<std::size_t>(position % unit_size_));
        const auto fresh = change.data.view().subspan(at, count);
        at += count;
        const Fate fate = draw_fate_of_unit();
        timeline_.record(Step::unit, node_.value, position, static_cast<std::uint64_t>(fate));
        const Fault fault = fate == Fate::torn      ? Fault::torn_unit
                            : fate == Fate::garbage ? Fault::garbage_unit
                                                    : Fault::lost_unit;
        if (fate == Fate::survives || !timeline_.inject(fault)) {
            write(position, fresh);
            continue;
        }
        if (fate == Fate::torn) {
            const auto cut = static_cast<std::size_t>(cut_dice_.pick(count));
            const bool head = cut_dice_.coin();
            if (head)
                write(position, fresh.first(cut));
            else
                write(position + cut, fresh.subspan(cut));
        } else if (fate == Fate::garbage || (position >= old_size && cut_dice_.pick(2) == 1)) {
            // Garbage; also where the file has grown over whatever was on the medium before.
            std::vector<std::byte> garbage(count);
            for (std::byte& b : garbage) b = cut_dice_.byte();
            write(position, garbage);
        }
        if (file.durable.holds(position, fresh)) continue;
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
        const bool drawn =
            how == Cut::keeps_none || (how == Cut::by_unit && cut_dice_.pick(2) == 1);
        const bool must = std::any_of(lost.begin(), lost.end(), [&](const NameChange* earlier) {
            return earlier->shares_name_with(change) || earlier->directory == change.entry ||
                   earlier->to_directory == change.entry;
        });
        if ((drawn || must) && timeline_.inject(Fault::lost_name)) {
            lost.push_back(&change);
            lost_some = true;
            timeline_.counts.effect(Fault::lost_name);
        } else {
            apply(change);
        }
    }
    for (auto& [inode, entry] : entries_) entry.names = entry.durable_names;
    return lost_some;
}

} // namespace pyralog::sim
