#include "server/identity.h"

namespace pyralog::server {

namespace {

constexpr std::string_view first_line = "pyralog data directory, format 1\n";

std::string list_of(const std::vector<NodeId>& ids) {
    std::string text;
    for (const NodeId id : ids) text += (text.empty() ? "" : ",") + std::to_string(id.value);
    return text;
}

std::optional<NodeId> parse_id(std::string_view text) {
    const auto number = parse_integer(text);
    if (!number || *number < 1 || *number > INT32_MAX) return {};
    return NodeId(static_cast<std::int32_t>(*number));
}

} // namespace

Identity identity_of(const Config& config) {
    return {config.cluster_name, config.id(), config.member_ids()};
}

std::string format_identity(const Identity& identity) {
    return std::string(first_line) + "cluster=" + identity.cluster +
           "\nnode=" + std::to_string(identity.node.value) +
           "\nmembers=" + list_of(identity.members) + '\n';
}

std::optional<Identity> parse_identity(std::string_view text) {
    if (!text.starts_with(first_line)) return {};
    Identity identity;
    std::string_view rest = text.substr(first_line.size());
    const auto line = [&](std::string_view name) -> std::optional<std::string_view> {
        const auto end = rest.find('\n');
        if (end == std::string_view::npos || !rest.starts_with(name)) return {};
        const std::string_view value = rest.substr(name.size(), end - name.size());
        rest.remove_prefix(end + 1);
        return value;
    };
    const auto cluster = line("cluster=");
    const auto node = line("node=");
    auto members = line("members=");
    if (!cluster || !node || !members) return {};
    identity.cluster = *cluster;
    const auto id = parse_id(*node);
    if (!id) return {};
    identity.node = *id;
    for (;;) {
        const auto comma = members->find(',');
        const auto member = parse_id(members->substr(0, comma));
        if (!member) return {};
        identity.members.push_back(*member);
        if (comma == std::string_view::npos) break;
        members->remove_prefix(comma + 1);
    }
    // One text for each identity: what was changed by hand or by a bad sector is not believed.
    if (format_identity(identity) != text) return {};
    return identity;
}

std::string identity_conflict(const Identity& on_disk, const Identity& wanted) {
    if (on_disk.cluster != wanted.cluster)
        return "belongs to cluster \"" + on_disk.cluster + "\", not to \"" + wanted.cluster +
               "\": name another directory, or set cluster.name";
    if (on_disk.node != wanted.node)
        return "belongs to node " + std::to_string(on_disk.node.value) + ", not to node " +
               std::to_string(wanted.node.value) + ": name another directory, or set node.id";
    if (on_disk.members != wanted.members)
        return "belongs to a cluster of the nodes " + list_of(on_disk.members) + ", not " +
               list_of(wanted.members) +
               ": the members of a cluster cannot change, set cluster.members as it was";
    return {};
}

} // namespace pyralog::server
