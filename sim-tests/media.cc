#include "sim-tests/media.h"

#include "core/log/file_names.h"
#include "core/wire/record_batch.h"
#include "core/wire/segment.h"

#include <algorithm>
#include <array>
#include <limits>

namespace pyralog::simtest {

namespace {

constexpr std::string_view journal_directory = "journal";
constexpr std::string_view groups_directory = "groups";
const sim::Medium::Names no_names;
constexpr std::string_view segment_suffix = ".seg"; // Others are about to become one, or notes.
constexpr std::string_view spare_prefix = "spare-"; // Not yet, or no longer, a part of the journal.

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
    const bool has_batch = frame.has_records() && !frame.payload.empty();
    const std::uint32_t crc = has_batch ? batch_crc_of(frame.payload.front().view()) : 0;
    return {frame.term,        frame.first, frame.records,
            frame.payload_crc, crc,         frame.kind == wire::Frame::Kind::reduced};
}

} // namespace

const NodeMedia::OfGroup& NodeMedia::group(GroupId group) {
    refresh();
    return groups_[group];
}

NodeMedia::Entries NodeMedia::entries(GroupId group) {
    Entries entries;
    for (const auto& [index, slot] : this->group(group).slots_)
        entries.emplace_hint(entries.end(), index, *slot.counts());
    return entries;
}

std::map<GroupId, NodeMedia::Entries> NodeMedia::all_entries() {
    refresh();
    std::map<GroupId, Entries> all;
    for (const auto& [group, known] : groups_)
        if (!known.slots_.empty()) all.emplace(group, entries(group));
    return all;
}

std::int64_t NodeMedia::take_kept(GroupId group) {
    refresh();
    return std::exchange(groups_[group].kept_, std::numeric_limits<std::int64_t>::max());
}

NodeMedia::Known NodeMedia::known() {
    refresh();
    Known known;
    for (const Part& part : replayed_) known.changes[part.life] = part.count;
    return known;
}

bool NodeMedia::overruled(GroupId group, std::int64_t index, const Known& since) {
    refresh();
    std::vector<Part> parts = parts_that_count();
    if (!parts.empty()) parts.pop_back();
    for (const Part& part : parts) {
        const auto known = since.changes.find(part.life);
        const std::size_t first = known == since.changes.end() ? 0 : known->second;
        for (std::size_t i = first; i < part.count; ++i) {
            const Change& change = (*part.changes)[i];
            if (change.group == group && change.is_cut && change.entry.first.index <= index)
                return true;
        }
    }
    return false;
}

bool NodeMedia::has_batch(std::int64_t base_offset, std::uint32_t batch_crc) {
    refresh();
    return batches_.contains({base_offset, batch_crc});
}

bool NodeMedia::has_reduced(GroupId group, std::int64_t base_offset) {
    refresh();
    return std::ranges::any_of(groups_[group].slots_, [&](const auto& slot) {
        const Entry& entry = *slot.second.counts();
        return entry.is_reduced && entry.first.offset == Offset(base_offset);
    });
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
    const std::uint64_t kind = dice.pick(8);
    if (kind >= 6)
        if (auto place = byte_of_a_note(dice)) return place;
    if (kind == 5)
        if (auto place = byte_of_a_last_entry(dice)) return place;
    std::vector<Place> places;
    const auto add = [&](const std::string& path, std::uint64_t first, std::uint64_t end) {
        if (first >= end) return;
        const std::uint64_t into = dice.pick(end - first);
        places.push_back({path, first + into});
    };
    for (const auto& [path, file] : journal_)
        if (file.header) add(path, wire::JournalHeader::size, file.last_round);
    for (const auto& [path, file] : segments_) {
        add(path, wire::SegmentHeader::size, file.file_position);
        add(path, file.file_position, footer_end(path, file));
    }
    if (places.empty()) return {};
    return places[dice.pick(places.size())];
}

std::optional<NodeMedia::Place> NodeMedia::segment_byte(sim::Dice& dice) {
    refresh();
    std::vector<const decltype(segments_)::value_type*> all;
    for (const auto& segment : segments_)
        if (segment.second.file_position > wire::SegmentHeader::size) all.push_back(&segment);
    if (all.empty()) return {};
    const auto& [path, file] = *all[dice.pick(all.size())];
    const std::uint64_t first = footer_end(path, file) > 0 ? 0 : wire::SegmentHeader::size;
    const std::uint64_t end = std::max(file.file_position, file.named_end);
    return Place{path, first + dice.pick(end - first)};
}

