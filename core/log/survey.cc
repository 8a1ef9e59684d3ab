#include "core/log/survey.h"

#include "core/base/random.h"
#include "core/log/file_names.h"
#include "core/wire/compaction.h"
#include "core/wire/journal.h"
#include "core/wire/log_start.h"
#include "core/wire/segment.h"

#include <algorithm>

namespace pyralog {

namespace {

using Kind = SurveyedFile::Kind;
constexpr std::size_t block = Buffer::disk_alignment;
constexpr std::size_t window_bytes = 4_MiB;

std::string number(std::uint64_t value) { return std::to_string(value); }

// A file in memory, with noise where a sector cannot be read.
struct Content {
    Bytes bytes;
    std::vector<std::uint64_t> unreadable; // Blocks, by where they begin.
};

Result<Content> read_content(Environment& env, const std::string& path) {
    const auto file = TRY(env.disk.open(path, Disk::Open::existing));
    const std::uint64_t size = TRY(file->size());
    Buffer memory(size);
    Content content;
    for (std::uint64_t at = 0; at < size;) {
        const std::size_t count = std::min<std::uint64_t>(window_bytes, size - at);
        const auto whole = file->read_at(at, memory.view().subspan(at, count));
        if (!whole.ok() && whole.error() != Error::corrupt) return whole.error();
        for (std::uint64_t b = at; !whole.ok() && b < at + count; b += block) {
            const auto part = memory.view().subspan(b, std::min<std::uint64_t>(block, size - b));
            const auto got = file->read_at(b, part);
            if (got.ok()) continue;
            if (got.error() != Error::corrupt) return got.error();
            // Nothing that anybody would have written there, or a checksum might be right.
            Random noise(b);
            for (std::byte& one : part) one = static_cast<std::byte>(noise.below(256));
            content.unreadable.push_back(b);
        }
        at += count;
    }
    content.bytes = std::move(memory).freeze(size);
    return content;
}

// All of the header must be there.
wire::HeaderBytes header_bytes(const Bytes& bytes, std::uint64_t at) {
    return wire::HeaderBytes(bytes.view().subspan(at, wire::Frame::header_size));
}

// Of a segment.
Result<wire::FrameHeader> header_at(const Bytes& bytes, std::uint64_t at) {
    return wire::decode_header_in_segment(header_bytes(bytes, at));
}

// An entry of the journal that may yet be cut, or come again.
struct Waiting {
    Position first, end;
    Term term;
    std::int32_t records = 0;
    std::size_t payload_bytes = 0;
    bool is_damaged = false;
    std::optional<wire::Frame> extent; // It is somewhere else.
};

class Surveyor {
public:
    Surveyor(Environment& env, const FrameVisitor& visit) : env_(env), visit_(visit) {}

    Result<> journal(const std::string& directory);
    Result<> segments();
    Result<> extents();
    Survey finish();

private:
    struct File {
        std::string path;
        wire::JournalHeader header;
        Content content;
    };

    // What it does to a segment that some of it is bad. Whoever reads passes what is between a mark
    // and the log's start, but for payloads; what lies before that nobody does.
    struct Harm {
        const wire::SegmentIndex* index; // None, and its last part is dropped.
        std::int64_t start;
        Consequence of(const wire::Frame& frame) const;
        Consequence up_to(std::uint64_t file_position) const;
    };

    Result<std::map<std::uint64_t, File>> journal_files(const std::string& directory);
    void check_chain(const std::string& directory, const std::map<std::uint64_t, File>& files);
    void journal_file(const File& file, std::optional<std::uint64_t> after_round);
    enum class Round : std::uint8_t { good, harmed, bad }; // Harmed: but for payloads.
    Round round(const File& file, const wire::RoundHeader& header, std::uint64_t position,
                std::vector<wire::Frame>& frames);
    static std::uint64_t later_round(const File& file, std::uint64_t position,
                                     std::uint64_t number);
    void take(const wire::Frame& frame);

