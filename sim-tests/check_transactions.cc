#include "sim-tests/check_transactions.h"

#include <algorithm>

namespace pyralog::simtest {

namespace {

class TransactionJudge {
public:
    explicit TransactionJudge(const History& history) : history_(history) {
        for (const auto& [partition, log] : history.logs())
            for (const Fetch::Seen& record : log.records) {
                places_[{partition, record.ident}] = record.offset;
                if (const auto marker = marker_of(record.ident))
                    markers_[{partition, marker->producer}].emplace_back(record.offset,
                                                                         marker->commits);
            }
    }

    std::optional<Finding> judge() {
        for (const Transaction& transaction : history_.transactions())
            if (auto finding = check(transaction)) return finding;
        for (const CountingSeen& counting : history_.counting())
            for (const Fetch::Seen& record : counting.seen)
                if (auto finding = check_seen(counting, record)) return finding;
        return {};
    }

private:
    // Does this batch count? Nothing: it is not there, or its transaction is open.
    std::optional<bool> counts(const Transaction& transaction, const Produce& produce) const {
        const auto place =
            places_.find({produce.partition, Ident{produce.client, produce.first_number}});
        if (place == places_.end()) return {};
        const auto markers = markers_.find({produce.partition, transaction.producer});
        if (markers == markers_.end()) return {};
        for (const auto& [offset, commits] : markers->second)
            if (offset > place->second) return commits;
        return {};
    }

    std::optional<Finding> check(const Transaction& transaction) {
        std::optional<bool> all;
        for (const std::size_t number : transaction.produces) {
            const Produce& produce = history_.produces().at(number);
            const std::optional<bool> does = counts(transaction, produce);
            if (!does) continue;
            for (std::int32_t i = 0; i < produce.records; ++i)
                fates_[{produce.client, produce.first_number + i}] = *does;
            const std::string what = to_string(Ident{produce.client, produce.first_number}) +
                                     " in " + to_string(history_.name(produce.partition)) +
                                     (*does ? " counts" : " does not count");
            const bool is_untrue =
                (transaction.outcome == Transaction::Outcome::committed && !*does) ||
                (transaction.outcome == Transaction::Outcome::aborted && *does);
            if (is_untrue)
                return report(oracle::transaction_untrue,
                              what + ", and its producer was told the reverse");
            if (all && *all != *does)
                return report(oracle::transaction_torn,
                              what + ", and another batch of its transaction does the reverse");
            all = does;
        }
        return {};
    }

    std::optional<Finding> check_seen(const CountingSeen& counting, const Fetch::Seen& record) {
        const auto fate = fates_.find(record.ident);
        if (fate == fates_.end() || fate->second) return {};
        return report(oracle::uncommitted_read,
                      to_string(record.ident) + " in " +
                          to_string(history_.name(counting.partition)) + " was read at " +
                          std::to_string(record.offset) + ", and does not count");
    }

    const History& history_;
    std::map<std::pair<std::int32_t, Ident>, std::int64_t> places_;
    std::map<std::pair<std::int32_t, std::int64_t>, std::vector<std::pair<std::int64_t, bool>>>
        markers_;
    std::map<Ident, bool> fates_;
};

} // namespace

std::optional<Finding> check_transactions(const History& history) {
    return TransactionJudge(history).judge();
}

} // namespace pyralog::simtest
