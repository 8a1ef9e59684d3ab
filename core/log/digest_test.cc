#include "core/log/digest.h"

#include "core/log/test_node.h"

#include <catch2/catch.hpp>

namespace pyralog {

namespace {

using log_test::Life;
using log_test::Settings;
using log_test::TestNode;

// What the disk of a node says that is not running.
std::vector<LogDigest> digest_of(TestNode& node) {
    std::vector<LogDigest> digests;
    node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
        digests = TRY(digest_logs(env, "journal"));
        return {};
    });
    CHECK(node.finish().ok());
    return digests;
}

Result<> write(Life& life, int entries, bool commit) {
    for (int i = 0; i < entries; ++i) {
        for (const int group : {1, 2}) TRY(life.append(group, Term(1), 700));
        TRY(life.journal.sync());
        if (commit)
            for (const int group : {1, 2}) {
                Log* const log = TRY(life.log(group));
                log->set_committed(log->end());
            }
    }
    return {};
}

} // namespace

TEST_CASE("a digest does not depend on what is in segments and what in the journal", "[log]") {
    TestNode moved(1), kept(2, Settings());
    REQUIRE(moved.live([](Life& life) { return write(life, 60, true); }).ok());
    REQUIRE(kept.live([](Life& life) { return write(life, 60, false); }).ok());
    const auto a = digest_of(moved), b = digest_of(kept);
    REQUIRE(a.size() == 2);
    REQUIRE(b.size() == 2);
    CHECK(a[0].segments_end.index > 0);
    CHECK(b[0].segments_end.index == 0);
    CHECK(a[0].entries == b[0].entries);
    CHECK(a[1].entries == b[1].entries);
    CHECK(a[0].entries != a[1].entries);
    CHECK(a[0].end().index == 60);
    CHECK(agreement(std::vector{a[0], b[0]}).end == a[0].end());
    CHECK_FALSE(agreement(std::vector{a[0], b[0]}).differs);
}

TEST_CASE("looking at a node's disk changes nothing on it", "[log]") {
    TestNode node;
    REQUIRE(node.live([](Life& life) { return write(life, 20, true); }).ok());
    const auto names = node.journal_files();
    const auto once = digest_of(node);
    CHECK(digest_of(node)[0].entries == once[0].entries);
    CHECK(node.journal_files() == names);
}

TEST_CASE("what was cut is not in the digest, and what took its place is", "[log]") {
    TestNode cut, straight(2);
    REQUIRE(cut.live([](Life& life) -> Result<> {
                   TRY(write(life, 5, false));
                   Log* const log = TRY(life.log(1));
                   const auto third = log->tail({}, 1_MiB)[3].first;
                   log->cut(third);
                   TRY(life.append(1, Term(2), 100));
                   return life.journal.sync();
               })
                .ok());
    REQUIRE(straight
                .live([](Life& life) -> Result<> {
                    TRY(write(life, 3, false));
                    TRY(life.append(1, Term(2), 100));
                    return life.journal.sync();
                })
                .ok());
    CHECK(digest_of(cut)[0].entries == digest_of(straight)[0].entries);
}

TEST_CASE("replicas agree up to the first entry that differs, or to the shortest's end", "[log]") {
    LogDigest a;
    for (int i = 1; i <= 9; ++i)
        a.entries.push_back({Term(1), {i, Offset(i)}, static_cast<std::uint32_t>(i * 7)});
    LogDigest shorter = a, other = a;
    shorter.entries.resize(6);
    for (std::size_t i = 4; i < 9; ++i) other.entries[i].sum += 1;

    CHECK(agreement(std::vector{a}).end.index == 9);
    CHECK(agreement(std::vector{a, shorter}).end.index == 6);
    CHECK_FALSE(agreement(std::vector{a, shorter}).differs);
    CHECK(agreement(std::vector{a, LogDigest()}).end.index == 0);

    const Agreement parted = agreement(std::vector{a, shorter, other});
    CHECK(parted.end.index == 4);
    CHECK(parted.chain ==
          agreement(std::vector{a, shorter,
                                LogDigest{{}, {}, {}, {a.entries.begin(), a.entries.begin() + 4}}})
              .chain);
    REQUIRE(parted.differs);
    CHECK(parted.differs->index == 4);
    CHECK_FALSE(parted.committed_differ);
    a.segments_end = {5, Offset(5)};
    CHECK(agreement(std::vector{a, shorter, other}).committed_differ);
}

TEST_CASE("replicas are compared from the latest of their starts on", "[log]") {
    LogDigest a;
    for (int i = 1; i <= 9; ++i)
        a.entries.push_back({Term(1), {i, Offset(i)}, static_cast<std::uint32_t>(i * 7)});
    LogDigest trimmed = a;
    trimmed.start = {{4, Offset(4)}, Term(1), Offset(4)};
    trimmed.entries.erase(trimmed.entries.begin(), trimmed.entries.begin() + 4);

    const Agreement both = agreement(std::vector{a, trimmed});
    CHECK(both.begin.index == 4);
    CHECK(both.end.index == 9);
    CHECK(both.chain == agreement(std::vector{trimmed}).chain);
    CHECK_FALSE(both.differs);

    trimmed.entries[2].sum += 1;
    REQUIRE(agreement(std::vector{a, trimmed}).differs);
    CHECK(agreement(std::vector{a, trimmed}).differs->index == 6);

    // It has yet to be told.
    a.entries.resize(3);
    CHECK_FALSE(agreement(std::vector{a, trimmed}).differs);
    // The same place, and another record in it.
    a.entries.resize(4);
    a.entries[3] = {Term(1), {4, Offset(5)}, 28};
    CHECK(agreement(std::vector{a, trimmed}).differs);
}

} // namespace pyralog
