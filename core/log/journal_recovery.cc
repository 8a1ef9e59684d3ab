// How a journal is opened. Nothing on disk is changed before all of it was read and found to be
// whole; what remains of files that are no longer needed is then cleared away.
#include "core/log/journal.h"

#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "core/log/file_names.h"

#include <algorithm>
#include <cstring>

namespace pyralog {

namespace {

constexpr std::size_t file_window_bytes = 4_MiB;

// A device may return another sector's bytes, and the right ones the next time. What would be given
// up, or forgotten, for what was read is read again.
constexpr int reads_max = 4;

// So many log lines about single frames of one file.
constexpr std::size_t damaged_told_max = 16;

// What a file holds, with zeros where a sector cannot be read.
struct FileContent {
    Bytes bytes;
    std::vector<std::uint64_t> unreadable; // Blocks, by where they begin. They rise.

    bool operator==(const FileContent& other) const {
        return unreadable == other.unreadable &&
               std::ranges::equal(bytes.view(), other.bytes.view());
    }
    bool is_readable_from(std::uint64_t position) const {
        return unreadable.empty() || unreadable.back() + Buffer::disk_alignment <= position;
    }
};

// Fills `into`, a block at a time. How much there was.
Result<std::size_t> read_blocks(File& file, std::uint64_t position, std::span<std::byte> into,
                                std::vector<std::uint64_t>& unreadable) {
    constexpr std::size_t block = Buffer::disk_alignment;
    for (std::size_t at = 0; at < into.size(); at += block) {
        const auto part = into.subspan(at, block);
        const Result<std::size_t> got = file.read_at(position + at, part);
        if (!got.ok() && got.error() != Error::corrupt) return got.error();
        if (got.ok() && got.value() < block) return at + got.value();
        if (got.ok()) continue;
        std::ranges::fill(part, std::byte{0});
        unreadable.push_back(position + at);
    }
    return into.size();
}

// All of the file, up to `bytes`; less if it is shorter.
Result<FileContent> read_file(File& file, std::uint64_t bytes) {
    constexpr std::size_t alignment = Buffer::disk_alignment;
    Buffer memory((bytes + alignment - 1) / alignment * alignment);
    FileContent content;
    std::size_t at = 0;
    const std::size_t most = BUGGIFY("journal/read-in-bits") ? 4 * alignment : file_window_bytes;
    while (at < memory.size()) {
        const auto part = memory.view().subspan(at, std::min(memory.size() - at, most));
        Result<std::size_t> got = file.read_at(at, part);
        if (!got.ok() && got.error() == Error::corrupt)
            got = read_blocks(file, at, part, content.unreadable);
        at += TRY(got);
        if (got.value() < part.size()) break;
    }
    content.bytes = std::move(memory).freeze(std::min<std::uint64_t>(at, bytes));
    return content;
}

// Not what an extent names: that is looked for elsewhere.
bool is_damaged(const wire::Frame& frame) { return frame.damaged > 0 && !frame.place.is_known(); }

} // namespace

Error Journal::damaged(std::string_view path, std::uint64_t file_position, std::string_view what) {
    REACHABLE("journal/damaged-is-refused");
    env_.log.error("journal is damaged",
                   {{"file", path}, {"file_position", file_position}, {"what", what}});
    return Error::corrupt;
}

void Journal::tell_of_damaged(std::string_view path, std::span<const wire::Frame> frames) {
    std::size_t told = 0;
    for (const wire::Frame& frame : frames) {
        if (!is_damaged(frame)) continue;
        REACHABLE("journal/damaged-payload");
        damaged_total_.add();
        if (++told > damaged_told_max) continue;
        env_.log.error("a payload in the journal is damaged", {{"file", path},
                                                               {"round", frame.round},
                                                               {"group", frame.group},
                                                               {"term", frame.term},
                                                               {"position", frame.first}});
    }
}

Result<> Journal::make_directory() {
    const Result<> made = env_.disk.create_directory(directory_);
    if (!made.ok() && made.error() != Error::already_exists) return made.error();
    const std::size_t slash = directory_.rfind('/');
    const std::string parent =
        slash == std::string::npos ? std::string() : directory_.substr(0, slash);
    TRY(env_.disk.sync_directory(parent));
    // A name that only this process's kernel knows is no name yet.
    return env_.disk.sync_directory(directory_);
}

// Synced before it is read: else recovery would act on what only memory holds, and the next power
// cut would take it back.
Result<Journal::Found> Journal::look_at(const std::string& name, std::uint64_t number) {
    Found found;
    found.path = directory_ + '/' + name;
    found.file = TRY(env_.disk.open(found.path, Disk::Open::existing, Disk::Access::aligned));
    TRY(found.file->sync());
    std::optional<wire::JournalHeader> header;
    for (int reads = 0; reads < reads_max && !header; ++reads) {
        const FileContent block = TRY(read_file(*found.file, wire::JournalHeader::size));
        header = wire::decode_journal_header(block.bytes.view());
    }
    if (!header) return damaged(found.path, 0, "the header is bad");
    if (header->identity != identity_)
        return damaged(found.path, 0, "the file is another node's, or another cluster's");
    if (header->number != number) return damaged(found.path, 0, "the file has another one's name");
    found.header = *header;
    return found;
}

// Those that are still needed, oldest first; the others go to dropped_ and spares_. Which ones are
// needed is in the header of the newest.
Result<std::vector<Journal::Found>> Journal::find_files() {
    std::map<std::uint64_t, std::string> names;
    for (const std::string& name : TRY(env_.disk.list(directory_))) {
        if (const auto number = journal_file_number(name)) {
            names.emplace(*number, name);
        } else if (const auto spare = spare_file_number(name)) {
            const std::string path = directory_ + '/' + name;
            spares_.push_back({path, TRY(size_of_file(path))});
            REACHABLE("journal/found-a-spare");
            next_spare_ = std::max(next_spare_, *spare + 1);
        } else {
            env_.log.warning("unknown file in the journal's directory", {{"name", name}});
        }
    }
    std::vector<Found> files;
    const std::uint64_t newest_name = names.empty() ? 0 : names.rbegin()->first;
    SOMETIMES(newest_name < expected_, "journal/newest-file-is-missing");
    if (newest_name < expected_)
        return damaged(directory_ + '/' + journal_file_name(expected_), 0,
                       "the newest file is missing");
    if (names.empty()) return files;
    Found newest = TRY(look_at(names.rbegin()->second, names.rbegin()->first));
    std::vector<wire::JournalHeader> headers;
    for (const auto& [number, name] : names) {
        if (number < newest.header.oldest) {
            REACHABLE("journal/found-a-file-no-longer-needed");
            const std::uint64_t bytes = TRY(size_of_file(directory_ + '/' + name));
            dropped_.push_back({number, bytes, 0});
        } else if (number < newest.header.number) {
            files.push_back(TRY(look_at(name, number)));
            headers.push_back(files.back().header);
        }
    }
    headers.push_back(newest.header);
    files.push_back(std::move(newest));
    if (const std::string_view fault = wire::chain_fault(headers); !fault.empty())
        return damaged(files.front().path, 0, fault);
    return files;
}

Result<std::uint64_t> Journal::size_of_file(const std::string& path) {
    const auto file = TRY(env_.disk.open(path, Disk::Open::existing, Disk::Access::aligned));
    return file->size();
}

// The last life may have ended before it synced this file, so that only memory knows how long it
// is.
Result<> Journal::settle_size(const Spare& spare) {
    if (spare.bytes < Buffer::disk_alignment || spare.bytes % Buffer::disk_alignment != 0) {
        REACHABLE("journal/found-an-empty-spare");
        return {};
    }
    const auto file = TRY(env_.disk.open(spare.path, Disk::Open::existing, Disk::Access::aligned));
    Buffer block(Buffer::disk_alignment);
    std::memset(block.data(), 0, block.size());
    // The place in a statement of its own: arguments may be evaluated in any order.
    const std::uint64_t last_block = spare.bytes - block.size();
    return file->write_at(last_block, {std::move(block).freeze()}, Durability::now);
}

Result<> Journal::replay_file(const Found& found, std::optional<std::uint64_t> after_round,
                              const Replay& replay) {
    FileContent content = TRY(read_file(*found.file, found.header.bytes));
    wire::JournalScan scan;
    for (int reads = 1;; ++reads) {
        scan = wire::scan_journal(content.bytes, found.header, after_round);
        // All that the next file knows of is here. Nobody knows that of the newest file, and what
        // seems to be missing may be there the next time.
        if (after_round && scan.end == wire::JournalScan::End::intact &&
            std::ranges::none_of(scan.frames, is_damaged))
            break;
        FileContent again = TRY(read_file(*found.file, found.header.bytes));
        if (again == content) break;
        REACHABLE("journal/two-reads-differ");
        if (reads == reads_max) return damaged(found.path, 0, "no two reads are the same");
        content = std::move(again);
    }
    // A write that was not finished leaves sectors that can be read. So a last round of which some
    // cannot be may have been durable, and counts if its headers do.
    if (scan.end == wire::JournalScan::End::torn && !content.is_readable_from(scan.file_position)) {
        wire::JournalScan more = wire::scan_journal(content.bytes, found.header, scan.round_end);
        SOMETIMES(more.end == wire::JournalScan::End::intact, "journal/unreadable-last-round");
        if (more.end == wire::JournalScan::End::intact) scan = std::move(more);
    }
    // Behind the end of the newest file may be what nobody could read: a last round, or a later one
    // that would tell that a torn one was durable.
    if (!after_round && !content.is_readable_from(scan.file_position)) {
        REACHABLE("journal/cannot-be-read");
        return damaged(found.path, content.unreadable.back(), "a sector cannot be read");
    }
    if (scan.end == wire::JournalScan::End::damage && !BUG(M21))
        return damaged(found.path, scan.file_position, scan.reason);
    SOMETIMES(scan.end == wire::JournalScan::End::torn, "journal/torn-tail");
    SOMETIMES(scan.end == wire::JournalScan::End::intact && !after_round, "journal/whole-tail");
    if (scan.end == wire::JournalScan::End::torn)
        env_.log.info("the journal's last write was not finished",
                      {{"file", found.path},
                       {"file_position", scan.file_position},
                       {"round", scan.round_end}});
    tell_of_damaged(found.path, scan.frames);
    files_.push_back({found.header.number, found.header.bytes, 0});
    durable_round_ = scan.round_end - 1;
    for (const wire::Frame& frame : scan.frames) {
        if (frame.kind == wire::Frame::Kind::seal) continue;
        note(frame);
        TRY(replay(frame));
    }
    return {};
}

// False if there is no file.
Result<bool> Journal::replay_all(const Replay& replay) {
    const std::vector<Found> files = TRY(find_files());
    for (std::size_t i = 0; i < files.size(); ++i) {
        std::optional<std::uint64_t> after_round;
        if (i + 1 < files.size()) after_round = files[i + 1].header.after_round;
        SOMETIMES(after_round && i > 0, "journal/replayed-three-files");
        TRY(replay_file(files[i], after_round, replay));
    }
    return !files.empty();
}

Result<> Journal::inspect(const Replay& replay) {
    CHECK(!current_);
    TRY(replay_all(replay));
    return {};
}

Result<> Journal::open(const Replay& replay) {
    CHECK(!current_);
    TRY(make_directory());
    const bool has_files = TRY(replay_all(replay));
    // One number is left out: it may stand in a torn round.
    next_round_ = has_files ? durable_round_ + 2 : 1;
    for (const Spare& spare : spares_) TRY(settle_size(spare));
    TRY(begin_file(0));
    // Half-made spares of a disk that was full, and what was left of the last life.
    std::vector<Spare> kept;
    for (Spare& spare : std::exchange(spares_, {})) {
        if (kept.empty() && spare.bytes == config_.file_bytes)
            kept.push_back(std::move(spare));
        else
            TRY(env_.disk.remove(spare.path));
    }
    spares_ = std::move(kept);
    return {};
}

} // namespace pyralog
