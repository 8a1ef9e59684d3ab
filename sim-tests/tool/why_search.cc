// The search of why.h, which looks at numbers alone.
#include "sim-tests/tool/why.h"

#include <algorithm>

namespace pyralog::simtest {

namespace {

// At most so many, evenly in (low, high].
std::vector<std::uint64_t> between(std::uint64_t low, std::uint64_t high, std::size_t count) {
    std::vector<std::uint64_t> events;
    for (std::size_t i = 1; i <= count; ++i) {
        const std::uint64_t event = low + (high - low) * i / count;
        if (event > low && (events.empty() || event > events.back())) events.push_back(event);
    }
    return events;
}

} // namespace

std::optional<BranchPoint> first_sure(std::uint64_t begin, std::uint64_t end, const Search& search,
                                      const Branches& branches,
                                      std::vector<BranchPoint>& looked_at) {
    looked_at.clear();
    std::uint64_t low = begin, high = end; // It is in (low, high].
    std::optional<BranchPoint> first;
    for (int round = 0; round < search.rounds_max && high > low; ++round) {
        const std::vector<BranchPoint> found =
            branches(between(low, high, search.moments_per_round));
        looked_at.insert(looked_at.end(), found.begin(), found.end());
        std::ranges::sort(looked_at, {}, &BranchPoint::event);
        // From the end back to the last that is not sure.
        first.reset();
        for (auto moment = looked_at.rbegin();
             moment != looked_at.rend() && moment->sure(search.percent); ++moment)
            first = *moment;
        if (!first) return {};
        low = begin;
        for (const BranchPoint& moment : looked_at)
            if (moment.event < first->event) low = moment.event;
        // What is left lies behind the last that is not, and before this one.
        high = first->event - 1;
    }
    return first;
}

} // namespace pyralog::simtest
