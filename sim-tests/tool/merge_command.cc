// pyralog-sim merge: the reports of several sweeps, as if they had been one.
#include "sim-tests/tool/commands.h"
#include "sim-tests/tool/report.h"

#include <cstdio>
#include <fstream>
#include <sstream>
#include <vector>

namespace pyralog::simtest {
namespace {

struct MergeArguments {
    std::vector<std::string> reports;
    std::string json;
};

std::optional<SweepReport> read_report(const std::string& path) {
    const std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    std::string problem = "cannot be read";
    std::optional<SweepReport> report;
    if (file) report = sweep_report_from(text.str(), problem);
    if (!report) std::fprintf(stderr, "pyralog-sim: %s: %s\n", path.c_str(), problem.c_str());
    return report;
}

int merge_all(const MergeArguments& options) {
    std::optional<SweepReport> all;
    for (const std::string& path : options.reports) {
        const auto report = read_report(path);
        if (!report) return exit_usage;
        all = all ? merge(*all, *report) : *report;
    }
    std::printf("%s", to_table(*all).c_str());
    if (!options.json.empty() && !write_file(options.json, to_json(*all))) return exit_usage;
    if (all->exit_code == exit_pass && all->interrupted) return exit_interrupted;
    return all->exit_code;
}

class MergeCommand final : public Command {
public:
    MergeCommand()
        : Command("merge",
                  "The reports of several sweeps as one; the exit code is that of the worst") {}

    void add(Syntax& syntax) override {
        syntax.files("reports", options_.reports, "What sweep --json has written");
        syntax.require("reports");
        syntax.file("--json", options_.json, "Write the sum there");
    }
    int run() override { return merge_all(options_); }

private:
    MergeArguments options_;
};

} // namespace

std::unique_ptr<Command> make_merge() { return std::make_unique<MergeCommand>(); }

} // namespace pyralog::simtest