// A segment that is sealed gets nothing more: so its header may go.
std::optional<NodeMedia::Place> NodeMedia::byte_of_a_note(sim::Dice& dice) const {
    std::vector<std::pair<std::string_view, Note>> all;
    for (const auto& [path, file] : journal_)
        for (const Note& note : file.notes)
            if (note.position + note.size <= file.last_round) all.emplace_back(path, note);
    for (const auto& [path, file] : segments_)
        if (file.file_position > 0 && footer_end(path, file) > 0)
            all.emplace_back(path, Note{0, wire::SegmentHeader::size, wire::SegmentHeader::size});
    if (all.empty()) return {};
    const auto& [path, note] = all[dice.pick(all.size())];
    const bool is_payload = note.size > note.head && dice.coin();
    const std::uint64_t first = is_payload ? note.head : 0;
    const std::uint64_t end = is_payload ? note.size : note.head;
    return Place{std::string(path), note.position + first + dice.pick(end - first)};
}

// Of its payload, and each group is as likely to be hit: who has much has much that nobody reads
// any more, and what somebody waits for is among the last.
std::optional<NodeMedia::Place> NodeMedia::byte_of_a_last_entry(sim::Dice& dice) const {
    std::map<GroupId, std::vector<std::pair<std::string_view, Note>>> all;
    for (const auto& [path, file] : journal_)
        for (const auto& [group, entries] : file.last_entries)
            for (const Note& entry : entries)
                if (entry.position + entry.size <= file.last_round)
                    all[group].emplace_back(path, entry);
    if (all.empty()) return {};
    const auto& entries =
        std::next(all.begin(), static_cast<std::ptrdiff_t>(dice.pick(all.size())))->second;
    const std::size_t count = std::min(entries.size(), last_entries_max);
    const auto& [path, entry] = entries[entries.size() - 1 - dice.pick(count)];
    return Place{std::string(path),
                 entry.position + entry.head + dice.pick(entry.size - entry.head)};
}

// Zero if the segment has none. It is there once the segment is sealed: all frames are durable.
std::uint64_t NodeMedia::footer_end(const std::string& path, const SegmentFile& file) const {
    constexpr std::size_t trailer_size = wire::SegmentFooter::trailer_size;
    const auto content = medium_.durable_content(path);
    if (!content || content->size() < file.file_position + trailer_size) return 0;
    const auto trailer = wire::decode_trailer(
        content->view().subspan(content->size() - trailer_size), content->size());
    return trailer && trailer->file_position == file.file_position ? content->size() : 0;
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

    const std::uint64_t begun = lives_begun_;
    bool changed = refresh_names();
    if (changed) ++lives_;
    for (auto& [path, file] : journal_) changed |= read_journal(file);
    if (lives_begun_ != begun) ++lives_;
    if (changed) replay_journal();
    refresh_marks();

    for (auto& [path, file] : segments_) read_segment(file);
}

// Returns if the journal has other files than before.
bool NodeMedia::refresh_names() {
    if (names_generation_ == medium_.names_generation()) return false;
    names_generation_ = medium_.names_generation();
    refresh_segment_names();
    bool changed = false;
    std::map<std::string, JournalFile> here;
    if (const auto directory = medium_.durable_directory(journal_directory)) {
        for (const auto& [name, inode] : medium_.durable_names(*directory)) {
            if (name.starts_with(spare_prefix)) continue;
            const std::string path = std::string(journal_directory) + '/' + name;
            if (auto known = journal_.extract(path))
                here.insert(std::move(known));
            else
                changed = true;
            here[path].inode = inode;
        }
    }
    changed |= !journal_.empty(); // Some file is no longer there.
    for (auto& [path, file] : journal_) end_life(file);
    journal_ = std::move(here);
    return changed;
}

// Only of directories in which names have changed: there are many, and in most of them none has.
void NodeMedia::refresh_segment_names() {
    std::map<std::string, Directory> here;
    const auto groups = medium_.durable_directory(groups_directory);
    for (const auto& [name, inode] : groups ? medium_.durable_names(*groups) : no_names) {
        const std::string path = std::string(groups_directory) + '/' + name;
        const Directory now{inode, medium_.generation(inode)};
        const auto known = directories_.find(path);
        if (known == directories_.end() || known->second != now)
            refresh_segment_names(path + '/', &medium_.durable_names(inode));
        here.emplace(path, now);
    }
    for (const auto& [path, directory] : directories_)
        if (!here.contains(path)) refresh_segment_names(path + '/', nullptr);
    directories_ = std::move(here);
}

