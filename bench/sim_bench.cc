// What a simulated cluster costs, against the goals it has to meet: how much faster than the clock
// it lives, with nothing to do and under load, with all oracles watching; what they take of that;
// what one request is made of; what a seed of the swarm takes; and how much memory all this needs.
//
// Time is that of the processor, not of the clock, so that others on the machine disturb less.
// Everything is measured in processes of their own: memory that one run has used is not there for
// the next, and a run that crashes is one figure less and not the end.
#include "bench/bench.h"
#include "sim-tests/cluster.h"
#include "sim-tests/run.h"
#include "sim-tests/workload.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <malloc.h>
#include <new>
#include <string>
#include <sys/wait.h>
#include <time.h>
#include <type_traits>
#include <unistd.h>
#include <vector>

using namespace pyralog;

// ---- Allocations: counted where somebody wants to know, at little cost where nobody does ----

namespace {

struct Heap {
    bool counts = false;
    std::uint64_t allocations = 0;
    std::uint64_t bytes = 0;
};
Heap heap; // NOLINT: operator new has no other place to look.

void* allocate(std::size_t size, std::size_t alignment) {
    void* const memory =
        alignment > alignof(std::max_align_t)
            ? std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment)
            : std::malloc(size);
    if (memory == nullptr) std::abort();
    if (heap.counts) {
        ++heap.allocations;
        heap.bytes += size;
    }
    return memory;
}

} // namespace

void* operator new(std::size_t size) { return allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

constexpr int runs = 5;
constexpr std::uint64_t swarm_seeds = 200;
constexpr std::uint64_t first_swarm_seed = 1'000'000; // None that anybody has tuned anything by.
constexpr Duration idle_time = 600s;                  // Of the world's time.
constexpr Duration busy_time = 60s;
constexpr double mebibyte = 1024.0 * 1024.0;

double seconds(Duration duration) { return static_cast<double>(duration.count()) / 1e9; }

Duration cpu_now() {
    timespec time{};
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// A line of /proc/self/status: VmRSS, or VmHWM, the most it ever was.
double status_bytes(const std::string& name) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(name + ':')) return std::stod(line.substr(name.size() + 1)) * 1024;
    return 0;
}

// What `body` returns, from a process of its own. False: it has crashed.
template <class Answer, class Body>
bool apart(Answer& answer, Body body) {
    static_assert(std::is_trivially_copyable_v<Answer>);
    int ends[2];
    CHECK(pipe(ends) == 0);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        answer = body();
        const bool told = write(ends[1], &answer, sizeof answer) == sizeof answer;
        _exit(told ? 0 : 1);
    }
    close(ends[1]);
    const bool heard = read(ends[0], &answer, sizeof answer) == sizeof answer;
    close(ends[0]);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return heard && status == 0;
}

template <class Measure>
double median(Measure measure) {
    std::vector<double> all;
    for (int run = 0; run < runs; ++run) all.push_back(measure());
    std::ranges::sort(all);
    return all[all.size() / 2];
}

// ---- One cluster ----

// Three nodes and four partitions, and no faults. With clients: about a hundred requests a second,
// one in ten of which reads.
simtest::Plan three_nodes(Duration length, bool has_clients, bool has_default_files = false) {
    simtest::Plan plan;
    plan.seed = 1;
    plan.nodes = 3;
    plan.length = length;
    plan.workload.topics = {{"load", 4, -1, false, false}};
    plan.workload.producers = has_clients ? 4 : 0;
    plan.workload.consumers = has_clients ? 2 : 0;
    plan.workload.think_time = 56ms;
    plan.workload.pipelined_percent = 0;
    // Files like those of the swarm's larger draws: they roll and are used again, where default
    // ones would only be filled. What a cluster takes with those is told beside it.
    if (!has_default_files) {
        std::vector<Setting> settings = settings_of(plan.config);
        const auto set = [&](std::string_view name, const char* value) {
            Setting* const setting = find_setting(settings, name);
            CHECK(setting != nullptr && setting->set(value).empty());
        };
        set("journal.file_bytes", "1048576");
        set("journal.journal_bytes_max", "16777216");
        set("log.segment_bytes", "1048576");
        set("log.segment_flush_bytes", "65536");
        set("log.cache_bytes", "1048576");
        set("log.node_cache_bytes", "4194304");
    }
    return plan;
}

struct Lived {
    bool passes = false;
    Duration cpu{};
    Duration time{}; // Of the world.
    std::uint64_t requests = 0;
    double memory = 0; // By how much the process grew at most.
};

