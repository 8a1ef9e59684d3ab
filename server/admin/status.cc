#include "server/admin/status.h"

#include "core/base/check.h"

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

std::string json_quoted(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string quoted = "\"";
    for (const char c : text) {
        const auto code = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            quoted += '\\';
            quoted += c;
        } else if (code < 0x20) {
            quoted += "\\u00";
            quoted += digits[code >> 4];
            quoted += digits[code & 15];
        } else {
            quoted += c;
        }
    }
    return quoted + '"';
}

std::string to_json(const Status& status) {
    std::string text = "{\"node\":" + std::to_string(status.node.value);
    text += ",\"cluster\":" + json_quoted(status.cluster);
    text += ",\"state\":" + json_quoted(to_string(status.state));
    text += ",\"formed\":";
    text += status.formed() ? "true" : "false";
    text += ",\"controller\":";
    text += status.controller ? std::to_string(status.controller->value) : "null";
    text += ",\"topics\":" + std::to_string(status.topics);
    text += ",\"partitions\":" + std::to_string(status.partitions);
    text += ",\"partitions_without_leader\":" + std::to_string(status.partitions_without_leader);
    text += ",\"disk_total_bytes\":" + std::to_string(status.disk_total_bytes);
    text += ",\"disk_free_bytes\":" + std::to_string(status.disk_free_bytes);
    text += ",\"disk_is_short\":";
    text += status.disk_is_short ? "true" : "false";
    text += ",\"nodes\":[";
    for (const NodeStatus& node : status.nodes) {
        if (&node != &status.nodes.front()) text += ',';
        text += "{\"id\":" + std::to_string(node.id.value);
        text += ",\"address\":" + json_quoted(pyralog::to_string(node.address));
        text += ",\"state\":";
        text += node.is_up ? "\"up\"" : "\"down\"";
        text += ",\"replicas\":" + std::to_string(node.replicas);
        text += ",\"partitions_led\":" + std::to_string(node.partitions_led) + '}';
    }
    return text + "]}\n";
}

} // namespace pyralog::server
