// Logs above journal and segments, on the simulated disk.
#include "core/log/test_node.h"

#include <algorithm>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::log_test;

namespace {

std::vector<std::string> segments(TestNode& node, int group) {
    std::vector<std::string> paths;
    const auto names = node.disk().list("groups/" + std::to_string(group));
    if (!names) return paths;
    for (const std::string& name : *names)
        paths.push_back("groups/" + std::to_string(group) + '/' + name);
    return paths;
}

// Appends, commits and moves `count` entries of `bytes`, two records each.
Result<> fill(Life& life, int group, int count, std::size_t bytes = 1000) {
    Log& log = *TRY(life.log(group));
    for (int i = 0; i < count; ++i) {
        TRY(life.append(group, Term(1), bytes, 2));
        if (i % 10 == 9) TRY(life.journal.sync());
    }
    TRY(life.journal.sync());
    log.set_committed(log.end());
    return life.writer.flush();
}

TestNode::Script filled(int group, int count, std::size_t bytes = 1000) {
    return [=](Life& life) { return fill(life, group, count, bytes); };
}

// Reads all of the log; how many entries there were.
Result<std::int64_t> read_all(Life& life, int group, std::size_t bytes = 1000) {
    Log& log = *TRY(life.log(group));
    std::int64_t count = 0;
    for (Position at = log.start(); at != log.end();) {
        for (const wire::Frame& frame : TRY(log.read_frames(at, log.end(), 4000))) {
            const wire::Frame expected = Life::entry(at, group, frame.term, bytes, frame.records);
            if (frame.first != at) return Error::malformed;
            if (joined(frame.payload).text() != joined(expected.payload).text())
                return Error::malformed;
            at = frame.end();
            ++count;
        }
    }
    return count;
}

Result<> reopen(TestNode& node, int group, std::int64_t expected) {
    return node.live([=](Life& life) -> Result<> {
        const std::int64_t found = TRY(read_all(life, group));
        CHECK(found == expected);
        return {};
    });
}

} // namespace

TEST_CASE("a log reads the same from memory and from segments", "[log]") {
    TestNode node;
    const Result<> done = node.live([](Life& life) -> Result<> {
        TRY(fill(life, 1, 100));
        Log& log = *TRY(life.log(1));
        CHECK(log.segments_end() == log.end());
        for (int i = 0; i < 5; ++i) TRY(life.append(1, Term(1), 1000, 2));
        CHECK(TRY(read_all(life, 1)) == 105);
        CHECK(log.tail({}, 1000).empty()); // Long out of memory.
        CHECK(log.tail({103, {}}, 1_MiB).size() == 2);
        for (std::int64_t offset = 0; offset < 210; ++offset) {
            const BytesChain batch = TRY(log.read(Offset(offset), log.end().offset, 1));
            const Position first{offset / 2, Offset(offset / 2 * 2)};
            const wire::Frame expected = Life::entry(first, 1, Term(1), 1000, 2);
            CHECK(joined(batch).text() == joined(expected.payload).text());
            CHECK(TRY(log.position_of(Offset(offset))) == first);
        }
        return {};
    });
    CHECK(done.ok());
}

TEST_CASE("a read is bounded by its limit and by its size", "[log]") {
    TestNode node;
    const Result<> done = node.live([](Life& life) -> Result<> {
        TRY(fill(life, 1, 20));
        Log& log = *TRY(life.log(1));
        for (const std::int64_t from : {0, 30}) { // From a segment, and from memory.
            CHECK(size_of(TRY(log.read(Offset(from), Offset(from + 6), 1_MiB))) == 3000);
            CHECK(size_of(TRY(log.read(Offset(from), Offset(from + 6), 2500))) == 2000);
            CHECK(size_of(TRY(log.read(Offset(from), Offset(from + 6), 0))) == 1000);
            CHECK(TRY(log.read(Offset(from), Offset(from), 1_MiB)).empty());
        }
        CHECK(TRY(log.read(Offset(40), Offset(50), 1_MiB)).empty());
        CHECK(log.read(Offset(-1), Offset(50), 1_MiB).error() == Error::not_found);
        return {};
    });
    CHECK(done.ok());
}

