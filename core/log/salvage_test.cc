// What is saved of a disk that recovery refuses: exactly what was foretold, and nothing is deleted.
#include "core/log/salvage.h"

#include "core/log/test_node.h"

#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::log_test;

namespace {

constexpr int salvage_entries = 150;
constexpr int salvage_records = 2;

// Entries of two groups, in rounds of ten; those of the first are committed and moved, as far as
// `moved`. Those of the second stay in the journal.
TestNode::Script two_groups(int moved) {
    return [=](Life& life) -> Result<> {
        for (int i = 0; i < salvage_entries; ++i) {
            for (const int group : {1, 2}) TRY(life.append(group, Term(3), 500, salvage_records));
            if (i % 10 == 9) TRY(life.journal.sync());
            if (i + 1 == moved) {
                Log& log = *TRY(life.log(1));
                log.set_committed(log.end());
                TRY(life.writer.flush());
            }
        }
        life.vote(2, Term(4), "somebody");
        return life.journal.sync();
    };
}

// The journal has nothing of it any more that is in segments.
TestNode::Script two_groups_in_segments() {
    return [](Life& life) -> Result<> {
        TRY(two_groups(salvage_entries)(life));
        const std::uint64_t file = life.journal.file_number();
        while (life.journal.file_number() < file + 3) {
            Log& log = *TRY(life.log(2));
            for (int i = 0; i < 8; ++i) TRY(life.append(2, Term(3), 500, salvage_records));
            TRY(life.journal.sync());
            log.set_committed(log.end());
            TRY(life.writer.flush());
        }
        life.vote(2, Term(4), "somebody");
        return life.journal.sync();
    };
}

SalvageFacts facts_of(const TestNode& node) {
    SalvageFacts facts;
    facts.identity = node.settings.identity;
    facts.groups = {GroupId(1), GroupId(2)};
    return facts;
}

using FilesOnDisk = std::map<std::string, std::string>;

void read_tree(TestNode& node, const std::string& directory, FilesOnDisk& files) {
    const auto names = node.disk().list(directory);
    if (!names) return;
    for (const std::string& name : *names) {
        const std::string path = directory.empty() ? name : directory + '/' + name;
        const auto content = node.disk().content(path);
        if (content) files[path] = std::string(content->text());
        if (!content) read_tree(node, path, files);
    }
}

FilesOnDisk files_on_disk(TestNode& node) {
    FilesOnDisk files;
    for (const char* const directory : {"journal", "groups", "set-aside", "journal.repaired"})
        read_tree(node, directory, files);
    return files;
}

Salvage planned(TestNode& node, const SalvageFacts& facts) {
    Salvage salvage;
    const FilesOnDisk before = files_on_disk(node);
    node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
        salvage = TRY(plan_salvage(env, facts));
        return {};
    });
    REQUIRE(node.finish().ok());
    CHECK((files_on_disk(node) == before)); // It only looks.
    return salvage;
}

void do_salvage(TestNode& node, const Salvage& salvage) {
    std::vector<std::string> files;
    for (const SalvagedLog& log : salvage.logs)
        files.insert(files.end(), log.set_aside.begin(), log.set_aside.end());
    node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
        TRY(write_salvaged_journal(env, salvage, node.settings.journal, node.settings.identity));
        TRY(take_salvaged_journal(env, files));
        return {};
    });
    REQUIRE(node.finish().ok());
}

bool starts_well(TestNode& node) {
    (void)node.live([](Life&) -> Result<> { return {}; });
    return node.opened.ok();
}

// It opens, and holds what was foretold: each entry as it was written; and it can be written to.
void check_holds(TestNode& node, const Salvage& salvage) {
    const auto read = [&](Life& life) -> Result<> {
        for (const SalvagedLog& said : salvage.logs) {
            Log& log = *TRY(life.log(static_cast<int>(said.group.value)));
            CHECK(log.end() == said.end);
            CHECK(log.log_start() == said.start);
            Position at = log.start();
            while (at < log.end()) {
                const auto frames = TRY(log.read_frames(at, log.end(), 64_KiB));
                for (const wire::Frame& frame : frames) {
                    const auto wanted = Life::entry(frame.first, static_cast<int>(said.group.value),
                                                    Term(3), 500, salvage_records);
                    CHECK(joined(frame.payload).text() == joined(wanted.payload).text());
                    at = frame.end();
                }
            }
            if (said.group == GroupId(2)) CHECK(life.voted(2) == Term(4));
            TRY(life.append(static_cast<int>(said.group.value), Term(5), 500, salvage_records));
        }
        return life.journal.sync();
    };
    CHECK(node.live(read).ok());
    CHECK(node.opened.ok());
    CHECK(starts_well(node));
}

