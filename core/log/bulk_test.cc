// Large entries that get past the journal: where they are written, and what is made of it when a
// node comes back, is out of room, or has had its disk harmed.
#include "core/base/crc32c.h"
#include "core/log/digest.h"
#include "core/log/salvage.h"
#include "core/log/test_node.h"

#include <algorithm>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::log_test;

namespace {

constexpr std::size_t large_bytes = 6000;
constexpr std::size_t little_bytes = 100;

Settings bulky() {
    Settings settings = Settings::small();
    settings.journal.bulk_min_bytes = 4000;
    settings.log.segment_bytes = 64_KiB;
    settings.log.segment_flush_bytes = 1_MiB; // Moved when it is asked for.
    return settings;
}

Result<> append_synced(Life& life, std::size_t bytes, Term term = Term(1)) {
    TRY(life.append(1, term, bytes));
    return life.journal.sync();
}

// Large ones, with a small one before.
Result<> append_named(Life& life, int count) {
    TRY(append_synced(life, little_bytes));
    for (int i = 0; i < count; ++i) TRY(append_synced(life, large_bytes));
    return {};
}

Result<> move_named(Life& life) {
    Log& log = *TRY(life.log(1));
    log.set_committed(log.end());
    return life.writer.flush();
}

// Terms, by index; zero for one that cannot be read.
std::vector<int> terms_found(TestNode& node) {
    std::vector<int> terms;
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    for (Position at = log.start(); at != log.end();) {
                        const auto frames = log.read_frames(at, log.end(), 0);
                        if (!frames.ok() && frames.error() != Error::corrupt) return frames.error();
                        terms.push_back(frames.ok() ? frames.value()[0].term.value : 0);
                        at = at.after(1);
                        if (!frames.ok()) continue;
                        const wire::Frame& frame = frames.value()[0];
                        const auto expected =
                            Life::entry(frame.first, 1, frame.term, size_of(frame.payload), 1);
                        CHECK(joined(frame.payload).text() == joined(expected.payload).text());
                    }
                    return {};
                })
                .ok());
    return terms;
}

struct Named {
    wire::Frame frame;
    std::string path;
    std::uint64_t position = 0;
};

// What the journal only names, in its order.
std::vector<Named> named_in(TestNode& node) {
    std::vector<Named> named;
    node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
        return visit_journal(
            env, "journal",
            [&](std::string_view path, std::uint64_t at, const wire::Frame& frame, bool intact) {
                if (frame.is_entry() && frame.place.is_known() && intact)
                    named.push_back({frame, std::string(path), at});
            });
    });
    REQUIRE(node.finish().ok());
    return named;
}

const std::string first_segment = "groups/1/00000000000000000000.seg";

Result<std::vector<LogDigest>> digest_there(TestNode& node) {
    Result<std::vector<LogDigest>> digest = Error::unavailable;
    node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
        digest = digest_logs(env, "journal");
        return {};
    });
    REQUIRE(node.finish().ok());
    return digest;
}

} // namespace

TEST_CASE("large entries are written once, and the journal says where", "[log][bulk]") {
    TestNode node(1, bulky());
    std::uint64_t size_before = 0, size_after = 0;
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    TRY(append_named(life, 5));
                    size_before = node.disk().durable_content(first_segment)->size();
                    TRY(move_named(life));
                    CHECK(TRY(life.log(1))->segments_end().index == 6);
                    size_after = node.disk().durable_content(first_segment)->size();
                    return {};
                })
                .ok());
    CHECK(size_before > 5 * large_bytes);
    CHECK(size_after == size_before);
    const auto named = named_in(node);
    REQUIRE(named.size() == 5);
    for (std::size_t i = 0; i < named.size(); ++i) {
        CHECK(named[i].frame.first.index == static_cast<std::int64_t>(i) + 1);
        CHECK(named[i].frame.damaged == large_bytes);
        CHECK(named[i].frame.place.segment == 0);
    }
    node.cut_power();
    CHECK_FALSE(look(node).damaged());
    CHECK(terms_found(node) == std::vector<int>(6, 1));
    CHECK(digest_there(node).value().at(0).end().index == 6);
}

