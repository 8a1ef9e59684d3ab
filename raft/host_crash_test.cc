// A Host whose node is ended at every completion of its disk, and its recovery at every completion
// of its own: while it starts, elects itself, appends, rolls its files, makes a group and deletes
// it.
#include "raft/host.h"

#include "io/sim/crash_points.h"
#include "raft/config.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::raft;
using sim::Crash;
using sim::sanitized;

namespace {

constexpr NodeId self{1};
constexpr GroupId first{1}, second{2};
constexpr std::size_t value_bytes = 900;

std::string value_of(std::size_t number) {
    std::string value = std::to_string(number);
    value.resize(value_bytes, '.');
    return value;
}

// One node, whose groups have no other voter. Knows what it has acknowledged in all its lives, and
// which groups it should have: as the catalogue does, it knows before the node is told.
class HostSubject final : public sim::CrashSubject {
public:
    struct Life {
        Environment& env;
        Host& host;
    };
    using Scenario = std::function<Result<>(HostSubject&, Life&)>;

    HostSubject(std::uint64_t seed, Scenario scenario)
        : world_(seed), scenario_(std::move(scenario)) {
        world_.add_host(self, "node1");
        // So small that a file takes a handful of rounds, and a segment a handful of entries.
        journal_.file_bytes = 16_KiB;
        journal_.journal_bytes_max = 256_KiB;
        journal_.round_bytes_max = 32_KiB;
        log_.segment_bytes = 4_KiB;
        log_.segment_flush_bytes = 1_KiB;
        log_.cache_bytes = log_.node_cache_bytes = 0;
        stored_[first];
    }

    sim::World& world() override { return world_; }
    NodeId node() const override { return self; }

    void boot(std::size_t life) override {
        judged_ = false;
        world_.boot(self, sim::World::Main([this, life](Environment& env) -> Result<> {
                        wire::Hello hello;
                        hello.cluster = "test";
                        hello.node = self;
                        hello.incarnation = env.random.next();
                        Host host(env, {raft_, journal_, log_, transport_}, hello, {});
                        TRY(env.kv.open());
                        TRY(host.open(members()));
                        TRY(compare(host));
                        Scope scope(env.fibers);
                        Result<> ended;
                        scope.spawn("host", [&] { ended = host.run(nullptr); });
                        Life l{env, host};
                        const Result<> done = live(life, l);
                        scope.cancel();
                        scope.join();
                        if (!ended.ok() && ended.error() != Error::cancelled) return ended;
                        judged_ = done.ok();
                        return done;
                    }));
    }

    std::string judge() override {
        if (!trouble_.empty()) return trouble_;
        const Result<> end = world_.exit_status(self).value_or(Result<>(Error::cancelled));
        if (!end.ok()) return "end: " + std::string(to_string(end.error()));
        return judged_ ? "" : "the last life did not do its work";
    }

    // ---- For scenarios ----

    Result<> append(Life& life, GroupId id = first) {
        const GroupRef group = life.host.find(id);
        if (!group) return Error::not_found;
        const Time limit = life.env.clock.now() + 30s;
        while (!group->leads()) {
            if (life.env.clock.now() > limit) return wrong("it does not lead");
            TRY(life.env.fibers.sleep_until(life.env.clock.now() + 5ms));
        }
        wire::RecordBatchBuilder builder;
        const std::string value = value_of(next_value_++);
        builder.add({}, value);
        const auto batch = std::get<wire::RecordBatch>(wire::RecordBatch::parse(builder.build()));
        const Group::Proposal proposal = TRY(group->propose(batch));
        TRY(group->settle(proposal));
        stored_.at(id).emplace(proposal.place.first.index, value);
        promised_[id] = std::max(promised_[id], group->term());
        return {};
    }
    Result<> create(Life& life) {
        stored_[second];
        const Result<> made = life.host.create(member_of(second), true);
        return made.ok() || made.error() == Error::already_exists ? Result<>() : made;
    }
    Result<> remove(Life& life) {
        stored_.erase(second);
        promised_.erase(second);
        return life.host.remove(second);
    }
    bool has_second() const { return stored_.contains(second); }

private:
    static Host::Member member_of(GroupId id) { return {id, {{self}, {}, {}}}; }
    std::vector<Host::Member> members() const {
        std::vector<Host::Member> all;
        for (const auto& [id, values] : stored_) all.push_back(member_of(id));
        return all;
    }

