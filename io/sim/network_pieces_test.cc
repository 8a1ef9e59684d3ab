// Bytes that were written at once are read in parts.
#include "io/sim/world.h"

#include <catch2/catch.hpp>

namespace pyralog::sim {
namespace {

constexpr NodeId reader{1}, writer{2};
constexpr std::size_t written = 1000;

// What the first read of a thousand bytes got, and when it could not get more.
std::size_t first_read(const Faults& faults, Duration wait, std::uint64_t seed = 5) {
    World world(seed, faults);
    std::size_t got = 0;
    world.boot(reader, [&](Environment& env) {
        auto listener = env.network.listen({"node1", 7000});
        REQUIRE(listener.ok());
        auto stream = listener.value()->accept();
        REQUIRE(stream.ok());
        (void)env.fibers.sleep_until(env.clock.now() + wait);
        std::array<std::byte, written> into{};
        const auto count = stream.value()->read_some(into);
        if (count.ok()) got = count.value();
    });
    world.boot(writer, [&](Environment& env) {
        (void)env.fibers.sleep_until(env.clock.now() + 10ms);
        auto stream = env.network.connect({"node1", 7000});
        REQUIRE(stream.ok());
        CHECK(stream.value()->write({Bytes::copy_of(std::string(written, 'x'))}).ok());
        (void)env.fibers.sleep_until(env.clock.now() + 1s);
    });
    world.run_for(5s);
    return got;
}

} // namespace

TEST_CASE("in a polite world one write is one read", "[sim][network]") {
    CHECK(first_read({}, 500ms) == written);
    for (std::uint64_t seed = 1; seed <= 20; ++seed) CHECK(first_read({}, 0ms, seed) == written);
}

TEST_CASE("a short read leaves some of what is there", "[sim][network]") {
    Faults faults;
    faults.short_read = always;
    const std::size_t got = first_read(faults, 500ms);
    CHECK((got > 0 && got < written));
}

TEST_CASE("a split write arrives in two parts", "[sim][network]") {
    Faults faults;
    faults.split_write = always;
    int halves = 0; // The second part may catch up with the first.
    for (std::uint64_t seed = 1; seed <= 20; ++seed)
        if (first_read(faults, 0ms, seed) < written) ++halves;
    CHECK(halves > 5);
    CHECK(first_read(faults, 500ms) == written);
}

} // namespace pyralog::sim
