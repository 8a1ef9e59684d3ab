// pyralog-sim why: when a failure became sure.
#include "sim-tests/tool/commands.h"
#include "sim-tests/tool/run_source.h"
#include "sim-tests/tool/why.h"

#include <cstdio>

namespace pyralog::simtest {
namespace {

class WhyCommand final : public Command {
public:
    WhyCommand()
        : Command("why", "The first moment behind which most branches of a run fail, too") {}

    void add(Syntax& syntax) override {
        add_run(syntax, source_);
        add_jobs(syntax, options_.jobs);
        syntax.number("--branches", options_.branches, 1000, "From each moment");
    }

    int run() override {
        const auto file = read_run(source_);
        if (!file) return exit_usage;
        options_.progress = [](std::string_view line) {
            std::fprintf(stderr, "why: %.*s\n", static_cast<int>(line.size()), line.data());
        };
        const Why found = why(*file, options_);
        if (found.failure.exit_code == exit_pass || found.failure.oracle == "hang") {
            std::printf("nothing to explain: it %s\n",
                        found.failure.exit_code == exit_pass ? "passes" : "hangs");
            return exit_usage;
        }
        print(found);
        return exit_pass;
    }

private:
    void print(const Why& found) const {
        std::printf("oracle=%s event=%llu time_us=%lld (%s)\n\n     event   fails\n",
                    found.failure.oracle.c_str(),
                    static_cast<unsigned long long>(found.failure.event),
                    static_cast<long long>(found.failure.time / Duration(1us)),
                    found.failure.detail.c_str());
        for (const BranchPoint& moment : found.moments)
            std::printf("%10llu %4d/%-4d%s\n", static_cast<unsigned long long>(moment.event),
                        moment.fails, moment.branches,
                        found.first && moment.event == found.first->event ? " <- sure from here"
                                                                          : "");
        if (!found.first)
            std::printf("\nnot even just before it failed was it sure: it depends on what came "
                        "last\n");
        else
            std::printf("\n");
        for (const std::string& line : found.trace) std::printf("%s\n", line.c_str());
    }

    RunSource source_;
    WhyOptions options_;
};

} // namespace

std::unique_ptr<Command> make_why() { return std::make_unique<WhyCommand>(); }

} // namespace pyralog::simtest
