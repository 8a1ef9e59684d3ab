// The prover: what should be there, and is not.
#include "sim-tests/excuse.h"

#include "core/wire/journal.h"
#include "core/wire/segment.h"
#include "server/catalogue.h"

#include <algorithm>
#include <array>
#include <functional>
#include <set>

namespace pyralog::simtest {

namespace {

using Inode = sim::Medium::Inode;
using What = Missing::What;
constexpr std::uint64_t sector = sim::Medium::sector_size;

Bytes unharmed(const sim::Medium& medium, Inode file) {
    Buffer all(static_cast<std::size_t>(medium.unharmed_size(file)));
    medium.read_unharmed(file, 0, all.view());
    return std::move(all).freeze();
}

Bytes durable(const sim::Medium& medium, Inode file) {
    Buffer all(static_cast<std::size_t>(medium.durable_size(file)));
    medium.read_durable(file, 0, all.view());
    return std::move(all).freeze();
}

// One file as it would be, and what is missing from it.
class File {
public:
    File(const sim::Medium& medium, Inode inode, const std::string& path, bool is_newest)
        : medium_(medium), inode_(inode), path_(path), is_newest_(is_newest),
          good_(unharmed(medium, inode)), there_(durable(medium, inode)) {}

    std::vector<Missing> find(std::optional<GroupId> of) && {
        of_ = of;
        if (kind_.starts_with("journal/") && !kind_.starts_with("journal/spare-"))
            in_journal();
        else if (kind_.starts_with("groups/"))
            in_segment();
        else if (!of)
            anywhere();
        if (!of && good_.size() > there_.size())
            add({What::file_end, {}, path_, there_.size(), good_.size() - there_.size(), {}, 0});
        return std::move(found_);
    }

private:
    std::span<const std::byte> at(std::uint64_t position, std::uint64_t size) const {
        const std::uint64_t first = std::min<std::uint64_t>(position, good_.size());
        return good_.view().subspan(first, std::min<std::uint64_t>(size, good_.size() - first));
    }

    bool differs(std::uint64_t position, std::uint64_t size) const {
        for (std::uint64_t i = position; i < position + size; ++i)
            if (i >= there_.size() || there_.view()[i] != good_.view()[i]) return true;
        return is_unreadable(position, size);
    }

    bool is_unreadable(std::uint64_t position, std::uint64_t size) const {
        for (std::uint64_t at = whole(position); at < whole_end(position + size); at += sector)
            if (medium_.is_unreadable(inode_, at)) return true;
        return false;
    }
    std::uint64_t whole(std::uint64_t position) const { return position / unit_ * unit_; }
    std::uint64_t whole_end(std::uint64_t position) const { return whole(position + unit_ - 1); }

    // The newest fault that touched this place.
    std::optional<sim::Fault> fault_at(const Missing& missing) const {
        const auto& harms = medium_.harms();
        for (auto harm = harms.rbegin(); harm != harms.rend(); ++harm) {
            if (harm->file != inode_) continue;
            const bool size_only = harm->size == 0;
            const bool reads = harm->fault == sim::Fault::unreadable_sector;
            const std::uint64_t first = reads ? whole(missing.position) : missing.position;
            const std::uint64_t end = missing.position + missing.size;
            if (size_only ? missing.what == What::file_end
                          : harm->position < (reads ? whole_end(end) : end) &&
                                first < harm->position + harm->size)
                return harm->fault;
        }
        return {};
    }

    void add(Missing missing) {
        // So that there is room for what says more.
        const bool is_payload = missing.what == What::journal_payload;
        if (found_.size() >= (is_payload ? missing_max / 2 : missing_max)) return;
        const auto fault = fault_at(missing);
        if (!fault) return;
        missing.fault = *fault;
        found_.push_back(std::move(missing));
    }
    void look(What what, std::uint64_t position, std::uint64_t size) {
        if (!of_ && differs(position, size)) add({what, {}, path_, position, size, {}, 0});
    }

    void look_unneeded(std::uint64_t position, std::uint64_t end) {
        if (of_) return;
        for (std::uint64_t at = position / sector * sector; at < end; at += sector)
            if (medium_.is_unreadable(inode_, at))
                add({What::journal_unneeded, {}, path_, at, sector, {}, 0});
    }

