// io/sim/toys.h
//
// For tests of the simulated world: three toy nodes that do a little of everything, and a nemesis
// that breaks things around them. run_toys() is a whole run, a function of its arguments.
#pragma once

#include "io/sim/world.h"

#include <array>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace pyralog::sim::toys {

constexpr NodeId one{1}, two{2}, three{3};

inline Result<> pause(Environment& env, Duration time) {
    (void)env.clock.wall(); // Whoever waits looks at it, as people do.
    return env.fibers.sleep_until(env.clock.now() + time);
}

// A node that does a little of everything: it keeps a file and some facts, says how much it has to
// its peers, and remembers what they said.
inline Result<> toy(Environment& env, NodeId self, std::span<const NodeId> all) {
    TRY(env.kv.open());
    Metrics::Counter heard(env.metrics, "heard", "Bytes from peers.");
    auto listener = TRY(env.network.listen({"node" + std::to_string(self.value), 7000}));
    std::unique_ptr<File> file;
    if (auto old = env.disk.open("log", Disk::Open::existing); old.ok())
        file = std::move(old).value();
    else
        file = TRY(env.disk.open("log", Disk::Open::create_new));
    TRY(env.disk.sync_directory(""));
    std::uint64_t end = TRY(file->size());

    Scope scope(env.fibers);
    scope.spawn("accept", [&] {
        for (;;) {
            auto accepted = listener->accept();
            if (!accepted.ok()) return;
            scope.spawn("serve", [&, stream = std::move(accepted).value()]() -> void {
                std::array<std::byte, 100> into{};
                for (;;) {
                    const auto count = stream->read_some(into);
                    if (!count.ok() || count.value() == 0) return;
                    heard.add(count.value());
                }
            });
        }
    });
    for (const NodeId peer : all) {
        if (peer == self) continue;
        const auto tell = [&, peer] {
            for (;;) {
                auto stream = [&] {
                    const Deadline deadline(env.fibers, env.clock.now() + 200ms);
                    return env.network.connect({"node" + std::to_string(peer.value), 7000});
                }();
                while (stream.ok()) {
                    const auto size = static_cast<std::size_t>(1 + env.random.below(300));
                    if (!stream.value()->write({Bytes::copy_of(std::string(size, 'x'))}).ok())
                        break;
                    if (!pause(env, 1ms + Duration(env.random.below(3'000'000))).ok()) return;
                }
                if (!pause(env, 10ms).ok()) return;
            }
        };
        scope.spawn("tell", tell);
        scope.spawn("tell more", tell);
    }
    for (;;) {
        TRY(pause(env, 2ms));
        const std::string text = std::to_string(heard.value()) + '\n';
        TRY(file->write_at(end, {Bytes::copy_of(text)}));
        end += text.size();
        TRY(file->sync());
        if (env.random.below(4) == 0) {
            (void)env.disk.open("next", Disk::Open::create_new); // It may be there.
            TRY(env.disk.rename("next", "current"));
        }
        TRY(env.kv.commit(KvStore::Batch().put("end", std::to_string(end))));
        env.log.info("written", {{"end", end}});
    }
}

inline std::vector<NodeId> all_but(NodeId node) {
    std::vector<NodeId> others;
    for (const NodeId id : {one, two, three})
        if (id != node) others.push_back(id);
    return others;
}

// Some of everything that can go wrong.
inline Faults rough() {
    Faults faults;
    faults.run_cost = {0us, 10us, {10'000}, 1ms};
    faults.slow_disk = {1'000};
    faults.split_write = {100'000};
    faults.short_read = {100'000};
    faults.reset = {1'000};
    faults.vanish = {1'000};
    faults.blocked_gives_up = {300'000};
    faults.drift_ppm_most = 500;
    return faults;
}

struct Ran {
    std::uint64_t hash;
    std::uint64_t steps;
    bool operator==(const Ran&) const = default;
};

inline Ran run_toys(std::uint64_t seed, const Faults& faults, Timeline::Sink trace = {},
                    FaultCounts* sum = nullptr, const ChoiceOptions& choices = {},
                    const std::function<void(World&)>& look = {}) {
    World world(seed, faults, choices);
    if (trace) world.set_trace(std::move(trace));
    static constexpr std::array<NodeId, 3> all{one, two, three};
    const auto start = [&](NodeId id) {
        world.boot(id, [id](Environment& env) { return toy(env, id, all); });
    };
    for (const NodeId id : all) start(id);
    Dice nemesis = world.dice("nemesis");
    for (int round = 0; round < 20; ++round) {
        world.run_for(nemesis.between(5ms, 50ms));
        const NodeId victim = all[nemesis.pick(3)];
        switch (nemesis.pick(4)) {
        case 0: world.kill(victim); break;
        case 1: world.cut_power(victim); break;
        case 2: world.pause(victim, world.now() + 20ms); break;
        default: world.network().isolate(victim, all_but(victim)); break;
        }
        world.run_for(nemesis.between(5ms, 50ms));
        world.network().heal_all();
        for (const NodeId id : all)
            if (!world.running(id)) start(id);
    }
    if (sum) sum->add(world.counts());
    if (look) look(world);
    return {world.hash(), world.steps()};
}

} // namespace pyralog::sim::toys
