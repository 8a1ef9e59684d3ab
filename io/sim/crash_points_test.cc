#include "io/sim/crash_points.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::sim;

namespace {

// Writes one file, and says that it is durable when `careful` steps have been taken: the bytes are
// synced first, and the name last.
class OneFile final : public CrashSubject {
public:
    explicit OneFile(bool careful) : careful_(careful) {}

    World& world() override { return world_; }
    NodeId node() const override { return NodeId(1); }

    void boot(std::size_t life) override {
        world_.boot(node(), World::Main([this, life](Environment& env) -> Result<> {
                        if (life > 0) return look(env);
                        const auto file = TRY(env.disk.open("f", Disk::Open::create_new));
                        TRY(file->write_at(0, {Bytes::copy_of("x")}));
                        TRY(file->sync());
                        if (careful_) TRY(env.disk.sync_directory(""));
                        promised_ = true;
                        return look(env);
                    }));
    }
    std::string judge() override { return promised_ && !found_ ? "a promise is broken" : ""; }

private:
    Result<> look(Environment& env) {
        const auto file = env.disk.open("f", Disk::Open::existing);
        found_ = file.ok() && TRY(file.value()->size()) == 1;
        return {};
    }

    World world_{1};
    const bool careful_;
    bool promised_ = false, found_ = false;
};

CrashReport explore(bool careful, std::vector<std::vector<Crash>> ways) {
    CrashPlan plan;
    plan.make = [careful] { return std::make_unique<OneFile>(careful); };
    plan.ways = std::move(ways);
    return for_each_crash_point(plan);
}

} // namespace

TEST_CASE("each completion is crashed at, and each of the recovery's", "[sim]") {
    const CrashReport once = explore(true, {{Crash::keeps_none}});
    CHECK(once.trouble == "");
    CHECK(once.points == std::vector<std::uint64_t>{6}); // Create to sync, then open and size.
    CHECK(once.runs == 1 + 6 + 1); // Without a crash; with one; one that came too late.
    const CrashReport twice = explore(true, {{Crash::keeps_none, Crash::kill}, {Crash::by_unit}});
    CHECK(twice.trouble == "");
    CHECK(twice.points[0] == 6);
    CHECK(twice.points[1] >= 6 + 6); // At least one call in every recovery.
}

TEST_CASE("a broken promise is found, and told with the way that led there", "[sim]") {
    const CrashReport cut = explore(false, {{Crash::keeps_none}});
    CHECK(cut.trouble == "cut, keeps none at completion 3; a promise is broken");
    CHECK(explore(false, {{Crash::kill}}).trouble == "");
    CHECK(explore(false, {{Crash::kill}, {Crash::keeps_none}}).trouble != "");
}
