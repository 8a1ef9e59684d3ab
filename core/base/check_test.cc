// CHECK is ours until a test includes Catch2, and its own from there on: also where several tests
// are compiled as one, and one before this has included Catch2 already (pyralog_units).
#include "core/base/check.h"

namespace {

constexpr int checked(int value) {
    CHECK(value > 0); // Catch2's cannot be part of a constant.
    return value;
}
static_assert(checked(3) == 3);

} // namespace

#include <catch2/catch.hpp>

TEST_CASE("behind Catch2 a CHECK that fails is a test that fails", "[base][check][!shouldfail]") {
    CHECK(checked(2) == 3); // Ours would be the end of all tests.
}
