#include "server/admin/status.h"

#include "core/base/check.h"
#include "server/admin/json.h"

#include <algorithm>

namespace pyralog::server {

bool Status::formed() const {
    return state == State::ready && controller && partitions_without_leader == 0 &&
           std::all_of(nodes.begin(), nodes.end(), [](const NodeStatus& n) { return n.is_up; });
}

std::string_view to_string(Status::State state) {
    switch (state) {
    case Status::State::starting: return "starting";
    case Status::State::ready: return "ready";
    case Status::State::stopping: return "stopping";
    }
    check_failed("a known State", __FILE__, __LINE__);
}

std::string to_json(const Status& status) {
    JsonWriter out;
    out.begin_object().field("node", status.node.value).field("cluster", status.cluster);
    out.field("state", to_string(status.state)).field("formed", status.formed());
    out.key("controller");
    status.controller ? out.value(status.controller->value) : out.null();
    out.field("topics", status.topics).field("partitions", status.partitions);
    out.field("partitions_without_leader", status.partitions_without_leader);
    out.field("disk_total_bytes", status.disk_total_bytes);
    out.field("disk_free_bytes", status.disk_free_bytes);
    out.field("disk_is_short", status.disk_is_short).key("nodes").begin_array();
    for (const NodeStatus& node : status.nodes) {
        out.begin_object().field("id", node.id.value);
        out.field("address", pyralog::to_string(node.address));
        out.field("state", node.is_up ? "up" : "down").field("replicas", node.replicas);
        out.field("partitions_led", node.partitions_led).end_object();
    }
    out.end_array().end_object();
    return std::move(out).text();
}

} // namespace pyralog::server
