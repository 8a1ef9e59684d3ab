#include "server/groups/pending_offsets.h"

#include "core/base/bug.h"

#include <algorithm>
#include <vector>

namespace pyralog::server {

// What lies before it counts no more, whatever becomes of it.
void PendingOffsetTable::supersede(const std::string& key, Offset place, Changes& changes) {
    std::erase_if(pending_, [&](const auto& pending) {
        const bool is_older = pending.first.second == key && pending.second.place < place;
        if (is_older) changes.pending[pending.first] = {};
        return is_older;
    });
}

void PendingOffsetTable::plain(const std::string& key, std::optional<std::string> value,
                               Offset place, Changes& changes) {
    supersede(key, place, changes);
    changes.facts[key] = std::move(value);
}

void PendingOffsetTable::part(std::int64_t producer, const std::string& key,
                              std::optional<std::string> value, Offset place, Changes& changes) {
    PendingOffset& pending = pending_[{producer, key}];
    pending = {place, std::move(value)};
    changes.pending[{producer, key}] = pending;
}

void PendingOffsetTable::end(std::int64_t producer, bool commits, Changes& changes) {
    settle([&](std::int64_t of,
               Offset) { return of == producer ? std::optional(commits) : std::nullopt; },
           changes);
}

void PendingOffsetTable::settle(const Counts& counts, Changes& changes) {
    std::vector<std::pair<Key, PendingOffset>> counting;
    std::erase_if(pending_, [&](const auto& pending) {
        const auto does = counts(pending.first.first, pending.second.place);
        if (!does) return false;
        changes.pending[pending.first] = {};
        if (*does || BUG(T06)) counting.push_back(pending);
        return true;
    });
    std::ranges::sort(counting, {}, [](const auto& one) { return one.second.place; });
    for (const auto& [key, pending] : counting)
        plain(key.second, pending.value, pending.place, changes);
}

} // namespace pyralog::server
