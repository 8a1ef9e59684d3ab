// server/cli/coordinator.h
//
// Groups are asked about where they are coordinated, which may be somewhere else in a moment.
#pragma once

#include "core/wire/kafka/find_coordinator.h"
#include "server/cli/kafka.h"

#include <optional>
#include <string>

namespace pyralog::cli {

constexpr Duration coordinator_pause = 200ms;
constexpr int coordinator_attempts_max = 50; // Of what may work in a moment.
constexpr std::int16_t find_coordinator_version = 3;

inline bool will_move(wire::kafka::ErrorCode error) {
    using wire::kafka::ErrorCode;
    return error == ErrorCode::coordinator_not_available || error == ErrorCode::not_coordinator ||
           error == ErrorCode::coordinator_load_in_progress;
}

// Asks a group's coordinator until it has one that answers. `ask(address, node)` says what came of
// it, as a Result<ErrorCode>: an error if nobody answered.
template <class Ask>
std::optional<Trouble> with_coordinator(Client& client, const std::string& group, Ask ask) {
    using wire::kafka::ErrorCode;
    ErrorCode last = ErrorCode::coordinator_not_available;
    for (int attempt = 0; attempt < coordinator_attempts_max; ++attempt) {
        Environment& env = client.env();
        if (attempt > 0 && !env.fibers.sleep_until(env.clock.now() + coordinator_pause).ok()) break;
        wire::kafka::FindCoordinatorRequest request;
        request.coordinator_key = group;
        const auto found = client.call_any(request, find_coordinator_version);
        if (!found.ok()) return silence(client, found.error());
        const auto& coordinator = found.value().coordinator;
        last = coordinator.error;
        if (last == ErrorCode::none) {
            const Address address{coordinator.host, static_cast<std::uint16_t>(coordinator.port)};
            const Result<ErrorCode> asked = ask(address, coordinator.node_id);
            if (!asked.ok()) continue; // It may have gone; there will be another.
            last = asked.value();
            if (last == ErrorCode::none) return {};
        }
        if (!will_move(last)) break;
    }
    return refusal(group, last);
}

} // namespace pyralog::cli
