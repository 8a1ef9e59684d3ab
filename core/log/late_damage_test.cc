// Logs that begin behind index 0 and are damaged: what lies before the start does not matter, and
// what says where that is must be whole.
#include "core/base/crc32c.h"
#include "core/log/test_node.h"
#include "core/wire/log_start.h"
#include "io/sim/crash_points.h"

#include <algorithm>
#include <optional>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::log_test;

namespace {

constexpr std::size_t late_bytes = 300;
constexpr int late_records = 2;

Position late_at(std::int64_t index) { return {index, Offset(index * late_records)}; }

wire::Frame late_entry(std::int64_t index, int group = 1) {
    wire::Frame frame = Life::entry(late_at(index), group, Term(1), late_bytes, late_records);
    frame.payload_crc = crc32c(frame.payload);
    return frame;
}

std::vector<wire::Frame> entries(Position first, Position end) {
    std::vector<wire::Frame> frames;
    for (std::int64_t i = first.index; i < end.index; ++i) frames.push_back(late_entry(i));
    return frames;
}

Result<> append_late(Life& life, int count, int group = 1) {
    for (int i = 0; i < count; ++i) {
        TRY(life.append(group, Term(1), late_bytes, late_records));
        if (i % 10 == 9) TRY(life.journal.sync());
    }
    return pass(life, 100ms); // Sealed.
}

// Appends, commits and moves.
Result<> store(Life& life, int count, int group = 1) {
    TRY(append_late(life, count, group));
    Log& log = *TRY(life.log(group));
    log.set_committed(log.end());
    return life.writer.flush();
}

// Every entry from the start on, to the end; the indexes of those that cannot be read.
Result<std::vector<std::int64_t>> unreadable(Log& log) {
    std::vector<std::int64_t> found;
    for (std::int64_t i = log.start().index; i < log.end().index; ++i) {
        const auto frames = log.read_frames(late_at(i), log.end(), 0);
        const auto batch = log.read(late_at(i).offset + 1, log.end().offset, 0);
        if (!frames.ok() && frames.error() != Error::corrupt) return frames.error();
        CHECK(frames.ok() == batch.ok());
        if (!frames.ok() || !batch.ok()) {
            found.push_back(i);
            continue;
        }
        const std::string expected(joined(late_entry(i).payload).text());
        CHECK(joined(frames.value().at(0).payload).text() == expected);
        CHECK(joined(batch.value()).text() == expected);
    }
    return found;
}

// As from a replica that has all from the start on, and nothing else.
Result<> mend_late(Log& log) {
    for (int round = 0; round < 100; ++round) {
        (void)TRY(unreadable(log));
        const std::vector<Damage> damages = log.damages();
        if (damages.empty()) return {};
        for (const Damage& damage : damages) {
            CHECK(damage.first >= log.start());
            const Result<> mended = log.mend(entries(damage.first, damage.end));
            if (!mended.ok() && mended.error() != Error::unavailable) return mended;
        }
    }
    return Error::timed_out;
}

// Where the last frame of this kind, and of this index, of group 1 stands in files of that kind.
struct FramePlace {
    std::string path;
    std::uint64_t position = 0;
};
FramePlace frame_place_of(TestNode& node, std::string_view files, wire::Frame::Kind kind,
                          std::int64_t index) {
    FramePlace place;
    node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
        (void)TRY(survey(env, "journal",
                         [&](std::string_view path, std::uint64_t position,
                             const wire::Frame& frame, bool) {
                             if (frame.kind == kind && frame.first.index == index &&
                                 frame.group == GroupId(1) && path.starts_with(files))
                                 place = {std::string(path), position};
                         }));
        return {};
    });
    REQUIRE(node.finish().ok());
    REQUIRE(!place.path.empty());
    return place;
}

void spoil_payload_at(TestNode& node, const FramePlace& place) {
    REQUIRE(
        node.disk().rot(place.path, place.position + wire::Frame::header_size + 5, std::byte{1}));
}

