#include "core/wire/segment.h"
#include "sim-tests/calm_cluster.h"

#include <algorithm>
#include <array>

#include <catch2/catch.hpp>

namespace pyralog::simtest {

namespace {

// Journal files and segments as small as can be, so that all of them are soon used again.
Plan small_files() {
    Plan plan = CalmCluster::calm_plan(5);
    std::vector<Setting> settings = settings_of(plan.config);
    const auto set = [&](std::string_view name, const char* value) {
        Setting* const setting = find_setting(settings, name);
        REQUIRE(setting != nullptr);
        REQUIRE(setting->set(value) == "");
    };
    set("journal.file_bytes", "65536");
    set("journal.journal_bytes_max", "524288");
    set("log.segment_bytes", "65536");
    set("log.segment_flush_bytes", "4096");
    plan.workload.producers = 3;
    return plan;
}

// Who looks for the first time reads everything from the beginning.
void check_as_read_at_once(CalmCluster& stage, NodeId node) {
    NodeMedia& followed = stage.media.at(node);
    NodeMedia at_once(stage.world.disk(node));
    const auto entries = at_once.all_entries();
    CHECK(followed.all_entries() == entries);
    for (const auto& [group, of_group] : entries)
        for (const auto& [index, entry] : of_group)
            if (entry.records > 0)
                CHECK(followed.has_batch(entry.first.offset.value, entry.batch_crc));
}

// A journal file of one round whose frames bear these numbers of rounds; the true one is 7.
Bytes journal_file(std::array<std::uint64_t, 2> rounds) {
    wire::JournalHeader header;
    header.number = header.oldest = 1;
    header.salt = 5;
    header.first_round = 7;
    header.bytes = 4 * wire::JournalHeader::size;
    Buffer file(header.bytes);
    std::ranges::fill(file.view(), std::byte{0});
    encode(header, file.view().first(wire::JournalHeader::size));
    const auto round = file.view().subspan(wire::JournalHeader::size);
    std::size_t at = wire::RoundHeader::size;
    for (std::size_t i = 0; i < rounds.size(); ++i) {
        wire::Frame frame;
        frame.kind = wire::Frame::Kind::term_start;
        frame.group = GroupId(1);
        frame.term = Term(1);
        frame.first.index = static_cast<std::int64_t>(i);
        frame.round = rounds[i];
        wire::encode_header(frame, round.subspan(at).first<wire::Frame::header_size>());
        at += wire::stored_size(frame);
    }
    encode(wire::RoundHeader{1, 7, header.salt, at - wire::RoundHeader::size, 2}, round);
    return std::move(file).freeze();
}

// And behind it a round that cuts the group's log at this index.
Bytes with_cut(const Bytes& journal, std::int64_t index) {
    const auto first = wire::decode_round_header(
        journal.view().subspan(wire::JournalHeader::size).first<wire::RoundHeader::size>());
    REQUIRE(first.has_value());
    Buffer file(journal.size());
    std::ranges::copy(journal.view(), file.view().begin());
    const auto round = file.view().subspan(wire::JournalHeader::size + first->stored_size());
    wire::Frame frame;
    frame.kind = wire::Frame::Kind::cut;
    frame.group = GroupId(1);
    frame.first.index = index;
    frame.round = first->round + 1;
    wire::encode_header(frame,
                        round.subspan(wire::RoundHeader::size).first<wire::Frame::header_size>());
    encode(wire::RoundHeader{1, frame.round, first->salt, wire::stored_size(frame), 1}, round);
    return std::move(file).freeze();
}

// The next file, which says that this round was the last of the one before.
Bytes successor(std::uint64_t after_round) {
    wire::JournalHeader header;
    header.number = 2;
    header.oldest = 1;
    header.salt = 6;
    header.after_round = after_round;
    header.first_round = after_round + 2;
    header.bytes = 4 * wire::JournalHeader::size;
    Buffer file(header.bytes);
    std::ranges::fill(file.view(), std::byte{0});
    encode(header, file.view().first(wire::JournalHeader::size));
    return std::move(file).freeze();
}

// How many entries there are on the medium when this is the journal.
std::size_t entries_in(const Bytes& journal) {
    const NodeId node(1);
    sim::World world(1);
    world.boot(node, [&](Environment& env) {
        CHECK(env.disk.create_directory("journal").ok());
        const auto file = env.disk.open("journal/1.log", Disk::Open::create_new);
        CHECK(file.value()->write_at(0, {journal}).ok());
        CHECK(file.value()->sync().ok());
        CHECK(env.disk.sync_directory("journal").ok());
        CHECK(env.disk.sync_directory("").ok());
    });
    world.run_for(1s);
    return NodeMedia(world.disk(node)).entries(GroupId(1)).size();
}

} // namespace

// A round over bytes of the file's last life, of which a power cut has kept the first part.
TEST_CASE("a torn round does not count, whatever good frames it is made of", "[simtest]") {
    CHECK(entries_in(journal_file({7, 7})) == 2);
    CHECK(entries_in(journal_file({7, 3})) == 0);
}

TEST_CASE("what is followed as it grows is what is there when it is read at once", "[simtest]") {
    CalmCluster stage(small_files());
    for (int turn = 0; turn < 40; ++turn) {
        CHECK(stage.run(200ms) == "good");
        const NodeId node(1 + turn % 3);
        if (turn % 4 == 3) {
            stage.world.cut_power(node);
            check_as_read_at_once(stage, node);
            stage.cluster.start(node);
        }
        for (const NodeId any : stage.cluster.nodes()) check_as_read_at_once(stage, any);
    }
    // A file that is used again is no reason to replay all others.
    for (const NodeId node : stage.cluster.nodes()) {
        CHECK(stage.media.at(node).lives() > 30);
        CHECK(stage.media.at(node).replays() <= 3);
    }
}

// Seed 901447: a failed sync had left all of an entry but its padding. The node took that for torn,
// wrote the entry to its next segment, and removed this one when it was trimmed.
TEST_CASE("what the end of one segment and the next one hold is there until both are gone",
          "[simtest]") {
    const NodeId node(1);
    const GroupId group(1);
    sim::World world(1);
    const auto path = [](std::int64_t first) {
        return "groups/1/" + std::string(19, '0') + std::to_string(first) + ".seg";
    };
    const auto on_node = [&](const std::function<void(Environment&)>& body) {
        world.boot(node, [&](Environment& env) {
            body(env);
            CHECK(env.disk.sync_directory("groups/1").ok());
        });
        world.run_for(1s);
    };
    on_node([&](Environment& env) {
        CHECK(env.disk.create_directory("groups").ok());
        CHECK(env.disk.create_directory("groups/1").ok());
        CHECK(env.disk.sync_directory("").ok());
        CHECK(env.disk.sync_directory("groups").ok());
        for (const std::int64_t first : {0, 2}) {
            BytesChain bytes{wire::encode(wire::SegmentHeader{group, {first, Offset(0)}})};
            for (std::int64_t index = first; index < first + 3; ++index) {
                wire::Frame frame;
                frame.kind = wire::Frame::Kind::term_start;
                frame.group = group;
                frame.term = Term(1);
                frame.first.index = index;
                bytes.push_back(wire::encode_header(frame));
            }
            const auto file = env.disk.open(path(first), Disk::Open::create_new);
            CHECK(file.value()->write_at(0, bytes, Durability::now).ok());
        }
    });
    NodeMedia media(world.disk(node));
    CHECK(media.entries(group).size() == 5);
    const bool is_first = GENERATE(true, false);
    on_node([&](Environment& env) { CHECK(env.disk.remove(path(is_first ? 0 : 2)).ok()); });
    CHECK(media.entries(group).size() == 3);
    CHECK(media.group(group).find(2));
    CHECK_FALSE(media.group(group).find(is_first ? 1 : 3));
    on_node([&](Environment& env) { CHECK(env.disk.remove(path(is_first ? 2 : 0)).ok()); });
    CHECK(media.entries(group).empty());
}

TEST_CASE("media tell of entries that have gone from them", "[simtest]") {
    CalmCluster stage;
    CHECK(stage.run(2s) == "good");
    const NodeId node(1);
    NodeMedia media(stage.world.disk(node));
    const auto before = media.all_entries();
    for (const auto& [group, entries] : before) {
        CHECK(media.take_kept(group) == 0);
        CHECK(media.take_kept(group) > entries.rbegin()->first);
    }
    // Without its files the journal has told of nothing, and only what is in segments stays.
    stage.world.set_observer({});
    stage.world.kill(node);
    stage.world.boot(node, [](Environment& env) {
        const auto names = env.disk.list("journal");
        for (const std::string& name : names.value()) (void)env.disk.remove("journal/" + name);
        CHECK(env.disk.sync_directory("journal").ok());
    });
    stage.world.run_for(1s);
    std::size_t gone = 0;
    for (const auto& [group, entries] : before) {
        const auto after = media.entries(group);
        const auto lost = std::ranges::find_if(
            entries, [&](const auto& entry) { return !after.contains(entry.first); });
        const std::int64_t kept = media.take_kept(group);
        if (lost == entries.end())
            CHECK(kept > entries.rbegin()->first);
        else
            CHECK(kept == lost->first);
        for (const auto& [index, entry] : entries)
            if (entry.records > 0)
                CHECK(media.has_batch(entry.first.offset.value, entry.batch_crc) ==
                      after.contains(index));
        gone += entries.size() - after.size();
    }
    CHECK(gone > 0);
}

// The round with the cut is in the page cache only when the process is killed, and the next start
// syncs it.
TEST_CASE("a cut that becomes durable after a kill overrules what was durable", "[simtest]") {
    const GroupId group(1);
    const NodeId node(1);
    sim::World world(1);
    const Bytes before = journal_file({7, 7});
    const auto write = [&](Environment& env, std::string_view name, const Bytes& bytes, bool sync) {
        const std::string path = "journal/" + std::string(name);
        auto file = env.disk.open(path, Disk::Open::existing);
        if (!file.ok()) file = env.disk.open(path, Disk::Open::create_new);
        CHECK(file.value()->write_at(0, {bytes}).ok());
        if (!sync) return;
        CHECK(file.value()->sync().ok());
        CHECK(env.disk.sync_directory("journal").ok());
        CHECK(env.disk.sync_directory("").ok());
    };
    const auto live = [&](auto main) {
        world.boot(node, main);
        world.run_for(1s);
        world.kill(node);
    };
    live([&](Environment& env) {
        CHECK(env.disk.create_directory("journal").ok());
        write(env, "1.log", before, true);
    });
    NodeMedia media(world.disk(node));
    live([&](Environment& env) { write(env, "1.log", with_cut(before, 1), false); });
    const NodeMedia::Known known = media.known();
    CHECK(media.entries(group).size() == 2);

    live([&](Environment& env) { write(env, "1.log", with_cut(before, 1), true); });
    CHECK(media.entries(group).size() == 1);
    // The newest file is the recovery's own: what it says is nothing that it found.
    CHECK_FALSE(media.overruled(group, 1, known));

    live([&](Environment& env) { write(env, "2.log", successor(8), true); });
    CHECK(media.entries(group).size() == 1);
    CHECK(media.overruled(group, 1, known));
    CHECK_FALSE(media.overruled(group, 0, known));
    CHECK_FALSE(media.overruled(GroupId(2), 1, known));
    CHECK_FALSE(media.overruled(group, 1, media.known()));

    // A round that is dropped has overruled nothing.
    live([&](Environment& env) { write(env, "2.log", successor(7), true); });
    CHECK_FALSE(media.overruled(group, 1, known));
}

} // namespace pyralog::simtest
