// What it costs to read old records, from a disk that nobody has read lately: one consumer of one
// partition that asks for 1 MiB at a time. Beside it the same files read from end to end by plain
// calls, and the least that a server of them can do: a process that reads a file and writes it to a
// socket. Before each the page cache is told to forget them (posix_fadvise).
#include "bench/bench.h"
#include "bench/local_cluster.h"
#include "core/wire/kafka/fetch.h"

#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <sys/wait.h>
#include <unistd.h>

using namespace pyralog;
using bench::Client;
using bench::LocalCluster;
namespace kafka = wire::kafka;

namespace {

constexpr std::int16_t fetch_version = 11;
constexpr std::size_t total_bytes = 768_MiB;
constexpr std::size_t fetch_bytes = 1_MiB;
constexpr std::size_t record_bytes = 1024;
constexpr int records_per_batch = 64;
constexpr int turns = 3;

struct Pace {
    double bytes = 0;
    Duration taken{};
    Duration cpu{}; // Of the server.
    void add(const Pace& more) {
        bytes += more.bytes;
        taken += more.taken;
        cpu += more.cpu;
    }
    double mb_per_second() const { return bytes * 1e3 / static_cast<double>(taken.count()); }
    double cpu_per_gb() const { return static_cast<double>(cpu.count()) / bytes; }
};

std::vector<std::string> segments_of(const std::string& room) {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(room))
        if (entry.path().extension() == ".seg") paths.push_back(entry.path().string());
    std::sort(paths.begin(), paths.end());
    return paths;
}

void forget(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
        const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        bench::must(file >= 0 && fdatasync(file) == 0, "open");
        bench::must(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0, "posix_fadvise");
        close(file);
    }
}

// Every file from end to end; each piece goes to `take`.
template <class Take>
void read_plainly(const std::vector<std::string>& paths, Take take) {
    std::vector<std::byte> piece(fetch_bytes);
    for (const std::string& path : paths) {
        const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        bench::must(file >= 0, "open");
        for (off_t at = 0;;) {
            const ssize_t got = pread(file, piece.data(), piece.size(), at);
            bench::must(got >= 0, "pread");
            if (got == 0) break;
            take(std::span(piece).first(static_cast<std::size_t>(got)));
            at += got;
        }
        close(file);
    }
}

Pace plain(const std::vector<std::string>& paths) {
    Pace pace;
    const Duration start = bench::now();
    read_plainly(paths, [&](std::span<const std::byte> piece) {
        pace.bytes += static_cast<double>(piece.size());
    });
    pace.taken = bench::now() - start;
    return pace;
}

// A request of a byte, and a piece for it.
Pace least_server(const std::vector<std::string>& paths) {
    const bench::Socket listener = bench::Socket::listen();
    const pid_t child = fork();
    bench::must(child >= 0, "fork");
    if (child == 0) {
        const bench::Socket client = listener.accept();
        read_plainly(paths, [&](std::span<const std::byte> piece) {
            std::array<std::byte, 1> request{};
            const auto size = static_cast<std::uint32_t>(piece.size());
            if (!client.read(request) || !client.try_write(std::as_bytes(std::span(&size, 1))) ||
                !client.try_write(piece))
                _exit(0);
        });
        _exit(0);
    }
    Pace pace;
    {
        const bench::Socket server = bench::Socket::connect(listener.port());
        std::vector<std::byte> piece(fetch_bytes);
        const Duration start = bench::now();
        std::uint32_t size = 0;
        for (const std::array<std::byte, 1> request{}; server.try_write(request);) {
            if (!server.read(std::as_writable_bytes(std::span(&size, 1)))) break;
            if (!server.read(std::span(piece).first(size))) break;
            pace.bytes += size;
        }
        pace.taken = bench::now() - start;
    }
    waitpid(child, nullptr, 0);
    return pace;
}

std::int64_t number_at(std::span<const std::byte> bytes, std::size_t size) {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < size; ++i)
        number = number << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    return static_cast<std::int64_t>(number);
}