TEST_CASE("Raft's own entries are not records", "[log]") {
    TestNode node;
    const Result<> done = node.live([](Life& life) -> Result<> {
        for (int i = 0; i < 30; ++i) {
            TRY(life.append(1, Term(i + 1), 0, 0));
            TRY(life.append(1, Term(i + 1), 500, 3));
        }
        Log& log = *TRY(life.log(1));
        log.set_committed(log.end());
        TRY(life.writer.flush());
        CHECK(log.end() == Position{60, Offset(90)});
        CHECK(log.terms().starts().size() == 30);
        const BytesChain all = TRY(log.read(Offset(0), Offset(90), 1_MiB));
        CHECK(size_of(all) % 500 == 0);
        CHECK(size_of(TRY(log.read(Offset(89), Offset(90), 1_MiB))) == 500);
        return {};
    });
    CHECK(done.ok());
    const Result<> again = node.live([](Life& life) -> Result<> {
        Log& log = *TRY(life.log(1));
        CHECK(log.end() == Position{60, Offset(90)});
        CHECK(log.terms().starts().size() == 30);
        CHECK(log.terms().at(59) == Term(30));
        return {};
    });
    CHECK(again.ok());
}

TEST_CASE("a time is found in the batch that holds it", "[log]") {
    TestNode node;
    const Result<> done = node.live([](Life& life) -> Result<> {
        Log& log = *TRY(life.log(1));
        for (int i = 0; i < 60; ++i) {
            wire::Frame frame = Life::entry(log.end(), 1, Term(1), 700, 1);
            std::string batch(joined(frame.payload).text());
            const std::uint64_t time = 1000 + 10 * static_cast<std::uint64_t>(i);
            for (std::size_t k = 0; k < 8; ++k)
                batch[35 + k] = static_cast<char>(time >> (56 - 8 * k));
            frame.payload = {Bytes::copy_of(batch)};
            log.append(frame);
            if (i == 50) {
                log.set_committed(log.end());
                TRY(life.writer.flush());
            }
        }
        const Offset end = log.end().offset;
        CHECK(TRY(log.offset_for_time(0, end)) == Offset(0));
        CHECK(TRY(log.offset_for_time(1000, end)) == Offset(0));
        CHECK(TRY(log.offset_for_time(1001, end)) == Offset(1));
        CHECK(TRY(log.offset_for_time(1305, end)) == Offset(31));
        CHECK(TRY(log.offset_for_time(1555, end)) == Offset(56));
        CHECK(log.offset_for_time(1591, end).error() == Error::not_found);
        CHECK(log.offset_for_time(1555, Offset(50)).error() == Error::not_found);
        return {};
    });
    CHECK(done.ok());
}

TEST_CASE("a cut stays cut", "[log]") {
    TestNode node;
    REQUIRE(node.live([](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    for (int i = 0; i < 10; ++i) TRY(life.append(1, Term(1), 1000, 1));
                    log.set_committed({4, Offset(4)});
                    log.cut({6, Offset(6)});
                    CHECK(log.end() == Position{6, Offset(6)});
                    TRY(life.append(1, Term(3), 1000, 1));
                    CHECK(log.terms().last() == Term(3));
                    return life.journal.sync();
                })
                .ok());
    CHECK(reopen(node, 1, 7).ok());
}

TEST_CASE("a cut that is older than the segments does not touch them", "[log]") {
    TestNode node;
    REQUIRE(node.live([](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    for (int i = 0; i < 10; ++i) TRY(life.append(1, Term(1), 1000, 1));
                    log.cut({2, Offset(2)});
                    for (int i = 0; i < 5; ++i) TRY(life.append(1, Term(2), 1000, 1));
                    log.set_committed({5, Offset(5)});
                    TRY(life.writer.flush());
                    return life.journal.sync();
                })
                .ok());
    CHECK(reopen(node, 1, 7).ok());
}

