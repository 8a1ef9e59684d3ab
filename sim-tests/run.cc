#include "sim-tests/run.h"

#include "io/sim/rocksdb/engine.h"
#include "sim-tests/check_cluster.h"
#include "sim-tests/cluster.h"
#include "sim-tests/nemesis.h"
#include "sim-tests/workload.h"

#include <algorithm>

namespace pyralog::simtest {

namespace {

constexpr NodeId finisher{first_client.value + 900};

// Clients have no facts.
std::unique_ptr<KvStore> store_for(const sim::World::StoreContext& context) {
    return context.node < first_client ? sim::make_engine(context) : nullptr;
}

// One run's parts, in the order in which they depend on each other.
class Run {
public:
    Run(const Plan& plan, const RunOptions& options)
        : plan_(plan), options_(options), world_(plan.seed, plan.faults), cluster_(world_, plan_),
          workload_(plan.workload, history_, cluster_.kafka_addresses(),
                    [this] { return world_.now(); }),
          programs_(workload_.programs()), check_(cluster_, media_, history_),
          nemesis_(cluster_, media_, plan_, clients()) {
        if (options.trace) world_.set_trace(options.trace);
        if (options.listener) world_.set_listener(options.listener);
        if (options.record) world_.set_recorder(options.record);
        check_.on_change(options.replicas);
        world_.trace(to_string(plan));
        if (plan_.engine) world_.use_store(store_for);
        // Disks are there before the first boot, so that oracles can look at them at any time.
        for (const NodeId node : cluster_.nodes()) {
            world_.add_host(node, kafka_address_of(node).host);
            media_.try_emplace(node, world_.disk(node));
        }
        world_.set_observer([this] { observe(); });
    }

