// How much faster than the clock a simulated cluster of three lives: with nothing to do, with
// clients, and as a test, which looks at every event and breaks things.
#include "bench/bench.h"
#include "sim-tests/cluster.h"
#include "sim-tests/run.h"
#include "sim-tests/workload.h"

#include <cstdio>

using namespace pyralog;

namespace {

constexpr std::uint64_t seeds = 12;
constexpr Duration settling = 5s; // Of the world's time, in which leaders are found.
constexpr Duration wall_time = 2s;

struct Pace {
    double seconds = 0; // Of the world's time, for each of ours.
    double steps = 0;
};

Pace pace_of(Duration simulated, std::uint64_t steps, Duration taken) {
    const auto ours = static_cast<double>(taken.count());
    return {static_cast<double>(simulated.count()) / ours, static_cast<double>(steps) * 1e9 / ours};
}

simtest::Plan three_nodes() {
    simtest::Plan plan;
    plan.seed = 1;
    plan.nodes = 3;
    plan.workload.topics = {{"load", 6, -1, false, false}};
    plan.workload.producers = 4;
    plan.workload.consumers = 2;
    return plan;
}

// Without anybody who checks.
Pace live(const simtest::Plan& plan, bool has_clients) {
    sim::World world(plan.seed, plan.faults);
    simtest::Cluster cluster(world, plan);
    simtest::History history;
    simtest::Workload workload(plan.workload, history, cluster.kafka_addresses(),
                               [&] { return world.now(); });
    const auto programs = workload.programs();
    for (const NodeId node : cluster.nodes()) {
        world.add_host(node, simtest::kafka_address_of(node).host);
        cluster.start(node);
    }
    if (has_clients)
        for (const auto& program : programs) world.boot(program.node, program.main);
    world.run_for(settling);

    const Duration start = bench::now();
    const Duration began = world.now();
    const std::uint64_t steps = world.steps();
    while (bench::now() - start < wall_time) world.run_for(1s);
    const Pace pace = pace_of(world.now() - began, world.steps() - steps, bench::now() - start);
    for (const NodeId node : world.nodes()) world.kill(node);
    return pace;
}

// As `pyralog-sim sweep` runs them, in one process. A run that fails ends early, so it is told.
Pace test(int& failed) {
    Duration simulated{};
    std::uint64_t steps = 0;
    const Duration start = bench::now();
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        const simtest::RunResult result = simtest::run_seed(seed);
        if (result.verdict != simtest::Verdict::pass) ++failed;
        simulated += result.time;
        steps += result.event;
    }
    return pace_of(simulated, steps, bench::now() - start);
}

void print(bench::Table& table, const std::string& what, const Pace& pace) {
    table.row({what, bench::figure(pace.seconds), bench::figure(pace.steps)});
}

} // namespace

int main() {
    bench::print_heading("sim");
    bench::Table table({"simulated cluster", "seconds/s", "events/s"});
    print(table, "three nodes, idle", live(three_nodes(), false));
    print(table, "three nodes, 4 producers and 2 consumers", live(three_nodes(), true));
    int failed = 0;
    print(table, "seeds 1 to " + std::to_string(seeds) + ", with faults and checkers",
          test(failed));
    table.print();
    if (failed > 0) std::printf("%d of these seeds do not pass\n", failed);
}
