#include "core/log/read_ahead.h"

#include "core/log/test_node.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::log_test;

namespace {

constexpr std::size_t cold_bytes = 30'000;

// All of it on the disk, nothing of it in memory.
Settings cold() {
    Settings settings;
    settings.journal.file_bytes = 1_MiB;
    settings.journal.journal_bytes_max = 64_MiB;
    settings.log.segment_bytes = 64_MiB;
    settings.log.cache_bytes = 0;
    settings.log.node_cache_bytes = 0;
    return settings;
}

Result<Log*> filled(Life& life, int number, int entries) {
    Log* const log = TRY(life.log(number));
    for (int i = 0; i < entries; ++i) {
        TRY(life.append(number, Term(1), cold_bytes));
        if (i % 20 == 19) TRY(life.journal.sync());
    }
    log->set_committed(log->end());
    TRY(life.writer.flush());
    return log;
}

// Are these the batches from there on?
bool is_right(const BytesChain& batches, int number, Offset from) {
    std::string expected;
    for (std::size_t at = 0; at < size_of(batches); at += cold_bytes, from = from + 1) {
        const Position place{from.value, from};
        expected += joined(Life::entry(place, number, Term(1), cold_bytes).payload).text();
    }
    return joined(batches).text() == expected;
}

struct Read {
    std::int64_t batches = 0;
    Duration took{};
};

// How many batches there were, and how long it took.
Result<Read> read(Life& life, Log& log, Offset from, std::size_t bytes_max) {
    const Time began = life.env.clock.now();
    const BytesChain found = TRY(log.read(from, log.end().offset, bytes_max));
    if (!is_right(found, log.group().value, from)) return Error::malformed;
    return Read{static_cast<std::int64_t>(size_of(found) / cold_bytes),
                life.env.clock.now() - began};
}

// The same again and again, with a pause after each.
Result<std::vector<Read>> read_all(Life& life, Log& log, std::size_t bytes_max,
                                   Duration pause = 20ms) {
    std::vector<Read> reads;
    for (Offset at = log.log_start().offset; at < log.end().offset;) {
        reads.push_back(TRY(read(life, log, at, bytes_max)));
        at = at + reads.back().batches;
        TRY(life.env.fibers.sleep_until(life.env.clock.now() + pause));
    }
    return reads;
}

std::uint64_t total(Life& life, const std::string& what) {
    return life.env.metrics.total("pyralog_read_ahead_" + what + "_total");
}

} // namespace

TEST_CASE("who reads a log in order finds what is next in memory", "[log]") {
    TestNode node(1, cold());
    CHECK(node.live([](Life& life) -> Result<> {
                  Log& log = *TRY(filled(life, 1, 60));
                  const std::vector<Read> reads = TRY(read_all(life, log, 4 * cold_bytes));
                  CHECK(reads.size() == 15);
                  CHECK(reads[0].took > Duration(0));
                  for (std::size_t i = 2; i < reads.size(); ++i) {
                      INFO(i);
                      CHECK(reads[i].batches == 4);
                      CHECK(reads[i].took == Duration(0));
                  }
                  CHECK(total(life, "bytes") <= 60 * (cold_bytes + 100));
                  CHECK(total(life, "used_bytes") >= 52 * cold_bytes);
                  CHECK(total(life, "wasted_bytes") == 0);
                  return {};
              })
              .ok());
}

TEST_CASE("who reads here and there is not read ahead for", "[log]") {
    TestNode node(1, cold());
    CHECK(node.live([](Life& life) -> Result<> {
                  Log& log = *TRY(filled(life, 1, 60));
                  for (const std::int64_t at : {7, 30, 12, 59, 0, 40, 20})
                      CHECK(TRY(read(life, log, Offset(at), 1)).batches == 1);
                  CHECK(total(life, "bytes") == 0);
                  CHECK(life.ahead.readers() == 7);
                  return {};
              })
              .ok());
}

TEST_CASE("with a limit of zero nothing is read ahead", "[log]") {
    Settings settings = cold();
    settings.log.node_read_ahead_bytes = 0;
    TestNode node(1, settings);
    CHECK(node.live([](Life& life) -> Result<> {
                  Log& log = *TRY(filled(life, 1, 40));
                  for (const Read& one : TRY(read_all(life, log, 4 * cold_bytes)))
                      CHECK(one.took > Duration(0));
                  CHECK(total(life, "bytes") == 0);
                  return {};
              })
              .ok());
}

TEST_CASE("entries for a follower that is far behind are read ahead", "[log]") {
    TestNode node(1, cold());
    CHECK(node.live([](Life& life) -> Result<> {
                  Log& log = *TRY(filled(life, 1, 60));
                  int in_time = 0;
                  for (Position at = log.start(); at != log.end();) {
                      const Time began = life.env.clock.now();
                      const auto frames = TRY(log.read_frames(at, log.end(), 3 * cold_bytes));
                      in_time += life.env.clock.now() == began ? 1 : 0;
                      CHECK(frames.size() == 3);
                      at = frames.back().end();
                      TRY(life.env.fibers.sleep_until(life.env.clock.now() + 20ms));
                  }
                  CHECK(in_time >= 17);
                  return {};
              })
              .ok());
}