    // What runs in the world refers to what is destroyed before it.
    ~Run() {
        world_.set_observer({});
        world_.set_listener({}); // The run is over: that its nodes end now is no part of it.
        for (const NodeId node : world_.nodes()) world_.kill(node);
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    RunResult run() {
        sites::begin();
        for (const NodeId node : cluster_.nodes()) cluster_.start(node);
        for (const Workload::Program& program : programs_) world_.boot(program.node, program.main);
        nemesis_.begin();
        proceed(plan_.length, [] { return false; });
        if (!finding_) heal();
        // Raft's invariants have said the same of the nodes that run.
        if (!finding_ && options_.judges && !plan_.unlimited_damage)
            finding_ = check_.compare_prefixes();
        if (!finding_ && options_.judges) finding_ = check_history(history_);
        return result();
    }

private:
    std::vector<NodeId> clients() const {
        std::vector<NodeId> nodes;
        for (const Workload::Program& program : programs_) nodes.push_back(program.node);
        return nodes;
    }

    void observe() {
        if (Progress* const progress = options_.progress) {
            progress->seed = plan_.seed;
            progress->event = world_.steps();
            progress->time = world_.now();
        }
        if (finding_) return;
        finding_ = cluster_.observe();
        const std::uint64_t elections = check_.elections();
        if (!finding_) finding_ = options_.judges ? check_.observe() : check_.watch();
        if (check_.elections() != elections) nemesis_.ambush(world_.stepped());
        nemesis_.observe();
    }

    // True once done() holds; false when `when` came first, or an oracle has fired.
    bool proceed(Duration when, const std::function<bool()>& done) {
        return world_.run_until(when, [&] { return finding_ || done(); }) && !finding_;
    }

    // Nodes whose disk is whole. Nothing repairs the others yet, so nothing is expected of them.
    std::vector<NodeId> whole() const {
        std::vector<NodeId> nodes = cluster_.nodes();
        std::erase_if(nodes, [this](NodeId node) { return cluster_.damaged(node); });
        return nodes;
    }

    // All of these but one, if nobody needs it: each group keeps a majority without it.
    std::vector<NodeId> draw_core() {
        std::vector<NodeId> core = whole();
        sim::Dice dice = world_.dice("core");
        if (core.size() < 3 || core.size() < cluster_.nodes().size() || dice.coin()) return core;
        for (const TopicPlan& topic : plan_.workload.topics)
            if (topic.replication == 1 || topic.replication == 2) return core;
        core.erase(core.begin() + static_cast<std::ptrdiff_t>(dice.pick(core.size())));
        return core;
    }

    void heal() {
        for (const NodeId client : clients()) world_.kill(client);
        const Duration bound = progress_bound(plan_);
        if (plan_.unlimited_damage) return read_what_is_left(bound);
        nemesis_.heal(draw_core());
        world_.trace("healed; progress is due");
        world_.boot(finisher, workload_.final_program(finisher));
        if (!proceed(world_.now() + bound, [this] { return workload_.final_done(); })) {
            if (!finding_) fail_liveness(oracle::no_progress, workload_.final_waits_for());
            return;
        }
        nemesis_.heal(whole());
        world_.trace("all nodes run; agreement is due");
        // Only once in a while: to look at all replicas after every step would be most of the run.
        const Duration end = world_.now() + bound;
        while (!check_.settled()) {
            if (world_.now() >= end)
                return fail_liveness(oracle::no_agreement, "replicas differ in what is committed");
            proceed(world_.now() + 20ms, [] { return false; });
            if (finding_) return;
        }
    }

    // There may be no majority of whole disks for anything. What can be read must be right.
    void read_what_is_left(Duration bound) {
        nemesis_.heal(cluster_.nodes());
        world_.trace("healed; nothing is due");
        world_.boot(finisher, workload_.final_program(finisher, Workload::Patience::some));
        proceed(world_.now() + bound, [this] { return workload_.final_done(); });
    }

    void fail_liveness(std::string_view oracle, std::string what) {
        finding_ = Finding{oracle, "waiting for " + std::move(what)};
        is_liveness_ = true;
    }

    RunResult result() {
        if (options_.ended) options_.ended(history_);
        RunResult result;
        result.seed = plan_.seed;
        result.finding = finding_;
        if (finding_) result.verdict = is_liveness_ ? Verdict::liveness : Verdict::safety;
        result.event = world_.steps();
        result.time = world_.now();
        result.hash = world_.hash();
        result.counts = world_.counts();
        result.sites = sites::counts();
        for (const Produce& produce : history_.produces()) {
            if (produce.outcome == Outcome::stored) ++result.stored;
            if (produce.outcome == Outcome::refused) ++result.refused;
            if (produce.outcome == Outcome::unknown) ++result.unknown;
        }
        result.requests =
            history_.produces().size() + history_.fetches().size() + history_.ends().size();
        for (const Fetch& fetch : history_.fetches()) result.read += fetch.seen.size();
        return result;
    }

    const Plan& plan_;
    const RunOptions& options_;
    History history_;
    sim::World world_;
    Cluster cluster_;
    std::map<NodeId, NodeMedia> media_;
    Workload workload_;
    std::vector<Workload::Program> programs_;
    ClusterCheck check_;
    Nemesis nemesis_;
    std::optional<Finding> finding_;
    bool is_liveness_ = false;
};

} // namespace

std::string_view to_string(Verdict verdict) {
    switch (verdict) {
    case Verdict::pass: return "pass";
    case Verdict::safety: return "safety";
    case Verdict::liveness: return "liveness";
    }
    check_failed("a known Verdict", __FILE__, __LINE__);
}

Duration progress_bound(const Plan& plan) {
    server::Config config = plan.config;
    std::vector<Setting> settings = settings_of(config);
    const Setting* election = find_setting(settings, "raft.election_timeout");
    CHECK(election != nullptr);
    return 30s + 30 * *parse_duration(election->get());
}

RunResult run_plan(const Plan& plan, const RunOptions& options) { return Run(plan, options).run(); }

} // namespace pyralog::simtest
