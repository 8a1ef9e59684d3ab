// What is damaged, known, and mended: the rows of the recovery table after which a node opens.
#include "core/base/crc32c.h"
#include "core/log/test_node.h"
#include "io/sim/crash_points.h"

#include <algorithm>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::log_test;

namespace {

constexpr std::size_t bytes_each = 300;

wire::Frame entry_at(std::int64_t index, int group = 1, std::size_t bytes = bytes_each) {
    wire::Frame frame = Life::entry({index, Offset(index)}, group, Term(1), bytes);
    frame.payload_crc = crc32c(frame.payload);
    return frame;
}

// So many entries, each in a round of its own; none of them is committed.
TestNode::Script rounds(int count, std::size_t bytes = bytes_each) {
    return [=](Life& life) -> Result<> {
        for (int i = 0; i < count; ++i) {
            TRY(life.append(1, Term(1), bytes));
            TRY(life.journal.sync());
        }
        return life.env.fibers.sleep_until(life.env.clock.now() + 1s); // Sealed.
    };
}

// So many entries, in segments.
TestNode::Script stored(int count, std::size_t bytes = bytes_each) {
    return [=](Life& life) -> Result<> {
        TRY(rounds(count, bytes)(life));
        Log& log = *TRY(life.log(1));
        log.set_committed(log.end());
        return life.writer.flush();
    };
}

// Where the frame of an entry, or of the last vote, is in the journal.
struct Place {
    std::string path;
    std::uint64_t position = 0;
};
Place place_of(TestNode& node, wire::Frame::Kind kind, std::int64_t index) {
    Place place;
    node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
        TRY(survey(env, "journal",
                   [&](std::string_view path, std::uint64_t at, const wire::Frame& frame, bool) {
                       if (frame.kind == kind && frame.first.index == index &&
                           path.starts_with("journal/"))
                           place = {std::string(path), at};
                   }));
        return {};
    });
    REQUIRE(node.finish().ok());
    REQUIRE(!place.path.empty());
    return place;
}

void spoil_payload(TestNode& node, std::int64_t index) {
    const Place at = place_of(node, wire::Frame::Kind::records, index);
    REQUIRE(node.disk().rot(at.path, at.position + wire::Frame::header_size + 7, std::byte{4}));
}

// All that can be read of group 1, by index; and each of it is what was written.
Result<std::vector<std::int64_t>> readable(Log& log, std::size_t bytes = bytes_each) {
    std::vector<std::int64_t> found;
    for (std::int64_t i = 0; i < log.end().index; ++i) {
        const Position at{i, Offset(i)};
        const auto frames = log.read_frames(at, log.end(), 0);
        const auto batch = log.read(at.offset, log.end().offset, 0);
        if (!frames.ok() && frames.error() != Error::corrupt) return frames.error();
        if (!batch.ok() && batch.error() != Error::corrupt) return batch.error();
        CHECK(frames.ok() == batch.ok());
        if (!frames.ok() || !batch.ok()) continue;
        const std::string expected(joined(entry_at(i, 1, bytes).payload).text());
        CHECK(joined(frames.value().at(0).payload).text() == expected);
        CHECK(joined(batch.value()).text() == expected);
        found.push_back(i);
    }
    return found;
}

std::vector<std::int64_t> all_but(std::int64_t count, std::vector<std::int64_t> missing = {}) {
    std::vector<std::int64_t> all;
    for (std::int64_t i = 0; i < count; ++i)
        if (!std::ranges::binary_search(missing, i)) all.push_back(i);
    return all;
}

std::vector<wire::Frame> frames_for(const Damage& damage, std::size_t bytes = bytes_each) {
    std::vector<wire::Frame> frames;
    for (std::int64_t i = damage.first.index; i < damage.end.index; ++i)
        frames.push_back(entry_at(i, 1, bytes));
    return frames;
}

// With what a replica would send that has everything, until nothing is damaged that anybody sees.
Result<> mend_all(Log& log, std::size_t bytes = bytes_each) {
    for (int round = 0; round < 100; ++round) {
        (void)TRY(readable(log, bytes));
        const std::vector<Damage> damages = log.damages();
        if (damages.empty()) return {};
        for (const Damage& damage : damages) {
            const Result<> mended = log.mend(frames_for(damage, bytes));
            if (!mended.ok() && mended.error() != Error::unavailable) return mended;
        }
    }
    return Error::timed_out;
}

} // namespace

