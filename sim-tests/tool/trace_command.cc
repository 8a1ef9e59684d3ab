// pyralog-sim trace: a run as a page to look at.
#include "core/base/config.h"
#include "sim-tests/swarm.h"
#include "sim-tests/tool/commands.h"
#include "sim-tests/tool/page.h"
#include "sim-tests/tool/run_source.h"
#include "sim-tests/tool/worker.h"

#include <cstdio>

namespace pyralog::simtest {
namespace {

struct TraceArguments {
    RunSource source;
    std::string out;
    PageWindow window;
};

// Each row leaves the worker at once: if it dies, what it was doing is what is wanted.
PageInput record(const ChoicesFile& file, const TraceArguments& options) {
    Worker worker([&](int fd, Progress& progress) {
        RowMaker rows([fd](const std::string& row) { write_all(fd, row + '\n'); });
        RunHere what{.seed = file.seed, .bug = file.bug, .edits = file.edits};
        what.choices = file.options();
        const SeedReport report = run_here(what, &progress, rows.options());
        write_all(fd, "=" + to_json(report) + '\n');
    });
    PageInput input;
    std::optional<SeedReport> report;
    for (bool more = true; more;) {
        more = worker.read_more();
        while (auto line = worker.take_line()) {
            std::string problem;
            if (line->starts_with('='))
                report = seed_report_from(line->substr(1), problem);
            else
                input.rows.push_back(std::move(*line));
        }
    }
    input.report = report ? std::move(*report) : worker.post_mortem(false);
    input.plan = to_string(draw_plan(file.seed, file.edits));
    input.replay = replay_command(options.source, file, input.report);
    input.window = options.window;
    return input;
}

int write_page(const ChoicesFile& file, const TraceArguments& options) {
    const PageInput input = record(file, options);
    if (input.rows.empty())
        std::fprintf(stderr, "pyralog-sim: nothing has happened before it ended\n");
    std::string out = options.out;
    if (out.empty())
        out = options.source.seed ? "seed-" + std::to_string(file.seed) + ".html"
                                  : options.source.choices + ".html";
    const std::string page = page_html(page_data(input));
    if (!write_file(out, page)) return exit_usage;
    if (input.report.exit_code != exit_pass)
        std::printf("%s\n", failure_told(input.report, input.replay).c_str());
    std::printf("%s: %zu events, %zu bytes; replay: %s\n", out.c_str(), input.rows.size(),
                page.size(), input.replay.c_str());
    if (!file.oracle.empty() && input.report.oracle != file.oracle)
        std::printf("expected oracle=%s\n", file.oracle.c_str());
    return input.report.exit_code;
}

// "12s" is a time of the world, and "1234" a step.
void add_edge(Syntax& syntax, const char* name, const char* help, std::optional<Duration>& time,
              std::optional<std::uint64_t>& step) {
    const auto read = [&time, &step](const std::string& text) -> std::string {
        step = parse_number(text);
        if (!step) time = parse_duration(text);
        return step || time ? "" : "neither a time nor an event: " + text;
    };
    syntax.option(name, "TIME|EVENT", read, help);
}

class TraceCommand final : public Command {
public:
    TraceCommand()
        : Command("trace", "A run as one HTML page, which shows who did and said what and when") {}

    void add(Syntax& syntax) override {
        add_run(syntax, options_.source);
        add_edge(syntax, "--from", "Show all from here on; else as much as a page holds",
                 options_.window.from, options_.window.from_step);
        add_edge(syntax, "--to", "And up to here", options_.window.to, options_.window.to_step);
        syntax.file("--out", options_.out, "The page; seed-N.html or FILE.html unless told");
    }
    int run() override {
        const auto file = read_run(options_.source);
        return file ? write_page(*file, options_) : static_cast<int>(exit_usage);
    }

private:
    TraceArguments options_;
};

} // namespace

std::unique_ptr<Command> make_trace() { return std::make_unique<TraceCommand>(); }

} // namespace pyralog::simtest
