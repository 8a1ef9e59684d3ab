// What the swarm draws, over many seeds: every mixture that it promises is there.
#include "sim-tests/swarm.h"

#include <catch2/catch.hpp>

#include <set>

namespace pyralog::simtest {

TEST_CASE("each pair of classes is in many runs, and each class in some alone", "[simtest]") {
    constexpr std::size_t classes = static_cast<std::size_t>(FaultClass::count_);
    constexpr std::uint64_t seeds = 3000;
    std::array<std::array<int, classes>, classes> pairs{};
    std::array<int, classes> alone{};
    std::uint64_t singles = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        const Plan plan = draw_plan(seed);
        std::vector<std::size_t> on;
        for (std::size_t i = 0; i < classes; ++i)
            if (plan.classes[i]) on.push_back(i);
        for (const std::size_t a : on)
            for (const std::size_t b : on) ++pairs[a][b];
        if (on.size() != 1) continue;
        ++alone[on.front()];
        ++singles;
    }
    for (std::size_t a = 0; a < classes; ++a) {
        INFO(to_string(static_cast<FaultClass>(a)));
        CHECK(alone[a] > 0);
        for (std::size_t b = 0; b < classes; ++b) {
            INFO(to_string(static_cast<FaultClass>(b)));
            CHECK(pairs[a][b] > static_cast<int>(seeds / 10));
        }
    }
    CHECK(singles > seeds / 15);
    CHECK(singles < seeds / 6);
}

TEST_CASE("clusters are of all sizes, topics of one to 64 partitions, runs short and long",
          "[simtest]") {
    std::set<int> nodes;
    std::set<std::int16_t> copies;
    std::int32_t partitions_most = 0;
    int large = 0, shortest = 0, longest = 0;
    constexpr int seeds = 3000;
    for (int seed = 1; seed <= seeds; ++seed) {
        const Plan plan = draw_plan(static_cast<std::uint64_t>(seed));
        nodes.insert(plan.nodes);
        std::int32_t partitions = 0;
        for (const TopicPlan& topic : plan.workload.topics) {
            copies.insert(topic.replication);
            partitions = std::max(partitions, topic.partitions);
        }
        partitions_most = std::max(partitions_most, partitions);
        large += partitions > 3 ? 1 : 0;
        shortest += plan.length <= 5s ? 1 : 0;
        longest += plan.length > 30s ? 1 : 0;
        CHECK(plan.length <= 60s);
    }
    CHECK(nodes == std::set{1, 2, 3, 4, 5, 6, 7});
    for (std::int16_t n = 1; n <= 5; ++n) CHECK(copies.contains(n));
    CHECK(partitions_most > 48);
    CHECK(partitions_most <= 64);
    CHECK((large > seeds / 50 && large < seeds / 10));
    CHECK(shortest > seeds / 8);
    CHECK(longest > seeds / 10);
}

} // namespace pyralog::simtest
