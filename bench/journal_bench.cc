// bench/journal_bench.cc
//
// How many appends of 4 KiB per second become durable, for 1, 16 and 256 partitions that each wait
// for one before they make the next; beside two loops over plain files that do no more than that.
// All in one run: the device's pace changes from minute to minute. Files are made in the directory
// that is given, or in the current one.
#include "core/log/journal.h"
#include "core/log/log.h"
#include "core/log/segment_writer.h"
#include "io/real/world.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

using namespace pyralog;

namespace {

constexpr std::size_t batch_bytes = 4_KiB;
constexpr Duration run_time = 2s;

struct Row {
    std::uint64_t appends = 0;
    std::uint64_t rounds = 0;
    Duration took{};

    void print(int partitions, const char* how) const {
        const double seconds = static_cast<double>(took.count()) / 1e9;
        std::printf("%4d  %-34s %10.0f appends/s %9.0f syncs/s\n", partitions, how,
                    static_cast<double>(appends) / seconds, static_cast<double>(rounds) / seconds);
    }
};

// One write of all partitions' batches to one file, and one fdatasync.
Row plain_shared(Environment& env, const std::string& directory, int partitions) {
    const std::string path = directory + "/plain";
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    const std::string data(batch_bytes * static_cast<std::size_t>(partitions), 'x');
    Row row;
    const Time began = env.clock.now();
    while (env.clock.now() - began < run_time) {
        CHECK(write(fd, data.data(), data.size()) == static_cast<ssize_t>(data.size()));
        CHECK(fdatasync(fd) == 0);
        row.appends += static_cast<std::uint64_t>(partitions);
        ++row.rounds;
    }
    row.took = env.clock.now() - began;
    close(fd);
    std::filesystem::remove(path);
    return row;
}

// A file for each partition, written and synced one after the other.
Row plain_each(Environment& env, const std::string& directory, int partitions) {
    std::vector<int> files;
    for (int i = 0; i < partitions; ++i) {
        const std::string path = directory + "/plain" + std::to_string(i);
        files.push_back(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        CHECK(files.back() >= 0);
    }
    const std::string data(batch_bytes, 'x');
    Row row;
    const Time began = env.clock.now();
    for (std::size_t i = 0; env.clock.now() - began < run_time; i = (i + 1) % files.size()) {
        CHECK(write(files[i], data.data(), data.size()) == static_cast<ssize_t>(data.size()));
        CHECK(fdatasync(files[i]) == 0);
        ++row.appends;
        ++row.rounds;
    }
    row.took = env.clock.now() - began;
    for (int i = 0; i < partitions; ++i) {
        close(files[static_cast<std::size_t>(i)]);
        std::filesystem::remove(directory + "/plain" + std::to_string(i));
    }
    return row;
}

Result<Row> through_journal(Environment& env, int partitions, bool move) {
    const std::string name = "journal" + std::to_string(partitions) + (move ? "m" : "");
    Journal journal(env, name, JournalConfig{}, 1);
    const LogConfig config;
    TailBudget budget(env.metrics, config.node_cache_bytes);
    SegmentWriter writer(env, journal, config);
    std::vector<std::unique_ptr<Log>> logs;
    TRY(journal.open([](const wire::Frame&) -> Result<> { return {}; }));
    for (int i = 0; i < partitions; ++i) {
        const GroupId group(partitions * 1000 + (move ? 500 : 0) + i);
        logs.push_back(TRY(Log::open(env, journal, budget, config, group)));
        TRY(logs.back()->finish_replay());
        writer.add(*logs.back());
    }
    Scope scope(env.fibers);
    scope.spawn("journal", [&] { (void)journal.run(); });
    if (move) scope.spawn("segments", [&] { (void)writer.run(); });

    const Bytes batch = Bytes::copy_of(std::string(batch_bytes, 'x'));
    const std::uint64_t rounds_before = env.metrics.total("pyralog_journal_rounds_total");
    Row row;
    const Time began = env.clock.now();
    {
        Scope producers(env.fibers);
        for (auto& one : logs)
            producers.spawn("producer", [&, log = one.get()] {
                while (env.clock.now() - began < run_time && !journal.backlogged()) {
                    wire::Frame frame;
                    frame.group = log->group();
                    frame.term = Term(1);
                    frame.first = log->end();
                    frame.records = 4;
                    frame.payload = {batch};
                    log->append(frame);
                    const Position end = log->end();
                    if (!journal.sync().ok()) return;
                    ++row.appends;
                    if (move) log->set_committed(end);
                }
            });
        producers.join();
    }
    row.took = env.clock.now() - began;
    row.rounds = env.metrics.total("pyralog_journal_rounds_total") - rounds_before;
    scope.cancel();
    scope.join();
    for (auto& log : logs) writer.remove(*log);
    return row;
}

Result<> bench(Environment& env, const std::string& directory) {
    for (const int partitions : {1, 16, 256}) {
        plain_each(env, directory, partitions)
            .print(partitions, "write + fdatasync, file for each");
        plain_shared(env, directory, partitions)
            .print(partitions, "write + fdatasync, one for all");
        TRY(through_journal(env, partitions, false)).print(partitions, "journal");
        TRY(through_journal(env, partitions, true)).print(partitions, "journal and segments");
    }
    return {};
}

} // namespace

int main(int argc, char** argv) {
    const std::filesystem::path directory =
        std::filesystem::path(argc > 1 ? argv[1] : ".") / "journal_bench.data";
    const std::filesystem::path plain = directory.parent_path() / "journal_bench.plain";
    std::filesystem::create_directories(plain);
    real::IoConfig config;
    config.node = NodeId(1);
    config.data_dir = directory.string();
    config.log_level = Level::warning;
    Result<> end;
    {
        real::World world(config);
        end = world.run([&](Environment& env) { return bench(env, plain.string()); });
    }
    std::filesystem::remove_all(directory);
    std::filesystem::remove_all(plain);
    if (end.ok()) return 0;
    std::printf("failed: %s\n", std::string(to_string(end.error())).c_str());
    return 1;
}