TEST_CASE("a sealed segment opens by its footer, and without it by a scan", "[log]") {
    TestNode node;
    REQUIRE(node.live(filled(1, 100)).ok());
    const auto paths = segments(node, 1);
    REQUIRE(paths.size() >= 4);
    CHECK(reopen(node, 1, 100).ok());
    const std::uint64_t size = node.disk().content(paths[1])->size();
    REQUIRE(node.disk().rot(paths[1], size - 20, std::byte{1}));
    CHECK(reopen(node, 1, 100).ok());
}

// Its footer is found at the end of the file, and nothing of another's stands in its last block.
// (Seed 12751: what did could not be read, and so the block could never be mended.)
TEST_CASE("a segment that is sealed behind a torn write ends with its footer", "[log]") {
    TestNode node;
    REQUIRE(node.live(filled(1, 100)).ok());
    const std::string path = segments(node, 1).back();
    const std::size_t end = node.disk().content(path)->size();
    const std::int64_t first = [&] {
        const std::string name = path.substr(path.rfind('/') + 1);
        return segment_first_index(name).value();
    }();
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    const auto file = TRY(life.env.disk.open(path, Disk::Open::existing));
                    TRY(file->write_at(end, {Bytes::copy_of(std::string(500, 'x'))}));
                    TRY(file->sync());
                    const auto grown = TRY(Segment::open(life.env, path, GroupId(1), first));
                    CHECK_FALSE(grown->sealed());
                    CHECK(grown->bytes() == end);
                    TRY(grown->seal());
                    const auto sealed = TRY(Segment::open(life.env, path, GroupId(1), first));
                    CHECK(sealed->sealed());
                    CHECK(sealed->end() == grown->end());
                    return {};
                })
                .ok());
}

TEST_CASE("rot in a segment is found when it is read", "[log]") {
    TestNode node;
    REQUIRE(node.live(filled(1, 100)).ok());
    REQUIRE(node.disk().rot(segments(node, 1)[1], 3000, std::byte{1}));
    const Result<> done = reopen(node, 1, 100);
    REQUIRE(node.opened.ok());
    REQUIRE(!done.ok());
    CHECK(done.error() == Error::corrupt);
}

// Each frame of it is intact and of this group. Only where it stands is wrong.
TEST_CASE("whole frames of a segment in the place of others are never taken for them", "[log]") {
    constexpr std::size_t bytes = 448; // So that a frame is one sector, and the header aside fits.
    int refused = 0;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        Settings settings = Settings::small();
        settings.log.segment_bytes = 48_KiB;
        TestNode node(seed, settings);
        node.world.add_host(TestNode::id, "node1");
        node.disk().remember_writes();
        REQUIRE(node.live([](Life& life) -> Result<> {
                        for (int i = 0; i < 24; ++i) TRY(fill(life, 1, 10, bytes));
                        return {};
                    })
                    .ok());
        const auto paths = segments(node, 1);
        const auto in_segment = [&](const sim::Medium::Range& range) {
            return range.path == paths[paths.size() - 2]; // Sealed, so it is not scanned.
        };
        const auto hit = node.disk().misdirect_somewhere(in_segment);
        if (!hit) continue;
        (void)node.live([&](Life& life) -> Result<> {
            Log& log = *TRY(life.log(1));
            for (std::int64_t i = 0; i < log.end().index; ++i) {
                const Offset offset(2 * i);
                const Result<BytesChain> batch = log.read(offset, log.end().offset, 1);
                const Result<std::vector<wire::Frame>> frames =
                    log.read_frames({i, offset}, log.end(), 1);
                refused += batch.ok() && frames.ok() ? 0 : 1;
                const wire::Frame expected = Life::entry({i, offset}, 1, Term(1), bytes, 2);
                if (batch.ok())
                    CHECK(joined(batch.value()).text() == joined(expected.payload).text());
                if (frames.ok()) {
                    REQUIRE(!frames.value().empty());
                    CHECK(frames.value()[0].first == expected.first);
                }
            }
            return {};
        });
    }
    CHECK(refused > 0);
}

