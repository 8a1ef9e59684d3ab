// Probes and whims as the simulator has them; site_plain_test.cc has them as the server does.
#define PYRALOG_SIM
#include "core/base/buggify.h"
#include "core/base/probe.h"

#include <catch2/catch.hpp>

namespace pyralog {
namespace {

const sites::Site* find(sites::Kind kind, std::string_view name) {
    for (const sites::Site* site : sites::all())
        if (site->kind == kind && site->name == name) return site;
    return nullptr;
}

// Never called, so that its sites are never reached.
[[maybe_unused]] bool nobody_calls_this(int x) {
    REACHABLE("test/never-reached");
    return BUGGIFY("test/never-asked") && x > 0;
}

// Linked, since its address is taken.
bool (*const linked)(int) = nobody_calls_this;

class Often : public sites::Mood {
public:
    bool strikes(sites::Site& site, std::uint32_t per_million) override {
        ++site.hits;
        asked = per_million;
        return true;
    }
    std::uint32_t asked = 1;
};

} // namespace

TEST_CASE("a probe counts how often its condition was true", "[base][site]") {
    sites::begin();
    for (int i = 0; i < 5; ++i) SOMETIMES(i > 2, "test/large");
    REACHABLE("test/reached");
    REQUIRE(find(sites::Kind::probe, "test/large"));
    CHECK(find(sites::Kind::probe, "test/large")->hits == 2);
    CHECK(find(sites::Kind::probe, "test/reached")->hits == 1);
    sites::begin();
    CHECK(find(sites::Kind::probe, "test/large")->hits == 0);
}

TEST_CASE("sites that were never reached are known", "[base][site]") {
    REQUIRE(linked != nullptr);
    REQUIRE(find(sites::Kind::probe, "test/never-reached"));
    CHECK(find(sites::Kind::probe, "test/never-reached")->hits == 0);
    CHECK(find(sites::Kind::whim, "test/never-asked"));
    CHECK_FALSE(find(sites::Kind::probe, "test/never-asked"));
}

TEST_CASE("one name in two places is one site, and all have numbers of their own", "[base][site]") {
    sites::begin();
    REACHABLE("test/twice");
    REACHABLE("test/twice");
    CHECK(find(sites::Kind::probe, "test/twice")->hits == 2);
    std::vector<bool> seen(sites::all().size());
    for (const sites::Site* site : sites::all()) {
        REQUIRE(site->number < seen.size());
        CHECK_FALSE(seen[site->number]);
        seen[site->number] = true;
    }
}

TEST_CASE("a whim is false until there is a mood, and then as it says", "[base][site]") {
    CHECK_FALSE(BUGGIFY("test/whim"));
    Often often;
    sites::mood = &often;
    CHECK(BUGGIFY("test/whim"));
    CHECK(often.asked == 0);
    CHECK(BUGGIFY("test/rare-whim", 1000));
    CHECK(often.asked == 1000);
    sites::mood = nullptr;
    CHECK_FALSE(BUGGIFY("test/whim"));
    CHECK(find(sites::Kind::whim, "test/whim")->hits == 1);
}

} // namespace pyralog
