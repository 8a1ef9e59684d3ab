// `pyralog log verify`, `dump` and `stats`: what is on the disk of a node that is stopped.
#include "core/log/survey.h"
#include "io/real/world.h"
#include "server/admin/json.h"
#include "server/cli/program.h"
#include "server/cli/table.h"

#include <cstdio>
#include <filesystem>

namespace pyralog::cli {

namespace {

using server::json_quoted;

std::optional<Survey> look(const CommandLine& line, const Program& program,
                           const FrameVisitor& visit) {
    const std::string directory =
        line.directories.empty() ? program.node.data_dir : line.directories.front();
    if (const std::string wrong = look_at_stopped(directory); !wrong.empty()) {
        complain(wrong);
        return {};
    }
    real::World world(reading_config(program.io, directory));
    std::optional<Survey> found;
    const Result<> done = world.run([&](Environment& env) -> Result<> {
        found = TRY(survey(env, "journal", visit));
        return {};
    });
    if (done.ok()) return found;
    complain(directory + ": cannot be read: " + std::string(to_string(done.error())));
    return {};
}

std::string count(std::uint64_t number, const char* what) {
    return std::to_string(number) + ' ' + what + (number == 1 ? "" : "s");
}

// ---- verify ----

std::string holds(const SurveyedFile& file) {
    using Kind = SurveyedFile::Kind;
    if (file.kind != Kind::journal && file.kind != Kind::segment) return "-";
    if (file.first == file.end) return "nothing";
    return std::string(file.kind == Kind::journal ? "rounds " : "indexes ") +
           std::to_string(file.first) + " to " + std::to_string(file.end - 1) + ", " +
           count(file.frames, "frame") + (file.sealed ? ", sealed" : "");
}

std::string json_of(const Finding& finding) {
    std::string text = "{\"file\":" + json_quoted(finding.path) +
                       ",\"file_position\":" + std::to_string(finding.file_position) +
                       ",\"what\":" + json_quoted(finding.what) +
                       ",\"consequence\":" + json_quoted(to_string(finding.consequence)) +
                       ",\"damage\":" + (finding.is_damage() ? "true" : "false");
    if (finding.entry)
        text += ",\"group\":" + std::to_string(finding.group->value) +
                ",\"index\":" + std::to_string(finding.entry->index) +
                ",\"offset\":" + std::to_string(finding.entry->offset.value) +
                ",\"term\":" + std::to_string(finding.term->value);
    return text + '}';
}

std::string json_of(const SurveyedFile& file) {
    return "{\"file\":" + json_quoted(file.path) +
           ",\"kind\":" + json_quoted(to_string(file.kind)) +
           ",\"bytes\":" + std::to_string(file.bytes) + ",\"used\":" + std::to_string(file.used) +
           ",\"first\":" + std::to_string(file.first) + ",\"end\":" + std::to_string(file.end) +
           ",\"frames\":" + std::to_string(file.frames) +
           ",\"sealed\":" + (file.sealed ? "true" : "false") + '}';
}

std::string json_of(const std::pair<const GroupId, SurveyedGroup>& item) {
    const SurveyedGroup& group = item.second;
    return "{\"group\":" + std::to_string(item.first.value) +
           ",\"entries\":" + std::to_string(group.entries) +
           ",\"records\":" + std::to_string(group.records) +
           ",\"bytes\":" + std::to_string(group.payload_bytes) +
           ",\"journal_entries\":" + std::to_string(group.journal_entries) +
           ",\"reduced_entries\":" + std::to_string(group.reduced_entries) +
           ",\"compacted_index\":" + std::to_string(group.compacted.index) +
           ",\"segments\":" + std::to_string(group.segments) +
           ",\"segment_bytes\":" + std::to_string(group.segment_bytes) +
           ",\"segments_end\":" + std::to_string(group.segments_end.index) +
           ",\"start_index\":" + std::to_string(group.start.first.index) +
           ",\"start_offset\":" + std::to_string(group.start.offset.value) +
           ",\"end_index\":" + std::to_string(group.end.index) +
           ",\"end_offset\":" + std::to_string(group.end.offset.value) +
           ",\"last_term\":" + std::to_string(group.last_term.value) +
           ",\"voted\":" + std::to_string(group.voted.value) + '}';
}

template <class Items>
std::string json_list(const Items& items) {
    std::string text;
    for (const auto& item : items) text += (text.empty() ? "\n" : ",\n") + json_of(item);
    return '[' + text + ']';
}

std::string verdict(const Survey& found) {
    std::size_t damages = 0;
    for (const Finding& finding : found.findings) damages += finding.is_damage() ? 1 : 0;
    if (damages == 0) return "nothing is damaged";
    return count(damages, "damage") + ": " +
           (found.refused() ? "a node would not start here"
                            : "a node starts here, and cannot read all of it");
}

void print(const Survey& found) {
    std::vector<std::vector<std::string>> rows{{"FILE", "KIND", "BYTES", "HOLDS"}};
    for (const SurveyedFile& file : found.files)
        rows.push_back({file.path, std::string(to_string(file.kind)), std::to_string(file.bytes),
                        holds(file)});
    std::string text = format_table(rows);
    if (!found.findings.empty()) text += '\n';
    for (const Finding& finding : found.findings)
        text += finding.path + ':' + std::to_string(finding.file_position) + ": " + finding.what +
                ": " + std::string(to_string(finding.consequence)) + '\n';
    text += '\n' + verdict(found) + '\n';
    std::fputs(text.c_str(), stdout);
}

// ---- dump ----

const char* name_of(wire::Frame::Kind kind) {
    switch (kind) {
    case wire::Frame::Kind::records: return "records";
    case wire::Frame::Kind::term_start: return "term_start";
    case wire::Frame::Kind::members: return "members";
    case wire::Frame::Kind::vote: return "vote";
    case wire::Frame::Kind::cut: return "cut";
    case wire::Frame::Kind::mark: return "mark";
    case wire::Frame::Kind::seal: return "seal";
    case wire::Frame::Kind::trim: return "trim";
    case wire::Frame::Kind::reduced: return "reduced";
    case wire::Frame::Kind::compaction: return "compaction";
    case wire::Frame::Kind::begin: return "begin";
    case wire::Frame::Kind::start: return "start";
    }
    return "unknown";
}

void print_frame(bool as_json, std::string_view path, std::uint64_t file_position,
                 const wire::Frame& frame, bool intact) {
    const char* const form =
        as_json ? "{\"file\":\"%s\",\"file_position\":%llu,\"kind\":\"%s\",\"group\":%lld,"
                  "\"term\":%lld,\"index\":%lld,\"offset\":%lld,\"records\":%d,\"bytes\":%zu,"
                  "\"round\":%llu,\"intact\":%s}\n"
                : "%s:%llu %s group=%lld term=%lld index=%lld offset=%lld records=%d bytes=%zu "
                  "round=%llu%s\n";
    std::string end = as_json ? (intact ? "true" : "false") : (intact ? "" : " DAMAGED");
    // Of an extent: it is somewhere else.
    const std::string segment = std::to_string(frame.place.segment);
    const std::string position = std::to_string(frame.place.file_position);
    if (frame.place.is_known())
        end += as_json ? ",\"segment\":" + segment + ",\"segment_position\":" + position
                       : " in segment " + segment + " at " + position;
    std::printf(form, std::string(path).c_str(), static_cast<unsigned long long>(file_position),
                name_of(frame.kind), static_cast<long long>(frame.group.value),
                static_cast<long long>(frame.term.value), static_cast<long long>(frame.first.index),
                static_cast<long long>(frame.first.offset.value), frame.records,
                size_of(frame.payload) + frame.damaged,
                static_cast<unsigned long long>(frame.round), end.c_str());
}

} // namespace

std::string look_at_stopped(const std::string& directory) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(std::filesystem::path(directory) / "identity", error))
        return directory + ": no node has run here";
    if (DataDir::owner(directory) != 0)
        return directory + ": the node is running: stop it first, with `pyralog stop`";
    return {};
}

