// core/base/probe.h
//
// Says that something rare has happened, so that tests can be asked if they ever made it happen:
//
//     SOMETIMES(queue.size() == queue_max, "transport/queue-full");
//     REACHABLE("journal/torn-tail");
//
// In the simulator's build each is counted by its name, "layer/what-happened", and a sweep that
// never sees one fails (sim-tests/tool/quarantine.cc has the exceptions). Elsewhere both are
// nothing, and the condition is not evaluated. What must never happen is a CHECK and no probe.
#pragma once

#ifdef PYRALOG_SIM

#include "core/base/site.h"

#define SOMETIMES(condition, name)                                                                 \
    do {                                                                                           \
        if (condition) ++::pyralog::sites::site<::pyralog::sites::Kind::probe, name>.hits;         \
    } while (false)

#else

#define SOMETIMES(condition, name)                                                                 \
    do {                                                                                           \
        if (false) static_cast<void>(condition);                                                   \
    } while (false)

#endif

#define REACHABLE(name) SOMETIMES(true, name)
