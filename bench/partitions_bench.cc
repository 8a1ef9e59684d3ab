// What many partitions cost on one node, when nobody uses them: memory, processor, and the time
// until all of them can be written to and read again after a restart. Each has one record, which is
// in the journal alone, or in a segment of its own.
#include "bench/bench.h"
#include "bench/local_cluster.h"
#include "core/wire/kafka/fetch.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <unistd.h>

using namespace pyralog;
using bench::Client;
using bench::LocalCluster;
namespace kafka = wire::kafka;

namespace {

constexpr std::int16_t produce_version = 7;
constexpr std::int16_t fetch_version = 11;
constexpr std::size_t record_bytes = 16;
constexpr int partitions_per_request = 500;
constexpr unsigned settle_seconds = 3;
constexpr Duration quiet_patience = 60s;
constexpr Duration move_patience = 180s;
constexpr unsigned idle_seconds = 10;
constexpr Duration patience = 120s;
// So small a journal gives all that is in it away to segments, when as much again has come.
const std::vector<std::string> small_journal{"journal.file_bytes=4MiB",
                                             "journal.journal_bytes_max=32MiB"};
constexpr int pushing_batches = 200;
constexpr std::size_t pushing_bytes = 60 * 1024;

// One record to each. False if some of them cannot take it yet.
bool produce_to_all(Client& client, int partitions, const Bytes& batch) {
    for (int first = 0; first < partitions; first += partitions_per_request) {
        kafka::ProduceRequest request;
        request.acks = -1;
        request.timeout_ms = 30'000;
        request.topics.push_back({"bench", {}});
        for (int i = first; i < std::min(partitions, first + partitions_per_request); ++i)
            request.topics[0].partitions.push_back({i, batch});
        const auto answer = client.ask(request, produce_version);
        for (const auto& partition : answer.topics.at(0).partitions)
            if (partition.error != kafka::ErrorCode::none) return false;
    }
    return true;
}

// The first record of each.
bool fetch_from_all(Client& client, int partitions) {
    for (int first = 0; first < partitions; first += partitions_per_request) {
        kafka::FetchRequest request;
        request.max_bytes = 64 << 20;
        request.topics.push_back({"bench", {}});
        for (int i = first; i < std::min(partitions, first + partitions_per_request); ++i) {
            request.topics[0].partitions.emplace_back().index = i;
            request.topics[0].partitions.back().max_bytes = 1;
        }
        const auto answer = client.ask(request, fetch_version);
        for (const auto& partition : answer.topics.at(0).partitions)
            if (partition.error != kafka::ErrorCode::none) return false;
    }
    return true;
}

// From `start` on.
Duration until_served(const LocalCluster& cluster, int partitions, Duration start) {
    const Bytes batch = bench::batch_of(1, record_bytes);
    for (; bench::now() - start < patience; usleep(2'000)) {
        Client client(cluster.port(0));
        if (produce_to_all(client, partitions, batch) && fetch_from_all(client, partitions))
            return bench::now() - start;
    }
    bench::give_up("the partitions do not come back");
}

double idle_share(const LocalCluster& cluster, std::size_t node) {
    const Duration before = cluster.usage(node).cpu;
    sleep(idle_seconds);
    return static_cast<double>((cluster.usage(node).cpu - before).count()) / 1e9 / idle_seconds;
}

std::size_t segments_in(const std::string& room) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(room))
        count += entry.path().extension() == ".seg" ? 1 : 0;
    return count;
}

// Until it has had next to nothing to do for a while.
void wait_until_quiet(const LocalCluster& cluster, std::size_t node) {
    const Duration start = bench::now();
    for (Duration before = cluster.usage(node).cpu; bench::now() - start < quiet_patience;) {
        sleep(settle_seconds);
        const Duration after = cluster.usage(node).cpu;
        if (after - std::exchange(before, after) < settle_seconds * 30ms) return;
    }
}

