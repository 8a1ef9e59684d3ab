#include "core/log/salvage.h"

#include "core/base/probe.h"
#include "core/log/file_names.h"
#include "core/log/journal.h"
#include "core/log/log.h"
#include "core/log/read_device.h"
#include "core/log/segment.h"
#include "core/log/set_aside.h"

#include <algorithm>
#include <set>

namespace pyralog {

namespace {

constexpr std::size_t salvage_bytes_max = 4_MiB;

using LostRange = SalvagedLog::Range;
using KeptPiece = SalvagedLog::Piece;

// Where something stands in the journal. Names of its files are in the order of their numbers.
using FramePlace = std::pair<std::string, std::uint64_t>;

// A segment as recovery finds it.
struct SegmentPart {
    std::string path;
    std::int64_t name = 0; // Its first index, by that.
    Position first, end;   // The same if there is nothing in it.
    Term first_term, last_term;
    bool sealed = false;
    bool is_empty() const { return first == end; }
};

// What is known of one group.
struct Remains {
    LogStart start;
    Position marked; // So far the segments reached.
    Term term;
    std::map<std::int64_t, wire::Frame> entries; // Of the journal.
    FramePlace seen;                             // The last of them.
    std::vector<SegmentPart> parts;

    void take(const wire::Frame& frame, const FramePlace& place);
    void take_entry(const wire::Frame& frame);
    const SegmentPart* part_at(std::int64_t index) const;
    const wire::Frame* entry_at(Position place, Term least) const;
    Position end() const;
    std::optional<LogStart> start_behind(std::int64_t index) const;
};

void Remains::take(const wire::Frame& frame, const FramePlace& place) {
    term = std::max(term, frame.term);
    switch (frame.kind) {
    case wire::Frame::Kind::vote:
    case wire::Frame::Kind::seal: return;
    case wire::Frame::Kind::mark: marked = std::max(marked, frame.first); return;
    case wire::Frame::Kind::start:
        if (const auto read = wire::start_of(frame); read.ok())
            start = std::max(start, read.value());
        return;
    case wire::Frame::Kind::cut:
        entries.erase(entries.lower_bound(frame.first.index), entries.end());
        seen = place;
        return;
    default: take_entry(frame); seen = place;
    }
}

// Where two differ, what cut the first is lost; the later one counts.
void Remains::take_entry(const wire::Frame& frame) {
    const auto [there, is_new] = entries.try_emplace(frame.first.index, frame);
    if (is_new) return;
    const bool is_same = wire::is_same_entry(there->second, frame) ||
                         wire::is_reduced_from(there->second, frame) ||
                         wire::is_reduced_from(frame, there->second);
    if (!is_same) {
        REACHABLE("salvage/a-cut-is-lost");
        entries.erase(there, entries.end());
        entries.emplace(frame.first.index, frame);
    } else if (there->second.damaged > 0) {
        there->second = frame;
    }
}

const SegmentPart* Remains::part_at(std::int64_t index) const {
    const auto found = std::ranges::find_if(parts, [&](const SegmentPart& part) {
        return part.first.index <= index && index < part.end.index;
    });
    return found == parts.end() ? nullptr : &*found;
}

const wire::Frame* Remains::entry_at(Position place, Term least) const {
    const auto found = entries.find(place.index);
    if (found == entries.end()) return nullptr;
    const wire::Frame& frame = found->second;
    return frame.first == place && frame.damaged == 0 && frame.term >= least ? &frame : nullptr;
}

Position Remains::end() const {
    Position end = std::max(start.first, marked);
    for (const SegmentPart& part : parts) end = std::max(end, part.end);
    if (!entries.empty()) end = std::max(end, entries.rbegin()->second.end());
    return end;
}

// Where the first entry stands that is behind this one, and there.
std::optional<LogStart> Remains::start_behind(std::int64_t index) const {
    std::optional<LogStart> first;
    const auto offer = [&](Position place, Term of) {
        if (place.index > index && (!first || place.index < first->first.index))
            first = LogStart{place, of, place.offset};
    };
    for (const SegmentPart& part : parts)
        if (!part.is_empty()) offer(part.first, part.first_term);
    for (const auto& [at, frame] : entries)
        if (frame.damaged == 0) offer(frame.first, frame.term);
    return first;
}

class Salvager {
public:
    Salvager(Environment& env, const SalvageFacts& facts) : env_(env), facts_(facts) {}
    Result<Salvage> plan();

private:
    Result<> look();
    void take(std::string_view path, std::uint64_t position, const wire::Frame& frame, bool intact);
    Result<> find_parts(GroupId group, Remains& known);
    Result<> read_extents(Remains& known);
    Result<SalvagedLog> salvage(GroupId group, const Remains& known) const;
    Result<> walk(const Remains& known, SalvagedLog& log, std::set<std::string>& kept) const;
    Result<std::int64_t> readable_end(const SegmentPart& part, GroupId group, Position& at) const;
    void tell_lost(const Remains& known, SalvagedLog& log) const;
    void tell_why(SalvagedLog& log) const;

