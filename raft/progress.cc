#include "raft/progress.h"

#include <algorithm>

namespace pyralog::raft {

Position Progress::next() const {
    return std::visit([](const auto& state) { return state.next; }, state_);
}

bool Progress::has_in_flight() const {
    const auto* flowing = std::get_if<Replicate>(&state_);
    return flowing && flowing->in_flight_count > 0;
}

bool Progress::has_room(int in_flight_max) const {
    const auto* flowing = std::get_if<Replicate>(&state_);
    return flowing && flowing->in_flight_count < static_cast<std::size_t>(in_flight_max);
}

void Progress::sent(Position end) {
    auto* flowing = std::get_if<Replicate>(&state_);
    // What was asked for a while ago may no longer fit: something was rejected since, and the
    // search goes first, or others have filled the window. Then it is as if it had been lost.
    if (!flowing || end.index <= flowing->next.index) return;
    if (flowing->in_flight_count == Replicate::in_flight_max) return;
    flowing->in_flight[flowing->in_flight_count++] = end;
    flowing->next = end;
}

void Progress::reached(Position matched) {
    if (matched.index <= matched_.index) return;
    matched_ = matched;
    auto* flowing = std::get_if<Replicate>(&state_);
    if (!flowing) return;
    const auto first = flowing->in_flight.begin();
    const auto end = first + static_cast<std::ptrdiff_t>(flowing->in_flight_count);
    const auto rest = std::remove_if(
        first, end, [&](Position sent_end) { return sent_end.index <= matched.index; });
    flowing->in_flight_count = static_cast<std::size_t>(rest - first);
    flowing->next = std::max(flowing->next, matched);
}

void Progress::flow() {
    if (is_probing()) state_ = Replicate{.next = matched_, .in_flight = {}, .in_flight_count = 0};
}

void Progress::forget(Position next) {
    matched_ = {};
    answered = 0;
    ++search_;
    state_ = Probe{next};
}

bool Progress::rejected(Position next) {
    // What it once had on its disk it still has, wherever its answer had to look for the place.
    next = std::max(next, matched_);
    const auto* probe = std::get_if<Probe>(&state_);
    if (probe && next.index >= probe->next.index) return false;
    if (!probe) ++search_;
    state_ = Probe{next};
    return true;
}

} // namespace pyralog::raft
