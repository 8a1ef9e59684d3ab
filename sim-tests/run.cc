#include "sim-tests/run.h"

#include "io/sim/rocksdb/engine.h"
#include "server/catalogue.h"
#include "server/groups/coordinator.h"
#include "server/transactions/coordinator.h"
#include "sim-tests/ambush.h"
#include "sim-tests/check_cluster.h"
#include "sim-tests/check_groups.h"
#include "sim-tests/check_transactions.h"
#include "sim-tests/cluster.h"
#include "sim-tests/core.h"
#include "sim-tests/nemesis.h"
#include "sim-tests/prober.h"
#include "sim-tests/workload.h"

#include <algorithm>
#include <array>
#include <set>

namespace pyralog::simtest {

namespace {

// A run that has so much going on is healed before its time: what comes next is worth more.
constexpr std::uint64_t broken_steps_max = 500'000;
constexpr NodeId finisher{first_client.value + 900};
constexpr NodeId prober{first_client.value + 800};
// With each broker, so that what one of them waits for keeps the others from nothing.
constexpr int prober_talks = 3;

// Clients have no facts.
std::unique_ptr<KvStore> store_for(const sim::World::StoreContext& context) {
    return context.node < first_client ? sim::make_engine(context) : nullptr;
}

// One run's parts, in the order in which they depend on each other.
class Run {
public:
    Run(const Plan& plan, const RunOptions& options)
        : plan_(plan), options_(options), world_(plan.seed, plan.faults, options.choices),
          cluster_(world_, plan_), workload_(plan.workload, history_, cluster_.kafka_addresses(),
                                             [this] { return world_.now(); }),
          prober_(make_prober()), programs_(programs()), check_(cluster_, media_, history_),
          nemesis_(cluster_, media_, plan_, clients()),
          ambush_(cluster_, plan_, prober_ ? &*prober_ : nullptr) {
        if (options.trace) world_.set_trace(options.trace);
        if (options.listener) world_.set_listener(options.listener);
        if (options.record) world_.set_recorder(options.record);
        check_.on_change(options.replicas);
        check_.on_deleted([this](const std::string& topic) { return workload_.deleting(topic); });
        check_.on_lookup([this](const TopicPartition& partition) { return find_group(partition); });
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
        nemesis_.on_replace([this](NodeId node) { check_.replaced(node); });
        nemesis_.begin();
        proceed(plan_.length, [this] { return world_.steps() >= broken_steps_max; });
        if (!over()) heal();
        // Raft's invariants have said the same of the nodes that run.
        if (!over() && options_.judges && !plan_.unlimited_damage)
            finding_ = check_.compare_prefixes();
        if (!over() && options_.judges) {
            tell_of_leaders();
            finding_ = check_history(history_);
            if (!finding_) finding_ = check_groups(history_);
            if (!finding_) finding_ = check_transactions(history_);
        }
        if (options_.at_end) options_.at_end(world_);
        return result();
    }

private:
    std::optional<Prober> make_prober() {
        if (!plan_.workload.prober) return {};
        std::vector<TopicPartition> partitions;
        for (const TopicPlan& topic : plan_.workload.topics)
            for (std::int32_t i = 0; i < topic.partitions; ++i)
                partitions.push_back({topic.name, i});
        std::vector<sim::Dice> dice;
        std::vector<Address> brokers;
        for (int talk = 1; talk <= prober_talks; ++talk)
            for (const NodeId node : cluster_.nodes()) {
                dice.push_back(world_.dice("prober/" + std::to_string(node.value) + '/' +
                                           std::to_string(talk)));
                brokers.push_back(kafka_address_of(node));
            }
        return Prober(
            prober, std::move(partitions), history_, std::move(brokers),
            [this] { return world_.now(); }, std::move(dice));
    }