// Behind the last whole batch.
std::int64_t end_of(std::span<const std::byte> batches, std::int64_t from) {
    while (batches.size() >= 61) {
        const auto size = static_cast<std::size_t>(number_at(batches.subspan(8), 4)) + 12;
        if (size > batches.size()) break;
        from = number_at(batches, 8) + number_at(batches.subspan(23), 4) + 1;
        batches = batches.subspan(size);
    }
    return from;
}

Pace consume(const LocalCluster& cluster) {
    Client client(cluster.port(0));
    Pace pace;
    kafka::FetchRequest request;
    request.min_bytes = 1;
    request.max_bytes = 50 << 20;
    request.topics.push_back({"bench", {}});
    auto& wanted = request.topics[0].partitions.emplace_back();
    wanted.max_bytes = fetch_bytes;
    const Duration cpu = cluster.usage(0).cpu;
    const Duration start = bench::now();
    for (;;) {
        const auto answer = client.ask(request, fetch_version);
        const auto& found = answer.topics.at(0).partitions.at(0);
        if (found.error != kafka::ErrorCode::none) bench::give_up("a fetch was refused");
        const Bytes records = joined(found.records.value_or(BytesChain()));
        if (records.empty()) break;
        pace.bytes += static_cast<double>(records.size());
        wanted.fetch_offset = end_of(records.view(), wanted.fetch_offset);
        if (wanted.fetch_offset >= found.high_watermark) break;
    }
    pace.taken = bench::now() - start;
    pace.cpu = cluster.usage(0).cpu - cpu;
    return pace;
}

void fill(const LocalCluster& cluster) {
    cluster.create_topic("bench", 1);
    bench::Producer producer(cluster.leaders_of("bench").at(0), "bench", 0);
    const Bytes batch = bench::batch_of(records_per_batch, record_bytes);
    for (std::size_t sent = 0; sent < total_bytes; sent += batch.size()) {
        producer.send(batch);
        if (producer.in_flight() >= 32) producer.receive();
    }
    while (producer.in_flight() > 0) producer.receive();
}

} // namespace

int main(int argc, char** argv) {
    bench::print_heading("fetch");
    const std::string room = bench::make_room(argc, argv);
    Pace reads, least, cold, warm, alone;
    {
        LocalCluster cluster(room, 1);
        fill(cluster);
        sleep(3); // Until all of it is in segments.
        const std::vector<std::string> paths = segments_of(room);
        const auto restart = [&] { // Else the last of it would be in memory.
            cluster.stop();
            cluster.start();
            (void)cluster.leaders_of("bench");
            forget(paths);
        };
        for (int i = 0; i < turns; ++i) {
            forget(paths);
            reads.add(plain(paths));
            forget(paths);
            least.add(least_server(paths));
            restart();
            cold.add(consume(cluster));
            warm.add(consume(cluster));
        }
        cluster.stop();
        LocalCluster without(room, 1, {"log.node_read_ahead_bytes=0"});
        for (int i = 0; i < turns; ++i) {
            (void)without.leaders_of("bench");
            forget(paths);
            alone.add(consume(without));
        }
    }
    bench::Table table(
        {"old records, 1 MiB at a time", "MB/s", "of plain reads", "of the least", "CPU s/GB"});
    const auto row = [&](const std::string& name, const Pace& pace, bool is_ours) {
        table.row({name, bench::figure(pace.mb_per_second()),
                   bench::figure(pace.mb_per_second() / reads.mb_per_second()),
                   bench::figure(pace.mb_per_second() / least.mb_per_second()),
                   is_ours ? bench::figure(pace.cpu_per_gb()) : "-"});
    };
    row("plain pread", reads, false);
    row("the least server", least, false);
    row("fetch, cold", cold, true);
    row("fetch, cold, nothing read ahead", alone, true);
    row("fetch, in the page cache", warm, true);
    table.print();
    bench::remove_room(room);
}
