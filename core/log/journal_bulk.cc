// What gets past the journal: README.md, "The bulk path".
#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "core/log/journal.h"

#include <algorithm>

namespace pyralog {

namespace {

// Files that are written and synced at the same time: more would only compete.
constexpr std::size_t bulk_writes_max = 64;

} // namespace

void Journal::attach(GroupId group, BulkWriter& writer) {
    CHECK(!bulk_.contains(group));
    bulk_[group].writer = &writer;
}

void Journal::detach(GroupId group) {
    const auto found = bulk_.find(group);
    if (found == bulk_.end()) return;
    if (std::ranges::find(bulk_busy_, group) != bulk_busy_.end()) {
        REACHABLE("journal/detached-during-a-bulk-write");
        Signal done(env_.fibers);
        found->second.detached = &done;
        done.wait_through();
    }
    bulk_.erase(group);
}

// Its group has enough in the queue for it to be worth a write of its own.
bool Journal::is_bulk(const wire::Frame& frame) const {
    if (config_.bulk_min_bytes == 0 || !frame.is_entry()) return false;
    const auto found = bulk_.find(frame.group);
    return found != bulk_.end() && found->second.queued_bytes >= config_.bulk_min_bytes;
}

// Each group that could write what it has among these.
std::vector<Journal::BulkJob> Journal::bulk_jobs(std::span<const wire::Frame> frames) const {
    std::map<GroupId, BulkJob> groups;
    for (const wire::Frame& frame : frames) {
        if (!frame.is_entry() || !bulk_.contains(frame.group)) continue;
        BulkJob& job = groups[frame.group];
        job.group = frame.group;
        job.last = frame.first.index; // A cut may have come before it.
        job.bytes += wire::stored_size(frame);
    }
    std::vector<BulkJob> jobs;
    std::uint64_t held = bulk_held_;
    for (const auto& [group, job] : groups) {
        if (job.bytes < config_.bulk_min_bytes) continue;
        const bool too_much = held + job.bytes > bulk_held_max();
        SOMETIMES(too_much, "journal/too-much-is-only-named");
        const bool is_taken = !too_much && bulk_.at(group).writer->takes(job.last);
        SOMETIMES(!is_taken, "journal/bulk-refused");
        if (is_taken) held += job.bytes;
        jobs.push_back(job);
        jobs.back().written = is_taken ? Result<>() : Error::unavailable;
    }
    return jobs;
}

// Data before record: when this returns, what the round is going to name is durable. Is there any?
Result<bool> Journal::write_bulk(std::span<wire::Frame> frames) {
    if (config_.bulk_min_bytes == 0 || bulk_.empty()) return false;
    std::vector<BulkJob> jobs = bulk_jobs(frames);
    const std::size_t asked = jobs.size();
    std::erase_if(jobs, [](const BulkJob& job) { return !job.written.ok(); });
    bulk_refused_total_.add(asked - jobs.size());
    if (jobs.empty()) return false;
    SOMETIMES(jobs.size() > 1, "journal/several-groups-past-it");
    const Result<> done = do_bulk_jobs(jobs);
    bool is_named = false;
    for (wire::Frame& frame : frames) {
        if (!done.ok() || !frame.is_entry()) continue;
        const auto job = std::ranges::find(jobs, frame.group, &BulkJob::group);
        if (job == jobs.end() || !job->written.ok()) continue;
        frame.place = bulk_.at(frame.group).writer->place_of(frame);
        SOMETIMES(!frame.place.is_known(), "journal/overruled-during-a-bulk-write");
        if (!frame.place.is_known()) continue;
        is_named = true;
        bulk_bytes_total_.add(wire::stored_size(frame));
    }
    end_bulk_jobs(jobs);
    TRY(done);
    SOMETIMES(is_named, "journal/written-past-it");
    return is_named;
}

Result<> Journal::do_bulk_jobs(std::vector<BulkJob>& jobs) {
    for (const BulkJob& job : jobs) bulk_busy_.push_back(job.group);
    std::size_t next = 0;
    const auto work = [&] {
        while (next < jobs.size()) {
            BulkJob& job = jobs[next++];
            job.written = bulk_.at(job.group).writer->write(job.last);
        }
    };
    if (jobs.size() == 1) {
        work();
    } else {
        Scope scope(env_.fibers);
        for (std::size_t i = 0; i < std::min(jobs.size(), bulk_writes_max); ++i)
            scope.spawn("bulk write", work);
        scope.join();
    }
    Result<> done;
    for (const BulkJob& job : jobs) {
        const bool is_final = !job.written.ok() && job.written.error() != Error::out_of_space &&
                              job.written.error() != Error::unavailable;
        SOMETIMES(!job.written.ok() && !is_final, "journal/bulk-write-came-back");
        if (is_final) done = job.written;
    }
    return done;
}

void Journal::end_bulk_jobs(std::span<const BulkJob> jobs) {
    bulk_busy_.clear();
    for (const BulkJob& job : jobs)
        if (Signal* const detached = bulk_.at(job.group).detached) detached->set();
}

void Journal::note_named(Known& known, const wire::Frame& frame) {
    const std::int64_t index = frame.first.index;
    forget_named(known, index, index + 1);
    if (!frame.place.is_known() || index < known.released.index) return;
    const std::uint64_t bytes = wire::stored_size(frame);
    known.named.emplace(index, bytes);
    bulk_held_ += bytes;
}

void Journal::forget_named(Known& known, std::int64_t from, std::int64_t to) {
    for (auto at = known.named.lower_bound(from); at != known.named.end() && at->first < to;) {
        bulk_held_ -= at->second;
        at = known.named.erase(at);
    }
}

} // namespace pyralog
