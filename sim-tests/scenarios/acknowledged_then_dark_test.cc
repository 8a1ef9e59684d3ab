// An acknowledged record is on a majority of the disks at the moment when the client hears of it,
// so it does not matter what happens next: not to the leader, and not to everybody at once.
#include "sim-tests/scenarios/stage.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::simtest;

TEST_CASE("the leader's power goes as soon as it has acknowledged", "[simtest][sim]") {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        Theatre stage(seed);
        REQUIRE(stage.make_topic());
        for (int i = 0; i < 3; ++i) {
            REQUIRE(stage.store());
            const auto leader = stage.leader();
            REQUIRE(leader);
            stage.world.cut_power(*leader);
            REQUIRE(stage.store()); // Of the two that are left.
            stage.cluster.start(*leader);
        }
        CHECK(stage.verdict() == "good");
    }
}

TEST_CASE("all power goes as soon as a record has been acknowledged", "[simtest][sim]") {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        Theatre stage(seed);
        REQUIRE(stage.make_topic());
        for (int i = 0; i < 3; ++i) {
            REQUIRE(stage.store());
            stage.world.cut_power(stage.cluster.nodes());
            for (const NodeId node : stage.cluster.nodes()) stage.cluster.start(node);
        }
        CHECK(stage.verdict() == "good");
    }
}