std::string seconds(Duration duration) {
    return bench::figure(static_cast<double>(duration.count()) / 1e9);
}

std::string mib(std::uint64_t bytes) {
    return bench::figure(static_cast<double>(bytes) / (1 << 20));
}

struct Cost {
    std::uint64_t made_bytes = 0, served_bytes = 0; // Of memory: before the restart, and after it.
};

Cost measure(bench::Table& table, const std::string& room, int partitions, bool in_segments,
             Cost of_one) {
    std::filesystem::create_directories(room);
    std::vector<std::string> settings = in_segments ? small_journal : std::vector<std::string>();
    settings.push_back("topic.partitions_max=10000");
    LocalCluster cluster(room, 1, settings);
    const Duration made = bench::now();
    cluster.create_topic("bench", partitions);
    const Duration created = until_served(cluster, partitions, made);
    if (in_segments) { // What was written last pushes out what was written before.
        Client client(cluster.port(0));
        const Bytes batch = bench::batch_of(1, pushing_bytes);
        for (int i = 0; i < pushing_batches; ++i) produce_to_all(client, 1, batch);
        const Duration end = bench::now() + move_patience;
        while (segments_in(room) < static_cast<std::size_t>(partitions) && bench::now() < end)
            sleep(1);
    }
    wait_until_quiet(cluster, 0);
    Cost cost;
    cost.made_bytes = cluster.usage(0).rss_bytes;
    const double idle = idle_share(cluster, 0);
    const std::size_t segments = segments_in(room);
    cluster.stop();
    const Duration start = bench::now();
    cluster.start();
    const Duration served = until_served(cluster, partitions, start);
    wait_until_quiet(cluster, 0);
    cost.served_bytes = cluster.usage(0).rss_bytes;
    const auto each = [&](std::uint64_t all, std::uint64_t one) {
        if (partitions == 1) return std::string("-");
        return bench::figure((static_cast<double>(all) - static_cast<double>(one)) / 1024 /
                             (partitions - 1));
    };
    table.row({std::to_string(partitions) + (in_segments ? ", in segments" : ", in the journal"),
               std::to_string(segments), seconds(created), mib(cost.made_bytes),
               each(cost.made_bytes, of_one.made_bytes), bench::figure(idle * 100), seconds(served),
               mib(cost.served_bytes), each(cost.served_bytes, of_one.served_bytes)});
    cluster.stop();
    bench::remove_room(room);
    std::fprintf(stderr, "%d partitions: done\n", partitions); // It takes its time.
    return cost;
}

void measure_three(const std::string& room, int partitions) {
    std::filesystem::create_directories(room);
    bench::Table table({"three nodes, partitions", "node", "RSS MiB", "idle % of a core"});
    LocalCluster cluster(room, 3, {"topic.partitions_max=10000"});
    (void)cluster.leaders_of("first");
    cluster.create_topic("bench", partitions);
    (void)cluster.leaders_of("bench");
    sleep(2 * settle_seconds);
    for (std::size_t i = 0; i < cluster.nodes(); ++i)
        table.row({std::to_string(partitions), std::to_string(i + 1),
                   mib(cluster.usage(i).rss_bytes), bench::figure(idle_share(cluster, i) * 100)});
    table.print();
    cluster.stop();
    bench::remove_room(room);
}

} // namespace

int main(int argc, char** argv) {
    bench::print_heading("partitions");
    const std::string room = bench::make_room(argc, argv);
    bench::Table table({"partitions on one node", "segments", "to make s", "RSS MiB", "KiB each",
                        "idle % of a core", "to serve again s", "RSS MiB", "KiB each"});
    const Cost of_one = measure(table, room + "/nodes", 1, false, {});
    measure(table, room + "/nodes", 100, false, of_one);
    measure(table, room + "/nodes", 10'000, false, of_one);
    measure(table, room + "/nodes", 10'000, true, of_one);
    table.print();
    std::printf("\n");
    measure_three(room + "/nodes", 2000);
    bench::remove_room(room);
}
