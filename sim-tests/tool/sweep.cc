#include "sim-tests/tool/sweep.h"

#include "core/base/bug.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pyralog::simtest {

namespace {

// A run that takes longer than this hangs.
constexpr std::chrono::seconds run_time_max{300};

Duration real_now() {
    return std::chrono::duration_cast<Duration>(
        std::chrono::steady_clock::now().time_since_epoch());
}

Duration cpu_now() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    const auto of = [](const timeval& t) {
        return Duration(std::chrono::seconds(t.tv_sec)) +
               Duration(std::chrono::microseconds(t.tv_usec));
    };
    return of(used.ru_utime) + of(used.ru_stime);
}

void plant(const std::string& bug) {
#ifdef PYRALOG_BUGS
    bugs::plant(bug);
#else
    (void)bug;
#endif
}
std::uint64_t bug_hits() {
#ifdef PYRALOG_BUGS
    return bugs::hit_count;
#else
    return 0;
#endif
}

SeedReport report_of(const RunResult& result) {
    SeedReport report;
    report.seed = result.seed;
    report.event = result.event;
    report.time = result.time;
    report.hash = result.hash;
    report.stored = result.stored;
    report.read = result.read;
    report.bug_hits = bug_hits();
    if (result.verdict == Verdict::safety) report.exit_code = exit_safety;
    if (result.verdict == Verdict::liveness) report.exit_code = exit_liveness;
    if (result.finding) {
        report.oracle = result.finding->oracle;
        report.detail = result.finding->detail;
    }
    for (std::size_t i = 0; i < sim::FaultCounts::kinds; ++i) {
        const auto fault = static_cast<sim::Fault>(i);
        report.faults.emplace_back(result.counts.fired(fault), result.counts.effective(fault));
    }
    return report;
}

// ---- Reports as lines through a pipe; a tab ends each field ----

std::string to_wire(const SeedReport& report) {
    std::ostringstream line;
    std::string oracle = report.oracle;
    std::string detail = report.detail;
    for (std::string* text : {&oracle, &detail})
        for (char& c : *text)
            if (c == '\t' || c == '\n') c = ' ';
    line << report.seed << '\t' << report.exit_code << '\t' << oracle << '\t' << detail << '\t'
         << report.event << '\t' << report.time.count() << '\t' << report.cpu.count() << '\t'
         << report.hash << '\t' << report.bug_hits << '\t' << report.stored << '\t' << report.read;
    for (const auto& [fired, effective] : report.faults) line << '\t' << fired << '\t' << effective;
    line << '\n';
    return line.str();
}

SeedReport from_wire(const std::string& line) {
    std::istringstream in(line);
    std::vector<std::string> fields;
    for (std::string field; std::getline(in, field, '\t');) fields.push_back(field);
    constexpr std::size_t fixed = 11;
    CHECK(fields.size() == fixed + 2 * sim::FaultCounts::kinds);
    const auto number = [&](std::size_t i) { return std::stoull(fields[i]); };
    SeedReport report;
    report.seed = number(0);
    report.exit_code = static_cast<int>(number(1));
    report.oracle = fields[2];
    report.detail = fields[3];
    report.event = number(4);
    report.time = Duration(static_cast<std::int64_t>(number(5)));
    report.cpu = Duration(static_cast<std::int64_t>(number(6)));
    report.hash = number(7);
    report.bug_hits = number(8);
    report.stored = number(9);
    report.read = number(10);
    for (std::size_t i = fixed; i < fields.size(); i += 2)
        report.faults.emplace_back(number(i), number(i + 1));
    return report;
}

void write_all(int fd, const std::string& text) {
    for (std::size_t at = 0; at < text.size();) {
        const ssize_t put = write(fd, text.data() + at, text.size() - at);
        if (put < 0) _exit(exit_usage); // Nobody listens any more.
        at += static_cast<std::size_t>(put);
    }
}

// ---- Workers ----

// A process that runs seeds, and what it shares with us.
struct Worker {
    pid_t pid = -1;
    int fd = -1;
    Progress* progress = nullptr;
    std::string unread;
    Duration began{0};
    std::uint64_t next = 0; // The seed that it is at, or that comes next.
};

