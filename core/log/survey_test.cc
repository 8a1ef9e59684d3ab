// What a look at a stopped node's disk tells: each kind of harm, by its file, its place and what
// follows from it. That recovery thinks the same is checked by the model test of a node's lives.
#include "core/log/survey.h"

#include "core/log/test_node.h"

#include <algorithm>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::log_test;

namespace {

bool opens(TestNode& node) {
    (void)node.live([](Life&) -> Result<> { return {}; });
    return node.opened.ok();
}

// Entries of two groups, in rounds of ten; those of the first are committed and moved.
TestNode::Script filled(int count) {
    return [=](Life& life) -> Result<> {
        for (int i = 0; i < count; ++i) {
            for (const int group : {1, 2}) TRY(life.append(group, Term(3), 500, 2));
            if (i % 10 == 9) TRY(life.journal.sync());
        }
        life.vote(2, Term(4), "somebody");
        TRY(life.journal.sync());
        Log& log = *TRY(life.log(1));
        log.set_committed(log.end());
        return life.writer.flush();
    };
}

std::string newest_segment(TestNode& node) {
    const auto names = node.disk().list("groups/1");
    REQUIRE(names);
    return "groups/1/" + names->back();
}

// The first finding of this file, which must be there.
Finding finding_in(const Survey& survey, std::string_view path) {
    const auto found = std::ranges::find(survey.findings, path, &Finding::path);
    REQUIRE(found != survey.findings.end());
    return *found;
}

} // namespace

TEST_CASE("a disk that is as it should be shows what it holds, and no damage", "[log]") {
    TestNode node;
    REQUIRE(node.live(filled(60)).ok());
    const Survey found = look(node);
    CHECK_FALSE(found.damaged());
    REQUIRE(found.groups.size() == 2);
    const SurveyedGroup& moved = found.groups.at(GroupId(1));
    CHECK(moved.entries == 60);
    CHECK(moved.records == 120);
    CHECK(moved.payload_bytes == 30'000);
    CHECK(moved.segments >= 1);
    CHECK(moved.segments_end == Position{60, Offset(120)});
    CHECK(moved.journal_entries == 0);
    const SurveyedGroup& kept = found.groups.at(GroupId(2));
    CHECK(kept.entries == 60);
    CHECK(kept.journal_entries == 60);
    CHECK(kept.end == Position{60, Offset(120)});
    CHECK(kept.last_term == Term(3));
    CHECK(kept.voted == Term(4));
}

TEST_CASE("a harmed payload in the journal is named with its entry", "[log]") {
    TestNode node;
    REQUIRE(node.live(filled(20)).ok());
    const std::string path = node.journal_files().front();
    // Into the payload of the first frame behind the first round, which holds the marks.
    std::optional<std::uint64_t> place;
    node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
        TRY(survey(env, "journal",
                   [&](std::string_view, std::uint64_t at, const wire::Frame& frame, bool intact) {
                       CHECK(intact);
                       if (frame.first.index == 7 && frame.group == GroupId(2)) place = at;
                   }));
        return {};
    });
    REQUIRE(node.finish().ok());
    REQUIRE(place);
    REQUIRE(node.disk().rot(path, *place + wire::Frame::header_size + 10, std::byte{4}));
    const Finding finding = finding_in(look(node), path);
    CHECK(finding.file_position == *place);
    CHECK(finding.group == GroupId(2));
    CHECK(finding.entry == Position{7, Offset(14)});
    CHECK(finding.term == Term(3));
    CHECK(finding.consequence == Consequence::unreadable);
    CHECK(look(node).findings.size() == 1);
    CHECK(opens(node));

    // Its header, now: which entry it was is no longer known, and what follows is still looked at.
    REQUIRE(node.disk().rot(path, *place + 30, std::byte{4}));
    const Finding header = finding_in(look(node), path);
    CHECK(header.file_position == *place);
    CHECK_FALSE(header.entry);
    CHECK(header.consequence == Consequence::refused);
    CHECK_FALSE(opens(node));
}

TEST_CASE("a journal file that is missing, harmed at its head, or another's is named", "[log]") {
    TestNode node;
    REQUIRE(node.live(filled(150)).ok());
    const auto files = node.journal_files();
    REQUIRE(files.size() >= 3);
    SECTION("missing") {
        node.world.boot(TestNode::id, [&](Environment& env) { return env.disk.remove(files[1]); });
        REQUIRE(node.finish().ok());
        CHECK(finding_in(look(node), files[1]).what == "the file is missing");
    }
    SECTION("its header") {
        REQUIRE(node.disk().rot(files[1], 40, std::byte{1}));
        CHECK(finding_in(look(node), files[1]).what == "the header is bad");
    }
    SECTION("its first round") {
        REQUIRE(node.disk().rot(files[1], 4096 + 10, std::byte{1}));
        CHECK_FALSE(look(node).refused()); // It is told by its frames.
        REQUIRE(node.disk().rot(files[1], 4096 + 64 + 10, std::byte{1}));
        CHECK(finding_in(look(node), files[1]).what == "the first round of the file is bad");
    }
    SECTION("a sector") {
        REQUIRE(node.disk().make_unreadable(files[1], 8192));
        CHECK(look(node).refused());
    }
    CHECK(look(node).refused());
    CHECK_FALSE(opens(node));
}

