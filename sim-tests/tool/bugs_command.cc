// pyralog-sim-bugs bugs: is every planted bug found?
#include "sim-tests/tool/bugs.h"
#include "sim-tests/tool/commands.h"
#include "sim-tests/tool/sweep.h"

#include <CLI/CLI.hpp>

#include <cstdio>

namespace pyralog::simtest {
namespace {

class BugsCommand final : public Command {
public:
    CLI::App* add(CLI::App& program) override {
        CLI::App* const command = program.add_subcommand(
            "bugs", "Plants one bug after the other, sweeps until it is found, and prints which "
                    "oracles saw it; only in pyralog-sim-bugs");
        add_time(*command, options_.budget,
                 "At most this much CPU time for each, instead of its own");
        add_jobs(*command, options_.jobs);
        options_.jobs = 1; // More of them find another seed first each time.
        add_bug(*command, options_.only);
        command->add_option("--from", options_.first_seed, "The first seed")
            ->type_name("SEED")
            ->capture_default_str();
        command->add_option("--json", options_.json_path, "Also as JSON to this file; - for stdout")
            ->type_name("FILE");
        command->add_flag("--list", list_, "Which bugs there are, and what the others wait for");
        return command;
    }
    int run() override {
        if (list_) {
            std::printf("%s", list_bugs().c_str());
            return exit_pass;
        }
#ifdef PYRALOG_BUGS
        return hunt_bugs(options_);
#else
        std::fprintf(stderr, "planted bugs are only in pyralog-sim-bugs (PYRALOG_BUGS=ON)\n");
        return exit_usage;
#endif
    }

private:
    BugOptions options_;
    bool list_ = false;
};

} // namespace

std::unique_ptr<Command> make_bugs() { return std::make_unique<BugsCommand>(); }

} // namespace pyralog::simtest