wire::Frame trim_frame(Position place, const wire::Trim& trim) {
    wire::Frame frame;
    frame.kind = wire::Frame::Kind::trim;
    frame.group = GroupId(1);
    frame.term = Term(1);
    frame.first = place;
    frame.payload = wire::trim_payload(trim);
    frame.payload_crc = crc32c(frame.payload);
    return frame;
}

} // namespace

TEST_CASE("what was damaged in the journal and is trimmed needs no mending, and holds nothing",
          "[log]") {
    TestNode node;
    REQUIRE(node.live([](Life& life) { return append_late(life, 9); }).ok());
    spoil_payload_at(node, frame_place_of(node, "journal/", wire::Frame::Kind::records, 3));
    REQUIRE(node.live([](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    REQUIRE(log.damages().size() == 1);
                    log.set_committed(log.end());
                    TRY(life.writer.flush());
                    CHECK(log.segments_end() == late_at(3));
                    log.trim({late_at(5), late_at(5).offset});
                    CHECK(log.damages().empty()); // At once: nobody is to be asked for it.
                    TRY(pass(life, 100ms));
                    TRY(life.writer.flush());
                    CHECK(log.segments_end() == late_at(9));
                    CHECK(life.env.metrics.total("pyralog_log_damaged_entries") == 0);
                    TRY(store(life, 400, 2)); // Its files are used again.
                    return {};
                })
                .ok());
    CHECK_FALSE(look(node).damaged());
    CHECK(node.live([](Life& life) -> Result<> {
                  Log& log = *TRY(life.log(1));
                  CHECK(log.start() == late_at(5));
                  CHECK(log.end() == late_at(9));
                  CHECK(TRY(unreadable(log)).empty());
                  return {};
              })
              .ok());
}

TEST_CASE("a start in the journal forgets the damaged entries before it", "[log]") {
    TestNode node;
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(append_late(life, 9));
                    Log& log = *TRY(life.log(1));
                    log.set_committed(late_at(6));
                    log.trim({late_at(5), late_at(5).offset});
                    return pass(life, 100ms);
                })
                .ok());
    const int index = GENERATE(3, 5);
    spoil_payload_at(node, frame_place_of(node, "journal/", wire::Frame::Kind::records, index));
    CHECK(look(node).damaged() == (index == 5));
    CHECK(node.live([&](Life& life) -> Result<> {
                  Log& log = *TRY(life.log(1));
                  CHECK(log.start() == late_at(5));
                  CHECK(log.end() == late_at(9));
                  CHECK(log.damages().size() == (index == 5 ? 1 : 0));
                  log.set_committed(log.end());
                  TRY(life.writer.flush());
                  CHECK(log.segments_end() == late_at(index == 5 ? 5 : 9));
                  return {};
              })
              .ok());
}

TEST_CASE("a trim that has lost what it says trims nothing until it is mended", "[log]") {
    TestNode node;
    const wire::Trim trim{late_at(7), Offset(15)};
    const wire::Frame whole = trim_frame(late_at(12), trim);
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    TRY(append_late(life, 12));
                    TRY(life.log(1))->append(whole);
                    TRY(life.append(1, Term(1), late_bytes, 0));
                    return pass(life, 100ms);
                })
                .ok());
    spoil_payload_at(node, frame_place_of(node, "journal/", wire::Frame::Kind::trim, 12));
    REQUIRE(look(node).damaged());
    REQUIRE_FALSE(look(node).refused());
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    CHECK(log.end().index == 14);
                    log.set_committed(log.end());
                    TRY(life.writer.flush());
                    CHECK(log.log_start() == LogStart());
                    CHECK(log.segments_end().index == 12); // There it waits.
                    REQUIRE(log.damages().size() == 1);
                    CHECK(log.damages()[0].first == whole.first);
                    // Another one of the same length is not what was lost.
                    CHECK(log.mend(std::vector{trim_frame(late_at(12), {late_at(9), Offset(18)})})
                              .error() == Error::malformed);
                    CHECK(log.log_start() == LogStart());
                    TRY(log.mend(std::vector{whole}));
                    CHECK(log.log_start() == LogStart{late_at(7), Term(1), Offset(15)});
                    TRY(life.journal.sync());
                    return {};
                })
                .ok());
    CHECK(node.live([](Life& life) -> Result<> {
                  Log& log = *TRY(life.log(1));
                  CHECK(log.log_start() == LogStart{late_at(7), Term(1), Offset(15)});
                  CHECK(log.damages().empty());
                  return {};
              })
              .ok());
}

