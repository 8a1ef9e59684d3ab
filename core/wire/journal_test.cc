#include "core/wire/journal.h"

#include <cstring>

#include <catch2/catch.hpp>

using namespace pyralog;
using wire::Frame;
using wire::JournalHeader;
using wire::JournalScan;
using wire::RoundHeader;

namespace {

constexpr std::size_t block = JournalHeader::size;

// A journal file in memory, to be built and then broken.
class FileBytes {
public:
    explicit FileBytes(JournalHeader header) : bytes_(header.bytes) { begin_life(header); }

    void begin_life(JournalHeader header) {
        header_ = header;
        at_ = block;
        encode(header_, std::span(bytes_).first(block));
    }

    // One round of frames with payloads of this size; where it begins.
    std::size_t add_round(std::uint64_t number, int frames, std::size_t payload_size = 100) {
        const std::size_t begin = at_;
        RoundHeader round;
        round.file = header_.number;
        round.round = number;
        round.salt = header_.salt;
        round.frames = static_cast<std::uint32_t>(frames);
        std::size_t at = begin + RoundHeader::size;
        for (int i = 0; i < frames; ++i) {
            Frame frame;
            frame.group = GroupId(1);
            frame.term = Term(1);
            frame.first = {next_++, Offset(0)};
            frame.records = 1;
            frame.round = number;
            frame.payload = {Bytes::copy_of(std::string(payload_size, 'a'))};
            wire::encode_header(frame, std::span(bytes_).subspan(at).first<Frame::header_size>());
            std::memset(bytes_.data() + at + Frame::header_size, 'a', payload_size);
            at += wire::stored_size(frame);
        }
        round.body_bytes = at - begin - RoundHeader::size;
        encode(round, std::span(bytes_).subspan(begin));
        at_ = begin + round.stored_size();
        return begin;
    }
    void flip(std::size_t at) { bytes_[at] ^= std::byte{0x10}; }
    void zero(std::size_t at, std::size_t count) { std::memset(&bytes_[at], 0, count); }
    void shorten(std::size_t size) { bytes_.resize(size); }
    std::size_t end() const { return at_; }

    JournalScan scan(std::optional<std::uint64_t> after_round = {}) const {
        return scan_journal(Bytes::copy_of(bytes_), header_, after_round);
    }

private:
    JournalHeader header_;
    std::vector<std::byte> bytes_;
    std::size_t at_ = block;
    std::int64_t next_ = 0;
};

JournalHeader some_header() {
    JournalHeader header;
    header.identity = 99;
    header.number = 4;
    header.oldest = 2;
    header.salt = 0x1234;
    header.first_round = 10;
    header.after_round = 9;
    header.bytes = 16 * block;
    return header;
}

} // namespace

TEST_CASE("a journal file's header reads back, and no bit of it may flip", "[wire]") {
    std::vector<std::byte> bytes(block);
    encode(some_header(), bytes);
    CHECK(wire::decode_journal_header(bytes) == some_header());
    for (std::size_t i = 0; i < block; i += 7) {
        bytes[i] ^= std::byte{1};
        CHECK(!wire::decode_journal_header(bytes));
        bytes[i] ^= std::byte{1};
    }
    CHECK(!wire::decode_journal_header(std::span(bytes).first(block - 1)));
}

TEST_CASE("the rounds of a file are read in order", "[wire]") {
    FileBytes file(some_header());
    file.add_round(10, 1);
    file.add_round(11, 3, 5000);
    file.add_round(12, 0);
    const JournalScan scan = file.scan();
    CHECK(scan.end == JournalScan::End::intact);
    CHECK(scan.frames.size() == 4);
    CHECK(scan.round_end == 13);
    CHECK(scan.file_position == file.end());
}

