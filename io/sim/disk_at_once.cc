// Calls that do not wait: for code that cannot be suspended, and waits afterwards.
#include "core/base/crc32c.h"
#include "io/sim/disk.h"

#include <algorithm>

namespace pyralog::sim {

void Medium::carry_out_at_once(Call& call, Duration time) {
    CHECK(call.durability == Durability::later);
    Duration& cost = call.at_once->cost;
    if (timeline_.now() + cost < hangs_until_ && timeline_.inject(Fault::hung_disk)) {
        timeline_.counts.effect(Fault::hung_disk);
        cost = hangs_until_ - timeline_.now();
    }
    cost += time;
    const Duration when = timeline_.now() + cost;
    std::uint32_t payload = call.data ? crc32c(*call.data) : 0;
    if (!call.path.empty()) payload = crc32c(std::as_bytes(std::span(call.path)), payload);
    timeline_.record(Step::file_call, node_.value,
                     call.id << 8 | static_cast<std::uint64_t>(call.kind), call.position, payload);
    if (put_off(call, when)) return;
    moment_ = when;
    complete(call);
    moment_ = Duration{0};
}

// A sync that is going to do what it is for. One that fails leaves things behind that cannot wait,
// so all that should be true by then must be true.
bool Medium::put_off(const Call& call, Duration when) {
    Inode inode = call.file;
    if (call.kind == Kind::sync_directory) {
        const auto directory = find(call.path, false);
        if (!directory || !entries_.at(*directory).is_directory) return false;
        inode = *directory;
    } else if (call.kind != Kind::sync) {
        return false;
    }
    if (call.fails || call.lies ||
        (call.kind == Kind::sync && *call.errors_told != entries_.at(inode).errors)) {
        come_true_now();
        return false;
    }
    later_.push_back({call.id, call.kind, inode, call.covers, when});
    timeline_.schedule(when, *this, later_sync | call.id);
    return true;
}

void Medium::come_true(std::uint64_t id) {
    const auto sync = std::ranges::lower_bound(later_, id, {}, &Later::id);
    if (sync == later_.end() || sync->id != id) return; // It was never made, or is true by now.
    if (timeline_.now() < hangs_until_)
        return timeline_.schedule(hangs_until_, *this, later_sync | id);
    const Later due = *sync;
    later_.erase(sync);
    const auto entry = entries_.find(due.inode);
    if (entry == entries_.end()) return;
    if (due.kind == Kind::sync)
        make_durable_up_to(entry->second, due.covers);
    else
        make_names_durable(due.inode, due.covers);
    timeline_.record(Step::file_done, node_.value, id, 0, 1);
}

void Medium::come_true_now() {
    for (const Later& sync : std::exchange(later_, {})) {
        const auto entry = entries_.find(sync.inode);
        if (entry == entries_.end()) continue;
        if (sync.kind == Kind::sync)
            make_durable_up_to(entry->second, sync.covers);
        else
            make_names_durable(sync.inode, sync.covers);
    }
    for (auto& [inode, file] : entries_)
        for (Change& change : file.unsynced) change.when = Duration{0};
    for (NameChange& change : name_changes_) change.when = Duration{0};
}

// A sync that hangs holds up what comes after it: the caller would not have got there.
void Medium::undo_what_is_to_come() {
    const Duration got_to = later_.empty() ? Duration::max() : later_.front().when;
    later_.clear();
    const auto is_to_come = [&](const auto& change) {
        return change.when > timeline_.now() || change.when >= got_to;
    };
    for (auto& [inode, file] : entries_)
        if (std::erase_if(file.unsynced, is_to_come) > 0) file.visible = as_the_device_has_it(file);
    std::erase_if(name_changes_, is_to_come);
}

bool SimDisk::wait_for_cost() {
    const Duration cost = std::exchange(at_once_->cost, Duration{0});
    if (medium_.incarnation_ != incarnation_) return false;
    Medium::Call call(fibers_, Medium::Kind::wait);
    call.id = medium_.next_call_++;
    medium_.submit(call, cost);
    return medium_.incarnation_ == incarnation_;
}

} // namespace pyralog::sim