TEST_CASE("what was named and not moved is found by each who looks", "[log][bulk]") {
    TestNode node(1, bulky());
    REQUIRE(node.live([](Life& life) { return append_named(life, 4); }).ok());
    node.cut_power();
    const Survey seen = look(node);
    CHECK_FALSE(seen.damaged());
    CHECK(seen.groups.at(GroupId(1)).journal_entries == 5);
    CHECK(seen.groups.at(GroupId(1)).segments_end.index == 0);
    CHECK(digest_there(node).value().at(0).end().index == 5);
    CHECK(terms_found(node) == std::vector<int>(5, 1));
    // It is ahead again, and moves without being written.
    std::uint64_t moved = 0;
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    const std::uint64_t bytes = node.disk().durable_content(first_segment)->size();
                    TRY(append_synced(life, large_bytes, Term(2)));
                    CHECK(node.disk().durable_content(first_segment)->size() > bytes + large_bytes);
                    TRY(move_named(life));
                    moved = static_cast<std::uint64_t>(TRY(life.log(1))->segments_end().index);
                    return {};
                })
                .ok());
    CHECK(moved == 6);
    CHECK(terms_found(node) == std::vector<int>{1, 1, 1, 1, 1, 2});
}

TEST_CASE("without the journal nothing that is ahead counts", "[log][bulk]") {
    TestNode node(1, bulky());
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(append_synced(life, little_bytes));
                    TRY(move_named(life));
                    return append_synced(life, large_bytes);
                })
                .ok());
    const auto open_alone = [&] {
        std::int64_t end = -1;
        node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
            end = TRY(Segment::open(env, first_segment, GroupId(1), 0))->end().index;
            return {};
        });
        REQUIRE(node.finish().ok());
        return end;
    };
    CHECK(open_alone() == 1);
    // Nor does what a write has left that the journal never told of.
    const std::uint64_t size = node.disk().durable_content(first_segment)->size();
    node.boot([](Life& life) { return append_synced(life, large_bytes); });
    while (node.disk().durable_content(first_segment)->size() == size) node.world.step();
    node.cut_power();
    CHECK(named_in(node).size() == 1);
    CHECK_FALSE(look(node).damaged());
    CHECK(terms_found(node).size() == 2);
}

TEST_CASE("what is named and has rotted is damaged, known, and mended", "[log][bulk]") {
    TestNode node(1, bulky());
    REQUIRE(node.live([](Life& life) { return append_named(life, 4); }).ok());
    node.cut_power();
    const auto named = named_in(node);
    REQUIRE(named.size() == 4);
    REQUIRE(
        node.disk().rot(first_segment, named[1].frame.place.file_position + 1000, std::byte{1}));
    CHECK(look(node).damaged());
    CHECK_FALSE(look(node).refused());
    CHECK(!digest_there(node).ok());
    CHECK(terms_found(node) == std::vector<int>{1, 1, 0, 1, 1});
    REQUIRE(node.live([](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    const auto damages = log.damages();
                    REQUIRE(damages.size() == 1);
                    CHECK(damages[0].entry->first == Position{2, Offset(2)});
                    wire::Frame whole = Life::entry({2, Offset(2)}, 1, Term(1), large_bytes);
                    whole.payload_crc = crc32c(whole.payload);
                    TRY(log.mend(std::vector{whole}));
                    TRY(move_named(life));
                    CHECK(log.segments_end().index == 5);
                    return {};
                })
                .ok());
    node.cut_power();
    CHECK_FALSE(look(node).damaged());
    CHECK(terms_found(node) == std::vector<int>(5, 1));
}

TEST_CASE("an extent that has lost its place is found where it belongs", "[log][bulk]") {
    TestNode node(1, bulky());
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(append_named(life, 3));
                    return pass(life, 100ms); // Sealed.
                })
                .ok());
    const auto named = named_in(node);
    REQUIRE(named.size() == 3);
    REQUIRE(node.disk().rot(named[1].path, named[1].position + wire::Frame::header_size + 9,
                            std::byte{2}));
    CHECK_FALSE(look(node).refused());
    CHECK(terms_found(node) == std::vector<int>(4, 1));
}

TEST_CASE("what is ahead is cut, and written over only when that is durable", "[log][bulk]") {
    TestNode node(1, bulky());
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(append_named(life, 3));
                    Log& log = *TRY(life.log(1));
                    log.cut({2, Offset(2)});
                    TRY(append_synced(life, large_bytes, Term(2))); // By the journal, with the cut.
                    return append_synced(life, large_bytes, Term(2));
                })
                .ok());
    const auto named = named_in(node);
    REQUIRE(named.size() == 4);
    CHECK(named[3].frame.first.index == 3);
    // In the places of those that were cut.
    CHECK(named[3].frame.place.file_position > named[1].frame.place.file_position);
    node.cut_power();
    CHECK_FALSE(look(node).damaged());
    CHECK(terms_found(node) == std::vector<int>{1, 1, 2, 2});
}