TEST_CASE("a payload that rots in the journal costs that entry and no other", "[log]") {
    TestNode node;
    REQUIRE(node.live(rounds(6)).ok());
    spoil_payload(node, 3);
    const auto check = [&](Life& life) -> Result<> {
        Log& log = *TRY(life.log(1));
        CHECK(log.end() == Position{6, Offset(6)});
        CHECK(log.terms().last() == Term(1));
        CHECK(TRY(readable(log)) == all_but(6, {3}));
        CHECK(log.tail({}, 1_MiB).size() == 3);
        CHECK(log.tail({3, Offset(3)}, 1_MiB).empty());
        CHECK(log.read_frames({3, Offset(3)}, log.end(), 1_MiB).error() == Error::corrupt);
        CHECK(log.offset_for_time(INT64_MAX, log.end().offset).error() == Error::corrupt);
        CHECK(TRY(log.position_of(Offset(3))) == Position{3, Offset(3)});
        const auto damages = log.damages();
        REQUIRE(damages.size() == 1);
        CHECK(damages[0].first == Position{3, Offset(3)});
        CHECK(damages[0].end == Position{4, Offset(4)});
        REQUIRE(damages[0].entry);
        CHECK(is_same_entry(*damages[0].entry, entry_at(3)));
        return {};
    };
    REQUIRE(node.live(check).ok());
    CHECK(look(node).damaged());
    CHECK_FALSE(look(node).refused());
    REQUIRE(node.live(check).ok()); // With a newer file behind it, the same.
}

TEST_CASE("only what was there mends a damaged entry, and it stays mended", "[log]") {
    TestNode node;
    REQUIRE(node.live(rounds(6)).ok());
    spoil_payload(node, 3);
    node.boot([&](Life& life) -> Result<> {
        Log& log = *TRY(life.log(1));
        wire::Frame other = entry_at(3);
        other.payload = entry_at(4).payload; // Its sum is still that of what was there.
        CHECK(log.mend(std::span(&other, 1)).error() == Error::malformed);
        other = entry_at(3);
        other.term = Term(2);
        CHECK(log.mend(std::span(&other, 1)).error() == Error::malformed);
        other = without_payload(entry_at(3));
        CHECK(log.mend(std::span(&other, 1)).error() == Error::malformed);
        const wire::Frame whole = entry_at(2);
        CHECK_FALSE(log.mend(std::span(&whole, 1)).ok());
        CHECK_FALSE(log.mend({}).ok());
        CHECK(log.damages().size() == 1);

        const wire::Frame good = entry_at(3);
        TRY(log.mend(std::span(&good, 1)));
        CHECK(log.damages().empty());
        CHECK(TRY(readable(log)) == all_but(6));
        CHECK(life.env.metrics.total("pyralog_log_mended_total") == 1);
        CHECK(life.env.metrics.total("pyralog_journal_damaged_frames_total") == 1);
        return life.env.fibers.sleep_until(life.env.clock.now() + 1h);
    });
    node.world.run_for(1s);
    node.cut_power();
    CHECK_FALSE(look(node).damaged());
    for (int i = 0; i < 2; ++i) // Beside the bad one, and in a later file.
        REQUIRE(node.live([](Life& life) -> Result<> {
                        Log& log = *TRY(life.log(1));
                        CHECK(log.damages().empty());
                        CHECK(TRY(readable(log)) == all_but(6));
                        return {};
                    })
                    .ok());
}

TEST_CASE("a damaged entry can be overruled", "[log]") {
    TestNode node;
    REQUIRE(node.live(rounds(6)).ok());
    spoil_payload(node, 3);
    REQUIRE(node.live([](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    log.cut({2, Offset(2)});
                    CHECK(log.damages().empty());
                    const wire::Frame late = entry_at(3);
                    CHECK(log.mend(std::span(&late, 1)).error() == Error::unavailable);
                    TRY(life.append(1, Term(1), bytes_each));
                    TRY(life.append(1, Term(1), bytes_each));
                    return life.journal.sync();
                })
                .ok());
    CHECK_FALSE(look(node).damaged());
    REQUIRE(node.live([](Life& life) -> Result<> {
                    CHECK(TRY(readable(*TRY(life.log(1)))) == all_but(4));
                    return {};
                })
                .ok());
}