TEST_CASE("a segment that is missing is noticed", "[log]") {
    for (const std::size_t which : {0, 1, 2}) { // The first, one in the middle, the last.
        TestNode node;
        REQUIRE(node.live(filled(1, 100)).ok());
        const auto paths = segments(node, 1);
        REQUIRE(paths.size() >= 4);
        // Until the journal no longer has what group 1 has written.
        REQUIRE(node.live(filled(2, 200)).ok());
        REQUIRE(node.live(filled(2, 200)).ok());
        with_disk(node, [&](Disk& disk) -> Result<> {
            TRY(disk.remove(which == 2 ? paths.back() : paths[which]));
            return disk.sync_directory("groups/1");
        });
        (void)reopen(node, 1, 100);
        INFO("which " << which);
        REQUIRE(!node.opened.ok());
        CHECK(node.opened.error() == Error::corrupt);
    }
}

TEST_CASE("a lost segment comes back from the journal as long as that has it", "[log]") {
    TestNode node;
    REQUIRE(node.live(filled(1, 20)).ok());
    with_disk(node, [&](Disk& disk) -> Result<> {
        TRY(disk.remove(segments(node, 1).front()));
        return disk.sync_directory("groups/1");
    });
    CHECK(reopen(node, 1, 20).ok());
}

TEST_CASE("the end of the last segment comes back from the journal", "[log]") {
    TestNode node;
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(fill(life, 1, 8));
                    return {};
                })
                .ok());
    const std::string path = segments(node, 1).back();
    const std::uint64_t size = node.disk().content(path)->size();
    REQUIRE(node.disk().rot(path, size - 1500, std::byte{1}));
    CHECK(reopen(node, 1, 8).ok());
    // And goes back to a segment, in place of what was bad.
    CHECK(node.live(filled(1, 3)).ok());
    CHECK(reopen(node, 1, 11).ok());
}

TEST_CASE("what a dead process had not synced is synced before it is relied on", "[log]") {
    bool ended = false;
    for (std::uint64_t steps = 1; !ended; ++steps) {
        REQUIRE(steps < 1000);
        TestNode node(steps);
        bool synced = false;
        node.boot([&](Life& life) -> Result<> {
            for (int i = 0; i < 3; ++i) TRY(life.append(1, Term(1), 1000, 2));
            TRY(life.journal.sync());
            synced = true;
            Log& log = *TRY(life.log(1));
            log.set_committed(log.end());
            return life.writer.flush();
        });
        ended = !node.steps(steps);
        if (!ended) node.world.kill(TestNode::id);
        // It goes by what it sees in the segment, and the journal forgets the entries.
        REQUIRE(node.live(filled(2, 200)).ok());
        node.cut_power();
        INFO("steps " << steps);
        REQUIRE(node.live([&](Life& life) -> Result<> {
                        const std::int64_t found = TRY(read_all(life, 1));
                        if (synced) CHECK(found == 3);
                        return {};
                    })
                    .ok());
    }
}

TEST_CASE("memory is bounded by the log's share, and by the node's", "[log]") {
    TestNode node;
    const Result<> done = node.live([&](Life& life) -> Result<> {
        for (int group = 1; group <= 20; ++group) {
            TRY(fill(life, group, 10));
            CHECK(life.budget.bytes() <= node.settings.log.node_cache_bytes);
        }
        for (int group = 1; group <= 20; ++group) CHECK(TRY(read_all(life, group)) == 10);
        return {};
    });
    CHECK(done.ok());
}

TEST_CASE("a group that was deleted is gone, and does not hold the journal", "[log]") {
    TestNode node;
    REQUIRE(node.live([](Life& life) -> Result<> {
                    for (int i = 0; i < 10; ++i) TRY(life.append(1, Term(1), 1000));
                    TRY(fill(life, 2, 50));
                    CHECK(!life.journal.pinned().empty());
                    life.writer.remove(*life.logs.at(GroupId(1)));
                    life.logs.erase(GroupId(1));
                    life.journal.forget(GroupId(1));
                    CHECK(life.journal.pinned().empty());
                    life.writer.remove(*life.logs.at(GroupId(2)));
                    life.logs.erase(GroupId(2));
                    life.journal.forget(GroupId(2));
                    TRY(Log::remove(life.env, GroupId(2)));
                    return Log::remove(life.env, GroupId(2));
                })
                .ok());
    CHECK(segments(node, 2).empty());
}

