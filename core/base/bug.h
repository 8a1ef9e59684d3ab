// core/base/bug.h
//
// Planted bugs: each is a mistake that some real system has made, put back in at its place to find
// out if our tests would have seen it. `BUG(M03)` is plain false, except in a build with
// PYRALOG_BUGS: there it is true for the one bug that the simulator's main has planted, and counts
// how often. It stands behind the condition under which it changes the course of things, so that
// this is what it counts. It stands in .cc files alone, so that all others are the same in both
// builds. The list, with where each comes from, is in TESTING.md.
//
// The variables below are the only ones in the project that are global and change. They exist
// only in that build, and are set before any node starts.
#pragma once

#ifdef PYRALOG_BUGS

#include <cstdint>
#include <string>
#include <string_view>

namespace pyralog::bugs {

inline std::string planted_name;
inline std::uint64_t hit_count = 0;
inline std::uint64_t* hit_count_copy = nullptr; // Kept equal, for who watches from outside.

inline void plant(std::string_view name) {
    planted_name = name;
    hit_count = 0;
}

inline bool here(std::string_view name) {
    if (planted_name != name) return false;
    ++hit_count;
    if (hit_count_copy) *hit_count_copy = hit_count;
    return true;
}

} // namespace pyralog::bugs

#define BUG(name) (::pyralog::bugs::here(#name))

#else

#define BUG(name) false

#endif
