// pyralog-sim-bugs bugs: is every planted bug found?
#include "sim-tests/tool/bugs.h"
#include "sim-tests/tool/commands.h"
#include "sim-tests/tool/sweep.h"

#include <cstdio>

namespace pyralog::simtest {
namespace {

class BugsCommand final : public Command {
public:
    BugsCommand()
        : Command("bugs", "Plants one bug after the other, sweeps until it is found, and prints "
                          "which oracles saw it; only in pyralog-sim-bugs") {}

    void add(Syntax& syntax) override {
        add_time(syntax, options_.budget,
                 "At most this much CPU time for each, instead of its own");
        add_jobs(syntax, options_.jobs);
        options_.jobs = 1; // More of them find another seed first each time.
        add_bug(syntax, options_.only);
        syntax.seed("--from", options_.first_seed, "The first seed");
        syntax.file("--json", options_.json_path, "Also as JSON to this file; - for stdout");
        syntax.flag("--list", list_, "Which bugs there are, and what the others wait for");
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
