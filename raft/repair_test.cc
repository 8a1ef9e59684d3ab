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
Place last_in_journal(Hosts& hosts, NodeId node, wire::Frame::Kind kind,
                      std::optional<std::int64_t> index = {}) {
    Place place;
    hosts.world.boot(node, [&](Environment& env) -> Result<> {
        const auto visit = [&](std::string_view path, std::uint64_t at, const wire::Frame& frame,
                               bool) {
            if (frame.kind == kind && path.starts_with("journal/") &&
                frame.first.index == index.value_or(frame.first.index))
                place = {std::string(path), at};
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

namespace {

// Three hosts that have stored some values, small ones, and everybody has all of them.
struct Stored {
    explicit Stored(bool in_segments) : hosts(3) {
        hosts.log.cache_bytes = 0;
        if (in_segments) hosts.log.segment_flush_bytes = 1_KiB;
        hosts.start_all();
        leader = hosts.leader();
        for (int i = 0; i < 12; ++i) values.push_back(std::string(900, static_cast<char>('a' + i)));
        for (const std::string& value : values) CHECK(hosts.produce(leader, value).ok());
        CHECK(hosts.until([&] {
            return std::ranges::all_of(hosts.nodes, [&](NodeId node) {
                const Log& log = hosts.group(node).log();
                return log.end() == hosts.group(leader).log().end() &&
                       log.committed() == log.end() &&
                       (!in_segments || log.segments_end() == log.end());
            });
        }));
        hosts.world.run_for(100ms); // Sealed.
        segment = "groups/" + std::to_string(group_one.value) + "/00000000000000000000.seg";
    }

    bool is_whole(NodeId node) { return hosts.group(node).log().damages().empty(); }
    std::string text_of_segment(NodeId node) {
        return std::string(hosts.world.disk(node).durable_content(segment)->text());
    }
    // Of an entry in the journal of a node, which is down afterwards.
    void spoil(NodeId node, std::int64_t index) {
        hosts.world.kill(node);
        const Place at = last_in_journal(hosts, node, wire::Frame::Kind::records, index);
        CHECK(hosts.world.disk(node).rot(at.path, at.position + wire::Frame::header_size + 100,
                                         std::byte{1}));
    }

    Hosts hosts;
    NodeId leader;
    Strings values;
    std::string segment;
};

} // namespace

TEST_CASE("a segment that rots under a leader is written anew from its followers", "[raft]") {
    Stored stored(true);
    Hosts& hosts = stored.hosts;
    const std::string before = stored.text_of_segment(stored.leader);
    sim::Medium& disk = hosts.world.disk(stored.leader);
    SECTION("a payload") { CHECK(disk.rot(stored.segment, 3000, std::byte{1})); }
    SECTION("a header") { CHECK(disk.rot(stored.segment, 64 + 64 + 20, std::byte{1})); }
    SECTION("a sector") { CHECK(disk.make_unreadable(stored.segment, 5000)); }
    SECTION("a bit in each kilobyte") {
        for (std::uint64_t at = 200; at < before.size(); at += 1000)
            CHECK(disk.rot(stored.segment, at, std::byte{1}));
    }
    const auto errors = [&] {
        return hosts
            .on(stored.leader,
                [](Environment&, Host& host) -> Result<Offset> {
                    Offset errors;
                    for (std::int64_t i = 0; i < 12; ++i)
                        if (!host.find(group_one)->read(Offset(i), 1).ok()) errors = errors + 1;
                    return errors;
                })
            .value();
    };
    CHECK(errors() > Offset(0));
    for (int i = 0; i < 10 && errors() > Offset(0); ++i) hosts.world.run_for(100ms);
    CHECK((hosts.values(stored.leader) == stored.values));
    CHECK(stored.is_whole(stored.leader));
    CHECK((stored.text_of_segment(stored.leader) == before));
}

TEST_CASE("what rots in a journal comes back from the others", "[raft]") {
    Stored stored(false);
    Hosts& hosts = stored.hosts;
    const NodeId node = hosts.all_but(stored.leader)[0];
    stored.spoil(node, 5);
    hosts.start(node);
    REQUIRE(hosts.until([&] { return hosts.up(node); }));
    CHECK_FALSE(stored.is_whole(node));
    CHECK(hosts.until([&] { return stored.is_whole(node); }));
    CHECK((hosts.values(node) == stored.values));
    CHECK(hosts.until([&] {
        return metric(hosts.world.environment(node), "pyralog_log_mended_total") == 1; // Durable.
    }));

    // For good, though the bad bytes are still there.
    hosts.world.cut_power(node);
    hosts.start(node);
    REQUIRE(hosts.until([&] { return hosts.up(node); }));
    CHECK(stored.is_whole(node));
    CHECK(hosts.until([&] { return hosts.group(node).committed().offset == Offset(12); }));
    CHECK((hosts.values(node) == stored.values));
}

TEST_CASE("what two have lost comes back when the third does", "[raft]") {
    Stored stored(false);
    Hosts& hosts = stored.hosts;
    const std::vector<NodeId> others = hosts.all_but(stored.leader);
    hosts.world.kill(others[1]);
    for (const NodeId node : {stored.leader, others[0]}) stored.spoil(node, 5);
    for (const NodeId node : {stored.leader, others[0]}) hosts.start(node);
    const NodeId leader = hosts.leader();
    CHECK(hosts.produce(leader, "more").ok()); // What is whole can still be done.
    hosts.world.run_for(10s);
    CHECK_FALSE(stored.is_whole(leader));
    CHECK(metric(hosts.world.environment(leader), "pyralog_repair_in_vain_total") > 3);
    hosts.start(others[1]);
    stored.values.push_back("more");
    for (const NodeId node : hosts.nodes) {
        CHECK(hosts.until([&] { return hosts.up(node) && stored.is_whole(node); }));
        CHECK(hosts.until(
            [&] { return hosts.group(node).committed() == hosts.group(leader).committed(); }));
        CHECK((hosts.values(node) == stored.values));
    }
}

// What one has damaged that nobody else has is nothing that was ever acknowledged.
TEST_CASE("a damaged entry that nobody has keeps nobody else from going on", "[raft]") {
    Stored stored(false);
    Hosts& hosts = stored.hosts;
    const std::vector<NodeId> others = hosts.all_but(stored.leader);
    hosts.world.network().isolate(stored.leader, others);
    (void)hosts.begin(stored.leader, [](Environment& env, Host& host) {
        return produce(env, host, "alone", group_one, 100ms);
    });
    hosts.world.run_for(200ms);
    const std::int64_t index = hosts.group(stored.leader).log().end().index - 1;
    stored.spoil(stored.leader, index);
    hosts.world.network().heal_all();
    hosts.start(stored.leader);
    const NodeId next = hosts.leader();
    CHECK(hosts.produce(next, "more").ok());
    stored.values.push_back("more");
    for (const NodeId node : hosts.nodes) {
        CHECK(hosts.until([&] {
            return hosts.up(node) && stored.is_whole(node) &&
                   hosts.group(node).committed() == hosts.group(next).committed();
        }));
        CHECK((hosts.values(node) == stored.values));
    }
}
