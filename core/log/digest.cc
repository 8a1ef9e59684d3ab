#include "core/log/digest.h"

#include "core/base/crc32c.h"
#include "core/log/compacted_note.h"
#include "core/log/file_names.h"
#include "core/log/journal.h"
#include "core/log/log.h"
#include "core/log/read_device.h"
#include "core/log/segment.h"

#include <algorithm>
#include <functional>
#include <map>

namespace pyralog {

namespace {

constexpr std::size_t read_bytes_max = 4_MiB;

// An entry without its payload, of which the header has the sum.
struct Known {
    Position first;
    LogDigest::Entry entry;
    Bytes header;
    bool is_damaged = false;                // All but the header is lost,
    std::optional<wire::Frame> extent = {}; // or it is where this says.
};

// What is read of one group: the segments are summed up as they are read; what the journal has may
// yet be cut, and comes in any order.
struct Reading {
    LogDigest digest;
    std::map<std::int64_t, Known> journal;
    Position marked; // So far the segments must reach.
};

// Of a frame whose payload has been compared with its sum.
Known known(const wire::Frame& frame) {
    const bool is_reduced = frame.kind == wire::Frame::Kind::reduced;
    Known known{frame.first, {frame.term, frame.end(), 0, is_reduced}, {}, frame.damaged > 0};
    if (known.is_damaged) return known;
    wire::Frame entry = frame;
    entry.round = 0; // Where it stood in the journal is this node's own affair.
    known.header = wire::encode_header(entry);
    known.entry.sum = crc32c(known.header.view());
    return known;
}

Error damaged(Environment& env, GroupId group, std::string_view what, Position where) {
    env.log.error("log is damaged", {{"group", group}, {"what", what}, {"position", where}});
    return Error::corrupt;
}

// From the log's start on.
Result<> read_segment(Segment& segment, LogDigest& digest) {
    while (digest.end().index < segment.end().index) {
        const std::vector<wire::Frame> frames =
            TRY(segment.read(digest.end().index, segment.end().index, read_bytes_max));
        CHECK(!frames.empty());
        for (const wire::Frame& frame : frames) digest.entries.push_back(known(frame).entry);
    }
    return {};
}

// Before the start of the log there may be gaps.
Result<> read_segments(Environment& env, Reading& into) {
    LogDigest& digest = into.digest;
    const std::string directory = group_directory(digest.group);
    Position end;
    std::vector<std::int64_t> firsts;
    for (const std::string& name : TRY(env.disk.list(directory))) {
        if (name == compacted_note_name)
            digest.compacted = TRY(read_compacted_note(env, directory + '/' + name, digest.group))
                                   .value_or(wire::Compacted());
        if (const auto first = segment_first_index(name)) firsts.push_back(*first);
    }
    for (std::size_t i = 0; i < firsts.size(); ++i) {
        const std::int64_t committed = i + 1 < firsts.size()
                                           ? firsts[i + 1]
                                           : std::max(into.marked.index, digest.start.first.index);
        const auto segment = TRY(Segment::open(env, directory + '/' + segment_file_name(firsts[i]),
                                               digest.group, firsts[i], nullptr, committed));
        if (!segment) continue; // Never used; or the next one, or the mark, does not follow.
        if (segment->first() != end && segment->first().index > digest.start.first.index)
            return damaged(env, digest.group, "segments do not follow each other",
                           segment->first());
        end = segment->end();
        TRY(read_segment(*segment, digest));
    }
    digest.segments_end = digest.end();
    return {};
}

// The first time that the journal is read. What segments may have lost, and how far they reach.
Result<> take_bounds(Reading& into, const wire::Frame& frame) {
    if (frame.kind == wire::Frame::Kind::mark) into.marked = std::max(into.marked, frame.first);
    if (frame.kind == wire::Frame::Kind::start)
        into.digest.start = std::max(into.digest.start, TRY(wire::start_of(frame)));
    return {};
}

// The second time.
Result<> take(Environment& env, Reading& into, const wire::Frame& frame) {
    const std::int64_t segments_end = into.digest.segments_end.index;
    if (frame.kind == wire::Frame::Kind::cut) {
        into.journal.erase(into.journal.lower_bound(std::max(frame.first.index, segments_end)),
                           into.journal.end());
    } else if (frame.is_entry() && frame.first.index >= segments_end) {
        Known next = known(frame);
        if (frame.place.is_known()) next.extent = frame;
        const auto there = into.journal.find(frame.first.index);
        if (there == into.journal.end() || there->second.is_damaged)
            into.journal.insert_or_assign(frame.first.index, std::move(next));
        else if (!next.is_damaged && !next.entry.is_reduced && !there->second.entry.is_reduced &&
                 there->second.header.text() != next.header.text())
            return damaged(env, frame.group, "two entries in one place", frame.first);
    }
    return {};
}

Result<> finish(Environment& env, Reading& reading) {
    if (reading.digest.segments_end.index < reading.marked.index)
        return damaged(env, reading.digest.group, "segments have lost entries", reading.marked);
    for (auto& [index, next] : reading.journal) {
        // Not before it is known that nothing has overruled it.
        if (next.extent)
            if (const auto whole = TRY(read_extent(env.disk, *next.extent))) next = known(*whole);
        if (next.first != reading.digest.end())
            return damaged(env, reading.digest.group, "entries are missing", reading.digest.end());
        if (next.is_damaged)
            return damaged(env, reading.digest.group, "a payload is damaged", next.first);
        reading.digest.entries.push_back(next.entry);
    }
    return {};
}

// Every journal file says whose it is; the Journal then sees to it that all say the same.
Result<std::optional<std::uint64_t>> identity_in(Environment& env, const std::string& directory) {
    const auto names = env.disk.list(directory);
    if (!names.ok() && names.error() == Error::not_found) return std::optional<std::uint64_t>();
    if (!names.ok()) return names.error();
    for (const std::string& name : names.value()) {
        if (!journal_file_number(name)) continue;
        const auto file = TRY(env.disk.open(directory + '/' + name, Disk::Open::existing));
        Buffer block(wire::JournalHeader::size);
        const std::size_t got = TRY(file->read_at(0, block.view()));
        const auto header = wire::decode_journal_header(block.view().first(got));
        if (header) return std::optional(header->identity);
    }
    return std::optional<std::uint64_t>();
}

// A group that was deleted: its files are gone, and of the journal only the older part.
bool is_left_over(const Reading& reading) {
    return reading.digest.entries.empty() && reading.marked == Position{} &&
           reading.digest.start == LogStart{} &&
           (reading.journal.empty() || reading.journal.begin()->first > 0);
}

using Readings = std::map<GroupId, Reading>;

Result<> read_journal(Environment& env, const std::string& directory, Readings& readings,
                      const std::function<Result<>(Reading&, const wire::Frame&)>& take) {
    const auto identity = TRY(identity_in(env, directory));
    if (!identity) return {};
    Journal journal(env, directory, JournalConfig(), *identity);
    return journal.inspect([&](const wire::Frame& frame) -> Result<> {
        Reading& reading = readings[frame.group];
        reading.digest.group = frame.group;
        return take(reading, frame);
    });
}

// Of the entry before `end`, or of the log's start.
Position end_before(const LogDigest& replica, std::int64_t index) {
    const std::int64_t place = index - replica.start.first.index;
    return place == 0 ? replica.start.first
                      : replica.entries[static_cast<std::size_t>(place - 1)].end;
}

const LogDigest::Entry& entry_at(const LogDigest& replica, std::int64_t index) {
    return replica.entries[static_cast<std::size_t>(index - replica.start.first.index)];
}

// The same entry in both, as far as that can be told: what compaction leaves of one is the same as
// soon as both have gone as far.
bool is_same(const LogDigest& one, const LogDigest& other, std::int64_t index) {
    const LogDigest::Entry& here = entry_at(one, index);
    const LogDigest::Entry& there = entry_at(other, index);
    if (here == there) return true;
    const bool is_reduced = here.is_reduced || there.is_reduced;
    const bool is_final = one.compacted == other.compacted && index < one.compacted.end.index;
    return is_reduced && !is_final && here.term == there.term && here.end == there.end;
}

} // namespace

Result<std::vector<LogDigest>> digest_logs(Environment& env, const std::string& journal_directory) {
    Readings readings;
    TRY(read_journal(env, journal_directory, readings, take_bounds));
    for (const GroupId group : TRY(Log::list(env))) {
        Reading& reading = readings[group];
        reading.digest.group = group;
        TRY(read_segments(env, reading));
    }
    for (auto& [group, reading] : readings)
        reading.digest.segments_end = reading.digest.end(); // Also where there is no directory.
    TRY(read_journal(
        env, journal_directory, readings,
        [&](Reading& into, const wire::Frame& frame) -> Result<> {
            return take(env, into, frame);
        }));
    std::vector<LogDigest> digests;
    for (auto& [group, reading] : readings) {
        if (is_left_over(reading)) continue;
        TRY(finish(env, reading));
        digests.push_back(std::move(reading.digest));
    }
    return digests;
}

Agreement agreement(std::span<const LogDigest> replicas) {
    CHECK(!replicas.empty());
    Agreement result;
    std::int64_t shortest = replicas.front().end().index;
    for (const LogDigest& replica : replicas) {
        result.begin = std::max(result.begin, replica.start.first);
        shortest = std::min(shortest, replica.end().index);
    }
    result.end = result.begin;
    const auto same = [&](auto of) {
        return std::ranges::all_of(
            replicas, [&](const LogDigest& r) { return of(r) == of(replicas.front()); });
    };
    std::int64_t at = result.begin.index;
    if (at > shortest) return result; // One of them has yet to hear of the others' start.
    bool differs = !same([&](const LogDigest& r) { return end_before(r, at); });
    for (; !differs && at < shortest; ++at) {
        const LogDigest::Entry& entry = entry_at(replicas.front(), at);
        differs = !std::ranges::all_of(
            replicas, [&](const LogDigest& r) { return is_same(r, replicas.front(), at); });
        if (differs) break;
        result.end = entry.end;
        result.chain = crc32c(std::as_bytes(std::span(&entry.sum, 1)), result.chain);
    }
    if (differs) {
        result.differs = result.end;
        for (const LogDigest& replica : replicas)
            result.committed_differ |= result.end.index < replica.segments_end.index;
    }
    return result;
}

} // namespace pyralog
