// A node that has lost what it had promised: row by row of the table in core/log/README.md.
#include "core/log/set_aside.h"
#include "core/log/survey.h"
#include "raft/test_hosts.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::raft;
using namespace pyralog::raft::host_test;

namespace {

// Three hosts that have agreed on some values, one of them down.
struct OneDown {
    OneDown() : hosts(3) {
        hosts.log.segment_flush_bytes = 1_KiB;
        hosts.log.segment_bytes = 4_KiB;
        hosts.start_all();
        const NodeId leader = hosts.leader();
        for (int i = 0; i < 12; ++i) {
            values.push_back(std::string(900, static_cast<char>('a' + i)));
            CHECK(hosts.produce(leader, values.back()).ok());
        }
        node = hosts.all_but(leader)[0];
        others = hosts.all_but(node);
        CHECK(hosts.until([&] { return has_all(node); }));
        hosts.world.run_for(100ms);
        hosts.world.kill(node);
    }

    bool has_all(NodeId at) {
        return hosts.up(at) && hosts.group(at).committed().offset == Offset(values.size());
    }
    bool abstains() { return hosts.group(node).consensus().abstains(); }
    void start() {
        hosts.start(node);
        REQUIRE(hosts.until([&] { return hosts.up(node) || !hosts.world.running(node); }));
        REQUIRE(hosts.up(node));
    }
    std::string newest_journal() {
        std::string newest;
        const auto names = hosts.world.disk(node).durable_list("journal").value();
        for (const std::string& name : names)
            if (name.ends_with(".log")) newest = std::max(newest, "journal/" + name);
        return newest;
    }
    // Nothing speaks against that any more: it votes, and is needed for it.
    void check_counts() {
        CHECK(hosts.until([&] { return !abstains() && has_all(node); }));
        CHECK((hosts.values(node) == values));
        const NodeId leader = hosts.leader();
        const NodeId gone = leader == node ? others[0] : leader;
        hosts.world.kill(gone);
        values.emplace_back("more");
        CHECK(hosts.produce(hosts.leader({gone}), values.back()).ok());
        CHECK(hosts.until([&] { return has_all(node); }));
        CHECK((hosts.values(node) == values));
    }

    Hosts hosts;
    NodeId node;
    std::vector<NodeId> others;
    Strings values;
};

} // namespace

TEST_CASE("an empty disk is told from a new node, which abstains until it is level", "[raft]") {
    OneDown one;
    Hosts& hosts = one.hosts;
    hosts.replace_disk(one.node);
    SECTION("all others are there") {
        one.start();
        CHECK(hosts.until([&] { return hosts.host(one.node).disks().replaces_another(); }));
        one.check_counts();
    }
    SECTION("only one of them is there") {
        // With the vote of the empty disk it would win, whatever it lacks.
        hosts.world.network().isolate(one.node, std::array{one.others[1]});
        hosts.world.kill(one.others[1]);
        one.start();
        CHECK(hosts.until([&] { return one.abstains(); }));
        hosts.world.run_for(20s);
        CHECK(one.abstains());
        const Position committed = hosts.group(one.others[0]).committed();
        one.values.emplace_back("waits");
        CHECK(!hosts.produce(one.others[0], "waits").ok());
        CHECK(hosts.group(one.others[0]).committed() == committed);
        CHECK((hosts.group(one.node).consensus().unheard() == std::vector{one.others[1]}));
        hosts.world.network().heal_all();
        hosts.start(one.others[1]);
        one.check_counts();
    }
}

