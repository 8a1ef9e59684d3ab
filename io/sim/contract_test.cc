#include "io/sim/world.h"

#include "core/env/contract.h"

#include <catch2/catch.hpp>

using namespace pyralog;

namespace {

// What a node may meet in a world where nothing is broken: bytes in odd pieces, small windows,
// clocks that are off, fibers in any order.
sim::Faults odd() {
    sim::Faults faults;
    faults.run_cost = {100ns, 5us, sim::never, 0us};
    faults.window_least = 1'000;
    faults.window_most = 100'000;
    faults.split_write = {300'000};
    faults.short_read = {300'000};
    faults.slow_disk = {50'000};
    faults.slow_disk_time = {1ms, 5ms, sim::never, 0us};
    faults.drift_ppm_most = 500;
    return faults;
}

struct Polite {
    static sim::Faults faults() { return {}; }
};
struct InOrder {
    static sim::Faults faults() {
        sim::Faults faults;
        faults.schedule = sim::Schedule::in_order;
        return faults;
    }
};
struct Odd {
    static sim::Faults faults() { return odd(); }
};

template <class Kind>
class Subject {
public:
    void run(const std::function<void(Environment&)>& node) {
        REQUIRE(world_.run_to_end(id, [&](Environment& env) { node(env); }).ok());
    }
    std::string host() { return "node1"; }

private:
    static constexpr NodeId id{1};
    sim::World world_{4711, Kind::faults()};
};

} // namespace

TEMPLATE_TEST_CASE("a simulated clock keeps its contract", "[sim]", Polite, InOrder, Odd) {
    contract::clock<Subject<TestType>>();
}
TEMPLATE_TEST_CASE("a simulated file keeps its contract", "[sim]", Polite, InOrder, Odd) {
    contract::file<Subject<TestType>>();
}
TEMPLATE_TEST_CASE("a simulated disk keeps its contract", "[sim]", Polite, InOrder, Odd) {
    contract::disk<Subject<TestType>>();
}
TEMPLATE_TEST_CASE("a simulated stream keeps its contract", "[sim]", Polite, InOrder, Odd) {
    contract::stream<Subject<TestType>>();
}
TEMPLATE_TEST_CASE("a simulated network keeps its contract", "[sim]", Polite, InOrder, Odd) {
    contract::network<Subject<TestType>>();
}
TEMPLATE_TEST_CASE("a simulated store keeps its contract", "[sim]", Polite, InOrder, Odd) {
    contract::kv_store<Subject<TestType>>();
}
TEMPLATE_TEST_CASE("a simulated node keeps its contract", "[sim]", Polite, InOrder, Odd) {
    contract::environment<Subject<TestType>>();
}
