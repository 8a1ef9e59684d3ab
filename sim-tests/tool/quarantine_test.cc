#include "sim-tests/tool/quarantine.h"

#include "core/base/site.h"

#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

// A sweep that has seen everything.
SweepReport complete() {
    SweepReport report;
    for (std::size_t i = 0; i < static_cast<std::size_t>(FaultClass::count_); ++i)
        report.runs_with[std::string(to_string(static_cast<FaultClass>(i)))] = 1;
    report.faults["rot"] = {2, 1};
    report.probes["a/b"] = 3;
    report.whims["c/d"] = {1, 20, 5};
    return report;
}

using Strings = std::vector<std::string>;

} // namespace

TEST_CASE("a sweep that has seen everything is told nothing", "[simtest][probes]") {
    CHECK(untested(complete()).empty());
}

TEST_CASE("what a sweep has not seen is named", "[simtest][probes]") {
    SweepReport report = complete();
    SECTION("a probe") {
        report.probes["a/b"] = 0;
        CHECK(untested(report) == Strings{"probe/a/b"});
        CHECK(site_table(report).find("probe/a/b") != std::string::npos);
    }
    SECTION("a whim that was asked and never fired") {
        report.whims["c/d"].fired = 0;
        CHECK(untested(report) == Strings{"whim/c/d"});
    }
    SECTION("a fault that fired and had no effect") {
        report.faults["rot"].effective = 0;
        CHECK(untested(report) == Strings{"fault/rot"});
    }
    SECTION("a class of faults") {
        report.runs_with.erase("rot");
        CHECK(untested(report) == Strings{"class/rot"});
    }
    SECTION("unless it is excused") {
        const std::string name(quarantine().front().name);
        REQUIRE(name.starts_with("probe/"));
        report.probes[name.substr(6)] = 0;
        CHECK(untested(report).empty());
        CHECK(site_table(report).find(name) != std::string::npos);
    }
}

TEST_CASE("an excuse has a reason, and is for something that exists", "[simtest][probes]") {
    std::set<std::string> known, seen;
    for (const sites::Site* site : sites::all())
        known.insert((site->kind == sites::Kind::probe ? "probe/" : "whim/") +
                     std::string(site->name));
    for (std::size_t i = 0; i < sim::FaultCounts::kinds; ++i)
        known.insert("fault/" + std::string(to_string(static_cast<sim::Fault>(i))));
    for (const Excused& one : quarantine()) {
        INFO(one.name);
        CHECK(known.contains(std::string(one.name)));
        CHECK(seen.insert(std::string(one.name)).second);
        CHECK(one.reason.size() > 7);
    }
}

TEST_CASE("there are as many probes and whims as there should be", "[simtest][probes]") {
    std::size_t probes = 0, whims = 0;
    for (const sites::Site* site : sites::all())
        ++(site->kind == sites::Kind::probe ? probes : whims);
    CHECK(probes >= 200);
    CHECK(whims >= 50);
}

} // namespace pyralog::simtest
