#include "server/identity.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace pyralog;
using namespace pyralog::server;

namespace {

const Identity example{"main", NodeId(2), {NodeId(1), NodeId(2), NodeId(30)}};
constexpr std::string_view example_text = "pyralog data directory, format 1\n"
                                          "cluster=main\nnode=2\nmembers=1,2,30\n";

} // namespace

TEST_CASE("an identity is read as it is written", "[server]") {
    CHECK(format_identity(example) == example_text);
    CHECK(parse_identity(example_text) == example);
    Config config;
    CHECK(identity_of(config) == Identity{"pyralog", NodeId(1), {NodeId(1)}});
    CHECK(parse_identity(format_identity(identity_of(config))) == identity_of(config));
}

TEST_CASE("a damaged identity is not believed, wherever the damage is", "[server]") {
    for (std::size_t size = 0; size < example_text.size(); ++size)
        CHECK_FALSE(parse_identity(example_text.substr(0, size)));
    CHECK_FALSE(parse_identity(std::string(example_text) + "x"));
    CHECK_FALSE(parse_identity("pyralog data directory, format 2\ncluster=m\nnode=2\nmembers=2\n"));
    CHECK_FALSE(
        parse_identity("pyralog data directory, format 1\ncluster=m\nnode=02\nmembers=2\n"));
    CHECK_FALSE(parse_identity("pyralog data directory, format 1\ncluster=m\nnode=2\nmembers=,\n"));
    rc::prop("what is believed is written the same", [](const std::string& text) {
        const std::string whole = "pyralog data directory, format 1\n" + text;
        if (const auto read = parse_identity(whole)) RC_ASSERT(format_identity(*read) == whole);
    });
}

TEST_CASE("a directory of another node, cluster or membership is told as such", "[server]") {
    CHECK(identity_conflict(example, example).empty());
    Identity other = example;
    other.cluster = "test";
    CHECK(identity_conflict(example, other) == "belongs to cluster \"main\", not to \"test\": name "
                                               "another directory, or set cluster.name");
    other = example;
    other.node = NodeId(1);
    CHECK(identity_conflict(example, other) ==
          "belongs to node 2, not to node 1: name another directory, or set node.id");
    other = example;
    other.members.pop_back();
    CHECK(identity_conflict(example, other) ==
          "belongs to a cluster of the nodes 1,2,30, not 1,2: the members of a cluster cannot "
          "change, set cluster.members as it was");
}
