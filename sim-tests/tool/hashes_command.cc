// pyralog-sim hashes: what two builds have to agree on.
#include "sim-tests/tool/commands.h"
#include "sim-tests/tool/sweep.h"

#include <array>
#include <cstdio>
#include <map>

namespace pyralog::simtest {
namespace {

struct HashesArguments {
    std::optional<SeedRange> seeds;
    int jobs = 0;
    bool perturbed = false;
    std::optional<bool> engine;
};

int print_hashes(const HashesArguments& options) {
    std::map<std::uint64_t, std::string> lines;
    SweepOptions sweeping;
    sweeping.first = options.seeds->first;
    sweeping.end = options.seeds->end;
    sweeping.jobs = options.jobs;
    sweeping.keep_going = true;
    sweeping.quiet = true;
    sweeping.perturbed = options.perturbed;
    sweeping.engine = options.engine;
    sweeping.watch = [&](const SeedReport& report) {
        std::array<char, 64> hash{};
        std::snprintf(hash.data(), hash.size(), "%016llx %llu ",
                      static_cast<unsigned long long>(report.hash),
                      static_cast<unsigned long long>(report.event));
        lines[report.seed] =
            hash.data() + (report.exit_code == exit_pass ? std::string("pass") : report.oracle);
        return true;
    };
    const SweepReport report = sweep(sweeping);
    for (const auto& [seed, line] : lines)
        std::printf("%llu %s\n", static_cast<unsigned long long>(seed), line.c_str());
    if (report.interrupted) return exit_interrupted;
    return report.exit_code;
}

class HashesCommand final : public Command {
public:
    HashesCommand()
        : Command("hashes", "Each seed's hash, events and verdict on a line, so that two builds "
                            "can be compared") {}

    void add(Syntax& syntax) override {
        add_seeds(syntax, options_.seeds);
        syntax.require("--seeds");
        add_jobs(syntax, options_.jobs);
        syntax.flag("--disorder", options_.perturbed,
                    "With heaps in disorder, so that addresses come in another order");
        add_kv(syntax, options_.engine);
    }
    int run() override { return print_hashes(options_); }

private:
    HashesArguments options_;
};

} // namespace

std::unique_ptr<Command> make_hashes() { return std::make_unique<HashesCommand>(); }

} // namespace pyralog::simtest
