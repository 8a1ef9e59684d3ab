#include "raft/transport.h"

#include "io/sim/world.h"

#include <catch2/catch.hpp>

using namespace pyralog;

namespace {

// Two nodes that do nothing but keep a stream to each other.
struct Pair {
    sim::World world{1};
    raft::TransportConfig config;
    raft::Transport* first = nullptr;

    Pair() {
        for (const int id : {1, 2}) world.add_host(NodeId(id), "node" + std::to_string(id));
        for (const int id : {1, 2}) boot(NodeId(id));
    }

    void boot(NodeId self) {
        world.boot(self, [this, self](Environment& env) -> Result<> {
            wire::Hello hello;
            hello.cluster = "pair";
            hello.node = self;
            const NodeId other(3 - self.value);
            raft::Transport transport(env, config, hello, {{other, address(other)}});
            transport.on_receive([](NodeId, wire::PeerMessage) {});
            if (self == NodeId(1)) first = &transport;
            return transport.run(TRY(env.network.listen(address(self))));
        });
    }

    static Address address(NodeId node) { return {"node" + std::to_string(node.value), 9093}; }
};

} // namespace

TEST_CASE("an idle stream between two nodes stays up", "[raft]") {
    Pair pair;
    pair.world.run_for(1s);
    REQUIRE(pair.first->connected(NodeId(2)));
    pair.world.run_for(10 * pair.config.silence_max);
    CHECK(pair.first->connected(NodeId(2)));
}

// Found by a seed in which packets were damaged: the receiver hung up, the sender did not hear of
// it, and what it wrote went into the window of a stream that had no other end.
TEST_CASE("a stream whose other end has gone without a word is given up", "[raft]") {
    Pair pair;
    pair.world.run_for(1s);
    REQUIRE(pair.first->connected(NodeId(2)));
    pair.world.cut_power(NodeId(2));
    CHECK(pair.first->connected(NodeId(2)));
    pair.world.run_for(pair.config.silence_max + pair.config.keepalive_interval);
    CHECK_FALSE(pair.first->connected(NodeId(2)));
    pair.boot(NodeId(2));
    pair.world.run_for(pair.config.reconnect_delay_max + 1s);
    CHECK(pair.first->connected(NodeId(2)));
}
