#include "sim-tests/check_transactions.h"

#include "sim-tests/transaction_fates.h"

#include <algorithm>
#include <tuple>

namespace pyralog::simtest {

namespace {

class TransactionJudge {
public:
    explicit TransactionJudge(const History& history) : history_(history), fates_(history) {}

    std::optional<Finding> judge() {
        for (const Transaction& transaction : history_.transactions())
            if (auto finding = check(transaction)) return finding;
        for (const CountingSeen& counting : history_.counting())
            for (const Fetch::Seen& record : counting.seen)
                if (auto finding = check_seen(counting, record)) return finding;
        return check_derived();
    }

private:
    std::optional<Finding> check(const Transaction& transaction) {
        std::optional<bool> all;
        for (const std::size_t number : transaction.produces) {
            const Produce& produce = history_.produces().at(number);
            const std::optional<bool> does = fates_.marked(transaction, produce);
            const auto what = [&] {
                return to_string(Ident{produce.client, produce.first_number}) + " in " +
                       to_string(history_.name(produce.partition));
            };
            const bool is_due = fates_.place_of(produce) && history_.is_settled(transaction.id) &&
                                !history_.is_compacted(produce.partition);
            if (!does && is_due)
                return report(oracle::transaction_hangs,
                              what() + ", of " + transaction.id + ", has come to no end");
            if (!does) continue;
            if (auto finding = compare(transaction, *does, all, what())) return finding;
            all = does;
        }
        return {};
    }

    static std::optional<Finding> compare(const Transaction& transaction, bool does,
                                          std::optional<bool> all, const std::string& name) {
        const std::string what = name + (does ? " counts" : " does not count");
        const bool is_untrue = (transaction.outcome == Transaction::Outcome::committed && !does) ||
                               (transaction.outcome == Transaction::Outcome::aborted && does);
        if (is_untrue)
            return report(oracle::transaction_untrue,
                          what + ", and its producer was told the reverse");
        if (all && *all != does)
            return report(oracle::transaction_torn,
                          what + ", and another batch of its transaction does the reverse");
        return {};
    }

    std::optional<Finding> check_seen(const CountingSeen& counting, const Fetch::Seen& record) {
        if (fates_.of(record.ident).value_or(true)) return {};
        return report(oracle::uncommitted_read,
                      to_string(record.ident) + " in " +
                          to_string(history_.name(counting.partition)) + " was read at " +
                          std::to_string(record.offset) + ", and does not count");
    }

    // ---- Records of records ----

    // By group, partition and offset of the one that they were made of.
    using Source = std::tuple<std::string, std::int32_t, std::int64_t>;

    std::string text_of(const Source& source) const {
        const auto& [group, partition, offset] = source;
        return "of " + to_string(history_.name(partition)) + " at " + std::to_string(offset) +
               ", in " + group;
    }

    std::optional<Finding> check_derived() {
        std::map<Source, Ident> counting;
        for (const Derived& derived : history_.derived()) {
            const bool is_there = fates_.is_there(derived.into, derived.made);
            if (!is_there || !fates_.of(derived.made).value_or(false)) continue;
            const Source source{derived.group, derived.partition, derived.offset};
            const auto [known, is_new] = counting.try_emplace(source, derived.made);
            if (!is_new)
                return report(oracle::derived_twice, to_string(known->second) + " and " +
                                                         to_string(derived.made) + " were made " +
                                                         text_of(source) + ", and both count");
        }
        for (const DerivedUpTo& end : history_.derived_up_to()) {
            const Source last{end.group, end.partition, end.end};
            const auto ahead = counting.lower_bound(last);
            if (ahead != counting.end() && std::get<0>(ahead->first) == end.group &&
                std::get<1>(ahead->first) == end.partition)
                return report(oracle::derived_ahead,
                              to_string(ahead->second) + " was made " + text_of(ahead->first) +
                                  ", and its group has not come further than " +
                                  std::to_string(end.end));
            if (auto finding = check_passed(end, counting)) return finding;
        }
        return {};
    }

    std::optional<Finding> check_passed(const DerivedUpTo& end,
                                        const std::map<Source, Ident>& counting) const {
        const auto log = history_.logs().find(end.partition);
        if (log == history_.logs().end() || !has_all_derived(end.group)) return {};
        for (const Fetch::Seen& record : log->second.records) {
            if (record.offset >= end.end) break;
            const Source source{end.group, end.partition, record.offset};
            if (!marker_of(record.ident) && fates_.does_count(record.ident) &&
                !counting.contains(source))
                return report(oracle::derived_never,
                              "nothing that counts was made " + text_of(source) +
                                  ", which has passed it: " + std::to_string(end.end));
        }
        return {};
    }

    // Wherever something was made for it, nothing has been deleted.
    bool has_all_derived(const std::string& group) const {
        return std::ranges::all_of(history_.derived(), [&](const Derived& derived) {
            const auto log = history_.logs().find(derived.into);
            return derived.group != group ||
                   (log != history_.logs().end() && log->second.start == 0);
        });
    }

    const History& history_;
    const TransactionFates fates_;
};

} // namespace

std::optional<Finding> check_transactions(const History& history) {
    if (auto finding = check_fences(history)) return finding;
    return TransactionJudge(history).judge();
}

} // namespace pyralog::simtest
