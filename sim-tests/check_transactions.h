// sim-tests/check_transactions.h
//
// Judges transactions, when the run is over: what of one counts is told by the markers of the logs,
// as they were read in the end. All its batches count or none does, as its producer was told; and
// nobody who reads with read_committed saw one that does not.
//
// Who begins under a transactional id fences those who had it before. So once he has been told who
// he is, nothing that one of them asks for then is done, and no batch that they make then is
// stored; and in a partition no batch of theirs lies behind one of his. When in the end somebody
// has begun under it again, whatever was written under it before has come to an end.
//
// Records that are made of records, in transactions that move the offset of a group with them: of
// each record before that offset one was made that counts, and of none behind it. What was deleted
// before it could be read is no such record; and where some of those that were made were deleted
// nobody can say if one is missing.
#pragma once

#include "sim-tests/check_history.h"

namespace pyralog::simtest {

namespace oracle {
// Of one transaction some records count, and others do not.
inline constexpr std::string_view transaction_torn = "transaction-torn";
// A transaction was said to be committed, and does not count; or to be aborted, and does.
inline constexpr std::string_view transaction_untrue = "transaction-untrue";
// With read_committed a record was read that does not count.
inline constexpr std::string_view uncommitted_read = "uncommitted-read";
// Somebody else had begun under his transactional id and been told so, and he was heard after that.
inline constexpr std::string_view fenced_yet_heard = "fenced-yet-heard";
// What was written under an id has no end, and somebody has begun under that id since.
inline constexpr std::string_view transaction_hangs = "transaction-hangs";
// Of one record two were made that count;
inline constexpr std::string_view derived_twice = "derived-twice";
// none, and its group has passed it;
inline constexpr std::string_view derived_never = "derived-never";
// one, and its group has not come to it.
inline constexpr std::string_view derived_ahead = "derived-ahead";
} // namespace oracle

// All of it.
std::optional<Finding> check_transactions(const History& history);
// The part about those who were fenced.
std::optional<Finding> check_fences(const History& history);

} // namespace pyralog::simtest
