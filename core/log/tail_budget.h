// core/log/tail_budget.h
//
// How much all logs of a node together keep in memory, and how many files open. When it is too
// much, they drop in turn what their segments have as well. What no segment has yet stays, whatever
// it takes.
#pragma once

#include "core/base/metrics.h"
#include "core/log/open_segments.h"

#include <cstddef>
#include <vector>

namespace pyralog {

class Log;

class TailBudget {
public:
    // What is read ahead has a limit of its own: see ReadAhead.
    TailBudget(Metrics& metrics, std::size_t bytes_max, std::size_t open_segments_max,
               ReadAhead* read_ahead = nullptr);

    std::size_t bytes() const { return bytes_; }
    OpenSegments& open_segments() { return open_segments_; }

private:
    friend class Log;
    void join(Log& log);
    void leave(Log& log);
    // What a log holds has changed by this much, and how much of it may be dropped.
    void change(std::int64_t bytes, std::int64_t droppable);
    void make_room();

    std::size_t bytes_max_;
    std::size_t bytes_ = 0;
    std::size_t droppable_ = 0;
    std::vector<Log*> logs_;
    std::size_t hand_ = 0; // Whose turn it is.
    Metrics::Gauge held_;
    OpenSegments open_segments_;
};

} // namespace pyralog
