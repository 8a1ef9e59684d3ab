#include "core/log/tail_budget.h"

#include "core/base/buggify.h"
#include "core/base/check.h"
#include "core/base/probe.h"
#include "core/log/log.h"

#include <algorithm>

namespace pyralog {

TailBudget::TailBudget(Metrics& metrics, std::size_t bytes_max, std::size_t open_segments_max,
                       ReadAhead* read_ahead)
    : bytes_max_(bytes_max),
      held_(metrics, "pyralog_log_cache_bytes", "Entries of all logs that are held in memory."),
      open_segments_(metrics, open_segments_max, read_ahead) {}

void TailBudget::join(Log& log) { logs_.push_back(&log); }

void TailBudget::leave(Log& log) {
    std::erase(logs_, &log);
    hand_ = 0;
}

void TailBudget::change(std::int64_t bytes, std::int64_t droppable) {
    bytes_ = static_cast<std::size_t>(static_cast<std::int64_t>(bytes_) + bytes);
    droppable_ = static_cast<std::size_t>(static_cast<std::int64_t>(droppable_) + droppable);
    held_.set(static_cast<std::int64_t>(bytes_));
}

// One entry from each log in turn, the oldest it has.
void TailBudget::make_room() {
    const std::size_t most = BUGGIFY("log/drops-all-caches", 50'000) ? 0 : bytes_max_;
    while (bytes_ > most && droppable_ > 0) {
        SOMETIMES(bytes_ > bytes_max_, "log/node-has-cached-too-much");
        hand_ = (hand_ + 1) % logs_.size();
        (void)logs_[hand_]->drop_oldest(); // If it has nothing, the next one has.
    }
}

} // namespace pyralog
