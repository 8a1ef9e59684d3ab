// A vote that is told before it is durable can be given twice: the voter loses its power, forgets,
// and votes for somebody else in the same term. Power cuts of single voters, again and again while
// everybody is standing for election, are the worst for that (M01 in TESTING.md puts it back in).
#include "sim-tests/scenarios/stage.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::simtest;

TEST_CASE("no vote is forgotten in a power cut between elections", "[simtest][sim]") {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        sim::Faults faults;
        faults.sync_time = {1ms, 20ms, sim::never, 0us};
        Theatre stage(seed, 3, faults);
        REQUIRE(stage.make_topic());
        REQUIRE(stage.store());
        sim::Dice dice = stage.world.dice("scenario");
        for (int i = 0; i < 40; ++i) {
            const NodeId node = stage.cluster.nodes()[dice.pick(3)];
            stage.world.cut_power(node);
            stage.world.run_for(dice.between(Duration(1ms), Duration(400ms)));
            stage.cluster.start(node);
            stage.world.run_for(dice.between(Duration(1ms), Duration(100ms)));
        }
        CHECK(stage.verdict() == "good");
    }
}
