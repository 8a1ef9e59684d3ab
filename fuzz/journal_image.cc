// A file of the journal. Half of what a fuzzer would try ends at a checksum; so most inputs are a
// recipe for a file whose sums are right, and the rest are the file itself.
#include "core/wire/journal.h"
#include "fuzz/frames.h"
#include "fuzz/target.h"

#include <algorithm>

namespace pyralog::fuzz {

namespace {

constexpr std::uint64_t number_mask = (std::uint64_t{1} << 62) - 1; // Of what is sensible.
constexpr std::size_t block = wire::RoundHeader::alignment;

struct MadeJournal {
    wire::JournalHeader header;
    Image image;
    // Of the rounds that follow each other from the beginning, while nothing odd has been done.
    std::vector<wire::Frame> frames;
    std::vector<std::size_t> round_ends; // In the file.
    std::vector<std::size_t> frames_at;  // How many frames there were before each round.
    bool odd = false;
};

void write_header(MadeJournal& made) {
    made.image.resize(wire::JournalHeader::size);
    encode(made.header, made.image);
}

// A round with a header that need not fit.
void add_round(MadeJournal& made, Input& input, wire::RoundHeader round) {
    Image body;
    made.frames_at.push_back(made.frames.size());
    round.frames = 1 + input.byte() % 3;
    for (std::uint32_t i = 0; i < round.frames; ++i) {
        const auto index = static_cast<std::int64_t>(input.number_near(64) & number_mask);
        const auto offset = static_cast<std::int64_t>(input.number_near(64) & number_mask);
        wire::Frame frame = some_frame(input, GroupId(1 + input.byte() % 3),
                                       {index, Offset(offset)}, Term(1), true);
        frame.round = round.round;
        append_frame(body, frame);
        made.frames.push_back(std::move(frame));
    }
    round.body_bytes = body.size();
    const std::size_t begin = made.image.size();
    made.image.resize(begin + round.stored_size());
    encode(round, std::span(made.image).subspan(begin));
    std::copy(body.begin(), body.end(),
              made.image.begin() + static_cast<std::ptrdiff_t>(begin + wire::RoundHeader::size));
    made.round_ends.push_back(made.image.size());
}

void odd_round(MadeJournal& made, Input& input, wire::RoundHeader round) {
    switch (input.byte() % 4) {
    case 0: round.round += input.number_near(4); break;
    case 1: round.salt ^= input.number_near(4); break;
    case 2: round.file -= input.number_near(4); break;
    default: break;
    }
    const std::size_t frames = made.frames.size();
    add_round(made, input, round);
    made.frames.resize(frames);
    made.frames_at.pop_back();
    made.round_ends.pop_back();
}

void do_something_odd(MadeJournal& made, Input& input, const wire::RoundHeader& next) {
    made.odd = true;
    Image& image = made.image;
    switch (input.byte() % 5) {
    case 0: odd_round(made, input, next); break;
    case 1: {
        const Bytes raw = input.bytes(256);
        image.insert(image.end(), raw.view().begin(), raw.view().end());
        image.resize((image.size() + block - 1) / block * block);
        break;
    }
    case 2: { // What was there before, once more: as after a lost or a misdirected write.
        const std::size_t from = input.below(image.size() / block) * block;
        const std::size_t to = input.below(image.size() / block + 1) * block;
        const Image copy(image.begin() + static_cast<std::ptrdiff_t>(from),
                         image.begin() + static_cast<std::ptrdiff_t>(from + block));
        image.resize(std::max(image.size(), to + block));
        std::copy(copy.begin(), copy.end(), image.begin() + static_cast<std::ptrdiff_t>(to));
        break;
    }
    case 3: image[input.below(image.size())] ^= static_cast<std::byte>(input.byte()); break;
    default: image.resize(input.below(image.size() + 1)); break;
    }
}

MadeJournal make_journal(Input& input) {
    MadeJournal made;
    made.header = {.identity = 7,
                   .number = 3,
                   .oldest = 2,
                   .salt = 99,
                   .first_round = 10,
                   .after_round = 9,
                   .bytes = input.number_near(2) * block};
    write_header(made);
    std::uint64_t round = made.header.first_round;
    while (!input.done() && made.image.size() < image_max) {
        const wire::RoundHeader next{made.header.number, round, made.header.salt, 0, 0};
        if (input.byte() % 4 == 3) {
            do_something_odd(made, input, next);
        } else if (made.odd) {
            odd_round(made, input, {next.file, round++, next.salt, 0, 0});
        } else {
            add_round(made, input, next);
            ++round;
        }
    }
    return made;
}

// What holds of every scan, whatever was scanned.
void check_scan(const Bytes& file, const wire::JournalHeader& header,
                const wire::JournalScan& scan) {
    CHECK(scan.file_position >= wire::JournalHeader::size && scan.file_position % block == 0);
    CHECK(scan.file_position <= std::max<std::size_t>(wire::JournalHeader::size,
                                                      (file.size() + block - 1) / block * block));
    CHECK(scan.round_end >= header.first_round);
    std::uint64_t round = header.first_round;
    for (const wire::Frame& frame : scan.frames) {
        CHECK(frame.round >= round && frame.round < scan.round_end);
        CHECK((frame.damaged > 0 ? frame.payload.empty() : payload_intact(frame)) &&
              is_sensible(frame));
        round = frame.round;
    }
    CHECK((scan.end == wire::JournalScan::End::intact) == scan.reason.empty());
}

void check_same(const std::vector<wire::Frame>& expected, std::size_t count,
                const std::vector<wire::Frame>& found) {
    CHECK(found.size() == count);
    for (std::size_t i = 0; i < count; ++i)
        CHECK(found[i].damaged > 0 ? is_same_entry(expected[i], found[i])
                                   : same(expected[i], found[i]));
}

std::ptrdiff_t damaged_in(const wire::JournalScan& scan) {
    return std::ranges::count_if(scan.frames, [](const auto& frame) { return frame.damaged > 0; });
}

// One byte of a good file is changed: nothing that is returned may differ from what was written,
// and what is missing must be told, unless it is the last round, which then counts as torn. Of a
// payload that is missing all else is known.
void check_one_change(const MadeJournal& made, std::size_t position, std::byte mask) {
    Image image = made.image;
    image[position] ^= mask;
    const Bytes file = bytes_of(image);
    if (position < wire::JournalHeader::size) {
        CHECK(mask == std::byte{0} || !wire::decode_journal_header(file.view()));
        return;
    }
    const wire::JournalScan scan = scan_journal(file, made.header, {});
    check_scan(file, made.header, scan);
    std::size_t rounds = made.round_ends.size();
    if (scan.round_end != made.header.first_round + rounds) {
        const auto hit = static_cast<std::size_t>(
            std::upper_bound(made.round_ends.begin(), made.round_ends.end(), position) -
            made.round_ends.begin());
        CHECK(scan.round_end == made.header.first_round + hit);
        const bool is_last = hit + 1 == rounds && hit > 0;
        CHECK(is_last || scan.end == wire::JournalScan::End::damage);
        check_same(made.frames, made.frames_at[hit], scan.frames);
        // Whoever knows that the round counted is told of it in any case.
        const auto known = scan_journal(file, made.header, made.header.first_round + rounds - 1);
        CHECK(known.end == wire::JournalScan::End::damage || damaged_in(known) == 1);
    } else {
        CHECK(damaged_in(scan) <= 1);
        check_same(made.frames, made.frames.size(), scan.frames);
    }
}

bool run_recipe(Input& input) {
    const std::size_t position = input.number(3);
    const auto mask = static_cast<std::byte>(input.byte());
    const MadeJournal made = make_journal(input);
    const Bytes file = bytes_of(made.image);
    const auto header = wire::decode_journal_header(file.view());
    if (!made.odd) CHECK(header && *header == made.header);
    const wire::JournalScan scan = scan_journal(file, made.header, {});
    check_scan(file, made.header, scan);
    check_scan(file, made.header,
               scan_journal(file, made.header, made.header.first_round + input.byte() % 8));
    if (made.odd || made.round_ends.empty() || file.size() < made.header.bytes) return !made.odd;
    CHECK(scan.end == wire::JournalScan::End::intact);
    CHECK(scan.round_end == made.header.first_round + made.round_ends.size());
    CHECK(scan.file_position == file.size());
    check_same(made.frames, made.frames.size(), scan.frames);
    check_one_change(made, position % made.image.size(), mask);
    return true;
}

} // namespace

bool run_journal_image(std::span<const std::byte> bytes) {
    Input input(bytes);
    if (input.byte() % 8 != 7) return run_recipe(input);
    const Bytes file = input.all();
    const auto header = wire::decode_journal_header(file.view());
    const wire::JournalHeader scanned = header.value_or(wire::JournalHeader());
    check_scan(file, scanned, scan_journal(file, scanned, {}));
    return header.has_value();
}

} // namespace pyralog::fuzz
