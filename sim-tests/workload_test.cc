#include "sim-tests/workload.h"

#include <catch2/catch.hpp>

namespace pyralog::simtest {

TEST_CASE("a run's values are small once they have taken what they may", "[simtest]") {
    History history;
    WorkloadPlan plan;
    plan.sent_bytes_max = 1000;
    Workload workload(plan, history, {}, [] { return Duration(0); });
    CHECK(workload.room_for(600) == 600);
    CHECK(workload.room_for(600) == value_size_min);
    CHECK(workload.room_for(400) == 400);
    CHECK(workload.room_for(1) == value_size_min);
}

TEST_CASE("more nodes share what may lie on all disks", "[simtest]") {
    const WorkloadPlan one = draw_workload(Random(1), 1);
    const WorkloadPlan seven = draw_workload(Random(1), 7);
    CHECK(one.sent_bytes_max / 7 == seven.sent_bytes_max);
    CHECK(seven.sent_bytes_max > seven.value_bytes_max * 100);
}

} // namespace pyralog::simtest