Progress* shared_progress() {
    void* memory =
        mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return new (memory) Progress();
}

struct Work {
    std::uint64_t first = 1;
    std::uint64_t step = 1;
    std::optional<std::uint64_t> end;
    std::string bug;
    std::string trace_path;
};

[[noreturn]] void work(const Work& work, int fd, Progress* progress) {
    for (std::uint64_t seed = work.first; !work.end || seed < *work.end; seed += work.step) {
        *progress = {seed, 0, {}};
        plant(work.bug);
        RunOptions options;
        options.progress = progress;
        std::ofstream trace;
        if (!work.trace_path.empty()) {
            trace.open(work.trace_path);
            options.trace = [&](std::string_view line) { trace << line << '\n' << std::flush; };
        }
        const Duration began = cpu_now();
        SeedReport report = report_of(run_seed(seed, options));
        report.cpu = cpu_now() - began;
        write_all(fd, to_wire(report));
    }
    // No destructors and no leak check here: those are for the tests.
    _exit(exit_pass);
}

Worker spawn(const Work& job) {
    Worker worker;
    std::array<int, 2> ends{};
    CHECK(pipe(ends.data()) == 0);
    worker.progress = shared_progress();
    worker.next = job.first;
    std::fflush(nullptr);
    worker.pid = fork();
    CHECK(worker.pid >= 0);
    if (worker.pid == 0) {
        close(ends[0]);
        work(job, ends[1], worker.progress);
    }
    close(ends[1]);
    worker.fd = ends[0];
    worker.began = real_now();
    return worker;
}

void end(Worker& worker) {
    if (worker.pid > 0) {
        kill(worker.pid, SIGKILL);
        waitpid(worker.pid, nullptr, 0);
    }
    if (worker.fd >= 0) close(worker.fd);
    if (worker.progress) munmap(worker.progress, sizeof(Progress));
    worker = {};
}

// What it was doing when it died, or was found hanging.
SeedReport post_mortem(Worker& worker, bool hangs) {
    SeedReport report;
    report.seed = worker.progress->seed;
    report.event = worker.progress->event;
    report.time = worker.progress->time;
    report.exit_code = hangs ? exit_liveness : exit_safety;
    report.oracle = hangs ? "hang" : "crash";
    report.bug_hits = 1; // Nobody can ask it any more.
    int status = 0;
    if (hangs) kill(worker.pid, SIGKILL);
    waitpid(worker.pid, &status, 0);
    worker.pid = -1;
    if (hangs)
        report.detail = "no end after " + std::to_string(run_time_max.count()) + " real seconds";
    else if (WIFSIGNALED(status))
        report.detail = "signal " + std::to_string(WTERMSIG(status)) + " (" +
                        strsignal(WTERMSIG(status)) + "); see stderr";
    else
        report.detail = "exit status " + std::to_string(WEXITSTATUS(status)) + "; see stderr";
    report.faults.resize(sim::FaultCounts::kinds);
    return report;
}

// The next whole line that it has sent, if there is one.
std::optional<std::string> take_line(Worker& worker) {
    const std::size_t length = worker.unread.find('\n');
    if (length == std::string::npos) return {};
    std::string line = worker.unread.substr(0, length);
    worker.unread.erase(0, length + 1);
    return line;
}

// More of what it sends. False: it has ended.
bool read_more(Worker& worker) {
    std::array<char, 65536> chunk;
    const ssize_t got = read(worker.fd, chunk.data(), chunk.size());
    if (got <= 0) return false;
    worker.unread.append(chunk.data(), static_cast<std::size_t>(got));
    return true;
}