    static What what_of(const wire::Frame& frame) {
        switch (frame.kind) {
        case wire::Frame::Kind::vote:
        case wire::Frame::Kind::start:
        case wire::Frame::Kind::mark: return What::journal_vote;
        case wire::Frame::Kind::cut:
        case wire::Frame::Kind::seal: return What::journal_note;
        default: return What::journal_entry;
        }
    }

    // How long it is; zero if there is none.
    std::uint64_t frame(std::uint64_t position, bool is_journal) {
        const auto head = at(position, wire::Frame::header_size);
        if (head.size() < wire::Frame::header_size) return 0;
        const auto head_bytes = head.first<wire::Frame::header_size>();
        const auto header = is_journal ? wire::decode_header_in_journal(head_bytes)
                                       : wire::decode_header_in_segment(head_bytes);
        if (!header.ok()) return 0;
        if (header.value().form == wire::FrameForm::extent) return extent(position, header.value());
        const std::uint64_t bytes = wire::Frame::header_size + header.value().payload_size;
        if (at(position, bytes).size() < bytes) return 0;
        wire::Frame frame = header.value().frame;
        frame.payload = {
            Bytes::copy_of(at(position + wire::Frame::header_size, header.value().payload_size))};
        const What what = is_journal ? what_of(frame) : What::segment_entry;
        const bool has_header = is_journal && !differs(position, wire::Frame::header_size);
        const bool is_ballot = what == What::journal_vote && of_;
        if (has_header && what != What::journal_entry && !is_ballot)
            return wire::stored_size(header.value().payload_size);
        // Without the damage, too, a power cut may have torn it: then it is not what was taken.
        const bool is_asked_for = !of_ || *of_ == frame.group;
        if (is_asked_for && differs(position, bytes) && wire::payload_intact(frame))
            add({!has_header ? what
                 : is_ballot ? What::journal_ballot
                             : What::journal_payload,
                 {},
                 path_,
                 position,
                 bytes,
                 frame.group,
                 frame.first.index});
        return wire::stored_size(header.value().payload_size);
    }

    // What it names is looked for where that stands. Without its own place the entry is known, and
    // has no payload.
    std::uint64_t extent(std::uint64_t position, const wire::FrameHeader& header) {
        const auto whole = at(position, wire::extent_size);
        if (whole.size() < wire::extent_size) return 0;
        const bool is_asked_for = !of_ || *of_ == header.frame.group;
        const bool was_good = wire::decode_place(whole.first<wire::extent_size>()).is_known();
        if (is_asked_for && was_good && differs(position, wire::extent_size))
            add({differs(position, wire::Frame::header_size) ? What::journal_entry
                                                             : What::journal_payload,
                 {},
                 path_,
                 position,
                 wire::extent_size,
                 header.frame.group,
                 header.frame.first.index});
        return wire::extent_size;
    }

    void in_journal() {
        const auto header = wire::decode_journal_header(at(0, wire::JournalHeader::size));
        look(What::journal_header, 0, wire::JournalHeader::size);
        if (!header) return;
        std::uint64_t next = header->first_round;
        std::uint64_t position = wire::JournalHeader::size;
        for (;;) {
            const auto round = wire::decode_round_header(at(position, wire::RoundHeader::size));
            if (!round || round->salt != header->salt || round->round != next)
                return is_newest_ ? look_unneeded(position, good_.size()) : void();
            const bool is_told = wire::round_by_frames(read_, *header, position, next).has_value();
            if (!is_told) look(What::journal_round, position, wire::RoundHeader::size);
            std::uint64_t inside = position + wire::RoundHeader::size;
            for (std::uint32_t i = 0; i < round->frames; ++i) {
                const std::uint64_t stored = frame(inside, true);
                if (stored == 0) return;
                inside += stored;
            }
            position += round->stored_size();
            ++next;
        }
    }