Lived live(const simtest::Plan& plan, bool judges) {
    Lived lived;
    const bool done = apart(lived, [&] {
        const double before = status_bytes("VmRSS");
        const Duration start = cpu_now();
        simtest::RunOptions options;
        options.judges = judges;
        const simtest::RunResult result = simtest::run_plan(plan, options);
        return Lived{result.verdict == simtest::Verdict::pass, cpu_now() - start, result.time,
                     result.requests, status_bytes("VmHWM") - before};
    });
    if (!done) lived = {};
    return lived;
}

struct Row {
    std::string what;
    double value = 0;
    std::string unit;
    std::string goal;
};

// Simulated seconds per second of the processor, with and without those who look, in turns.
struct Pace {
    double judged = 0, alone = 0, requests = 0, memory = 0;
    double share() const { return 100 * (1 - judged / alone); }
};

Pace pace_of(Duration length, bool has_clients) {
    const simtest::Plan plan = three_nodes(length, has_clients);
    std::vector<double> judged, alone, memory;
    Pace pace;
    for (int run = 0; run < runs; ++run) {
        const Lived with = live(plan, true);
        const Lived without = live(plan, false);
        CHECK(with.passes && without.passes && with.time == without.time);
        judged.push_back(seconds(with.time) / seconds(with.cpu));
        alone.push_back(seconds(without.time) / seconds(without.cpu));
        memory.push_back(with.memory);
        pace.requests = static_cast<double>(with.requests) / seconds(plan.length);
    }
    const auto middle = [](std::vector<double>& all) {
        std::ranges::sort(all);
        return all[all.size() / 2];
    };
    pace.judged = middle(judged);
    pace.alone = middle(alone);
    pace.memory = middle(memory);
    return pace;
}

void print_paces(std::vector<Row>& rows) {
    const Pace idle = pace_of(idle_time, false);
    const Pace busy = pace_of(busy_time, true);
    rows.push_back({"idle, all oracles", idle.judged, "simulated s/s", ">= 5000"});
    rows.push_back({"idle, nobody looks", idle.alone, "simulated s/s", ""});
    rows.push_back({"under load: requests", busy.requests, "per simulated s", "100"});
    rows.push_back({"under load, all oracles", busy.judged, "simulated s/s", ">= 300"});
    rows.push_back({"under load, nobody looks", busy.alone, "simulated s/s", ""});
    rows.push_back({"under load, share of the oracles", busy.share(), "%", "<= 25"});
    rows.push_back({"idle for 10 min, memory", idle.memory / mebibyte, "MiB", "<= 64"});
    rows.push_back({"under load for 1 min, memory", busy.memory / mebibyte, "MiB", "<= 64"});
    const Lived with_default_files = live(three_nodes(busy_time, true, true), true);
    rows.push_back(
        {"the same with default files", with_default_files.memory / mebibyte, "MiB", ""});
}

// ---- One request ----

struct Cost {
    double requests = 0, steps = 0, switches = 0, allocations = 0, bytes = 0;
};

std::uint64_t switches_of(sim::World& world, std::span<const NodeId> nodes) {
    std::uint64_t total = 0;
    for (const NodeId node : nodes) total += world.environment(node).fibers.switches();
    return total;
}

// Nobody looks here, so that all that is counted is the cluster's and its clients'.
Cost cost_of(bool has_clients) {
    const simtest::Plan plan = three_nodes(busy_time, has_clients);
    sim::World world(plan.seed, plan.faults);
    simtest::Cluster cluster(world, plan);
    simtest::History history;
    simtest::Workload workload(plan.workload, history, cluster.kafka_addresses(),
                               [&] { return world.now(); });
    for (const NodeId node : cluster.nodes()) {
        world.add_host(node, simtest::kafka_address_of(node).host);
        cluster.start(node);
    }
    for (const auto& program : workload.programs()) world.boot(program.node, program.main);
    world.run_for(5s); // Until there are leaders.
    const auto asked = [&] {
        return history.produces().size() + history.fetches().size() + history.ends().size();
    };
    Cost cost;
    const std::size_t requests = asked();
    const std::uint64_t steps = world.steps();
    const std::uint64_t switches = switches_of(world, cluster.nodes());
    heap = {true, 0, 0};
    world.run_for(plan.length);
    heap.counts = false;
    const double time = seconds(plan.length);
    cost.requests = static_cast<double>(asked() - requests) / time;
    cost.steps = static_cast<double>(world.steps() - steps) / time;
    cost.switches = static_cast<double>(switches_of(world, cluster.nodes()) - switches) / time;
    cost.allocations = static_cast<double>(heap.allocations) / time;
    cost.bytes = static_cast<double>(heap.bytes) / time;
    for (const NodeId node : world.nodes()) world.kill(node);
    return cost;
}

