#include "sim-tests/tool/ddmin.h"

#include <algorithm>

namespace pyralog::simtest {

namespace {

// The i-th of so many pieces of about one size, or all but it.
Kept piece(const Kept& all, std::size_t i, std::size_t pieces, bool without) {
    const std::size_t begin = all.size() * i / pieces;
    const std::size_t end = all.size() * (i + 1) / pieces;
    Kept kept;
    for (std::size_t k = 0; k < all.size(); ++k)
        if ((k >= begin && k < end) != without) kept.push_back(all[k]);
    return kept;
}

} // namespace

Kept ddmin(Kept all, const FirstFailing& first_failing, std::size_t pieces_max) {
    if (all.empty() || first_failing({Kept()})) return {};
    std::size_t pieces = std::min<std::size_t>(2, all.size());
    while (all.size() > 1) {
        std::vector<Kept> sets;
        for (const bool without : {false, true})
            for (std::size_t i = 0; i < pieces; ++i)
                if (!without || pieces > 2) sets.push_back(piece(all, i, pieces, without));
        const auto found = first_failing(sets);
        if (found) {
            all = sets[*found];
            // One piece is all that is needed; or one less than there were.
            pieces = *found < pieces ? 2 : pieces - 1;
        } else {
            if (pieces == all.size() || (pieces_max > 0 && pieces >= pieces_max)) break;
            pieces *= 2;
        }
        pieces = std::max<std::size_t>(2, std::min(pieces, all.size()));
    }
    return all;
}

Kept ddmin(std::size_t count, const FirstFailing& first_failing, std::size_t pieces_max) {
    Kept all(count);
    for (std::size_t i = 0; i < count; ++i) all[i] = i;
    return ddmin(std::move(all), first_failing, pieces_max);
}

} // namespace pyralog::simtest
