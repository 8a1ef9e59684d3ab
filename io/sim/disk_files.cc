// What a node's disk does with the bytes of files.
#include "io/sim/disk.h"

#include <algorithm>

namespace pyralog::sim {

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

} // namespace pyralog::sim
