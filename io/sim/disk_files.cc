// What a node's disk does with the bytes of files.
#include "io/sim/disk.h"

#include <algorithm>

namespace pyralog::sim {

void Medium::read(Call& call, Entry& file) {
    if (call.fails && timeline_.inject(Fault::read_error)) {
        timeline_.counts.effect(Fault::read_error);
        call.result = Error::device_failed;
        return;
    }
    const bool from_medium = call.past_cache && file.unsynced.empty();
    Image stale_now;
    const Image* image = from_medium ? &file.durable : &file.visible;
    if (call.past_cache && !from_medium && file.visible_is_stale) {
        stale_now = as_the_device_has_it(file);
        image = &stale_now;
    }
    call.number = image->read(call.position, call.into);
    if (call.number == 0) return;
    if (error_dice_.chance(timeline_.faults.read_rot)) {
        const std::uint64_t position = call.position + error_dice_.pick(call.number);
        const auto mask = static_cast<std::byte>(1u << error_dice_.pick(8));
        if (rot(call.file, position, mask)) image->read(call.position, call.into);
    }
    if (error_dice_.chance(timeline_.faults.unreadable_sector) &&
        timeline_.inject(Fault::unreadable_sector)) {
        const std::uint64_t into = error_dice_.pick(call.number);
        make_unreadable(file, call.position + into);
    }
    const std::uint64_t first = call.position / sector_size;
    const std::uint64_t end = (call.position + call.number + sector_size - 1) / sector_size;
    const auto bad = file.unreadable.lower_bound(first);
    if (bad != file.unreadable.end() && *bad < end) {
        timeline_.counts.effect(Fault::unreadable_sector);
        call.result = Error::corrupt;
        return;
    }
    for (auto at = file.damaged.lower_bound(first); at != file.damaged.end() && at->first < end;
         ++at)
        timeline_.counts.effect(at->second);
    misdirect(call, file, *image);
}

// A device errs in the number of a sector, and reads one of this file, or one of nobody's.
void Medium::misdirect(const Call& call, const Entry& file, const Image& image) {
    const std::uint64_t end = call.position + call.number;
    std::optional<std::uint64_t> hit;
    if (error_dice_.chance(timeline_.faults.misdirected_read))
        hit = call.position + error_dice_.pick(call.number);
    if (misdirected_read_ && find(misdirected_read_->first, false) == file.inode &&
        misdirected_read_->second >= call.position && misdirected_read_->second < end)
        hit = std::exchange(misdirected_read_, {})->second;
    if (!hit || !timeline_.inject(Fault::misdirected_read)) return;
    const std::uint64_t sector = *hit / sector_size;
    const std::uint64_t from = std::max(call.position, sector * sector_size);
    const std::uint64_t to = std::min(end, (sector + 1) * sector_size);
    std::vector<std::byte> other(to - from);
    const std::uint64_t drawn = error_dice_.pick(image.size() / sector_size + 1);
    if (drawn != sector) image.read(drawn * sector_size + from % sector_size, other);
    const auto into = call.into.subspan(from - call.position, other.size());
    if (!std::ranges::equal(into, other)) timeline_.counts.effect(Fault::misdirected_read);
    std::ranges::copy(other, into.begin());
    timeline_.trace(node_, [&] {
        return "disk misdirected_read file=" + std::to_string(file.inode) +
               " at=" + std::to_string(from);
    });
}

void Medium::write(Call& call, Entry& file) {
    const std::uint64_t bytes = size_of(*call.data);
    std::uint64_t left = bytes;
    if (call.fails && timeline_.inject(Fault::write_error)) {
        timeline_.counts.effect(Fault::write_error);
        call.result = Error::device_failed;
        left = error_dice_.between(0, left); // Some of it may be there all the same.
    } else if (lacks_room(call.no_space || !room_for(file, call.position + bytes))) {
        call.result = Error::out_of_space;
        left = error_dice_.between(0, left);
    }
    // ... as far as there is room.
    if (!call.result.ok() && !room_for(file, call.position + left)) left = 0;
    std::uint64_t position = call.position;
    for (const Bytes& part : *call.data) {
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(part.size(), left));
        if (count == 0) continue;
        Change change{0, false, position, part.slice(0, count)};
        change.continues = position != call.position;
        if (call.durability == Durability::now && call.result.ok())
            write_through(file, std::move(change));
        else
            add_change(file, std::move(change));
        position += count;
        left -= count;
    }
}

void Medium::size(Call& call, Entry& file) {
    call.fails = call.fails && timeline_.inject(Fault::size_error);
    if (call.fails) {
        timeline_.counts.effect(Fault::size_error);
        call.result = Error::device_failed;
    } else if (call.kind == Kind::resize &&
               lacks_room(call.no_space || !room_for(file, call.position))) {
        call.result = Error::out_of_space;
        return;
    }
    if (call.kind == Kind::size) {
        call.number = file.visible.size();
    } else if (!call.fails || (room_for(file, call.position) && error_dice_.pick(2) == 1)) {
        add_change(file, {0, true, call.position, {}});
    }
}

bool Medium::room_for(const Entry& file, std::uint64_t end) const {
    if (!quota_ || end <= file.visible.size()) return true;
    return used() + (end - file.visible.size()) <= *quota_;
}

bool Medium::lacks_room(bool refused) {
    if (!refused || !timeline_.inject(Fault::out_of_space)) return false;
    timeline_.counts.effect(Fault::out_of_space);
    return true;
}

