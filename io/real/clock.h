// io/real/clock.h
#pragma once

#include "core/env/clock.h"

namespace pyralog::real {

// CLOCK_MONOTONIC since this object was made, and CLOCK_REALTIME.
class Clock final : public pyralog::Clock {
public:
    Clock();
    Time now() const override;
    WallTime wall() const override;

    // On CLOCK_MONOTONIC, as timerfd wants it.
    Duration since_machine_boot(Time time) const;

private:
    Duration boot_;
};

} // namespace pyralog::real
