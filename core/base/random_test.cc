#include "core/base/random.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

#include <algorithm>
#include <array>
#include <numeric>

using namespace pyralog;

TEST_CASE("a seed means the same numbers for ever", "[base]") {
    Random random(4711);
    CHECK(random.next() == 0xa557e017b5f41721);
    CHECK(random.next() == 0x6516a29306e026f6);
    CHECK(Random(4711).fork("disk").next() == 0xb5aabc4dffa60a8c);
    CHECK(Random(0).next() == 0x53175d61490b23df);
}

TEST_CASE("a fork depends on seed and name, and on no draw", "[base]") {
    const Random untouched(7);
    Random drawn(7);
    for (int i = 0; i < 100; ++i) (void)drawn.next(); // Only to move on.
    CHECK(untouched.fork("network").next() == drawn.fork("network").next());
    CHECK(untouched.fork("network").next() != untouched.fork("disk").next());
    CHECK(untouched.fork("network").next() != Random(8).fork("network").next());
    CHECK(untouched.fork("a").fork("b").next() != untouched.fork("b").fork("a").next());
    CHECK(untouched.fork("").next() != Random(7).next());
}

TEST_CASE("draws stay within their bounds, and reach both ends", "[base]") {
    Random random(1);
    std::array<int, 6> seen{};
    for (int i = 0; i < 6000; ++i) ++seen[random.below(6)];
    for (const int count : seen) CHECK((count > 800 && count < 1200));
    bool low = false, high = false;
    for (int i = 0; i < 1000; ++i) {
        const std::int64_t drawn = random.between(-3, 3);
        REQUIRE((drawn >= -3 && drawn <= 3));
        low |= drawn == -3;
        high |= drawn == 3;
    }
    CHECK((low && high));
    CHECK(random.between(5, 5) == 5);
    CHECK(random.below(1) == 0);
    CHECK(random.between(1ms, 1ms) == 1ms);
}

TEST_CASE("a range as wide as the type is drawn from without trouble", "[base]") {
    rc::prop("between() includes both ends",
             [](std::uint64_t seed, std::int32_t a, std::int32_t b) {
                 const std::int64_t low = std::min(a, b), high = std::max(a, b);
                 const std::int64_t drawn = Random(seed).between(low, high);
                 RC_ASSERT(drawn >= low);
                 RC_ASSERT(drawn <= high);
             });
}

TEST_CASE("chances of none and of all are no chances", "[base]") {
    Random random(2);
    for (int i = 0; i < 100; ++i) {
        CHECK_FALSE(random.chance(0, 10));
        CHECK(random.chance(10, 10));
    }
}

TEST_CASE("a shuffle keeps what it shuffles", "[base]") {
    std::array<int, 20> items{};
    std::iota(items.begin(), items.end(), 0);
    const std::array<int, 20> before = items;
    Random(3).shuffle(std::span<int>(items));
    CHECK(items != before);
    std::sort(items.begin(), items.end());
    CHECK(items == before);
}
