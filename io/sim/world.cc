#include "io/sim/world.h"

#include <algorithm>

namespace pyralog::sim {

namespace {

// A node's log lines, in the trace.
class TraceSink final : public Logger::Sink {
public:
    TraceSink(Timeline& timeline, NodeId node) : timeline_(timeline), node_(node) {}
    void write(Level level, std::string_view event, Logger::Fields fields) override {
        timeline_.trace({.kind = TraceKind::log, .node = node_}, [&] {
            return std::string(to_string(level)) + ' ' + to_line(event, fields);
        });
    }
    bool takes_all() const override { return timeline_.tracing(); }

private:
    Timeline& timeline_;
    NodeId node_;
};

std::string boot_name(NodeId node, std::uint64_t boot) {
    return "node/" + std::to_string(node.value) + "/boot/" + std::to_string(boot);
}

} // namespace

struct World::Process {
    Process(Timeline& timeline, StackPool& stacks, Fabric& fabric, Node& node,
            const MakeStore& make_store)
        : fibers(stacks), clock(node.time), disk(node.disk, fibers, node.boots),
          network(fabric, fibers, node.id, node.boots), facts(node.facts, fibers, node.boots),
          random(timeline.root.random(boot_name(node.id, node.boots))), sink(timeline, node.id),
          log(sink, Level::error),
          store(make_store ? make_store({timeline, node.id, node.boots, node.disk, fibers, log})
                           : nullptr),
          env{clock,  disk,   network, store ? *store : static_cast<KvStore&>(facts),
              fibers, random, metrics, log} {}

