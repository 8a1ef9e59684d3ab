// core/env/clock.h
#pragma once

#include "core/base/time.h"

namespace pyralog {

// What time it is on this node. To wait for a time, ask the Scheduler.
class Clock {
public:
    virtual ~Clock() = default;

    // Never goes back while the node runs; its pace may be off by a little.
    virtual Time now() const = 0;

    // May jump either way at any moment: for people, never for decisions between nodes.
    virtual WallTime wall() const = 0;
};

} // namespace pyralog
