#include "server/compaction.h"

#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/probe.h"

#include <algorithm>
#include <set>

namespace pyralog::server {

namespace {

// A group that cannot agree on it now will be asked again.
constexpr Duration low_water_patience = 5s;
constexpr Duration pause_most = 100ms;

bool is_enough(const Compactable& found, std::int64_t min_millionths) {
    const std::uint64_t all = found.clean_bytes + found.dirty_bytes;
    if (found.dirty_bytes == 0) return false;
    // In units in which no product overflows.
    const std::uint64_t unit = 1 + all / (std::uint64_t{1} << 40);
    return found.dirty_bytes / unit * millionths >=
           all / unit * static_cast<std::uint64_t>(min_millionths);
}

} // namespace

Compaction::Compaction(Environment& env, const TopicConfig& config, raft::Host& host,
                       const Controller& controller, const SpaceWatch& space)
    : env_(env), config_(config), host_(host), controller_(controller), space_(space),
      agreed_total_(env.metrics, "pyralog_compactions_agreed_total",
                    "How often partitions that are led here were to be compacted further."),
      passes_total_(env.metrics, "pyralog_compaction_passes_total",
                    "How often all of a partition's log was gone through to compact it."),
      segments_total_(env.metrics, "pyralog_compacted_segments_total",
                      "Segments that compaction has written anew."),
      bytes_total_(env.metrics, "pyralog_compacted_bytes_total",
                   "Bytes that compaction has written."),
      records_total_(env.metrics, "pyralog_compacted_records_total",
                     "Records that compaction has dropped.") {}

Result<> Compaction::run() {
    for (;;) {
        TRY(env_.fibers.sleep_until(env_.clock.now() + config_.compaction_interval));
        TRY(look());
    }
}

// The catalogue may change while somebody agrees.
Result<> Compaction::look() {
    std::vector<std::pair<GroupId, Rules>> partitions;
    std::set<GroupId> known;
    for (const auto& [name, topic] : controller_.catalogue().topics()) {
        const auto rules = topic.settings.compaction();
        if (!rules) continue;
        for (const Topic::Partition& partition : topic.partitions) {
            partitions.emplace_back(partition.group, *rules);
            known.insert(partition.group);
        }
    }
    std::erase_if(deletes_, [&](const auto& seen) { return !known.contains(seen.first); });
    for (const auto& [group, rules] : partitions) TRY(look_at(group, rules));
    return {};
}

Result<> Compaction::look_at(GroupId id, const Rules& rules) {
    const raft::GroupRef group = host_.find(id);
    if (!group) return {};
    if (group->serves()) TRY(propose(*group, rules));
    SOMETIMES(space_.is_short(), "compaction/waits-for-space");
    if (space_.is_short()) return {};
    return compact(*group);
}

// ---- The leader ----

// Nothing new while this replica itself has still to do what was agreed last.
Result<> Compaction::propose(raft::Group& group, const Rules& rules) {
    const auto read = group.compaction();
    if (!read.ok()) return read.error() == Error::cancelled ? read.error() : Result<>();
    const wire::Compaction last = read.value().value_or(wire::Compaction());
    if (!group.log().compacted().has(last.to)) return {};
    const wire::Compaction wanted = TRY(next(group, last, rules));
    if (wanted == last || !group.serves()) return {};
    Result<> agreed;
    {
        const Deadline deadline(env_.fibers, env_.clock.now() + low_water_patience);
        agreed = group.agree(wanted);
    }
    if (!agreed.ok() && agreed.error() == Error::cancelled) return Error::cancelled;
    SOMETIMES(agreed.ok(), "compaction/agreed");
    SOMETIMES(!agreed.ok(), "compaction/nobody-agreed");
    if (agreed.ok()) agreed_total_.add();
    return {};
}

Result<wire::Compaction> Compaction::next(raft::Group& group, const wire::Compaction& last,
                                          const Rules& rules) {
    wire::Compaction next = last;
    const std::int64_t now = env_.clock.wall().unix_ms;
    std::optional<std::int64_t> newest;
    if (rules.min_lag_ms > 0) newest = now - rules.min_lag_ms;
    // Behind it there may be transactions that are open.
    const auto stable = group.stable_end();
    SOMETIMES(!stable.ok(), "compaction/does-not-know-what-counts");
    if (!stable.ok()) return next;
    const Compactable found = group.log().compactable(last.to.end, newest, stable.value());
    const bool is_further = found.end.index > last.to.end.index;
    const bool is_dirty = is_further && (is_enough(found, rules.min_dirty_millionths) ||
                                         BUGGIFY("compaction/is-easily-satisfied"));
    if (is_dirty) next.to.end = found.end;
    if (!is_dirty && !may_have_deletes(group.id())) return next;
    const bool is_waiting = last.waiting > last.to.deleted;
    if (is_waiting && now - last.waiting_since_ms >= rules.delete_retention_ms) {
        REACHABLE("compaction/deletes-have-waited");
        next.to.deleted = last.waiting;
    }
    if (next.to.deleted < next.to.end.offset && BUG(N03)) next.to.deleted = next.to.end.offset;
    if (next.waiting > next.to.deleted || last.to.end.offset <= next.to.deleted) return next;
    const Result<Position> everywhere = host_.compacted_everywhere(group);
    if (!everywhere.ok() && everywhere.error() == Error::cancelled) return Error::cancelled;
    if (!everywhere.ok()) return next;
    SOMETIMES(everywhere.value() < last.to.end, "compaction/not-yet-everywhere");
    const Offset begin = std::min(everywhere.value().offset, last.to.end.offset);
    if (begin <= next.to.deleted) return next;
    next.waiting = begin;
    next.waiting_since_ms = now;
    return next;
}

// Of a log that this node has not compacted yet nobody knows.
bool Compaction::may_have_deletes(GroupId id) const {
    const auto seen = deletes_.find(id);
    return seen == deletes_.end() || seen->second > 0;
}

// ---- Every replica ----

// Nothing is to be done: there is none.
Result<std::unique_ptr<KafkaBatches>> Compaction::reader_of(raft::Group& group) {
    std::unique_ptr<KafkaBatches> none;
    if (group.log().is_compacted()) return none;
    const Result<> known = group.load_producers();
    if (!known.ok() && known.error() == Error::cancelled) return Error::cancelled;
    if (!known.ok() || !group.producers()) return none;
    const auto& aborted = group.producers()->aborted();
    if (!aborted.empty() && BUG(N04)) return std::make_unique<KafkaBatches>();
    return std::make_unique<KafkaBatches>(aborted);
}

Result<> Compaction::compact(raft::Group& group) {
    // After each MiB it rests for as long as it has worked: others have the disk and the processor
    // for half of the time at least.
    Time began = env_.clock.now();
    const auto pace = [&]() -> Result<> {
        if (group.is_closing() || space_.is_short()) return Error::unavailable;
        const Time now = env_.clock.now();
        TRY(env_.fibers.sleep_until(now + std::min(now - began, pause_most)));
        began = env_.clock.now();
        return {};
    };
    const auto reader = TRY(reader_of(group));
    if (!reader) return {};
    const auto done = group.compact(*reader, config_.compaction_key_bytes_max, pace);
    if (!done.ok()) {
        SOMETIMES(done.error() == Error::unavailable, "compaction/too-early");
        SOMETIMES(done.error() == Error::corrupt, "compaction/of-a-damaged-log");
        switch (done.error()) {
        case Error::unavailable:
        case Error::not_found:
        case Error::corrupt: return {};
        case Error::out_of_space:
            env_.log.warning("no space to compact a partition", {{"group", group.id()}});
            return {};
        default: return done.error();
        }
    }
    const CompactionWork& work = done.value();
    if (work.passes == 0) return {};
    deletes_[group.id()] = work.deletes;
    passes_total_.add(work.passes);
    segments_total_.add(work.segments);
    bytes_total_.add(work.bytes);
    records_total_.add(work.records);
    SOMETIMES(work.records > 0, "compaction/dropped-records");
    if (work.records > 0)
        env_.log.info("compacted a partition",
                      {{"group", group.id()}, {"records_dropped", work.records}});
    return {};
}

} // namespace pyralog::server