    Result<> live(std::size_t life, Life& l) {
        if (life == 0) return scenario_(*this, l);
        // It is of use again.
        TRY(append(l));
        return has_second() ? append(l, second) : Result<>();
    }

    Result<> wrong(std::string what) {
        trouble_ = std::move(what);
        return Error::malformed;
    }

    // What was acknowledged is there, where it was; and no promise is forgotten.
    Result<> compare(Host& host) {
        for (const auto& [id, values] : stored_) {
            const GroupRef group = host.find(id);
            if (!group) return wrong("a group is gone");
            if (group->consensus().vote().term < promised_[id]) return wrong("a vote is forgotten");
            const Log& log = group->log();
            for (const auto& [index, value] : values) {
                if (index >= log.end().index) return wrong("an acknowledged record is lost");
                const std::string found = TRY(read(group->log(), index));
                if (found.find(value) == std::string::npos)
                    return wrong("a record is not what was acknowledged");
            }
        }
        for (const auto& [id, group] : host.groups())
            if (!stored_.contains(id)) return wrong("a deleted group is back");
        return {};
    }

    static Result<std::string> read(Log& log, std::int64_t index) {
        for (Position at = log.start(); at != log.end();) {
            const auto frames = TRY(log.read_frames(at, log.end(), 1));
            if (frames.empty()) break;
            const wire::Frame& frame = frames.front();
            if (frame.first.index == index) return std::string(joined(frame.payload).text());
            at = frame.end();
        }
        return std::string();
    }

    sim::World world_;
    Scenario scenario_;
    RaftConfig raft_;
    JournalConfig journal_;
    LogConfig log_;
    TransportConfig transport_;
    std::size_t next_value_ = 0;
    std::map<GroupId, std::map<std::int64_t, std::string>> stored_; // Acknowledged, by index.
    std::map<GroupId, Term> promised_;
    std::string trouble_;
    bool judged_ = false;
};

void crash_everywhere(const HostSubject::Scenario& scenario) {
    std::vector<std::vector<std::vector<Crash>>> pairs{
        {{Crash::keeps_none}, {Crash::by_unit}},
        {{Crash::by_unit}, {Crash::kill}},
        {{Crash::kill}, {Crash::keeps_none}},
    };
    if (sanitized) pairs = {{{Crash::kill, Crash::keeps_none, Crash::by_unit}}};
    std::uint64_t seed = 0;
    for (const auto& ways : pairs) {
        sim::CrashPlan plan;
        plan.make = [&, seed = ++seed] { return std::make_unique<HostSubject>(seed, scenario); };
        plan.ways = ways;
        const sim::CrashReport report = for_each_crash_point(plan);
        CHECK(report.trouble == "");
        CHECK(report.points[0] > 30);
        if (ways.size() > 1) CHECK(report.points[1] > 1000);
    }
}

} // namespace

TEST_CASE("a crash at any point of a host's start and of its rolls loses nothing",
          "[raft][crash]") {
    crash_everywhere([](HostSubject& subject, HostSubject::Life& life) -> Result<> {
        for (int i = 0; i < 5; ++i) TRY(subject.append(life));
        return {};
    });
}

TEST_CASE("a crash at any point of making and deleting a group loses nothing", "[raft][crash]") {
    crash_everywhere([](HostSubject& subject, HostSubject::Life& life) -> Result<> {
        TRY(subject.append(life));
        TRY(subject.create(life));
        TRY(subject.append(life, second));
        TRY(subject.append(life, second));
        TRY(subject.remove(life));
        return subject.append(life);
    });
}
