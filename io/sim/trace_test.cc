#include "io/sim/trace.h"

#include "io/sim/world.h"

#include <map>
#include <optional>
#include <set>

#include <catch2/catch.hpp>

namespace pyralog::sim {
namespace {

struct Heard {
    TraceKind kind;
    NodeId node, peer;
    std::uint64_t id, step;
    Duration time, began, until;
    std::string text;
    std::size_t bytes;
};

constexpr NodeId traced_node{1};
constexpr NodeId other_node{2};

// Node 1 sends three bytes to node 2, which writes a file and syncs it; then everything goes wrong.
std::uint64_t play(World& world, const std::function<void(Duration)>& until) {
    world.boot(other_node, [](Environment& env) {
        auto listener = env.network.listen({"node2", 7});
        auto stream = listener.value()->accept();
        std::array<std::byte, 3> into{};
        (void)read_exactly(*stream.value(), into);
        (void)env.disk.create_directory("d");
        env.log.info("received", {{"bytes", 3}});
        (void)env.fibers.sleep_until(env.clock.now() + 10s);
    });
    world.boot(traced_node, [](Environment& env) {
        (void)env.fibers.sleep_until(env.clock.now() + 1ms);
        auto stream = env.network.connect({"node2", 7});
        (void)stream.value()->write({Bytes::copy_of("abc")});
        (void)env.fibers.sleep_until(env.clock.now() + 10s);
    });
    until(1s);
    world.network().block(traced_node, other_node);
    world.network().heal(traced_node, other_node);
    world.pause(traced_node, world.now() + 5ms);
    world.kill(traced_node);
    until(2s);
    world.cut_power(other_node);
    return world.hash();
}

std::vector<Heard> heard(std::uint64_t seed, const Faults& faults = {}) {
    std::vector<Heard> events;
    World world(seed, faults);
    world.set_listener([&](const TraceEvent& e) {
        events.push_back({e.kind, e.node, e.peer, e.id, e.step, e.time, e.began, e.until,
                          std::string(e.text),
                          size_of(BytesChain(e.bytes.begin(), e.bytes.end()))});
    });
    (void)play(world, [&](Duration when) { world.run_until(when); });
    return events;
}

std::vector<Heard> of_kind(const std::vector<Heard>& events, TraceKind kind) {
    std::vector<Heard> found;
    for (const Heard& e : events)
        if (e.kind == kind) found.push_back(e);
    return found;
}

} // namespace

TEST_CASE("listening changes nothing", "[sim]") {
    World silent(5);
    World watched(5);
    std::size_t count = 0;
    watched.set_listener([&](const TraceEvent&) { ++count; });
    const std::uint64_t hash = play(silent, [&](Duration when) { silent.run_until(when); });
    CHECK(play(watched, [&](Duration when) { watched.run_until(when); }) == hash);
    CHECK(count > 10);
}

TEST_CASE("a node cannot tell that somebody listens: its log is as it was", "[sim]") {
    World world(5);
    world.set_listener([](const TraceEvent&) {});
    world.boot(traced_node, [](Environment& env) { CHECK(env.log.least() == Level::error); });
    world.run_until(Duration(1ms));
}

TEST_CASE("what happens is told by its kind, with who, when and in which step", "[sim]") {
    const auto events = heard(5);
    std::uint64_t step = 0;
    for (const Heard& e : events) {
        CHECK(e.step >= step);
        step = e.step;
    }
    CHECK(of_kind(events, TraceKind::boot).size() == 2);
    const auto disk = of_kind(events, TraceKind::disk);
    REQUIRE(disk.size() == 1);
    CHECK(disk[0].node == other_node);
    CHECK(disk[0].text == "create_directory path=d");
    CHECK(disk[0].began < disk[0].time);
    const auto log = of_kind(events, TraceKind::log);
    REQUIRE(log.size() == 1);
    CHECK(log[0].text.find("received") != std::string::npos);
    REQUIRE(of_kind(events, TraceKind::block).size() == 1);
    CHECK(of_kind(events, TraceKind::block)[0].peer == other_node);
    CHECK(of_kind(events, TraceKind::heal).size() == 1);
    const auto pause = of_kind(events, TraceKind::pause);
    REQUIRE(pause.size() == 1);
    CHECK(pause[0].until == pause[0].time + 5ms);
    CHECK(of_kind(events, TraceKind::kill).size() == 1);
    CHECK(of_kind(events, TraceKind::power_cut).size() == 1);
}

TEST_CASE("a piece is told when it is sent, with its bytes, and when it arrives", "[sim]") {
    const auto events = heard(5);
    std::optional<Heard> sent;
    for (const Heard& e : of_kind(events, TraceKind::sent))
        if (e.bytes == 3) sent = e;
    REQUIRE(sent);
    CHECK(sent->node == traced_node);
    CHECK(sent->peer == other_node);
    bool arrived = false;
    for (const Heard& e : of_kind(events, TraceKind::delivered))
        if (e.node == other_node && e.id == sent->id) {
            arrived = true;
            CHECK(e.peer == traced_node);
            CHECK(e.time > sent->time);
        }
    CHECK(arrived);
}

TEST_CASE("a piece that is lost is told as dropped", "[sim]") {
    Faults faults;
    faults.vanish = always;
    std::set<std::uint64_t> open;
    World world(3, faults);
    std::size_t dropped = 0;
    world.set_listener([&](const TraceEvent& e) {
        if (e.kind == TraceKind::sent && e.node == traced_node) open.insert(e.id);
        if (e.kind == TraceKind::delivered && e.peer == traced_node) CHECK(open.erase(e.id) == 1);
        if (e.kind == TraceKind::dropped && e.node == traced_node) {
            ++dropped;
            CHECK(open.erase(e.id) == 1);
        }
    });
    world.boot(other_node, [](Environment& env) {
        auto listener = env.network.listen({"node2", 7});
        auto stream = listener.value()->accept();
        (void)env.fibers.sleep_until(env.clock.now() + 10s);
    });
    world.boot(traced_node, [](Environment& env) {
        (void)env.fibers.sleep_until(env.clock.now() + 1ms);
        auto stream = env.network.connect({"node2", 7});
        for (int i = 0; i < 20; ++i) (void)stream.value()->write({Bytes::copy_of("abc")});
        (void)env.fibers.sleep_until(env.clock.now() + 10s);
    });
    world.run_until(1s);
    CHECK(dropped > 0);
}

TEST_CASE("an injected fault is told with the node that it struck", "[sim]") {
    Faults faults;
    faults.slow_disk = always;
    const auto faults_told = of_kind(heard(5, faults), TraceKind::fault);
    REQUIRE(!faults_told.empty());
    CHECK(faults_told[0].text == "slow_disk");
    CHECK(faults_told[0].node == other_node);
}

TEST_CASE("a line has time, node and words", "[sim]") {
    TraceEvent event{
        .kind = TraceKind::delivered, .node = other_node, .peer = traced_node, .id = 9, .size = 3};
    event.time = 1500ms;
    CHECK(to_line(event) == "     1.500000000 n2   delivered peer=1 piece=9 bytes=3");
    const TraceEvent note{.kind = TraceKind::note, .text = "words"};
    CHECK(to_line(note) == "     0.000000000 n0   words");
}

} // namespace pyralog::sim
