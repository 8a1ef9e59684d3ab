#include "sim-tests/tool/worker.h"

#include "core/base/bug.h"
#include "core/base/check.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pyralog::simtest {

namespace {

Duration cpu_of(const rusage& used) {
    const auto of = [](const timeval& t) {
        return Duration(std::chrono::seconds(t.tv_sec)) +
               Duration(std::chrono::microseconds(t.tv_usec));
    };
    return of(used.ru_utime) + of(used.ru_stime);
}

Duration cpu_now() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    return cpu_of(used);
}

void plant(const std::string& bug, Progress* progress) {
#ifdef PYRALOG_BUGS
    bugs::plant(bug);
    bugs::hit_count_copy = progress ? &progress->bug_hits : nullptr; // For when it crashes.
#else
    (void)bug;
    (void)progress;
#endif
}

std::uint64_t bug_hits() {
#ifdef PYRALOG_BUGS
    return bugs::hit_count;
#else
    return 0;
#endif
}

// Frees every other of many blocks, in an order that is not that of their addresses: the next ones
// to be allocated lie in what was freed last.
void perturb_heap(int number) {
    const auto n = static_cast<std::size_t>(number);
    constexpr std::size_t blocks = 4096;
    std::vector<void*> all;
    for (std::size_t i = 0; i < blocks; ++i) all.push_back(std::malloc(16 + i * (6 + n) % 1009));
    for (std::size_t i = 0; i < blocks; i += 2) std::free(all[(i * 1237 + (n - 1) * 389) % blocks]);
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
        report.faults[std::string(to_string(fault))] = {result.counts.fired(fault),
                                                        result.counts.effective(fault)};
    }
    report.excuses = result.excuses;
    for (const sites::Count& site : result.sites) {
        const std::string name(site.name);
        if (site.kind == sites::Kind::probe)
            report.probes[name] = site.hits;
        else
            report.whims[name] = {site.active ? 1u : 0u, site.hits, site.fired};
    }
    return report;
}

} // namespace

Duration real_now() {
    return std::chrono::duration_cast<Duration>(
        std::chrono::steady_clock::now().time_since_epoch());
}

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t put = write(fd, text.data(), text.size());
        if (put < 0) _exit(exit_usage);
        text.remove_prefix(static_cast<std::size_t>(put));
    }
}

// ---- Worker ----

Worker::Worker(const Body& body) : began_(real_now()) {
    std::array<int, 2> ends{};
    CHECK(pipe(ends.data()) == 0);
    void* memory =
        mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    progress_ = new (memory) Progress();
    std::fflush(nullptr);
    pid_ = fork();
    CHECK(pid_ >= 0);
    if (pid_ == 0) {
        // A group of its own: Ctrl-C at the terminal goes to the parent, which ends us.
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        body(ends[1], *progress_);
        std::fflush(nullptr);
        // No destructors and no leak check here: those are for the tests.
        _exit(exit_pass);
    }
    close(ends[1]);
    fd_ = ends[0];
}

Worker::~Worker() {
    if (pid_ > 0) {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    close(fd_);
    munmap(progress_, sizeof(Progress));
}

std::optional<std::string> Worker::take_line() {
    const std::size_t length = unread_.find('\n');
    if (length == std::string::npos) return {};
    std::string line = unread_.substr(0, length);
    unread_.erase(0, length + 1);
    return line;
}

bool Worker::read_exactly(std::span<std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t got = read(fd_, bytes.data(), bytes.size());
        if (got <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(got));
    }
    return true;
}

bool Worker::read_more() {
    std::array<char, 65536> chunk;
    const ssize_t got = read(fd_, chunk.data(), chunk.size());
    if (got <= 0) return false;
    unread_.append(chunk.data(), static_cast<std::size_t>(got));
    return true;
}

SeedReport Worker::post_mortem(bool hangs) {
    SeedReport report;
    report.exit_code = hangs ? exit_liveness : exit_safety;
    report.oracle = hangs ? "hang" : "crash";
    int status = 0;
    if (hangs) kill(pid_, SIGKILL);
    rusage used{};
    wait4(pid_, &status, 0, &used);
    pid_ = -1;
    report.cpu = std::max(cpu_of(used) - cpu_told_, Duration{0});
    report.seed = progress_->seed;
    report.event = progress_->event;
    report.time = progress_->time;
    report.bug_hits = progress_->bug_hits;
    if (hangs)
        report.detail = "no end after " + std::to_string(run_time_max.count()) + " real seconds";
    else if (WIFSIGNALED(status))
        report.detail = "signal " + std::to_string(WTERMSIG(status)) + " (" +
                        strsignal(WTERMSIG(status)) + "); see stderr";
    else
        report.detail = "exit status " + std::to_string(WEXITSTATUS(status)) + "; see stderr";
    return report;
}

// ---- Runs ----

SeedReport run_here(const RunHere& what, Progress* progress, RunOptions options) {
    if (progress) {
        *progress = {};
        progress->seed = what.seed;
    }
    if (what.perturbed > 0) perturb_heap(what.perturbed);
    plant(what.bug, progress);
    options.progress = progress;
    Plan plan = draw_plan(what.seed, what.edits);
    plan.engine = what.engine.value_or(plan.engine);
    if (what.choices.list || what.choices.seed) options.choices = what.choices;
    std::ofstream trace;
    if (!what.trace_path.empty()) {
        trace.open(what.trace_path);
        options.trace = [&](std::string_view line) { trace << line << '\n' << std::flush; };
    }
    const Duration began = cpu_now();
    SeedReport report = report_of(run_plan(plan, options));
    report.cpu = cpu_now() - began;
    return report;
}

SeedReport run_apart(const RunHere& what) {
    Worker worker([&](int fd, Progress& progress) {
        write_all(fd, to_json(run_here(what, &progress)) + '\n');
    });
    std::optional<std::string> line;
    while (!(line = worker.take_line()) && worker.read_more()) {
    }
    if (!line) return worker.post_mortem(false);
    std::string problem;
    const auto report = seed_report_from(*line, problem);
    CHECK(report.has_value());
    return *report;
}

} // namespace pyralog::simtest
