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

} // namespace pyralog::sim
