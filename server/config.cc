#include "server/config.h"

#include <algorithm>

namespace pyralog::server {

namespace {

constexpr std::size_t members_max = 64; // Far beyond any static cluster; a list from outside ends.
constexpr std::size_t name_bytes_max = 64;
constexpr std::size_t endpoint_bytes_max = 1024;
constexpr std::string_view traces_path = "/v1/traces"; // By the specification of OTLP.

bool is_wildcard(std::string_view host) { return host == "0.0.0.0" || host == "::"; }

bool fits_a_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

// Can only one of them be listened on?
bool meet(const Address& a, const Address& b) {
    if (a.port != b.port || a.port == 0) return false;
    return a.host == b.host || is_wildcard(a.host) || is_wildcard(b.host);
}

std::string both(std::string_view first, std::string_view second, std::uint16_t port) {
    return std::string(first) + " and " + std::string(second) + " are both port " +
           std::to_string(port) + ": each needs a port of its own";
}

std::string unknown(const std::vector<Setting>& settings, const Assignment& assignment) {
    std::string text = assignment.where + ": there is no setting \"" + assignment.name + "\"";
    const std::string nearest = nearest_setting(settings, assignment.name);
    if (nearest.empty()) return text + "; `pyralog config` shows those there are";
    return text + "; did you mean \"" + nearest + "\"?";
}

} // namespace

std::optional<Members> parse_members(std::string_view text) {
    Members members;
    while (!text.empty()) {
        const auto comma = text.find(',');
        const std::string_view item = text.substr(0, comma);
        const auto equals = item.find('=');
        if (equals == std::string_view::npos) return {};
        const auto id = parse_integer(item.substr(0, equals));
        const auto address = parse_address(item.substr(equals + 1));
        if (!id || *id < 1 || *id > 1'000'000 || !address || address->port == 0) return {};
        const bool is_new =
            members.emplace(NodeId(static_cast<std::int32_t>(*id)), *address).second;
        if (!is_new || members.size() > members_max) return {};
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
        if (text.empty()) return {};
    }
    return members;
}

std::string format_members(const Members& members) {
    std::string text;
    for (const auto& [id, address] : members) {
        if (!text.empty()) text += ',';
        text += std::to_string(id.value) + '=' + pyralog::to_string(address);
    }
    return text;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    const auto number = parse_integer(text);
    if (!number || *number < 0 || *number > 65535) return {};
    return static_cast<std::uint16_t>(*number);
}
std::string format_port(const std::uint16_t& port) { return std::to_string(port); }

std::optional<std::optional<Address>> parse_optional_address(std::string_view text) {
    if (text.empty()) return std::optional<Address>();
    auto address = parse_address(text);
    if (!address || address->port == 0) return {};
    return address;
}
std::string format_optional_address(const std::optional<Address>& address) {
    return address ? pyralog::to_string(*address) : std::string();
}

std::optional<Level> parse_level(std::string_view text) {
    for (const Level level : {Level::debug, Level::info, Level::warning, Level::error})
        if (pyralog::to_string(level) == text) return level;
    return {};
}
std::string format_level(const Level& level) { return std::string(pyralog::to_string(level)); }

std::optional<std::string> parse_name(std::string_view text) {
    if (text.empty() || text.size() > name_bytes_max) return {};
    if (!std::all_of(text.begin(), text.end(), fits_a_name)) return {};
    return std::string(text);
}
std::string format_name(const std::string& name) { return name; }

std::optional<std::optional<HttpEndpoint>> parse_endpoint(std::string_view text) {
    constexpr std::string_view scheme = "http://";
    if (text.empty()) return std::optional<HttpEndpoint>();
    if (!text.starts_with(scheme) || text.size() > endpoint_bytes_max) return {};
    text.remove_prefix(scheme.size());
    const std::string_view host = text.substr(0, text.find('/'));
    const std::string_view path = text.substr(host.size());
    const auto address = parse_address(host);
    if (!address || address->port == 0) return {};
    if (!std::ranges::all_of(path, [](char c) { return c > ' ' && c < 0x7f && c != '#'; }))
        return {};
    return HttpEndpoint{*address, std::string(path.size() <= 1 ? traces_path : path)};
}
std::string format_endpoint(const std::optional<HttpEndpoint>& endpoint) {
    if (!endpoint) return {};
    return "http://" + pyralog::to_string(endpoint->address) + endpoint->path;
}

std::optional<std::int64_t> parse_millionths(std::string_view text) {
    constexpr std::size_t digits_max = 6;
    const std::size_t point = std::min(text.find('.'), text.size());
    const auto whole = parse_integer(text.substr(0, point));
    if (text.starts_with('-')) return {};
    std::string digits(text.substr(std::min(point + 1, text.size())));
    if (!whole || digits.size() > digits_max) return {};
    if (point < text.size() && digits.empty()) return {};
    digits.resize(digits_max, '0');
    if (!std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; })) return {};
    const std::int64_t value = *whole > 1 ? millionths + 1 : *whole * millionths;
    const std::int64_t total = value + *parse_integer(digits.insert(0, "1")) - millionths;
    if (total > millionths) return {};
    return total;
}