TEST_CASE("a new node says nothing until all others remember its disk", "[raft]") {
    Hosts hosts(3);
    hosts.start(NodeId(1));
    hosts.start(NodeId(2));
    hosts.world.run_for(20s);
    for (const NodeId node : {NodeId(1), NodeId(2)}) {
        CHECK(hosts.group(node).term() == Term());
        CHECK((hosts.host(node).disks().strangers() == std::vector{NodeId(3)}));
        CHECK(metric(hosts.world.environment(node), "pyralog_peers_to_meet") == 1);
    }
    hosts.start(NodeId(3));
    CHECK(hosts.produce(hosts.leader(), "a").ok());
    // Once is enough.
    hosts.world.kill(NodeId(3));
    hosts.world.cut_power(NodeId(1));
    hosts.start(NodeId(1));
    CHECK(hosts.produce(hosts.leader(), "b").ok());
}

// Found by seed 814: the others could not be met for ever, by a node that seemed well.
TEST_CASE("a node that cannot remember whom it has met ends", "[raft]") {
    OneDown one;
    Hosts& hosts = one.hosts;
    hosts.replace_disk(one.node);
    hosts.world.facts(one.others[0]).fail_next_commit();
    hosts.start(one.node);
    CHECK(hosts.until([&] { return !hosts.world.running(one.others[0]); }));
    CHECK(hosts.world.exit_status(one.others[0])->error() == Error::device_failed);
    hosts.start(one.others[0]);
    one.check_counts();
}

TEST_CASE("a journal that has lost what was durable is given up, and segments are kept", "[raft]") {
    OneDown one;
    Hosts& hosts = one.hosts;
    sim::Medium& disk = hosts.world.disk(one.node);
    const std::string newest = one.newest_journal();
    std::string kept = "groups/1/00000000000000000000.seg";
    bool keeps = true;
    SECTION("the header of a file") { CHECK(disk.rot(newest, 30, std::byte{1})); }
    SECTION("the header of the first round, and of its first frame") {
        CHECK(disk.rot(newest, 4096 + 20, std::byte{1}));
        CHECK(disk.rot(newest, 4096 + 64 + 20, std::byte{1}));
    }
    SECTION("the newest file") {
        const auto removed =
            hosts.world.run_to_end(one.node, sim::World::Main([&](Environment& env) -> Result<> {
                                       TRY(env.disk.remove(newest));
                                       return env.disk.sync_directory("journal");
                                   }));
        CHECK(removed.ok());
    }
    SECTION("all of it") {
        const auto removed =
            hosts.world.run_to_end(one.node, sim::World::Main([&](Environment& env) -> Result<> {
                                       for (const std::string& name : TRY(env.disk.list("journal")))
                                           TRY(env.disk.remove("journal/" + name));
                                       return env.disk.sync_directory("journal");
                                   }));
        CHECK(removed.ok());
    }
    SECTION("a segment in the middle") {
        keeps = false;
        const auto removed =
            hosts.world.run_to_end(one.node, sim::World::Main([&](Environment& env) -> Result<> {
                                       TRY(env.disk.remove("groups/1/" +
                                                           TRY(env.disk.list("groups/1"))[1]));
                                       return env.disk.sync_directory("groups/1");
                                   }));
        CHECK(removed.ok());
    }
    const Bytes before = disk.durable_content(kept).value();
    one.start();
    CHECK(hosts.given_up(one.node) == 1);
    CHECK(one.abstains());
    CHECK((hosts.group(one.node).log().segments_end().index > 0) == keeps);
    CHECK(disk.durable_list("set-aside/1/journal").has_value());
    CHECK(disk.durable_list("set-aside/1/groups-1").has_value() == !keeps);
    if (keeps) CHECK(std::ranges::equal(disk.durable_content(kept)->view(), before.view()));
    one.check_counts();
    // Once: from then on it is a disk like others.
    hosts.world.kill(one.node);
    one.start();
    CHECK(hosts.given_up(one.node) == 0);
    CHECK(!one.abstains());
}