TEST_CASE("what is damaged stays in the journal until it is mended, and all behind it", "[log]") {
    Settings settings = Settings::small();
    settings.journal.file_bytes = 256_KiB;
    TestNode node(1, settings);
    REQUIRE(node.live(rounds(40)).ok());
    spoil_payload(node, 10);
    REQUIRE(node.live([](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    log.set_committed(log.end());
                    TRY(life.writer.flush());
                    CHECK(log.segments_end().index == 10);
                    // Others fill files, and the oldest is held.
                    const std::uint64_t first = life.journal.file_number();
                    for (int i = 0; i < 200; ++i) {
                        TRY(life.append(2, Term(1), 1000));
                        TRY(life.journal.sync());
                    }
                    Log& other = *TRY(life.log(2));
                    other.set_committed(other.end());
                    TRY(life.writer.flush());
                    CHECK(life.journal.file_number() > first);
                    CHECK(!life.journal.pinned().empty());
                    const wire::Frame good = entry_at(10);
                    TRY(log.mend(std::span(&good, 1)));
                    TRY(life.writer.flush());
                    CHECK(log.segments_end().index == 40);
                    CHECK(life.journal.pinned().empty());
                    return {};
                })
                .ok());
    CHECK_FALSE(look(node).damaged());
}

TEST_CASE("a sector of payload that cannot be read is as good as rotten", "[log]") {
    TestNode node;
    REQUIRE(node.live(rounds(4, 20'000)).ok());
    const Place at = place_of(node, wire::Frame::Kind::records, 1);
    REQUIRE(node.disk().make_unreadable(at.path, at.position + 9000));
    REQUIRE(node.live([](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    CHECK(TRY(readable(log, 20'000)) == all_but(4, {1}));
                    TRY(mend_all(log, 20'000));
                    return {};
                })
                .ok());
    REQUIRE(node.live([](Life& life) -> Result<> {
                    CHECK(TRY(readable(*TRY(life.log(1)), 20'000)) == all_but(4));
                    return {};
                })
                .ok());
}

// A write that the power cut short leaves sectors that can be read, so this one was durable.
TEST_CASE("a last round of which a sector cannot be read counts", "[log]") {
    TestNode node;
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(life.append(1, Term(1), bytes_each));
                    TRY(life.journal.sync());
                    TRY(life.append(1, Term(1), 20'000));
                    return life.journal.sync();
                })
                .ok());
    const Place at = place_of(node, wire::Frame::Kind::records, 1);
    REQUIRE(node.disk().make_unreadable(at.path, at.position + 9000));
    REQUIRE(node.live([](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    CHECK(log.end().index == 2);
                    REQUIRE(log.damages().size() == 1);
                    CHECK(log.damages()[0].first.index == 1);
                    const wire::Frame good = entry_at(1, 1, 20'000);
                    TRY(log.mend(std::span(&good, 1)));
                    CHECK(log.damages().empty());
                    return {};
                })
                .ok());
}

TEST_CASE("behind the end of the newest journal file nothing may be unreadable", "[log]") {
    TestNode node;
    REQUIRE(node.live(rounds(3)).ok());
    const std::string path = node.journal_files().back();
    const std::uint64_t size = node.disk().content(path)->size();
    REQUIRE(node.disk().make_unreadable(path, size - 1));
    CHECK(look(node).refused());
    (void)node.live([](Life&) { return Result<>(); });
    CHECK(node.opened.error() == Error::corrupt);
}

// Who it was for is not known any more: that nobody gets it again is the Host's affair.
TEST_CASE("of a vote whose payload rots the term is kept, also when its file is gone", "[log]") {
    TestNode node;
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(life.append(1, Term(1), 10));
                    life.vote(1, Term(3), "someone");
                    TRY(life.journal.sync());
                    return rounds(2)(life);
                })
                .ok());
    const Place at = place_of(node, wire::Frame::Kind::vote, 0);
    REQUIRE(node.disk().rot(at.path, at.position + wire::Frame::header_size, std::byte{1}));
    for (int life_number = 0; life_number < 3; ++life_number)
        REQUIRE(node.live([](Life& life) -> Result<> {
                        const auto vote = life.journal.vote(GroupId(1));
                        REQUIRE(vote);
                        CHECK(vote->term == Term(3));
                        CHECK(vote->payload.empty());
                        // Until its file is used again, in the last of them.
                        return stored(100)(life);
                    })
                    .ok());
    REQUIRE(node.live([](Life& life) -> Result<> {
                    life.vote(1, Term(4), "another");
                    return life.journal.sync();
                })
                .ok());
    REQUIRE(node.live([](Life& life) -> Result<> {
                    const auto vote = life.journal.vote(GroupId(1));
                    REQUIRE(vote);
                    CHECK(joined(vote->payload).text() == "another");
                    return {};
                })
                .ok());
}

TEST_CASE("a mark that rots forgets no vote that was told before it", "[log]") {
    TestNode node;
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(life.append(1, Term(1), 10));
                    life.vote(1, Term(3), "someone");
                    return life.journal.sync();
                })
                .ok());
    REQUIRE(node.live(rounds(1)).ok());
    const Place at = place_of(node, wire::Frame::Kind::mark, 0);
    REQUIRE(node.disk().rot(at.path, at.position + wire::Frame::header_size, std::byte{1}));
    REQUIRE(node.live([](Life& life) -> Result<> {
                    const auto vote = life.journal.vote(GroupId(1));
                    REQUIRE(vote);
                    CHECK(joined(vote->payload).text() == "someone");
                    return {};
                })
                .ok());
}

// ---- Segments ----

namespace {

std::string sealed_segment(TestNode& node) {
    const auto names = node.disk().list("groups/1");
    REQUIRE(names);
    REQUIRE(names->size() >= 2);
    return "groups/1/" + names->at(0);
}

std::string durable_text(TestNode& node, const std::string& path) {
    return std::string(node.disk().durable_content(path)->text());
}

// Mends what a whole read finds, and compares the file with what it was.
void mend_and_compare(TestNode& node, const std::string& path, const std::string& before,
                      std::int64_t count) {
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    CHECK(log.end().index == count);
                    return mend_all(log);
                })
                .ok());
    CHECK((durable_text(node, path) == before));
    CHECK_FALSE(look(node).damaged());
}

} // namespace

TEST_CASE("any byte of a segment's frames that rots is mended where it stands", "[log]") {
    constexpr int count = 150;
    TestNode node;
    REQUIRE(node.live(stored(count)).ok());
    const std::string path = sealed_segment(node);
    const std::string before = durable_text(node, path);
    // Each field of a frame's header, its payload and its padding, and each of the places that
    // frames have in a block.
    std::uint64_t step = 0;
    for (std::uint64_t at = wire::SegmentHeader::size; at < before.size();
         at += 151 + step++ % 13) {
        REQUIRE(node.disk().rot(path, at, std::byte{1}));
        bool mended = false;
        REQUIRE(node.live([&](Life& life) -> Result<> {
                        Log& log = *TRY(life.log(1));
                        TRY(mend_all(log));
                        mended = life.env.metrics.total("pyralog_log_mended_total") > 0;
                        return {};
                    })
                    .ok());
        // What nobody reads nobody misses: padding, and the footer.
        if (!mended) REQUIRE(node.disk().rot(path, at, std::byte{1}));
        if (durable_text(node, path) != before) FAIL_CHECK("position " << at);
    }
    CHECK_FALSE(look(node).damaged());
}

TEST_CASE("any sector of a sealed segment that cannot be read is written anew", "[log]") {
    constexpr int count = 150;
    TestNode node;
    REQUIRE(node.live(stored(count)).ok());
    const std::string path = sealed_segment(node);
    const std::string before = durable_text(node, path);
    // Not yet those of header and footer.
    for (std::uint64_t at = 4096; at + 3 * 4096 < before.size(); at += 4096) {
        INFO("sector at " << at);
        REQUIRE(node.disk().make_unreadable(path, at));
        if (at % 8192 == 0) // And the next one.
            REQUIRE(node.disk().make_unreadable(path, at + 4096));
        mend_and_compare(node, path, before, count);
    }
}

// Each of two may begin or end in a block of which the other has lost something: neither can be
// written as far as that.
TEST_CASE("two sectors of a segment that cannot be read do not wait for each other", "[log]") {
    constexpr int count = 150;
    TestNode node;
    REQUIRE(node.live(stored(count)).ok());
    const std::string path = sealed_segment(node);
    const std::string before = durable_text(node, path);
    // Not those of the footer: with a frame they would be lost.
    const std::uint64_t stop = std::min<std::uint64_t>(before.size() - 3 * 4096, 24'576);
    for (std::uint64_t first = 4096; first < stop; first += sim::sanitized ? 4608 : 1536)
        for (std::uint64_t second = first + 512; second < stop; second += 1024) {
            INFO("sectors at " << first << " and " << second);
            REQUIRE(node.disk().make_unreadable(path, first));
            REQUIRE(node.disk().make_unreadable(path, second));
            mend_and_compare(node, path, before, count);
        }
}

TEST_CASE("many damages of one segment are mended, each on its own", "[log]") {
    constexpr int count = 150;
    TestNode node;
    REQUIRE(node.live(stored(count)).ok());
    const std::string path = sealed_segment(node);
    const std::string before = durable_text(node, path);
    constexpr std::uint64_t each = wire::stored_size(bytes_each);
    for (std::uint64_t i = 0; wire::SegmentHeader::size + (i + 20) * each < before.size(); i += 3) {
        const std::uint64_t inside = i * 17 % (wire::Frame::header_size + bytes_each);
        REQUIRE(node.disk().rot(path, wire::SegmentHeader::size + i * each + inside, std::byte{2}));
    }
    mend_and_compare(node, path, before, count);
}

TEST_CASE("more damages of one segment than are kept are found again", "[log]") {
    constexpr int count = 700;
    constexpr std::size_t bytes = 8;
    constexpr std::size_t spoilt = Segment::damages_max + 40;
    TestNode node;
    REQUIRE(node.live(stored(count, bytes)).ok());
    const std::string path = sealed_segment(node);
    const std::string before = durable_text(node, path);
    constexpr std::uint64_t each = wire::stored_size(bytes);
    for (std::size_t i = 0; i < spoilt; ++i)
        REQUIRE(node.disk().rot(
            path, wire::SegmentHeader::size + i * each + wire::Frame::header_size, std::byte{1}));
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    CHECK(TRY(readable(log, bytes)).size() == count - spoilt);
                    CHECK(log.damages().size() == Log::damages_max);
                    return mend_all(log, bytes);
                })
                .ok());
    CHECK((durable_text(node, path) == before));
}