// New bytes bring new sectors: what was wrong with the old ones is gone.
void Medium::rewritten(Entry& file, std::uint64_t position, std::size_t size) {
    const std::uint64_t first = position / sector_size;
    const std::uint64_t end = (position + size + sector_size - 1) / sector_size;
    file.unreadable.erase(file.unreadable.lower_bound(first), file.unreadable.lower_bound(end));
    file.damaged.erase(file.damaged.lower_bound(first), file.damaged.lower_bound(end));
}

void Medium::add_change(Entry& file, Change change) {
    change.order = ++file.order;
    change.when = moment_;
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
    if (change.is_resize) {
        file.durable.resize(change.position);
        note_resized(file, change.position);
    } else {
        if (remembers_) remember(file, change);
        file.durable.write(change.position, change.data.view(), file.visible);
        note_written(file, change.position, change.data.view());
    }
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

// ---- Syncs ----

void Medium::sync(Call& call, Entry& file) {
    if (call.fails && timeline_.inject(Fault::sync_error)) return sync_fails(call, file);
    if (call.lies && timeline_.inject(Fault::late_sync_error)) return sync_lies(call, file);
    make_durable_up_to(file, call.covers);
    if (*call.errors_told == file.errors) return;
    *call.errors_told = file.errors_told = file.errors;
    if (!timeline_.inject(Fault::error_told_again)) return;
    timeline_.counts.effect(Fault::error_told_again);
    call.result = Error::device_failed;
}

// See the head of disk.h for what it may leave behind.
void Medium::sync_fails(Call& call, Entry& file) {
    call.result = Error::device_failed;
    const bool leaves_some = make_some_durable(file, call.covers);
    if (leaves_some) timeline_.counts.effect(Fault::sync_error);
    const auto inject = [&](Fault fault) {
        if (leaves_some) timeline_.counts.effect(fault);
        return timeline_.inject(fault);
    };
    const Faults& faults = timeline_.faults;
    const std::uint64_t keeps = faults.failed_sync_keeps;
    const std::uint64_t marks_clean = keeps + faults.failed_sync_marks_clean;
    const std::uint64_t reverts = marks_clean + faults.failed_sync_reverts;
    const std::uint64_t drawn = error_dice_.pick(reverts + faults.failed_sync_drops_all);
    if (drawn < keeps) {
        (void)inject(Fault::sync_keeps);
    } else if (drawn < marks_clean) {
        if (!inject(Fault::sync_marks_clean)) return;
        mark_clean(file, call.covers);
        *call.errors_told = file.errors_told = file.errors;
    } else if (drawn < reverts) {
        if (!inject(Fault::sync_reverts)) return;
        std::erase_if(file.unsynced, [&](const Change& c) { return c.order <= call.covers; });
        file.visible = as_the_device_has_it(file);
        file.visible_is_stale = false;
    } else {
        if (inject(Fault::sync_drops_all)) drop_all();
    }
}

void Medium::sync_lies(Call& call, Entry& file) {
    if (!make_some_durable(file, call.covers)) return;
    timeline_.counts.effect(Fault::late_sync_error);
    promise_in_vain(file, call.covers);
    mark_clean(file, call.covers);
}

// The first few of what a sync should cover, that does not. False if there is nothing to be
// covered.
bool Medium::make_some_durable(Entry& file, std::uint64_t covers) {
    const auto covered = std::count_if(file.unsynced.begin(), file.unsynced.end(),
                                       [&](const Change& c) { return c.order <= covers; });
    if (covered == 0) return false;
    const std::uint64_t written = error_dice_.pick(static_cast<std::uint64_t>(covered));
    if (written > 0) make_durable_up_to(file, file.unsynced[written - 1].order);
    return true;
}

void Medium::mark_clean(Entry& file, std::uint64_t covers) {
    std::erase_if(file.unsynced, [&](const Change& c) { return c.order <= covers; });
    file.visible_is_stale = true;
    ++file.errors;
    const Duration time = error_dice_.draw(timeline_.faults.eviction_time);
    timeline_.schedule(timeline_.now() + time, *this, eviction | file.inode);
}

void Medium::evict(Entry& file) {
    if (!file.visible_is_stale) return; // A power cut was faster.
    if (!timeline_.inject(Fault::evicted)) return;
    Image now = as_the_device_has_it(file);
    if (!now.holds(0, file.visible.all().view())) timeline_.counts.effect(Fault::evicted);
    file.visible = std::move(now);
    file.visible_is_stale = false;
    timeline_.record(Step::rot, node_.value, file.inode, 0, 2);
    timeline_.trace(node_, [&] { return "disk evicts file=" + std::to_string(file.inode); });
}

void Medium::drop_all() {
    for (auto& [inode, file] : entries_) {
        if (file.unsynced.empty()) continue;
        file.unsynced.clear();
        file.visible = file.durable;
        file.visible_is_stale = false;
    }
}

// Durable bytes, and over them what waits to be written.
Image Medium::as_the_device_has_it(const Entry& file) const {
    Image image = file.durable;
    for (const Change& change : file.unsynced) {
        if (change.is_resize)
            image.resize(change.position);
        else
            image.write(change.position, change.data.view());
    }
    return image;
}

void Medium::durable_changed(Entry& file) { file.generation = ++generation_; }

} // namespace pyralog::sim