std::string format_millionths(const std::int64_t& value) {
    std::string digits = std::to_string(millionths + value % millionths).substr(1);
    while (digits.size() > 1 && digits.back() == '0') digits.pop_back();
    return std::to_string(value / millionths) + '.' + digits;
}

std::vector<NodeId> Config::member_ids() const {
    std::vector<NodeId> ids;
    for (const auto& [member, address] : members) ids.push_back(member);
    if (ids.empty()) ids.push_back(id());
    return ids;
}

std::optional<Address> Config::peer_address() const {
    if (peer_listen) return peer_listen;
    const auto self = members.find(id());
    if (members.size() < 2 || self == members.end()) return {};
    return self->second;
}

Address Config::advertised() const {
    if (kafka.advertise) return *kafka.advertise;
    if (!is_wildcard(kafka.host)) return kafka_address();
    const auto self = members.find(id());
    return {self != members.end() ? self->second.host : "127.0.0.1", kafka.port};
}

std::string Config::grpc_advertised() const {
    if (!grpc.listen) return {};
    if (grpc.advertise) return pyralog::to_string(*grpc.advertise);
    if (!is_wildcard(grpc.listen->host)) return pyralog::to_string(*grpc.listen);
    return pyralog::to_string({advertised().host, grpc.listen->port});
}

int Config::default_replication_factor() const {
    if (topic.replication_factor > 0) return topic.replication_factor;
    return static_cast<int>(std::min<std::size_t>(3, member_ids().size()));
}

