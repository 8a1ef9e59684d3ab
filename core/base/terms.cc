#include "core/base/terms.h"

#include "core/base/check.h"

#include <algorithm>

namespace pyralog {

void TermTable::append(Term term, Position first) {
    CHECK(term >= last() && first.index >= start_.index);
    if (!starts_.empty()) {
        CHECK(first.index > starts_.back().first.index);
        if (term == starts_.back().term) return;
    }
    starts_.push_back({term, first});
}

void TermTable::cut(Position end) {
    while (!starts_.empty() && starts_.back().first.index >= end.index) starts_.pop_back();
}

void TermTable::trim(Position start, Term before) {
    CHECK(start.index >= start_.index);
    start_ = start;
    before_ = before;
    // The run that holds `start` stays, from `start` on.
    std::size_t drop = 0;
    while (drop + 1 < starts_.size() && starts_[drop + 1].first.index <= start.index) ++drop;
    starts_.erase(starts_.begin(), starts_.begin() + static_cast<std::ptrdiff_t>(drop));
    if (!starts_.empty() && starts_.front().first.index < start.index)
        starts_.front().first = start;
}

std::optional<TermStart> TermTable::start_at_or_before(std::int64_t index) const {
    const auto after = std::upper_bound(
        starts_.begin(), starts_.end(), index,
        [](std::int64_t i, const TermStart& start) { return i < start.first.index; });
    if (after == starts_.begin()) return {};
    return *(after - 1);
}

Term TermTable::at(std::int64_t index) const {
    if (const auto start = start_at_or_before(index)) return start->term;
    return index + 1 == start_.index ? before_ : Term();
}

std::optional<TermStart> TermTable::first_after(Term term) const {
    const auto found =
        std::upper_bound(starts_.begin(), starts_.end(), term,
                         [](Term t, const TermStart& start) { return t < start.term; });
    if (found == starts_.end()) return {};
    return *found;
}

} // namespace pyralog
