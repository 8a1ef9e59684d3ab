// Logs that begin behind index 0: trimmed, or begun anew.
#include "core/log/digest.h"
#include "core/log/test_node.h"
#include "core/wire/log_start.h"
#include "core/wire/record_batch.h"

#include <algorithm>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::log_test;

namespace {

constexpr std::size_t entry_bytes = 1000;
constexpr int records_each = 2; // Of each entry: the one with index i begins at offset 2 i.

Position at(std::int64_t index) { return {index, Offset(index * records_each)}; }

std::vector<std::string> segment_paths(TestNode& node, int group = 1) {
    std::vector<std::string> paths;
    const std::string directory = "groups/" + std::to_string(group);
    for (const std::string& name : node.disk().list(directory).value_or(std::vector<std::string>()))
        paths.push_back(directory + '/' + name);
    return paths;
}

bool has(TestNode& node, const std::string& path) {
    const auto paths = segment_paths(node);
    return std::ranges::find(paths, path) != paths.end();
}

Result<> append(Life& life, int group, int count, Term term = Term(1)) {
    for (int i = 0; i < count; ++i) {
        TRY(life.append(group, term, entry_bytes, records_each));
        if (i % 10 == 9) TRY(life.journal.sync());
    }
    return life.journal.sync();
}

// Appends, commits and moves.
Result<> fill_log(Life& life, int group, int count, Term term = Term(1)) {
    TRY(append(life, group, count, term));
    Log& log = *TRY(life.log(group));
    log.set_committed(log.end());
    return life.writer.flush();
}

// From `first` to before `end`, and nothing else, by index and by offset.
Result<> check_holds(Log& log, std::int64_t first, std::int64_t end) {
    CHECK(log.start().index == first);
    CHECK(log.end().index == end);
    CHECK(log.read_frames({first - 1, {}}, log.end(), 1).error() == Error::not_found);
    CHECK(log.read(log.log_start().offset + -1, log.end().offset, 1).error() == Error::not_found);
    std::int64_t index = first;
    while (index < end) {
        const auto frames = TRY(log.read_frames({index, {}}, log.end(), 1));
        REQUIRE(frames.size() == 1);
        const wire::Frame expected =
            Life::entry(frames[0].first, 1, frames[0].term, entry_bytes, records_each);
        CHECK(frames[0].first.index == index);
        CHECK(joined(frames[0].payload).text() == joined(expected.payload).text());
        CHECK(log.terms().at(index) == frames[0].term);
        ++index;
    }
    return {};
}

Result<> reopen_trimmed(TestNode& node, std::int64_t first, std::int64_t end) {
    return node.live([=](Life& life) -> Result<> {
        TRY(check_holds(*TRY(life.log(1)), first, end));
        return pass(life, 100ms);
    });
}

void remove_segment(TestNode& node, const std::string& path) {
    with_disk(node, [&](Disk& disk) -> Result<> {
        TRY(disk.remove(path));
        return disk.sync_directory("groups/1");
    });
}

// Until the journal no longer has what group 1 has written, nor when it was trimmed.
void roll_journal(TestNode& node) {
    for (int i = 0; i < 2; ++i)
        REQUIRE(node.live([](Life& life) { return fill_log(life, 2, 200); }).ok());
}

wire::Frame trim_entry(Position place, Term term, const wire::Trim& trim) {
    wire::Frame frame;
    frame.kind = wire::Frame::Kind::trim;
    frame.group = GroupId(1);
    frame.term = term;
    frame.first = place;
    frame.payload = wire::trim_payload(trim);
    return frame;
}

} // namespace

TEST_CASE("what is trimmed cannot be read, and its segments are removed", "[log]") {
    TestNode node;
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    TRY(fill_log(life, 1, 100));
                    const auto before = segment_paths(node);
                    REQUIRE(before.size() >= 4);
                    Log& log = *TRY(life.log(1));
                    log.trim({at(60), at(60).offset});
                    TRY(check_holds(log, 60, 100));
                    CHECK(log.position_of(at(59).offset).error() == Error::not_found);
                    TRY(pass(life, 100ms));
                    const auto after = segment_paths(node);
                    CHECK(after.size() < before.size());
                    CHECK(after.back() == before.back());
                    CHECK(before[before.size() - after.size()] == after.front());
                    return check_holds(log, 60, 100);
                })
                .ok());
    CHECK(reopen_trimmed(node, 60, 100).ok());
    // Of two segments that follow each other, the first one holds the start.
    const auto left = segment_paths(node);
    REQUIRE(left.size() >= 2);
    CHECK(left[0] <= "groups/1/00000000000000000060.seg");
    CHECK(left[1] > "groups/1/00000000000000000060.seg");
}

