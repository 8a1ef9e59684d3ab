#define PYRALOG_SIM
#include "core/base/buggify.h"
#include "io/sim/world.h"

#include <catch2/catch.hpp>

namespace pyralog::sim {
namespace {

constexpr NodeId one{1}, two{2};

const sites::Site& site_named(std::string_view name) {
    for (const sites::Site* site : sites::all())
        if (site->name == name) return *site;
    check_failed("a known site", __FILE__, __LINE__);
}

// Which of so many evaluations of one site, and of another, fired.
struct Fired {
    std::vector<bool> a, b;
    bool operator==(const Fired&) const = default;
};

Fired ask(World& world, NodeId node, int times) {
    Fired fired;
    const Result<> ended = world.run_to_end(node, [&](Environment&) {
        for (int i = 0; i < times; ++i) {
            fired.a.push_back(BUGGIFY("test/sim-a"));
            fired.b.push_back(BUGGIFY("test/sim-b", 500'000));
        }
    });
    REQUIRE(ended.ok());
    return fired;
}

Faults whimsical() {
    Faults faults;
    faults.whim_is_active = always;
    faults.whim_fires = {250'000};
    return faults;
}

auto count(const std::vector<bool>& fired) { return std::count(fired.begin(), fired.end(), true); }

} // namespace

TEST_CASE("whims fire as often as they should, and a site's own chance counts", "[sim][whims]") {
    sites::begin();
    World world(1, whimsical());
    const Fired fired = ask(world, one, 4000);
    CHECK((count(fired.a) > 900 && count(fired.a) < 1100));
    CHECK((count(fired.b) > 1900 && count(fired.b) < 2100));
    CHECK(site_named("test/sim-a").hits == 4000);
    CHECK(site_named("test/sim-a").fired == static_cast<std::uint64_t>(count(fired.a)));
    CHECK(site_named("test/sim-a").active);
}

TEST_CASE("whims follow from the seed and the node", "[sim][whims]") {
    World world(7, whimsical()), same(7, whimsical()), other(8, whimsical());
    const Fired first = ask(world, one, 200);
    CHECK(first == ask(same, one, 200));
    CHECK_FALSE(first == ask(other, one, 200));
    CHECK_FALSE(first == ask(world, two, 200));
}

TEST_CASE("a site is active in its share of the runs, on all nodes or none", "[sim][whims]") {
    Faults faults;
    faults.whim_is_active = {250'000};
    faults.whim_fires = always;
    int active = 0, both = 0;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        World world(seed, faults);
        const Fired here = ask(world, one, 1), there = ask(world, two, 1);
        CHECK(here.a == there.a);
        if (here.a[0]) ++active;
        if (here.a[0] && here.b[0]) ++both;
    }
    CHECK((active > 70 && active < 130));
    CHECK((both > 2 && both < 40)); // Half of a quarter of a quarter: sites are drawn apart.
}

TEST_CASE("a polite world has no whims, nor has one whose faults have stopped", "[sim][whims]") {
    World polite(1);
    CHECK(count(ask(polite, one, 1000).a) == 0);
    World world(1, whimsical());
    CHECK(count(ask(world, one, 1000).a) > 0);
    world.set_faults({});
    CHECK(count(ask(world, one, 1000).a) == 0);
    CHECK_FALSE(BUGGIFY("test/sim-a")); // Nor has whoever is outside.
}

} // namespace pyralog::sim
