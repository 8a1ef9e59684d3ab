// io/sim/faults.h
//
// What can go wrong in a simulated world, how often, and what did. A Faults that nobody touched is
// a polite world: delays are small and nothing fails, but pieces still arrive in their own time and
// a power cut still takes what was not synced. What happens at a moment that somebody chooses (a
// power cut, a partition, a pause) is a function of World and not here.
//
// Each kind of fault is counted twice: when it was injected, and when that had an effect. An
// injector that never has an effect tests nothing, however often it fires.
#pragma once

#include "io/sim/dice.h"

#include <array>
#include <cstdint>
#include <limits>
#include <string_view>

namespace pyralog::sim {

enum class Schedule : std::uint8_t {
    in_order, // Each node's fibers in the order in which they became ready; nodes take turns.
    random,   // Any ready fiber of any node.
    // The one with the highest priority (priorities.h), of which one ...
    priorities,          // never falls,
    priorities_one_fall, // falls once in a while,
    priorities_two_falls,
};

struct Faults {
    // ---- Fibers ----
    Schedule schedule = Schedule::random;
    Delay run_cost; // How long a fiber keeps its node busy each time it runs.

    // ---- Disk ----
    Delay read_time{1us, 30us, never, 0us};
    Delay write_time{2us, 60us, never, 0us};
    Delay sync_time{50us, 500us, never, 0us};
    Delay name_time{5us, 100us, never, 0us}; // Create, rename, remove, list.
    Chance slow_disk;                        // Of a call: takes slow_disk_time more.
    Delay slow_disk_time{10ms, 500ms, never, 0us};
    // Error::device_failed. What was asked for may have happened all the same, or in part.
    Chance read_error;
    Chance write_error;
    Chance sync_error; // Of a file or a directory.
    Chance size_error; // Of size and resize.
    Chance name_error; // Of open, list, create_directory, rename and remove.
    Chance no_space;   // Of a write, a resize, a create or a rename: Error::out_of_space.
    // What becomes of the changes that a failed sync should have covered: weights, see disk.h.
    std::uint32_t failed_sync_keeps = 1;
    std::uint32_t failed_sync_marks_clean = 1;
    std::uint32_t failed_sync_reverts = 1;
    std::uint32_t failed_sync_drops_all = 1;
    Delay eviction_time{1ms, 200ms, {300'000}, 10s}; // Until readers see what the medium has.
    // A sync that calls itself done and is not; the next one of the file reports it. No file system
    // that does this keeps the contract of core/env/disk.h, so it is damage and not an error.
    Chance late_sync_error;
    Chance unreadable_sector; // Of a read: one sector of it can not be read until it is rewritten.
    Chance misdirected_read;  // Of a read: for one sector it gets another one's bytes, this once.
    Chance read_rot;          // Of a read: one bit of the range is found flipped, on the medium.
    // How a power cut treats what was not synced: weights of the three ways, then, for the third,
    // weights of what happens to each unit on its own.
    std::uint32_t cut_keeps_all = 1;
    std::uint32_t cut_keeps_none = 2;
    std::uint32_t cut_by_unit = 7;
    std::uint32_t unit_survives = 4;
    std::uint32_t unit_lost = 4;
    std::uint32_t unit_torn = 1;
    std::uint32_t unit_garbage = 1;

    // ---- Network ----
    Delay link_time{50us, 500us, never, 0us};
    Delay loopback_time{5us, 30us, never, 0us};
    // How delays are spread, drawn for each directed link by these weights: evenly between the
    // least and the most of link_time; exponentially, with the same mean; with a heavy tail, most
    // of them short and few very long; or evenly, until at some moment the link becomes slow for
    // good.
    std::uint32_t spread_even = 1;
    std::uint32_t spread_exponential = 0;
    std::uint32_t spread_heavy_tail = 0;
    std::uint32_t spread_step = 0;
    Duration step_within{10s};      // Of the beginning.
    Chance slow_link;               // Of a link: its delays are longer for the whole run,
    std::uint32_t slow_factor = 10; // up to so many times.
    // Zero: as many as there are. Else each link draws from here up to `most`, if that is more.
    std::uint64_t link_bytes_per_second = 0;
    std::uint64_t link_bytes_per_second_most = 0;
    Chance lossy_link;  // Of a link: pieces on it break their connections more often,
    Chance lossy_reset; // with this chance.
    std::size_t window_least = 64 * 1024; // What a stream takes before its reader has read.
    std::size_t window_most = 256 * 1024;
    Chance split_write;  // Of a piece on its way: goes as two, with delays of their own.
    Chance short_read;   // Of a read: gets only some of what is there.
    Chance reset;        // Of a piece: its connection breaks, and both ends see it.
    Chance vanish;       // Of a piece: its connection breaks, and the receiver sees nothing.
    Chance close_resets; // Of a close: what was not delivered is lost.
    Chance corrupt;      // Of a piece: one bit of it is flipped.
    // ... if both nodes have smaller numbers than this. Not every protocol has a checksum.
    std::int32_t corrupt_nodes_end = std::numeric_limits<std::int32_t>::max();
    Chance refuse;       // Of a connect: refused though somebody listens.
    Chance black_hole;   // Of a connect: no answer, ever.
    Chance slow_connect; // Of a connect: it takes longer.
    Delay slow_connect_time{10ms, 2s, never, 0us};
    std::size_t backlog_most = 128; // Connections that wait to be accepted; the next try again.
    Chance zero_window;             // Of a reader's news that there is room: comes later.
    Delay zero_window_time{1ms, 2s, never, 0us};
    Chance linger; // Of a stream that is closed or whose process ends: what is on its way takes
                   // longer, and may arrive behind the first bytes of the next stream.
    Delay linger_time{1ms, 2s, never, 0us};
    Chance blocked_gives_up; // Of a stream that a partition blocks: the sender gives up before the
                             // heal.
    Delay give_up_time{200ms, 10s, never, 0us};

    // ---- Clock ----
    std::uint32_t drift_ppm_most = 0;  // Each node's pace is off by up to this, either way.
    Duration monotonic_offset_most{0}; // What a node's clock shows when it boots.
    Duration wall_offset_most{0};      // How far a node's wall clock is off, either way.

    // ---- Whims (core/base/buggify.h) ----
    Chance whim_is_active; // Of a site: for the whole run and on all nodes.
    Chance whim_fires;     // Of an active site, each time it is reached; never: none fires.

    // ---- Small facts ----
    Delay commit_time{50us, 500us, never, 0us};
    Chance commit_error; // Error::device_failed, for this commit and all after it.
};

enum class Fault : std::uint8_t {
    kill,          // Effective: took a process with unfinished calls or open streams.
    out_of_memory, // A process was killed for what it held. Effective: more than it was allowed.
    recovery_end,  // A process was ended soon after its start. Effective: it had not recovered yet.
    nested_end,    // ... for the third time in a row, or more.
    restart_storm, // Effective: with the fifth end of the process.
    rolling_restart, // Effective: every node was restarted in its course.
    rack_cut,        // Power, of a part of the nodes. Effective: several were running.
    lost_disk,       // For good. Effective: there was something on it.
    power_cut,       // Effective: something un-synced was changed by it.
    lost_unit,       // A unit of an un-synced write did not survive.
    torn_unit,       // ... survived in part.
    garbage_unit,    // ... became garbage.
    lost_name,       // An un-synced create, rename or remove did not survive.
    lost_size,       // A file did not keep an un-synced size.
    killed_in_cache, // A write that was to be durable is in the cache alone: its process was
                     // killed.
    fenced,          // A dead process asked for something. Effective: it would have had an effect.
    slow_disk,
    hung_disk, // Effective: a call waited for it.
    read_error,
    write_error,
    sync_error,       // Effective: something that the sync should have covered is not durable.
    sync_keeps,       // ... and waits as before.
    sync_marks_clean, // ... and readers see it all the same, for a while.
    sync_reverts,     // ... and readers see what was before.
    sync_drops_all,   // ... nor is anything else on this disk.
    late_sync_error,  // ... and the sync said that it is.
    error_told_again, // A sync reported what another one had failed to do.
    evicted,          // Effective: readers saw something else before.
    size_error,
    name_error,
    out_of_space,
    too_many_files,    // An open was refused: the process has as many as it may.
    unreadable_sector, // Effective: a read failed of it.
    misdirected_read,  // Effective: the bytes were not those that are there.
    rot,               // Effective: a read returned it.
    lost_write,        // The same.
    misdirected_write, // The same, of the place that it hit.
    pause,             // Effective: the node had something to do meanwhile.
    long_pause, // Beyond an election timeout. Effective: it wakes as a leader and there is a newer.
    partition,  // Of a directed pair. Effective: bytes or a connect were held up by it.
    cut_split,  // ... and the same by the shape of the partition that it was part of.
    cut_one_way,
    cut_bridge,
    cut_ring,
    cut_majority_ring,
    cut_leader_hears,
    cut_leader_speaks,
    cut_isolate,
    cut_flapping,
    cut_swizzle,
    cut_clients,
    delay, // A piece took its time. Effective: it arrived after one that was sent later.
    split_write,
    short_read,
    reset,  // Effective: an end that was open saw it.
    vanish, // Effective: bytes that were sent were never delivered.
    corrupt,
    refuse,
    black_hole,
    slow_connect,
    too_many_streams, // A connect was refused, or an accept put off: as too_many_files.
    backlog_full,     // A connect was put off because too many waited to be accepted.
    zero_window,      // Effective: the writer had filled its window by then.
    linger,           // Effective: bytes came behind those of a newer stream on the link.
    link_exponential, // Of a link. Effective: a delay beyond the most of an even one.
    link_heavy_tail,  // The same.
    link_step,        // Effective: a delay after the step.
    slow_link,        // Effective: a delay over it.
    lossy_link,       // Effective: a connection broke on it.
    gave_up,          // A blocked stream's sender gave up.
    drift,            // Effective: a clock was read that was off.
    wall_jump,        // Effective: the clock was read.
    wall_freeze,      // Effective: the clock was read while it stood still.
    clock_offset,     // A monotonic clock that did not begin at zero.
    lost_commit,      // A commit that had not returned was lost in a power cut.
    commit_error,
    count_,
};

std::string_view to_string(Fault fault);

class FaultCounts {
public:
    struct Count {
        std::uint64_t fired = 0;
        std::uint64_t effective = 0;
    };
    static constexpr std::size_t kinds = static_cast<std::size_t>(Fault::count_);

    const Count& operator[](Fault fault) const { return counts_[static_cast<std::size_t>(fault)]; }
    std::uint64_t fired(Fault fault) const { return (*this)[fault].fired; }
    std::uint64_t effective(Fault fault) const { return (*this)[fault].effective; }

    void fire(Fault fault) { ++counts_[static_cast<std::size_t>(fault)].fired; }
    void effect(Fault fault) { ++counts_[static_cast<std::size_t>(fault)].effective; }
    void both(Fault fault) {
        fire(fault);
        effect(fault);
    }
    void add(const FaultCounts& other); // For the sum over many runs.

private:
    std::array<Count, kinds> counts_{};
};

} // namespace pyralog::sim
