// The engine against a model, through power cuts, kills and failing disks: what was acknowledged is
// there, and what was not is there as a whole or not at all.
#include "io/sim/rocksdb/engine.h"

#include <catch2/catch.hpp>

#include <map>
#include <string>
#include <vector>

using namespace pyralog;
using Batch = KvStore::Batch;
using Map = std::map<std::string, std::string>;

namespace {

constexpr NodeId model_node{1};

void make_changes(const Batch& batch, Map& to) {
    for (const auto& [key, value] : batch.changes) {
        if (value)
            to[key] = *value;
        else
            to.erase(key);
    }
}

// Who writes to keys of its own, one batch after the other.
struct Writer {
    std::string prefix;
    Map known;                    // All that was acknowledged.
    std::optional<Batch> unknown; // Whether it happened will be seen.
};

// A node whose writers go on through all its lives.
class Machine {
public:
    Machine(std::uint64_t seed, const sim::Faults& faults, std::size_t value_max = 3000)
        : world(seed, faults), dice_(world.dice("test")), value_max_(value_max) {
        world.use_store(sim::make_engine);
        for (const char* prefix : {"a/", "b/", "c/"}) writers_.push_back({prefix, {}, {}});
    }

    void boot() {
        world.boot(model_node, sim::World::Main([this](Environment& env) -> Result<> {
                       const Result<> opened = env.kv.open();
                       if (!opened.ok()) {
                           if (opened.error() == Error::corrupt) ++refusals;
                           return opened.error();
                       }
                       for (Writer& writer : writers_) TRY(check(env, writer));
                       ++lives;
                       Scope scope(env.fibers);
                       for (Writer& writer : writers_)
                           scope.spawn("writer", [&] { write(env, writer); });
                       scope.join();
                       return {};
                   }));
    }

    sim::World world;
    std::uint64_t lives = 0, commits = 0, refusals = 0, surprises = 0;

private:
    Result<> check(Environment& env, Writer& writer) {
        Map found;
        TRY(env.kv.scan(
            writer.prefix,
            [&](std::string_view key, std::string_view value) {
                found.emplace(key, value);
                return true;
            }));
        Map with_unknown = writer.known;
        if (writer.unknown) make_changes(*writer.unknown, with_unknown);
        if (found == with_unknown && found != writer.known) ++surprises;
        CHECK((found == writer.known || found == with_unknown));
        writer.known = std::move(found);
        writer.unknown.reset();
        return {};
    }

    void write(Environment& env, Writer& writer) {
        while (step(env, writer).ok()) {
        }
    }

    Result<> step(Environment& env, Writer& writer) {
        const std::string key = writer.prefix + std::to_string(dice_.pick(40));
        if (dice_.pick(4) == 0) {
            const auto found = TRY(env.kv.get(key));
            const auto expected = writer.known.find(key);
            CHECK(found.has_value() == (expected != writer.known.end()));
            if (found) REQUIRE(*found == expected->second);
            return {};
        }
        Batch batch;
        for (std::uint64_t i = dice_.between(1, 4); i > 0; --i) {
            const std::string changed = writer.prefix + std::to_string(dice_.pick(40));
            const auto size = static_cast<std::size_t>(dice_.pick(value_max_));
            const char filler = static_cast<char>('a' + dice_.pick(26));
            if (dice_.pick(4) == 0)
                batch.remove(changed);
            else
                batch.put(changed, std::string(size, filler));
        }
        writer.unknown = batch;
        TRY(env.kv.commit(batch));
        make_changes(batch, writer.known);
        writer.unknown.reset();
        ++commits;
        return {};
    }

    sim::Dice dice_;
    std::size_t value_max_;
    std::vector<Writer> writers_;
};

sim::Faults harsh(std::uint64_t seed) {
    sim::Faults faults;
    faults.cut_keeps_all = 1;
    faults.cut_keeps_none = 1;
    faults.unit_torn = faults.unit_garbage = 2;
    if (seed % 3 == 0) {
        faults.sync_error = {3'000};
        faults.write_error = {1'000};
        faults.read_error = {1'000};
        faults.name_error = {1'000};
        faults.size_error = {1'000};
    }
    if (seed % 3 == 1) {
        faults.slow_disk = {20'000};
        faults.slow_disk_time = {1ms, 5ms, sim::never, 0us};
    }
    return faults;
}

struct Outcome {
    std::uint64_t hash = 0, lives = 0, commits = 0, refusals = 0, surprises = 0;
    std::uint64_t torn = 0;
};

Outcome run(std::uint64_t seed, int endings) {
    Machine machine(seed, harsh(seed));
    sim::Dice dice = machine.world.dice("endings");
    for (int i = 0; i < endings; ++i) {
        machine.boot();
        machine.world.run_for(dice.between(Duration(10us), dice.coin() ? 5ms : 200ms));
        if (dice.pick(4) == 0)
            machine.world.kill(model_node);
        else
            machine.world.cut_power(model_node);
    }
    const auto& counts = machine.world.counts();
    return {machine.world.hash(), machine.lives,     machine.commits,
            machine.refusals,     machine.surprises, counts.effective(sim::Fault::torn_unit)};
}

} // namespace

TEST_CASE("the engine keeps what it acknowledged, whatever happens to its node", "[rocksdb]") {
    Outcome sum;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        const Outcome outcome = run(seed, 20);
        CHECK(outcome.refusals == 0);
        sum.lives += outcome.lives;
        sum.commits += outcome.commits;
        sum.surprises += outcome.surprises;
        sum.torn += outcome.torn;
    }
    // What it is worth: it got through recoveries, and was cut in the middle of commits.
    CHECK(sum.lives > 150);
    CHECK(sum.commits > 30'000);
    CHECK(sum.surprises > 50);
    CHECK(sum.torn > 30);
}

TEST_CASE("the engine does the same in every run of a seed", "[rocksdb]") {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        const Outcome once = run(seed, 10);
        std::vector<std::string> elsewhere; // The heap is not what it was.
        for (std::size_t i = 0; i < 1000; ++i) elsewhere.emplace_back(17 * (i % 97), 'x');
        CHECK(run(seed, 10).hash == once.hash);
    }
}
