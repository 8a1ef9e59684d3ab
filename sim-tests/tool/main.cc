// pyralog-sim: runs seeds, one or many. See TESTING.md.

#include "core/base/bug.h"
#include "sim-tests/tool/bugs.h"
#include "sim-tests/tool/sweep.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <thread>

namespace pyralog::simtest {
namespace {

constexpr const char* usage = R"(usage:
  pyralog-sim run --seed N [--twice] [--trace FILE] [--bug NAME]
  pyralog-sim sweep [--seeds A..B] [--for 60s] [--jobs N] [--twice] [--keep-going] [--bug NAME]
  pyralog-sim plan --seed N
  pyralog-sim bugs [--for 300s] [--jobs N] [--bug NAME]      (in the build with planted bugs)

  run     one seed; prints its hash.     --twice: again, and the hash must be the same
  sweep   many seeds, until the last of them or until the time is over
  plan    what a seed means, without running it
  bugs    for each planted bug: sweeps until it is found, for at most this long

exit codes: 0 pass, 1 usage, 2 safety, 3 liveness, 4 not deterministic
)";

struct Options {
    std::string command;
    std::optional<std::uint64_t> seed;
    std::optional<std::pair<std::uint64_t, std::uint64_t>> seeds;
    std::optional<Duration> time;
    int jobs = 0;
    bool twice = false, keep_going = false;
    std::string trace, bug;
};

std::optional<std::uint64_t> number(std::string_view text) {
    if (text.empty() || text.size() > 19) return {};
    std::uint64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return {};
        value = value * 10 + static_cast<std::uint64_t>(c - '0');
    }
    return value;
}

// "A..B", both included.
std::optional<std::pair<std::uint64_t, std::uint64_t>> range(std::string_view text) {
    const std::size_t dots = text.find("..");
    if (dots == std::string_view::npos) return {};
    const auto first = number(text.substr(0, dots));
    const auto last = number(text.substr(dots + 2));
    if (!first || !last || *last < *first) return {};
    return std::pair(*first, *last + 1);
}

std::optional<Options> parse(std::span<char*> arguments) {
    Options options;
    if (arguments.size() < 2) return {};
    options.command = arguments[1];
    for (std::size_t i = 2; i < arguments.size(); ++i) {
        const std::string_view name = arguments[i];
        if (name == "--twice") {
            options.twice = true;
            continue;
        }
        if (name == "--keep-going") {
            options.keep_going = true;
            continue;
        }
        if (++i == arguments.size()) return {};
        const std::string_view value = arguments[i];
        bool good = true;
        if (name == "--seed") {
            good = (options.seed = number(value)).has_value();
        } else if (name == "--seeds") {
            good = (options.seeds = range(value)).has_value();
        } else if (name == "--for") {
            good = (options.time = parse_duration(value)).has_value();
        } else if (name == "--jobs") {
            const auto jobs = number(value);
            good = jobs && *jobs >= 1 && *jobs <= 1024;
            if (good) options.jobs = static_cast<int>(*jobs);
        } else if (name == "--trace") {
            options.trace = value;
        } else if (name == "--bug") {
            options.bug = value;
        } else {
            good = false;
        }
        if (!good) return {};
    }
    if (options.jobs == 0)
        options.jobs = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    return options;
}

int run_one(const Options& options) {
    SeedReport report = run_apart(*options.seed, options.bug, options.trace);
    if (options.twice && report.exit_code == exit_pass) {
        const SeedReport again = run_apart(*options.seed, options.bug, {});
        if (again.hash != report.hash || again.exit_code != report.exit_code) {
            report.exit_code = exit_not_deterministic;
            report.oracle = "determinism";
            report.detail = "two runs, two hashes";
        }
    }
    if (report.exit_code != exit_pass) {
        std::printf("%s\n", failure_line(report, options.bug).c_str());
    } else {
        std::printf("pass seed=%llu events=%llu simulated_ms=%lld cpu_ms=%lld stored_batches=%llu "
                    "read_records=%llu\n",
                    static_cast<unsigned long long>(report.seed),
                    static_cast<unsigned long long>(report.event),
                    static_cast<long long>(report.time / 1ms),
                    static_cast<long long>(report.cpu / 1ms),
                    static_cast<unsigned long long>(report.stored),
                    static_cast<unsigned long long>(report.read));
    }
    std::printf("hash=%016llx\n", static_cast<unsigned long long>(report.hash));
    return report.exit_code;
}

int run_sweep(const Options& options) {
    SweepOptions sweeping;
    if (options.seeds) {
        sweeping.first = options.seeds->first;
        sweeping.end = options.seeds->second;
    }
    sweeping.time = options.time;
    if (!options.seeds && !options.time) sweeping.time = 60s;
    sweeping.jobs = options.jobs;
    sweeping.twice = options.twice;
    sweeping.keep_going = options.keep_going;
    sweeping.bug = options.bug;
    const SweepReport report = sweep(sweeping);
    std::printf("%s", to_table(report).c_str());
    int worst = exit_pass;
    for (const SeedReport& failure : report.failures)
        if (worst == exit_pass || failure.exit_code < worst) worst = failure.exit_code;
    return worst;
}

int show_plan(const Options& options) {
    Plan plan = draw_plan(*options.seed);
    std::printf("%s\n", to_string(plan).c_str());
    for (const Setting& setting : settings_of(plan.config))
        std::printf("%s = %s\n", setting.name.c_str(), setting.get().c_str());
    return exit_pass;
}

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

#endif

int main(std::span<char*> arguments) {
    const auto options = parse(arguments);
    if (options) {
#ifdef PYRALOG_BUGS
        if (options->command == "bugs") return run_bugs(*options);
#else
        if (!options->bug.empty() || options->command == "bugs") {
            std::fprintf(stderr, "planted bugs are only in pyralog-sim-bugs (PYRALOG_BUGS=ON)\n");
            return exit_usage;
        }
#endif
        if (options->command == "run" && options->seed) return run_one(*options);
        if (options->command == "plan" && options->seed) return show_plan(*options);
        if (options->command == "sweep") return run_sweep(*options);
    }
    std::fprintf(stderr, "%s", usage);
    return exit_usage;
}

} // namespace
} // namespace pyralog::simtest

int main(int argc, char** argv) {
    return pyralog::simtest::main({argv, static_cast<std::size_t>(argc)});
}