real::IoConfig reading_config(const real::IoConfig& io, const std::string& directory) {
    real::IoConfig config = io;
    config.data_dir = directory;
    config.log_level = Level::error;
    return config;
}

int verify_logs(const CommandLine& line, const Program& program) {
    const auto found = look(line, program, {});
    if (!found) return exit_failed;
    if (line.as_json)
        std::printf("{\"refused\":%s,\"damaged\":%s,\n\"findings\":%s,\n\"files\":%s}\n",
                    found->refused() ? "true" : "false", found->damaged() ? "true" : "false",
                    json_list(found->findings).c_str(), json_list(found->files).c_str());
    else
        print(*found);
    return found->damaged() ? exit_failed : 0;
}

int dump_logs(const CommandLine& line, const Program& program) {
    const auto found =
        look(line, program,
             [&](std::string_view path, std::uint64_t at, const wire::Frame& frame, bool intact) {
                 if (!line.group || frame.group == GroupId(*line.group))
                     print_frame(line.as_json, path, at, frame, intact);
             });
    return found ? 0 : exit_failed;
}

int show_log_stats(const CommandLine& line, const Program& program) {
    const auto found = look(line, program, {});
    if (!found) return exit_failed;
    std::vector<std::vector<std::string>> rows{
        {"GROUP", "ENTRIES", "RECORDS", "BYTES", "IN JOURNAL", "REDUCED", "SEGMENTS",
         "START (INDEX / OFFSET)", "END (INDEX / OFFSET)", "LAST TERM", "VOTED"}};
    for (const auto& [id, group] : found->groups)
        rows.push_back(
            {std::to_string(id.value), std::to_string(group.entries), std::to_string(group.records),
             std::to_string(group.payload_bytes), std::to_string(group.journal_entries),
             std::to_string(group.reduced_entries), std::to_string(group.segments),
             std::to_string(group.start.first.index) + " / " +
                 std::to_string(group.start.offset.value),
             std::to_string(group.end.index) + " / " + std::to_string(group.end.offset.value),
             std::to_string(group.last_term.value), std::to_string(group.voted.value)});
    std::fputs(line.as_json ? (json_list(found->groups) + '\n').c_str()
                            : format_table(rows).c_str(),
               stdout);
    return found->damaged() ? exit_failed : 0;
}

} // namespace pyralog::cli