TEST_CASE("batches that were read ahead are slices of what the disk gave", "[log]") {
    TestNode node(1, cold());
    CHECK(node.live([](Life& life) -> Result<> {
                  Log& log = *TRY(filled(life, 1, 60));
                  std::size_t batches = 0, neighbours = 0;
                  for (Offset at{0}; at < log.end().offset;) {
                      const BytesChain found = TRY(log.read(at, log.end().offset, 200'000));
                      for (std::size_t i = 1; i < found.size(); ++i)
                          neighbours +=
                              found[i].data() - found[i - 1].data() ==
                              static_cast<std::ptrdiff_t>(wire::stored_size(found[i - 1].size()));
                      batches += size_of(found) / cold_bytes;
                      at = at + static_cast<std::int64_t>(size_of(found) / cold_bytes);
                  }
                  CHECK(batches == 60);
                  // All but the first of each answer, and those that two reads of the disk share.
                  CHECK(neighbours >= 35);
                  return {};
              })
              .ok());
}

TEST_CASE("reading in order goes on from segment to segment", "[log]") {
    Settings settings = cold();
    settings.log.segment_bytes = 512_KiB;
    TestNode node(1, settings);
    CHECK(node.live([](Life& life) -> Result<> {
                  Log& log = *TRY(filled(life, 1, 100));
                  std::size_t waited = 0;
                  for (const Read& one : TRY(read_all(life, log, 3 * cold_bytes)))
                      waited += one.took > Duration(0) ? 1 : 0;
                  // The first two, and one in each of the segments behind.
                  CHECK(waited <= 2 + 6);
                  CHECK(life.ahead.readers() == 1);
                  return {};
              })
              .ok());
}

TEST_CASE("all that is read ahead stays within its limit", "[log]") {
    constexpr int groups = 8;
    Settings settings = cold();
    settings.log.node_read_ahead_bytes = 600'000;
    TestNode node(3, settings);
    std::size_t most = 0;
    node.boot([&](Life& life) -> Result<> {
        for (int group = 1; group <= groups; ++group) TRY(filled(life, group, 30));
        std::size_t right = 0;
        Scope scope(life.env.fibers);
        for (int group = 1; group <= groups; ++group)
            for (int reader = 0; reader < 2; ++reader)
                scope.spawn("reader", [&, group, reader] {
                    const auto reads =
                        read_all(life, *life.logs.at(GroupId(group)), 100'000, reader * 3ms);
                    right += reads.ok() ? 1 : 0;
                });
        scope.spawn("watch", [&] {
            while (right < 2 * groups) {
                most = std::max(most, life.ahead.bytes());
                if (!life.env.fibers.sleep_until(life.env.clock.now() + 50us).ok()) return;
            }
        });
        scope.join();
        CHECK(right == 2 * groups);
        CHECK(total(life, "used_bytes") > 0);
        return {};
    });
    CHECK(node.finish().ok());
    CHECK(most > 0);
    CHECK(most <= 600'000);
}

TEST_CASE("who is gone makes room for who comes", "[log]") {
    Settings settings = cold();
    settings.log.node_read_ahead_bytes = 500'000;
    TestNode node(1, settings);
    CHECK(node.live([](Life& life) -> Result<> {
                  Log& left = *TRY(filled(life, 1, 60));
                  Log& log = *TRY(filled(life, 2, 60));
                  for (const std::int64_t at : {0, 4, 8})
                      TRY(read(life, left, Offset(at), 4 * cold_bytes));
                  TRY(life.env.fibers.sleep_until(life.env.clock.now() + ReadAhead::kept_min));
                  const std::vector<Read> reads = TRY(read_all(life, log, 4 * cold_bytes));
                  CHECK(reads.back().took == Duration(0));
                  CHECK(total(life, "wasted_bytes") > 0);
                  return {};
              })
              .ok());
}

TEST_CASE("what nobody comes for is given back after a while", "[log]") {
    TestNode node(1, cold());
    CHECK(node.live([](Life& life) -> Result<> {
                  Log& log = *TRY(filled(life, 1, 60));
                  for (const std::int64_t at : {0, 4, 8})
                      TRY(read(life, log, Offset(at), 4 * cold_bytes));
                  TRY(life.env.fibers.sleep_until(life.env.clock.now() + 1s));
                  CHECK(life.ahead.bytes() > 0);
                  TRY(life.env.fibers.sleep_until(life.env.clock.now() + 2 * ReadAhead::kept_max));
                  CHECK(life.ahead.bytes() == 0);
                  CHECK(life.ahead.readers() == 0);
                  CHECK(total(life, "wasted_bytes") > 0);
                  return {};
              })
              .ok());
}

TEST_CASE("reading old records takes nothing from what logs keep of their ends", "[log]") {
    Settings settings = cold();
    settings.log.cache_bytes = 10 * cold_bytes;
    settings.log.node_cache_bytes = 10 * cold_bytes;
    TestNode node(1, settings);
    CHECK(node.live([](Life& life) -> Result<> {
                  Log& log = *TRY(filled(life, 1, 60));
                  const std::size_t held = life.budget.bytes();
                  const Position last{log.end().index - 8, {}};
                  CHECK(log.tail(last, 1_MiB).size() == 8);
                  TRY(read_all(life, log, 2 * cold_bytes));
                  CHECK(total(life, "used_bytes") > 0);
                  CHECK(life.budget.bytes() == held);
                  CHECK(log.tail(last, 1_MiB).size() == 8);
                  return {};
              })
              .ok());
}

TEST_CASE("a segment can be removed while it is read ahead", "[log]") {
    Settings settings = cold();
    settings.log.segment_bytes = 512_KiB;
    TestNode node(1, settings);
    for (const Duration pause : {0us, 30us, 100us, 300us, 1000us, 20'000us}) {
        CHECK(node.live([&](Life& life) -> Result<> {
                      Log& log = *TRY(filled(life, 1, 60));
                      const Offset start = log.log_start().offset;
                      for (const std::int64_t at : {0, 4, 8})
                          TRY(read(life, log, start + at, 4 * cold_bytes));
                      TRY(life.env.fibers.sleep_until(life.env.clock.now() + pause));
                      const Position end = log.end();
                      log.trim({{end.index - 5, end.offset + -5}, end.offset + -5});
                      TRY(life.env.fibers.sleep_until(life.env.clock.now() + 1s));
                      CHECK(life.ahead.bytes() == 0);
                      CHECK(!log.read(start + 12, end.offset, 1).ok());
                      CHECK(TRY(read(life, log, end.offset + -5, 1_MiB)).batches > 0);
                      return {};
                  })
                  .ok());
    }
}

TEST_CASE("who gives up while he waits leaves nothing behind", "[log]") {
    TestNode node(1, cold());
    CHECK(node.live([](Life& life) -> Result<> {
                  Log& log = *TRY(filled(life, 1, 60));
                  for (const std::int64_t at : {0, 4})
                      TRY(read(life, log, Offset(at), 4 * cold_bytes));
                  {
                      const Deadline now(life.env.fibers, life.env.clock.now() + 1us);
                      const auto late = log.read(Offset(8), log.end().offset, 4 * cold_bytes);
                      CHECK(late.error() == Error::timed_out);
                  }
                  TRY(life.env.fibers.sleep_until(life.env.clock.now() + 100ms));
                  CHECK(life.ahead.bytes() == 0);
                  CHECK(life.ahead.readers() == 0);
                  CHECK(TRY(read(life, log, Offset(8), 4 * cold_bytes)).batches == 4);
                  return {};
              })
              .ok());
}

TEST_CASE("what was read ahead from the wrong sector is read again", "[log]") {
    TestNode node(1, cold());
    CHECK(node.live([&](Life& life) -> Result<> {
                  Log& log = *TRY(filled(life, 1, 60));
                  TRY(read(life, log, Offset(0), 4 * cold_bytes));
                  // Behind what the next one asks for.
                  const std::string path = "groups/1/" + std::string(20, '0') + ".seg";
                  node.disk().misdirect_read(path, 10 * cold_bytes);
                  const std::uint64_t before = total(life, "bytes");
                  TRY(read(life, log, Offset(4), 4 * cold_bytes));
                  TRY(life.env.fibers.sleep_until(life.env.clock.now() + 20ms));
                  CHECK(total(life, "bytes") > before);
                  CHECK(TRY(read(life, log, Offset(8), 4 * cold_bytes)).batches == 4);
                  CHECK(log.damages().empty());
                  return {};
              })
              .ok());
}

TEST_CASE("whoever reads in whatever order reads what was written", "[log][model]") {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        INFO(seed);
        Settings settings = cold();
        settings.log.segment_bytes = 700'000;
        settings.log.node_read_ahead_bytes = seed % 3 == 0 ? 300'000 : 64_MiB;
        settings.log.read_ahead_bytes = seed % 2 == 0 ? 100'000 : 4_MiB;
        TestNode node(seed, settings);
        int done = 0;
        CHECK(
            node.live([&](Life& life) -> Result<> {
                    TRY(filled(life, 1, 80));
                    Scope scope(life.env.fibers);
                    for (int reader = 0; reader < 6; ++reader)
                        scope.spawn("reader", [&] {
                            Log& log = *life.logs.at(GroupId(1));
                            Offset at{0};
                            for (int i = 0; i < 60; ++i) {
                                if (life.env.random.chance(1, 10) || at >= log.end().offset)
                                    at = Offset(life.env.random.between(0, 79));
                                const auto bytes =
                                    static_cast<std::size_t>(life.env.random.between(1, 300'000));
                                const auto got = read(life, log, at, bytes);
                                if (!got.ok()) return;
                                at = at + got.value().batches;
                                const Duration pause = life.env.random.below(3) * 1ms;
                                if (!life.env.fibers.sleep_until(life.env.clock.now() + pause).ok())
                                    return;
                            }
                            ++done;
                        });
                    scope.join();
                    return {};
                })
                .ok());
        CHECK(done == 6);
    }
}
