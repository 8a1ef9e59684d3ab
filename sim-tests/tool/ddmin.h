// sim-tests/tool/ddmin.h
//
// Delta debugging (Zeller and Hildebrandt, 2002): of many things that together make something fail,
// a few that still do, such that it passes without any one of these (or of the last pieces looked
// at, if the time was over).
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

namespace pyralog::simtest {

using Kept = std::vector<std::size_t>; // Numbers of things, rising.

// Several sets are asked at once, so that they can be tried at once: the number of the first that
// fails. Nothing: all pass, or there is no time.
using FirstFailing = std::function<std::optional<std::size_t>(const std::vector<Kept>& sets)>;

// `pieces_max`: how finely the things are divided at most; 0: down to each one.
Kept ddmin(Kept all, const FirstFailing& first_failing, std::size_t pieces_max = 0);
Kept ddmin(std::size_t count, const FirstFailing& first_failing, std::size_t pieces_max = 0);

} // namespace pyralog::simtest
