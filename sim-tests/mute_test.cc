// Lets .ci/mutes run these tests with a fault, a strike or an oracle that does nothing.
#include "io/sim/mute.h"

#include "raft/invariants.h"
#include "sim-tests/check_history.h"

#include <cstdlib>

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

[[maybe_unused]] const bool muted = [] {
    const char* const name = std::getenv("PYRALOG_MUTE");
    if (name) sim::mute(name);
    if (name) raft::muted_invariant = name;
    return name != nullptr;
}();

} // namespace

TEST_CASE("a muted oracle says nothing, and the others do", "[simtest][mute]") {
    const std::string before = sim::muted_name;
    sim::mute(oracle::moved);
    CHECK_FALSE(report(oracle::moved, "what"));
    CHECK(report(oracle::duplicated, "what"));
    sim::mute(before);
}

} // namespace pyralog::simtest