// Every byte that was there is there, perhaps elsewhere.
void check_nothing_is_deleted(TestNode& node, const FilesOnDisk& before) {
    std::set<std::string> contents;
    for (const auto& [path, content] : files_on_disk(node)) contents.insert(content);
    for (const auto& [path, content] : before) {
        INFO(path);
        CHECK(contents.contains(content));
    }
}

const SalvagedLog& log_of(const Salvage& salvage, int group) {
    return salvage.logs.at(static_cast<std::size_t>(group) - 1);
}

// Repairs it, and checks that it is as it was said.
void check_repaired(TestNode& node, const SalvageFacts& facts, const Salvage& salvage) {
    CHECK(salvage.is_needed);
    const FilesOnDisk before = files_on_disk(node);
    do_salvage(node, salvage);
    check_nothing_is_deleted(node, before);
    SalvageFacts later = facts;
    later.newest_journal = 0;
    const Salvage again = planned(node, later);
    CHECK_FALSE(again.is_needed);
    CHECK_FALSE(again.loses());
    check_holds(node, salvage);
}

// Where this entry of group 2 stands in the journal first.
std::pair<std::string, std::uint64_t> place_of(TestNode& node, std::int64_t index) {
    std::pair<std::string, std::uint64_t> place;
    node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
        return visit_journal(
            env, "journal",
            [&](std::string_view path, std::uint64_t at, const wire::Frame& frame, bool) {
                if (frame.is_entry() && frame.group == GroupId(2) && frame.first.index == index &&
                    place.first.empty())
                    place = {std::string(path), at};
            });
    });
    REQUIRE(node.finish().ok());
    REQUIRE(!place.first.empty());
    return place;
}

} // namespace

TEST_CASE("of a disk that is as it should be nothing is lost", "[log]") {
    TestNode node;
    REQUIRE(node.live(two_groups(100)).ok());
    const Salvage salvage = planned(node, facts_of(node));
    CHECK_FALSE(salvage.is_needed);
    CHECK_FALSE(salvage.loses());
    CHECK(log_of(salvage, 2).end ==
          Position{salvage_entries, Offset(salvage_entries * salvage_records)});
}

TEST_CASE("of a journal that has lost a round all before it is saved", "[log]") {
    TestNode node;
    REQUIRE(node.live(two_groups(100)).ok());
    // Both groups have entries in that round, and those of the first are in segments, or are not.
    const int lost = GENERATE(45, 125);
    const auto [path, position] = place_of(node, lost);
    REQUIRE(node.disk().rot(path, position + 30, std::byte{1}));
    CHECK_FALSE(starts_well(node));
    const SalvageFacts facts = facts_of(node);
    const Salvage salvage = planned(node, facts);
    CHECK(salvage.loses());

    const SalvagedLog& second = log_of(salvage, 2);
    CHECK(second.end == Position{lost, Offset(lost * salvage_records)});
    REQUIRE(second.lost.size() == 2);
    CHECK_FALSE(second.lost[0].is_intact);
    CHECK(second.lost[0].from == second.end);
    CHECK(second.lost[1].is_intact);
    CHECK(second.lost[1].from == second.lost[0].to);
    CHECK(second.lost[1].to ==
          Position{salvage_entries, Offset(salvage_entries * salvage_records)});
    REQUIRE(!second.why.empty());
    CHECK(second.why.front().path == path);

    const SalvagedLog& first = log_of(salvage, 1);
    CHECK(first.segments_end.index == 100);
    if (lost < 100) CHECK(first.end.index == salvage_entries);
    if (lost < 100) CHECK(first.lost.empty());
    if (lost > 100) CHECK((first.end.index >= lost && first.end.index <= lost + 1));
    check_repaired(node, facts, salvage);
}

TEST_CASE("of a log that has lost a segment all before that is saved", "[log]") {
    TestNode node;
    REQUIRE(node.live(two_groups_in_segments()).ok());
    const auto names = node.disk().list("groups/1").value();
    REQUIRE(names.size() >= 3);
    const std::size_t lost = GENERATE(0u, 1u);
    const auto first_of = [&](std::size_t i) { return std::stoll(names[i]); };
    with_disk(node, [&](Disk& disk) { return disk.remove("groups/1/" + names[lost]); });
    CHECK_FALSE(starts_well(node));
    const SalvageFacts facts = facts_of(node);
    const Salvage salvage = planned(node, facts);
    const SalvagedLog& log = log_of(salvage, 1);
    CHECK(log_of(salvage, 2).lost.empty());
    REQUIRE(!log.lost.empty());
    CHECK_FALSE(log.lost[0].is_intact);
    // The journal still has some of it.
    CHECK(log.lost[0].to->index <= first_of(lost + 1));
    if (lost == 0) {
        CHECK(log.start.first == *log.lost[0].to);
        CHECK(log.end.index == salvage_entries);
        CHECK(log.lost.size() == 1);
    } else {
        CHECK(log.start == LogStart());
        CHECK(log.end.index == first_of(1));
        CHECK(log.lost.back().is_intact);
        CHECK(log.lost.back().to->index == salvage_entries);
        CHECK(log.set_aside.size() >= 1);
    }
    check_repaired(node, facts, salvage);
}

