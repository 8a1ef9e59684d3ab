// sim-tests/check_history.h
//
// Does a history keep what a log promises its clients? Pure: a History in, what is wrong with it
// out. The argument for each rule, and the faults it must see, are in TESTING.md.
//
// The judge is the final read: all records of each partition, read through a client after the
// cluster has healed. A partition without one (its topic was deleted) is judged by what was seen.
#pragma once

#include "sim-tests/history.h"

#include <optional>
#include <string>
#include <string_view>

namespace pyralog::simtest {

// An oracle that fired.
struct Finding {
    std::string_view oracle; // One of a fixed list: see TESTING.md.
    std::string detail;
};

namespace oracle {
// Acknowledged, and not in the log.
inline constexpr std::string_view acknowledged_lost = "acknowledged-lost";
// In the log, but not at the offset that was told.
inline constexpr std::string_view moved = "moved";
// Two offsets for one record.
inline constexpr std::string_view duplicated = "duplicated";
// A record that nobody sent there, or not with these bytes.
inline constexpr std::string_view invented = "invented";
// Records of one batch are not next to each other, or not all of them are there.
inline constexpr std::string_view batch_broken = "batch-broken";
// A gap, or an offset twice.
inline constexpr std::string_view not_contiguous = "not-contiguous";
// What was sent after another was acknowledged, or behind it on one connection, lies before it.
inline constexpr std::string_view out_of_order = "out-of-order";
// It was said that it is not in the log.
inline constexpr std::string_view refused_yet_stored = "refused-yet-stored";
// It was read, and is not in the log.
inline constexpr std::string_view read_then_lost = "read-then-lost";
// One offset, two records.
inline constexpr std::string_view two_at_one_offset = "two-at-one-offset";
// The high watermark of one connection fell, or was beyond the end of the log.
inline constexpr std::string_view watermark = "watermark";
// ListOffsets told an end before a record that had been acknowledged already.
inline constexpr std::string_view stale_end = "stale-end";
} // namespace oracle

// The first thing that is wrong.
std::optional<Finding> check_history(const History& history);

} // namespace pyralog::simtest
