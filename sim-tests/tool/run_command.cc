// pyralog-sim run: one seed.
#include "sim-tests/tool/commands.h"
#include "sim-tests/tool/first_difference.h"
#include "sim-tests/tool/worker.h"

#include <CLI/CLI.hpp>

#include <cstdio>

namespace pyralog::simtest {
namespace {

struct Options {
    std::uint64_t seed = 0;
    bool twice = false;
    std::string trace, bug;
    std::optional<bool> engine;
};

int run_one(const Options& options) {
    SeedReport report =
        run_apart({options.seed, options.bug, options.trace, false, options.engine});
    const bool compared = options.twice && report.exit_code == exit_pass;
    if (compared) compare_with_another_run(report, options.bug);
    if (report.exit_code != exit_pass) {
        std::printf("%s\n", failure_line(report, options.bug).c_str());
        const auto difference =
            compared ? first_difference(options.seed, options.bug) : std::nullopt;
        if (difference) std::printf("%s", to_string(*difference).c_str());
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

class RunCommand final : public Command {
public:
    CLI::App* add(CLI::App& program) override {
        CLI::App* const command = program.add_subcommand("run", "One seed; prints its hash");
        add_seed(*command, options_.seed);
        add_bug(*command, options_.bug);
        command->add_flag(
            "--twice", options_.twice,
            "And again: the hash must be the same; if it is not, shows where they part");
        command->add_option("--trace", options_.trace, "Write all that happens, as lines")
            ->type_name("FILE");
        add_kv(*command, options_.engine);
        command->get_option("--kv")->excludes("--twice");
        return command;
    }
    int run() override { return run_one(options_); }

private:
    Options options_;
};

} // namespace

std::unique_ptr<Command> make_run() { return std::make_unique<RunCommand>(); }

} // namespace pyralog::simtest