std::vector<std::string> Config::problems() const {
    std::vector<std::string> found;
    const auto nodes = static_cast<int>(member_ids().size());
    if (!members.empty() && !members.contains(id()))
        found.push_back("node.id is " + std::to_string(node_id) + ", but cluster.members are " +
                        format_members(members) + ": this node must be one of them");
    std::map<Address, NodeId> seen;
    for (const auto& [member, address] : members) {
        const auto [first, is_new] = seen.emplace(address, member);
        if (!is_new)
            found.push_back("cluster.members: nodes " + std::to_string(first->second.value) +
                            " and " + std::to_string(member.value) + " both listen at " +
                            pyralog::to_string(address) + ": each needs an address of its own");
    }
    if (topic.replication_factor > nodes)
        found.push_back("topic.replication_factor is " + std::to_string(topic.replication_factor) +
                        ", but there are only " + std::to_string(nodes) +
                        " nodes: lower it, or name more nodes in cluster.members");
    if (topic.partitions > topic.partitions_max)
        found.push_back("topic.partitions is " + std::to_string(topic.partitions) +
                        ", but must not exceed topic.partitions_max, which is " +
                        std::to_string(topic.partitions_max));
    if (topic.message_bytes_max > kafka.request_bytes_max)
        found.push_back("topic.message_bytes_max is " + format_bytes(topic.message_bytes_max) +
                        ", but kafka.request_bytes_max, which must hold it, is " +
                        format_bytes(kafka.request_bytes_max));
    if (group.session_timeout_min > group.session_timeout_max)
        found.push_back("group.session_timeout_min is " +
                        format_duration(group.session_timeout_min) +
                        ", but group.session_timeout_max is only " +
                        format_duration(group.session_timeout_max));
    if (!raft.validate().ok())
        found.push_back("raft.heartbeat_interval is " + format_duration(raft.heartbeat_interval) +
                        ", but raft.election_timeout is only " +
                        format_duration(raft.election_timeout) +
                        ": three heartbeats must fit into it");
    if (peer.keepalive_interval * 2 > peer.silence_max)
        found.push_back("peer.keepalive_interval is " + format_duration(peer.keepalive_interval) +
                        ", but peer.silence_max is only " + format_duration(peer.silence_max) +
                        ": two keepalives must fit into it");
    if (data_dir.empty()) found.push_back("node.data_dir is empty: name a directory");
    if (kafka.host.empty()) found.push_back("kafka.host is empty: name an address of this machine");
    if (admin.host.empty()) found.push_back("admin.host is empty: name an address of this machine");
    const std::optional<Address> peers = peer_address();
    if (meet(kafka_address(), admin_address()))
        found.push_back(both("kafka.port", "admin.port", kafka.port));
    if (peers && meet(kafka_address(), *peers))
        found.push_back(both("kafka.port", "the listener for peers", kafka.port));
    if (peers && meet(admin_address(), *peers))
        found.push_back(both("admin.port", "the listener for peers", admin.port));
    if (!grpc.listen) return found;
    if (meet(*grpc.listen, kafka_address()))
        found.push_back(both("grpc.listen", "kafka.port", kafka.port));
    if (meet(*grpc.listen, admin_address()))
        found.push_back(both("grpc.listen", "admin.port", admin.port));
    if (peers && meet(*grpc.listen, *peers))
        found.push_back(both("grpc.listen", "the listener for peers", peers->port));
    return found;
}

Applied apply(std::vector<Setting>& settings, std::span<const Assignment> assignments) {
    Applied result;
    for (const Source source : {Source::file, Source::environment, Source::flag}) {
        std::map<std::string_view, const Assignment*> given; // Twice by one source is a mistake.
        for (const Assignment& assignment : assignments) {
            if (assignment.source != source) continue;
            Setting* const setting = find_setting(settings, assignment.name);
            if (setting == nullptr) {
                result.mistakes.push_back(unknown(settings, assignment));
                continue;
            }
            const auto [first, is_new] = given.emplace(assignment.name, &assignment);
            if (!is_new && first->second->value != assignment.value) {
                result.mistakes.push_back(assignment.where + ": " + assignment.name + " is \"" +
                                          assignment.value + "\", but " + first->second->where +
                                          " has said \"" + first->second->value +
                                          "\": say it once");
                continue;
            }
            if (const std::string wrong = setting->set(assignment.value); !wrong.empty()) {
                result.mistakes.push_back(assignment.where + ": " + assignment.name + ' ' + wrong);
                continue;
            }
            result.origins[assignment.name] = assignment;
        }
    }
    return result;
}

std::string environment_name(std::string_view setting) {
    std::string name = "PYRALOG_";
    for (const char c : setting)
        name += c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return name;
}

std::string settings_reference(const std::vector<Setting>& settings) {
    std::string text = "| Setting | Default | May be | What it is |\n|---|---|---|---|\n";
    for (const Setting& setting : settings) {
        text += "| `" + setting.name + "` | ";
        text += setting.default_value.empty() ? "" : '`' + setting.default_value + '`';
        text += " | " + (setting.bounds.empty() ? setting.kind : setting.bounds);
        text += " | " + setting.help + " |\n";
    }
    return text;
}

} // namespace pyralog::server
