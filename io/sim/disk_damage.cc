// Damage to what was durable, at a moment that somebody chooses.
#include "io/sim/disk.h"

#include <algorithm>

namespace pyralog::sim {

bool Medium::rot(std::string_view path, std::uint64_t position, std::byte mask) {
    const auto inode = find(path, true);
    return inode && !entries_.at(*inode).is_directory && rot(*inode, position, mask);
}

bool Medium::rot(Inode inode, std::uint64_t position, std::byte mask) {
    Entry& file = entries_.at(inode);
    std::array<std::byte, 1> one{};
    if (mask == std::byte{0} || file.durable.read(position, one) == 0) return false;
    if (!timeline_.inject(Fault::rot)) return true;
    one[0] ^= mask;
    harm(file, position, one, Fault::rot);
    // Readers see it, unless what they read is a change that has yet to reach the medium.
    const bool covered =
        std::any_of(file.unsynced.begin(), file.unsynced.end(), [&](const Change& c) {
            return c.position <= position && (c.is_resize || position < c.end());
        });
    if (!covered && !file.visible_is_stale) {
        file.visible.write(position, one);
        file.damaged[position / sector_size] = Fault::rot;
    }
    durable_changed(file);
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
    if (!timeline_.inject(Fault::unreadable_sector)) return true;
    make_unreadable(entries_.at(*inode), position);
    timeline_.record(Step::rot, node_.value, *inode, position, 1);
    return true;
}

void Medium::make_unreadable(Entry& file, std::uint64_t position) {
    const std::uint64_t sector = position / sector_size;
    file.unreadable.insert(sector);
    if (!file.unharmed) file.unharmed = file.durable;
    harms_.push_back(
        {Fault::unreadable_sector, file.inode, sector * sector_size, sector_size, {}, {}, {}});
}

// ---- What was done, and what would be there without ----

void Medium::harm(Entry& file, std::uint64_t position, std::span<const std::byte> bytes,
                  Fault fault) {
    if (!file.unharmed) file.unharmed = file.durable;
    Buffer old(bytes.size());
    std::ranges::fill(old.view(), std::byte{0});
    file.durable.read(position, old.view());
    harms_.push_back({fault,
                      file.inode,
                      position,
                      bytes.size(),
                      std::move(old).freeze(),
                      Bytes::copy_of(bytes),
                      {}});
    file.durable.write(position, bytes);
}

// What is written, or left by a power cut, would be there without the damage as well.
void Medium::note_written(Entry& file, std::uint64_t position, std::span<const std::byte> bytes) {
    if (!file.unharmed) return;
    file.unharmed->write(position, bytes);
    note_over(file.inode, position, position + bytes.size());
}

void Medium::note_resized(Entry& file, std::uint64_t size) {
    if (!file.unharmed) return;
    file.unharmed->resize(size);
    note_over(file.inode, size, UINT64_MAX);
}

// From now on the bytes [position, end) are not what earlier harms made of them.
void Medium::note_over(Inode file, std::uint64_t position, std::uint64_t end) {
    for (Harm& harm : harms_) {
        const std::uint64_t first = std::max(harm.position, position);
        const std::uint64_t last = std::min<std::uint64_t>(harm.position + harm.size, end);
        if (harm.file != file || first >= last) continue;
        harm.written_over.resize(harm.size, false);
        for (std::uint64_t at = first; at < last; ++at)
            harm.written_over[at - harm.position] = true;
    }
}

// A sync is going to say of all changes up to this one that they are durable, and they are not.
void Medium::promise_in_vain(Entry& file, std::uint64_t covers) {
    if (!file.unharmed) file.unharmed = file.durable;
    const auto files = durable_files();
    const auto found = files.find(file.inode);
    const std::string path = found == files.end() ? "" : found->second;
    for (const Change& change : file.unsynced) {
        if (change.order > covers) break;
        const std::uint64_t size = file.durable.size();
        if (change.is_resize) {
            note_resized(file, change.position);
            harms_.push_back(
                {Fault::late_sync_error, file.inode, change.position, 0, {}, {}, path});
            continue;
        }
        Buffer there(change.data.size());
        std::ranges::fill(there.view(), std::byte{0});
        if (change.position < size) file.durable.read(change.position, there.view());
        note_written(file, change.position, change.data.view());
        harms_.push_back({Fault::late_sync_error, file.inode, change.position, change.data.size(),
                          change.data, std::move(there).freeze(), path});
    }
}

void Medium::lose_all() { harms_.push_back({Fault::lost_disk, 0, 0, 0, {}, {}, {}}); }

void Medium::replace() {
    lose_all();
    name_changes_.clear();
    entries_.at(root).names.clear();
    entries_.at(root).durable_names.clear();
    names_generation_ = ++generation_;
}

std::size_t Medium::read_unharmed(Inode file, std::uint64_t position,
                                  std::span<std::byte> into) const {
    const Entry& found = entries_.at(file);
    return (found.unharmed ? *found.unharmed : found.durable).read(position, into);
}

std::uint64_t Medium::unharmed_size(Inode file) const {
    const Entry& found = entries_.at(file);
    return (found.unharmed ? *found.unharmed : found.durable).size();
}

bool Medium::is_harmed(Inode file) const { return entries_.at(file).unharmed.has_value(); }

bool Medium::is_unreadable(Inode file, std::uint64_t position) const {
    return entries_.at(file).unreadable.contains(position / sector_size);
}

// ---- Lost and misdirected writes ----

bool Medium::Recent::overlaps(const Recent& other) const {
    return file == other.file && position < other.position + other.data.size() &&
           other.position < position + data.size();
}

// A large write reaches a device in parts, so a part of it can be lost.
void Medium::remember(const Entry& file, const Change& change) {
    const auto both = [](const Bytes& one, const Bytes& other) {
        return joined(BytesChain{one, other});
    };
    Recent* const last = recent_.empty() ? nullptr : &recent_.back();
    const bool continues = change.continues && last && last->file == file.inode &&
                           last->position + last->data.size() == change.position;
    const std::size_t room = recent_bytes_max - (continues ? last->data.size() : 0);
    const std::size_t size = std::min(change.data.size(), room);
    if (size == 0) return;
    Buffer old(size);
    std::ranges::fill(old.view(), std::byte{0});
    file.durable.read(change.position, old.view());
    const Bytes before = std::move(old).freeze();
    const Bytes data = change.data.slice(0, size);
    if (continues) {
        last->before = both(last->before, before);
        last->data = both(last->data, data);
        return;
    }
    recent_.push_back({file.inode, change.position, before, data});
    if (recent_.size() > recent_max) recent_.pop_front();
}

std::map<Medium::Inode, std::string> Medium::durable_files() const {
    std::map<Inode, std::string> directories{{root, ""}}, files;
    for (std::size_t parts = 0; !directories.empty(); ++parts) {
        CHECK(parts < path_parts_max);
        std::map<Inode, std::string> deeper;
        for (const auto& [directory, path] : directories) {
            for (const auto& [name, inode] : entries_.at(directory).durable_names) {
                auto& found = entries_.at(inode).is_directory ? deeper : files;
                found.emplace(inode, path.empty() ? name : path + '/' + name);
            }
        }
        directories = std::move(deeper);
    }
    return files;
}

// A write that is on the medium as it was made, that has changed something, and that is not the
// last one of its file.
std::optional<Medium::Recent> Medium::draw_recent(const MayHit& may_hit) {
    const auto files = durable_files();
    std::vector<const Recent*> found;
    for (std::size_t i = 0; i < recent_.size(); ++i) {
        const Recent& write = recent_[i];
        const auto path = files.find(write.file);
        if (path == files.end() || !entries_.contains(write.file)) continue;
        const auto later = [&](const Recent& other) { return other.file == write.file; };
        const auto rest = recent_.begin() + static_cast<std::ptrdiff_t>(i) + 1;
        if (std::none_of(rest, recent_.end(), later)) continue;
        const Image& durable = entries_.at(write.file).durable;
        if (!durable.holds(write.position, write.data.view()) ||
            std::ranges::equal(write.before.view(), write.data.view()))
            continue;
        if (may_hit({path->second, write.position, write.data.size()})) found.push_back(&write);
    }
    if (found.empty()) return {};
    return *found[static_cast<std::size_t>(damage_dice_.pick(found.size()))];
}

// Readers see it, unless what they read is a change that has yet to reach the medium.
void Medium::damage(Entry& file, std::uint64_t position, std::span<const std::byte> bytes,
                    Fault fault) {
    if (!timeline_.inject(fault)) return;
    harm(file, position, bytes, fault);
    if (!file.visible_is_stale) {
        file.visible = as_the_device_has_it(file);
        for (std::uint64_t at = position / sector_size; at * sector_size < position + bytes.size();
             ++at)
            file.damaged[at] = fault;
    }
    durable_changed(file);
    timeline_.record(Step::rot, node_.value, file.inode, position, 3);
    timeline_.trace(node_, [&] {
        return "disk " + std::string(to_string(fault)) + " file=" + std::to_string(file.inode) +
               " at=" + std::to_string(position) + " bytes=" + std::to_string(bytes.size());
    });
}

std::optional<Medium::Range> Medium::lose_somewhere(const MayHit& may_hit) {
    const auto lost = draw_recent(may_hit);
    if (!lost) return {};
    damage(entries_.at(lost->file), lost->position, lost->before.view(), Fault::lost_write);
    return Range{durable_files().at(lost->file), lost->position, lost->data.size()};
}

std::optional<std::pair<Medium::Range, Medium::Range>>
Medium::misdirect_somewhere(const MayHit& may_hit) {
    constexpr int tries_max = 64;
    const auto write = draw_recent(may_hit);
    if (!write) return {};
    const auto files = durable_files();
    const auto path_of = [&](Inode inode) { return files.at(inode); };
    for (int tries = 0; tries < tries_max; ++tries) {
        const auto to =
            std::next(files.begin(), static_cast<std::ptrdiff_t>(damage_dice_.pick(files.size())));
        Entry& file = entries_.at(to->first);
        if (file.durable.size() < unit_size_) continue;
        // A device errs in the number of the unit, not in the place within it.
        const std::uint64_t units = file.durable.size() / unit_size_;
        const std::uint64_t position =
            damage_dice_.pick(units) * unit_size_ + write->position % unit_size_;
        const auto size = static_cast<std::size_t>(
            std::min<std::uint64_t>(write->data.size(), file.durable.size() - position));
        const Recent hit{to->first, position, {}, write->data.slice(0, size)};
        if (hit.overlaps(*write) || file.durable.holds(position, hit.data.view()) ||
            !may_hit({to->second, position, size}))
            continue;
        damage(entries_.at(write->file), write->position, write->before.view(), Fault::lost_write);
        damage(file, position, hit.data.view(), Fault::misdirected_write);
        return std::pair{Range{path_of(write->file), write->position, write->data.size()},
                         Range{to->second, position, size}};
    }
    return {};
}

} // namespace pyralog::sim
