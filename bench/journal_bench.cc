// The journal beside plain files: so many partitions, each with one append of a size on its way at
// a time; as many files that are written and synced one after the other; and one file, written
// before and past the page cache, that takes as many bytes at a time as the journal does, and syncs
// them. The journal does more: it sums up what it writes, and moves it to segments afterwards, all
// within the time that is measured. They take turns, because a disk's pace changes from minute to
// minute.
//
// Large appends are written once more by a journal that lets them get past it.
//
// Then what a journal costs that is read back.
#include "bench/bench.h"
#include "core/log/journal.h"
#include "core/log/log.h"
#include "core/log/segment_writer.h"
#include "io/real/world.h"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <sys/resource.h>
#include <unistd.h>

using namespace pyralog;

namespace {

constexpr Duration turn = 500ms;
constexpr Duration warm_up = 150ms;
constexpr int turns = 3;
// A journal writes no more at a time, by default.
constexpr std::size_t round_bytes_max = 8_MiB;
// From there on it is tried to get past it.
constexpr std::size_t bulk_min_bytes = 64_KiB;
constexpr std::size_t replay_bytes = 512_MiB;
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
    double written = 0; // Bytes that went to the disk for each that was appended.
};

// What this process has had written to disks so far.
double bytes_written() {
    std::ifstream file("/proc/self/io");
    for (std::string name, value; file >> name >> value;)
        if (name == "write_bytes:") return std::stod(value);
    return 0;
}

std::string text_of(std::size_t bytes) { return std::to_string(bytes / 1024) + " KiB"; }

// Appends to each file in turn, with a sync for each. `prewritten`: the file has its size before,
// so that a sync has only data to write; else it grows.
class PlainFiles {
public:
    PlainFiles(const std::string& room, int files, std::size_t append_bytes, bool prewritten)
        : append_bytes_(append_bytes), prewritten_(prewritten) {
        const std::string zeros(1_MiB, '\0');
        // Many prewritten files would take longer to make than to measure.
        size_max_ = !prewritten || files <= 16 ? plain_file_bytes : files <= 256 ? 1_MiB : 256_KiB;
        for (int i = 0; i < files; ++i) {
            const std::string path = room + "/plain" + std::to_string(i);
            const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
            must(file >= 0, "open");
            const std::size_t count = std::min(zeros.size(), size_max_);
            for (std::uint64_t at = 0; prewritten && at < size_max_; at += count)
                must(pwrite(file, zeros.data(), count, static_cast<off_t>(at)) > 0, "pwrite");
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
                0, 0, 0};
    }

private:
    struct File {
        int descriptor;
        std::uint64_t size;
    };
    std::uint64_t append_for(Duration time) {
        const std::string data(append_bytes_, 'x');
        std::uint64_t count = 0;
        for (const Duration end = bench::now() + time; bench::now() < end; ++count) {
            File& file = files_[next_++ % files_.size()];
            must(pwrite(file.descriptor, data.data(), data.size(), static_cast<off_t>(file.size)) ==
                     static_cast<ssize_t>(data.size()),
                 "pwrite");
            must(fdatasync(file.descriptor) == 0, "fdatasync");
            file.size += data.size();
            if (file.size < size_max_) continue;
            file.size = 0;
            if (!prewritten_) must(ftruncate(file.descriptor, 0) == 0, "ftruncate");
        }
        return count;
    }

    std::size_t append_bytes_;
    bool prewritten_;
    std::uint64_t size_max_ = 0;
    std::vector<File> files_;
    std::size_t next_ = 0;
};

// One file for all, and as much at a time as there can be. What it makes durable per second.
class OneFile {
public:
    OneFile(const std::string& room, std::size_t bytes) : data_(std::min(bytes, round_bytes_max)) {
        const std::string path = room + "/one";
        file_ = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0644);
        must(file_ >= 0, "open with O_DIRECT");
        unlink(path.c_str());
        std::ranges::fill(data_.view(), std::byte{'x'});
        for (position_ = 0; position_ + data_.size() <= one_file_bytes;) write();
        must(fsync(file_) == 0, "fsync");
        size_ = std::exchange(position_, 0);
    }
    ~OneFile() { close(file_); }
    OneFile(const OneFile&) = delete;
    OneFile& operator=(const OneFile&) = delete;

    double bytes_per_second() {
        run_for(warm_up);
        const Duration start = bench::now();
        const double bytes = run_for(turn);
        return bytes * 1e9 / static_cast<double>((bench::now() - start).count());
    }