TEST_CASE("a full disk is waited out by the segment writer", "[log]") {
    TestNode node;
    const Result<> done = node.live([&](Life& life) -> Result<> {
        TRY(fill(life, 1, 3));
        Log& log = *TRY(life.log(1));
        node.disk().set_quota(0);
        for (int i = 0; i < 6; ++i) TRY(life.append(1, Term(1), 1000, 2));
        log.set_committed(log.end());
        TRY(life.env.fibers.sleep_until(life.env.clock.now() + 3s));
        CHECK(log.segments_end().index == 3);
        node.disk().set_quota({});
        TRY(life.env.fibers.sleep_until(life.env.clock.now() + 3s));
        CHECK(log.segments_end().index == 9);
        return {};
    });
    CHECK(done.ok());
    CHECK(reopen(node, 1, 9).ok());
}

TEST_CASE("too many open files are waited out by the segment writer and the journal", "[log]") {
    TestNode node;
    const Result<> done = node.live([&](Life& life) -> Result<> {
        node.disk().limit_open_files(node.disk().open_files());
        TRY(fill(life, 1, 0)); // No segment yet, and nothing to be moved.
        Log& log = *TRY(life.log(1));
        for (int i = 0; i < 9; ++i) TRY(life.append(1, Term(1), 1000, 2));
        TRY(life.journal.sync());
        log.set_committed(log.end());
        TRY(life.env.fibers.sleep_until(life.env.clock.now() + 3s));
        CHECK(log.segments_end().index == 0);
        CHECK(node.disk().refused_opens() > 0);
        node.disk().limit_open_files({});
        TRY(life.env.fibers.sleep_until(life.env.clock.now() + 3s));
        CHECK(log.segments_end().index == 9);
        return {};
    });
    CHECK(done.ok());
    CHECK(reopen(node, 1, 9).ok());
}

TEST_CASE("segments that nobody uses cost no open file, and are opened when they are read",
          "[log]") {
    Settings settings = Settings::small();
    settings.log.open_segments_max = 2;
    settings.log.cache_bytes = 0;
    settings.log.node_cache_bytes = 0;
    TestNode node(1, settings);
    const auto check = [&](Life& life) -> Result<> {
        CHECK(life.budget.open_segments().count() <= 2);
        CHECK(node.disk().open_files() <= 2 + 2); // And the journal's.
        for (const int group : {1, 2, 3}) {
            CHECK(TRY(read_all(life, group)) == 100);
            CHECK(TRY(TRY(life.log(group))->position_of(Offset(90))) == Position{45, Offset(90)});
        }
        CHECK(life.budget.open_segments().count() <= 2);
        return {};
    };
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    for (const int group : {1, 2, 3}) TRY(fill(life, group, 100));
                    REQUIRE(segments(node, 3).size() > 3);
                    TRY(check(life));
                    // The ones that grow were closed, too, and go on growing.
                    for (const int group : {1, 2, 3}) TRY(fill(life, group, 1));
                    for (const int group : {1, 2, 3}) CHECK(TRY(read_all(life, group)) == 101);
                    return {};
                })
                .ok());
    CHECK(node.live([&](Life& life) -> Result<> {
                  CHECK(life.budget.open_segments().count() <= 2);
                  for (const int group : {1, 2, 3}) CHECK(TRY(read_all(life, group)) == 101);
                  return {};
              })
              .ok());
}

TEST_CASE("many may read a closed segment at once, and one of them opens it", "[log]") {
    Settings settings = Settings::small();
    settings.log.open_segments_max = 1;
    settings.log.cache_bytes = 0;
    settings.log.node_cache_bytes = 0;
    TestNode node(1, settings);
    CHECK(node.live([&](Life& life) -> Result<> {
                  TRY(fill(life, 1, 100));
                  Log& log = *TRY(life.log(1));
                  Scope scope(life.env.fibers);
                  int done = 0;
                  for (int i = 0; i < 40; ++i)
                      scope.spawn("reader", [&, i] {
                          const auto frames = log.read_frames({i * 2, {}}, log.end(), 1);
                          REQUIRE(frames.ok());
                          CHECK(frames.value()[0].first.index == i * 2);
                          ++done;
                      });
                  scope.join();
                  CHECK(done == 40);
                  CHECK(life.budget.open_segments().count() <= 1);
                  return {};
              })
              .ok());
}

