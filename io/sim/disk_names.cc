// Directories of a node's disk: names that are there, and names that will be there after a power
// cut.
#include "io/sim/disk.h"

#include <algorithm>

namespace pyralog::sim {

bool Medium::NameChange::shares_name_with(const NameChange& other) const {
    const auto touches = [&](Inode of, const std::string& what) {
        return (directory == of && name == what) ||
               (kind == Kind::rename && to_directory == of && to_name == what);
    };
    return touches(other.directory, other.name) ||
           (other.kind == Kind::rename && touches(other.to_directory, other.to_name));
}

void Medium::apply(const NameChange& change) {
    names_generation_ = ++generation_;
    Entry& directory = entries_.at(change.directory);
    directory.generation = generation_;
    if (change.kind == NameChange::Kind::link)
        directory.durable_names[change.name] = change.entry;
    else
        directory.durable_names.erase(change.name);
    if (change.kind != NameChange::Kind::rename) return;
    Entry& to = entries_.at(change.to_directory);
    to.generation = generation_;
    to.durable_names[change.to_name] = change.entry;
}

void Medium::note(NameChange change) {
    change.order = ++name_order_;
    change.when = moment_;
    name_changes_.push_back(std::move(change));
    timeline_.record(Step::name_done, node_.value, name_changes_.back().entry, name_order_);
}

void Medium::name_call(Call& call) {
    if (call.kind == Kind::create_directory) call.how = Disk::Open::create_new;
    const bool changes_nothing = call.kind == Kind::list || call.kind == Kind::sync_directory ||
                                 call.kind == Kind::space ||
                                 (call.kind == Kind::open && call.how == Disk::Open::existing);
    if (call.kind == Kind::sync_directory) {
        call.result = sync_directory(call);
    } else if (call.fails && timeline_.inject(Fault::name_error)) {
        timeline_.counts.effect(Fault::name_error);
        // It may have happened all the same.
        if (!changes_nothing && error_dice_.pick(2) == 1) {
            (void)change_names(call);
            if (call.kind == Kind::open && call.number != 0) --entries_.at(call.number).handles;
        }
        call.result = Error::device_failed;
    } else if (lacks_room(call.no_space || (needs_space(call) && call.kind != Kind::rename &&
                                            quota_ && used() >= *quota_))) {
        call.result = Error::out_of_space;
    } else if (call.kind == Kind::open && !may_open()) {
        call.result = Error::unavailable;
    } else {
        call.result = change_names(call);
    }
}

std::uint64_t Medium::open_files() const {
    std::uint64_t open = 0;
    for (const auto& [inode, file] : entries_) open += file.handles;
    return open;
}

bool Medium::may_open() {
    if (!open_files_max_ || open_files() < *open_files_max_) return true;
    if (!timeline_.inject(Fault::too_many_files)) return true;
    timeline_.counts.effect(Fault::too_many_files);
    ++refused_opens_;
    return false;
}

Result<> Medium::change_names(Call& call) {
    switch (call.kind) {
    case Kind::list: return list_names(call);
    case Kind::space: return tell_space(call);
    case Kind::rename: return rename(call);
    case Kind::remove: return remove(call);
    default: return open(call);
    }
}

Result<> Medium::tell_space(Call& call) {
    const std::uint64_t total = quota_.value_or(plenty);
    const std::uint64_t full = used();
    call.space = {total, full < total ? total - full : 0};
    return {};
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
        Entry& made = entries_[call.number];
        made.inode = call.number;
        made.is_directory = call.kind == Kind::create_directory;
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
    if (call.fails && timeline_.inject(Fault::sync_error)) {
        timeline_.counts.effect(Fault::sync_error);
        return Error::device_failed;
    }
    make_names_durable(*directory, call.covers);
    return {};
}

void Medium::make_names_durable(Inode directory, std::uint64_t covers) {
    // From the newest to the oldest: a change that becomes durable takes with it those before it
    // that share a name with it.
    std::vector<const NameChange*> taken;
    std::vector<bool> takes(name_changes_.size());
    for (std::size_t i = name_changes_.size(); i-- > 0;) {
        const NameChange& change = name_changes_[i];
        takes[i] = (change.order <= covers && change.within(directory)) ||
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
}

void Medium::forget_unreachable() {
    std::vector<Inode> reachable{root};
    for (const auto& [inode, entry] : entries_) {
        if (entry.handles > 0) reachable.push_back(inode);
        for (const auto& [name, named] : entry.names) reachable.push_back(named);
        for (const auto& [name, named] : entry.durable_names) reachable.push_back(named);
    }
    for (const NameChange& change : name_changes_)
        reachable.insert(reachable.end(), {change.entry, change.directory, change.to_directory});
    std::ranges::sort(reachable);
    std::erase_if(entries_, [&](const auto& item) {
        return !std::ranges::binary_search(reachable, item.first);
    });
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

} // namespace pyralog::sim
