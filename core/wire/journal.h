// core/wire/journal.h
//
// The journal as bytes; FORMATS.md has the layout. A file is a header block and then rounds, each
// beginning on 4 KiB. Each life of a file has a number, and a salt that its rounds carry: bytes of
// an earlier life, or of a batch that looks like a round, are never taken for a round.
//
// All of this is pure. What follows from a scan is decided here, in one place, and told to the
// caller: what was durable, where it ends, and if something that was durable is damaged.
#pragma once

#include "core/base/bytes.h"
#include "core/wire/frame.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace pyralog::wire {

struct JournalHeader {
    static constexpr std::size_t size = Buffer::disk_alignment;

    std::uint64_t identity = 0;    // Of the node that wrote it.
    std::uint64_t number = 0;      // Of the file, from 1.
    std::uint64_t oldest = 0;      // The first file that was still needed when this one began.
    std::uint64_t salt = 0;        // Different in each life of a file.
    std::uint64_t first_round = 0; // Of this file. Greater than any round before.
    std::uint64_t after_round = 0; // The last round before this file that counts. Zero: none.
    std::uint64_t bytes = 0;       // The file's size. It had it before it got its name.
    bool operator==(const JournalHeader&) const = default;
};

void encode(const JournalHeader& header, std::span<std::byte> into); // All of one block.
std::optional<JournalHeader> decode_journal_header(std::span<const std::byte> block);

struct RoundHeader {
    static constexpr std::size_t size = 64;
    static constexpr std::size_t alignment = Buffer::disk_alignment;

    std::uint64_t file = 0;
    std::uint64_t round = 0;
    std::uint64_t salt = 0;
    std::uint64_t body_bytes = 0; // The frames with their padding.
    std::uint32_t frames = 0;
    bool operator==(const RoundHeader&) const = default;

    // With itself and the zeros up to the next round.
    std::uint64_t stored_size() const {
        return (size + body_bytes + alignment - 1) / alignment * alignment;
    }
};

void encode(const RoundHeader& header, std::span<std::byte> into); // The first 64 bytes.
std::optional<RoundHeader> decode_round_header(std::span<const std::byte> bytes);

// The round that begins at `position`, of this life of the file. If its header is bad, but this
// must be round `number`: what the header said, if that can be told from the frames. All of their
// headers are good then, nothing but zeros is behind the last of them, and the next round begins
// where this one ends.
std::optional<RoundHeader> round_at(const Bytes& file, const JournalHeader& header,
                                    std::uint64_t position);
std::optional<RoundHeader> round_by_frames(const Bytes& file, const JournalHeader& header,
                                           std::uint64_t position, std::uint64_t number);

// What became of a file.
struct JournalScan {
    enum class End : std::uint8_t {
        intact, // All that is known to have been durable is here, and nothing half-written is.
        torn,   // The last round was being written when the power went. Nobody was told of it.
        damage, // Something that was durable is not what was written.
    };
    End end = End::intact;
    // Of the good rounds, in order; slices of the file. A payload that was durable and is bad now
    // is left out, which Frame::damaged says: all else in its round is known. An extent comes
    // without one as well, and with its place, unless that was damaged.
    std::vector<Frame> frames;
    std::uint64_t round_end = 0;     // One more than the last good round.
    std::uint64_t file_position = 0; // Where the good rounds end.
    std::string_view reason;         // Of torn and damage, for people.
};

// All rounds of a file. `after_round` is what the next file says was the last one here that counts;
// without it this is the newest file, which ends where the rounds end.
JournalScan scan_journal(const Bytes& file, const JournalHeader& header,
                         std::optional<std::uint64_t> after_round);

// Do these follow each other, without a gap, from the newest one's `oldest` on? In rising order of
// number. Empty if so, else what is wrong, for people.
std::string_view chain_fault(std::span<const JournalHeader> files);

} // namespace pyralog::wire
