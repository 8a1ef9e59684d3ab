#include "server/admin/status.h"

#include "server/admin/json.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;

namespace {

Status two_nodes() {
    Status status;
    status.node = NodeId(1);
    status.cluster = "main";
    status.state = Status::State::ready;
    status.controller = NodeId(2);
    status.topics = 3;
    status.partitions = 4;
    status.disk_total_bytes = 1000;
    status.disk_free_bytes = 10;
    status.disk_is_short = true;
    status.nodes = {{NodeId(1), {"a", 9092}, true, 4, 1}, {NodeId(2), {"::1", 9192}, true, 4, 3}};
    return status;
}

} // namespace

TEST_CASE("a status is told as JSON", "[server]") {
    CHECK(to_json(two_nodes()) ==
          "{\"node\":1,\"cluster\":\"main\",\"state\":\"ready\",\"formed\":true,\"controller\":2,"
          "\"topics\":3,\"partitions\":4,\"partitions_without_leader\":0,"
          "\"disk_total_bytes\":1000,\"disk_free_bytes\":10,\"disk_is_short\":true,\"nodes\":["
          "{\"id\":1,\"address\":\"a:9092\",\"state\":\"up\",\"replicas\":4,\"partitions_led\":1},"
          "{\"id\":2,\"address\":\"[::1]:9192\",\"state\":\"up\",\"replicas\":4,"
          "\"partitions_led\":3}]}\n");
    Status alone;
    alone.node = NodeId(1);
    CHECK(to_json(alone) ==
          "{\"node\":1,\"cluster\":\"\",\"state\":\"starting\",\"formed\":false,"
          "\"controller\":null,\"topics\":0,\"partitions\":0,\"partitions_without_leader\":0,"
          "\"disk_total_bytes\":0,\"disk_free_bytes\":0,\"disk_is_short\":false,\"nodes\":[]}\n");
}

TEST_CASE("a cluster has formed when everybody is there and everything has a leader", "[server]") {
    CHECK(two_nodes().formed());
    Status status = two_nodes();
    status.state = Status::State::stopping;
    CHECK_FALSE(status.formed());
    status = two_nodes();
    status.controller.reset();
    CHECK_FALSE(status.formed());
    status = two_nodes();
    status.nodes[1].is_up = false;
    CHECK_FALSE(status.formed());
    status = two_nodes();
    status.partitions_without_leader = 1;
    CHECK_FALSE(status.formed());
}

TEST_CASE("text in JSON is quoted, whatever is in it", "[server]") {
    CHECK(json_quoted("plain") == "\"plain\"");
    CHECK(json_quoted("a\"b\\c\n\x1f") == "\"a\\\"b\\\\c\\u000a\\u001f\"");
}
