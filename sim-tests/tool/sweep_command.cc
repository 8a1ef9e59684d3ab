// pyralog-sim sweep: many seeds.
#include "sim-tests/tool/commands.h"
#include "sim-tests/tool/quarantine.h"
#include "sim-tests/tool/sweep.h"

#include <cstdio>

namespace pyralog::simtest {
namespace {

struct SweepArguments {
    std::optional<SeedRange> seeds;
    std::optional<Duration> time;
    int jobs = 0;
    bool twice = false, keep_going = false, require_probes = false, show_probes = false;
    std::string bug, json;
    std::optional<Shard> shard;
};

int run_sweep(const SweepArguments& options) {
    SweepOptions sweeping;
    if (options.seeds) {
        sweeping.first = options.seeds->first;
        sweeping.end = options.seeds->end;
    }
    sweeping.time = options.time;
    if (!options.seeds && !options.time) sweeping.time = 60s;
    sweeping.jobs = options.jobs;
    sweeping.twice = options.twice;
    sweeping.keep_going = options.keep_going;
    sweeping.bug = options.bug;
    if (options.shard) {
        sweeping.shard = options.shard->number;
        sweeping.shards = options.shard->count;
    }
    const SweepReport report = sweep(sweeping);
    std::printf("%s", to_table(report).c_str());
    if (!options.json.empty() && !write_file(options.json, to_json(report))) return exit_usage;
    if (options.show_probes) std::printf("%s", all_sites(report).c_str());
    if (report.exit_code == exit_pass && report.interrupted) return exit_interrupted;
    if (!options.require_probes) return report.exit_code;
    const std::vector<std::string> missing = untested(report);
    for (const std::string& what : missing) std::printf("UNTESTED %s\n", what.c_str());
    return report.exit_code == exit_pass && !missing.empty() ? exit_untested : report.exit_code;
}

class SweepCommand final : public Command {
public:
    SweepCommand()
        : Command("sweep", "Many seeds, until the last of them or until the time is over") {}

    void add(Syntax& syntax) override {
        add_seeds(syntax, options_.seeds);
        add_time(syntax, options_.time, "For how long; 60s unless there are --seeds");
        add_jobs(syntax, options_.jobs);
        add_shard(syntax, options_.shard);
        add_bug(syntax, options_.bug);
        syntax.flag("--twice", options_.twice, "Each seed again, and the hash must be the same");
        syntax.flag("--keep-going", options_.keep_going, "After a failure");
        syntax.flag("--require-probes", options_.require_probes,
                    "Fail if a probe, a whim or a fault was never seen");
        syntax.flag("--show-probes", options_.show_probes, "Tell the counts of all of them");
        syntax.file("--json", options_.json, "Write the report there, for merge and others");
    }
    int run() override { return run_sweep(options_); }

private:
    SweepArguments options_;
};

} // namespace

std::unique_ptr<Command> make_sweep() { return std::make_unique<SweepCommand>(); }

} // namespace pyralog::simtest
