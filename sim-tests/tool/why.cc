#include "sim-tests/tool/why.h"

#include <algorithm>
#include <deque>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pyralog::simtest {

namespace {

// What branches do behind the run: no longer than this in real time, and in the world's.
constexpr unsigned branch_seconds_max = 60;
constexpr Duration why_later_max = 5s;
constexpr std::size_t lines_before = 30, lines_behind = 10;

// One run that forks at moments. It writes to memory that all processes share: how each branch
// ended, as far as it told.
class Forking {
public:
    Forking(const ChoicesFile& file, const SeedReport& failure,
            std::optional<Duration> simulated_max, const WhyOptions& options,
            const std::vector<std::uint64_t>& events)
        : file_(file), failure_(failure), simulated_max_(simulated_max), options_(options),
          events_(events), size_(events.size() * static_cast<std::size_t>(options.branches)) {
        void* memory =
            mmap(nullptr, size_ + 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        CHECK(memory != MAP_FAILED);
        failed_ = static_cast<unsigned char*>(memory);
    }
    ~Forking() { munmap(failed_, size_ + 1); }
    Forking(const Forking&) = delete;
    Forking& operator=(const Forking&) = delete;

    std::vector<BranchPoint> run() {
        {
            Worker worker([this](int, Progress& progress) { play(progress); });
            while (worker.read_more()) {
            }
        }
        std::vector<BranchPoint> moments;
        for (std::size_t i = 0; i < events_.size(); ++i) {
            BranchPoint& moment = moments.emplace_back(events_[i], options_.branches, 0);
            for (int k = 0; k < options_.branches; ++k) moment.fails += failed_[place(i, k)];
        }
        return moments;
    }

private:
    std::size_t place(std::size_t moment, int branch) const {
        return moment * static_cast<std::size_t>(options_.branches) +
               static_cast<std::size_t>(branch);
    }

    // In the worker, and on in each branch of it.
    void play(Progress& progress) {
        RunOptions run;
        run.choices = file_.options();
        run.choices.reseedable = true;
        run.after_step = [this](sim::World& world) { return step(world); };
        const SeedReport report = options_.play(file_, &progress, run);
        if (branch_) {
            const bool same = report.exit_code != exit_pass && report.oracle == failure_.oracle;
            failed_[*branch_] = same ? 1 : 0;
            _exit(0);
        }
        while (under_way_ > 0) reap();
    }

    // False: this run has told all.
    bool step(sim::World& world) {
        if (branch_) return !simulated_max_ || world.now() <= *simulated_max_;
        while (next_ < events_.size() && world.steps() == events_[next_]) {
            for (int k = 0; k < options_.branches; ++k)
                if (fork_branch(world, k)) return true;
            ++next_;
        }
        return next_ < events_.size();
    }

    // True in the branch.
    bool fork_branch(sim::World& world, int number) {
        while (under_way_ >= options_.jobs) reap();
        const pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid > 0) {
            ++under_way_;
            pids_.emplace_back(pid, place(next_, number));
            return false;
        }
        branch_ = place(next_, number);
        alarm(branch_seconds_max); // Ends it if it hangs.
        world.choices().reseed(events_[next_] * 1000 + static_cast<std::uint64_t>(number) + 1);
        return true;
    }

    void reap() {
        int status = 0;
        const pid_t pid = wait(&status);
        CHECK(pid > 0);
        --under_way_;
        const auto found = std::ranges::find(pids_, pid, &std::pair<pid_t, std::size_t>::first);
        CHECK(found != pids_.end());
        const bool crashed =
            WIFSIGNALED(status) ? WTERMSIG(status) != SIGALRM : WEXITSTATUS(status) != 0;
        if (crashed && failure_.oracle == "crash") failed_[found->second] = 1;
        pids_.erase(found);
    }

    const ChoicesFile& file_;
    const SeedReport& failure_;
    const std::optional<Duration> simulated_max_;
    const WhyOptions& options_;
    const std::vector<std::uint64_t>& events_;
    const std::size_t size_;
    unsigned char* failed_ = nullptr; // 1: with the same oracle.
    std::vector<std::pair<pid_t, std::size_t>> pids_;
    std::optional<std::size_t> branch_;
    std::size_t next_ = 0;
    int under_way_ = 0;
};

// What happened just before that event, and just behind it.
std::vector<std::string> trace_around(const ChoicesFile& file, std::uint64_t event,
                                      const PlayHere& play) {
    Worker worker([&](int fd, Progress& progress) {
        std::deque<std::string> last;
        std::size_t behind = 0;
        bool reached = false, ended = false;
        RunOptions run;
        run.choices = file.options();
        run.trace = [&](std::string_view line) {
            if (ended) return;
            last.emplace_back(line);
            if (!reached && last.size() > lines_before) last.pop_front();
            if (reached) ++behind;
        };
        run.after_step = [&](sim::World& world) {
            if (!reached && world.steps() >= event) {
                reached = true;
                last.push_back("---- event " + std::to_string(event));
            }
            ended = behind >= lines_behind;
            return !ended;
        };
        run.at_end = [&](sim::World&) { ended = true; };
        (void)play(file, &progress, run);
        for (std::string& line : last) {
            std::ranges::replace(line, '\n', ' ');
            write_all(fd, line + '\n');
        }
    });
    while (worker.read_more()) {
    }
    std::vector<std::string> lines;
    while (auto line = worker.take_line()) lines.push_back(std::move(*line));
    return lines;
}

} // namespace

Why why(const ChoicesFile& file, const WhyOptions& options) {
    Why why;
    why.failure = replay(file, {{}, run_time_max, options.play}).report;
    if (why.failure.exit_code == exit_pass || why.failure.oracle == "hang") return why;
    // A failure while faults last comes again soon, or is another.
    std::optional<Duration> simulated_max;
    if (why.failure.time < draw_plan(file.seed, file.edits).length)
        simulated_max = why.failure.time + why_later_max;
    const std::uint64_t last = why.failure.event - 1;
    why.first = first_sure(
        0, last, options.search,
        [&](const std::vector<std::uint64_t>& events) {
            auto moments = Forking(file, why.failure, simulated_max, options, events).run();
            if (options.progress)
                for (const BranchPoint& moment : moments)
                    options.progress("event=" + std::to_string(moment.event) +
                                     " fails=" + std::to_string(moment.fails) + '/' +
                                     std::to_string(moment.branches));
            return moments;
        },
        why.moments);
    if (why.first) why.trace = trace_around(file, why.first->event, options.play);
    return why;
}

} // namespace pyralog::simtest