TEST_CASE("marks tell how far a segment reaches when the journal has forgotten the rest",
          "[log][bulk]") {
    TestNode node(1, bulky());
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(append_named(life, 5));
                    TRY(move_named(life));
                    const std::uint64_t file = life.journal.file_number();
                    while (life.journal.file_number() < file + 3) {
                        TRY(life.append(2, Term(1), 3000));
                        TRY(life.journal.sync());
                        Log& other = *TRY(life.log(2));
                        other.set_committed(other.end());
                        TRY(life.writer.flush());
                    }
                    return pass(life, 2s);
                })
                .ok());
    REQUIRE(named_in(node).empty());
    CHECK_FALSE(look(node).damaged());
    CHECK(terms_found(node) == std::vector<int>(6, 1));
    CHECK(digest_there(node).value().at(0).end().index == 6);
    // And if the mark is beyond what is there, that is noticed.
    const std::uint64_t size = node.disk().durable_content(first_segment)->size();
    REQUIRE(node.disk().rot(first_segment, size - 3000, std::byte{1}));
    CHECK(look(node).refused());
    (void)node.live([](Life&) { return Result<>(); });
    REQUIRE(!node.opened.ok());
    CHECK(node.opened.error() == Error::corrupt);
}

TEST_CASE("on a full disk the journal has what does not get past it", "[log][bulk]") {
    TestNode node(1, bulky());
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    TRY(append_synced(life, little_bytes));
                    TRY(pass(life, 2s)); // The next journal file is there.
                    node.disk().set_quota(node.disk().used());
                    TRY(append_synced(life, large_bytes));
                    TRY(append_synced(life, large_bytes));
                    node.disk().set_quota({});
                    TRY(pass(life, 2s));
                    return append_synced(life, large_bytes);
                })
                .ok());
    CHECK(named_in(node).size() == 1);
    node.cut_power();
    CHECK_FALSE(look(node).damaged());
    CHECK(terms_found(node) == std::vector<int>(4, 1));
}

TEST_CASE("segments become full and are sealed though all gets past the journal", "[log][bulk]") {
    TestNode node(1, bulky());
    REQUIRE(node.live([](Life& life) -> Result<> {
                    for (int i = 0; i < 60; ++i) {
                        TRY(append_synced(life, large_bytes));
                        TRY(move_named(life));
                    }
                    return {};
                })
                .ok());
    const Survey seen = look(node);
    CHECK_FALSE(seen.damaged());
    CHECK(seen.groups.at(GroupId(1)).segments >= 5);
    CHECK(named_in(node).size() >= 3);
    CHECK(terms_found(node) == std::vector<int>(60, 1));
}

TEST_CASE("what the journal only names is saved with the rest", "[log][bulk]") {
    TestNode node(1, bulky());
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(append_named(life, 2));
                    TRY(move_named(life));
                    TRY(append_synced(life, large_bytes));
                    return pass(life, 100ms);
                })
                .ok());
    Result<Salvage> plan = Error::unavailable;
    node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
        SalvageFacts facts;
        facts.identity = node.settings.identity;
        facts.newest_journal = 2; // Which is lost.
        facts.groups = {GroupId(1)};
        plan = plan_salvage(env, facts);
        return {};
    });
    REQUIRE(node.finish().ok());
    REQUIRE(plan.ok());
    CHECK(plan.value().is_needed);
    REQUIRE(plan.value().logs.size() == 1);
    CHECK(plan.value().logs[0].end.index == 4);
}

TEST_CASE("a trim takes what is committed and ahead, and what is behind it stays", "[log][bulk]") {
    TestNode node(1, bulky());
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(append_named(life, 4));
                    Log& log = *TRY(life.log(1));
                    log.set_committed({4, Offset(4)});
                    log.trim({{2, Offset(2)}, Offset(2)});
                    TRY(pass(life, 1s));
                    // Else the segment could not be sealed, if that were wanted.
                    CHECK(log.segments_end().index == 4);
                    CHECK(log.end().index == 5);
                    return {};
                })
                .ok());
    node.cut_power();
    CHECK_FALSE(look(node).damaged());
    CHECK(terms_found(node) == std::vector<int>(3, 1));
}
