#include "core/wire/journal.h"

#include "core/base/bug.h"
#include "core/base/crc32c.h"
#include "core/wire/fixed.h"

namespace pyralog::wire {

namespace {

constexpr std::uint32_t file_magic = 0x504c4a46;  // "PLJF"
constexpr std::uint32_t round_magic = 0x504c4a52; // "PLJR"
constexpr std::uint32_t journal_version = 1;

enum class Body : std::uint8_t {
    good,
    harmed, // Some payload is not what its header says. The headers are good, and fill the round.
    bad,
};

// The frames of the round at `position`, appended to `frames`.
Body take_frames(const Bytes& file, const RoundHeader& round, std::uint64_t position,
                 std::vector<Frame>& frames) {
    const std::uint64_t room = file.size() - position - RoundHeader::size;
    if (round.body_bytes > room) return Body::bad;
    const Bytes body = file.slice(position + RoundHeader::size, round.body_bytes);
    std::size_t at = 0;
    bool harmed = false;
    for (std::uint32_t i = 0; i < round.frames; ++i) {
        if (body.size() - at < Frame::header_size) return Body::bad;
        const auto decoded =
            decode_header_in_journal(HeaderBytes(body.view().subspan(at, Frame::header_size)));
        if (!decoded.ok()) return Body::bad;
        FrameHeader header = decoded.value();
        if (journaled_size(header) > body.size() - at) return Body::bad;
        if (header.frame.round != round.round) return Body::bad;
        if (header.form == FrameForm::extent) {
            header.frame.place = decode_place(body.view().subspan(at).first<extent_size>());
            harmed = harmed || !header.frame.place.is_known();
            header.frame.damaged = static_cast<std::uint32_t>(header.payload_size);
            at += extent_size;
            frames.push_back(std::move(header.frame));
            continue;
        }
        if (header.payload_size > 0)
            header.frame.payload.push_back(
                body.slice(at + Frame::header_size, header.payload_size));
        const bool intact = payload_intact(header.frame);
        // Nothing is no payload to be damaged: such a header was never ours.
        if (!intact && header.payload_size == 0) return Body::bad;
        at += stored_size(header.payload_size);
        if (!intact && BUG(M20)) continue;
        harmed = harmed || !intact;
        frames.push_back(intact ? std::move(header.frame)
                                : without_payload(std::move(header.frame)));
    }
    if (at != body.size()) return Body::bad;
    return harmed ? Body::harmed : Body::good;
}

// A frame of this round, header and padding; nothing if none begins here that ends before `end`.
std::optional<std::uint64_t> frame_size(const Bytes& file, std::uint64_t at, std::uint64_t number) {
    if (file.size() - at < Frame::header_size) return {};
    const auto header =
        decode_header_in_journal(HeaderBytes(file.view().subspan(at, Frame::header_size)));
    if (!header.ok() || header.value().frame.round != number) return {};
    const std::uint64_t size = journaled_size(header.value());
    return size > file.size() - at ? std::nullopt : std::optional(size);
}

// Is there a round with a number greater than `round`, anywhere behind `position`? It was written
// only after `round` was durable.
bool later_round_behind(const Bytes& file, const JournalHeader& header, std::uint64_t position,
                        std::uint64_t round) {
    for (; position + RoundHeader::size <= file.size(); position += RoundHeader::alignment) {
        const auto found = round_at(file, header, position);
        if (found && found->round > round) return true;
    }
    return false;
}

} // namespace

void encode(const JournalHeader& header, std::span<std::byte> into) {
    CHECK(into.size() == JournalHeader::size);
    FixedWriter writer(into.subspan(crc_size));
    writer.put(file_magic).put(journal_version).put(std::uint32_t{0});
    writer.put(header.identity).put(header.number).put(header.oldest).put(header.salt);
    writer.put(header.first_round).put(header.after_round).put(header.bytes);
    writer.fill();
    FixedWriter(into).put(crc32c(into.subspan(crc_size)));
}

std::optional<JournalHeader> decode_journal_header(std::span<const std::byte> block) {
    if (block.size() < JournalHeader::size) return {};
    block = block.first(JournalHeader::size);
    FixedReader reader(block);
    if (reader.get<std::uint32_t>() != crc32c(block.subspan(crc_size))) return {};
    if (reader.get<std::uint32_t>() != file_magic) return {};
    if (reader.get<std::uint32_t>() != journal_version) return {};
    reader.skip(sizeof(std::uint32_t));
    JournalHeader header;
    header.identity = reader.get<std::uint64_t>();
    header.number = reader.get<std::uint64_t>();
    header.oldest = reader.get<std::uint64_t>();
    header.salt = reader.get<std::uint64_t>();
    header.first_round = reader.get<std::uint64_t>();
    header.after_round = reader.get<std::uint64_t>();
    header.bytes = reader.get<std::uint64_t>();
    return header;
}

void encode(const RoundHeader& header, std::span<std::byte> into) {
    CHECK(into.size() >= RoundHeader::size);
    into = into.first(RoundHeader::size);
    FixedWriter writer(into.subspan(crc_size));
    writer.put(round_magic).put(header.file).put(header.round).put(header.salt);
    writer.put(header.body_bytes).put(header.frames);
    writer.fill();
    FixedWriter(into).put(crc32c(into.subspan(crc_size)));
}

std::optional<RoundHeader> decode_round_header(std::span<const std::byte> bytes) {
    if (bytes.size() < RoundHeader::size) return {};
    bytes = bytes.first(RoundHeader::size);
    FixedReader reader(bytes);
    const auto crc = reader.get<std::uint32_t>();
    if (reader.get<std::uint32_t>() != round_magic) return {};
    if (crc != crc32c(bytes.subspan(crc_size))) return {};
    RoundHeader header;
    header.file = reader.get<std::uint64_t>();
    header.round = reader.get<std::uint64_t>();
    header.salt = reader.get<std::uint64_t>();
    header.body_bytes = reader.get<std::uint64_t>();
    header.frames = reader.get<std::uint32_t>();
    return header;
}

std::optional<RoundHeader> round_at(const Bytes& file, const JournalHeader& header,
                                    std::uint64_t position) {
    if (position > file.size() || file.size() - position < RoundHeader::size) return {};
    const auto round = decode_round_header(file.view().subspan(position, RoundHeader::size));
    if (!round || round->file != header.number || round->salt != header.salt) return {};
    return round;
}

std::optional<RoundHeader> round_by_frames(const Bytes& file, const JournalHeader& header,
                                           std::uint64_t position, std::uint64_t number) {
    if (position > file.size() || file.size() - position < RoundHeader::size) return {};
    RoundHeader round{header.number, number, header.salt, 0, 0};
    std::uint64_t at = position + RoundHeader::size;
    while (const auto size = frame_size(file, at, number)) {
        at += *size;
        ++round.frames;
    }
    round.body_bytes = at - position - RoundHeader::size;
    const auto next = round_at(file, header, position + round.stored_size());
    if (round.frames == 0 || !next || next->round != number + 1) return {};
    const auto rest = file.view().subspan(at, position + round.stored_size() - at);
    for (const std::byte byte : rest)
        if (byte != std::byte{0}) return {};
    return round;
}

JournalScan scan_journal(const Bytes& file, const JournalHeader& header,
                         std::optional<std::uint64_t> after_round) {
    JournalScan scan;
    scan.round_end = header.first_round;
    scan.file_position = JournalHeader::size;
    const auto damaged = [&](std::string_view reason) {
        scan.end = JournalScan::End::damage;
        scan.reason = reason;
    };
    if (file.size() < header.bytes) {
        damaged("the file is shorter than it was made");
        return scan;
    }
    // The number is checked in case rot has made a header that passes: rounds count up by one.
    std::optional<RoundHeader> round;
    while (!after_round || scan.round_end <= *after_round) {
        round = round_at(file, header, scan.file_position);
        if (!round) round = round_by_frames(file, header, scan.file_position, scan.round_end);
        if (!round || round->round != scan.round_end) break;
        const std::size_t frames_before = scan.frames.size();
        const Body body = take_frames(file, *round, scan.file_position, scan.frames);
        // With nothing behind it, its write was not finished. A file's first round was durable
        // before the file had its name.
        const auto was_durable = [&] {
            return after_round || scan.round_end == header.first_round ||
                   later_round_behind(file, header, scan.file_position, scan.round_end);
        };
        if (body == Body::bad || (body == Body::harmed && !was_durable())) {
            scan.frames.resize(frames_before);
            break;
        }
        scan.file_position += round->stored_size();
        ++scan.round_end;
        round.reset();
    }
    if (after_round) {
        if (scan.round_end <= *after_round) damaged("a round is bad, and a newer file follows");
    } else if (later_round_behind(file, header, scan.file_position, scan.round_end)) {
        damaged("a round is bad, and a later one follows it");
    } else if (scan.round_end == header.first_round) {
        // A file gets its name only after its header and its first round are durable.
        damaged("the first round of the file is bad");
    } else if (round) {
        scan.end = JournalScan::End::torn;
        scan.reason = "the last round was not written to its end";
    }
    return scan;
}

std::string_view chain_fault(std::span<const JournalHeader> files) {
    if (files.empty()) return {};
    if (files.front().number > files.back().oldest) return "the oldest file is missing";
    for (std::size_t i = 0; i < files.size(); ++i) {
        const JournalHeader& file = files[i];
        if (file.oldest == 0 || file.oldest > file.number || file.first_round <= file.after_round)
            return "a file's header contradicts itself";
        if (i == 0) continue;
        const JournalHeader& before = files[i - 1];
        if (file.number != before.number + 1) return "a file is missing";
        if (file.after_round < before.first_round)
            return "a file does not follow the one before it";
    }
    return {};
}

} // namespace pyralog::wire
