// io/sim/world.h
//
// A simulated world: nodes, each with a disk, a clock and small facts that outlive its processes,
// and a network between them. One thread, virtual time, and a seed from which everything follows:
// a World made of the same seed, Faults and calls does the same things in the same order and has
// the same hash, in any build and in any process.
//
// It goes forward in steps: one fiber runs until it waits, or one event happens. While any fiber
// can run, time stands still. After each step an observer may look at everything.
//
// What a node's process runs is its main, a fiber. It ends when main returns, or when the World
// says so: by kill(), which is the end of a process (what it wrote is still in the page cache), or
// by cut_power() (what was not synced is at the mercy of the dice). Either way its fibers are
// cancelled and run to their ends at once, in no time, while its devices do nothing for them; so
// all that a process owned is destroyed, and nothing of it has an effect.
//
// Clients are nodes too, with other mains; by custom their ids are large.
//
// Calls that change the world come from outside, from the observer, from a plan() or from a fiber;
// but a fiber may not end its own process.
#pragma once

#include "core/env/environment.h"
#include "io/sim/clock.h"
#include "io/sim/disk.h"
#include "io/sim/kv_store.h"
#include "io/sim/network.h"
#include "io/sim/priorities.h"
#include "io/sim/timeline.h"
#include "io/sim/whims.h"

#include <concepts>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pyralog::sim {

class World final : private Happening {
public:
    // Fiber runs without time moving: more than any real burst, fewer than for ever.
    static constexpr std::uint64_t runs_at_one_time_max = 20'000'000;

    explicit World(std::uint64_t seed, const Faults& faults = {},
                   const ChoiceOptions& choices = {});
    ~World() override; // Kills all processes.
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    // ---- Nodes ----

    using Main = std::function<Result<>(Environment&)>;

    // Starts a process. The node is made at its first boot, with an empty disk, and is called
    // "node<id>" unless add_host() came first.
    void boot(NodeId node, Main main);
    template <class Function>
        requires std::is_void_v<std::invoke_result_t<Function, Environment&>>
    void boot(NodeId node, Function main) {
        boot(node, Main([main = std::move(main)](Environment& env) -> Result<> {
                 main(env);
                 return {};
             }));
    }

    // A whole life of a node, for tests: boots it and goes on until it has ended; what main
    // returned, or Error::cancelled if somebody ended it.
    template <class Function>
    Result<> run_to_end(NodeId node, Function main, Duration within = std::chrono::hours(1)) {
        boot(node, std::move(main));
        const bool ended = run_until(now() + within, [&] { return !running(node); });
        CHECK(ended);
        return exit_status(node).value_or(Error::cancelled);
    }

    // Small facts are kept by the model in kv_store.h, unless somebody else makes a store for each
    // process. Nothing: the model.
    struct StoreContext {
        Timeline& timeline;
        NodeId node;
        std::uint64_t incarnation;
        Medium& medium;
        Scheduler& fibers;
        Logger& log;
    };
    using MakeStore = std::function<std::unique_ptr<KvStore>(const StoreContext& context)>;
    void use_store(MakeStore make) { make_store_ = std::move(make); } // From the next boot on.

    void kill(NodeId node);
    void cut_power(NodeId node);
    void cut_power(std::span<const NodeId> nodes); // All at one moment.

    // The process stands still, and so do its timers, until that moment; the rest of the world does
    // not. Afterwards it finds what has arrived meanwhile.
    void pause(NodeId node, Duration until);
    void resume(NodeId node);

    bool running(NodeId node) const;
    // What main returned, of a process that ended by itself and was not followed by another.
    std::optional<Result<>> exit_status(NodeId node) const;
    std::uint64_t boots(NodeId node) const;
    // What the buffers have that this process has made, wherever they are; zero if none runs. As
    // long as a reader has not read them, or a disk has not synced them, they are not gone.
    std::size_t buffer_bytes(NodeId node) const;
    Environment& environment(NodeId node); // Of a running node.
    std::vector<NodeId> nodes() const;
    void add_host(NodeId node, std::string_view host);

    // ---- The parts of a node, and what lies between them ----

    Medium& disk(NodeId node);
    Facts& facts(NodeId node);
    NodeTime& time(NodeId node);
    Fabric& network() { return fabric_; }

    // ---- Going on ----