    std::vector<Workload::Program> programs() {
        std::vector<Workload::Program> programs = workload_.programs();
        if (prober_)
            programs.push_back({prober, "prober", [this](Environment& env) { prober_->run(env); }});
        return programs;
    }

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
        if (over()) return;
        finding_ = cluster_.observe();
        const std::uint64_t elections = check_.elections();
        if (!finding_) finding_ = options_.judges ? check_.observe() : check_.watch();
        if (check_.elections() != elections) nemesis_.ambush(world_.stepped());
        if (check_.groups_seen() != groups_seen_) remember_groups();
        ambush_.expect(history_.ends_asked());
        for (const Moment& moment : check_.take_moments()) ambush_.notice(moment);
        nemesis_.observe();
        if (options_.after_step && !options_.after_step(world_)) stopped_ = true;
    }

    // An oracle has fired, or somebody has seen enough.
    bool over() const { return finding_ || stopped_; }

    // True once done() holds; false when `when` came first, or an oracle has fired.
    bool proceed(Duration when, const std::function<bool()>& done) {
        return world_.run_until(when, [&] { return over() || done(); }) && !over();
    }

    // Nodes whose disk is whole. Nothing repairs the others yet, so nothing is expected of them.
    std::vector<NodeId> whole() const {
        std::vector<NodeId> nodes = cluster_.nodes();
        std::erase_if(nodes, [this](NodeId node) { return cluster_.damaged(node); });
        return nodes;
    }

    // Groups that somebody has, or will have when he has applied what is known to be decided.
    std::map<GroupId, raft::Members> groups() {
        std::map<GroupId, raft::Members> groups = check_.groups();
        for (const server::Topic& topic : known_topics())
            for (const server::Topic::Partition& partition : topic.partitions)
                groups[partition.group].voters = partition.replicas;
        return groups;
    }

    std::vector<server::Topic> known_topics() {
        std::vector<server::Topic> topics;
        const auto add = [&](const server::Catalogue& catalogue) {
            for (const auto& [name, topic] : catalogue.topics()) topics.push_back(topic);
        };
        for (const NodeId node : cluster_.nodes()) {
            // Facts that are in RocksDB cannot be seen from here; who runs has them in memory, too.
            if (const server::Catalogue* running = cluster_.catalogue(node)) add(*running);
            server::Catalogue catalogue({});
            for (const auto& [key, value] : world_.facts(node).durable())
                if (key.starts_with(server::Catalogue::prefix)) (void)catalogue.restore(key, value);
            add(catalogue);
        }
        return topics;
    }

    std::optional<GroupId> find_group(const TopicPartition& partition) {
        const auto found = group_of_.find(partition);
        return found == group_of_.end() ? std::nullopt : std::optional(found->second);
    }

    // While somebody runs who knows them: an answer may arrive when nobody does. A topic that is
    // made again has later groups.
    void remember_groups() {
        groups_seen_ = check_.groups_seen();
        for (const server::Topic& topic : known_topics())
            for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
                GroupId& group = group_of_[{topic.name, static_cast<std::int32_t>(i)}];
                group = std::max(group, topic.partitions[i].group);
            }
    }