TEST_CASE("a log stays trimmed when the journal has used its files again", "[log]") {
    TestNode node;
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    TRY(fill_log(life, 1, 50, Term(3)));
                    TRY(fill_log(life, 1, 50, Term(4)));
                    TRY(life.log(1))->trim({at(50), at(50).offset + 1});
                    return pass(life, 100ms);
                })
                .ok());
    roll_journal(node);
    CHECK(reopen_trimmed(node, 50, 100).ok());
    CHECK(node.live([](Life& life) -> Result<> {
                  const Log& log = *TRY(life.log(1));
                  CHECK(log.log_start() == LogStart{at(50), Term(3), at(50).offset + 1});
                  CHECK(log.terms().before(50) == Term(3));
                  return {};
              })
              .ok());
}

TEST_CASE("a trim within a batch keeps the batch, and tells which record is the first", "[log]") {
    TestNode node;
    CHECK(node.live([](Life& life) -> Result<> {
                  TRY(fill_log(life, 1, 20));
                  Log& log = *TRY(life.log(1));
                  log.trim({at(10), Offset(21)});
                  CHECK(log.start() == at(10));
                  CHECK(log.read(Offset(20), log.end().offset, 1).error() == Error::not_found);
                  CHECK(size_of(TRY(log.read(Offset(21), log.end().offset, 1))) == entry_bytes);
                  // Further in the same batch, to its end, and on.
                  log.trim({at(11), Offset(22)});
                  CHECK(log.start() == at(11));
                  return {};
              })
              .ok());
}

TEST_CASE("a trim goes forward only", "[log]") {
    TestNode node;
    CHECK(node.live([](Life& life) -> Result<> {
                  TRY(fill_log(life, 1, 20));
                  Log& log = *TRY(life.log(1));
                  log.trim({at(10), Offset(21)});
                  for (const wire::Trim& old :
                       {wire::Trim{at(9), Offset(19)}, {at(10), Offset(20)}, {at(9), Offset(22)}})
                      log.trim(old);
                  CHECK(log.log_start() == LogStart{at(10), Term(1), Offset(21)});
                  return {};
              })
              .ok());
}

TEST_CASE("a trim takes effect when it is committed, and not before", "[log]") {
    TestNode node;
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(fill_log(life, 1, 20));
                    Log& log = *TRY(life.log(1));
                    log.append(trim_entry(log.end(), Term(1), {at(7), Offset(15)}));
                    TRY(append(life, 1, 1));
                    CHECK(log.start().index == 0);
                    log.set_committed({20, Offset(40)});
                    CHECK(log.start().index == 0);
                    log.set_committed({21, Offset(40)});
                    CHECK(log.log_start() == LogStart{at(7), Term(1), Offset(15)});
                    // The greatest of several counts.
                    log.append(trim_entry(log.end(), Term(1), {at(8), Offset(16)}));
                    log.append(trim_entry(log.end(), Term(1), {at(9), Offset(18)}));
                    log.set_committed(log.end());
                    CHECK(log.start() == at(9));
                    // And where a later one says less: as if they had been committed one by one.
                    log.append(trim_entry(log.end(), Term(1), {at(12), Offset(24)}));
                    log.append(trim_entry(log.end(), Term(1), {at(11), Offset(22)}));
                    log.set_committed(log.end());
                    CHECK(log.start() == at(12));
                    return life.journal.sync();
                })
                .ok());
    CHECK(node.live([](Life& life) -> Result<> {
                  CHECK(TRY(life.log(1))->start() == at(12));
                  return {};
              })
              .ok());
}

TEST_CASE("a trim that speaks of what comes after it is ignored", "[log]") {
    TestNode node;
    CHECK(node.live([](Life& life) -> Result<> {
                  TRY(fill_log(life, 1, 20));
                  Log& log = *TRY(life.log(1));
                  for (const wire::Trim& wrong : {wire::Trim{{30, Offset(30)}, Offset(30)},
                                                  {at(9), Offset(41)},
                                                  {{9, Offset(41)}, Offset(41)},
                                                  {at(9), Offset(17)}})
                      log.append(trim_entry(log.end(), Term(1), wrong));
                  wire::Frame short_one = trim_entry(log.end(), Term(1), {at(9), Offset(18)});
                  short_one.payload = {Bytes::copy_of("no trim")};
                  log.append(short_one);
                  log.set_committed(log.end());
                  CHECK(log.start().index == 0);
                  return {};
              })
              .ok());
}