TEST_CASE("a trim that has lost what it says hides none before it", "[log]") {
    TestNode node;
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    TRY(append_late(life, 12));
                    Log& log = *TRY(life.log(1));
                    log.append(trim_frame(late_at(12), {late_at(4), Offset(8)}));
                    log.append(trim_frame(log.end(), {late_at(7), Offset(15)}));
                    return pass(life, 100ms);
                })
                .ok());
    spoil_payload_at(node, frame_place_of(node, "journal/", wire::Frame::Kind::trim, 13));
    CHECK(node.live([&](Life& life) -> Result<> {
                  Log& log = *TRY(life.log(1));
                  log.set_committed(log.end());
                  CHECK(log.log_start() == LogStart{late_at(4), Term(1), Offset(8)});
                  return {};
              })
              .ok());
}

TEST_CASE("a trim that is mended before it is committed waits for that", "[log]") {
    TestNode node;
    const wire::Frame whole = trim_frame(late_at(12), {late_at(7), Offset(15)});
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    TRY(append_late(life, 12));
                    TRY(life.log(1))->append(whole);
                    return pass(life, 100ms);
                })
                .ok());
    spoil_payload_at(node, frame_place_of(node, "journal/", wire::Frame::Kind::trim, 12));
    CHECK(node.live([&](Life& life) -> Result<> {
                  Log& log = *TRY(life.log(1));
                  log.set_committed(late_at(12));
                  TRY(log.mend(std::vector{whole}));
                  CHECK(log.log_start() == LogStart());
                  log.set_committed(log.end());
                  CHECK(log.log_start() == LogStart{late_at(7), Term(1), Offset(15)});
                  return {};
              })
              .ok());
}

TEST_CASE("any bit of a start that rots is noticed, and nobody guesses where the log begins",
          "[log]") {
    TestNode node;
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    TRY(append_late(life, 12));
                    Log& log = *TRY(life.log(1));
                    log.set_committed(log.end());
                    log.trim({late_at(7), Offset(15)});
                    return pass(life, 100ms);
                })
                .ok());
    const FramePlace place = frame_place_of(node, "journal/", wire::Frame::Kind::start, 7);
    for (std::uint64_t i = 0; i < wire::Frame::header_size; ++i) {
        INFO("byte " << i);
        REQUIRE(node.disk().rot(place.path, place.position + i, std::byte{1}));
        CHECK(look(node).refused());
        CHECK_FALSE(node.live([](Life&) -> Result<> { return {}; }).ok());
        CHECK(node.opened.error() == Error::corrupt);
        REQUIRE(node.disk().rot(place.path, place.position + i, std::byte{1}));
    }
    CHECK(node.live([](Life& life) -> Result<> {
                  CHECK(TRY(life.log(1))->log_start() == LogStart{late_at(7), Term(1), Offset(15)});
                  return {};
              })
              .ok());
}

namespace {

// 150 entries in sealed segments, and the log begins within the second of them.
struct Late {
    Late() {
        REQUIRE(node.live([](Life& life) { return store(life, 150); }).ok());
        std::vector<std::string> names = node.disk().list("groups/1").value();
        REQUIRE(names.size() >= 3);
        path = "groups/1/" + names[1];
        const auto header = wire::decode_segment_header(node.disk().durable_content(path)->view());
        start = header->first.index + 30;
        REQUIRE(node.live([&](Life& life) -> Result<> {
                        Log& log = *TRY(life.log(1));
                        log.set_committed(log.end());
                        log.trim({late_at(start), late_at(start).offset + 1});
                        return pass(life, 100ms);
                    })
                    .ok());
        REQUIRE(node.disk().list("groups/1").value().front() == names[1]);
        place = frame_place_of(node, "groups/", wire::Frame::Kind::records, start).position;
    }

