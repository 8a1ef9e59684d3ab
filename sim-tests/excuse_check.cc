// The judge: raw bytes, and the list of what was done to them.
#include "sim-tests/excuse.h"

#include "core/base/crc32c.h"
#include "core/log/file_names.h"
#include "core/wire/journal.h"
#include "core/wire/segment.h"
#include "server/catalogue.h"

#include <algorithm>
#include <set>

namespace pyralog::simtest {

namespace {

using What = Missing::What;

// The place as it is, and as it was before these faults.
struct Evidence {
    std::vector<std::byte> raw, restored;
    bool cut_short = false;   // The file ends before the place does.
    bool unreadable = false;  // The device says so.
    bool blamed_hits = false; // The fault that the proof blames has struck here.
};

// From the newest to the oldest: bytes that are still what the fault made of them are put back.
// What was written over since is left alone, also where the same was written by chance.
Evidence evidence_of(const Missing& missing, sim::Medium::Inode file, const sim::Medium& medium) {
    Evidence found;
    found.raw.resize(missing.size);
    found.cut_short = medium.read_durable(file, missing.position, found.raw) < missing.size;
    found.restored = found.raw;
    const std::uint64_t end = missing.position + missing.size;
    const std::uint64_t unit = bytes_read_at_once(missing.path);
    const auto& harms = medium.harms();
    for (auto harm = harms.rbegin(); harm != harms.rend(); ++harm) {
        const bool reads = harm->fault == sim::Fault::unreadable_sector;
        const std::uint64_t first = reads ? missing.position / unit * unit : missing.position;
        if (harm->file != file ||
            harm->position >= (reads ? (end + unit - 1) / unit * unit : end) ||
            harm->position + harm->size <= first)
            continue;
        found.blamed_hits |= harm->fault == missing.fault;
        if (harm->fault == sim::Fault::unreadable_sector)
            found.unreadable |= medium.is_unreadable(file, harm->position);
        for (std::size_t i = 0; i < harm->should_be.size(); ++i) {
            const std::uint64_t at = harm->position + i;
            if (at < missing.position || at >= end) continue;
            if (!harm->written_over.empty() && harm->written_over[i]) continue;
            std::byte& byte = found.restored[at - missing.position];
            if (byte == harm->is.view()[i]) byte = harm->should_be.view()[i];
        }
    }
    return found;
}

// What FORMATS.md says of all our blocks: a sum first, of the bytes behind it; numbers are
// big-endian.
std::uint64_t number(std::span<const std::byte> bytes, std::size_t at, std::size_t size) {
    std::uint64_t value = 0;
    for (const std::byte b : bytes.subspan(at, size))
        value = value << 8 | std::to_integer<std::uint64_t>(b);
    return value;
}

bool sum_holds(std::span<const std::byte> block) {
    return block.size() > 4 && number(block, 0, 4) == crc32c(block.subspan(4));
}

std::optional<std::string> flaw_of_frame(const Missing& missing, std::span<const std::byte> bytes) {
    constexpr std::size_t header = 64;
    if (bytes.size() < header || !sum_holds(bytes.first(header))) return "no frame was there";
    const auto payload = bytes.subspan(header);
    // Of an extent the payload is somewhere else, and a place stands here with a sum of its own.
    const bool is_extent = number(bytes, 14, 2) == 2;
    const std::size_t size = is_extent ? 24 : number(bytes, 8, 4);
    if (size != payload.size()) return "the frame had another size";
    if (is_extent ? number(payload, 16, 4) != crc32c(bytes.first(header + 16))
                  : number(bytes, 4, 4) != crc32c(payload))
        return "the frame was not whole";
    const std::uint64_t kind = number(bytes, 13, 1);
    const bool is_entry = missing.what == What::journal_entry ||
                          missing.what == What::journal_payload ||
                          missing.what == What::segment_entry;
    const bool is_vote = missing.what == What::journal_vote || missing.what == What::journal_ballot;
    if (is_entry  ? kind >= 16
        : is_vote ? kind != 16 && kind != 18 && kind != 20
                  : kind != 17 && kind != 19)
        return "the frame was of another kind";
    if (number(bytes, 16, 8) != static_cast<std::uint64_t>(missing.group.value))
        return "the frame was another group's";
    if (number(bytes, 24, 8) != static_cast<std::uint64_t>(missing.index))
        return "the frame had another index";
    return {};
}

std::optional<std::string> flaw_of_block(const Missing& missing, std::span<const std::byte> bytes) {
    switch (missing.what) {
    case What::journal_header: return sum_holds(bytes) ? std::optional<std::string>() : "no header";
    case What::journal_round:
    case What::segment_header:
        if (bytes.size() == 64 && sum_holds(bytes)) return {};
        return "no header was there";
    case What::journal_entry:
    case What::journal_payload:
    case What::journal_vote:
    case What::journal_ballot:
    case What::journal_note:
    case What::segment_entry: return flaw_of_frame(missing, bytes);
    default: return {};
    }
}

// What a node of ours can do without if there is a header: the payload of what is in the journal.
bool is_more_than_payload(const Missing& missing, const Evidence& evidence, sim::Medium::Inode file,
                          const sim::Medium& medium) {
    constexpr std::size_t header = 64;
    const auto raw = std::span(evidence.raw).first(header);
    if (!std::ranges::equal(raw, std::span(evidence.restored).first(header))) return true;
    const std::uint64_t unit = bytes_read_at_once(missing.path);
    const std::uint64_t end = missing.position + header;
    for (std::uint64_t at = missing.position / unit * unit; at < (end + unit - 1) / unit * unit;
         at += sim::Medium::sector_size)
        if (medium.is_unreadable(file, at)) return true;
    return evidence.cut_short;
}

// The same frame, whole: where it was carried over to, or mended.
bool stands_elsewhere(const Missing& missing, std::span<const std::byte> frame,
                      const sim::Medium& medium) {
    // All but the sum of the header, and the round.
    const auto is_same = [&](std::span<const std::byte> other) {
        return std::ranges::equal(frame.subspan(4, 36), other.subspan(4, 36)) &&
               std::ranges::equal(frame.subspan(48), other.subspan(48));
    };
    for (const auto& [inode, path] : medium.durable_files()) {
        // What a file held when it was a part of the journal, nobody reads any more.
        if (before_set_aside(path).starts_with("journal/spare-")) continue;
        const Bytes all = as_read(medium, inode);
        for (std::size_t at = 0; at + frame.size() <= all.size(); at += 8)
            if ((path != missing.path || at != missing.position) &&
                is_same(all.view().subspan(at, frame.size())))
                return true;
    }
    return false;
}

// A round can do without its header.
bool is_told_by_frames(const Missing& missing, sim::Medium::Inode file, const sim::Medium& medium) {
    const Bytes all = as_read(medium, file);
    const auto header = wire::decode_journal_header(all.view());
    if (!header || wire::round_at(all, *header, missing.position)) return false;
    for (std::uint64_t n = header->first_round; n <= header->first_round + all.size() / 4096; ++n)
        if (wire::round_by_frames(all, *header, missing.position, n)) return true;
    return false;
}

// The journal's newest file has the greatest name of them.
bool has_newer(const Missing& missing, const sim::Medium& medium) {
    return std::ranges::any_of(medium.durable_files(), [&](const auto& file) {
        const std::size_t name = missing.path.rfind('/') + 1;
        return file.second.starts_with(missing.path.substr(0, name)) &&
               file.second.ends_with(".log") && file.second > missing.path;
    });
}

bool is_too_short(const Missing& missing, sim::Medium::Inode file, const sim::Medium& medium) {
    const std::uint64_t size = medium.durable_size(file);
    return std::ranges::any_of(medium.harms(), [&](const sim::Medium::Harm& harm) {
        return harm.file == file && harm.fault == missing.fault && harm.position + harm.size > size;
    });
}

} // namespace

std::optional<std::string> flaw_of(const Missing& missing, const sim::Medium& medium) {
    if (missing.what == What::disk) {
        const bool is_lost = std::ranges::any_of(
            medium.harms(), [](const auto& h) { return h.fault == sim::Fault::lost_disk; });
        return is_lost ? std::optional<std::string>() : "the disk is still there";
    }
    const auto file = medium.durable_file(missing.path);
    if (!file && missing.what == What::small_facts && missing.path.starts_with("kv/")) {
        const bool was_promised = std::ranges::any_of(medium.harms(), [&](const auto& harm) {
            return harm.fault == sim::Fault::late_sync_error && harm.path == missing.path &&
                   harm.position == missing.position && harm.size == missing.size &&
                   harm.should_be.view().size() == missing.size;
        });
        return was_promised ? std::optional<std::string>() : "nobody has lied about that file";
    }
    if (!file) return "there is no such file";
    if (missing.what == What::file_end)
        return is_too_short(missing, *file, medium) ? std::optional<std::string>()
                                                    : "the file is long enough";
    const Evidence evidence = evidence_of(missing, *file, medium);
    if (!evidence.blamed_hits) return "no such fault has struck there";
    if (!evidence.unreadable && evidence.raw == evidence.restored && !evidence.cut_short)
        return "all of it is there";
    if (missing.what == What::journal_unneeded &&
        (!evidence.unreadable || has_newer(missing, medium)))
        return "nobody needs it";
    if (auto flaw = flaw_of_block(missing, evidence.restored)) return flaw;
    if (missing.what == What::journal_round && is_told_by_frames(missing, *file, medium))
        return "its frames tell what it said";
    if (missing.what == What::segment_header &&
        wire::header_by_footer(as_read(medium, *file).view(), GroupId()))
        return "its footer tells what it said";
    const bool is_frame = missing.what == What::journal_entry ||
                          missing.what == What::journal_vote || missing.what == What::journal_note;
    if (is_frame && !is_more_than_payload(missing, evidence, *file, medium))
        return "its header is there";
    if (missing.what == What::journal_payload &&
        stands_elsewhere(missing, evidence.restored, medium))
        return "it stands elsewhere as well";
    return {};
}

namespace {

std::optional<std::string> flaw_in(std::span<const Missing> missing, const sim::Medium& medium) {
    if (missing.empty()) return "nothing is missing";
    for (const Missing& one : missing)
        if (auto flaw = flaw_of(one, medium))
            return std::string(to_string(one.what)) + " at " + one.path + ':' +
                   std::to_string(one.position) + ": " + *flaw;
    return {};
}

} // namespace

std::optional<std::string> flaw_of_refusal(std::span<const Missing> missing,
                                           const sim::Medium& medium) {
    const auto is_payload = [](const Missing& one) { return one.what == What::journal_payload; };
    if (auto flaw = flaw_in(missing, medium)) return flaw;
    return std::ranges::all_of(missing, is_payload)
               ? std::optional<std::string>("only payloads are missing")
               : std::nullopt;
}

// Each voter that the proof names must be gone, or lack something of this very group.
namespace {

// Nobody has told it of the group: nothing on its disk is of it, and nobody can tell it now.
std::optional<std::string> flaw_of_ignorance(const Excuse& excuse, const Disks& disks,
                                             const Disks::One& disk) {
    const Excuse controller{
        Excuse::Kind::no_majority, server::controller_group, excuse.controllers, {}};
    if (excuse.group == server::controller_group) return "everybody knows the controller";
    if (std::ranges::any_of(excuse.controllers, &Deprived::untold)) return "of a wrong node";
    if (auto flaw = flaw_of(controller, disks)) return "the controller could tell: " + *flaw;
    if (disk.gone || !disk.knows || disk.knows->contains(excuse.group)) return "it has been told";
    for (const auto& [inode, path] : disk.medium->durable_files()) {
        if (path.starts_with(group_directory(excuse.group) + '/')) return "it has been told";
        if (!path.starts_with("journal/")) continue;
        Buffer all(static_cast<std::size_t>(disk.medium->durable_size(inode)));
        disk.medium->read_durable(inode, 0, all.view());
        for (std::size_t at = 0; at + wire::Frame::header_size <= all.size();
             at += wire::frame_alignment) {
            const auto header = wire::decode_header_in_journal(
                wire::HeaderBytes(all.view().subspan(at, wire::Frame::header_size)));
            if (header.ok() && header.value().frame.group == excuse.group)
                return "it has been told";
        }
    }
    return {};
}

} // namespace

std::optional<std::string> flaw_of(const Excuse& excuse, const Disks& disks) {
    const auto members = disks.groups.find(excuse.group);
    if (members == disks.groups.end()) return "there is no such group";
    const auto deprived = [&](NodeId node) {
        return std::ranges::count(excuse.voters, node, &Deprived::node);
    };
    for (const Deprived& voter : excuse.voters) {
        const auto disk = disks.nodes.find(voter.node);
        if (disk == disks.nodes.end() || deprived(voter.node) != 1) return "of a wrong node";
        if (voter.abstains) {
            if (!disk->second.abstains.contains(excuse.group)) return "its replica votes";
            continue;
        }
        if (voter.untold) {
            if (auto flaw = flaw_of_ignorance(excuse, disks, disk->second)) return flaw;
            continue;
        }
        const sim::Medium& medium = *disk->second.medium;
        if (auto flaw = disk->second.gone ? flaw_of_refusal(voter.missing, medium)
                                          : flaw_in(voter.missing, medium))
            return flaw;
        for (const Missing& missing : voter.missing)
            if (!disk->second.gone &&
                ((missing.what != What::segment_entry && missing.what != What::journal_payload) ||
                 missing.group != excuse.group))
                return "a node that runs does not need what it has lost";
    }
    const auto stands = [&](const std::vector<NodeId>& voters) {
        const auto lacking =
            std::ranges::count_if(voters, [&](NodeId voter) { return deprived(voter) == 1; });
        if (excuse.kind == Excuse::Kind::unreadable) return lacking > 0;
        return 2 * (static_cast<std::ptrdiff_t>(voters.size()) - lacking) <=
               static_cast<std::ptrdiff_t>(voters.size());
    };
    const raft::Members& voters = members->second;
    if (stands(voters.voters) || (!voters.outgoing.empty() && stands(voters.outgoing))) return {};
    return "enough of the voters are well";
}

std::optional<Finding> judge_forgetting(NodeId node, GroupId group, const sim::Medium& medium,
                                        ExcuseCounts& counts) {
    std::vector<Missing> missing = missing_on(medium, group);
    std::erase_if(missing, [&](const Missing& one) {
        return one.what != What::journal_ballot || one.group != group;
    });
    if (const auto flaw = flaw_in(missing, medium))
        return report(oracle::excuse_unfounded, "node " + std::to_string(node.value) +
                                                    " has forgotten its vote in group " +
                                                    std::to_string(group.value) + ": " + *flaw);
    ++counts["vote/" + std::string(to_string(What::journal_ballot))];
    return {};
}

std::optional<Finding> judge_refusal(NodeId node, const sim::Medium& medium, ExcuseCounts& counts) {
    const std::vector<Missing> missing = missing_on(medium);
    if (const auto flaw = flaw_of_refusal(missing, medium))
        return report(oracle::excuse_unfounded, "node " + std::to_string(node.value) +
                                                    " says that its disk is damaged: " + *flaw);
    std::set<What> seen;
    for (const Missing& one : missing)
        if (seen.insert(one.what).second) ++counts["refusal/" + std::string(to_string(one.what))];
    return {};
}

} // namespace pyralog::simtest