TEST_CASE("a bad last round is torn, whatever is bad about it", "[wire]") {
    for (const std::size_t at : {std::size_t{0}, std::size_t{8}, std::size_t{40}, std::size_t{64},
                                 std::size_t{100}, std::size_t{200}, std::size_t{5100}}) {
        FileBytes file(some_header());
        file.add_round(10, 1);
        const std::size_t round = file.add_round(11, 3, 5000);
        file.flip(round + at);
        const JournalScan scan = file.scan();
        INFO("at " << at);
        CHECK(scan.end != JournalScan::End::damage);
        CHECK(scan.frames.size() == 1);
        CHECK(scan.round_end == 11);
    }
}

TEST_CASE("a bad round with a good later one behind it is damage", "[wire]") {
    FileBytes file(some_header());
    file.add_round(10, 1);
    const std::size_t bad = file.add_round(11, 2);
    file.add_round(12, 2);
    file.flip(bad + 70);
    const JournalScan scan = file.scan();
    CHECK(scan.end == JournalScan::End::damage);
    CHECK(scan.file_position == bad);
}

namespace {

std::vector<std::size_t> damaged_in(const JournalScan& scan) {
    std::vector<std::size_t> damaged;
    for (std::size_t i = 0; i < scan.frames.size(); ++i) {
        const Frame& frame = scan.frames[i];
        CHECK((frame.damaged > 0 ? frame.payload.empty() : payload_intact(frame)));
        if (frame.damaged > 0) damaged.push_back(i);
    }
    return damaged;
}

} // namespace

TEST_CASE("a bad payload costs no more than itself in a round that was durable", "[wire]") {
    FileBytes file(some_header());
    const std::size_t first = file.add_round(10, 1);
    const std::size_t second = file.add_round(11, 3, 5000);
    file.flip(second + RoundHeader::size + wire::stored_size(5000) + 2000);
    const JournalScan alone = file.scan(); // It may have been torn.
    CHECK(alone.end == JournalScan::End::torn);
    CHECK(alone.frames.size() == 1);
    CHECK(damaged_in(file.scan(11)) == std::vector<std::size_t>{2}); // The next file says no.
    file.add_round(12, 1);
    const JournalScan scan = file.scan(); // So does a later round.
    CHECK(scan.end == JournalScan::End::intact);
    CHECK(scan.frames.size() == 5);
    CHECK(scan.round_end == 13);
    CHECK(damaged_in(scan) == std::vector<std::size_t>{2});
    CHECK(scan.frames[2].damaged == 5000);
    CHECK(scan.frames[2].first.index == 2);
    CHECK(wire::stored_size(scan.frames[2]) == wire::stored_size(5000));

    // A file had its first round before its name.
    file.flip(first + RoundHeader::size + Frame::header_size);
    CHECK(damaged_in(file.scan()) == std::vector<std::size_t>{0, 2});
}

TEST_CASE("a round that has lost its header is told by its frames and its neighbours", "[wire]") {
    FileBytes file(some_header());
    file.add_round(10, 1);
    const std::size_t bad = file.add_round(11, 3, 5000);
    const std::size_t next = file.add_round(12, 1);
    file.add_round(13, 1);
    file.zero(bad, RoundHeader::size);
    JournalScan scan = file.scan();
    CHECK(scan.end == JournalScan::End::intact);
    CHECK(scan.frames.size() == 6);
    CHECK(scan.round_end == 14);
    CHECK(damaged_in(scan).empty());
    FileBytes first = file; // A file's first round, too, but not two rounds in a row.
    first.zero(block, 8);
    CHECK(first.scan().end == JournalScan::End::damage);
    first = FileBytes(some_header());
    first.add_round(10, 2);
    first.add_round(11, 1);
    first.zero(block, 8);
    CHECK(first.scan().frames.size() == 3);
    // A payload may be bad as well.
    file.flip(bad + RoundHeader::size + Frame::header_size);
    scan = file.scan();
    CHECK(scan.frames.size() == 6);
    CHECK(damaged_in(scan) == std::vector<std::size_t>{1});
    // Not so if there could have been another frame, or if the next round does not follow.
    FileBytes more = file;
    more.flip(next - 1);
    CHECK(more.scan().end == JournalScan::End::damage);
    more = file;
    more.flip(next);
    CHECK(more.scan().end == JournalScan::End::damage);
    more = file;
    more.flip(bad + RoundHeader::size + 30);
    CHECK(more.scan().end == JournalScan::End::damage);
}

