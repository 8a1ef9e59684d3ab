#include "sim-tests/calm_cluster.h"

#include <algorithm>

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

} // namespace

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

} // namespace pyralog::simtest