    TestNode node;
    std::string path; // Of the segment with the start in it,
    std::int64_t start = 0;
    std::uint64_t place = 0; // which is here.
};

// A look at the disk says of it what readers find.
void check_agrees(TestNode& node, bool mend) {
    const Survey seen = look(node);
    bool found = false;
    REQUIRE(node.live([&](Life& life) -> Result<> {
                    Log& log = *TRY(life.log(1));
                    for (std::int64_t next = 0; next < log.segments_end().index;)
                        next = TRY(log.scrub(next, 4096));
                    found = !log.damages().empty();
                    found = !TRY(unreadable(log)).empty() || found;
                    if (mend) TRY(mend_late(log));
                    return {};
                })
                .ok());
    CHECK_FALSE(seen.refused());
    CHECK(seen.damaged() == found);
}

} // namespace

TEST_CASE("whatever byte rots around the start of a log, what is behind that can be had back",
          "[log]") {
    Late late;
    const std::uint64_t size = late.node.disk().durable_content(late.path)->size();
    const bool is_sector = GENERATE(false, true);
    const std::uint64_t first = is_sector ? late.place / 4096 * 4096 - 4096 : late.place - 6000;
    const std::uint64_t last = std::min(size - 4096, late.place + 5000);
    REQUIRE(late.place > 6000 + 4096);
    const std::uint64_t step = is_sector ? 4096 : sim::sanitized ? 5 * 47 : 47;
    for (std::uint64_t i = first; i < last; i += step) {
        INFO("position " << i);
        if (is_sector)
            REQUIRE(late.node.disk().make_unreadable(late.path, i));
        else
            REQUIRE(late.node.disk().rot(late.path, i, std::byte{1}));
        check_agrees(late.node, true);
        CHECK_FALSE(look(late.node).damaged());
    }
    CHECK(late.node
              .live([&](Life& life) -> Result<> {
                  Log& log = *TRY(life.log(1));
                  CHECK(log.start() == late_at(late.start));
                  CHECK(log.end() == late_at(150));
                  CHECK(TRY(unreadable(log)).empty());
                  return {};
              })
              .ok());
}

TEST_CASE("only what fits is taken for what stood behind the start", "[log]") {
    Late late;
    // The header of the entry before: so nobody knows any more where the first one begins.
    const FramePlace before =
        frame_place_of(late.node, "groups/", wire::Frame::Kind::records, late.start - 1);
    REQUIRE(late.node.disk().rot(before.path, before.position + 20, std::byte{1}));
    CHECK(late.node
              .live([&](Life& life) -> Result<> {
                  Log& log = *TRY(life.log(1));
                  CHECK(log.read_frames(log.start(), log.end(), 1).error() == Error::corrupt);
                  REQUIRE(log.damages().size() == 1);
                  const Damage damage = log.damages()[0];
                  CHECK(damage.first == log.start());
                  const auto frames = entries(damage.first, damage.end);
                  REQUIRE(frames.size() >= 2);
                  const auto refused = [&](std::vector<wire::Frame> wrong) {
                      return log.mend(wrong).error() == Error::malformed;
                  };
                  CHECK(refused(entries(late_at(late.start - 1), damage.end)));
                  CHECK(refused({frames.begin(), frames.end() - 1}));
                  CHECK(refused({frames.begin() + 1, frames.end()}));
                  auto other = frames;
                  other[0].term = Term(2);
                  CHECK(refused(other));
                  other = frames; // No room is left for what stood before them.
                  other[0].payload = {Bytes::copy_of(std::string(8000, 'x'))};
                  other[0].payload_crc = crc32c(other[0].payload);
                  CHECK(refused(other));
                  CHECK(log.read_frames(log.start(), log.end(), 1).error() == Error::corrupt);
                  TRY(log.mend(frames));
                  CHECK(log.damages().empty());
                  CHECK(TRY(unreadable(log)).empty());
                  return {};
              })
              .ok());
    CHECK_FALSE(look(late.node).damaged());
}

