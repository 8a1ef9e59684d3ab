// io/real/config.h
#pragma once

#include "core/base/check.h"
#include "core/base/config.h"
#include "core/base/logger.h"
#include "core/base/types.h"

#include <optional>
#include <string>
#include <string_view>

namespace pyralog::real {

// How a write past the page cache is made durable. Which is quicker depends on the device.
enum class SyncMethod : std::uint8_t {
    automatic, // Whichever World::choose_sync() finds to be the better one.
    fdatasync, // A write, and a sync of the file linked to it.
    dsync,     // A write with RWF_DSYNC.
};

constexpr std::string_view to_string(SyncMethod method) {
    switch (method) {
    case SyncMethod::automatic: return "auto";
    case SyncMethod::fdatasync: return "fdatasync";
    case SyncMethod::dsync: return "dsync";
    }
    check_failed("a known SyncMethod", __FILE__, __LINE__);
}

inline std::optional<SyncMethod> parse_sync_method(std::string_view text) {
    for (const SyncMethod method :
         {SyncMethod::automatic, SyncMethod::fdatasync, SyncMethod::dsync})
        if (text == to_string(method)) return method;
    return {};
}
inline std::string format_sync_method(const SyncMethod& method) {
    return std::string(to_string(method));
}
constexpr TextForm<SyncMethod> sync_method_form{parse_sync_method, format_sync_method,
                                                "auto, fdatasync or dsync"};

// What a World must know. The first three are the node's own settings, which describe() leaves to
// it; an empty data directory is right for a program that touches no file.
struct IoConfig {
    NodeId node;
    std::string data_dir;
    Level log_level = Level::info;

    bool ring = true;
    Duration spin = 0us;
    int file_threads = 4;
    SyncMethod sync = SyncMethod::automatic;

    template <class Visitor>
    void describe(Visitor& setting) {
        setting("io.ring", ring,
                "Use io_uring for files where the system permits it; helper threads if not.");
        setting("io.spin", spin, Bounds<Duration>{0us, 1ms},
                "How long an idle node looks for work before it sleeps: latency against CPU time.");
        setting("io.file_threads", file_threads, Bounds<int>{1, 64},
                "Helper threads for files where there is no io_uring.");
        setting("io.sync", sync, sync_method_form,
                "How the journal's writes become durable: a write and a linked fdatasync, a write "
                "with RWF_DSYNC, or whichever is quicker by a measurement when the node starts.");
    }
};

} // namespace pyralog::real
