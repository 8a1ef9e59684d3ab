// The journal beside plain files: so many partitions, each with one append of 4 KiB on its way at a
// time, and with as many files that are written and synced one after the other. The journal does
// more: it sums up what it writes, and moves it to segments afterwards. The two take turns, because
// a disk's pace changes from minute to minute.
#include "bench/bench.h"
#include "core/log/journal.h"
#include "core/log/log.h"
#include "core/log/segment_writer.h"
#include "io/real/world.h"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <unistd.h>

using namespace pyralog;

namespace {

constexpr std::size_t append_bytes = 4_KiB;
constexpr Duration turn = 1500ms;
constexpr Duration warm_up = 300ms;
constexpr int turns = 3;
// A plain file begins anew when it has this size.
constexpr std::uint64_t plain_file_bytes = 16_MiB;

void must(bool done, const char* what) {
    if (done) return;
    std::perror(what);
    std::exit(1);
}

struct Pace {
    double appends = 0; // Per second.
    double rounds = 0;
    double p50_us = 0;
};

// Appends to each file in turn, with a sync for each. `prewritten`: the file has its size before,
// so that a sync has only data to write; else it grows.
class PlainFiles {
public:
    PlainFiles(const std::string& room, int files, bool prewritten) : prewritten_(prewritten) {
        const std::string zeros(1_MiB, '\0');
        // Many prewritten files would take longer to make than to measure.
        size_max_ = prewritten && files > 16 ? 1_MiB : plain_file_bytes;
        for (int i = 0; i < files; ++i) {
            const std::string path = room + "/plain" + std::to_string(i);
            const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
            must(file >= 0, "open");
            if (prewritten)
                for (std::uint64_t at = 0; at < size_max_; at += zeros.size())
                    must(pwrite(file, zeros.data(), zeros.size(), static_cast<off_t>(at)) > 0,
                         "pwrite");
            must(fsync(file) == 0, "fsync");
            unlink(path.c_str());
            files_.push_back({file, 0});
        }
    }
    ~PlainFiles() {
        for (const File& file : files_) close(file.descriptor);
    }
    PlainFiles(const PlainFiles&) = delete;
    PlainFiles& operator=(const PlainFiles&) = delete;

    Pace run() {
        append_for(warm_up);
        const Duration start = bench::now();
        const std::uint64_t count = append_for(turn);
        return {static_cast<double>(count) * 1e9 /
                    static_cast<double>((bench::now() - start).count()),
                0, 0};
    }

private:
    struct File {
        int descriptor;
        std::uint64_t size;
    };
    std::uint64_t append_for(Duration time) {
        const std::string data(append_bytes, 'x');
        std::uint64_t count = 0;
        for (const Duration end = bench::now() + time; bench::now() < end; ++count) {
            File& file = files_[next_++ % files_.size()];
            must(pwrite(file.descriptor, data.data(), data.size(), static_cast<off_t>(file.size)) ==
                     ssize_t{append_bytes},
                 "pwrite");
            must(fdatasync(file.descriptor) == 0, "fdatasync");
            file.size += data.size();
            if (file.size < size_max_) continue;
            file.size = 0;
            if (!prewritten_) must(ftruncate(file.descriptor, 0) == 0, "ftruncate");
        }
        return count;
    }

    bool prewritten_;
    std::uint64_t size_max_ = 0;
    std::vector<File> files_;
    std::size_t next_ = 0;
};

wire::Frame next_entry(const Log& log, const Bytes& payload) {
    wire::Frame frame;
    frame.group = log.group();
    frame.term = Term(1);
    frame.first = log.end();
    frame.records = 1;
    frame.payload = {payload};
    return frame;
}

// All partitions of one turn, each with a fiber that appends, waits, and appends again.
class Partitions {
public:
    Partitions(Environment& env, int count)
        : env_(env), journal_(env, "journal", JournalConfig(), 1),
          budget_(env.metrics, LogConfig().node_cache_bytes,
                  static_cast<std::size_t>(LogConfig().open_segments_max)),
          writer_(env, journal_, LogConfig()),
          payload_(Bytes::copy_of(std::string(append_bytes, 'x'))) {
        for (int i = 1; i <= count; ++i) logs_[GroupId(i)];
    }
    ~Partitions() {
        for (auto& [group, log] : logs_)
            if (log) writer_.remove(*log);
    }
    Partitions(const Partitions&) = delete;
    Partitions& operator=(const Partitions&) = delete;

