#include "io/sim/rocksdb/engine.h"
#include "io/sim/rocksdb/hooks.h"

#include "core/env/contract.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using Batch = KvStore::Batch;

namespace {

constexpr NodeId engine_node{1};

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
struct Slow {
    static sim::Faults faults() {
        sim::Faults faults;
        faults.run_cost = {100ns, 5us, sim::never, 0us};
        faults.slow_disk = {50'000};
        faults.slow_disk_time = {1ms, 5ms, sim::never, 0us};
        return faults;
    }
};

template <class Kind>
class Subject {
public:
    Subject() { world_.use_store(sim::make_engine); }
    void run(const std::function<void(Environment&)>& node) {
        REQUIRE(world_.run_to_end(engine_node, [&](Environment& env) { node(env); }).ok());
    }
    std::string host() { return "node1"; }

private:
    sim::World world_{4711, Kind::faults()};
};

} // namespace

TEMPLATE_TEST_CASE("the simulated engine keeps its contract", "[rocksdb]", Polite, InOrder, Slow) {
    contract::kv_store<Subject<TestType>>();
}
