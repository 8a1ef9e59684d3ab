// What producing to three nodes on this machine costs, beside the least that three durable copies
// can cost on it: bench/floor.h. Then how little a node takes that has nothing to do.
#include "bench/bench.h"
#include "bench/floor.h"
#include "bench/local_cluster.h"

#include <cstdio>
#include <unistd.h>

using namespace pyralog;
using bench::LocalCluster;
using bench::Producer;
using bench::Samples;

namespace {

constexpr std::size_t record_bytes = 1024;
constexpr int records_per_batch = 64;
constexpr int batches_in_flight = 8;
constexpr Duration turn = 3s;
constexpr Duration warm_up = 500ms;
constexpr int turns = 3;
constexpr unsigned idle_seconds = 10;

struct Load {
    Samples latency;
    std::uint64_t records = 0;
    Duration taken{};
    double bytes_per_second() const {
        return static_cast<double>(records * record_bytes) * 1e9 /
               static_cast<double>(taken.count());
    }
};

// Keeps so many batches on their way in each of the partitions, which are one connection each.
Load produce(const std::vector<std::uint16_t>& leaders, std::size_t partitions, int records,
             int in_flight) {
    std::vector<Producer> producers;
    for (std::size_t i = 0; i < partitions; ++i)
        producers.emplace_back(leaders[i], "bench", static_cast<std::int32_t>(i));
    const Bytes batch = bench::batch_of(records, record_bytes);
    Load load;
    const Duration start = bench::now() + warm_up;
    const Duration end = start + turn;
    for (Duration now = bench::now(); now < end;) {
        for (Producer& producer : producers) {
            while (producer.in_flight() < static_cast<std::size_t>(in_flight)) producer.send(batch);
            const Duration taken = producer.receive();
            now = bench::now();
            if (now < start) continue;
            load.latency.add(taken);
            load.records += static_cast<std::uint64_t>(records);
        }
        load.taken = now - start;
    }
    for (Producer& producer : producers)
        while (producer.in_flight() > 0) producer.receive();
    return load;
}

void add(Load& sum, const Load& more) {
    sum.latency.append(more.latency);
    sum.records += more.records;
    sum.taken += more.taken;
}

Load floor_load(const std::string& room, int records, int in_flight) {
    const std::size_t bytes = record_bytes * static_cast<std::size_t>(records);
    bench::FloorResult result = bench::run_floor(room, {bytes, in_flight, turn});
    Load load;
    load.records = result.latency.count() * static_cast<std::uint64_t>(records);
    load.latency = std::move(result.latency);
    load.taken = result.taken;
    return load;
}

void print(bench::Table& table, const std::string& name, const Load& load, const Load& floor) {
    const auto cells = [&](const std::string& who, const Load& of) {
        table.row({name + ", " + who, bench::micros(of.latency.p50()),
                   bench::micros(of.latency.p99()),
                   bench::figure(static_cast<double>(of.records) * 1e9 /
                                 static_cast<double>(of.taken.count())),
                   bench::figure(of.bytes_per_second() / 1e6)});
    };
    cells("pyralog", load);
    cells("floor", floor);
    table.row({"  ratio",
               bench::figure(static_cast<double>(load.latency.p50().count()) /
                             static_cast<double>(floor.latency.p50().count())),
               bench::figure(static_cast<double>(load.latency.p99().count()) /
                             static_cast<double>(floor.latency.p99().count())),
               "", bench::figure(load.bytes_per_second() / floor.bytes_per_second())});
}

void print_idle(const LocalCluster& cluster) {
    sleep(2);
    std::vector<LocalCluster::Usage> before;
    for (std::size_t i = 0; i < cluster.nodes(); ++i) before.push_back(cluster.usage(i));
    sleep(idle_seconds);
    bench::Table table({"idle, one topic of 3 partitions", "RSS MiB", "% of a core"});
    for (std::size_t i = 0; i < cluster.nodes(); ++i) {
        const auto after = cluster.usage(i);
        const Duration cpu = after.cpu - before[i].cpu;
        table.row({"node " + std::to_string(i + 1),
                   bench::figure(static_cast<double>(after.rss_bytes) / (1 << 20)),
                   bench::figure(static_cast<double>(cpu.count()) / 1e9 / idle_seconds * 100)});
    }
    table.print();
}

} // namespace

int main(int argc, char** argv) {
    bench::print_heading("produce");
    const std::string room = bench::make_room(argc, argv);
    {
        LocalCluster cluster(room);
        const auto leaders = cluster.leaders_of("bench");
        print_idle(cluster);
        std::printf("\n");
        Load single, single_floor, batched, batched_floor, spread;
        for (int i = 0; i < turns; ++i) { // In turns, because the disk's pace changes.
            add(single_floor, floor_load(room, 1, 1));
            add(single, produce(leaders, 1, 1, 1));
            add(batched_floor, floor_load(room, records_per_batch, batches_in_flight));
            add(batched, produce(leaders, 1, records_per_batch, batches_in_flight));
            add(spread, produce(leaders, leaders.size(), records_per_batch, batches_in_flight));
        }
        bench::Table table(
            {"1 KiB records, acks=all, 3 nodes", "p50 us", "p99 us", "records/s", "MB/s"});
        print(table, "one at a time", single, single_floor);
        print(table, "64 a batch, 8 in flight, 1 partition", batched, batched_floor);
        table.row({"the same to each of 3 partitions, pyralog", bench::micros(spread.latency.p50()),
                   bench::micros(spread.latency.p99()),
                   bench::figure(static_cast<double>(spread.records) * 1e9 /
                                 static_cast<double>(spread.taken.count())),
                   bench::figure(spread.bytes_per_second() / 1e6)});
        table.print();
    }
    bench::remove_room(room);
}
