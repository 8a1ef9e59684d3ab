// sim-tests/check_transactions.h
//
// Judges transactions, when the run is over: what of one counts is told by the markers of the logs,
// as they were read in the end. All its batches count or none does, as its producer was told; and
// nobody who reads with read_committed saw one that does not.
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
} // namespace oracle

std::optional<Finding> check_transactions(const History& history);

} // namespace pyralog::simtest
