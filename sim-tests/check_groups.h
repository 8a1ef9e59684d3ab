// sim-tests/check_groups.h
//
// Judges what members of groups saw. The offset that a group has committed for a partition is a
// register, and every commit writes another value; so whether its history is linearizable can be
// told from the values alone (Gibbons and Korach, 1997). The zone of a value lies between the first
// end of an operation that has to do with it, and the last beginning of one. Where that end comes
// before that beginning, the register held the value all the time in between: two such zones may
// not overlap, and no other operation may begin and end within one.
//
// A commit of which nobody knows what became of it may have been carried out at any time, or not at
// all: it counts only if it was read.
#pragma once

#include "sim-tests/check_history.h"

namespace pyralog::simtest {

namespace oracle {
// There is no order of commits and reads that explains what was told: an acknowledged offset was
// lost, or came back after it had been overwritten.
inline constexpr std::string_view offset_went_back = "offset-went-back";
// An offset that nobody committed there, or one that was refused.
inline constexpr std::string_view offset_invented = "offset-invented";
// A commit of a generation was taken, and before it was sent somebody had been told of a later one.
inline constexpr std::string_view zombie_accepted = "zombie-accepted";
// Somebody joined and was told of an older generation than somebody had been before.
inline constexpr std::string_view generation_went_back = "generation-went-back";
// Two members were told to assign in one generation.
inline constexpr std::string_view two_assign = "two-assign";
// Two members were told in one generation that a partition is theirs.
inline constexpr std::string_view shared_twice = "shared-twice";
} // namespace oracle

// The first thing that is wrong.
std::optional<Finding> check_groups(const History& history);

} // namespace pyralog::simtest
