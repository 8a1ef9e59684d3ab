// io/sim/mute.h
//
// For the tests of the tests. An injector, a strike or an oracle that is muted by its name counts
// as before and does nothing, which is what a dead one does: whoever still believes it looks at its
// counts alone. .ci/mutes mutes them one after the other, and wants a test to fail each time.
//
// At most one is muted, by whoever runs a test program (PYRALOG_MUTE=name), before any world is
// made. These are the only variables of io/sim that are global and change.
#pragma once

#include "io/sim/faults.h"

#include <string>
#include <string_view>

namespace pyralog::sim {

inline std::string muted_name;
inline Fault muted_fault = Fault::count_; // The same, if it is a kind of fault.

inline bool is_muted(std::string_view name) { return !muted_name.empty() && muted_name == name; }

// "fault/<kind>", or what a strike or an oracle is called.
inline void mute(std::string_view name) {
    muted_name = name;
    muted_fault = Fault::count_;
    for (std::size_t i = 0; i < FaultCounts::kinds; ++i)
        if (name == "fault/" + std::string(to_string(static_cast<Fault>(i))))
            muted_fault = static_cast<Fault>(i);
}

} // namespace pyralog::sim