    Result<> group(GroupId group);
    Result<> other_file(GroupId group, const std::string& path, std::string_view name);
    Result<> segment(GroupId group, const std::string& path, std::int64_t first_index,
                     std::optional<std::int64_t> next_index);
    void check_place(SurveyedGroup& group, const std::string& path,
                     const wire::SegmentHeader& header);
    std::uint64_t frames_of(GroupId group, const Content& content, std::uint64_t end,
                            SurveyedFile& found, Position& next,
                            std::optional<std::int64_t> committed, const Harm& harm);
    std::optional<std::uint64_t> next_frame(GroupId group, const Bytes& bytes, std::uint64_t from,
                                            std::uint64_t end, std::int64_t least) const;
    Result<> follow_extents(GroupId group);
    Result<bool> is_there(const wire::Frame& extent);
    void finish_group(GroupId group, SurveyedGroup& into);

    Finding& find(const std::string& path, std::uint64_t position, Consequence consequence,
                  std::string what) {
        survey_.findings.push_back({path, position, std::move(what), consequence, {}, {}, {}});
        return survey_.findings.back();
    }
    void bad_payload(const std::string& path, std::uint64_t position, const wire::Frame& frame,
                     Consequence consequence);
    void unreadable(const std::string& path, const Content& content, std::uint64_t end,
                    const Harm& harm);