    Environment& env_;
    const SalvageFacts& facts_;
    Survey survey_;
    std::map<GroupId, Remains> known_;
    std::vector<Finding> journal_losses_; // Rounds, files: nobody knows what was in them.
};

// Frames of the journal, in order, also those behind something that is lost.
void Salvager::take(std::string_view path, std::uint64_t position, const wire::Frame& frame,
                    bool intact) {
    const auto known = known_.find(frame.group);
    if (known == known_.end() || !path.ends_with(".log")) return;
    known->second.take(intact ? frame : wire::without_payload(frame),
                       {std::string(path), position});
}

Result<> Salvager::look() {
    for (const GroupId group : facts_.groups) {
        Remains& known = known_[group];
        const auto start = facts_.starts.find(group);
        if (start != facts_.starts.end()) known.start = start->second;
    }
    survey_ = TRY(survey(
        env_, std::string(journal_name),
        [this](std::string_view path, std::uint64_t position, const wire::Frame& frame,
               bool intact) { take(path, position, frame, intact); }));
    for (const Finding& finding : survey_.findings)
        if (finding.consequence == Consequence::refused && !finding.group &&
            finding.path.starts_with(std::string(journal_name) + '/'))
            journal_losses_.push_back(finding);
    std::uint64_t newest = 0;
    const auto names = env_.disk.list(journal_name);
    if (!names.ok() && names.error() != Error::not_found) return names.error();
    if (names.ok())
        for (const std::string& name : names.value())
            newest = std::max(newest, journal_file_number(name).value_or(0));
    if (newest < facts_.newest_journal)
        journal_losses_.push_back(
            {std::string(journal_name) + '/' + journal_file_name(facts_.newest_journal),
             0,
             "the newest file is missing",
             Consequence::refused,
             {},
             {},
             {}});
    for (auto& [group, known] : known_) {
        TRY(find_parts(group, known));
        TRY(read_extents(known));
    }
    return {};
}

// Entries that the journal only names, and no segment has yet.
Result<> Salvager::read_extents(Remains& known) {
    for (auto& [index, frame] : known.entries) {
        if (frame.damaged == 0 || !frame.place.is_known() || known.part_at(index)) continue;
        const auto whole = TRY(read_extent(env_.disk, frame));
        SOMETIMES(whole.has_value(), "salvage/entry-that-was-only-named");
        if (whole) frame = *whole;
    }
    return {};
}

Result<> Salvager::find_parts(GroupId group, Remains& known) {
    const std::string directory = group_directory(group);
    const auto names = env_.disk.list(directory);
    if (!names.ok() && names.error() == Error::not_found) return {};
    if (!names.ok()) return names.error();
    std::vector<std::int64_t> firsts;
    for (const std::string& name : names.value())
        if (const auto first = segment_first_index(name)) firsts.push_back(*first);
    for (std::size_t i = 0; i < firsts.size(); ++i) {
        SegmentPart part{
            directory + '/' + segment_file_name(firsts[i]), firsts[i], {}, {}, {}, {}, false};
        // What was written ahead counts as far as somebody says so.
        const std::int64_t committed = i + 1 < firsts.size()
                                           ? firsts[i + 1]
                                           : std::max(known.marked.index, known.start.first.index);
        const auto opened = Segment::open(env_, part.path, group, firsts[i], nullptr, committed);
        if (!opened.ok() && opened.error() != Error::corrupt) return opened.error();
        if (opened.ok() && opened.value()) {
            const Segment& segment = *opened.value();
            part.first = segment.first();
            part.end = segment.end();
            part.sealed = segment.sealed();
            const auto& terms = segment.index().terms;
            if (!terms.empty()) {
                part.first_term = terms.front().term;
                part.last_term = terms.back().term;
            }
            known.term = std::max(known.term, part.last_term);
        }
        known.parts.push_back(std::move(part));
    }
    return {};
}

// Of what is copied. `at` goes with it.
Result<std::int64_t> Salvager::readable_end(const SegmentPart& part, GroupId group,
                                            Position& at) const {
    const auto segment =
        TRY(Segment::open(env_, part.path, group, part.name, nullptr, part.end.index));
    while (segment && at.index < part.end.index) {
        const auto frames = segment->read(at.index, part.end.index, salvage_bytes_max);
        if (!frames.ok() && frames.error() != Error::corrupt) return frames.error();
        if (frames.ok()) {
            at = frames.value().back().end();
            continue;
        }
        // One of them is lost: up to that, one by one.
        const auto one = segment->read(at.index, at.index + 1, salvage_bytes_max);
        if (!one.ok() && one.error() != Error::corrupt) return one.error();
        if (!one.ok()) break;
        at = one.value().back().end();
    }
    return at.index;
}

// From the start on, as far as each entry has one that follows it.
Result<> Salvager::walk(const Remains& known, SalvagedLog& log, std::set<std::string>& kept) const {
    Position at = log.start.first;
    Term last = log.start.before;
    const SegmentPart* newest = nullptr;
    log.segments_end = at;
    for (;;) {
        const bool in_place = log.pieces.empty();
        const SegmentPart* const part = known.part_at(at.index);
        if (part && part->last_term < last) break;
        if (part && in_place && (part->first == at || at == log.start.first)) {
            kept.insert(part->path);
            newest = part;
            log.segments_end = at = part->end;
            last = part->last_term;
        } else if (part) {
            const std::int64_t from = at.index;
            const std::int64_t to = TRY(readable_end(*part, log.group, at));
            if (to == from) break;
            log.pieces.push_back({{}, part->path, part->name, from, to});
            if (to < part->end.index) break;
            last = part->last_term;
        } else if (const wire::Frame* const frame = known.entry_at(at, last)) {
            if (in_place || !log.pieces.back().path.empty()) log.pieces.emplace_back();
            log.pieces.back().frames.push_back(*frame);
            at = frame->end();
            last = frame->term;
        } else {
            break;
        }
    }
    log.end = at;
    // A node would cut off what stands behind its last good frame, and nothing is to be deleted.
    const bool has_more = log.pieces.empty() && known.end().index > at.index;
    if (newest && !newest->sealed && has_more) {
        kept.erase(newest->path);
        const Position from = std::max(newest->first, log.start.first);
        log.segments_end = from;
        log.pieces.push_back({{}, newest->path, newest->name, from.index, newest->end.index});
    }
    for (const SegmentPart& part : known.parts)
        if (part.is_empty() && part.first == log.segments_end && part.end.index == part.name &&
            !has_more)
            kept.insert(part.path);
    return {};
}

// What is known to have been there, and is not kept.
void Salvager::tell_lost(const Remains& known, SalvagedLog& log) const {
    std::vector<LostRange> there;
    for (const SegmentPart& part : known.parts)
        if (!part.is_empty()) there.push_back({part.first, part.end, true});
    for (const auto& [index, frame] : known.entries)
        there.push_back({frame.first, frame.end(), frame.damaged == 0});
    std::ranges::stable_sort(there, {}, [](const LostRange& range) { return range.from.index; });
    const auto add = [&](Position from, Position to, bool is_intact) {
        const bool joins = !log.lost.empty() && log.lost.back().to == from &&
                           log.lost.back().is_intact == is_intact;
        if (joins)
            log.lost.back().to = to;
        else
            log.lost.push_back({from, to, is_intact});
    };
    Position at = log.end;
    for (const LostRange& range : there) {
        if (range.to->index <= at.index) continue;
        if (range.from.index > at.index) add(at, range.from, false);
        add(std::max(at, range.from), *range.to, range.is_intact);
        at = *range.to;
    }
    if (known.end().index > at.index) add(at, known.end(), false);
    // What was in a round or a file that is lost, nobody knows, unless something follows it.
    const bool is_open = std::ranges::any_of(journal_losses_, [&](const Finding& finding) {
        return FramePlace(finding.path, finding.file_position) > known.seen;
    });
    if (is_open) log.lost.push_back({std::max(at, known.end()), {}, false});
}

void Salvager::tell_why(SalvagedLog& log) const {
    if (log.lost.empty()) return;
    log.why = journal_losses_;
    const std::string directory = group_directory(log.group);
    for (const Finding& finding : survey_.findings) {
        const bool is_here = finding.group == log.group || finding.path == directory ||
                             finding.path.starts_with(directory + '/');
        if (is_here && finding.is_damage()) log.why.push_back(finding);
    }
}

Result<SalvagedLog> Salvager::salvage(GroupId group, const Remains& known) const {
    SalvagedLog log;
    log.group = group;
    log.start = known.start;
    log.term = known.term;
    std::set<std::string> kept;
    TRY(walk(known, log, kept));
    const auto later = known.start_behind(log.start.first.index);
    if (log.end == log.start.first && later) {
        REACHABLE("salvage/begins-late");
        log.lost.push_back({log.start.first, later->first, false});
        log.start = *later;
        TRY(walk(known, log, kept));
    }
    tell_lost(known, log);
    tell_why(log);
    for (std::size_t i = 0; i < known.parts.size(); ++i) {
        const SegmentPart& part = known.parts[i];
        const std::int64_t end = !part.is_empty()             ? part.end.index
                                 : i + 1 < known.parts.size() ? known.parts[i + 1].name
                                                              : part.name + 1;
        const bool is_old = end <= known.start.first.index;
        if (!is_old && !kept.contains(part.path)) log.set_aside.push_back(part.path);
    }
    return log;
}

Result<Salvage> Salvager::plan() {
    Salvage salvaged;
    const Result<> recovered = try_recovery(env_, facts_);
    if (!recovered.ok() && recovered.error() != Error::corrupt) return recovered.error();
    salvaged.is_needed = !recovered.ok();
    TRY(look());
    for (const auto& [group, known] : known_) {
        if (salvaged.is_needed) {
            salvaged.logs.push_back(TRY(salvage(group, known)));
            continue;
        }
        const SurveyedGroup& found = survey_.groups[group];
        SalvagedLog log;
        log.group = group;
        log.start = found.start;
        log.segments_end = found.segments_end;
        log.end = found.end;
        log.term = known.term;
        salvaged.logs.push_back(std::move(log));
    }
    for (const Finding& finding : survey_.findings)
        if (finding.consequence == Consequence::unreadable &&
            (!salvaged.is_needed || !finding.path.ends_with(".log")))
            salvaged.unreadable.push_back(finding);
    return salvaged;
}

Result<> remove_flat_directory(Disk& disk, const std::string& path) {
    const auto names = disk.list(path);
    if (!names.ok() && names.error() == Error::not_found) return {};
    if (!names.ok()) return names.error();
    for (const std::string& name : names.value()) TRY(disk.remove(path + '/' + name));
    TRY(disk.sync_directory(path));
    TRY(disk.remove(path));
    return disk.sync_directory("");
}

Result<> append_piece(Environment& env, Journal& journal, GroupId group, const KeptPiece& piece) {
    std::size_t waiting = 0;
    const auto append = [&](wire::Frame frame) -> Result<> {
        frame.round = 0;
        waiting += wire::stored_size(frame);
        journal.append(frame);
        if (waiting < salvage_bytes_max) return {};
        waiting = 0;
        return journal.sync();
    };
    for (const wire::Frame& frame : piece.frames) TRY(append(frame));
    if (piece.path.empty()) return {};
    const auto segment =
        TRY(Segment::open(env, piece.path, group, piece.first_index, nullptr, piece.to));
    if (!segment) return Error::corrupt;
    for (std::int64_t at = piece.from; at < piece.to;) {
        const auto frames = TRY(segment->read(at, piece.to, salvage_bytes_max));
        for (const wire::Frame& frame : frames) TRY(append(frame));
        at = frames.back().end().index;
    }
    return {};
}

Result<> append_all(Environment& env, Journal& journal, const Salvage& salvage) {
    for (const SalvagedLog& log : salvage.logs) {
        if (log.term > Term()) {
            // Of its last vote no more than the term: in that one nobody gets it any more.
            wire::Frame vote;
            vote.kind = wire::Frame::Kind::vote;
            vote.group = log.group;
            vote.term = log.term;
            journal.append(vote);
        }
        if (log.start != LogStart()) journal.append(wire::start_frame(log.group, log.start));
        for (const KeptPiece& piece : log.pieces) TRY(append_piece(env, journal, log.group, piece));
    }
    return journal.sync();
}

} // namespace

bool Salvage::loses() const {
    return std::ranges::any_of(logs, [](const SalvagedLog& log) { return !log.lost.empty(); });
}

Result<> try_recovery(Environment& env, const SalvageFacts& facts) {
    const LogConfig config;
    Journal journal(env, std::string(journal_name), JournalConfig(), facts.identity);
    TailBudget budget(env.metrics, config.node_cache_bytes,
                      static_cast<std::size_t>(config.open_segments_max));
    std::map<GroupId, std::unique_ptr<Log>> logs;
    for (const GroupId group : facts.groups)
        logs[group] = TRY(Log::open(env, journal, budget, config, group));
    for (const auto& [group, start] : facts.starts)
        if (logs.contains(group)) TRY(logs[group]->replay(wire::start_frame(group, start)));
    journal.expect(facts.newest_journal, {});
    const Result<> read = journal.inspect([&](const wire::Frame& frame) -> Result<> {
        const auto log = logs.find(frame.group);
        return log == logs.end() ? Result<>() : log->second->replay(frame);
    });
    // No directory is what a new node has, unless there was a file.
    const bool is_new = !read.ok() && read.error() == Error::not_found;
    if (is_new && facts.newest_journal > 0) return Error::corrupt;
    if (!is_new) TRY(read);
    for (auto& [group, log] : logs) TRY(log->finish_replay());
    return {};
}

Result<Salvage> plan_salvage(Environment& env, const SalvageFacts& facts) {
    return Salvager(env, facts).plan();
}

Result<> write_salvaged_journal(Environment& env, const Salvage& salvage,
                                const JournalConfig& config, std::uint64_t identity) {
    const std::string directory(salvaged_journal_name);
    TRY(remove_flat_directory(env.disk, directory));
    Journal journal(env, directory, config, identity);
    for (const SalvagedLog& log : salvage.logs) journal.release(log.group, log.segments_end);
    TRY(journal.open([](const wire::Frame&) { return Result<>(); }));
    Result<> failed;
    Scope scope(env.fibers);
    scope.spawn("salvaged journal", [&] { failed = journal.run(); });
    return append_all(env, journal, salvage);
}

Result<std::string> take_salvaged_journal(Environment& env, const std::vector<std::string>& files) {
    SetAside aside(env);
    for (const std::string& file : files) TRY(aside.take(file));
    const auto fresh = env.disk.list(salvaged_journal_name);
    if (!fresh.ok() && fresh.error() == Error::not_found) return aside.where();
    if (!fresh.ok()) return fresh.error();
    // As long as the new one is there, the other is the old one.
    TRY(aside.take(std::string(journal_name)));
    TRY(env.disk.rename(salvaged_journal_name, journal_name));
    TRY(env.disk.sync_directory(""));
    return aside.where();
}

} // namespace pyralog
