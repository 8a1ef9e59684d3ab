// io/real/config.h
#pragma once

#include "core/base/config.h"
#include "core/base/logger.h"
#include "core/base/types.h"

#include <string>

namespace pyralog::real {

// What a World must know. The first three are the node's own settings, which describe() leaves to
// it; an empty data directory is right for a program that touches no file.
struct IoConfig {
    NodeId node;
    std::string data_dir;
    Level log_level = Level::info;

    bool ring = true;
    Duration spin = 0us;
    int file_threads = 4;

    template <class Visitor>
    void describe(Visitor& setting) {
        setting("io.ring", ring,
                "Use io_uring for files where the system permits it; helper threads if not.");
        setting("io.spin", spin, Bounds<Duration>{0us, 1ms},
                "How long an idle node looks for work before it sleeps: latency against CPU time.");
        setting("io.file_threads", file_threads, Bounds<int>{1, 64},
                "Helper threads for files where there is no io_uring.");
    }
};

} // namespace pyralog::real
