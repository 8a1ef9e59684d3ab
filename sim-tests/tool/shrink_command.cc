// pyralog-sim shrink: a run that fails, made small.
#include "sim-tests/tool/commands.h"
#include "sim-tests/tool/run_source.h"
#include "sim-tests/tool/shrink.h"

#include <algorithm>
#include <cstdio>

namespace pyralog::simtest {
namespace {

void print_run(const char* what, const Plan& plan, const Replayed& run) {
    std::printf("%-7s fault_events=%zu events=%llu time_us=%lld nodes=%d classes=%d producers=%d "
                "consumers=%d picks=%llu stored_batches=%llu\n",
                what, run.faults.size(), static_cast<unsigned long long>(run.report.event),
                static_cast<long long>(run.report.time / Duration(1us)), plan.nodes,
                static_cast<int>(std::ranges::count(plan.classes, true)), plan.workload.producers,
                plan.workload.consumers, static_cast<unsigned long long>(run.list.picks()),
                static_cast<unsigned long long>(run.report.stored));
}

class ShrinkCommand final : public Command {
public:
    ShrinkCommand() : Command("shrink", "Makes a run that fails small, and writes its choices") {}

    void add(Syntax& syntax) override {
        add_run(syntax, source_);
        add_time(syntax, time_, "For how long; 300s");
        add_jobs(syntax, jobs_);
        syntax.file("--out", out_, "Where to");
    }

    int run() override {
        const auto file = read_run(source_);
        if (!file) return exit_usage;
        ShrinkOptions options;
        options.jobs = jobs_;
        options.time = time_.value_or(options.time);
        options.progress = [](std::string_view line) {
            std::fprintf(stderr, "shrink: %.*s\n", static_cast<int>(line.size()), line.data());
        };
        const Shrunk shrunk = shrink(*file, options);
        if (!shrunk.fails) {
            std::printf("nothing to shrink: it %s\n",
                        shrunk.before.report.exit_code == exit_pass ? "passes" : "hangs");
            return exit_usage;
        }
        if (!write_file(out_, to_string(shrunk.file, shrunk.after.faults))) return exit_usage;
        std::printf("oracle=%s (%s)\n", shrunk.after.report.oracle.c_str(),
                    shrunk.after.report.detail.c_str());
        print_run("before", draw_plan(file->seed, file->edits), shrunk.before);
        print_run("after", draw_plan(shrunk.file.seed, shrunk.file.edits), shrunk.after);
        for (const sim::FaultEvent& fault : shrunk.after.faults)
            std::printf("fault us=%lld stream=%s number=%llu %s\n",
                        static_cast<long long>(fault.at / Duration(1us)), fault.stream.c_str(),
                        static_cast<unsigned long long>(fault.number), fault.what.c_str());
        std::printf("replays=%llu replay: pyralog-sim%s run --choices %s\n",
                    static_cast<unsigned long long>(shrunk.replays),
                    shrunk.file.bug.empty() ? "" : "-bugs", out_.c_str());
        return exit_pass;
    }

private:
    RunSource source_;
    std::optional<Duration> time_;
    int jobs_ = 1;
    std::string out_ = "shrunk.choices";
};

} // namespace

std::unique_ptr<Command> make_shrink() { return std::make_unique<ShrinkCommand>(); }

} // namespace pyralog::simtest