TEST_CASE("what is trimmed before it was moved is never moved, and holds no file", "[log]") {
    TestNode node;
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    TRY(fill_log(life, 1, 3));
                    TRY(append(life, 1, 60));
                    CHECK(!life.journal.pinned().empty());
                    Log& log = *TRY(life.log(1));
                    // Just enough that nothing is moved yet.
                    log.set_committed(at(5));
                    log.trim({at(5), at(5).offset});
                    TRY(pass(life, 100ms));
                    CHECK(log.segments_end() == at(5));
                    CHECK(segment_paths(node).empty());
                    TRY(check_holds(log, 5, 63));
                    log.set_committed(log.end());
                    TRY(life.writer.flush());
                    CHECK(segment_paths(node).front() == "groups/1/00000000000000000005.seg");
                    CHECK(life.journal.pinned().empty());
                    return check_holds(log, 5, 63);
                })
                .ok());
    CHECK(reopen_trimmed(node, 5, 63).ok());
}

TEST_CASE("a log that is trimmed to its end goes on from there", "[log]") {
    TestNode node;
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    TRY(fill_log(life, 1, 60, Term(2)));
                    Log& log = *TRY(life.log(1));
                    log.trim({at(60), at(60).offset});
                    TRY(pass(life, 100ms));
                    CHECK(segment_paths(node).empty());
                    CHECK(log.terms().last() == Term(2));
                    CHECK(log.read_frames(at(60), log.end(), 1).value().empty());
                    return {};
                })
                .ok());
    roll_journal(node);
    REQUIRE(node.live([](Life& life) -> Result<> {
                    const Log& log = *TRY(life.log(1));
                    CHECK(log.start() == at(60));
                    CHECK(log.end() == at(60));
                    CHECK(log.terms().last() == Term(2));
                    return fill_log(life, 1, 5, Term(3));
                })
                .ok());
    CHECK(reopen_trimmed(node, 60, 65).ok());
}

TEST_CASE("a log that is begun anew has nothing, and takes entries from there on", "[log]") {
    TestNode node;
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    TRY(fill_log(life, 1, 60));
                    TRY(append(life, 1, 3));
                    Log& log = *TRY(life.log(1));
                    log.cut(at(60));
                    log.reset({at(200), Term(7), at(200).offset + 1});
                    CHECK(log.start() == at(200));
                    CHECK(log.end() == at(200));
                    CHECK(log.committed() == at(200));
                    CHECK(log.segments_end() == at(200));
                    CHECK(log.terms() == TermTable(at(200), Term(7)));
                    CHECK(log.tail(at(10), 1).empty());
                    TRY(append(life, 1, 3, Term(7)));
                    TRY(check_holds(log, 200, 203));
                    TRY(pass(life, 100ms));
                    CHECK(segment_paths(node).empty());
                    return {};
                })
                .ok());
    CHECK(reopen_trimmed(node, 200, 203).ok());
    REQUIRE(node.live([](Life& life) { return fill_log(life, 1, 40, Term(8)); }).ok());
    roll_journal(node);
    CHECK(reopen_trimmed(node, 200, 243).ok());
    CHECK(segment_paths(node).front() == "groups/1/00000000000000000200.seg");
}