void NodeMedia::refresh_segment_names(const std::string& prefix, const sim::Medium::Names* names) {
    for (auto at = segments_.lower_bound(prefix);
         at != segments_.end() && at->first.starts_with(prefix);) {
        const auto found = names ? names->find(std::string_view(at->first).substr(prefix.size()))
                                 : sim::Medium::Names::const_iterator();
        if (names && found != names->end() && found->second == at->second.inode) {
            ++at;
        } else {
            forget(at->second);
            at = segments_.erase(at);
        }
    }
    if (!names) return;
    for (const auto& [name, inode] : *names)
        if (name.ends_with(segment_suffix))
            segments_.try_emplace(prefix + name, SegmentFile()).first->second.inode = inode;
}

// What it has told may have been replayed.
void NodeMedia::end_life(JournalFile& file) {
    if (file.header) finished_[file.life] = std::move(file.changes);
}

// Returns if there is more than was known, or another life.
bool NodeMedia::read_journal(JournalFile& file) {
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
        end_life(file);
        file = {.inode = file.inode,
                .generation = generation,
                .life = ++lives_begun_,
                .header = header,
                .file_position = wire::JournalHeader::size,
                .last_round = wire::JournalHeader::size,
                .next_round = header->first_round,
                .changes = {},
                .notes = {},
                .last_entries = {},
                .marks = {}};
    }
    const std::size_t known = file.changes.size();
    while (read_round(file)) {
    }
    return new_life || file.changes.size() > known;
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
    std::vector<Note> notes;
    std::vector<std::pair<GroupId, Note>> entries;
    std::size_t at = 0;
    for (std::uint32_t i = 0; i < round->frames; ++i) {
        if (body.size() - at < wire::Frame::header_size) return false;
        const auto decoded = wire::decode_header_in_journal(
            wire::HeaderBytes(body.view().subspan(at, wire::Frame::header_size)));
        if (!decoded.ok()) return false;
        wire::FrameHeader header = decoded.value();
        // What a torn write has not reached may be a good frame of the file's last life.
        if (header.frame.round != round->round) return false;
        const std::size_t stored = wire::journaled_size(header);
        if (stored > body.size() - at) return false;
        if (header.form == wire::FrameForm::extent) {
            header.frame.damaged = static_cast<std::uint32_t>(header.payload_size);
            header.frame.place =
                wire::decode_place(body.view().subspan(at).first<wire::extent_size>());
            if (!header.frame.place.is_known()) return false;
            at += stored;
            if (const auto entry = named(header.frame))
                changes.push_back({header.frame.group, round->round, false, *entry});
            continue;
        }
        header.frame.payload = {body.slice(at + wire::Frame::header_size, header.payload_size)};
        if (!wire::payload_intact(header.frame)) return false;
        const Note note{file.file_position + wire::RoundHeader::size + at, wire::Frame::header_size,
                        wire::Frame::header_size + header.payload_size};
        if (!header.frame.is_entry() && header.frame.kind != wire::Frame::Kind::seal)
            notes.push_back(note);
        if (header.frame.kind == wire::Frame::Kind::mark) {
            std::int64_t& mark = file.marks[header.frame.group];
            mark = std::max(mark, header.frame.first.index);
        }
        if (header.frame.is_entry() && header.payload_size > 0)
            entries.emplace_back(header.frame.group, note);
        at += stored;
        if (header.frame.is_entry())
            changes.push_back({header.frame.group, round->round, false, entry_of(header.frame)});
        if (header.frame.kind == wire::Frame::Kind::cut)
            changes.push_back(
                {header.frame.group, round->round, true, {{}, header.frame.first, 0, 0, 0}});
    }
    if (at != body.size()) return false;
    file.changes.insert(file.changes.end(), changes.begin(), changes.end());
    file.notes.insert(file.notes.end(), notes.begin(), notes.end());
    for (const auto& [group, note] : entries) {
        std::vector<Note>& last = file.last_entries[group];
        // Those of the newest round are not settled, and may be many.
        if (last.size() == 2 * last_entries_max) last.erase(last.begin());
        last.push_back(note);
    }
    file.last_round = file.file_position;
    file.file_position += round->stored_size();
    ++file.next_round;
    return true;
}

