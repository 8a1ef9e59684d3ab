#include "io/sim/timeline.h"

#include <algorithm>
#include <functional>

namespace pyralog::sim {

void Timeline::push(const Event& event) {
    events_.push_back(event);
    std::push_heap(events_.begin(), events_.end(), std::greater<>{});
}

void Timeline::fire_next() {
    CHECK(!events_.empty());
    std::pop_heap(events_.begin(), events_.end(), std::greater<>{});
    const Event event = events_.back();
    events_.pop_back();
    now_ = std::max(now_, event.when);
    event.owner->happen(event.what);
}

void Timeline::tell(Step step, std::int32_t node, std::uint64_t a, std::uint64_t b,
                    std::uint32_t payload) {
    if (recorder_)
        recorder_({++recorded_, now_, a, b, hash_, node, payload, static_cast<std::uint64_t>(step),
                   steps_ + 1});
    if (!listener_) return;
    tell_faults(NodeId(node));
    about_ = NodeId(node);
}

void Timeline::tell(TraceEvent event, const std::string& text) {
    event.step = steps_ + 1;
    event.time = now_;
    event.text = text;
    listener_(event);
}

// A count does not say whose fault it is. Those since the last record of this step belong to the
// node that it was about, or, if that was none, to the one that comes next.
void Timeline::tell_faults(NodeId next) {
    for (std::size_t i = 0; i < FaultCounts::kinds; ++i) {
        const auto fault = static_cast<Fault>(i);
        if (counts.fired(fault) == told_.fired(fault)) continue;
        // Every piece has its delay and every clock its pace; the others have events of their own.
        if (fault == Fault::delay || fault == Fault::drift || fault == Fault::kill ||
            fault == Fault::power_cut || fault == Fault::pause || fault == Fault::partition)
            continue;
        const bool effective = counts.effective(fault) != told_.effective(fault);
        tell({.kind = TraceKind::fault, .node = about_.value != 0 ? about_ : next},
             std::string(to_string(fault)) + (effective ? "" : " (no effect yet)"));
    }
    told_ = counts;
    if (next.value == 0) about_ = NodeId{};
}

} // namespace pyralog::sim
