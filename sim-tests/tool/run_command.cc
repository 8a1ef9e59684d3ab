// pyralog-sim run: one run, from its seed or from its choices.
#include "sim-tests/tool/commands.h"
#include "sim-tests/tool/first_difference.h"
#include "sim-tests/tool/replay.h"
#include "sim-tests/tool/run_source.h"
#include "sim-tests/tool/worker.h"

#include <cstdio>
#include <deque>
#include <fstream>

#include <signal.h>

namespace pyralog::simtest {
namespace {

// By --twice. Whether addresses matter shows in some disorders of the heap, and not in others.
constexpr int runs_compared = 8;

struct RunArguments {
    RunSource source;
    bool twice = false;
    std::string trace, record, records;
    std::optional<std::uint64_t> until_event, break_at_event;
    std::optional<bool> engine;
};

void print(const SeedReport& report, const ChoicesFile& file, const RunSource& source) {
    const std::string replay = replay_command(source, file, report);
    if (report.exit_code != exit_pass)
        std::printf("%s\n", failure_told(report, replay).c_str());
    else
        std::printf(
            "pass seed=%llu events=%llu simulated_ms=%lld cpu_ms=%lld stored_batches=%llu "
            "read_records=%llu%s%s\n",
            static_cast<unsigned long long>(report.seed),
            static_cast<unsigned long long>(report.event),
            static_cast<long long>(report.time / 1ms), static_cast<long long>(report.cpu / 1ms),
            static_cast<unsigned long long>(report.stored),
            static_cast<unsigned long long>(report.read), source.choices.empty() ? "" : " replay: ",
            source.choices.empty() ? "" : replay.c_str());
    std::printf("hash=%016llx\n", static_cast<unsigned long long>(report.hash));
}

// In this process, so that a debugger stays with it, and up to a moment.
int run_to_event(const ChoicesFile& file, const RunArguments& options) {
    constexpr std::size_t lines_max = 40; // The last ones.
    std::deque<std::string> last;
    bool ended = false; // What comes now is the end of the world.
    RunOptions run;
    run.choices = file.options();
    const bool shows = options.until_event && options.trace.empty();
    if (shows)
        run.trace = [&](std::string_view line) {
            if (ended) return;
            if (last.size() == lines_max) last.pop_front();
            last.emplace_back(line);
        };
    run.after_step = [&](sim::World& world) {
        // What comes next is that event.
        if (options.break_at_event && world.steps() + 1 == *options.break_at_event) {
            std::fflush(nullptr);
            raise(SIGTRAP);
        }
        return !options.until_event || world.steps() < *options.until_event;
    };
    run.at_end = [&](sim::World&) { ended = true; };
    const SeedReport report = run_here(
        {.seed = file.seed, .bug = file.bug, .trace_path = options.trace, .edits = file.edits},
        nullptr, run);
    for (const std::string& line : last) std::printf("%s\n", line.c_str());
    if (report.exit_code == exit_pass && options.until_event)
        std::printf("stopped at event=%llu time_us=%lld\n",
                    static_cast<unsigned long long>(report.event),
                    static_cast<long long>(report.time / 1us));
    print(report, file, options.source);
    return report.exit_code;
}

int record_to(const ChoicesFile& file, const RunSource& source, const std::string& path) {
    const Replayed recorded = record(file);
    ChoicesFile out = file;
    out.listed = true;
    out.list = recorded.list;
    out.oracle = recorded.report.oracle;
    if (!write_file(path, to_string(out, recorded.faults))) return exit_usage;
    print(recorded.report, file, source);
    return recorded.report.exit_code;
}

int write_records(const ChoicesFile& file, const RunSource& source, const std::string& path) {
    std::ofstream out(path, std::ios::binary);
    RunOptions run;
    run.choices = file.options();
    run.record = [&](const sim::Record& record) { out << to_line(record) << '\n'; };
    const SeedReport report =
        run_here({.seed = file.seed, .bug = file.bug, .edits = file.edits}, nullptr, run);
    out.close();
    if (!out) {
        std::fprintf(stderr, "pyralog-sim: cannot write %s\n", path.c_str());
        return exit_usage;
    }
    print(report, file, source);
    return report.exit_code;
}

int run_one(const ChoicesFile& file, const RunArguments& options) {
    if (!options.records.empty()) return write_records(file, options.source, options.records);
    if (options.until_event || options.break_at_event) return run_to_event(file, options);
    if (!options.record.empty()) return record_to(file, options.source, options.record);
    RunHere what{
        .seed = file.seed, .bug = file.bug, .trace_path = options.trace, .edits = file.edits};
    what.choices = file.options();
    SeedReport report = run_apart(what);
    // A comparison is of seeds: of choices it says only whether the hashes are the same.
    const bool compared = options.twice && report.exit_code == exit_pass && options.source.seed;
    std::optional<Difference> difference;
    if (compared) difference = compare_with_other_runs(report, file.bug, runs_compared);
    if (options.twice && !options.source.seed) {
        what.trace_path.clear();
        const SeedReport again = run_apart(what);
        if (again.hash != report.hash) {
            report.exit_code = exit_not_deterministic;
            report.oracle = oracle::not_deterministic;
            report.detail = "two runs, two hashes";
        }
    }
    print(report, file, options.source);
    if (difference) std::printf("%s", to_string(*difference).c_str());
    if (!file.oracle.empty() && report.oracle != file.oracle)
        std::printf("expected oracle=%s\n", file.oracle.c_str());
    return report.exit_code;
}

class RunCommand final : public Command {
public:
    RunCommand() : Command("run", "One run, of a seed or of a file of choices") {}

    void add(Syntax& syntax) override {
        add_run(syntax, options_.source);
        syntax.flag("--twice", options_.twice,
                    "And again: the hash must be the same; if it is not, shows where they part");
        syntax.file("--trace", options_.trace, "Write all that happens, as lines");
        add_kv(syntax, options_.engine);
        syntax.exclude("--kv", "--twice");
        syntax.file("--record", options_.record, "Write its choices");
        syntax.file("--records", options_.records,
                    "Write all that its hash is made of, as lines, to compare builds");
        add_event(syntax, "--until-event", options_.until_event,
                  "Stop after this event, and show what came last");
        add_event(syntax, "--break-at-event", options_.break_at_event,
                  "Raise SIGTRAP just before this event, for a debugger");
    }

    int run() override {
        auto file = read_run(options_.source);
        if (!file) return exit_usage;
        if (options_.engine) file->edits.engine = options_.engine;
        return run_one(*file, options_);
    }

private:
    static void add_event(Syntax& syntax, const std::string& name,
                          std::optional<std::uint64_t>& event, const std::string& help) {
        const auto read = [&event](const std::string& text) -> std::string {
            event = parse_number(text);
            return event ? "" : "not a number: " + text;
        };
        syntax.option(name, "N", read, help);
    }

    RunArguments options_;
};

} // namespace

std::unique_ptr<Command> make_run() { return std::make_unique<RunCommand>(); }

} // namespace pyralog::simtest