TEST_CASE("a log may be begun anew while it is being moved or read", "[log]") {
    std::size_t in_time = 0;
    for (int delay = 0; delay < 400; delay += 7) {
        TestNode node(static_cast<std::uint64_t>(delay));
        REQUIRE(node.live([&](Life& life) -> Result<> {
                        TRY(fill_log(life, 1, 40));
                        TRY(append(life, 1, 40));
                        Log& log = *TRY(life.log(1));
                        log.set_committed(log.end());
                        Scope scope(life.env.fibers);
                        scope.spawn("reader", [&] {
                            for (int i = 0; i < 30; ++i) {
                                const auto frames = log.read_frames(at(i), at(80), 1);
                                if (!frames.ok()) CHECK(frames.error() == Error::not_found);
                                if (frames.ok()) CHECK(frames.value()[0].first == at(i));
                            }
                        });
                        TRY(pass(life, Duration(delay * 10'000)));
                        in_time += log.segments_end() < log.end() ? 1 : 0;
                        log.reset({at(100), Term(7), at(100).offset});
                        TRY(fill_log(life, 1, 5, Term(7)));
                        scope.join();
                        CHECK(log.segments_end() == at(105));
                        return check_holds(log, 100, 105);
                    })
                    .ok());
        REQUIRE(reopen_trimmed(node, 100, 105).ok());
        CHECK(segment_paths(node) == std::vector<std::string>{"groups/1/00000000000000000100.seg"});
    }
    CHECK(in_time > 10);
}

TEST_CASE("whoever reads a segment while it is removed gets what was in it", "[log]") {
    std::size_t read_old = 0;
    Settings settings = Settings::small();
    settings.log.node_read_ahead_bytes = 0; // That takes files of its own.
    for (std::uint64_t seed = 1; seed < 20; ++seed) {
        TestNode node(seed, settings);
        const auto files = [&] { return node.disk().open_files(); };
        REQUIRE(node.live([&](Life& life) -> Result<> {
                        TRY(fill_log(life, 1, 100));
                        Log& log = *TRY(life.log(1));
                        const std::uint64_t before = files();
                        Scope scope(life.env.fibers);
                        for (int i = 0; i < 60; ++i)
                            scope.spawn("reader", [&, i] {
                                for (int k = 0; k < 10; ++k) {
                                    const bool is_old = log.start().index > i;
                                    const auto batch = log.read(at(i).offset, at(100).offset, 1);
                                    if (is_old) CHECK(batch.error() == Error::not_found);
                                    if (is_old) return;
                                    REQUIRE(batch.ok());
                                    read_old += log.start().index > i ? 1 : 0;
                                    CHECK(size_of(batch.value()) == entry_bytes);
                                }
                            });
                        TRY(pass(life, Duration(static_cast<std::int64_t>(seed) * 20'000)));
                        log.trim({at(60), at(60).offset});
                        scope.join();
                        TRY(pass(life, 100ms));
                        CHECK(files() < before);
                        return {};
                    })
                    .ok());
    }
    CHECK(read_old > 10);
}

TEST_CASE("trimming works on a full disk, and makes room for others", "[log]") {
    TestNode node;
    CHECK(node.live([&](Life& life) -> Result<> {
                  TRY(fill_log(life, 1, 60));
                  TRY(fill_log(life, 2, 1));
                  node.disk().set_quota(0);
                  Log& other = *TRY(life.log(2));
                  TRY(append(life, 2, 5));
                  other.set_committed(other.end());
                  TRY(pass(life, 3s));
                  CHECK(other.segments_end() < other.end());
                  Log& log = *TRY(life.log(1));
                  const std::size_t before = segment_paths(node).size();
                  log.trim({at(50), at(50).offset});
                  TRY(pass(life, 3s));
                  CHECK(segment_paths(node).size() < before);
                  CHECK(other.segments_end() < other.end());
                  node.disk().set_quota({});
                  TRY(pass(life, 3s));
                  CHECK(other.segments_end() == other.end());
                  return {};
              })
              .ok());
}

TEST_CASE("the first segments may be missing if the log begins behind them, and not else",
          "[log]") {
    for (const bool is_trimmed : {true, false}) {
        TestNode node;
        REQUIRE(node.live([](Life& life) { return fill_log(life, 1, 100); }).ok());
        roll_journal(node);
        const std::string first = segment_paths(node).front();
        const std::string second = segment_paths(node)[1];
        // The process ends before it removes anything.
        if (is_trimmed)
            REQUIRE(node.live([&](Life& life) -> Result<> {
                            Log& log = *TRY(life.log(1));
                            life.writer.remove(log);
                            log.trim({at(60), at(60).offset});
                            return life.journal.sync();
                        })
                        .ok());
        remove_segment(node, first);
        CHECK(look(node).refused() == !is_trimmed);
        if (is_trimmed) {
            CHECK(reopen_trimmed(node, 60, 100).ok());
            CHECK(!has(node, second));
        } else {
            CHECK_FALSE(reopen_trimmed(node, 0, 100).ok());
            CHECK(node.opened.error() == Error::corrupt);
        }
    }
}

TEST_CASE("a gap, and a segment without a header, matter only behind the start", "[log]") {
    for (const bool is_gap : {true, false}) {
        for (const bool is_before : {true, false}) {
            TestNode node;
            REQUIRE(node.live([](Life& life) { return fill_log(life, 1, 100); }).ok());
            roll_journal(node);
            const auto paths = segment_paths(node);
            REQUIRE(paths.size() >= 4);
            REQUIRE(node.live([&](Life& life) -> Result<> {
                            Log& log = *TRY(life.log(1));
                            life.writer.remove(log);
                            const std::int64_t index = is_before ? 60 : 5;
                            log.trim({at(index), at(index).offset});
                            return life.journal.sync();
                        })
                        .ok());
            if (is_gap) {
                remove_segment(node, paths[1]);
            } else { // And its footer, which says the same.
                const std::uint64_t size = node.disk().durable_content(paths[1])->size();
                for (const std::uint64_t place : {std::uint64_t{20}, size - 20})
                    REQUIRE(node.disk().rot(paths[1], place, std::byte{1}));
            }
            CHECK(look(node).refused() == !is_before);
            CHECK(look(node).damaged() == !is_before);
            const Result<> opened = reopen_trimmed(node, 60, 100);
            CHECK(opened.ok() == is_before);
            if (is_before) {
                CHECK(!has(node, paths[0]));
                CHECK(!has(node, paths[1]));
                CHECK(has(node, paths.back()));
            } else {
                CHECK(node.opened.error() == Error::corrupt);
            }
        }
    }
}

TEST_CASE("a start behind the first segment that is left is damage if that is behind it", "[log]") {
    TestNode node;
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(fill_log(life, 1, 100));
                    TRY(life.log(1))->trim({at(40), at(40).offset});
                    return pass(life, 100ms);
                })
                .ok());
    roll_journal(node);
    remove_segment(node, segment_paths(node).front());
    CHECK(look(node).refused());
    CHECK_FALSE(reopen_trimmed(node, 40, 100).ok());
    CHECK(node.opened.error() == Error::corrupt);
}

TEST_CASE("segments that have lost their end are excused by a later start alone", "[log]") {
    for (const bool is_trimmed : {true, false}) {
        TestNode node;
        REQUIRE(node.live([](Life& life) { return fill_log(life, 1, 100); }).ok());
        roll_journal(node);
        if (is_trimmed)
            REQUIRE(node.live([&](Life& life) -> Result<> {
                            Log& log = *TRY(life.log(1));
                            life.writer.remove(log);
                            log.trim({at(100), at(100).offset});
                            return life.journal.sync();
                        })
                        .ok());
        remove_segment(node, segment_paths(node).back());
        CHECK(look(node).refused() == !is_trimmed);
        CHECK(reopen_trimmed(node, 100, 100).ok() == is_trimmed);
        if (is_trimmed) CHECK(segment_paths(node).empty());
    }
}

TEST_CASE("a start that says nothing is damage", "[log]") {
    TestNode node;
    CHECK(node.live([](Life& life) -> Result<> {
                  wire::Frame frame = wire::start_frame(GroupId(1), {at(5), Term(1), Offset(10)});
                  frame.payload = {Bytes::copy_of("?")};
                  frame.payload_crc = 0;
                  life.journal.append(frame);
                  return life.journal.sync();
              })
              .ok());
    (void)reopen_trimmed(node, 5, 5);
    CHECK(!node.opened.ok());
    CHECK(node.opened.error() == Error::corrupt);
}

TEST_CASE("a time is sought from the start of the log on", "[log]") {
    const auto batch = [](Position first, std::int64_t time) {
        wire::RecordBatchBuilder builder;
        builder.add({}, std::string(700, 'x'), time);
        auto parsed = wire::RecordBatch::parse(builder.build());
        wire::Frame frame;
        frame.group = GroupId(1);
        frame.term = Term(1);
        frame.first = first;
        frame.records = 1;
        frame.payload = std::get<wire::RecordBatch>(parsed).stamped(first.offset, frame.term);
        return frame;
    };
    TestNode node;
    CHECK(node.live([&](Life& life) -> Result<> {
                  Log& log = *TRY(life.log(1));
                  // The latest time is early, in the middle of what one mark stands for.
                  for (int i = 0; i < 60; ++i)
                      log.append(batch(log.end(), i == 21 ? 9000 : 1000 + i));
                  TRY(life.journal.sync());
                  log.set_committed(log.end());
                  TRY(life.writer.flush());
                  const auto find = [&](std::int64_t time) {
                      return log.offset_for_time(time, log.end().offset);
                  };
                  CHECK(TRY(find(1030)) == Offset(21));
                  log.trim({{22, Offset(22)}, Offset(22)});
                  CHECK(TRY(find(0)) == Offset(22));
                  CHECK(TRY(find(1030)) == Offset(30));
                  CHECK(find(1060).error() == Error::not_found);
                  log.append(batch(log.end(), 5000));
                  CHECK(TRY(find(1060)) == Offset(60));
                  return {};
              })
              .ok());
}

TEST_CASE("a look at a trimmed disk tells where the log begins, and counts from there", "[log]") {
    TestNode node;
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(fill_log(life, 1, 50));
                    TRY(life.log(1))->trim({at(33), at(33).offset + 1});
                    return pass(life, 100ms);
                })
                .ok());
    const Survey found = look(node);
    CHECK_FALSE(found.damaged());
    const SurveyedGroup& group = found.groups.at(GroupId(1));
    CHECK(group.start == LogStart{at(33), Term(1), at(33).offset + 1});
    CHECK(group.entries == 17);
    CHECK(group.records == 34);
    CHECK(group.end == at(50));
}