TEST_CASE("damage that was found in a segment is forgotten when it is trimmed", "[log]") {
    TestNode node;
    REQUIRE(node.live([](Life& life) { return store(life, 150); }).ok());
    for (const std::int64_t index : {10, 20})
        spoil_payload_at(node, frame_place_of(node, "groups/", wire::Frame::Kind::records, index));
    CHECK(node.live([](Life& life) -> Result<> {
                  Log& log = *TRY(life.log(1));
                  log.set_committed(log.end());
                  CHECK(TRY(unreadable(log)) == std::vector<std::int64_t>{10, 20});
                  CHECK(log.damages().size() == 2);
                  log.trim({late_at(11), late_at(11).offset});
                  REQUIRE(log.damages().size() == 1);
                  CHECK(log.damages()[0].first == late_at(20));
                  log.trim({late_at(21), late_at(21).offset});
                  CHECK(log.damages().empty());
                  CHECK(TRY(unreadable(log)).empty());
                  return {};
              })
              .ok());
    CHECK_FALSE(look(node).damaged());
}

TEST_CASE("a segment stays open while it is scrubbed or mended, and others want its place",
          "[log]") {
    Settings settings = Settings::small();
    settings.log.open_segments_max = 1;
    TestNode node(1, settings);
    REQUIRE(node.live([](Life& life) -> Result<> {
                    TRY(store(life, 150));
                    return store(life, 150, 2);
                })
                .ok());
    for (const std::int64_t index : {3, 40, 90, 130})
        spoil_payload_at(node,
                         frame_place_of(node, "groups/1/", wire::Frame::Kind::records, index));
    CHECK(node.live([&](Life& life) -> Result<> {
                  Log& log = *TRY(life.log(1));
                  Log& other = *TRY(life.log(2));
                  log.set_committed(log.end());
                  bool over = false;
                  Scope scope(life.env.fibers);
                  scope.spawn("others", [&] {
                      for (std::int64_t i = 0; !over; i = (i + 37) % 150)
                          if (!other.read_frames(late_at(i), other.end(), 0).ok()) return;
                  });
                  std::int64_t calls = 0;
                  for (std::int64_t next = 0; next < log.segments_end().index; ++calls)
                      next = TRY(log.scrub(next, 2048));
                  CHECK(calls > 10);
                  std::vector<std::int64_t> damaged;
                  for (const Damage& damage : log.damages()) damaged.push_back(damage.first.index);
                  CHECK(damaged == std::vector<std::int64_t>{3, 40, 90, 130});
                  for (const Damage& damage : log.damages())
                      TRY(log.mend(entries(damage.first, damage.end)));
                  CHECK(TRY(unreadable(log)).empty());
                  CHECK(life.budget.open_segments().count() <= 3);
                  over = true;
                  return {};
              })
              .ok());
    CHECK_FALSE(look(node).damaged());
}

TEST_CASE("a segment that was trimmed while it was to be mended is no failure", "[log]") {
    TestNode node;
    REQUIRE(node.live([](Life& life) { return store(life, 150); }).ok());
    spoil_payload_at(node, frame_place_of(node, "groups/", wire::Frame::Kind::records, 3));
    Settings settings = Settings::small();
    settings.log.open_segments_max = 1;
    node.settings = settings;
    CHECK(node.live([](Life& life) -> Result<> {
                  Log& log = *TRY(life.log(1));
                  log.set_committed(log.end());
                  CHECK(TRY(unreadable(log)) == std::vector<std::int64_t>{3}); // And closed again.
                  REQUIRE(log.damages().size() == 1);
                  const Damage damage = log.damages()[0];
                  std::optional<Result<>> mended;
                  Scope scope(life.env.fibers);
                  scope.spawn("mend",
                              [&] { mended = log.mend(entries(damage.first, damage.end)); });
                  log.trim({late_at(100), late_at(100).offset});
                  TRY(pass(life, 1s));
                  REQUIRE(mended);
                  if (!mended->ok())
                      CHECK((mended->error() == Error::not_found ||
                             mended->error() == Error::malformed ||
                             mended->error() == Error::unavailable));
                  CHECK(log.damages().empty());
                  CHECK(TRY(unreadable(log)).empty());
                  return {};
              })
              .ok());
}