TEST_CASE("a harmed frame in a sealed segment is named, and those behind it are read", "[log]") {
    TestNode node;
    REQUIRE(node.live(filled(150)).ok());
    const auto names = node.disk().list("groups/1");
    REQUIRE(names->size() >= 2);
    const std::string path = "groups/1/" + names->front();
    REQUIRE(node.disk().rot(path, 3000, std::byte{1}));
    Survey found = look(node);
    const Finding finding = finding_in(found, path);
    CHECK(finding.consequence == Consequence::unreadable);
    CHECK(finding.group == GroupId(1));
    CHECK(found.groups.at(GroupId(1)).end.index == 150);
    CHECK_FALSE(found.refused());
    CHECK(opens(node));

    // A header: behind it the next frame is looked for.
    REQUIRE(node.disk().rot(path, finding.file_position + 20, std::byte{1}));
    found = look(node);
    CHECK(finding_in(found, path).file_position == finding.file_position);
    CHECK(found.groups.at(GroupId(1)).end.index == 150);

    // The header of the segment is told by its footer, and that by nothing.
    REQUIRE(node.disk().rot(path, 10, std::byte{1}));
    CHECK_FALSE(look(node).refused());
    CHECK(opens(node));
    REQUIRE(node.disk().rot(path, node.disk().content(path)->size() - 20, std::byte{1}));
    CHECK(look(node).refused());
    CHECK_FALSE(opens(node));
}

TEST_CASE("a segment that has lost what the journal no longer has is told of", "[log]") {
    TestNode node;
    REQUIRE(node.live(filled(150)).ok());
    const std::string path = newest_segment(node);
    node.world.boot(TestNode::id, [&](Environment& env) { return env.disk.remove(path); });
    REQUIRE(node.finish().ok());
    const Survey found = look(node);
    CHECK(opens(node) == !found.refused());
}

// The scan of the growing segment read a window at a time, and gave up all of a window in which one
// sector could not be read: the node refused to start for entries that were there.
TEST_CASE("what stands before a sector that cannot be read is kept", "[log]") {
    TestNode node;
    const auto write = [](Life& life) -> Result<> {
        TRY(filled(20)(life));
        // The next journal file says how far the segment reaches by now.
        const std::uint64_t file = life.journal.file_number();
        while (life.journal.file_number() == file) {
            TRY(life.append(2, Term(3), 900));
            TRY(life.journal.sync());
        }
        return filled(10)(life);
    };
    REQUIRE(node.live(write).ok());
    const std::string path = newest_segment(node);
    REQUIRE(node.disk().make_unreadable(path, node.disk().content(path)->size() - 1));
    CHECK_FALSE(look(node).refused());
    CHECK(opens(node));
    CHECK(look(node).groups.at(GroupId(1)).entries == 30);
}

// It was taken for zeros, and that is what it had been: recovery refused what the survey called
// good.
TEST_CASE("what cannot be read is not good because zeros would be", "[log]") {
    TestNode node;
    const auto write = [](Life& life) -> Result<> {
        wire::Frame frame = Life::entry({}, 1, Term(3), 20'000);
        frame.payload = {Bytes::copy_of(std::string(20'000, '\0'))};
        TRY(life.log(1))->append(frame);
        TRY(life.journal.sync());
        return filled(10)(life);
    };
    REQUIRE(node.live(write).ok());
    const std::string path = "groups/1/" + node.disk().list("groups/1")->front();
    REQUIRE(node.disk().make_unreadable(path, 9'000));
    const Finding finding = finding_in(look(node), path);
    CHECK(finding.entry == Position());
    CHECK(finding.consequence == Consequence::unreadable);
}

TEST_CASE("files that are not ours are named, and are no damage", "[log]") {
    TestNode node;
    REQUIRE(node.live(filled(20)).ok());
    node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
        TRY(env.disk.open("journal/notes.txt", Disk::Open::create_new));
        return TRY(env.disk.open("groups/1/7.seg", Disk::Open::create_new))->resize(10);
    });
    REQUIRE(node.finish().ok());
    const Survey found = look(node);
    CHECK(finding_in(found, "journal/notes.txt").consequence == Consequence::none);
    CHECK(finding_in(found, "groups/1/7.seg").consequence == Consequence::none);
    CHECK_FALSE(found.damaged());
    CHECK(opens(node));
}
