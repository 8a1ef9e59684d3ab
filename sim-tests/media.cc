#include "sim-tests/media.h"

#include "core/wire/record_batch.h"
#include "core/wire/segment.h"

#include <algorithm>
#include <array>

namespace pyralog::simtest {

namespace {

constexpr std::string_view journal_directory = "journal";
constexpr std::string_view groups_directory = "groups";
constexpr std::string_view spare_prefix = "spare-"; // Not yet, or no longer, a part of the journal.

using HeaderBytes = std::span<const std::byte, wire::Frame::header_size>;

// Kafka's checksum of a batch, where its header has it.
std::uint32_t batch_crc_of(std::span<const std::byte> payload) {
    constexpr std::size_t at = wire::BatchHeader::summed_from - sizeof(std::uint32_t);
    if (payload.size() < wire::BatchHeader::size) return 0;
    std::uint32_t crc = 0;
    for (std::size_t i = 0; i < sizeof crc; ++i)
        crc = crc << 8 | std::to_integer<std::uint32_t>(payload[at + i]);
    return crc;
}

NodeMedia::Entry entry_of(const wire::Frame& frame) {
    const std::uint32_t crc =
        frame.kind == wire::Frame::Kind::records ? batch_crc_of(frame.payload.front().view()) : 0;
    return {frame.term, frame.first, frame.records, frame.payload_crc, crc};
}

} // namespace

const NodeMedia::Entries& NodeMedia::entries(GroupId group) {
    refresh();
    const auto [all, is_new] = all_.try_emplace(group);
    if (is_new) {
        // What is in both places was committed before it moved, so it is the same.
        all->second = stored_[group];
        all->second.insert(journaled_[group].begin(), journaled_[group].end());
    }
    return all->second;
}

std::map<GroupId, NodeMedia::Entries> NodeMedia::all_entries() {
    refresh();
    std::set<GroupId> groups;
    for (const auto& [group, any] : journaled_) groups.insert(group);
    for (const auto& [group, any] : stored_) groups.insert(group);
    std::map<GroupId, Entries> all;
    for (const GroupId group : groups) all.emplace(group, entries(group));
    return all;
}

bool NodeMedia::has_batch(std::int64_t base_offset, std::uint32_t batch_crc) {
    refresh();
    return batches_.contains({base_offset, batch_crc});
}

void NodeMedia::add_batch(const Entry& entry, std::int64_t count) {
    if (entry.records == 0) return;
    const std::pair key(entry.first.offset.value, entry.batch_crc);
    std::int64_t& copies = batches_[key];
    copies += count;
    CHECK(copies >= 0);
    if (copies == 0) batches_.erase(key);
}

bool NodeMedia::read(Inode file, std::uint64_t position, std::span<std::byte> into) {
    const std::size_t got = medium_.read_durable(file, position, into);
    bytes_read_ += got;
    return got == into.size();
}

bool NodeMedia::has_batches() {
    refresh();
    return !batches_.empty();
}

std::optional<NodeMedia::Place> NodeMedia::settled_byte(sim::Dice& dice) {
    refresh();
    std::vector<Place> places;
    const auto add = [&](const std::string& path, std::uint64_t first, std::uint64_t end) {
        if (first >= end) return;
        const std::uint64_t into = dice.pick(end - first);
        places.push_back({path, first + into});
    };
    for (const auto& [path, file] : journal_)
        if (file.header) add(path, wire::JournalHeader::size, file.last_round);
    for (const auto& [path, file] : segments_)
        add(path, wire::SegmentHeader::size, file.file_position);
    if (places.empty()) return {};
    return places[dice.pick(places.size())];
}

bool NodeMedia::settled(const sim::Medium::Range& range) {
    refresh();
    const std::uint64_t end = range.position + range.size;
    if (const auto file = journal_.find(range.path); file != journal_.end())
        return file->second.header && range.position >= wire::JournalHeader::size &&
               end <= file->second.last_round;
    const auto file = segments_.find(range.path);
    return file != segments_.end() && range.position >= wire::SegmentHeader::size &&
           end <= file->second.file_position;
}

// ---- The journal ----

void NodeMedia::refresh() {
    if (generation_ == medium_.generation()) return;
    generation_ = medium_.generation();

    bool lives_changed = refresh_names();
    std::vector<std::pair<JournalFile*, std::size_t>> grown; // With how much was known of it.
    for (auto& [path, file] : journal_) {
        std::size_t known = file.changes.size();
        lives_changed |= read_journal(file, known);
        if (file.changes.size() > known) grown.push_back({&file, known});
    }
    if (lives_changed) ++lives_;
    if (lives_changed || grown.size() > 1) {
        replay_journal();
    } else if (!grown.empty()) {
        const auto& [file, known] = grown.front();
        for (std::size_t i = known; i < file->changes.size(); ++i) apply(file->changes[i]);
    }

    for (auto& [path, file] : segments_)
        if (file.inode != 0) read_segment(file);
}

// Returns if the journal has other files than before.
bool NodeMedia::refresh_names() {
    if (names_generation_ == medium_.names_generation()) return false;
    names_generation_ = medium_.names_generation();
    const auto names_in = [&](std::string_view directory) {
        return medium_.durable_list(directory).value_or(std::vector<std::string>());
    };
    bool changed = false;
    std::map<std::string, JournalFile> here;
    for (const std::string& name : names_in(journal_directory)) {
        if (name.starts_with(spare_prefix)) continue;
        const std::string path = std::string(journal_directory) + '/' + name;
        if (auto known = journal_.extract(path))
            here.insert(std::move(known));
        else
            changed = true;
        here[path].inode = medium_.durable_file(path).value();
    }
    changed |= !journal_.empty(); // Some file is no longer there.
    journal_ = std::move(here);

    for (auto& [path, file] : segments_) file.inode = 0;
    for (const std::string& group : names_in(groups_directory)) {
        const std::string directory = std::string(groups_directory) + '/' + group;
        for (const std::string& name : names_in(directory)) {
            const std::string path = directory + '/' + name;
            segments_[path].inode = medium_.durable_file(path).value();
        }
    }
    return changed;
}

// Returns if this is another life of the file than the one that was known.
bool NodeMedia::read_journal(JournalFile& file, std::size_t& known) {
    const std::uint64_t generation = medium_.generation(file.inode);
    if (file.generation == generation) return false;
    file.generation = generation;
    std::array<std::byte, wire::JournalHeader::size> block;
    if (!read(file.inode, 0, block)) return false;
    const auto header = wire::decode_journal_header(block);
    // A header that cannot be read is rot: it was durable before the file had this name.
    if (!header) return false;
    const bool new_life = file.header != header;
    if (new_life) {
        known = 0;
        file = {.inode = file.inode,
                .generation = generation,
                .header = header,
                .file_position = wire::JournalHeader::size,
                .last_round = wire::JournalHeader::size,
                .next_round = header->first_round,
                .changes = {}};
    }
    while (read_round(file)) {
    }
    return new_life;
}

// The next round of this life, if all of it is durable.
bool NodeMedia::read_round(JournalFile& file) {
    std::array<std::byte, wire::RoundHeader::size> head;
    if (!read(file.inode, file.file_position, head)) return false;
    const auto round = wire::decode_round_header(head);
    if (!round || round->file != file.header->number || round->salt != file.header->salt ||
        round->round != file.next_round || round->body_bytes > file.header->bytes)
        return false;
    Buffer memory(round->body_bytes);
    if (!read(file.inode, file.file_position + wire::RoundHeader::size, memory.view()))
        return false;
    const Bytes body = std::move(memory).freeze();
    std::vector<Change> changes;
    std::size_t at = 0;
    for (std::uint32_t i = 0; i < round->frames; ++i) {
        if (body.size() - at < wire::Frame::header_size) return false;
        const auto decoded =
            wire::decode_header(HeaderBytes(body.view().subspan(at, wire::Frame::header_size)));
        if (!decoded.ok()) return false;
        wire::FrameHeader header = decoded.value();
        const std::size_t stored = wire::stored_size(header.payload_size);
        if (stored > body.size() - at) return false;
        header.frame.payload = {body.slice(at + wire::Frame::header_size, header.payload_size)};
        if (!wire::payload_intact(header.frame)) return false;
        at += stored;
        if (header.frame.is_entry())
            changes.push_back({header.frame.group, round->round, false, entry_of(header.frame)});
        if (header.frame.kind == wire::Frame::Kind::cut)
            changes.push_back(
                {header.frame.group, round->round, true, {{}, header.frame.first, 0, 0, 0}});
    }
    file.changes.insert(file.changes.end(), changes.begin(), changes.end());
    file.last_round = file.file_position;
    file.file_position += round->stored_size();
    ++file.next_round;
    return true;
}

void NodeMedia::replay_journal() {
    for (const auto& [group, entries] : journaled_)
        for (const auto& [index, entry] : entries) add_batch(entry, -1);
    journaled_.clear();
    all_.clear();
    std::vector<const JournalFile*> files;
    for (const auto& [path, file] : journal_)
        if (file.header) files.push_back(&file);
    std::sort(files.begin(), files.end(),
              [](auto* a, auto* b) { return a->header->number < b->header->number; });
    for (std::size_t i = 0; i < files.size(); ++i) {
        if (files[i]->header->number < files.back()->header->oldest) continue;
        for (const Change& change : files[i]->changes) {
            // What came after the last round that the next file knows of was never durable before
            // the node went on, and does not count.
            if (i + 1 < files.size() && change.round > files[i + 1]->header->after_round) break;
            apply(change);
        }
    }
}

// An entry may come again behind later ones, when an old file is to become free: what is overruled
// is told by a cut, and by nothing else.
void NodeMedia::apply(const Change& change) {
    Entries& entries = journaled_[change.group];
    const auto all = all_.find(change.group);
    const std::int64_t index = change.entry.first.index;
    if (change.is_cut) {
        for (auto old = entries.lower_bound(index); old != entries.end(); old = entries.erase(old))
            add_batch(old->second, -1);
        // Segments hold only what is committed: a cut does not reach into them.
        if (all == all_.end()) return;
        const Entries& stored = stored_[change.group];
        for (auto old = all->second.lower_bound(index); old != all->second.end();)
            old = stored.contains(old->first) ? std::next(old) : all->second.erase(old);
        return;
    }
    const auto there = entries.find(index);
    if (there != entries.end()) {
        if (there->second == change.entry) return;
        add_batch(there->second, -1);
    }
    entries.insert_or_assign(index, change.entry);
    add_batch(change.entry, 1);
    if (all != all_.end() && !stored_[change.group].contains(index))
        all->second.insert_or_assign(index, change.entry);
}

// ---- Segments ----

void NodeMedia::read_segment(SegmentFile& file) {
    const std::uint64_t generation = medium_.generation(file.inode);
    if (file.generation == generation) return;
    file.generation = generation;
    if (file.file_position == 0) {
        std::array<std::byte, wire::SegmentHeader::size> head;
        if (!read(file.inode, 0, head)) return;
        const auto header = wire::decode_segment_header(head);
        if (!header) return;
        file.group = header->group;
        file.file_position = wire::SegmentHeader::size;
    }
    for (;;) {
        std::array<std::byte, wire::Frame::header_size> head;
        if (!read(file.inode, file.file_position, head)) return;
        const auto decoded = wire::decode_header(head);
        if (!decoded.ok() || decoded.value().frame.group != file.group) return;
        wire::FrameHeader header = decoded.value();
        Buffer memory(header.payload_size);
        if (!read(file.inode, file.file_position + wire::Frame::header_size, memory.view())) return;
        header.frame.payload = {std::move(memory).freeze()};
        if (!wire::payload_intact(header.frame)) return;
        file.file_position += wire::stored_size(header.payload_size);
        const Entry entry = entry_of(header.frame);
        if (!stored_[file.group].emplace(entry.first.index, entry).second) continue;
        add_batch(entry, 1);
        if (const auto all = all_.find(file.group); all != all_.end())
            all->second.insert_or_assign(entry.first.index, entry);
    }
}

} // namespace pyralog::simtest
