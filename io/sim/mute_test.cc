// Lets .ci/mutes run these tests with a fault that does nothing.
#include "io/sim/mute.h"

#include "io/sim/timeline.h"

#include <cstdlib>
#include <set>

#include <catch2/catch.hpp>

namespace pyralog::sim {
namespace {

[[maybe_unused]] const bool muted = [] {
    const char* const name = std::getenv("PYRALOG_MUTE");
    if (name) mute(name);
    return name != nullptr;
}();

} // namespace

TEST_CASE("a muted fault counts and does nothing, and the others go on", "[sim][mute]") {
    const std::string before = muted_name;
    Timeline timeline(1, {});
    mute("fault/rot");
    CHECK_FALSE(timeline.inject(Fault::rot));
    CHECK(timeline.counts.fired(Fault::rot) == 1);
    CHECK(timeline.counts.effective(Fault::rot) == 1);
    CHECK(timeline.inject(Fault::kill));
    CHECK(timeline.counts.effective(Fault::kill) == 0);
    CHECK(is_muted("fault/rot"));
    CHECK_FALSE(is_muted("rot"));
    mute("");
    CHECK(timeline.inject(Fault::rot));
    CHECK_FALSE(is_muted(""));
    mute(before);
}

TEST_CASE("no two faults have one name", "[sim]") {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < FaultCounts::kinds; ++i)
        CHECK(names.insert(to_string(static_cast<Fault>(i))).second);
}

} // namespace pyralog::sim