void add(SweepReport& total, const SeedReport& seed) {
    ++total.seeds;
    total.simulated += seed.time;
    total.cpu += seed.cpu;
    total.stored += seed.stored;
    total.read += seed.read;
    total.faults.resize(sim::FaultCounts::kinds);
    for (std::size_t i = 0; i < seed.faults.size(); ++i) {
        total.faults[i].first += seed.faults[i].first;
        total.faults[i].second += seed.faults[i].second;
    }
    const Plan plan = draw_plan(seed.seed);
    bool any = false;
    for (std::size_t i = 0; i < plan.classes.size(); ++i) {
        if (!plan.classes[i]) continue;
        any = true;
        ++total.runs_with[std::string(to_string(static_cast<FaultClass>(i)))];
    }
    if (!any) ++total.runs_with["(none)"];
}

std::string seconds(Duration time) {
    std::array<char, 32> text;
    std::snprintf(text.data(), text.size(), "%.1f",
                  static_cast<double>(time.count()) / 1'000'000'000.0);
    return text.data();
}

} // namespace

SeedReport run_apart(std::uint64_t seed, const std::string& bug, const std::string& trace_path) {
    Worker worker = spawn({seed, 1, seed + 1, bug, trace_path});
    std::optional<std::string> line;
    while (!(line = take_line(worker)) && read_more(worker)) {
    }
    SeedReport report;
    if (line) {
        report = from_wire(*line);
    } else {
        report = post_mortem(worker, false);
    }
    if (worker.pid > 0) {
        waitpid(worker.pid, nullptr, 0);
        worker.pid = -1;
    }
    end(worker);
    return report;
}

// The workers of one sweep, and what has come of them.
class Sweep {
public:
    explicit Sweep(const SweepOptions& options) : options_(options), began_(real_now()) {}

    SweepReport run() {
        const auto jobs = static_cast<std::uint64_t>(options_.jobs);
        for (std::uint64_t i = 0; i < jobs; ++i) start_worker(options_.first + i);
        while (!enough_ && !workers_.empty() && !out_of_time()) {
            wait();
            show_progress(false);
        }
        for (Worker& worker : workers_) end(worker);
        show_progress(true);
        total_.real = real_now() - began_;
        return std::move(total_);
    }

private:
    bool out_of_time() const { return options_.time && real_now() - began_ >= *options_.time; }

    void start_worker(std::uint64_t first) {
        if (options_.end && first >= *options_.end) return;
        workers_.push_back(spawn(
            {first, static_cast<std::uint64_t>(options_.jobs), options_.end, options_.bug, {}}));
    }

    void wait() {
        std::vector<pollfd> polled;
        for (const Worker& worker : workers_) polled.push_back({worker.fd, POLLIN, 0});
        poll(polled.data(), polled.size(), 200);
        for (std::size_t i = polled.size(); i-- > 0;) {
            if (polled[i].revents != 0)
                hear(i);
            else if (real_now() - workers_[i].began > run_time_max)
                bury(i, true);
            if (enough_) return;
        }
    }

    void hear(std::size_t i) {
        const bool alive = read_more(workers_[i]);
        while (auto line = take_line(workers_[i])) {
            SeedReport report = from_wire(*line);
            workers_[i].began = real_now();
            workers_[i].next = report.seed + static_cast<std::uint64_t>(options_.jobs);
            if (options_.twice && report.exit_code == exit_pass) check_again(report);
            take(report);
            if (enough_) return;
        }
        if (!alive) bury(i, false);
    }

    // In a process of its own: nothing is left over from the run before.
    void check_again(SeedReport& report) {
        const SeedReport again = run_apart(report.seed, options_.bug, {});
        if (again.exit_code == exit_pass && again.hash == report.hash) return;
        report.exit_code = exit_not_deterministic;
        report.oracle = "determinism";
        report.detail = "hash=" + std::to_string(report.hash) + " and then " +
                        std::to_string(again.hash) + " " + again.oracle;
    }

