#include "sim-tests/transaction_fates.h"

namespace pyralog::simtest {

TransactionFates::TransactionFates(const History& history) : history_(history) {
    if (history.transactions().empty()) return; // Most runs have none.
    for (const auto& [partition, log] : history.logs())
        for (const Fetch::Seen& record : log.records) {
            places_[{partition, record.ident}] = record.offset;
            if (const auto marker = marker_of(record.ident))
                markers_[{partition, marker->producer}].emplace_back(record.offset,
                                                                     marker->commits);
        }
    using Outcome = Transaction::Outcome;
    for (const Transaction& transaction : history.transactions()) {
        std::optional<bool> fate;
        for (const std::size_t number : transaction.produces)
            if (!fate) fate = marked(transaction, history.produces().at(number));
        if (!fate && transaction.outcome != Outcome::unknown)
            fate = transaction.outcome == Outcome::committed;
        for (const std::size_t number : transaction.produces) {
            const Produce& produce = history.produces().at(number);
            for (std::int32_t i = 0; i < produce.records; ++i)
                fates_[{produce.client, produce.first_number + i}] = fate;
        }
    }
}

std::optional<bool> TransactionFates::of(Ident ident) const {
    const auto known = fates_.find(ident);
    return known == fates_.end() ? std::nullopt : known->second;
}

std::optional<std::int64_t> TransactionFates::place_of(const Produce& produce) const {
    const auto place =
        places_.find({produce.partition, Ident{produce.client, produce.first_number}});
    if (place == places_.end()) return {};
    return place->second;
}

std::optional<bool> TransactionFates::marked(const Transaction& transaction,
                                             const Produce& produce) const {
    const auto place = place_of(produce);
    const auto markers = markers_.find({produce.partition, transaction.producer});
    if (!place || markers == markers_.end() || history_.is_compacted(produce.partition)) return {};
    for (const auto& [offset, commits] : markers->second)
        if (offset > *place) return commits;
    return {};
}

} // namespace pyralog::simtest
