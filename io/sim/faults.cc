#include "io/sim/faults.h"

namespace pyralog::sim {

std::string_view to_string(Fault fault) {
    switch (fault) {
    case Fault::kill: return "kill";
    case Fault::recovery_end: return "recovery_end";
    case Fault::nested_end: return "nested_end";
    case Fault::restart_storm: return "restart_storm";
    case Fault::rolling_restart: return "rolling_restart";
    case Fault::rack_cut: return "rack_cut";
    case Fault::lost_disk: return "lost_disk";
    case Fault::power_cut: return "power_cut";
    case Fault::lost_unit: return "lost_unit";
    case Fault::torn_unit: return "torn_unit";
    case Fault::garbage_unit: return "garbage_unit";
    case Fault::lost_name: return "lost_name";
    case Fault::lost_size: return "lost_size";
    case Fault::killed_in_cache: return "killed_in_cache";
    case Fault::fenced: return "fenced";
    case Fault::slow_disk: return "slow_disk";
    case Fault::hung_disk: return "hung_disk";
    case Fault::read_error: return "read_error";
    case Fault::write_error: return "write_error";
    case Fault::sync_error: return "sync_error";
    case Fault::sync_keeps: return "sync_keeps";
    case Fault::sync_marks_clean: return "sync_marks_clean";
    case Fault::sync_reverts: return "sync_reverts";
    case Fault::sync_drops_all: return "sync_drops_all";
    case Fault::late_sync_error: return "late_sync_error";
    case Fault::error_told_again: return "error_told_again";
    case Fault::evicted: return "evicted";
    case Fault::size_error: return "size_error";
    case Fault::name_error: return "name_error";
    case Fault::out_of_space: return "out_of_space";
    case Fault::unreadable_sector: return "unreadable_sector";
    case Fault::rot: return "rot";
    case Fault::lost_write: return "lost_write";
    case Fault::misdirected_write: return "misdirected_write";
    case Fault::pause: return "pause";
    case Fault::long_pause: return "long_pause";
    case Fault::partition: return "partition";
    case Fault::cut_split: return "cut_split";
    case Fault::cut_one_way: return "cut_one_way";
    case Fault::cut_bridge: return "cut_bridge";
    case Fault::cut_ring: return "cut_ring";
    case Fault::cut_majority_ring: return "cut_majority_ring";
    case Fault::cut_leader_hears: return "cut_leader_hears";
    case Fault::cut_leader_speaks: return "cut_leader_speaks";
    case Fault::cut_isolate: return "cut_isolate";
    case Fault::cut_flapping: return "cut_flapping";
    case Fault::cut_swizzle: return "cut_swizzle";
    case Fault::cut_clients: return "cut_clients";
    case Fault::delay: return "delay";
    case Fault::split_write: return "split_write";
    case Fault::short_read: return "short_read";
    case Fault::reset: return "reset";
    case Fault::vanish: return "vanish";
    case Fault::corrupt: return "corrupt";
    case Fault::refuse: return "refuse";
    case Fault::black_hole: return "black_hole";
    case Fault::gave_up: return "gave_up";
    case Fault::drift: return "drift";
    case Fault::wall_jump: return "wall_jump";
    case Fault::lost_commit: return "lost_commit";
    case Fault::commit_error: return "commit_error";
    case Fault::count_: break;
    }
    check_failed("a known Fault", __FILE__, __LINE__);
}

void FaultCounts::add(const FaultCounts& other) {
    for (std::size_t i = 0; i < kinds; ++i) {
        counts_[i].fired += other.counts_[i].fired;
        counts_[i].effective += other.counts_[i].effective;
    }
}

} // namespace pyralog::sim