    Scheduler fibers;
    SimClock clock;
    SimDisk disk;
    SimNetwork network;
    SimKvStore facts;
    Random random;
    Metrics metrics;
    TraceSink sink;
    Logger log;
    std::unique_ptr<KvStore> store; // In place of the model, if there is one.
    Environment env;
    bool ending = false;
    struct LetGo {
        void operator()(BufferCount* count) const { count->let_go(); }
    };
    std::unique_ptr<BufferCount, LetGo> buffers{new BufferCount};
};

World::Node::Node(Timeline& timeline, NodeId node)
    : id(node), disk(timeline, node), facts(timeline, node), time(timeline, node) {}
World::Node::~Node() = default;

World::World(std::uint64_t seed, const Faults& faults, const ChoiceOptions& choices)
    : timeline_(seed, faults, choices), fabric_(timeline_), whims_(timeline_),
      schedule_dice_(timeline_.root, "schedule"), cost_dice_(timeline_.root, "schedule/cost"),
      priorities_(timeline_.root) {
    timeline_.record(Step::boot, 0, seed);
}

World::~World() {
    while (!alive_.empty()) end_process(*alive_.front());
}

// ---- Nodes ----

World::Node& World::node(NodeId id) {
    const auto found = nodes_.find(id);
    CHECK(found != nodes_.end());
    return *found->second;
}

const World::Node& World::node(NodeId id) const {
    const auto found = nodes_.find(id);
    CHECK(found != nodes_.end());
    return *found->second;
}

void World::add_host(NodeId id, std::string_view host) {
    if (!nodes_.contains(id)) nodes_[id] = std::make_unique<Node>(timeline_, id);
    fabric_.add_host(id, host);
}

void World::boot(NodeId id, Main main) {
    if (!nodes_.contains(id)) add_host(id, "node" + std::to_string(id.value));
    Node& n = node(id);
    CHECK(!n.process);
    ++n.boots;
    n.exit_status.reset();
    n.paused_until = n.busy_until = timeline_.now();
    n.expiry.reset();
    n.time.boot();
    n.process = std::make_unique<Process>(timeline_, stacks_, fabric_, n, make_store_);
    n.disk.serve(n.boots);
    n.facts.serve(n.boots);
    fabric_.serve(id, n.boots);
    alive_.insert(std::ranges::lower_bound(alive_, id, {}, [](const Node* a) { return a->id; }),
                  &n);
    timeline_.record(Step::boot, id.value, n.boots);
    timeline_.trace({.kind = TraceKind::boot, .node = id}, [&] { return std::to_string(n.boots); });
    // The function belongs to the fiber, so that what it captured dies while its node can still
    // wait.
    n.process->fibers.start("main",
                            [&n, run = std::move(main)] { n.exit_status = run(n.process->env); });
}

void World::kill(NodeId id) {
    Node& n = node(id);
    if (n.process && timeline_.inject(Fault::kill)) end_process(n);
}

void World::end_process(Node& n) {
    begin_end(n, false);
    drain(n);
}

void World::cut_power(NodeId id) { cut_power(std::span<const NodeId>(&id, 1)); }

void World::cut_power(std::span<const NodeId> ids) {
    // First the lights go out everywhere, then what ran finds out.
    std::vector<Node*> cut;
    for (const NodeId id : ids) {
        Node& n = node(id);
        begin_end(n, true);
        if (n.process) cut.push_back(&n);
    }
    for (Node* n : cut) drain(*n);
}

void World::begin_end(Node& n, bool power_cut) {
    timeline_.record(power_cut ? Step::power_cut : Step::kill, n.id.value, n.boots);
    timeline_.trace({.kind = power_cut ? TraceKind::power_cut : TraceKind::kill, .node = n.id});
    if (n.process) {
        CHECK(!n.process->fibers.inside() && !n.process->ending);
        n.process->ending = true;
    }
    const std::size_t streams = fabric_.process_ended(n.id, power_cut);
    n.facts.process_ended(power_cut);
    if (power_cut) {
        n.disk.power_cut();
    } else {
        const bool was_busy = n.disk.process_killed();
        if (streams > 0 || was_busy) timeline_.counts.effect(Fault::kill);
    }
}

// The process learns of its end through its waits, and has no device left to do anything with.
void World::drain(Node& n) {
    Scheduler& fibers = n.process->fibers;
    fibers.cancel_all();
    std::uint64_t runs = 0;
    while (!fibers.idle()) {
        CHECK(++runs < runs_at_one_time_max);
        fibers.run_one();
    }
    CHECK(fibers.alive_count() == 0);
    timeline_.record(Step::exit, n.id.value, n.boots, fibers.switches());
    n.exit_status.reset();
    reap(n);
}

void World::reap(Node& n) {
    std::erase(alive_, &n);
    n.process.reset();
}

std::size_t World::buffer_bytes(NodeId id) const {
    const Node& n = node(id);
    return n.process ? n.process->buffers->bytes : 0;
}

void World::pause(NodeId id, Duration until) {
    if (!timeline_.inject(Fault::pause)) return;
    Node& n = node(id);
    n.paused_until = std::max(n.paused_until, until);
    n.pause_noticed = false;
    timeline_.record(Step::pause, id.value, static_cast<std::uint64_t>(until.count()));
    timeline_.trace({.kind = TraceKind::pause, .node = id, .until = until});
}

void World::resume(NodeId id) {
    Node& n = node(id);
    n.paused_until = std::min(n.paused_until, now());
    timeline_.record(Step::pause, id.value);
    timeline_.trace({.kind = TraceKind::resume, .node = id});
}

bool World::running(NodeId id) const {
    const auto found = nodes_.find(id);
    return found != nodes_.end() && found->second->process;
}

std::optional<Result<>> World::exit_status(NodeId id) const { return node(id).exit_status; }
std::uint64_t World::boots(NodeId id) const { return node(id).boots; }

Environment& World::environment(NodeId id) {
    Node& n = node(id);
    CHECK(n.process);
    return n.process->env;
}

std::vector<NodeId> World::nodes() const {
    std::vector<NodeId> ids;
    for (const auto& [id, n] : nodes_) ids.push_back(id);
    return ids;
}

Medium& World::disk(NodeId id) { return node(id).disk; }
Facts& World::facts(NodeId id) { return node(id).facts; }
NodeTime& World::time(NodeId id) { return node(id).time; }

// ---- Going on ----

std::optional<Duration> World::next_expiry(Node& n) {
    const auto expiry = n.process->fibers.next_expiry();
    if (!expiry) return {};
    if (n.expiry != expiry || n.clock_changes != n.time.changes()) {
        n.expiry = expiry;
        n.clock_changes = n.time.changes();
        n.expiry_moment = n.time.world_moment(*expiry);
    }
    return n.expiry_moment;
}

bool World::can_run(const Node& n) const {
    return !n.process->fibers.idle() && n.paused_until <= now() && n.busy_until <= now();
}

// A pause has an effect if there was something to do meanwhile.
void World::notice_pause(Node& n, Duration when) {
    if (n.pause_noticed || when >= n.paused_until) return;
    n.pause_noticed = true;
    timeline_.counts.effect(Fault::pause);
}

// Asked before every step, and most of them are fibers that run: then no node is asked for its next
// expiry, unless it is paused and nobody has seen yet that this matters.
World::Next World::next() {
    std::size_t ready = 0;
    for (Node* n : alive_) {
        if (can_run(*n))
            ready += n->process->fibers.ready_count();
        else if (!n->pause_noticed)
            (void)next_of(*n);
    }
    if (ready > 0) return {Next::What::run, now(), nullptr, ready};
    Next next;
    if (const auto event = timeline_.next()) next = {Next::What::event, *event, nullptr, 0};
    for (Node* n : alive_) {
        const auto when = next_of(*n);
        if (when && (next.what == Next::What::nothing || *when < next.when))
            next = {Next::What::expiry, *when, n, 0};
    }
    return next;
}

// When a node that cannot run now has something to do.
std::optional<Duration> World::next_of(Node& n) {
    std::optional<Duration> wanted = next_expiry(n);
    if (!n.process->fibers.idle()) wanted = now();
    if (!wanted) return {};
    notice_pause(n, *wanted);
    return std::max({*wanted, n.paused_until, n.busy_until});
}

void World::take(const Next& next) {
    if (next.when > now()) runs_at_this_time_ = 0;
    stepped_ = NodeId{};
    switch (next.what) {
    case Next::What::nothing: return;
    case Next::What::run:
        CHECK(++runs_at_this_time_ < runs_at_one_time_max);
        run_one_of(next.ready);
        break;
    case Next::What::event: timeline_.fire_next(); break;
    case Next::What::expiry:
        timeline_.advance(next.when);
        timeline_.record(Step::expiry, next.node->id.value);
        next.node->process->fibers.expire(next.node->time.local());
        break;
    }
    timeline_.end_step();
    if (observer_) observer_();
}

template <class Function>
void World::each_in_turn(Function function) {
    for (std::size_t i = 1; i <= alive_.size(); ++i) {
        const std::size_t place = (turn_ + i) % alive_.size();
        if (can_run(*alive_[place]) && function(place)) return;
    }
}

void World::run_one_of(std::size_t ready) {
    std::size_t pick = 0;
    switch (timeline_.faults.schedule) {
    case Schedule::in_order: break;
    case Schedule::random:
        if (ready > 1) pick = static_cast<std::size_t>(schedule_dice_.pick(ready));
        break;
    case Schedule::priorities: pick = highest_priority(0); break;
    case Schedule::priorities_one_fall: pick = highest_priority(1); break;
    case Schedule::priorities_two_falls: pick = highest_priority(2); break;
    }
    Node* chosen = nullptr;
    each_in_turn([&](std::size_t place) {
        const std::size_t count = alive_[place]->process->fibers.ready_count();
        if (pick >= count) {
            pick -= count;
            return false;
        }
        turn_ = place;
        chosen = alive_[place];
        return true;
    });
    CHECK(chosen != nullptr);
    run_in(*chosen, pick);
}

std::size_t World::highest_priority(std::size_t falls) {
    priorities_.begin_run(falls);
    if (runs_at_this_time_ > Priorities::runs_at_one_time_max) return 0;
    std::size_t number = 0, best = 0;
    std::uint64_t highest = 0;
    std::uint64_t* mark = nullptr;
    each_in_turn([&](std::size_t place) {
        Scheduler& fibers = alive_[place]->process->fibers;
        for (std::size_t i = 0; i < fibers.ready_count(); ++i, ++number) {
            const std::uint64_t priority = priorities_.of(fibers.ready_mark(i));
            if (mark && priority <= highest) continue;
            highest = priority;
            best = number;
            mark = &fibers.ready_mark(i);
        }
        return false;
    });
    CHECK(mark != nullptr);
    priorities_.runs(*mark);
    return best;
}

void World::run_in(Node& n, std::size_t pick) {
    timeline_.record(Step::run, n.id.value, pick);
    stepped_ = n.id;
    whims_.begin(n.id);
    buffer_count = n.process->buffers.get();
    n.process->fibers.run_one(pick);
    buffer_count = nullptr;
    whims_.end();
    if (timeline_.faults.run_cost.most > Duration{0})
        n.busy_until = now() + cost_dice_.draw(timeline_.faults.run_cost);
    if (n.process->fibers.alive_count() == 0) main_returned(n);
}

// All that the process owned has been destroyed; its devices forget it too.
void World::main_returned(Node& n) {
    (void)fabric_.process_ended(n.id, false); // No stream was left.
    (void)n.disk.process_killed();
    n.facts.process_ended(false);
    const Result<>& status = *n.exit_status;
    timeline_.record(Step::exit, n.id.value, n.boots,
                     status.ok() ? 0 : 1 + static_cast<std::uint64_t>(status.error()));
    timeline_.trace({.kind = TraceKind::exit, .node = n.id},
                    [&] { return std::string(status.ok() ? "ok" : to_string(status.error())); });
    reap(n);
}

bool World::step() {
    const Next next = this->next();
    take(next);
    return next.what != Next::What::nothing;
}

void World::run_until(Duration when) {
    for (Next next = this->next(); next.what != Next::What::nothing && next.when <= when;
         next = this->next())
        take(next);
    if (when > now()) {
        runs_at_this_time_ = 0;
        timeline_.advance(when);
    }
}

bool World::run_until(Duration when, const std::function<bool()>& done) {
    for (Next next = this->next(); !done(); next = this->next()) {
        if (next.what == Next::What::nothing || next.when > when) {
            timeline_.advance(std::max(when, now()));
            return false;
        }
        take(next);
    }
    return true;
}

void World::plan(Duration when, std::function<void()> action) {
    const std::uint64_t id = next_plan_++;
    plans_.emplace(id, std::move(action));
    timeline_.schedule(std::max(when, now()), *this, id);
}

void World::happen(std::uint64_t id) {
    const auto found = plans_.find(id);
    CHECK(found != plans_.end());
    const auto action = std::move(found->second);
    plans_.erase(found);
    timeline_.record(Step::planned, 0, id);
    action();
}

} // namespace pyralog::sim