// Its footer was what told it from one that grows; what it held its log knows all the same.
TEST_CASE("a segment that loses its footer and more while it is closed is mended", "[log]") {
    constexpr int count = 150;
    const std::string lost =
        GENERATE("a payload", "a frame's header", "the file's header", "a sector", "its end");
    INFO(lost);
    Settings settings = Settings::small();
    settings.log.open_segments_max = 1;
    settings.log.cache_bytes = 0;
    TestNode node(1, settings);
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    TRY(stored(count)(life));
                    Log& log = *TRY(life.log(1));
                    (void)TRY(
                        log.read_frames(Position{count - 1, Offset(count - 1)}, log.end(), 0));
                    const std::string path = sealed_segment(node);
                    const std::uint64_t size = node.disk().durable_content(path)->size();
                    CHECK(node.disk().rot(path, size - 1, std::byte{1}));
                    constexpr std::uint64_t frame =
                        wire::SegmentHeader::size + 10 * wire::stored_size(bytes_each);
                    if (lost == "a payload")
                        CHECK(
                            node.disk().rot(path, frame + wire::Frame::header_size, std::byte{1}));
                    if (lost == "a frame's header")
                        CHECK(node.disk().rot(path, frame + 8, std::byte{1}));
                    if (lost == "the file's header") CHECK(node.disk().rot(path, 9, std::byte{1}));
                    if (lost == "a sector") CHECK(node.disk().make_unreadable(path, 4096));
                    if (lost == "its end")
                        TRY(TRY(life.env.disk.open(path, Disk::Open::existing))->resize(size / 2));
                    TRY(mend_all(log));
                    (void)TRY(log.scrub(0, 1)); // It restores the header.
                    return {};
                })
                .ok());
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    CHECK((TRY(readable(*TRY(life.log(1)))) == all_but(count)));
                    return {};
                })
                .ok());
    CHECK_FALSE(look(node).damaged());
}

