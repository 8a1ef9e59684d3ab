// server/space_watch.h
//
// Knows how much room is left on the disk, and does in time what cannot be done when there is none.
//
// With less than disk.free_bytes_min new records are refused, so that what is left is there for
// what cannot be refused: what other leaders send, votes, and the deletion of topics. Should all of
// it be gone (others may use the disk too), a file that only takes up room, the reserve, is
// removed; that is enough to start, and to delete something. When there is room again, records are
// taken again, the reserve is made anew, and nobody has to do anything.
//
// The disk is asked once in `interval`, and ten times as often when the end is near: what is
// written meanwhile must fit into disk.free_bytes_min. A disk that does not answer is taken for
// what it was.
#pragma once

#include "core/env/environment.h"
#include "server/config.h"

namespace pyralog::server {

class SpaceWatch {
public:
    static constexpr std::string_view reserve_path = "reserve";
    static constexpr Duration interval = 1s;
    static constexpr Duration short_interval = 100ms;

    SpaceWatch(Environment& env, const SpaceConfig& config);

    // Before anything is opened, which may want to write: looks, and gives the reserve back if it
    // is needed. May wait. Only Error::cancelled.
    Result<> prepare();

    // Looks at the disk every now and then, until cancelled. Error::device_failed: the reserve
    // could not be written, and what else the device has lost nobody knows.
    Result<> run();

    // Refuse new records.
    bool is_short() const { return short_; }

    // As it was last seen; zeros if it never was.
    Disk::Space seen() const { return seen_; }

private:
    Duration pause() const;
    Result<> look();
    void decide();
    bool is_spent() const;
    Result<> give_back();
    Result<> set_aside();
    Result<> write_reserve();

    Environment& env_;
    const SpaceConfig& config_;
    Disk::Space seen_;
    bool short_ = false;
    bool has_reserve_ = false;
    Metrics::Gauge total_, free_;
};

} // namespace pyralog::server
