#include "io/sim/timeline.h"

#include <algorithm>
#include <cstdio>
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
    recorder_({++recorded_, now_, a, b, hash_, node, payload, static_cast<std::uint64_t>(step)});
}

void Timeline::write_trace(NodeId node, const std::string& line) {
    std::array<char, 48> front{};
    const auto ns = now_.count();
    const int length = std::snprintf(front.data(), front.size(), "%6lld.%09lld n%-3d ",
                                     static_cast<long long>(ns / 1'000'000'000),
                                     static_cast<long long>(ns % 1'000'000'000), node.value);
    trace_(std::string(front.data(), static_cast<std::size_t>(length)) + line);
}

} // namespace pyralog::sim