    Result<Pace> run() {
        for (auto& [group, log] : logs_)
            log = TRY(Log::open(env_, journal_, budget_, LogConfig(), group));
        TRY(journal_.open([](const wire::Frame&) -> Result<> { return {}; }));
        for (auto& [group, log] : logs_) {
            TRY(log->finish_replay());
            writer_.add(*log);
        }
        Scope services(env_.fibers);
        services.spawn("journal", [&] { (void)journal_.run(); }); // Its error ends every sync().
        services.spawn("segments", [&] { (void)writer_.run(); });
        Scope appends(env_.fibers);
        for (auto& [group, log] : logs_)
            appends.spawn("append", [&, to = log.get()] { append_to(*to); });
        TRY(env_.fibers.sleep_until(env_.clock.now() + warm_up));
        const std::uint64_t rounds = env_.metrics.total("pyralog_journal_rounds_total");
        const Time start = env_.clock.now();
        samples_ = bench::Samples();
        TRY(env_.fibers.sleep_until(start + turn));
        const double seconds = static_cast<double>((env_.clock.now() - start).count()) / 1e9;
        const std::uint64_t written = env_.metrics.total("pyralog_journal_rounds_total") - rounds;
        stop_ = true;
        appends.join();
        return Pace{static_cast<double>(samples_.count()) / seconds,
                    static_cast<double>(written) / seconds,
                    static_cast<double>(samples_.p50().count()) / 1000};
    }

private:
    void append_to(Log& log) {
        while (!stop_) {
            const Time start = env_.clock.now();
            log.append(next_entry(log, payload_));
            const Position end = log.end();
            if (!journal_.sync().ok()) return;
            samples_.add(env_.clock.now() - start);
            log.set_committed(end);
        }
    }

    Environment& env_;
    Journal journal_;
    TailBudget budget_;
    SegmentWriter writer_;
    Bytes payload_;
    std::map<GroupId, std::unique_ptr<Log>> logs_;
    bench::Samples samples_;
    bool stop_ = false;
};

Pace run_journal(const std::string& room, int partitions) {
    real::IoConfig config;
    config.data_dir = room + "/node";
    config.log_level = Level::warning;
    Pace pace;
    real::World world(config);
    const Result<> done = world.run([&](Environment& env) -> Result<> {
        pace = TRY(Partitions(env, partitions).run());
        return {};
    });
    if (!done.ok()) {
        std::printf("the journal has failed: %s\n", std::string(to_string(done.error())).c_str());
        std::exit(1);
    }
    bench::remove_room(config.data_dir);
    return pace;
}

Pace mean(const std::vector<Pace>& paces) {
    Pace sum;
    for (const Pace& pace : paces) {
        sum.appends += pace.appends / static_cast<double>(paces.size());
        sum.rounds += pace.rounds / static_cast<double>(paces.size());
        sum.p50_us += pace.p50_us / static_cast<double>(paces.size());
    }
    return sum;
}

std::string ratio(double a, double b) { return bench::figure(a / b) + " x"; }

} // namespace

int main(int argc, char** argv) {
    bench::print_heading("journal");
    const std::string room = bench::make_room(argc, argv);
    bench::Table table({"4 KiB appends, durable one by one", "rounds/s", "appends/s", "p50 us",
                        "growing files/s", "ratio", "prewritten files/s", "ratio"});
    for (const int partitions : {1, 16, 256}) {
        std::vector<Pace> ours, growing, prewritten;
        for (int i = 0; i < turns; ++i) {
            growing.push_back(PlainFiles(room, partitions, false).run());
            ours.push_back(run_journal(room, partitions));
            prewritten.push_back(PlainFiles(room, partitions, true).run());
        }
        const Pace a = mean(ours), b = mean(growing), c = mean(prewritten);
        table.row({std::to_string(partitions) + " partitions", bench::figure(a.rounds),
                   bench::figure(a.appends), bench::figure(a.p50_us), bench::figure(b.appends),
                   ratio(a.appends, b.appends), bench::figure(c.appends),
                   ratio(a.appends, c.appends)});
    }
    table.print();
    bench::remove_room(room);
}