// Nothing: those bytes are not durable, or not any more.
std::optional<NodeMedia::Entry> NodeMedia::named(const wire::Frame& extent) {
    const std::string path =
        group_directory(extent.group) + '/' + segment_file_name(extent.place.segment);
    const auto inode = medium_.durable_file(path);
    if (!inode) return {};
    Buffer memory(wire::Frame::header_size + extent.damaged);
    if (!read(*inode, extent.place.file_position, memory.view())) return {};
    const Bytes bytes = std::move(memory).freeze();
    const auto header = wire::decode_header_in_segment(
        wire::HeaderBytes(bytes.view().first(wire::Frame::header_size)));
    if (!header.ok() || header.value().payload_size != extent.damaged) return {};
    wire::Frame frame = header.value().frame;
    frame.payload = {bytes.slice(wire::Frame::header_size, extent.damaged)};
    if (!wire::is_same_entry(frame, extent) || !wire::payload_intact(frame)) return {};
    if (const auto file = segments_.find(path); file != segments_.end()) {
        std::uint64_t& end = file->second.named_end;
        end = std::max(end, extent.place.file_position + bytes.size());
    }
    return entry_of(frame);
}

void NodeMedia::refresh_marks() {
    marked_.clear();
    for (const auto& [path, file] : journal_)
        for (const auto& [group, mark] : file.marks)
            marked_[group] = std::max(marked_[group], mark);
}

// In their order. What came after the last round that the next file knows of was never durable
// before the node went on, and does not count.
std::vector<NodeMedia::Part> NodeMedia::parts_that_count() const {
    std::vector<const JournalFile*> files;
    for (const auto& [path, file] : journal_)
        if (file.header) files.push_back(&file);
    std::sort(files.begin(), files.end(),
              [](auto* a, auto* b) { return a->header->number < b->header->number; });
    std::vector<Part> parts;
    for (std::size_t i = 0; i < files.size(); ++i) {
        if (files[i]->header->number < files.back()->header->oldest) continue;
        const std::vector<Change>& changes = files[i]->changes;
        auto end = changes.end();
        if (i + 1 < files.size())
            end = std::partition_point(changes.begin(), changes.end(), [&](const Change& change) {
                return change.round <= files[i + 1]->header->after_round;
            });
        parts.push_back(
            {files[i]->life, &changes, static_cast<std::size_t>(end - changes.begin())});
    }
    return parts;
}

// How many of the first parts that were replayed do not count any more; nothing if something else
// has changed as well than that others have come, or more of the last one.
std::optional<std::size_t> NodeMedia::parts_gone(const std::vector<Part>& parts) const {
    std::size_t gone = 0;
    while (gone < replayed_.size() && (parts.empty() || replayed_[gone].life != parts.front().life))
        ++gone;
    const std::size_t kept = replayed_.size() - gone;
    if (kept > parts.size()) return {};
    for (std::size_t i = 0; i < kept; ++i) {
        const Part& before = replayed_[gone + i];
        const bool may_grow = i + 1 == kept;
        if (before.life != parts[i].life || before.count > parts[i].count ||
            (before.count < parts[i].count && !may_grow))
            return {};
    }
    return gone;
}

// As if from the beginning. But each entry knows which file was the last to tell of it, and a cut
// reaches back only: so when the oldest files do not count any more, those entries go that they
// alone have told of, and nothing else changes.
void NodeMedia::replay_journal() {
    std::vector<Part> parts = parts_that_count();
    const std::optional<std::size_t> gone = parts_gone(parts);
    if (gone) {
        for (std::size_t i = 0; i < *gone; ++i) forget(replayed_[i]);
        replayed_.erase(replayed_.begin(), replayed_.begin() + static_cast<std::ptrdiff_t>(*gone));
    } else {
        forget_journal();
        ++replays_;
    }
    finished_.clear();
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::size_t known = i < replayed_.size() ? replayed_[i].count : 0;
        for (std::size_t k = known; k < parts[i].count; ++k)
            apply((*parts[i].changes)[k], parts[i].life);
    }
    replayed_ = std::move(parts);
}

void NodeMedia::forget_journal() {
    for (auto& [group, known] : groups_) {
        known.kept_ = 0;
        for (auto at = known.slots_.begin(); at != known.slots_.end();) {
            forget_journaled(at->second);
            at = at->second.stored ? std::next(at) : known.slots_.erase(at);
        }
    }
    replayed_.clear();
}

void NodeMedia::forget(const Part& part) {
    const auto finished = finished_.find(part.life);
    const std::vector<Change>& changes =
        finished != finished_.end() ? finished->second : *part.changes;
    for (std::size_t i = 0; i < part.count; ++i) {
        OfGroup& group = groups_[changes[i].group];
        const auto at = group.slots_.find(changes[i].entry.first.index);
        if (at == group.slots_.end() || !at->second.journaled || at->second.life != part.life)
            continue;
        forget_journaled(at->second);
        if (at->second.stored) continue;
        group.kept_ = std::min(group.kept_, at->first);
        group.slots_.erase(at);
    }
}

