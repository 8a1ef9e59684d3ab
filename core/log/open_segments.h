// core/log/open_segments.h
//
// How many segment files a node keeps open, whatever the number of its logs. With too many, those
// that were used the longest ago are closed, and the indexes of sealed ones forgotten; whoever
// needs one again opens it again.
#pragma once

#include "core/base/metrics.h"

#include <cstddef>
#include <list>

namespace pyralog {

class ReadAhead;
class Segment;

class OpenSegments {
public:
    // Without a ReadAhead whoever reads a segment reads for himself.
    OpenSegments(Metrics& metrics, std::size_t most, ReadAhead* read_ahead = nullptr);
    OpenSegments(const OpenSegments&) = delete;
    OpenSegments& operator=(const OpenSegments&) = delete;

    std::size_t count() const { return count_; }

private:
    friend class Segment;
    using Place = std::list<Segment*>::iterator;

    Place opened(Segment& segment);
    void used(Place place);
    void closed(Place place);
    // As many as it takes, as far as nobody is using them.
    void close_some();

    const std::size_t most_;
    ReadAhead* const read_ahead_;
    std::list<Segment*> by_use_; // The one that was used last is the last.
    std::size_t count_ = 0;
    Metrics::Gauge open_;
};

} // namespace pyralog