TEST_CASE("a damaged segment takes nothing else than what stood there", "[log]") {
    TestNode node;
    REQUIRE(node.live(stored(150)).ok());
    const std::string path = sealed_segment(node);
    // The header of the second frame: no more than where it begins is known.
    const std::uint64_t second = wire::SegmentHeader::size + wire::stored_size(bytes_each);
    REQUIRE(node.disk().rot(path, second + 20, std::byte{1}));
    const std::string harmed = durable_text(node, path);
    REQUIRE(node.live([](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    (void)TRY(readable(log));
                    const auto damages = log.damages();
                    REQUIRE(damages.size() == 1);
                    CHECK(damages[0].first.index == 1);
                    CHECK_FALSE(damages[0].entry);
                    const std::vector<wire::Frame> right = frames_for(damages[0]);
                    REQUIRE(right.size() > 2);
                    auto wrong = right;
                    wrong.pop_back();
                    CHECK(log.mend(wrong).error() == Error::malformed);
                    wrong = right;
                    for (wire::Frame& frame : wrong) frame.term = Term(2);
                    CHECK(log.mend(wrong).error() == Error::malformed);
                    wrong = right;
                    wrong[1] = entry_at(right[1].first.index, 1, bytes_each + 9);
                    CHECK(log.mend(wrong).error() == Error::malformed);
                    wrong = right;
                    wrong[1].payload = wrong[0].payload;
                    CHECK(log.mend(wrong).error() == Error::malformed);
                    CHECK(log.damages().size() == 1);
                    return {};
                })
                .ok());
    CHECK((durable_text(node, path) == harmed));
}

