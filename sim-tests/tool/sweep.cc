#include "sim-tests/tool/sweep.h"

#include "core/base/check.h"
#include "sim-tests/tool/first_difference.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace pyralog::simtest {

namespace {

// While it lives, Ctrl-C and SIGTERM end nothing, but can be asked for.
class Interrupts {
public:
    Interrupts() {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGINT);
        sigaddset(&signals_, SIGTERM);
        sigprocmask(SIG_BLOCK, &signals_, &before_);
        fd_ = signalfd(-1, &signals_, SFD_NONBLOCK | SFD_CLOEXEC);
        CHECK(fd_ >= 0);
    }
    ~Interrupts() {
        // One that was seen is not to strike once we have gone.
        signalfd_siginfo seen{};
        while (read(fd_, &seen, sizeof seen) > 0) {
        }
        close(fd_);
        sigprocmask(SIG_SETMASK, &before_, nullptr);
    }
    Interrupts(const Interrupts&) = delete;
    Interrupts& operator=(const Interrupts&) = delete;

    int fd() const { return fd_; }

private:
    sigset_t signals_{}, before_{};
    int fd_ = -1;
};

// A worker that runs seeds, one after the other.
struct Runner {
    std::unique_ptr<Worker> worker;
    std::uint64_t next = 0; // The seed that it is at, or that comes next.
};

} // namespace

// The workers of one sweep, and what has come of them.
class Sweep {
public:
    explicit Sweep(const SweepOptions& options)
        : options_(options), step_(options.shards * static_cast<std::uint64_t>(options.jobs)),
          began_(real_now()) {
        total_.commit = built_from();
        total_.bug = options.bug;
        total_.ranges.push_back({options.first, options.end, options.shard, options.shards});
    }

    SweepReport run() {
        for (int i = 0; i < options_.jobs; ++i)
            start_runner(options_.first + options_.shard +
                         static_cast<std::uint64_t>(i) * options_.shards);
        while (!enough_ && !runners_.empty() && !out_of_time()) {
            wait();
            show_progress(false);
        }
        runners_.clear();
        show_progress(true);
        total_.real = real_now() - began_;
        return std::move(total_);
    }

private:
    bool out_of_time() const { return options_.time && real_now() - began_ >= *options_.time; }

    void start_runner(std::uint64_t first) {
        if (options_.end && first >= *options_.end) return;
        Runner runner;
        runner.next = first;
        runner.worker = std::make_unique<Worker>([&](int fd, Progress& progress) {
            for (std::uint64_t seed = first; !options_.end || seed < *options_.end; seed += step_)
                write_all(fd, to_json(run_here(
                                  {seed, options_.bug, {}, options_.perturbed, options_.engine},
                                  &progress)) +
                                  '\n');
        });
        runners_.push_back(std::move(runner));
    }

    void wait() {
        std::vector<pollfd> polled;
        for (const Runner& runner : runners_) polled.push_back({runner.worker->fd(), POLLIN, 0});
        polled.push_back({interrupts_.fd(), POLLIN, 0});
        poll(polled.data(), polled.size(), 200);
        if (polled.back().revents != 0) {
            total_.interrupted = enough_ = true;
            return;
        }
        for (std::size_t i = runners_.size(); i-- > 0;) {
            if (polled[i].revents != 0)
                hear(i);
            else if (real_now() - runners_[i].worker->began() > run_time_max)
                bury(i, true);
            if (enough_) return;
        }
    }

    void hear(std::size_t i) {
        Runner& runner = runners_[i];
        const bool alive = runner.worker->read_more();
        while (const auto line = runner.worker->take_line()) {
            std::string problem;
            auto report = seed_report_from(*line, problem);
            CHECK(report.has_value());
            runner.next = report->seed + step_;
            if (options_.twice && report->exit_code == exit_pass)
                compare_with_other_runs(*report, options_.bug, 1);
            runner.worker->begins_anew(report->cpu);
            take(*report);
            if (enough_) return;
        }
        if (!alive) bury(i, false);
    }

    // A worker has ended, or hangs. If it was not done, another takes over behind that seed.
    void bury(std::size_t i, bool hangs) {
        const Runner runner = std::move(runners_[i]);
        runners_.erase(runners_.begin() + static_cast<std::ptrdiff_t>(i));
        if (!hangs && options_.end && runner.next >= *options_.end) return;
        const SeedReport report = runner.worker->post_mortem(hangs);
        take(report);
        if (!enough_) start_runner(report.seed + step_);
    }

    void take(const SeedReport& report) {
        total_.add(report);
        if (options_.watch && !options_.watch(report)) enough_ = true;
        if (report.exit_code == exit_pass) return;
        if (!options_.quiet) std::printf("%s\n", failure_line(report, options_.bug).c_str());
        if (!options_.keep_going) enough_ = true;
    }

    // How much there still is to do, if anybody knows.
    std::string eta(Duration spent) const {
        std::optional<Duration> left;
        if (options_.end && total_.seeds > 0) {
            const std::uint64_t begin = options_.first + options_.shard;
            const std::uint64_t all =
                *options_.end > begin ? (*options_.end - begin - 1) / options_.shards + 1 : 0;
            const std::uint64_t due = all > total_.seeds ? all - total_.seeds : 0;
            left = Duration(static_cast<std::int64_t>(static_cast<double>(spent.count()) *
                                                      static_cast<double>(due) /
                                                      static_cast<double>(total_.seeds)));
        }
        if (options_.time) {
            const Duration rest = std::max(*options_.time - spent, Duration{0});
            left = std::min(left.value_or(rest), rest);
        }
        return left ? " eta_s=" + std::to_string(*left / 1s) : "";
    }

    void show_progress(bool last) {
        if (options_.quiet) return;
        const bool terminal = isatty(STDERR_FILENO) != 0;
        const Duration now = real_now();
        if (!last && now - shown_ < (terminal ? Duration(1s) : Duration(15s))) return;
        shown_ = now;
        const Duration spent = now - began_;
        std::uint64_t fired = 0;
        for (const auto& [name, count] : total_.faults) fired += count.fired;
        const double real = static_cast<double>(spent.count()) / 1e9;
        std::fprintf(stderr,
                     "%sseeds=%llu failures=%llu seeds_per_s=%.1f simulated_s=%lld "
                     "faults_fired=%llu elapsed_s=%.0f%s%s",
                     terminal ? "\r" : "", static_cast<unsigned long long>(total_.seeds),
                     static_cast<unsigned long long>(total_.failed),
                     real > 0 ? static_cast<double>(total_.seeds) / real : 0,
                     static_cast<long long>(total_.simulated / 1s),
                     static_cast<unsigned long long>(fired), real, last ? "" : eta(spent).c_str(),
                     terminal && !last ? "   " : "\n");
    }

    const SweepOptions& options_;
    const std::uint64_t step_; // From one seed of a worker to its next.
    const Duration began_;
    Duration shown_{0};
    Interrupts interrupts_;
    std::vector<Runner> runners_;
    SweepReport total_;
    bool enough_ = false;
};

SweepReport sweep(const SweepOptions& options) {
    CHECK(options.jobs > 0 && options.shard < options.shards);
    return Sweep(options).run();
}

} // namespace pyralog::simtest