private:
    static constexpr std::uint64_t one_file_bytes = 64_MiB;

    void write() {
        must(pwrite(file_, data_.data(), data_.size(), static_cast<off_t>(position_)) ==
                 static_cast<ssize_t>(data_.size()),
             "pwrite");
        position_ += data_.size();
    }
    double run_for(Duration time) {
        double bytes = 0;
        for (const Duration end = bench::now() + time; bench::now() < end;) {
            if (position_ >= size_) position_ = 0;
            write();
            must(fdatasync(file_) == 0, "fdatasync");
            bytes += static_cast<double>(data_.size());
        }
        return bytes;
    }

    Buffer data_;
    int file_ = -1;
    std::uint64_t size_ = 0;
    std::uint64_t position_ = 0;
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

enum class Way : std::uint8_t {
    journal, // All goes through it, and is moved to segments.
    alone,   // Nothing is moved.
    past,    // What is large gets past it.
};

JournalConfig config_of(Way way) {
    JournalConfig config;
    config.bulk_min_bytes = way == Way::past ? bulk_min_bytes : 0;
    return config;
}

// All partitions of one turn, each with a fiber that appends, waits, and appends again.
class Partitions {
public:
    Partitions(Environment& env, int count, std::size_t append_bytes, Way way)
        : moves_(way != Way::alone), env_(env), journal_(env, "journal", config_of(way), 1),
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
        if (moves_) services.spawn("segments", [&] { (void)writer_.run(); });
        Scope appends(env_.fibers);
        for (auto& [group, log] : logs_)
            appends.spawn("append", [&, to = log.get()] { append_to(*to); });
        TRY(env_.fibers.sleep_until(env_.clock.now() + warm_up));
        const std::uint64_t rounds = env_.metrics.total("pyralog_journal_rounds_total");
        const double written_before = bytes_written();
        const Time start = env_.clock.now();
        samples_ = bench::Samples();
        TRY(env_.fibers.sleep_until(start + turn));
        const double seconds = static_cast<double>((env_.clock.now() - start).count()) / 1e9;
        const std::uint64_t written = env_.metrics.total("pyralog_journal_rounds_total") - rounds;
        stop_ = true;
        appends.join();
        return Pace{static_cast<double>(samples_.count()) / seconds,
                    static_cast<double>(written) / seconds,
                    static_cast<double>(samples_.p50().count()) / 1000,
                    (bytes_written() - written_before) /
                        static_cast<double>(samples_.count() * payload_.size())};
    }

private:
    void append_to(Log& log) {
        while (!stop_) {
            // As a node does: what gathers is to move before more comes.
            while (moves_ && journal_.backlogged() && !stop_)
                if (!env_.fibers.sleep_until(env_.clock.now() + 1ms).ok()) return;
            const Time start = env_.clock.now();
            log.append(next_entry(log, payload_));
            const Position end = log.end();
            if (!journal_.sync().ok()) return;
            samples_.add(env_.clock.now() - start);
            log.set_committed(end);
        }
    }

    const bool moves_;
    Environment& env_;
    Journal journal_;
    TailBudget budget_;
    SegmentWriter writer_;
    Bytes payload_;
    std::map<GroupId, std::unique_ptr<Log>> logs_;
    bench::Samples samples_;
    bool stop_ = false;
};

// A node of its own for each turn.
template <class Body>
void in_a_world(const std::string& directory, Body body) {
    real::IoConfig config;
    config.data_dir = directory;
    config.log_level = Level::warning;
    real::World world(config);
    const Result<> done = world.run(body);
    if (done.ok()) return;
    std::printf("the journal has failed: %s\n", std::string(to_string(done.error())).c_str());
    std::exit(1);
}

Pace run_journal(const std::string& room, int partitions, std::size_t bytes, Way way) {
    Pace pace;
    in_a_world(room + "/node", [&](Environment& env) -> Result<> {
        pace = TRY(Partitions(env, partitions, bytes, way).run());
        return {};
    });
    bench::remove_room(room + "/node");
    return pace;
}

Pace mean(const std::vector<Pace>& paces) {
    Pace sum;
    const auto count = static_cast<double>(paces.size());
    for (const Pace& pace : paces) {
        sum.appends += pace.appends / count;
        sum.rounds += pace.rounds / count;
        sum.p50_us += pace.p50_us / count;
        sum.written += pace.written / count;
    }
    return sum;
}

std::string ratio(double a, double b) { return bench::figure(a / b) + " x"; }

