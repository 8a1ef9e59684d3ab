#include "server/config.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

#include <set>

using namespace pyralog;
using namespace pyralog::server;

namespace {

// What is typed is a flag, unless it says otherwise.
struct Given {
    Config config;
    std::vector<Setting> settings = settings_of(config);
    std::vector<Assignment> assignments;

    Given& flag(std::string name, std::string value) {
        assignments.push_back({Source::flag, "--set", std::move(name), std::move(value)});
        return *this;
    }
    Given& file(std::string name, std::string value, int line = 1) {
        assignments.push_back(
            {Source::file, "a.toml:" + std::to_string(line), std::move(name), std::move(value)});
        return *this;
    }
    Given& environment(std::string name, std::string value) {
        assignments.push_back(
            {Source::environment, environment_name(name), name, std::move(value)});
        return *this;
    }
    Applied apply() { return server::apply(settings, assignments); }
};

using Lines = std::vector<std::string>;

Config of_three_nodes() {
    Config config;
    config.members = *parse_members("1=a:9093,2=b:9093,3=c:9093");
    return config;
}

} // namespace

TEST_CASE("where traces go is an address of HTTP, and nothing else", "[server]") {
    const auto read = [](std::string_view text) {
        const auto parsed = parse_endpoint(text);
        return parsed ? format_endpoint(*parsed) : "refused";
    };
    CHECK(read("") == "");
    CHECK(read("http://collector:4318") == "http://collector:4318/v1/traces");
    CHECK(read("http://[::1]:4318/") == "http://[::1]:4318/v1/traces");
    CHECK(read("http://a:80/other?x=y") == "http://a:80/other?x=y");
    for (const std::string_view text : {"collector:4318", "https://collector:4318", "http://",
                                        "http://collector", "http://collector:0", "http://a:b",
                                        "http://a:1/ b", "http://a:1/\r\nX: y", "http://a:1/#x"})
        CHECK(read(text) == "refused");
}