    // A worker has ended, or hangs. If it was not done, another takes over behind that seed.
    void bury(std::size_t i, bool hangs) {
        Worker worker = std::move(workers_[i]);
        workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(i));
        const bool done = !hangs && options_.end && worker.next >= *options_.end;
        if (done) {
            waitpid(worker.pid, nullptr, 0);
            worker.pid = -1;
            end(worker);
            return;
        }
        const SeedReport report = post_mortem(worker, hangs);
        end(worker);
        take(report);
        if (!enough_) start_worker(report.seed + static_cast<std::uint64_t>(options_.jobs));
    }

    void take(const SeedReport& report) {
        add(total_, report);
        if (options_.watch && !options_.watch(report)) enough_ = true;
        if (report.exit_code == exit_pass) return;
        total_.failures.push_back(report);
        if (!options_.quiet) std::printf("%s\n", failure_line(report, options_.bug).c_str());
        if (!options_.keep_going) enough_ = true;
    }

    void show_progress(bool last) {
        if (options_.quiet) return;
        const Duration now = real_now();
        if (!last && now - shown_ < (isatty(STDERR_FILENO) != 0 ? Duration(1s) : Duration(15s)))
            return;
        shown_ = now;
        std::fprintf(stderr, "%sseeds=%llu failures=%zu simulated_s=%s elapsed_s=%s%s",
                     isatty(STDERR_FILENO) != 0 ? "\r" : "",
                     static_cast<unsigned long long>(total_.seeds), total_.failures.size(),
                     seconds(total_.simulated).c_str(), seconds(now - began_).c_str(),
                     isatty(STDERR_FILENO) != 0 && !last ? "   " : "\n");
    }

    const SweepOptions& options_;
    const Duration began_;
    Duration shown_{0};
    std::vector<Worker> workers_;
    SweepReport total_;
    bool enough_ = false;
};

SweepReport sweep(const SweepOptions& options) {
    CHECK(options.jobs > 0);
    return Sweep(options).run();
}

std::string failure_line(const SeedReport& report, const std::string& bug) {
    std::string line = "FAILED oracle=" + report.oracle + " seed=" + std::to_string(report.seed) +
                       " event=" + std::to_string(report.event) +
                       " time_us=" + std::to_string(report.time / 1us) + " (" + report.detail +
                       ") replay: pyralog-sim" + (bug.empty() ? "" : "-bugs") + " run --seed " +
                       std::to_string(report.seed);
    if (!bug.empty()) line += " --bug " + bug;
    if (report.exit_code == exit_not_deterministic) line += " --twice";
    return line;
}

std::string to_table(const SweepReport& report) {
    std::ostringstream out;
    char line[160];
    out << "\nclass             runs\n";
    for (const auto& [name, runs] : report.runs_with) {
        std::snprintf(line, sizeof line, "%-16s %5llu\n", name.c_str(),
                      static_cast<unsigned long long>(runs));
        out << line;
    }
    out << "\nfault                     fired    effective\n";
    std::string silent;
    for (std::size_t i = 0; i < report.faults.size(); ++i) {
        const std::string name(to_string(static_cast<sim::Fault>(i)));
        const auto& [fired, effective] = report.faults[i];
        std::snprintf(line, sizeof line, "%-18s %12llu %12llu\n", name.c_str(),
                      static_cast<unsigned long long>(fired),
                      static_cast<unsigned long long>(effective));
        out << line;
        if (fired == 0 || effective == 0) silent += (silent.empty() ? "" : ", ") + name;
    }
    out << "\nwithout effect: " << (silent.empty() ? "none" : silent) << '\n';
    const double real = static_cast<double>(report.real.count()) / 1e9;
    const double cpu = static_cast<double>(report.cpu.count()) / 1e9;
    const double simulated = static_cast<double>(report.simulated.count()) / 1e9;
    std::snprintf(line, sizeof line,
                  "seeds=%llu failures=%zu stored_batches=%llu read_records=%llu\n",
                  static_cast<unsigned long long>(report.seeds), report.failures.size(),
                  static_cast<unsigned long long>(report.stored),
                  static_cast<unsigned long long>(report.read));
    out << line;
    std::snprintf(line, sizeof line,
                  "simulated_s=%.1f cpu_s=%.1f elapsed_s=%.1f simulated_per_cpu_s=%.1f "
                  "seeds_per_s=%.2f\n",
                  simulated, cpu, real, cpu > 0 ? simulated / cpu : 0,
                  real > 0 ? static_cast<double>(report.seeds) / real : 0);
    out << line;
    return out.str();
}

} // namespace pyralog::simtest
