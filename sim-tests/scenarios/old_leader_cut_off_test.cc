// A leader that is cut off takes records, and cannot have them stored. Its successor's records
// stand; what the old one had taken is overruled when it comes back, and nobody was told otherwise.
#include "sim-tests/scenarios/stage.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::simtest;

TEST_CASE("what a leader takes while it is cut off from its peers is overruled", "[simtest][sim]") {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        Theatre stage(seed);
        REQUIRE(stage.make_topic());
        REQUIRE(stage.store());
        const auto old = stage.leader();
        REQUIRE(old);
        const std::vector<NodeId> others = stage.others(*old);
        stage.world.network().isolate(*old, others);
        // The client still reaches all: it may ask the old leader first, which only promises its
        // own disk, and then finds the new one.
        REQUIRE(stage.store(Acks::leader));
        REQUIRE(stage.store());
        CHECK(stage.leader() != old);
        stage.world.network().heal_all();
        REQUIRE(stage.store());
        CHECK(stage.verdict() == "good");
    }
}

TEST_CASE("a leader that is heard and hears nobody makes way", "[simtest][sim]") {
    Theatre stage(1);
    REQUIRE(stage.make_topic());
    REQUIRE(stage.store());
    const auto deaf = stage.leader();
    REQUIRE(deaf);
    const std::vector<NodeId> one{*deaf};
    const std::vector<NodeId> others = stage.others(*deaf);
    stage.world.network().one_way(others, one);
    REQUIRE(stage.store(Acks::all, 30s));
    CHECK(stage.leader() != deaf);
    stage.world.network().heal_all();
    CHECK(stage.verdict() == "good");
}
