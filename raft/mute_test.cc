// Lets .ci/mutes run these tests with an invariant that says nothing.
#include "raft/invariants.h"

#include <cstdlib>

#include <catch2/catch.hpp>

namespace pyralog::raft {
namespace {

[[maybe_unused]] const bool muted = [] {
    const char* const name = std::getenv("PYRALOG_MUTE");
    if (name) muted_invariant = name;
    return name != nullptr;
}();

} // namespace

TEST_CASE("a muted invariant says nothing, and the others do", "[raft][mute]") {
    ReplicaState state;
    state.durable_end = {1, Offset(1)};
    REQUIRE(check_replica(state));
    const std::string_view other = std::exchange(muted_invariant, check_replica(state)->invariant);
    CHECK_FALSE(check_replica(state));
    muted_invariant = "another";
    CHECK(check_replica(state));
    muted_invariant = other;
}

} // namespace pyralog::raft