TEST_CASE("the digest of a trimmed log is that of the rest of one that is not", "[log]") {
    const auto digest_of = [](TestNode& node) {
        std::vector<LogDigest> digests;
        node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
            digests = TRY(digest_logs(env, "journal"));
            return {};
        });
        REQUIRE(node.finish().ok());
        REQUIRE(digests.size() == 1);
        return digests.front();
    };
    const auto script = [](std::optional<std::int64_t> start) {
        return [=](Life& life) -> Result<> {
            TRY(fill_log(life, 1, 50));
            if (start) TRY(life.log(1))->trim({at(*start), at(*start).offset});
            TRY(append(life, 1, 5));
            return pass(life, 100ms);
        };
    };
    TestNode whole(1), trimmed(2), emptied(3);
    REQUIRE(whole.live(script({})).ok());
    REQUIRE(trimmed.live(script(33)).ok());
    REQUIRE(emptied.live(script(50)).ok());
    const Agreement agreed =
        agreement(std::vector{digest_of(whole), digest_of(trimmed), digest_of(emptied)});
    CHECK_FALSE(agreed.differs);
    CHECK(agreed.begin == at(50));
    CHECK(agreed.end == at(55));
    CHECK(agreement(std::vector{digest_of(whole), digest_of(trimmed)}).begin == at(33));
}

