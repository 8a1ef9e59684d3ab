// sim-tests/transaction_fates.h
//
// What became of the records of transactions, as far as it can be told when the run is over: by the
// markers of the logs that were read in the end, or else by what the producer was told. Where a log
// is compacted its markers may be gone, and the next one there may be another's: those say nothing.
#pragma once

#include "sim-tests/history.h"

#include <map>
#include <optional>
#include <vector>

namespace pyralog::simtest {

class TransactionFates {
public:
    explicit TransactionFates(const History& history);

    // Is it part of a transaction; and does it count? Nothing: that cannot be told, or it is open.
    bool is_part(Ident ident) const { return fates_.contains(ident); }
    std::optional<bool> of(Ident ident) const;
    // Does it count, be it part of a transaction or not?
    bool does_count(Ident ident) const { return !is_part(ident) || of(ident).value_or(false); }

    bool is_there(std::int32_t partition, Ident ident) const {
        return places_.contains({partition, ident});
    }
    // Where a batch lies; nothing: it is not there.
    std::optional<std::int64_t> place_of(const Produce& produce) const;
    // What the marker behind a batch says; nothing: there is none, or it says nothing.
    std::optional<bool> marked(const Transaction& transaction, const Produce& produce) const;

private:
    const History& history_;
    std::map<std::pair<std::int32_t, Ident>, std::int64_t> places_;
    // By partition and producer: their offsets, and if they commit.
    std::map<std::pair<std::int32_t, std::int64_t>, std::vector<std::pair<std::int64_t, bool>>>
        markers_;
    std::map<Ident, std::optional<bool>> fates_;
};

} // namespace pyralog::simtest
