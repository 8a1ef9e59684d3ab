// What becomes of a replica that has lost some of what it had, and how it gets it back.
#include "core/log/survey.h"
#include "raft/test_hosts.h"

using namespace pyralog;
using namespace pyralog::raft;
using namespace pyralog::raft::host_test;

namespace {

// Where the last frame of this kind and group is in the journal of a node that is down.
struct Place {
    std::string path;
    std::uint64_t position = 0;
};
Place last_in_journal(Hosts& hosts, NodeId node, wire::Frame::Kind kind) {
    Place place;
    hosts.world.boot(node, [&](Environment& env) -> Result<> {
        const auto visit = [&](std::string_view path, std::uint64_t at, const wire::Frame& frame,
                               bool) {
            if (frame.kind == kind && path.starts_with("journal/")) place = {std::string(path), at};
        };
        TRY(survey(env, "journal", visit));
        return {};
    });
    REQUIRE(hosts.until([&] { return !hosts.world.running(node); }));
    REQUIRE(!place.path.empty());
    return place;
}

} // namespace

TEST_CASE("a replica that has forgotten whom it voted for gives nobody that vote again", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId leader = hosts.leader();
    const NodeId other = hosts.all_but(leader)[0];
    REQUIRE(hosts.until([&] { return hosts.group(other).consensus().leader() == leader; }));
    const Term term = hosts.group(other).term();
    hosts.world.run_for(100ms); // Sealed.
    hosts.world.kill(other);
    const Place vote = last_in_journal(hosts, other, wire::Frame::Kind::vote);
    REQUIRE(hosts.world.disk(other).rot(vote.path, vote.position + wire::Frame::header_size + 1,
                                        std::byte{1}));
    hosts.world.network().isolate(other, hosts.all_but(other));
    hosts.start(other);
    REQUIRE(hosts.until([&] { return hosts.up(other); }));
    CHECK(hosts.group(other).consensus().vote() == wire::Vote{term, wire::Vote::forgotten});
    hosts.world.network().heal_all();
    CHECK(hosts.produce(leader, "a").ok());
    CHECK(hosts.until([&] { return hosts.group(other).committed().offset == Offset(1); }));
}
