#include "core/log/open_segments.h"

#include "core/base/probe.h"
#include "core/log/segment.h"

#include <iterator>

namespace pyralog {

OpenSegments::OpenSegments(Metrics& metrics, std::size_t most, ReadAhead* read_ahead)
    : most_(most), read_ahead_(read_ahead),
      open_(metrics, "pyralog_open_segments", "Segment files that are open.") {}

OpenSegments::Place OpenSegments::opened(Segment& segment) {
    open_.set(static_cast<std::int64_t>(++count_));
    return by_use_.insert(by_use_.end(), &segment);
}

void OpenSegments::used(Place place) { by_use_.splice(by_use_.end(), by_use_, place); }

void OpenSegments::closed(Place place) {
    by_use_.erase(place);
    open_.set(static_cast<std::int64_t>(--count_));
}

void OpenSegments::close_some() {
    for (auto next = by_use_.begin(); count_ > most_ && next != by_use_.end();) {
        Segment& segment = **next++;
        SOMETIMES(!segment.can_close(), "open-segments/oldest-is-in-use");
        if (segment.can_close()) segment.close();
    }
}

} // namespace pyralog