// ---- What is to be deleted ----

namespace {

// One record each, of these times, in batches of 700 bytes.
Result<> append_times(Life& life, const std::vector<std::int64_t>& times) {
    Log& log = *TRY(life.log(1));
    for (const std::int64_t time : times) {
        wire::RecordBatchBuilder builder;
        builder.add({}, std::string(700, 'x'), time);
        auto parsed = wire::RecordBatch::parse(builder.build());
        wire::Frame frame;
        frame.group = GroupId(1);
        frame.term = Term(1);
        frame.first = log.end();
        frame.records = 1;
        frame.payload = std::get<wire::RecordBatch>(parsed).stamped(frame.first.offset, frame.term);
        log.append(frame);
    }
    return life.journal.sync();
}

Result<> move(Life& life) {
    Log& log = *TRY(life.log(1));
    log.set_committed(log.end());
    TRY(life.writer.flush());
    return pass(life, 2ms);
}

// So that each flush is a segment of its own.
Settings one_piece_each() {
    Settings settings = Settings::small();
    settings.log.segment_age = 1ms;
    return settings;
}

} // namespace

TEST_CASE("whole segments are too old, oldest first, when the latest record in them is", "[log]") {
    TestNode node(1, one_piece_each());
    CHECK(node.live([&](Life& life) -> Result<> {
                  Log& log = *TRY(life.log(1));
                  CHECK(log.expired(5000, {}) == Offset(0));
                  for (const auto& times : std::vector<std::vector<std::int64_t>>{
                           {1000, 1900, 1100}, {1500, 1600}, {9000, 1000}, {1700, 1800}}) {
                      TRY(append_times(life, times));
                      TRY(move(life));
                  }
                  REQUIRE(segment_paths(node).size() == 4);
                  CHECK(log.expired({}, {}) == Offset(0));
                  CHECK(log.expired(1900, {}) == Offset(0));
                  CHECK(log.expired(1901, {}) == Offset(5));
                  CHECK(log.expired(9000, {}) == Offset(5)); // A late one keeps what is behind it.
                  CHECK(log.expired(9001, {}) == Offset(9)); // The one that grows, too.
                  // Of what is in no segment, single batches, and only what is committed.
                  TRY(append_times(life, {2000, 2100, 9500, 2000}));
                  CHECK(log.expired(9001, {}) == Offset(9));
                  log.set_committed({11, Offset(11)});
                  CHECK(log.expired(9001, {}) == Offset(11));
                  log.set_committed(log.end());
                  CHECK(log.expired(9001, {}) == Offset(11));
                  CHECK(log.expired(9501, {}) == Offset(13));
                  log.trim({{7, Offset(7)}, Offset(7)});
                  CHECK(log.expired(1901, {}) == Offset(7));
                  return {};
              })
              .ok());
}