    void tell_of_leaders() {
        const auto& elected = check_.elected();
        std::set<GroupId> told; // Every node knows every topic.
        for (const server::Topic& topic : known_topics())
            for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
                const auto of_group = elected.find(topic.partitions[i].group);
                if (of_group == elected.end() || !told.insert(of_group->first).second) continue;
                const std::int32_t partition =
                    history_.partition({topic.name, static_cast<std::int32_t>(i)});
                for (const ClusterCheck::Elected& leader : of_group->second)
                    history_.elected({partition, leader.term.value, leader.when});
            }
    }

    // Where the partitions of a topic will lie that is still being made is not known: then no more
    // than one node is left out, and none if there might be a partition that needs it.
    std::vector<NodeId> core_nodes(sim::Dice& dice) {
        const std::vector<NodeId> nodes = whole();
        // A run without any class of faults has none at its end either.
        if (std::ranges::none_of(plan_.classes, [](bool on) { return on; })) return nodes;
        // Until they have, each needs all others.
        if (!cluster_.have_met()) return nodes;
        const auto topics = known_topics();
        const bool all_known = std::ranges::all_of(plan_.workload.topics, [&](const auto& topic) {
            return workload_.deleting(topic.name) ||
                   std::ranges::find(topics, topic.name, &server::Topic::name) != topics.end();
        });
        const auto is_known = [&](std::string_view name) {
            return std::ranges::find(topics, name, &server::Topic::name) != topics.end();
        };
        const WorkloadPlan& work = plan_.workload;
        const bool needs_groups = work.groups.all() + work.transform.instances > 0;
        const bool needs_transactions = work.transactors + work.transform.instances > 0;
        const bool groups_known =
            (!needs_groups || is_known(server::offsets_topic_name)) &&
            (!needs_transactions || is_known(server::transactions_topic_name));
        if (all_known && groups_known) return draw_core(dice, nodes, cluster_.nodes(), groups());
        if (nodes.size() < 3 || nodes.size() < cluster_.nodes().size()) return nodes;
        for (const TopicPlan& topic : plan_.workload.topics)
            if (topic.replication == 1 || topic.replication == 2) return nodes;
        std::vector<NodeId> core = nodes;
        core.erase(core.begin() + static_cast<std::ptrdiff_t>(dice.pick(core.size())));
        return has_majorities(core, groups()) ? core : nodes;
    }

    void freeze_others(const std::vector<NodeId>& core, sim::Dice& dice, Duration until) {
        const bool finisher_calls_them = dice.coin();
        for (const NodeId node : cluster_.nodes()) {
            if (std::ranges::find(core, node) != core.end()) continue;
            const Fate fate = draw_fate(dice, cluster_, node);
            freeze(cluster_, node, fate, core, until);
            if (!finisher_calls_them && fate != Fate::well)
                world_.network().isolate(finisher, std::array{node});
        }
    }

    void heal() {
        for (const NodeId client : clients()) world_.kill(client);
        ambush_.stop();
        const Duration bound = progress_bound(plan_);
        if (plan_.unlimited_damage) return do_what_is_left(bound);
        const Duration frozen_until = world_.now() + bound;
        sim::Dice dice = world_.dice("core");
        const std::vector<NodeId> core = core_nodes(dice);
        nemesis_.heal(core);
        freeze_others(core, dice, frozen_until);
        world_.trace("healed; progress is due");
        std::vector<Address> addresses;
        for (const NodeId node : core) addresses.push_back(kafka_address_of(node));
        world_.boot(finisher, workload_.final_program(finisher, addresses));
        if (!proceed(frozen_until, [this] { return workload_.final_done(); })) {
            if (!over()) fail_liveness(oracle::no_progress, workload_.final_waits_for());
            return;
        }
        release(cluster_);
        nemesis_.heal(whole());
        world_.trace("all nodes run; agreement is due");
        // Only once in a while: to look at all replicas after every step would be most of the run.
        const Duration end = frozen_until + bound;
        while (!check_.settled()) {
            if (world_.now() >= end)
                return fail_liveness(oracle::no_agreement, "replicas differ in what is committed");
            proceed(world_.now() + 20ms, [] { return false; });
            if (over()) return;
        }
    }

    // There may be no majority of whole disks for anything. What cannot be done needs an excuse,
    // and what nobody excuses is due, each step within the bound.
    void do_what_is_left(Duration bound) {
        nemesis_.heal(cluster_.nodes());
        world_.trace("healed; progress is due where nothing is missing");
        const auto may_leave_out = [this](Workload::FinalStep step, const TopicPartition& of) {
            return is_excused(step, of);
        };
        world_.boot(finisher,
                    workload_.final_program(finisher, cluster_.kafka_addresses(), may_leave_out));
        while (!workload_.final_done()) {
            const std::uint64_t step = workload_.final_steps();
            const bool moved = proceed(world_.now() + bound, [&] {
                return workload_.final_done() || workload_.final_steps() != step;
            });
            if (over()) return;
            if (!moved) return fail_liveness(oracle::no_progress, workload_.final_waits_for());
        }
    }

    // A node is gone if its disk is, or if that is what it says itself.
    Disks disks() {
        Disks all{{}, groups()};
        for (const NodeId node : cluster_.nodes()) {
            const auto status = world_.running(node) ? std::nullopt : world_.exit_status(node);
            const bool refused = status && !status->ok() && status->error() == Error::corrupt;
            const raft::Host* const host = cluster_.host(node);
            const bool is_stranger = host && !host->disks().is_introduced();
            all.nodes[node] = {&world_.disk(node), refused || is_stranger || cluster_.lost(node),
                               known_to(node), host ? host->abstaining() : std::set<GroupId>()};
        }
        return all;
    }

    std::optional<std::set<GroupId>> known_to(NodeId node) {
        const server::Catalogue* catalogue = cluster_.catalogue(node);
        if (!catalogue) return {};
        std::set<GroupId> known{server::controller_group};
        for (const auto& [name, topic] : catalogue->topics())
            for (const auto& partition : topic.partitions) known.insert(partition.group);
        return known;
    }

    // The group that this step needs. Nobody knows it yet of a topic that is still to be made: that
    // is the controller's to do.
    GroupId group_of(Workload::FinalStep step, const TopicPartition& partition) {
        using Step = Workload::FinalStep;
        const bool has_coordinator = step == Step::group || step == Step::transaction;
        const std::string_view name = step == Step::group         ? server::offsets_topic_name
                                      : step == Step::transaction ? server::transactions_topic_name
                                                                  : partition.topic;
        for (const NodeId node : cluster_.nodes()) {
            const server::Catalogue* known = cluster_.catalogue(node);
            const server::Topic* topic = known ? known->find(name) : nullptr;
            if (!topic || step == Step::create) continue;
            const auto count = static_cast<std::int32_t>(topic->partitions.size());
            const std::int32_t number = has_coordinator
                                            ? server::partition_of_group(partition.topic, count)
                                            : partition.partition;
            return topic->partitions.at(static_cast<std::size_t>(number)).group;
        }
        return server::controller_group;
    }

    bool is_excused(Workload::FinalStep step, const TopicPartition& of) {
        const Disks there = disks();
        const bool to_read =
            step != Workload::FinalStep::create && step != Workload::FinalStep::store;
        if (is_excused(group_of(step, of), to_read, there)) return true;
        // Offsets are taken of topics that their coordinator has heard of.
        if (step == Workload::FinalStep::group && !know_the_same() && !finding_ &&
            is_excused(server::controller_group, false, there))
            return true;
        // It ends only when all its partitions know, and that may be any.
        return step == Workload::FinalStep::transaction &&
               std::ranges::any_of(there.groups, [&](const auto& group) {
                   return !finding_ && is_excused(group.first, to_read, there);
               });
    }

    // Have all nodes that run heard of the same topics?
    bool know_the_same() {
        const server::Catalogue* first = nullptr;
        for (const NodeId node : cluster_.nodes()) {
            const server::Catalogue* const known = cluster_.catalogue(node);
            if (!known) continue;
            if (first && !std::ranges::equal(
                             first->topics(), known->topics(), {},
                             [](const auto& topic) { return topic.first; },
                             [](const auto& topic) { return topic.first; }))
                return false;
            first = known;
        }
        return true;
    }

    bool is_excused(GroupId group, bool to_read, const Disks& there) {
        const auto excuse = excuse_for(group, to_read, there);
        if (!excuse) return false;
        if (const auto flaw = flaw_of(*excuse, there)) {
            finding_ = report(oracle::excuse_unfounded,
                              "group " + std::to_string(excuse->group.value) + ": " + *flaw);
            return false;
        }
        ++cluster_.excuses()["group/" + std::string(to_string(excuse->kind))];
        return true;
    }

    void fail_liveness(std::string_view oracle, std::string what) {
        finding_ = report(oracle, "waiting for " + std::move(what));
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
        result.excuses = cluster_.excuses();
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
    std::optional<Prober> prober_;
    std::vector<Workload::Program> programs_;
    ClusterCheck check_;
    Nemesis nemesis_;
    Ambush ambush_;
    std::optional<Finding> finding_;
    bool is_liveness_ = false;
    std::map<TopicPartition, GroupId> group_of_;
    std::size_t groups_seen_ = 0;
    bool stopped_ = false;
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

Duration progress_bound(const Plan& plan) { return 30s + 30 * election_timeout_of(plan); }

RunResult run_plan(const Plan& plan, const RunOptions& options) { return Run(plan, options).run(); }

} // namespace pyralog::simtest