    bool step();                   // False: nothing will ever happen again.
    void run_until(Duration when); // And the time is `when` then.
    void run_for(Duration time) { run_until(now() + time); }
    // True once done() holds, which is asked after each step; false if `when` came first.
    bool run_until(Duration when, const std::function<bool()>& done);

    Duration now() const { return timeline_.now(); }
    // From here on. What was drawn once for the whole run (paces, windows, slow links) stays.
    void set_faults(const Faults& faults) { timeline_.faults = faults; }
    void plan(Duration when, std::function<void()> action);
    void set_observer(std::function<void()> observer) { observer_ = std::move(observer); }

    // ---- What happened ----

    std::uint64_t hash() const { return timeline_.hash(); }
    std::uint64_t steps() const { return timeline_.steps(); }
    const Faults& faults() const { return timeline_.faults; }
    // For the observer: whose fiber ran in this step. Node 0: none did.
    NodeId stepped() const { return stepped_; }
    const FaultCounts& counts() const { return timeline_.counts; }
    // For those who break things from outside.
    // Asked before it strikes. False: it is muted (mute.h), and is as if it had never been called.
    [[nodiscard]] bool inject(Fault fault) {
        return fault != muted_fault && timeline_.inject(fault);
    }
    void count_effect(Fault fault) { timeline_.counts.effect(fault); }
    // Hears of all that happens. Nodes log to it if it is there when they boot.
    void set_listener(Timeline::Listener listener) { timeline_.set_listener(std::move(listener)); }
    // The same as lines, with time and node in front.
    void set_trace(Timeline::Sink sink) {
        set_listener([sink = std::move(sink)](const TraceEvent& e) { sink(to_line(e)); });
    }
    void set_recorder(Timeline::Recorder recorder) { timeline_.set_recorder(std::move(recorder)); }
    void trace(std::string_view line) {
        timeline_.trace(NodeId{}, [&] { return std::string(line); });
    }
    Dice dice(std::string_view name) { return Dice(timeline_.root, name); }
    Choices& choices() { return timeline_.root; }

private:
    // A process, from boot to end.
    struct Process;

    struct Node {
        Node(Timeline& timeline, NodeId node);
        ~Node();
        NodeId id;
        Medium disk;
        Facts facts;
        NodeTime time;
        std::unique_ptr<Process> process;
        std::uint64_t boots = 0;
        std::optional<Result<>> exit_status;
        Duration paused_until{0};
        bool pause_noticed = true;
        Duration busy_until{0};
        // What the next expiry was when it was last translated into the world's time.
        std::optional<Time> expiry;
        Duration expiry_moment{0};
        std::uint64_t clock_changes = 0;
    };

    // What can happen next, and when.
    struct Next {
        enum class What : std::uint8_t { nothing, run, event, expiry };
        What what = What::nothing;
        Duration when{0};
        Node* node = nullptr;  // Of an expiry.
        std::size_t ready = 0; // Of a run: fibers to choose from.
    };

    Node& node(NodeId id);
    const Node& node(NodeId id) const;
    Next next();
    void take(const Next& next);
    // Fibers that are ready are numbered from the node whose turn is next, in its own order.
    void run_one_of(std::size_t ready);
    std::size_t highest_priority(std::size_t falls);
    template <class Function>
    void each_in_turn(Function function); // Nodes that can run, until it returns true.
    void run_in(Node& node, std::size_t pick);
    void main_returned(Node& node);
    bool can_run(const Node& node) const;
    std::optional<Duration> next_expiry(Node& node);
    std::optional<Duration> next_of(Node& node);
    void notice_pause(Node& node, Duration when);
    void happen(std::uint64_t plan) override;
    void end_process(Node& node);
    void begin_end(Node& node, bool power_cut);
    void drain(Node& node);
    void reap(Node& node);

    Timeline timeline_;
    StackPool stacks_;
    Fabric fabric_;
    Whims whims_;
    Dice schedule_dice_, cost_dice_;
    Priorities priorities_;
    MakeStore make_store_;
    std::map<NodeId, std::unique_ptr<Node>> nodes_;
    std::vector<Node*> alive_; // With a process, by id.
    std::size_t turn_ = 0;
    std::map<std::uint64_t, std::function<void()>> plans_;
    std::uint64_t next_plan_ = 1;
    std::function<void()> observer_;
    NodeId stepped_;
    std::uint64_t runs_at_this_time_ = 0;
};

} // namespace pyralog::sim