TEST_CASE("a segment that has gone while it was closed is damage", "[log]") {
    Settings settings = Settings::small();
    settings.log.open_segments_max = 1;
    settings.log.cache_bytes = 0;
    TestNode node(1, settings);
    CHECK(node.live([&](Life& life) -> Result<> {
                  TRY(fill(life, 1, 100));
                  TRY(life.env.disk.remove(segments(node, 1).front()));
                  CHECK(TRY(life.log(1))->read_frames({}, {1, {}}, 1).error() == Error::corrupt);
                  return {};
              })
              .ok());
}

TEST_CASE("a read that returned a wrong sector is repeated", "[log]") {
    TestNode node;
    REQUIRE(node.live(filled(1, 20)).ok());
    const std::string path = segments(node, 1).front();
    const std::uint64_t size = node.disk().durable_content(path)->size();
    const std::uint64_t before = node.world.counts().effective(sim::Fault::misdirected_read);
    for (std::uint64_t at = 0; at < size; at += sim::Medium::sector_size) {
        const Result<> done = node.live([&](Life& life) -> Result<> {
            node.disk().misdirect_read(path, at);
            CHECK(read_all(life, 1).value() == 20);
            return {};
        });
        CHECK(done.ok());
    }
    CHECK(node.world.counts().effective(sim::Fault::misdirected_read) > before + 5);
}

TEST_CASE("a log may leave while it is being moved", "[log]") {
    for (int delay = 0; delay < 300; delay += 7) {
        TestNode node(static_cast<std::uint64_t>(delay));
        const Result<> done = node.live([&](Life& life) -> Result<> {
            for (int i = 0; i < 20; ++i) TRY(life.append(1, Term(1), 1000, 2));
            Log& log = *TRY(life.log(1));
            log.set_committed(log.end());
            TRY(life.env.fibers.sleep_until(life.env.clock.now() + Duration(delay * 10'000)));
            life.writer.remove(log);
            life.logs.erase(GroupId(1));
            TRY(life.journal.sync());
            return life.env.fibers.sleep_until(life.env.clock.now() + 10ms);
        });
        REQUIRE(done.ok());
        REQUIRE(reopen(node, 1, 20).ok());
    }
}

TEST_CASE("entries move while others read, append and cut", "[log]") {
    for (std::uint64_t seed = 1; seed < 20; ++seed) {
        TestNode node(seed);
        const Result<> done = node.live([&](Life& life) -> Result<> {
            Log& log = *TRY(life.log(1));
            bool writing = true;
            Result<> read;
            Scope scope(life.env.fibers);
            scope.spawn("reader", [&] {
                while (writing && read.ok()) {
                    const Position end = log.committed();
                    for (Position at; at.index < end.index && read.ok();) {
                        const auto frames = log.read_frames(at, end, 3000);
                        if (!frames.ok()) read = frames.error();
                        if (!frames.ok() || frames.value().empty()) break;
                        at = frames.value().back().end();
                    }
                    if (!life.env.fibers.sleep_until(life.env.clock.now() + 20us).ok()) return;
                }
            });
            for (int i = 0; i < 300; ++i) {
                TRY(life.append(1, Term(1 + i / 10), 1000, 2));
                if (i % 5 == 4) log.set_committed(log.end());
                if (i % 17 == 0 && log.committed() != log.end())
                    log.cut(TRY(log.read_frames(log.committed(), log.end(), 1)).front().first);
                if (i % 3 == 0) TRY(life.journal.sync());
            }
            writing = false;
            scope.join();
            CHECK(read.ok());
            return life.journal.sync();
        });
        REQUIRE(done.ok());
    }
}
