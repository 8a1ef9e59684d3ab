// Who was fenced under a transactional id, since when, and what became of what he did after that.
#include "sim-tests/check_transactions.h"
#include "sim-tests/transaction_fates.h"

#include <algorithm>
#include <map>

namespace pyralog::simtest {

namespace {

// One of those who have had a transactional id.
struct Holder {
    std::int64_t producer = 0;
    std::int16_t epoch = 0;
};

class FenceJudge {
public:
    explicit FenceJudge(const History& history) : history_(history), fates_(history) {
        for (const Named& named : history.named()) named_[named.id].push_back(&named);
    }

    std::optional<Finding> judge() {
        for (const Taken& taken : history_.taken())
            if (const Named* const fence =
                    fence_of(taken.id, {taken.producer, taken.epoch}, taken.invoked))
                return found(taken.id, {taken.producer, taken.epoch}, std::string(taken.what),
                             *fence);
        for (const Transaction& transaction : history_.transactions())
            if (auto finding = check_stored(transaction)) return finding;
        return check_order();
    }

private:
    // Somebody later who had been told so before this moment.
    const Named* fence_of(const std::string& id, Holder holder, Duration when) const {
        const auto known = named_.find(id);
        if (known == named_.end()) return nullptr;
        for (const Named* const named : known->second)
            if (named->completed < when && comes_after(*named, holder, known->second)) return named;
        return nullptr;
    }

    // Of two producers the later one is he whose name was asked for when the other was known.
    static bool comes_after(const Named& named, Holder holder,
                            const std::vector<const Named*>& all) {
        if (named.producer == holder.producer) return named.epoch > holder.epoch;
        const auto first = std::ranges::find(all, holder.producer, &Named::producer);
        return first != all.end() && (*first)->completed < named.invoked;
    }

    static std::optional<Finding> found(const std::string& id, Holder holder,
                                        const std::string& what, const Named& fence) {
        const auto text_of = [](std::int64_t producer, std::int16_t epoch) {
            return std::to_string(producer) + '/' + std::to_string(epoch);
        };
        return report(oracle::fenced_yet_heard, what + " of " + id + ", " +
                                                    text_of(holder.producer, holder.epoch) +
                                                    ": taken after it had been told to " +
                                                    text_of(fence.producer, fence.epoch));
    }

    // What was first sent when he was fenced.
    std::optional<Finding> check_stored(const Transaction& transaction) const {
        for (const std::size_t number : transaction.produces) {
            const Produce& produce = history_.produces().at(number);
            if (!fates_.place_of(produce)) continue;
            const Holder holder{transaction.producer, transaction.epoch};
            if (const Named* const fence = fence_of(transaction.id, holder, produce.invoked))
                return found(transaction.id, holder,
                             to_string(Ident{produce.client, produce.first_number}), *fence);
        }
        return {};
    }

    // Whenever it was sent: it does not come behind what a later one has sent.
    std::optional<Finding> check_order() const {
        std::map<std::pair<std::int32_t, std::int64_t>, std::map<std::int64_t, const Transaction*>>
            lines;
        for (const Transaction& transaction : history_.transactions())
            for (const std::size_t number : transaction.produces) {
                const Produce& produce = history_.produces().at(number);
                if (const auto place = fates_.place_of(produce))
                    lines[{produce.partition, transaction.producer}][*place] = &transaction;
            }
        for (const auto& [line, batches] : lines) {
            std::int16_t epoch = 0;
            for (const auto& [place, transaction] : batches) {
                if (transaction->epoch < epoch)
                    return report(oracle::fenced_yet_heard,
                                  transaction->id + " has a batch of epoch " +
                                      std::to_string(transaction->epoch) + " in " +
                                      to_string(history_.name(line.first)) + " at offset " +
                                      std::to_string(place) + ", behind one of epoch " +
                                      std::to_string(epoch));
                epoch = transaction->epoch;
            }
        }
        return {};
    }

    const History& history_;
    std::map<std::string, std::vector<const Named*>> named_;
    const TransactionFates fates_;
};

} // namespace

std::optional<Finding> check_fences(const History& history) { return FenceJudge(history).judge(); }

} // namespace pyralog::simtest