    void in_segment() {
        if (!wire::header_by_footer(read_.view(), GroupId()))
            look(What::segment_header, 0, wire::SegmentHeader::size);
        std::uint64_t position = wire::SegmentHeader::size;
        while (const std::uint64_t stored = frame(position, false)) position += stored;
        if (position < good_.size()) look(What::segment_footer, position, good_.size() - position);
    }

    void anywhere() {
        for (std::uint64_t position = 0; position < good_.size(); position += sector)
            look(What::small_facts, position,
                 std::min<std::uint64_t>(sector, good_.size() - position));
    }

    const sim::Medium& medium_;
    const Inode inode_;
    const std::string& path_;
    const std::string kind_ = before_set_aside(path_);
    const bool is_newest_; // Of the journal.
    const std::uint64_t unit_ = bytes_read_at_once(path_);
    const Bytes read_ = as_read(medium_, inode_);
    const Bytes good_, there_;
    std::optional<GroupId> of_;
    std::vector<Missing> found_;
};

} // namespace

namespace {

// Whole, at any place of the disk.
std::set<std::pair<GroupId, std::int64_t>> whole_entries(const sim::Medium& medium) {
    std::set<std::pair<GroupId, std::int64_t>> whole;
    for (const auto& [inode, path] : medium.durable_files()) {
        if (!path.ends_with(".log") && !path.ends_with(".seg")) continue;
        const Bytes all = as_read(medium, inode);
        for (std::size_t at = 0; at + wire::Frame::header_size <= all.size();
             at += wire::frame_alignment) {
            const wire::HeaderBytes head(all.view().subspan(at, wire::Frame::header_size));
            auto header = path.ends_with(".seg") ? wire::decode_header_in_segment(head)
                                                 : wire::decode_header(head);
            if (!header.ok() || !header.value().frame.is_entry()) continue;
            wire::Frame& frame = header.value().frame;
            const std::size_t size = header.value().payload_size;
            if (size > all.size() - at - wire::Frame::header_size) continue;
            frame.payload = {all.slice(at + wire::Frame::header_size, size)};
            if (wire::payload_intact(frame)) whole.emplace(frame.group, frame.first.index);
        }
    }
    return whole;
}

} // namespace

// `set-aside/2/groups-7/x` was `groups/7/x`.
std::string before_set_aside(std::string_view path) {
    constexpr std::string_view aside = "set-aside/";
    if (!path.starts_with(aside)) return std::string(path);
    path.remove_prefix(aside.size());
    path.remove_prefix(std::min(path.find('/') + 1, path.size()));
    std::string before(path);
    std::replace(before.begin(),
                 before.begin() +
                     static_cast<std::ptrdiff_t>(std::min(before.find('/'), before.size())),
                 '-', '/');
    return before;
}

std::uint64_t bytes_read_at_once(std::string_view path) {
    return before_set_aside(path).starts_with("journal/") ? Buffer::disk_alignment : sector;
}

Bytes as_read(const sim::Medium& medium, Inode file) {
    Buffer all(static_cast<std::size_t>(medium.durable_size(file)));
    medium.read_durable(file, 0, all.view());
    constexpr std::uint64_t block = Buffer::disk_alignment;
    for (std::uint64_t at = 0; at < all.size(); at += sector) {
        if (!medium.is_unreadable(file, at)) continue;
        const std::uint64_t first = at / block * block;
        std::ranges::fill(
            all.view().subspan(first, std::min<std::uint64_t>(block, all.size() - first)),
            std::byte{0});
    }
    return std::move(all).freeze();
}

namespace {

// Never written, though a sync said so, to a file of the store that is not there any more: the
// store has gone on without.
bool is_lost_with_its_file(const sim::Medium::Harm& harm, const sim::Medium& medium) {
    return harm.fault == sim::Fault::late_sync_error && harm.path.starts_with("kv/") &&
           harm.size > 0 && !medium.durable_file(harm.path);
}

} // namespace

std::vector<Missing> missing_on(const sim::Medium& medium, std::optional<GroupId> of) {
    std::vector<Missing> all;
    const auto& harms = medium.harms();
    if (std::ranges::any_of(harms, [](const auto& h) { return h.fault == sim::Fault::lost_disk; }))
        all.push_back({});
    std::map<std::string, std::string> newest; // By directory: of each journal that there was.
    const auto directory_of = [](const std::string& path) {
        return path.substr(0, path.rfind('/') + 1);
    };
    for (const auto& [inode, path] : medium.durable_files())
        if (before_set_aside(path).starts_with("journal/") && path.ends_with(".log")) {
            std::string& known = newest[directory_of(path)];
            known = std::max(known, path);
        }
    for (const auto& [inode, path] : medium.durable_files()) {
        if (!medium.is_harmed(inode)) continue;
        for (Missing& missing :
             File(medium, inode, path, path == newest[directory_of(path)]).find(of))
            all.push_back(missing);
    }
    if (!of)
        for (const sim::Medium::Harm& harm : harms)
            if (is_lost_with_its_file(harm, medium))
                all.push_back(
                    {What::small_facts, harm.fault, harm.path, harm.position, harm.size, {}, 0});
    const auto has_lost_payload = [](const Missing& one) {
        return one.what == What::journal_payload;
    };
    if (std::ranges::any_of(all, has_lost_payload)) {
        const auto whole = whole_entries(medium);
        std::erase_if(all, [&](const Missing& one) {
            return has_lost_payload(one) && whole.contains({one.group, one.index});
        });
    }
    std::ranges::stable_partition(all, std::not_fn(has_lost_payload));
    if (all.size() > missing_max) all.resize(missing_max);
    return all;
}

namespace {

// What a node that runs needs from its disk: all else of its journal it has read already.
std::vector<Missing> lost_entries(const sim::Medium& medium, GroupId group) {
    std::vector<Missing> missing = missing_on(medium, group);
    std::erase_if(missing, [](const Missing& one) {
        return one.what != What::segment_entry && one.what != What::journal_payload;
    });
    return missing;
}

} // namespace

std::optional<Excuse> excuse_for(GroupId group, bool to_read, const Disks& disks) {
    const auto members = disks.groups.find(group);
    if (members == disks.groups.end()) return {};
    Excuse excuse{Excuse::Kind::no_majority, group, {}, {}};
    if (group != server::controller_group)
        if (auto controller = excuse_for(server::controller_group, false, disks))
            excuse.controllers = std::move(controller->voters);
    std::set<NodeId> well;
    bool one_runs = false;
    for (const NodeId voter : raft::nodes_of(members->second)) {
        const Disks::One& disk = disks.nodes.at(voter);
        if (disk.abstains.contains(group)) {
            excuse.voters.push_back({voter, {}, false, true});
            continue;
        }
        auto missing = disk.gone ? missing_on(*disk.medium) : lost_entries(*disk.medium, group);
        const bool untold = !disk.gone && missing.empty() && !excuse.controllers.empty() &&
                            disk.knows && !disk.knows->contains(group);
        if (missing.empty() && !untold) {
            if (!disk.gone) well.insert(voter);
            continue;
        }
        one_runs |= !disk.gone && !untold;
        excuse.voters.push_back({voter, std::move(missing), untold});
    }
    if (std::ranges::none_of(excuse.voters, &Deprived::untold)) excuse.controllers.clear();
    if (raft::reached_by_majority<int>(
            members->second, [&](NodeId voter) { return well.contains(voter) ? 1 : 0; }) == 0)
        return excuse;
    excuse.kind = Excuse::Kind::unreadable;
    if (to_read && one_runs) return excuse;
    return {};
}

// ---- Words ----

std::string_view to_string(Missing::What what) {
    constexpr std::array<std::string_view, static_cast<std::size_t>(What::count_)> names{
        "journal-header", "journal-round",
        "journal-entry",  "journal-payload",
        "journal-vote",   "journal-ballot",
        "journal-note",   "journal-unneeded",
        "segment-header", "segment-entry",
        "segment-footer", "small-facts",
        "file-end",       "disk"};
    return names[static_cast<std::size_t>(what)];
}

std::string_view to_string(Excuse::Kind kind) {
    return kind == Excuse::Kind::no_majority ? "no-majority" : "unreadable";
}

} // namespace pyralog::simtest