TEST_CASE("a share is told to a millionth", "[server]") {
    const auto read = [](std::string_view text) {
        const auto parsed = parse_millionths(text);
        return parsed ? *parsed : -1;
    };
    CHECK(read("0") == 0);
    CHECK(read("1") == millionths);
    CHECK(read("0.000001") == 1);
    CHECK(read("0.25") == 250'000);
    for (const std::string_view text : {"", "1.000001", "2", "-0.1", "0.", "0.0000001", "a", "0.x"})
        CHECK(read(text) == -1);
    CHECK(format_millionths(10'000) == "0.01");
    CHECK(format_millionths(millionths) == "1.0");
}

TEST_CASE("the defaults make sense, with one node and with three", "[server]") {
    CHECK(Config().problems().empty());
    CHECK(of_three_nodes().problems().empty());
}

TEST_CASE("flags overrule the environment, which overrules the file", "[server]") {
    Given given;
    given.flag("kafka.port", "3").file("kafka.port", "1").environment("kafka.port", "2");
    given.environment("admin.port", "12").file("admin.port", "11");
    given.file("topic.partitions", "7");
    const Applied applied = given.apply();
    CHECK(applied.mistakes.empty());
    CHECK(given.config.kafka.port == 3);
    CHECK(given.config.admin.port == 12);
    CHECK(given.config.topic.partitions == 7);
    CHECK(applied.origins.at("kafka.port").source == Source::flag);
    CHECK(applied.origins.at("admin.port").where == "PYRALOG_ADMIN_PORT");
    CHECK(applied.origins.at("topic.partitions").where == "a.toml:1");
    CHECK_FALSE(applied.origins.contains("node.id"));
}

TEST_CASE("every mistake is one line that says where and what", "[server]") {
    CHECK(Given().flag("kafka.prot", "1").apply().mistakes ==
          Lines{"--set: there is no setting \"kafka.prot\"; did you mean \"kafka.port\"?"});
    CHECK(Given().file("nonsense", "1", 7).apply().mistakes ==
          Lines{"a.toml:7: there is no setting \"nonsense\"; `pyralog config` shows those there "
                "are"});
    CHECK(Given().environment("raft.election_timeout", "1h").apply().mistakes ==
          Lines{"PYRALOG_RAFT_ELECTION_TIMEOUT: raft.election_timeout is 1h, but must be from 50ms "
                "to 1m"});
    CHECK(Given().flag("kafka.port", "65536").apply().mistakes ==
          Lines{"--set: kafka.port is \"65536\", but must look like 9092, or 0 for any free one"});
    CHECK(Given().flag("cluster.members", "1=a:1,1=b:1").apply().mistakes ==
          Lines{"--set: cluster.members is \"1=a:1,1=b:1\", but must look like "
                "1=host:port,2=host:port, each number once"});
    CHECK(Given().flag("cluster.name", "two words").apply().mistakes.size() == 1);
    CHECK(Given().flag("node.log_level", "loud").apply().mistakes ==
          Lines{"--set: node.log_level is \"loud\", but must look like debug, info, warning or "
                "error"});
}

TEST_CASE("a mistake that a stronger source overrules is still a mistake", "[server]") {
    CHECK(Given().file("kafka.port", "x").flag("kafka.port", "1").apply().mistakes.size() == 1);
}

TEST_CASE("one source may not say two things", "[server]") {
    CHECK(Given().flag("kafka.port", "1").flag("kafka.port", "2").apply().mistakes ==
          Lines{"--set: kafka.port is \"2\", but --set has said \"1\": say it once"});
    CHECK(Given().flag("kafka.port", "1").flag("kafka.port", "1").apply().mistakes.empty());
}

TEST_CASE("what only makes no sense together is noticed", "[server]") {
    const auto problem = [](auto change) {
        Config config = of_three_nodes();
        change(config);
        const Lines found = config.problems();
        REQUIRE(found.size() == 1);
        return found.front();
    };
    CHECK(problem([](Config& c) { c.node_id = 4; }) ==
          "node.id is 4, but cluster.members are 1=a:9093,2=b:9093,3=c:9093: this node must be one "
          "of them");
    CHECK(problem([](Config& c) { c.members[NodeId(3)] = {"b", 9093}; }) ==
          "cluster.members: nodes 2 and 3 both listen at b:9093: each needs an address of its own");
    CHECK(problem([](Config& c) { c.topic.replication_factor = 5; }) ==
          "topic.replication_factor is 5, but there are only 3 nodes: lower it, or name more nodes "
          "in cluster.members");
    CHECK(problem([](Config& c) { c.topic.partitions_max = 1, c.topic.partitions = 2; }) ==
          "topic.partitions is 2, but must not exceed topic.partitions_max, which is 1");
    CHECK(problem([](Config& c) { c.kafka.request_bytes_max = 64_KiB; }) ==
          "topic.message_bytes_max is 1MiB, but kafka.request_bytes_max, which must hold it, is "
          "64KiB");
    CHECK(
        problem([](Config& c) { c.raft.heartbeat_interval = 400ms; }) ==
        "raft.heartbeat_interval is 400ms, but raft.election_timeout is only 1s: three heartbeats "
        "must fit into it");
    CHECK(problem([](Config& c) { c.admin.port = 9092; }) ==
          "kafka.port and admin.port are both port 9092: each needs a port of its own");
    CHECK(problem([](Config& c) { c.kafka.port = 9093; }) ==
          "kafka.port and the listener for peers are both port 9093: each needs a port of its own");
    CHECK(problem([](Config& c) { c.data_dir = ""; }) ==
          "node.data_dir is empty: name a directory");
}

TEST_CASE("one port on two addresses is no clash, and any free port never is", "[server]") {
    Config config;
    config.kafka.host = "10.0.0.1";
    config.admin.port = config.kafka.port;
    CHECK(config.problems().empty());
    config.kafka.host = "127.0.0.1";
    CHECK(config.problems().size() == 1);
    config.admin.port = config.kafka.port = 0;
    CHECK(config.problems().empty());
}

TEST_CASE("clients are told an address that they can use", "[server]") {
    Config config = of_three_nodes();
    CHECK(config.advertised() == Address{"a", 9092});
    config.members.clear();
    CHECK(config.advertised() == Address{"127.0.0.1", 9092});
    config.kafka.host = "10.0.0.1";
    CHECK(config.advertised() == Address{"10.0.0.1", 9092});
    config.kafka.advertise = Address{"logs.example", 1234};
    CHECK(config.advertised() == Address{"logs.example", 1234});
}

TEST_CASE("by gRPC clients are told the same host, and where it listens", "[server]") {
    Config config = of_three_nodes();
    CHECK(config.grpc_advertised() == "");
    config.grpc.listen = Address{"0.0.0.0", 9095};
    CHECK(config.grpc_advertised() == "a:9095");
    config.grpc.listen = Address{"10.0.0.1", 9095};
    CHECK(config.grpc_advertised() == "10.0.0.1:9095");
    config.grpc.advertise = Address{"logs.example", 1234};
    CHECK(config.grpc_advertised() == "logs.example:1234");
}

TEST_CASE("gRPC has a port of its own", "[server]") {
    Config config = of_three_nodes();
    config.grpc.listen = Address{"0.0.0.0", 9095};
    CHECK(config.problems().empty());
    for (const std::uint16_t taken : {9092, 9093, 9094}) {
        config.grpc.listen->port = taken;
        CHECK(config.problems().size() == 1);
    }
}

TEST_CASE("a node that is alone listens for no peers", "[server]") {
    Config config;
    CHECK_FALSE(config.peer_address());
    CHECK(config.member_ids() == std::vector<NodeId>{NodeId(1)});
    config = of_three_nodes();
    CHECK(config.peer_address() == Address{"a", 9093});
    config.peer_listen = Address{"0.0.0.0", 19093};
    CHECK(config.peer_address() == Address{"0.0.0.0", 19093});
    CHECK(config.member_ids().size() == 3);
}

TEST_CASE("a topic gets a replica on each node, up to three", "[server]") {
    Config config;
    CHECK(config.default_replication_factor() == 1);
    config = of_three_nodes();
    CHECK(config.default_replication_factor() == 3);
    config.members = *parse_members("1=a:1,2=b:1,3=c:1,4=d:1,5=e:1");
    CHECK(config.default_replication_factor() == 3);
    config.topic.replication_factor = 5;
    CHECK(config.default_replication_factor() == 5);
}

TEST_CASE("members are read as they are written", "[server]") {
    for (const std::string_view text : {"", "1=a:1", "1=a:1,2=[::1]:65535,30=10.0.0.1:9093"})
        CHECK(format_members(*parse_members(text)) == text);
    for (const std::string_view text :
         {",", "1=a:1,", "1", "1=a", "1=a:0", "0=a:1", "-1=a:1", "1=a:1,1=a:1", "a=1", "1=a:65536",
          "1=a:1 ,2=b:1", "1000001=a:1"})
        CHECK_FALSE(parse_members(text));
    std::string many;
    for (int i = 1; i <= 65; ++i) many += (i > 1 ? "," : "") + std::to_string(i) + "=a:1";
    CHECK_FALSE(parse_members(many));
    rc::prop("no text brings the parsers down", [](const std::string& text) {
        (void)parse_members(text); // That it returns is all there is to see.
        (void)parse_optional_address(text);
        (void)parse_port(text);
        (void)parse_name(text);
        (void)parse_level(text);
    });
}

TEST_CASE("every setting has a name, a help and an environment variable of its own", "[server]") {
    Config config;
    std::set<std::string> names, variables;
    const auto settings = settings_of(config);
    for (const Setting& setting : settings) {
        CHECK(setting.name.find('.') != std::string::npos);
        CHECK(setting.help.ends_with('.'));
        CHECK(names.insert(setting.name).second);
        CHECK(variables.insert(environment_name(setting.name)).second);
    }
    CHECK(environment_name("raft.election_timeout") == "PYRALOG_RAFT_ELECTION_TIMEOUT");
}

TEST_CASE("a config written out and read again is the same", "[server]") {
    Random random(5);
    for (int i = 0; i < 100; ++i) {
        Config drawn;
        Given read;
        for (Setting& setting : settings_of(drawn)) {
            setting.randomise(random);
            read.flag(setting.name, setting.get());
        }
        REQUIRE(read.apply().mistakes.empty());
        const auto expected = settings_of(drawn);
        for (std::size_t s = 0; s < expected.size(); ++s)
            REQUIRE(read.settings[s].get() == expected[s].get());
    }
}
