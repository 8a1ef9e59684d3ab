#include "server/byte_budget.h"

#include "core/base/probe.h"

#include <algorithm>
#include <utility>

namespace pyralog::server {

ByteBudget::~ByteBudget() { CHECK(taken_ == 0); }

ByteBudget::Share::Share(Share&& other) noexcept
    : budget_(other.budget_), id_(std::exchange(other.id_, 0)),
      bytes_(std::exchange(other.bytes_, 0)) {}

Result<> ByteBudget::Share::grow(std::size_t bytes) {
    ByteBudget& budget = *budget_;
    if (!budget.waiting_.empty() || !budget.may_take(id_, bytes)) {
        budget.waiting_.push_back(id_);
        const Result<> waited = budget.changed_.wait([&] {
            return budget.may_take(id_, bytes) ||
                   (budget.favoured_ == 0 && budget.waiting_.front() == id_);
        });
        std::erase(budget.waiting_, id_);
        budget.changed_.notify_all(); // Another one is the first now.
        TRY(waited);
    }
    if (bytes > budget.room()) {
        REACHABLE("byte-budget/exceeded-by-one-share");
        budget.favoured_ = id_;
    }
    budget.taken_ += bytes;
    bytes_ += bytes;
    return {};
}

void ByteBudget::Share::shrink(std::size_t to) {
    CHECK(to <= bytes_);
    if (to == bytes_) return;
    budget_->taken_ -= bytes_ - to;
    bytes_ = to;
    if (to == 0 && budget_->favoured_ == id_) budget_->favoured_ = 0;
    budget_->changed_.notify_all();
}

// Whoever is favoured does not wait for its turn either: others wait for it.
bool ByteBudget::may_take(std::uint64_t share, std::size_t bytes) const {
    if (share == favoured_) return true;
    return bytes <= room() && (waiting_.empty() || waiting_.front() == share);
}

} // namespace pyralog::server