TEST_CASE("records without a time are never too old", "[log]") {
    TestNode node(1, one_piece_each());
    CHECK(node.live([&](Life& life) -> Result<> {
                  TRY(append_times(life, {-1, -1}));
                  TRY(move(life));
                  TRY(append_times(life, {-1, 1000}));
                  Log& log = *TRY(life.log(1));
                  CHECK(log.expired(INT64_MAX, {}) == Offset(0));
                  return {};
              })
              .ok());
}

TEST_CASE("entries without a record go with what was before them", "[log]") {
    Settings settings = one_piece_each();
    settings.log.segment_bytes = 1_KiB;
    TestNode node(1, settings);
    CHECK(node.live([&](Life& life) -> Result<> {
                  TRY(append_times(life, {1000, 1000}));
                  TRY(move(life));
                  for (int i = 0; i < 20; ++i) TRY(life.append(1, Term(2 + i), 0, 0));
                  TRY(move(life));
                  TRY(life.append(1, Term(30), 0, 0));
                  TRY(life.append(1, Term(30), 900, 1));
                  TRY(move(life));
                  REQUIRE(segment_paths(node).size() > 3);
                  Log& log = *TRY(life.log(1));
                  CHECK(log.expired(1001, {}) == Offset(2));
                  return {};
              })
              .ok());
}

TEST_CASE("a log is too large while what is left without a segment is enough", "[log]") {
    TestNode node(1, one_piece_each());
    CHECK(node.live([&](Life& life) -> Result<> {
                  for (int i = 0; i < 5; ++i) {
                      TRY(append_times(life, {1000, 1000}));
                      TRY(move(life));
                  }
                  Log& log = *TRY(life.log(1));
                  std::vector<std::uint64_t> sizes;
                  for (const std::string& path : segment_paths(node))
                      sizes.push_back(node.disk().content(path)->size());
                  REQUIRE(sizes.size() == 5);
                  // Without their footers.
                  const auto size = sizes.back();
                  CHECK(log.expired({}, 5 * size) == Offset(0));
                  CHECK(log.expired({}, 4 * size + 1) == Offset(0));
                  CHECK(log.expired({}, 4 * size) == Offset(2));
                  CHECK(log.expired({}, 3 * size + 1) == Offset(2));
                  CHECK(log.expired({}, size) == Offset(8));
                  CHECK(log.expired({}, 0) == Offset(8)); // The newest stays.
                  CHECK(log.expired(1001, 4 * size) == Offset(10));
                  return {};
              })
              .ok());
}

TEST_CASE("a segment is sealed when it is old enough, and something follows", "[log]") {
    Settings settings = Settings::small();
    settings.log.segment_age = 10min;
    TestNode node(1, settings);
    CHECK(node.live([&](Life& life) -> Result<> {
                  TRY(append_times(life, {1000}));
                  TRY(move(life));
                  TRY(pass(life, 9min));
                  TRY(append_times(life, {1000}));
                  TRY(move(life));
                  CHECK(segment_paths(node).size() == 1);
                  TRY(pass(life, 1min));
                  CHECK(segment_paths(node).size() == 1);
                  TRY(append_times(life, {1000}));
                  TRY(move(life));
                  CHECK(segment_paths(node).size() == 2);
                  TRY(append_times(life, {1000}));
                  TRY(move(life));
                  CHECK(segment_paths(node).size() == 2);
                  return {};
              })
              .ok());
}