TEST_CASE("a scrub finds what nobody reads, also what the page cache still has", "[log]") {
    TestNode node;
    REQUIRE(node.live(stored(150)).ok());
    const std::string path = sealed_segment(node);
    const std::string before = durable_text(node, path);
    const std::uint64_t each = wire::stored_size(bytes_each);
    for (const std::uint64_t i : {0, 7, 8, 30, 61}) // Payloads and headers.
        REQUIRE(node.disk().rot(path, wire::SegmentHeader::size + i * each + (i % 2 == 0 ? 90 : 9),
                                std::byte{1}));
    REQUIRE(node.disk().make_unreadable(path, 15'000));
    REQUIRE(node.live([](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    std::size_t calls = 0;
                    for (int round = 0; round < 20; ++round) {
                        for (std::int64_t next = 0; next < log.segments_end().index; ++calls) {
                            const std::int64_t to = TRY(log.scrub(next, 2000));
                            REQUIRE(to > next);
                            next = to;
                        }
                        const std::vector<Damage> damages = log.damages();
                        if (damages.empty()) break;
                        for (const Damage& damage : damages) {
                            const Result<> mended = log.mend(frames_for(damage));
                            CHECK((mended.ok() || mended.error() == Error::unavailable));
                        }
                    }
                    CHECK(calls > 20);
                    CHECK(log.damages().empty());
                    CHECK(TRY(log.scrub(1000, 10)) == log.segments_end().index);
                    return {};
                })
                .ok());
    CHECK((durable_text(node, path) == before));
}

TEST_CASE("a sealed segment does without its header until that is written again", "[log]") {
    TestNode node;
    REQUIRE(node.live(stored(150)).ok());
    const std::string path = sealed_segment(node);
    const std::string before = durable_text(node, path);
    SECTION("a bit") { REQUIRE(node.disk().rot(path, 20, std::byte{1})); }
    SECTION("the sector") { REQUIRE(node.disk().make_unreadable(path, 20)); }
    SECTION("and a frame behind it") {
        REQUIRE(node.disk().rot(path, 20, std::byte{1}));
        REQUIRE(node.disk().rot(path, 100, std::byte{1}));
    }
    CHECK_FALSE(look(node).refused());
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    CHECK(log.end().index == 150);
                    TRY(mend_all(log));
                    TRY(log.scrub(0, 1000));
                    return {};
                })
                .ok());
    CHECK((durable_text(node, path) == before));
    CHECK_FALSE(look(node).damaged());
}

TEST_CASE("a power cut at any step of a mend leaves what can be mended", "[log]") {
    bool ended = false;
    for (std::uint64_t steps = 1; !ended; steps += sim::sanitized ? 61 : 11) {
        REQUIRE(steps < 3000);
        TestNode node(steps);
        REQUIRE(node.live(stored(100)).ok());
        REQUIRE(node.live(rounds(5)).ok());
        const std::string path = sealed_segment(node);
        const std::string before = durable_text(node, path);
        spoil_payload(node, 102);
        REQUIRE(node.disk().rot(path, 2000, std::byte{1}));
        REQUIRE(node.disk().make_unreadable(path, 9000));
        node.boot([](Life& life) -> Result<> { return mend_all(*TRY(life.log(1))); });
        ended = !node.steps(steps);
        if (!ended) node.cut_power();
        mend_and_compare(node, path, before, 105);
    }
}
