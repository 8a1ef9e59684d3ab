// pyralog-sim-bugs bugs: is every planted bug found?
#include "sim-tests/tool/bugs.h"
#include "sim-tests/tool/commands.h"
#include "sim-tests/tool/sweep.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>

namespace pyralog::simtest {
namespace {

struct Options {
    std::optional<Duration> time;
    int jobs = 0;
    std::string bug;
};

#ifdef PYRALOG_BUGS
// Sweeps until the bug is caught. What the table says of it.
bool hunt(const PlantedBug& bug, const Options& options) {
    SweepOptions sweeping;
    sweeping.time = options.time.value_or(300s);
    sweeping.jobs = options.jobs;
    sweeping.bug = bug.name;
    sweeping.keep_going = true;
    sweeping.quiet = true;
    std::optional<SeedReport> caught;
    std::uint64_t reached = 0;
    std::string others;
    sweeping.watch = [&](const SeedReport& report) {
        if (report.bug_hits > 0) ++reached;
        if (report.exit_code == exit_pass) return true;
        const bool expected = std::ranges::find(bug.oracles, report.oracle) != bug.oracles.end();
        if (!expected || report.bug_hits == 0) {
            if (others.find(report.oracle) == std::string::npos)
                others += " also=\"" + report.oracle + "\"@" + std::to_string(report.seed);
            return true;
        }
        if (run_apart(report.seed, {}, {}).exit_code != exit_pass) return true;
        caught = report;
        return false;
    };
    const SweepReport report = sweep(sweeping);
    std::printf("%-4s %-7s %-36s %8.1f %6llu %8llu %10s  %s%s\n", std::string(bug.name).c_str(),
                caught ? "caught" : "MISSED", caught ? caught->oracle.c_str() : "-",
                static_cast<double>(report.cpu.count()) / 1e9,
                static_cast<unsigned long long>(report.seeds),
                static_cast<unsigned long long>(reached),
                caught ? std::to_string(caught->seed).c_str() : "-", std::string(bug.what).c_str(),
                others.c_str());
    std::fflush(stdout);
    return caught.has_value();
}

int run_bugs(const Options& options) {
    std::printf(
        "bug  verdict oracle                                cpu_s  seeds  reached       seed"
        "  what\n");
    bool all = true;
    for (const PlantedBug& bug : planted_bugs())
        if (options.bug.empty() || options.bug == bug.name) all &= hunt(bug, options);
    return all ? exit_pass : exit_safety;
}

#else

int run_bugs(const Options&) {
    std::fprintf(stderr, "planted bugs are only in pyralog-sim-bugs (PYRALOG_BUGS=ON)\n");
    return exit_usage;
}

#endif

class BugsCommand final : public Command {
public:
    CLI::App* add(CLI::App& program) override {
        CLI::App* const command = program.add_subcommand(
            "bugs", "Plants one bug after the other and sweeps until it is found; only in "
                    "pyralog-sim-bugs");
        add_time(*command, options_.time, "At most this long for each; 300s unless told");
        add_jobs(*command, options_.jobs);
        add_bug(*command, options_.bug);
        return command;
    }
    int run() override { return run_bugs(options_); }

private:
    Options options_;
};

} // namespace

std::unique_ptr<Command> make_bugs() { return std::make_unique<BugsCommand>(); }

} // namespace pyralog::simtest
