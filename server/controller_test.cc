#include "io/sim/world.h"
#include "server/broker.h"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;

namespace {

constexpr NodeId controller_node{1};

// A node that finds this in its store: what it ends with, and what it has said of that.
struct Found {
    Result<> ended;
    std::vector<std::string> log;
};
Found start_with(const std::string& key, const std::string& value) {
    Found found;
    sim::World world(1);
    world.set_listener([&](const sim::TraceEvent& event) {
        if (event.kind == sim::TraceKind::log && event.text.find(key) != std::string_view::npos)
            found.log.emplace_back(event.text);
    });
    Config config;
    config.admin.port = 0;
    const auto done = [&] {
        return world.run_until(world.now() + 10s, [&] { return !world.running(controller_node); });
    };
    world.boot(controller_node, [&](Environment& env) -> Result<> {
        TRY(env.kv.open());
        return env.kv.commit(KvStore::Batch().put(key, value));
    });
    REQUIRE(done());
    world.boot(controller_node, [&](Environment& env) -> Result<> {
        found.ended = Broker(env, config).run();
        return {};
    });
    REQUIRE(done());
    return found;
}

} // namespace

TEST_CASE("a catalogue that cannot be read is named, and the node ends", "[server]") {
    for (const char* key :
         {"catalogue/topic/numbers", "catalogue/node/x", "catalogue/what", "controller/applied"}) {
        INFO(key);
        const Found found = start_with(key, "not what this version writes");
        REQUIRE_FALSE(found.ended.ok());
        CHECK(found.ended.error() == Error::corrupt);
        REQUIRE(found.log.size() == 1);
        CHECK(found.log[0].find("start the version that ran here last") != std::string::npos);
    }
}