TEST_CASE("what is kept of a journal that was given up is missed when it is lost", "[raft]") {
    OneDown one;
    Hosts& hosts = one.hosts;
    sim::Medium& disk = hosts.world.disk(one.node);
    CHECK(disk.rot(one.newest_journal(), 30, std::byte{1}));
    hosts.world.network().isolate(one.node, one.others);
    one.start();
    hosts.world.run_for(100ms);
    hosts.world.kill(one.node);
    // As if it had never been written.
    const std::string newest = "groups/1/" + disk.durable_list("groups/1").value().back();
    CHECK(disk.rot(newest, 20, std::byte{1}));
    one.start();
    CHECK(hosts.given_up(one.node) == 1);
    hosts.world.network().heal_all();
    CHECK(hosts.until([&] { return !one.abstains() && one.has_all(one.node); }));
    CHECK((hosts.values(one.node) == one.values));
}

TEST_CASE("what was trimmed before a journal was given up stays so", "[raft]") {
    OneDown one;
    Hosts& hosts = one.hosts;
    one.start();
    CHECK(hosts
              .on(hosts.leader(),
                  [](Environment&, Host& host) { return host.find(group_one)->trim(Offset(3)); })
              .value() == Offset(3));
    CHECK(hosts.until([&] { return hosts.group(one.node).log().log_start().offset == Offset(3); }));
    hosts.world.run_for(200ms);
    hosts.world.kill(one.node);
    // A file is begun with each start, and its marks say where logs begin.
    one.start();
    for (int i = 0; i < 3; ++i) {
        one.values.emplace_back("more");
        CHECK(hosts.produce(hosts.leader(), "more").ok());
        hosts.world.run_for(200ms);
    }
    hosts.world.kill(one.node);
    // The second round, of which nothing can be told then.
    const std::string newest = one.newest_journal();
    sim::Medium& disk = hosts.world.disk(one.node);
    const Bytes all = disk.durable_content(newest).value();
    const std::uint64_t second =
        4096 + wire::decode_round_header(all.view().subspan(4096)).value().stored_size();
    CHECK(disk.rot(newest, second + 20, std::byte{1}));
    CHECK(disk.rot(newest, second + 64 + 20, std::byte{1}));
    hosts.world.network().isolate(one.node, one.others);
    one.start();
    CHECK(hosts.given_up(one.node) == 1);
    CHECK(hosts.group(one.node).log().log_start().offset == Offset(3));
    hosts.world.network().heal_all();
    CHECK(hosts.until([&] { return !one.abstains() && one.has_all(one.node); }));
}

TEST_CASE("giving up is done once more if the power fails meanwhile", "[raft]") {
    for (Duration when = 0ms; when < 30ms; when += 1ms) {
        OneDown one;
        Hosts& hosts = one.hosts;
        CHECK(hosts.world.disk(one.node).rot(one.newest_journal(), 30, std::byte{1}));
        hosts.start(one.node);
        hosts.world.run_for(when);
        hosts.world.cut_power(one.node);
        one.start();
        CHECK(one.abstains());
        CHECK(hosts.until([&] { return !one.abstains() && one.has_all(one.node); }));
        CHECK((hosts.values(one.node) == one.values));
    }
}

TEST_CASE("two of three that have lost their promises elect nobody", "[raft]") {
    OneDown one;
    Hosts& hosts = one.hosts;
    for (const NodeId node : {one.node, one.others[0]}) {
        hosts.world.kill(node);
        hosts.replace_disk(node);
    }
    hosts.start(one.node);
    hosts.start(one.others[0]);
    hosts.world.run_for(30s);
    for (const NodeId node : {one.node, one.others[0]})
        CHECK(hosts.host(node).abstaining().size() == 1);
    for (const NodeId node : hosts.nodes) CHECK(!hosts.group(node).leads());
}