void compare(bench::Table& table, const std::string& room, int partitions, std::size_t bytes) {
    std::vector<Pace> ours, alone, past, growing, prewritten;
    double one = 0;
    const auto size = static_cast<double>(bytes);
    for (int i = 0; i < turns; ++i) {
        growing.push_back(PlainFiles(room, partitions, bytes, false).run());
        ours.push_back(run_journal(room, partitions, bytes, Way::journal));
        if (bytes >= bulk_min_bytes)
            past.push_back(run_journal(room, partitions, bytes, Way::past));
        one +=
            OneFile(room, static_cast<std::size_t>(partitions) * bytes).bytes_per_second() / turns;
        alone.push_back(run_journal(room, partitions, bytes, Way::alone));
        if (bytes == 4_KiB) prewritten.push_back(PlainFiles(room, partitions, bytes, true).run());
    }
    const Pace a = mean(ours), b = mean(growing), c = mean(prewritten), d = mean(alone);
    const Pace e = mean(past);
    table.row({std::to_string(partitions) + " x " + text_of(bytes), bench::figure(a.rounds),
               bench::figure(a.appends), bench::figure(a.p50_us), bench::figure(b.appends),
               ratio(a.appends, b.appends), prewritten.empty() ? "-" : bench::figure(c.appends),
               prewritten.empty() ? "-" : ratio(a.appends, c.appends),
               bench::figure(a.appends * size / 1e6), bench::figure(d.appends * size / 1e6),
               bench::figure(one / 1e6), ratio(a.appends * size, one), ratio(d.appends * size, one),
               bench::figure(a.written), past.empty() ? "-" : bench::figure(e.appends * size / 1e6),
               past.empty() ? "-" : ratio(e.appends * size, one),
               past.empty() ? "-" : bench::figure(e.p50_us),
               past.empty() ? "-" : bench::figure(e.written)});
}

// So many bytes in entries of a size, and what it takes to read them back; beside reading files of
// the same size from end to end, past the page cache as well.
void replay(bench::Table& table, const std::string& room, std::size_t entry_bytes) {
    const std::string directory = room + "/replay";
    JournalConfig config;
    config.journal_bytes_max = 4 * replay_bytes;
    const Bytes payload = Bytes::copy_of(std::string(entry_bytes, 'x'));
    std::uint64_t frames = 0, bytes = 0;
    in_a_world(directory, [&](Environment& env) -> Result<> {
        Journal journal(env, "journal", config, 1);
        TailBudget budget(env.metrics, 0, 1);
        auto log = TRY(Log::open(env, journal, budget, LogConfig(), GroupId(1)));
        TRY(journal.open([](const wire::Frame&) -> Result<> { return {}; }));
        TRY(log->finish_replay());
        Scope services(env.fibers);
        services.spawn("journal", [&] { (void)journal.run(); });
        for (std::size_t done = 0; done < replay_bytes; done += entry_bytes) {
            log->append(next_entry(*log, payload));
            if (log->end().index % 64 == 0) TRY(journal.sync());
        }
        return journal.sync();
    });
    Duration ours{}, plain{};
    in_a_world(directory, [&](Environment& env) -> Result<> {
        Buffer memory(4_MiB);
        const Duration start = bench::now();
        for (const std::string& name : TRY(env.disk.list("journal"))) {
            const auto file = TRY(env.disk.open("journal/" + name, Disk::Open::existing,
                                                Disk::Access::aligned));
            for (std::size_t got = memory.size(), at = 0; got == memory.size(); at += got)
                got = TRY(file->read_at(at, memory.view()));
        }
        plain = bench::now() - start;
        return {};
    });
    in_a_world(directory, [&](Environment& env) -> Result<> {
        Journal journal(env, "journal", config, 1);
        const Duration start = bench::now();
        TRY(journal.open([&](const wire::Frame& frame) -> Result<> {
            ++frames;
            bytes += size_of(frame.payload);
            return {};
        }));
        ours = bench::now() - start;
        return {};
    });
    bench::remove_room(directory);
    const auto rate = [&](Duration taken) {
        return static_cast<double>(bytes) / static_cast<double>(taken.count());
    };
    table.row({text_of(entry_bytes), bench::figure(static_cast<double>(frames)),
               bench::figure(rate(ours)), bench::figure(rate(plain)),
               ratio(rate(ours), rate(plain))});
}

} // namespace

int main(int argc, char** argv) {
    bench::print_heading("journal");
    const std::string room = bench::make_room(argc, argv);
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files); // A file for each of a thousand partitions.
    bench::Table table({"partitions x append", "rounds/s", "appends/s", "p50 us", "growing files/s",
                        "ratio", "prewritten files/s", "ratio", "MB/s", "journal alone MB/s",
                        "one file MB/s", "ratio", "alone", "written/byte", "past MB/s", "ratio",
                        "p50 us", "written/byte"});
    for (const std::size_t bytes : {4_KiB, 64_KiB, 256_KiB})
        for (const int partitions : {1, 16, 64, 256, 1000})
            if (partitions != 64 || bytes == 256_KiB) compare(table, room, partitions, bytes);
    table.print();
    std::printf("\n");
    bench::Table recovery(
        {"a journal read back, entries of", "frames", "GB/s", "plain reads GB/s", "ratio"});
    for (const std::size_t bytes : {1_KiB, 64_KiB}) replay(recovery, room, bytes);
    recovery.print();
    bench::remove_room(room);
}
