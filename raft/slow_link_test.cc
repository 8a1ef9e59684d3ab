// Followers behind links on which what a leader has to send takes longer than they wait for it.
#include "raft/test_hosts.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::raft;
using namespace pyralog::raft::host_test;

// Found by seed 501247 of a sweep: heartbeats stood behind the entries of a leader, it was deposed,
// and the next one began with the same entries.
TEST_CASE("a leader keeps the lead while its entries take longer than an election", "[raft]") {
    Hosts hosts(3);
    sim::Faults slow;
    slow.link_time = {1ms, 2ms, sim::never, 0us};
    slow.window_least = slow.window_most = 2048; // About a megabyte a second.
    hosts.world.set_faults(slow);
    hosts.raft.election_timeout = 250ms;
    hosts.raft.heartbeat_interval = 50ms;
    hosts.start_all();
    const NodeId leader = hosts.leader();
    const Term term = hosts.group(leader).term();
    std::vector<const Hosts::Answer*> answers;
    for (int i = 0; i < 16; ++i)
        answers.push_back(&hosts.begin(leader, [](Environment& env, Host& host) {
            return produce(env, host, std::string(500'000, 'x'), group_one, 1min);
        }));
    const Duration began = hosts.world.now();
    const auto settled = [](const Hosts::Answer* answer) { return answer->has_value(); };
    REQUIRE(hosts.until([&] { return std::ranges::all_of(answers, settled); }, 1min));
    for (const Hosts::Answer* answer : answers) CHECK((*answer)->ok());
    CHECK(hosts.world.now() - began > 10 * hosts.raft.election_timeout);
    CHECK(hosts.group(leader).term() == term);
}
