// pyralog-sim plan: what a seed means.
#include "core/base/config.h"
#include "sim-tests/swarm.h"
#include "sim-tests/tool/commands.h"
#include "sim-tests/tool/sweep.h"

#include <cstdio>

namespace pyralog::simtest {
namespace {

int show_plan(std::uint64_t seed) {
    Plan plan = draw_plan(seed);
    std::printf("%s\n", to_string(plan).c_str());
    for (const Setting& setting : settings_of(plan.config))
        std::printf("%s = %s\n", setting.name.c_str(), setting.get().c_str());
    return exit_pass;
}

class PlanCommand final : public Command {
public:
    PlanCommand() : Command("plan", "What a seed means, without running it") {}

    void add(Syntax& syntax) override { add_seed(syntax, seed_); }
    int run() override { return show_plan(seed_); }

private:
    std::uint64_t seed_ = 0;
};

} // namespace

std::unique_ptr<Command> make_plan() { return std::make_unique<PlanCommand>(); }

} // namespace pyralog::simtest