TEST_CASE("of two replicas the one that is whole is elected by the one that is not", "[raft]") {
    Hosts hosts(2);
    hosts.start_all();
    const NodeId leader = hosts.leader();
    CHECK(hosts.produce(leader, "a").ok());
    hosts.world.kill(leader);
    hosts.replace_disk(leader);
    hosts.start(leader);
    const NodeId other = hosts.all_but(leader)[0];
    CHECK(hosts.leader() == other);
    CHECK(hosts.produce(other, "b").ok());
    CHECK(hosts.until([&] {
        return hosts.host(leader).abstaining().size() == 0 &&
               hosts.group(leader).committed().offset == Offset(2);
    }));
    CHECK((hosts.values(leader) == Strings{"a", "b"}));
}

TEST_CASE("the only replica of a partition is not given up", "[raft]") {
    Hosts hosts(3);
    hosts.groups.push_back({group_two, {{NodeId(1)}, {}, {}}});
    hosts.start(NodeId(1));
    CHECK(hosts.until([&] { return hosts.up(NodeId(1)); }));
    hosts.groups.pop_back();
    hosts.start(NodeId(2));
    hosts.start(NodeId(3));
    CHECK(hosts.leader({}, group_two) == NodeId(1));
    CHECK(hosts.produce(NodeId(1), "a", group_two).ok());
    hosts.world.run_for(200ms);
    hosts.world.kill(NodeId(1));
    sim::Medium& disk = hosts.world.disk(NodeId(1));
    std::string newest;
    const auto names = disk.durable_list("journal").value();
    for (const std::string& name : names)
        if (name.ends_with(".log")) newest = "journal/" + name;
    CHECK(disk.rot(newest, 30, std::byte{1}));
    hosts.groups.push_back({group_two, {{NodeId(1)}, {}, {}}});
    hosts.start(NodeId(1));
    CHECK(hosts.until([&] { return !hosts.world.running(NodeId(1)); }));
    CHECK(hosts.world.exit_status(NodeId(1))->error() == Error::corrupt);
    CHECK(!disk.durable_list("set-aside").has_value());
}

TEST_CASE("an old disk that is put back is refused, and says so", "[raft]") {
    OneDown one;
    Hosts& hosts = one.hosts;
    const sim::Facts::Map old = hosts.world.facts(one.node).durable();
    hosts.replace_disk(one.node);
    one.start();
    CHECK(hosts.until([&] { return !one.abstains() && one.has_all(one.node); }));
    hosts.world.kill(one.node);
    CHECK(hosts.world
              .run_to_end(one.node, sim::World::Main([&](Environment& env) -> Result<> {
                              TRY(env.kv.open());
                              return env.kv.commit(KvStore::Batch().put("disk", old.at("disk")));
                          }))
              .ok());
    hosts.start(one.node);
    CHECK(hosts.until([&] { return !hosts.world.running(one.node); }));
    CHECK(hosts.world.exit_status(one.node)->error() == Error::corrupt);
}

TEST_CASE("a few of what was set aside are kept, and nothing is removed that cannot be listed",
          "[raft]") {
    sim::World world(1);
    world.add_host(NodeId(1), "node1");
    const auto made =
        world.run_to_end(NodeId(1), sim::World::Main([](Environment& env) -> Result<> {
                             for (int i = 1; i <= 5; ++i) {
                                 TRY(env.disk.create_directory("journal"));
                                 const auto file =
                                     TRY(env.disk.open("journal/a", Disk::Open::create_new));
                                 TRY(env.disk.sync_directory("journal"));
                                 SetAside aside(env);
                                 TRY(aside.take("journal"));
                                 TRY(aside.take("nothing"));
                                 if (aside.where() != "set-aside/" + std::to_string(i))
                                     return Error::malformed;
                             }
                             return {};
                         }));
    CHECK(made.ok());
    const auto kept = world.disk(NodeId(1)).durable_list("set-aside");
    CHECK((kept.value() == Strings{"3", "4", "5"}));
    CHECK((world.disk(NodeId(1)).durable_list("set-aside/5/journal").value() == Strings{"a"}));
    CHECK(!world.disk(NodeId(1)).durable_list("journal").has_value());
}
