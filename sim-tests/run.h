// sim-tests/run.h
//
// One seed, from the empty world to the verdict. Clients work while the nemesis breaks things; then
// a random core is healed and the other nodes stay broken (core.h), and the core has to make
// progress within a bound of its own time: a record is stored in every partition and everything can
// be read. At last all nodes run, must come to agree, and hold the same bytes.
//
// A run is a function of its seed: the same hash in every build and every process.
#pragma once

#include "core/base/site.h"
#include "io/sim/choices.h"
#include "io/sim/faults.h"
#include "io/sim/record.h"
#include "io/sim/trace.h"
#include "io/sim/world.h"
#include "raft/consensus.h"
#include "sim-tests/check_history.h"
#include "sim-tests/excuse.h"
#include "sim-tests/swarm.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog::simtest {

enum class Verdict : std::uint8_t { pass, safety, liveness };
std::string_view to_string(Verdict verdict);

// How far a run has come, for whoever watches from another process and finds it dead.
struct Progress {
    std::uint64_t seed = 0;
    std::uint64_t event = 0;
    Duration time{0};
    std::uint64_t bug_hits = 0; // In a build with planted bugs; whoever watches sets it up.
};

struct RunResult {
    std::uint64_t seed = 0;
    Verdict verdict = Verdict::pass;
    std::optional<Finding> finding; // Unless it passed.
    std::uint64_t event = 0;        // Steps of the world until it ended, or failed.
    Duration time{0};
    std::uint64_t hash = 0;
    sim::FaultCounts counts;
    std::vector<sites::Count> sites; // Probes and whims, all that there are.
    ExcuseCounts excuses;            // What was not demanded, with a proof: excuse.h.
    std::uint64_t stored = 0, refused = 0, unknown = 0, read = 0; // Batches, and records.
    std::uint64_t requests = 0; // Produce, Fetch and ListOffsets; of the last two the answered.
};

struct RunOptions {
    std::function<void(std::string_view line)> trace;      // If there is one.
    std::function<void(const sim::Record& record)> record; // All that the hash is made of.
    // All that happens in the world, and to replicas; and at the end what the clients know. Instead
    // of `trace`.
    std::function<void(const sim::TraceEvent& event)> listener;
    std::function<void(NodeId node, GroupId group, const raft::Consensus& replica)> replicas;
    std::function<void(const History& history)> ended;
    Progress* progress = nullptr;
    std::optional<bool> engine; // run_seed(): instead of what the plan says.
    sim::ChoiceOptions choices; // Where they come from, and go to.
    // After each step of the world and what oracles say of it. False: the run ends here.
    std::function<bool(sim::World& world)> after_step;
    std::function<void(sim::World& world)> at_end;
    bool judges = true; // False: the same run, and nobody looks at it. For what looking costs.
};

RunResult run_plan(const Plan& plan, const RunOptions& options = {});
inline RunResult run_seed(std::uint64_t seed, const RunOptions& options = {}) {
    Plan plan = draw_plan(seed);
    plan.engine = options.engine.value_or(plan.engine);
    return run_plan(plan, options);
}

// How long a healed cluster may take to answer everybody.
Duration progress_bound(const Plan& plan);

namespace oracle {
inline constexpr std::string_view no_progress = "no-progress";
inline constexpr std::string_view no_agreement = "no-agreement";
} // namespace oracle

} // namespace pyralog::simtest