TEST_CASE("what the newest journal file had is lost, and nobody knows how much", "[log]") {
    TestNode node;
    REQUIRE(node.live(two_groups(100)).ok());
    const auto files = node.journal_files();
    REQUIRE(files.size() >= 3);
    SalvageFacts facts = facts_of(node);
    facts.newest_journal = static_cast<std::uint64_t>(std::stoll(files.back().substr(8)));
    std::int64_t end = 0; // Of what is in the other files.
    node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
        return visit_journal(
            env, "journal",
            [&](std::string_view path, std::uint64_t, const wire::Frame& frame, bool) {
                if (path != files.back() && frame.is_entry() && frame.group == GroupId(2))
                    end = std::max(end, frame.end().index);
            });
    });
    REQUIRE(node.finish().ok());
    const bool is_missing = GENERATE(true, false);
    if (is_missing)
        with_disk(node, [&](Disk& disk) { return disk.remove(files.back()); });
    else
        REQUIRE(node.disk().rot(files.back(), 40, std::byte{1}));
    const Salvage salvage = planned(node, facts);
    const SalvagedLog& log = log_of(salvage, 2);
    CHECK(log.end.index == end);
    CHECK(end > 50);
    CHECK(end < salvage_entries);
    REQUIRE(log.lost.size() == 1);
    CHECK(log.lost[0].from == log.end);
    CHECK_FALSE(log.lost[0].to);
    CHECK(log.why.front().path == files.back());
    // Its last vote was there: the entries tell of their term.
    CHECK(log.term == Term(3));
    const FilesOnDisk before = files_on_disk(node);
    do_salvage(node, salvage);
    check_nothing_is_deleted(node, before);
    facts.newest_journal = 0;
    CHECK_FALSE(planned(node, facts).is_needed);
    CHECK(node.live([&](Life& life) -> Result<> {
                  CHECK(TRY(life.log(2))->end().index == end);
                  CHECK(life.voted(2) == Term(3));
                  return {};
              })
              .ok());
}

TEST_CASE("a segment that has lost its end is set aside, and what is good of it kept", "[log]") {
    TestNode node;
    REQUIRE(node.live(two_groups_in_segments()).ok());
    const std::string path = "groups/1/" + node.disk().list("groups/1")->back();
    REQUIRE(node.disk().rot(path, 4096 + 600, std::byte{1}));
    CHECK_FALSE(starts_well(node));
    const SalvageFacts facts = facts_of(node);
    const Salvage salvage = planned(node, facts);
    const SalvagedLog& log = log_of(salvage, 1);
    CHECK((log.set_aside == std::vector{path}));
    CHECK(log.segments_end.index == std::stoll(path.substr(9)));
    CHECK(log.end.index > log.segments_end.index);
    REQUIRE(log.lost.size() == 1);
    CHECK(log.lost[0].to == Position{salvage_entries, Offset(salvage_entries * salvage_records)});
    const FilesOnDisk before = files_on_disk(node);
    do_salvage(node, salvage);
    check_nothing_is_deleted(node, before);
    CHECK(node.live([&](Life& life) -> Result<> {
                  const Log& opened = *TRY(life.log(1));
                  CHECK(opened.end() == log.end);
                  return {};
              })
              .ok());
    CHECK(node.opened.ok());
}

TEST_CASE("a repair that was interrupted is finished by the next one", "[log]") {
    TestNode node;
    REQUIRE(node.live(two_groups_in_segments()).ok());
    const auto names = node.disk().list("groups/1").value();
    with_disk(node, [&](Disk& disk) { return disk.remove("groups/1/" + names[1]); });
    const SalvageFacts facts = facts_of(node);
    const Salvage salvage = planned(node, facts);
    std::vector<std::string> files;
    for (const SalvagedLog& log : salvage.logs)
        files.insert(files.end(), log.set_aside.begin(), log.set_aside.end());
    node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
        return write_salvaged_journal(env, salvage, node.settings.journal, node.settings.identity);
    });
    REQUIRE(node.finish().ok());
    // With a power cut after every step.
    int attempts = 0;
    for (bool done = false; !done; ++attempts) {
        REQUIRE(attempts < 200);
        node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
            return TRY(take_salvaged_journal(env, files)), Result<>();
        });
        for (int i = 0; i < 6 + attempts && node.world.running(TestNode::id); ++i)
            node.world.step();
        done = !node.world.running(TestNode::id);
        if (!done) node.cut_power();
    }
    CHECK(attempts > 3);
    check_holds(node, salvage);
}
