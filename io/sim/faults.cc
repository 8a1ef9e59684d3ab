#include "io/sim/faults.h"

namespace pyralog::sim {

namespace {

struct Name {
    Fault fault;
    std::string_view name;
};
// In the order of the enumerators.
constexpr std::array names{
    Name{Fault::kill, "kill"},
    Name{Fault::out_of_memory, "out_of_memory"},
    Name{Fault::recovery_end, "recovery_end"},
    Name{Fault::nested_end, "nested_end"},
    Name{Fault::restart_storm, "restart_storm"},
    Name{Fault::rolling_restart, "rolling_restart"},
    Name{Fault::rack_cut, "rack_cut"},
    Name{Fault::lost_disk, "lost_disk"},
    Name{Fault::power_cut, "power_cut"},
    Name{Fault::lost_unit, "lost_unit"},
    Name{Fault::torn_unit, "torn_unit"},
    Name{Fault::garbage_unit, "garbage_unit"},
    Name{Fault::lost_name, "lost_name"},
    Name{Fault::lost_size, "lost_size"},
    Name{Fault::killed_in_cache, "killed_in_cache"},
    Name{Fault::fenced, "fenced"},
    Name{Fault::slow_disk, "slow_disk"},
    Name{Fault::hung_disk, "hung_disk"},
    Name{Fault::read_error, "read_error"},
    Name{Fault::write_error, "write_error"},
    Name{Fault::sync_error, "sync_error"},
    Name{Fault::sync_keeps, "sync_keeps"},
    Name{Fault::sync_marks_clean, "sync_marks_clean"},
    Name{Fault::sync_reverts, "sync_reverts"},
    Name{Fault::sync_drops_all, "sync_drops_all"},
    Name{Fault::late_sync_error, "late_sync_error"},
    Name{Fault::error_told_again, "error_told_again"},
    Name{Fault::evicted, "evicted"},
    Name{Fault::size_error, "size_error"},
    Name{Fault::name_error, "name_error"},
    Name{Fault::out_of_space, "out_of_space"},
    Name{Fault::too_many_files, "too_many_files"},
    Name{Fault::unreadable_sector, "unreadable_sector"},
    Name{Fault::misdirected_read, "misdirected_read"},
    Name{Fault::rot, "rot"},
    Name{Fault::lost_write, "lost_write"},
    Name{Fault::misdirected_write, "misdirected_write"},
    Name{Fault::pause, "pause"},
    Name{Fault::long_pause, "long_pause"},
    Name{Fault::partition, "partition"},
    Name{Fault::cut_split, "cut_split"},
    Name{Fault::cut_one_way, "cut_one_way"},
    Name{Fault::cut_bridge, "cut_bridge"},
    Name{Fault::cut_ring, "cut_ring"},
    Name{Fault::cut_majority_ring, "cut_majority_ring"},
    Name{Fault::cut_leader_hears, "cut_leader_hears"},
    Name{Fault::cut_leader_speaks, "cut_leader_speaks"},
    Name{Fault::cut_isolate, "cut_isolate"},
    Name{Fault::cut_flapping, "cut_flapping"},
    Name{Fault::cut_swizzle, "cut_swizzle"},
    Name{Fault::cut_clients, "cut_clients"},
    Name{Fault::delay, "delay"},
    Name{Fault::split_write, "split_write"},
    Name{Fault::short_read, "short_read"},
    Name{Fault::reset, "reset"},
    Name{Fault::vanish, "vanish"},
    Name{Fault::corrupt, "corrupt"},
    Name{Fault::refuse, "refuse"},
    Name{Fault::black_hole, "black_hole"},
    Name{Fault::slow_connect, "slow_connect"},
    Name{Fault::too_many_streams, "too_many_streams"},
    Name{Fault::backlog_full, "backlog_full"},
    Name{Fault::zero_window, "zero_window"},
    Name{Fault::linger, "linger"},
    Name{Fault::link_exponential, "link_exponential"},
    Name{Fault::link_heavy_tail, "link_heavy_tail"},
    Name{Fault::link_step, "link_step"},
    Name{Fault::slow_link, "slow_link"},
    Name{Fault::lossy_link, "lossy_link"},
    Name{Fault::gave_up, "gave_up"},
    Name{Fault::drift, "drift"},
    Name{Fault::wall_jump, "wall_jump"},
    Name{Fault::wall_freeze, "wall_freeze"},
    Name{Fault::clock_offset, "clock_offset"},
    Name{Fault::lost_commit, "lost_commit"},
    Name{Fault::commit_error, "commit_error"},
};
static_assert(names.size() == FaultCounts::kinds);
static_assert([] {
    for (std::size_t i = 0; i < names.size(); ++i)
        if (names[i].fault != static_cast<Fault>(i)) return false;
    return true;
}());

} // namespace

std::string_view to_string(Fault fault) {
    CHECK(fault < Fault::count_);
    return names[static_cast<std::size_t>(fault)].name;
}

void FaultCounts::add(const FaultCounts& other) {
    for (std::size_t i = 0; i < kinds; ++i) {
        counts_[i].fired += other.counts_[i].fired;
        counts_[i].effective += other.counts_[i].effective;
    }
}

} // namespace pyralog::sim
