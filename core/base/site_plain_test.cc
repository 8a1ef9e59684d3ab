// Probes and whims as the server has them: nothing.
#include "core/base/buggify.h"
#include "core/base/probe.h"

#include <catch2/catch.hpp>

TEST_CASE("in the server a whim is false and a probe does not look", "[base][site]") {
    int looked = 0;
    SOMETIMES(++looked > 0, "test/plain");
    REACHABLE("test/plain");
    CHECK(looked == 0);
    static_assert(!BUGGIFY("test/plain") && !BUGGIFY("test/plain", 1000));
}