TEST_CASE("the last round is torn if its header is bad", "[wire]") {
    FileBytes file(some_header());
    file.add_round(10, 1);
    file.flip(file.add_round(11, 1) + 20);
    CHECK(file.scan().end == JournalScan::End::intact);
    CHECK(file.scan().round_end == 11);
    CHECK(file.scan(11).end == JournalScan::End::damage); // Nobody knows if it had one more frame.
}

TEST_CASE("a later round is found behind one of unknown length", "[wire]") {
    FileBytes file(some_header());
    file.add_round(10, 1);
    const std::size_t bad = file.add_round(11, 3, 5000);
    file.add_round(12, 1);
    file.zero(bad, 4096);
    CHECK(file.scan().end == JournalScan::End::damage);
}

TEST_CASE("the first round of a named file is never torn", "[wire]") {
    FileBytes file(some_header());
    const std::size_t first = file.add_round(10, 2);
    file.flip(first + 80);
    CHECK(file.scan().end == JournalScan::End::damage);
}

TEST_CASE("in a file with a successor all rounds up to it must be good", "[wire]") {
    FileBytes file(some_header());
    file.add_round(10, 1);
    const std::size_t second = file.add_round(11, 1);
    CHECK(file.scan(11).end == JournalScan::End::intact);
    CHECK(file.scan(12).end == JournalScan::End::damage);
    // What comes after the round that counts was torn once, and says nothing.
    CHECK(file.scan(10).frames.size() == 1);
    file.flip(second + 3);
    CHECK(file.scan(10).end == JournalScan::End::intact);
    CHECK(file.scan(11).end == JournalScan::End::damage);
}

TEST_CASE("rounds of an earlier life are not there", "[wire]") {
    FileBytes file(some_header());
    for (std::uint64_t round = 10; round < 15; ++round) file.add_round(round, 1);
    // Used again: the old rounds stand where the new ones end, and the numbers could even follow.
    JournalHeader next = some_header();
    next.number = 8;
    next.salt = 0x9999;
    file.begin_life(next);
    file.add_round(10, 1);
    const JournalScan scan = file.scan();
    CHECK(scan.end == JournalScan::End::intact);
    CHECK(scan.frames.size() == 1);
    CHECK(scan.round_end == 11);
}

TEST_CASE("a shortened file is damage, at every length", "[wire]") {
    for (std::size_t size = block; size < 16 * block; size += 1000) {
        FileBytes file(some_header());
        file.add_round(10, 1);
        file.shorten(size);
        CHECK(file.scan().end == JournalScan::End::damage);
    }
}

TEST_CASE("a chain of files has no gap, and begins where the newest says", "[wire]") {
    std::vector<JournalHeader> files(3);
    for (std::size_t i = 0; i < files.size(); ++i) {
        files[i].number = 5 + i;
        files[i].oldest = 5;
        files[i].first_round = 100 * (i + 1) + 1;
        files[i].after_round = i == 0 ? 0 : 100 * i + 50;
    }
    CHECK(wire::chain_fault(files).empty());
    CHECK(wire::chain_fault({}).empty());
    auto broken = files;
    broken.erase(broken.begin());
    CHECK(!wire::chain_fault(broken).empty());
    broken = files;
    broken.erase(broken.begin() + 1);
    CHECK(!wire::chain_fault(broken).empty());
    broken = files;
    broken[1].after_round = 7;
    CHECK(!wire::chain_fault(broken).empty());
    broken = files;
    broken[2].first_round = broken[2].after_round;
    CHECK(!wire::chain_fault(broken).empty());
}