// An entry may come again behind later ones, when an old file is to become free: what is overruled
// is told by a cut, and by nothing else.
void NodeMedia::apply(const Change& change, std::uint64_t life) {
    OfGroup& group = groups_[change.group];
    const std::int64_t index = change.entry.first.index;
    if (change.is_cut) {
        for (auto at = group.slots_.lower_bound(index); at != group.slots_.end();) {
            forget_journaled(at->second);
            // Segments hold only what is committed: a cut does not reach into them.
            if (!at->second.stored) group.kept_ = std::min(group.kept_, at->first);
            at = at->second.stored ? std::next(at) : group.slots_.erase(at);
        }
        return;
    }
    OfGroup::Slot& slot = group.slots_[index];
    slot.life = life;
    if (slot.journaled == change.entry) return;
    if (slot.journaled && !slot.stored) group.kept_ = std::min(group.kept_, index);
    forget_journaled(slot);
    slot.journaled = change.entry;
    if (slot.stored != slot.journaled) add_batch(change.entry, 1);
}

// What is the same in both places is one batch.
void NodeMedia::forget_journaled(OfGroup::Slot& slot) {
    if (slot.journaled && slot.stored != slot.journaled) add_batch(*slot.journaled, -1);
    slot.journaled.reset();
}

// ---- Segments ----

void NodeMedia::read_segment(SegmentFile& file) {
    const std::uint64_t generation = medium_.generation(file.inode);
    const auto mark = marked_.find(file.group);
    const bool has_mark = mark != marked_.end() && mark->second > file.committed;
    if (file.generation == generation && !has_mark) return;
    file.generation = generation;
    if (has_mark) file.committed = mark->second;
    if (file.file_position == 0) {
        std::array<std::byte, wire::SegmentHeader::size> head;
        if (!read(file.inode, 0, head)) return;
        const auto header = wire::decode_segment_header(head);
        if (!header) return;
        file.group = header->group;
        file.file_position = wire::SegmentHeader::size;
        const auto known = marked_.find(file.group);
        file.committed = known == marked_.end() ? 0 : known->second;
    }
    for (;;) {
        std::array<std::byte, wire::Frame::header_size> head;
        if (!read(file.inode, file.file_position, head)) return;
        const auto decoded = wire::decode_header_in_segment(head);
        if (!decoded.ok() || decoded.value().frame.group != file.group) return;
        wire::FrameHeader header = decoded.value();
        if (header.form == wire::FrameForm::ahead && header.frame.first.index >= file.committed &&
            !is_sealed(file))
            return;
        Buffer memory(header.payload_size);
        if (!read(file.inode, file.file_position + wire::Frame::header_size, memory.view())) return;
        header.frame.payload = {std::move(memory).freeze()};
        if (!wire::payload_intact(header.frame)) return;
        file.file_position += wire::stored_size(header.payload_size);
        const Entry entry = entry_of(header.frame);
        OfGroup& group = groups_[file.group];
        OfGroup::Slot& slot = group.slots_[entry.first.index];
        if (slot.stored && slot.stored != entry) continue;
        ++slot.segments;
        file.indexes.push_back(entry.first.index);
        if (slot.stored) continue;
        if (slot.journaled && slot.journaled != entry)
            group.kept_ = std::min(group.kept_, entry.first.index);
        slot.stored = entry;
        if (slot.stored != slot.journaled) add_batch(entry, 1);
    }
}

// With a footer nothing in it is still ahead: all before the end that it tells of was committed.
bool NodeMedia::is_sealed(SegmentFile& file) {
    constexpr std::size_t size = wire::SegmentFooter::trailer_size;
    const std::uint64_t bytes = medium_.durable_size(file.inode);
    std::array<std::byte, size> trailer;
    if (bytes < file.file_position + size || !read(file.inode, bytes - size, trailer)) return false;
    const auto found = wire::decode_trailer(trailer, bytes);
    if (!found || found->file_position <= file.file_position) return false;
    file.committed = std::numeric_limits<std::int64_t>::max();
    return true;
}

// It has been removed, or another file has its name: what it held is gone, unless the journal has
// it.
void NodeMedia::forget(SegmentFile& file) {
    OfGroup& group = groups_[file.group];
    for (const std::int64_t index : file.indexes) {
        const auto at = group.slots_.find(index);
        CHECK(at != group.slots_.end() && at->second.stored);
        OfGroup::Slot& slot = at->second;
        if (--slot.segments > 0) continue;
        if (slot.stored != slot.journaled) add_batch(*slot.stored, -1);
        slot.stored.reset();
        group.kept_ = std::min(group.kept_, index);
        if (!slot.journaled) group.slots_.erase(at);
    }
}

} // namespace pyralog::simtest