    Environment& env_;
    const FrameVisitor& visit_;
    Survey survey_;
    std::map<GroupId, std::map<std::int64_t, Waiting>> waiting_;
    std::map<GroupId, Position> marked_; // So far the segments must reach.
    std::string newest_journal_;         // For what is missing from it.
};

void Surveyor::bad_payload(const std::string& path, std::uint64_t position,
                           const wire::Frame& frame, Consequence consequence) {
    const std::string group = number(static_cast<std::uint64_t>(frame.group.value));
    const std::string term = std::to_string(frame.term.value);
    const std::string what = frame.is_entry()
                                 ? "the payload of group " + group + ", index " +
                                       std::to_string(frame.first.index) + ", offset " +
                                       std::to_string(frame.first.offset.value) + ", term " + term
                                 : "the vote of group " + group + " in term " + term;
    Finding& finding = find(path, position, consequence, what + " is bad");
    finding.group = frame.group;
    finding.term = frame.term;
    if (frame.is_entry()) finding.entry = frame.first;
}

Consequence Surveyor::Harm::of(const wire::Frame& frame) const {
    if (!index) return Consequence::dropped;
    return frame.first.index < start ? Consequence::none : Consequence::unreadable;
}

Consequence Surveyor::Harm::up_to(std::uint64_t file_position) const {
    if (!index) return Consequence::dropped;
    const auto behind = std::ranges::lower_bound(index->marks, file_position, {},
                                                 &wire::SegmentIndex::Mark::file_position);
    const Position end = behind == index->marks.end() ? index->end : behind->entry;
    return end.index <= start ? Consequence::none : Consequence::unreadable;
}

void Surveyor::unreadable(const std::string& path, const Content& content, std::uint64_t end,
                          const Harm& harm) {
    for (const std::uint64_t position : content.unreadable)
        find(path, position, position < end ? harm.up_to(position + block) : Consequence::none,
             "a sector cannot be read");
}

// ---- The journal ----

Result<std::map<std::uint64_t, Surveyor::File>>
Surveyor::journal_files(const std::string& directory) {
    std::map<std::uint64_t, File> files;
    const auto names = env_.disk.list(directory);
    if (!names.ok() && names.error() == Error::not_found) return files;
    if (!names.ok()) return names.error();
    std::optional<std::uint64_t> identity;
    for (const std::string& name : names.value()) {
        const std::string path = directory + '/' + name;
        const auto file_number = journal_file_number(name);
        Content content = TRY(read_content(env_, path));
        if (!file_number) {
            const bool spare = spare_file_number(name).has_value();
            survey_.files.push_back(
                {path, spare ? Kind::spare : Kind::unknown, content.bytes.size()});
            if (!spare) find(path, 0, Consequence::none, "is no file of ours");
            continue;
        }
        // Known to be needed or not only once all headers are.
        const auto header = wire::decode_journal_header(content.bytes.view());
        const wire::JournalHeader read = header.value_or(wire::JournalHeader());
        if (!header)
            find(path, 0, Consequence::refused, "the header is bad");
        else if (read.number != *file_number)
            find(path, 0, Consequence::refused, "the file has another one's name");
        else if (read.identity != identity.value_or(read.identity))
            find(path, 0, Consequence::refused, "the file is another node's");
        if (header && !identity) identity = read.identity;
        files.emplace(*file_number, File{path, read, std::move(content)});
    }
    return files;
}

// What is older than the newest says is left over, whatever is wrong with it.
void Surveyor::check_chain(const std::string& directory,
                           const std::map<std::uint64_t, File>& files) {
    const wire::JournalHeader& newest = files.rbegin()->second.header;
    if (newest.number == 0) return; // Its header is bad, which was told.
    std::erase_if(survey_.findings, [&](const Finding& finding) {
        return finding.path < directory + '/' + journal_file_name(newest.oldest) &&
               finding.path.ends_with(".log");
    });
    std::vector<wire::JournalHeader> headers;
    for (std::uint64_t n = newest.oldest; n < newest.number; ++n) {
        const auto found = files.find(n);
        if (found != files.end()) {
            headers.push_back(found->second.header);
            continue;
        }
        find(directory + '/' + journal_file_name(n), 0, Consequence::refused,
             "the file is missing");
        // A header can claim anything; one that passed its checksum by chance ends this here.
        if (survey_.findings.size() > 1000) break;
    }
    headers.push_back(newest);
    const bool all_there = headers.size() == newest.number - newest.oldest + 1;
    if (const auto fault = wire::chain_fault(headers); all_there && !fault.empty())
        find(files.rbegin()->second.path, 0, Consequence::refused, std::string(fault));
}

Result<> Surveyor::journal(const std::string& directory) {
    const std::map<std::uint64_t, File> files = TRY(journal_files(directory));
    if (files.empty()) return {};
    newest_journal_ = files.rbegin()->second.path;
    check_chain(directory, files);
    const std::uint64_t oldest = files.rbegin()->second.header.oldest;
    for (auto file = files.begin(); file != files.end(); ++file) {
        const auto next = std::next(file);
        if (file->first < oldest) {
            survey_.files.push_back(
                {file->second.path, Kind::left_over, file->second.content.bytes.size()});
            continue;
        }
        std::optional<std::uint64_t> after_round;
        // One whose header is bad tells nothing of the one before it.
        if (next != files.end() && next->second.header.number != 0)
            after_round = next->second.header.after_round;
        journal_file(file->second, after_round);
    }
    return {};
}

// Where the first one behind `position` with a greater number begins; the file's end if there is
// none.
std::uint64_t Surveyor::later_round(const File& file, std::uint64_t position,
                                    std::uint64_t number) {
    const Bytes& bytes = file.content.bytes;
    for (position += block; position < bytes.size(); position += block) {
        const auto found = wire::round_at(bytes, file.header, position);
        if (found && found->round > number) return position;
    }
    return bytes.size();
}

// Rounds, as far as they are known to count; behind a bad one it goes on where the next one is.
void Surveyor::journal_file(const File& file, std::optional<std::uint64_t> after_round) {
    const wire::JournalHeader& header = file.header;
    const Bytes& bytes = file.content.bytes;
    SurveyedFile found{file.path, Kind::journal, bytes.size()};
    found.first = found.end = header.first_round;
    found.used = wire::JournalHeader::size;
    if (header.number != 0 && bytes.size() < header.bytes)
        find(file.path, bytes.size(), Consequence::refused, "the file is shorter than it was made");
    bool torn = false;
    while (header.number != 0 && (!after_round || found.end <= *after_round)) {
        auto here = wire::round_at(bytes, header, found.used);
        const bool has_header = here.has_value();
        if (!here) here = wire::round_by_frames(bytes, header, found.used, found.end);
        const std::size_t findings = survey_.findings.size();
        const bool expected = here && here->round == found.end;
        std::vector<wire::Frame> frames;
        const Round state = expected ? round(file, *here, found.used, frames) : Round::bad;
        const std::uint64_t position =
            state == Round::good ? 0 : later_round(file, found.used, found.end);
        const bool later = position < bytes.size();
        // What a power cut leaves half-written can be read.
        const bool was_read = std::ranges::none_of(
            file.content.unreadable, [&](std::uint64_t b) { return b + block > found.used; });
        const bool was_durable =
            later || after_round || found.end == found.first || (expected && !was_read);
        if (state == Round::good || (state == Round::harmed && was_durable)) {
            if (!has_header)
                find(file.path, found.used, Consequence::none,
                     "the header of round " + number(found.end) +
                         " is bad, and told by its frames");
            found.used += here->stored_size();
            found.frames += frames.size();
            ++found.end;
            for (const wire::Frame& frame : frames) take(frame);
            continue;
        }
        if (!was_durable) { // The end of the newest.
            survey_.findings.resize(findings);
            torn = expected;
            break;
        }
        for (const wire::Frame& frame : frames) take(frame);
        if (!expected)
            find(file.path, found.used, Consequence::refused,
                 found.end == found.first ? "the first round of the file is bad"
                                          : "round " + number(found.end) + " is bad");
        if (!later) break;
        found.used = position;
        found.end = wire::round_at(bytes, header, position)->round;
    }
    if (torn)
        find(file.path, found.used, Consequence::dropped,
             "round " + number(found.end) + " was not written to its end");
    // What cannot be read behind the end of the newest may have been a round.
    for (const std::uint64_t position : file.content.unreadable)
        find(file.path, position,
             !after_round && position + block > found.used ? Consequence::refused
                                                           : Consequence::none,
             "a sector cannot be read");
    survey_.files.push_back(std::move(found));
}

// What is bad in it is told. Frames behind a bad payload are still found; those behind a bad header
// are not.
Surveyor::Round Surveyor::round(const File& file, const wire::RoundHeader& header,
                                std::uint64_t position, std::vector<wire::Frame>& frames) {
    const Bytes& bytes = file.content.bytes;
    const std::uint64_t begin = position + wire::RoundHeader::size;
    bool good = true;
    std::uint64_t at = begin;
    const std::uint64_t end = begin + header.body_bytes;
    for (std::uint32_t i = 0; i < header.frames; ++i) {
        Result<wire::FrameHeader> decoded = Error::corrupt;
        if (end <= bytes.size() && end - at >= wire::Frame::header_size && at < end)
            decoded = wire::decode_header_in_journal(header_bytes(bytes, at));
        if (!decoded.ok() || decoded.value().frame.round != header.round ||
            wire::journaled_size(decoded.value()) > end - at) {
            find(file.path, at, Consequence::refused,
                 "the header of frame " + number(i + 1) + " of " + number(header.frames) +
                     " in round " + number(header.round) + " is bad");
            return Round::bad;
        }
        wire::Frame frame = std::move(decoded.value().frame);
        const std::size_t size = decoded.value().payload_size;
        const bool is_extent = decoded.value().form == wire::FrameForm::extent;
        const std::size_t stored = wire::journaled_size(decoded.value());
        if (is_extent) {
            frame.damaged = static_cast<std::uint32_t>(size);
            frame.place = wire::decode_place(bytes.view().subspan(at).first<wire::extent_size>());
        } else if (size > 0) {
            frame.payload.push_back(bytes.slice(at + wire::Frame::header_size, size));
        }
        const bool intact = is_extent ? frame.place.is_known() : wire::payload_intact(frame);
        if (visit_) visit_(file.path, at, frame, intact);
        const bool is_nonsense =
            frame.kind == wire::Frame::Kind::start && !wire::start_of(frame).ok();
        if (is_nonsense)
            find(file.path, at, Consequence::refused,
                 "what says where the log of group " +
                     number(static_cast<std::uint64_t>(frame.group.value)) +
                     " begins is malformed");
        if (!intact && !is_nonsense)
            bad_payload(file.path, at, frame,
                        size > 0 ? Consequence::unreadable : Consequence::refused);
        good = good && intact;
        at += stored;
        frames.push_back(intact ? std::move(frame) : wire::without_payload(std::move(frame)));
    }
    if (at == end) return good ? Round::good : Round::harmed;
    find(file.path, at, Consequence::refused,
         "round " + number(header.round) + " is longer than its frames");
    return Round::bad;
}

// What the journal says of a group, as replay does it.
void Surveyor::take(const wire::Frame& frame) {
    if (frame.kind == wire::Frame::Kind::seal) return;
    SurveyedGroup& group = survey_.groups[frame.group];
    auto& waiting = waiting_[frame.group];
    switch (frame.kind) {
    case wire::Frame::Kind::vote: group.voted = frame.term; break;
    case wire::Frame::Kind::cut:
        waiting.erase(waiting.lower_bound(frame.first.index), waiting.end());
        break;
    case wire::Frame::Kind::mark:
        group.voted = frame.term;
        marked_[frame.group] = std::max(marked_[frame.group], frame.first);
        break;
    case wire::Frame::Kind::start: {
        const Result<LogStart> start = wire::start_of(frame);
        if (start.ok()) group.start = std::max(group.start, start.value());
        break;
    }
    default: {
        const std::size_t bytes = size_of(frame.payload) + frame.damaged;
        Waiting& entry = waiting[frame.first.index];
        const bool was_there =
            entry.end == frame.end() && entry.term == frame.term && entry.payload_bytes == bytes;
        const bool is_whole = frame.damaged == 0 || (was_there && !entry.is_damaged);
        auto extent = was_there ? std::move(entry.extent) : std::nullopt;
        if (frame.place.is_known()) extent = frame;
        if (is_whole) extent.reset();
        entry = {frame.first, frame.end(), frame.term,       frame.records,
                 bytes,       !is_whole,   std::move(extent)};
    }
    }
}

// ---- Segments ----

Result<> Surveyor::segments() {
    const auto names = env_.disk.list(groups_directory);
    if (!names.ok() && names.error() == Error::not_found) return {};
    if (!names.ok()) return names.error();
    for (const std::string& name : names.value()) {
        if (const auto id = group_of_directory(name))
            TRY(group(*id));
        else
            find(std::string(groups_directory) + '/' + name, 0, Consequence::none,
                 "is no directory of ours");
    }
    return {};
}

Result<> Surveyor::group(GroupId id) {
    const std::string directory = group_directory(id);
    std::vector<std::pair<std::int64_t, std::string>> paths;
    for (const std::string& name : TRY(env_.disk.list(directory))) {
        const std::string path = directory + '/' + name;
        if (const auto first = segment_first_index(name))
            paths.emplace_back(*first, path);
        else
            TRY(other_file(id, path, name));
    }
    for (std::size_t i = 0; i < paths.size(); ++i) {
        std::optional<std::int64_t> next;
        if (i + 1 < paths.size()) next = paths[i + 1].first;
        TRY(segment(id, paths[i].second, paths[i].first, next));
    }
    return {};
}

// What compaction needs besides segments: none of it is missed if it is lost.
Result<> Surveyor::other_file(GroupId id, const std::string& path, std::string_view name) {
    const bool is_note = name == compacted_note_name;
    if (!is_note && !name.ends_with(successor_suffix)) {
        find(path, 0, Consequence::none, "is no file of ours");
        return {};
    }
    const Content content = TRY(read_content(env_, path));
    survey_.files.push_back({path, is_note ? Kind::note : Kind::left_over, content.bytes.size()});
    if (!is_note) return {};
    const auto note = wire::decode_compacted_note(content.bytes.view());
    if (note && note->group == id)
        survey_.groups[id].compacted = note->compacted.end;
    else
        find(path, 0, Consequence::none, "is damaged: the log will be compacted once more");
    return {};
}

// What a log has lost of its beginning on purpose may be missing, in part or all.
void Surveyor::check_place(SurveyedGroup& group, const std::string& path,
                           const wire::SegmentHeader& header) {
    if (header.first == group.segments_end) return;
    if (header.first.index > group.start.first.index)
        find(path, 0, Consequence::refused,
             "it begins at index " + std::to_string(header.first.index) +
                 ", and what is before it ends at " + std::to_string(group.segments_end.index));
}

Result<> Surveyor::segment(GroupId id, const std::string& path, std::int64_t first_index,
                           std::optional<std::int64_t> next_index) {
    SurveyedGroup& group = survey_.groups[id];
    const std::int64_t start = group.start.first.index;
    const Content content = TRY(read_content(env_, path));
    const Bytes& bytes = content.bytes;
    SurveyedFile found{path, Kind::segment, bytes.size()};
    found.first = found.end = static_cast<std::uint64_t>(first_index);
    auto header = wire::decode_segment_header(bytes.view());
    if (!header) {
        header = wire::header_by_footer(bytes.view(), id);
        if (header) find(path, 0, Consequence::none, "the header is bad, and told by the footer");
    }
    if (!header) {
        // A new one, whose power went; a mark knows better if there was something in it.
        find(path, 0,
             !next_index            ? Consequence::dropped
             : *next_index <= start ? Consequence::none
                                    : Consequence::refused,
             "the header is bad, or was never written");
        survey_.files.push_back(std::move(found));
        return {};
    }
    if (header->group != id || header->first.index != first_index)
        find(path, 0, Consequence::refused, "the file has another one's name");
    else
        check_place(group, path, *header);
    std::uint64_t end = bytes.size();
    std::optional<wire::SegmentIndex> index;
    if (bytes.size() >= wire::SegmentHeader::size + wire::SegmentFooter::trailer_size) {
        const auto trailer = wire::decode_trailer(
            bytes.view().subspan(bytes.size() - wire::SegmentFooter::trailer_size), bytes.size());
        if (trailer)
            index = wire::decode_footer(
                bytes.view().subspan(trailer->file_position, trailer->body_bytes), *trailer,
                *header);
        if (index) end = index->bytes;
    }
    found.sealed = index.has_value();
    Position next = header->first;
    const Harm harm{index ? &*index : nullptr, start};
    const std::int64_t committed = next_index.value_or(std::max(start, marked_[id].index));
    found.used = frames_of(id, content, end, found, next,
                           index ? std::nullopt : std::optional(committed), harm);
    if (index) next = index->end;
    unreadable(path, content, end, harm);
    if (!index && found.used < bytes.size() && next_index)
        find(path, found.used, Consequence::none, "the footer is bad, or was never written");
    found.end = static_cast<std::uint64_t>(next.index);
    group.segments += 1;
    group.segment_bytes += bytes.size();
    group.segments_end = next;
    survey_.files.push_back(std::move(found));
    return {};
}

// Returns where good content ends. In a segment that is not sealed that is where the segment ends,
// also before what was written ahead and is not before `committed`; in one that is, what is bad is
// told, and it goes on behind it.
std::uint64_t Surveyor::frames_of(GroupId id, const Content& content, std::uint64_t end,
                                  SurveyedFile& found, Position& next,
                                  std::optional<std::int64_t> committed, const Harm& harm) {
    const bool may_be_torn = committed.has_value();
    const Bytes& bytes = content.bytes;
    SurveyedGroup& group = survey_.groups[id];
    std::uint64_t at = wire::SegmentHeader::size;
    while (at < end) {
        Result<wire::FrameHeader> decoded = Error::corrupt;
        if (end - at >= wire::Frame::header_size) decoded = header_at(bytes, at);
        const bool fits = decoded.ok() && decoded.value().frame.group == id &&
                          decoded.value().frame.is_entry() && decoded.value().frame.first == next &&
                          wire::stored_size(decoded.value().payload_size) <= end - at;
        const bool is_ahead = fits && decoded.value().form == wire::FrameForm::ahead;
        if (is_ahead && may_be_torn && next.index >= *committed) break;
        if (!fits) {
            if (may_be_torn) break;
            const auto behind = next_frame(id, bytes, at + 8, end, next.index);
            find(found.path, at, harm.up_to(behind.value_or(end)),
                 "the header of the frame with index " + std::to_string(next.index) + " is bad");
            if (!behind) return at;
            at = *behind;
            next = header_at(bytes, at).value().frame.first;
            continue;
        }
        wire::Frame frame = std::move(decoded.value().frame);
        const std::size_t size = decoded.value().payload_size;
        if (size > 0) frame.payload.push_back(bytes.slice(at + wire::Frame::header_size, size));
        const bool intact = wire::payload_intact(frame);
        if (visit_) visit_(found.path, at, frame, intact);
        if (!intact && may_be_torn) break;
        if (!intact) bad_payload(found.path, at, frame, harm.of(frame));
        found.frames += intact ? 1 : 0;
        if (frame.first.index >= group.start.first.index) {
            group.entries += 1;
            group.reduced_entries += frame.kind == wire::Frame::Kind::reduced ? 1 : 0;
            group.records += static_cast<std::uint64_t>(frame.records);
            group.payload_bytes += size;
        }
        group.last_term = frame.term;
        next = frame.end();
        at += wire::stored_size(size);
    }
    if (at < end && may_be_torn)
        find(found.path, at, Consequence::dropped,
             "behind the last good frame, of which the journal has what counts");
    return at;
}

std::optional<std::uint64_t> Surveyor::next_frame(GroupId id, const Bytes& bytes,
                                                  std::uint64_t from, std::uint64_t end,
                                                  std::int64_t least) const {
    for (std::uint64_t at = from; at + wire::Frame::header_size <= end;
         at += wire::frame_alignment) {
        const auto decoded = header_at(bytes, at);
        if (decoded.ok() && decoded.value().frame.group == id &&
            decoded.value().frame.first.index > least)
            return at;
    }
    return {};
}

// ---- Both together ----

Result<> Surveyor::extents() {
    for (const auto& [group, waiting] : waiting_) TRY(follow_extents(group));
    return {};
}

// As recovery would read it; by its own means.
Result<bool> Surveyor::is_there(const wire::Frame& extent) {
    const std::string path =
        group_directory(extent.group) + '/' + segment_file_name(extent.place.segment);
    const auto file = env_.disk.open(path, Disk::Open::existing);
    if (!file.ok() && file.error() == Error::not_found) return false;
    if (!file.ok()) return file.error();
    Buffer memory(wire::Frame::header_size + extent.damaged);
    const auto got = file.value()->read_at(extent.place.file_position, memory.view());
    if (!got.ok() && got.error() != Error::corrupt) return got.error();
    if (!got.ok() || got.value() < memory.size()) return false;
    const Bytes bytes = std::move(memory).freeze();
    auto header = header_at(bytes, 0);
    if (!header.ok() || header.value().payload_size != extent.damaged) return false;
    wire::Frame frame = std::move(header).value().frame;
    frame.payload = {bytes.slice(wire::Frame::header_size, extent.damaged)};
    return wire::is_same_entry(frame, extent) && wire::payload_intact(frame);
}

// Of those entries that are in no segment yet.
Result<> Surveyor::follow_extents(GroupId id) {
    const SurveyedGroup& group = survey_.groups[id];
    auto& waiting = waiting_[id];
    const std::int64_t end = std::max(group.segments_end.index, group.start.first.index);
    for (auto at = waiting.lower_bound(end); at != waiting.end(); ++at) {
        Waiting& entry = at->second;
        if (!entry.extent) continue;
        entry.is_damaged = !TRY(is_there(*entry.extent));
        if (entry.is_damaged)
            bad_payload(group_directory(id) + '/' + segment_file_name(entry.extent->place.segment),
                        entry.extent->place.file_position, *entry.extent, Consequence::unreadable);
    }
    return {};
}

void Surveyor::finish_group(GroupId id, SurveyedGroup& into) {
    auto& waiting = waiting_[id];
    const Position marked = marked_[id];
    // What is before the start counts as if segments held it, and not as it stands there: it may be
    // what was written ahead and overruled.
    if (into.segments_end.index <= into.start.first.index) {
        into.segments_end = into.start.first;
        into.last_term = into.start.before;
    }
    waiting.erase(waiting.begin(), waiting.lower_bound(into.segments_end.index));
    // What was damaged may stand in a segment, or have come again, or have been cut.
    for (Finding& finding : survey_.findings) {
        if (finding.group != id || !finding.entry || !finding.path.ends_with(".log")) continue;
        const auto entry = waiting.find(finding.entry->index);
        const bool counts = entry != waiting.end() && entry->second.is_damaged;
        if (!counts && finding.consequence == Consequence::unreadable)
            finding.consequence = Consequence::none;
    }
    into.end = into.segments_end;
    if (into.segments_end.index < marked.index)
        find(group_directory(id), 0, Consequence::refused,
             "the segments end at index " + std::to_string(into.segments_end.index) +
                 ", but reached to " + std::to_string(marked.index))
            .group = id;
    for (const auto& [index, entry] : waiting) {
        if (entry.first != into.end) {
            find(newest_journal_, 0, Consequence::refused,
                 "group " + std::to_string(id.value) + ": the entries from index " +
                     std::to_string(into.end.index) + " to " + std::to_string(index) +
                     " are nowhere")
                .group = id;
            into.end = entry.first;
        }
        into.end = entry.end;
        into.last_term = entry.term;
        into.entries += 1;
        into.journal_entries += 1;
        into.records += static_cast<std::uint64_t>(entry.records);
        into.payload_bytes += entry.payload_bytes;
    }
}

Survey Surveyor::finish() {
    for (auto group = survey_.groups.begin(); group != survey_.groups.end();) {
        const auto& waiting = waiting_[group->first];
        // One that was deleted: its files are gone, and of the journal only the older part.
        const bool left_over = group->second.segments == 0 && marked_[group->first] == Position() &&
                               group->second.start == LogStart() &&
                               (waiting.empty() || waiting.begin()->first > 0);
        if (left_over && group->second.voted == Term()) {
            group = survey_.groups.erase(group);
            continue;
        }
        if (!left_over) finish_group(group->first, group->second);
        ++group;
    }
    std::ranges::sort(survey_.files, {}, &SurveyedFile::path);
    return std::move(survey_);
}

} // namespace

std::string_view to_string(Consequence consequence) {
    switch (consequence) {
    case Consequence::none: return "no matter";
    case Consequence::dropped: return "is dropped";
    case Consequence::unreadable: return "cannot be read";
    case Consequence::refused: return "the node does not start";
    }
    check_failed("a known Consequence", __FILE__, __LINE__);
}

std::string_view to_string(SurveyedFile::Kind kind) {
    switch (kind) {
    case Kind::journal: return "journal";
    case Kind::left_over: return "left over";
    case Kind::spare: return "spare";
    case Kind::segment: return "segment";
    case Kind::note: return "note";
    case Kind::unknown: return "unknown";
    }
    check_failed("a known Kind", __FILE__, __LINE__);
}

bool Survey::refused() const {
    return std::ranges::any_of(
        findings, [](const Finding& f) { return f.consequence == Consequence::refused; });
}

bool Survey::damaged() const { return std::ranges::any_of(findings, &Finding::is_damage); }

Result<> visit_journal(Environment& env, const std::string& journal_directory,
                       const FrameVisitor& visit) {
    return Surveyor(env, visit).journal(journal_directory);
}

Result<Survey> survey(Environment& env, const std::string& journal_directory,
                      const FrameVisitor& visit) {
    Surveyor surveyor(env, visit);
    TRY(surveyor.journal(journal_directory));
    TRY(surveyor.segments());
    TRY(surveyor.extents());
    return surveyor.finish();
}

} // namespace pyralog
