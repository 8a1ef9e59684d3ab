// pyralog-sim hashes: what two builds have to agree on.
#include "sim-tests/tool/commands.h"
#include "sim-tests/tool/sweep.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <map>

namespace pyralog::simtest {
namespace {

struct Options {
    std::optional<SeedRange> seeds;
    int jobs = 0;
    std::optional<bool> engine;
};

int print_hashes(const Options& options) {
    std::map<std::uint64_t, std::uint64_t> hashes;
    SweepOptions sweeping;
    sweeping.first = options.seeds->first;
    sweeping.end = options.seeds->end;
    sweeping.jobs = options.jobs;
    sweeping.keep_going = true;
    sweeping.quiet = true;
    sweeping.engine = options.engine;
    sweeping.watch = [&](const SeedReport& report) {
        hashes[report.seed] = report.hash;
        return true;
    };
    const SweepReport report = sweep(sweeping);
    for (const auto& [seed, hash] : hashes)
        std::printf("%llu %016llx\n", static_cast<unsigned long long>(seed),
                    static_cast<unsigned long long>(hash));
    if (report.interrupted) return exit_interrupted;
    return report.exit_code;
}

class HashesCommand final : public Command {
public:
    CLI::App* add(CLI::App& program) override {
        CLI::App* const command = program.add_subcommand(
            "hashes", "Each seed's hash on a line, so that two builds can be compared");
        add_seeds(*command, options_.seeds);
        command->get_option("--seeds")->required();
        add_jobs(*command, options_.jobs);
        add_kv(*command, options_.engine);
        return command;
    }
    int run() override { return print_hashes(options_); }

private:
    Options options_;
};

} // namespace

std::unique_ptr<Command> make_hashes() { return std::make_unique<HashesCommand>(); }

} // namespace pyralog::simtest