void print_costs(std::vector<Row>& rows) {
    Cost idle, busy;
    CHECK(apart(idle, [] { return cost_of(false); }));
    CHECK(apart(busy, [] { return cost_of(true); }));
    const double n = busy.requests;
    rows.push_back({"an idle second: steps of the world", idle.steps, "", ""});
    rows.push_back({"an idle second: fiber switches, brokers", idle.switches, "", ""});
    rows.push_back({"an idle second: operator new", idle.allocations, "", ""});
    rows.push_back({"a request more: steps of the world", (busy.steps - idle.steps) / n, "", ""});
    rows.push_back(
        {"a request more: fiber switches, brokers", (busy.switches - idle.switches) / n, "", ""});
    rows.push_back(
        {"a request more: operator new", (busy.allocations - idle.allocations) / n, "", ""});
}

// ---- The swarm ----

struct Seed {
    bool passes = false;
    Duration time{};
    Duration twice{}; // As a sweep with double runs does it.
    Duration judged{}, alone{};
    double memory = 0;
};

Seed run_swarm_seed(std::uint64_t seed) {
    Seed one;
    const double before = status_bytes("VmRSS");
    const Duration start = cpu_now();
    const simtest::RunResult first = simtest::run_seed(seed);
    one.memory = status_bytes("VmHWM") - before;
    const Duration halfway = cpu_now();
    const simtest::RunResult again = simtest::run_seed(seed);
    one.judged = cpu_now() - halfway;
    one.twice = halfway - start + one.judged;
    one.passes = first.verdict == simtest::Verdict::pass && first.hash == again.hash;
    one.time = first.time;
    const Duration end = cpu_now();
    simtest::RunOptions options;
    options.judges = false;
    (void)simtest::run_seed(seed, options);
    one.alone = cpu_now() - end;
    return one;
}

void print_swarm(std::vector<Row>& rows, std::vector<std::uint64_t>& failed) {
    bench::Samples twice;
    Duration total{}, simulated{}, judged{}, alone{};
    double most = 0, mean_memory = 0, count = 0;
    for (std::uint64_t seed = first_swarm_seed; seed < first_swarm_seed + swarm_seeds; ++seed) {
        Seed one;
        if (!apart(one, [&] { return run_swarm_seed(seed); }) || !one.passes) {
            failed.push_back(seed); // It ended early, and would flatter.
            continue;
        }
        ++count;
        twice.add(one.twice);
        total += one.twice;
        simulated += 2 * one.time;
        judged += one.judged;
        alone += one.alone;
        most = std::max(most, one.memory);
        mean_memory += one.memory;
    }
    if (count == 0) return;
    const double share = 100 * (1 - seconds(alone) / seconds(judged));
    const auto milli = [](Duration time) { return seconds(time) * 1000; };
    rows.push_back({"a seed, run twice: mean", milli(total) / count, "CPU ms", "<= 5000"});
    rows.push_back({"a seed, run twice: median", milli(twice.p50()), "CPU ms", ""});
    rows.push_back(
        {"a seed, run twice: 99 of 100 take less than", milli(twice.p99()), "CPU ms", ""});
    rows.push_back({"a seed, run twice: most", milli(twice.per_mille(1000)), "CPU ms", ""});
    rows.push_back({"all seeds", seconds(simulated) / seconds(total), "simulated s/s", ""});
    rows.push_back({"all seeds, share of the oracles", share, "%", "<= 25"});
    rows.push_back({"a seed, memory: mean", mean_memory / count / mebibyte, "MiB", ""});
    rows.push_back({"a seed, memory: most", most / mebibyte, "MiB", "<= 64"});
}

} // namespace

int main() {
    bench::print_heading("sim");
    std::vector<Row> rows;
    std::vector<std::uint64_t> failed;
    print_paces(rows);
    print_costs(rows);
    print_swarm(rows, failed);
    bench::Table table({"three nodes, four partitions; then the swarm", "", "unit", "goal"});
    for (const Row& row : rows) table.row({row.what, bench::figure(row.value), row.unit, row.goal});
    table.print();
    for (const std::uint64_t seed : failed)
        std::printf("seed %llu did not pass\n", static_cast<unsigned long long>(seed));
}
