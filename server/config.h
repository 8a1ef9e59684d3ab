// server/config.h
//
// All that can be set about a node: its own settings and those of the layers below it, declared and
// described once (core/base/config.h). A Config is a value. Where settings come from, a file, the
// environment or the command line, is the business of server/cli; what they may be, and what all of
// them together must make sense of, is decided here, without looking at the world.
#pragma once

#include "core/base/config.h"
#include "core/base/logger.h"
#include "core/base/types.h"
#include "core/env/network.h"
#include "core/log/config.h"
#include "raft/config.h"
#include "raft/transport.h"

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog::server {

// Where the nodes of a cluster listen for each other.
using Members = std::map<NodeId, Address>;

// "1=host:port,2=host:port"; nothing where the text is not of this form or names a node twice.
std::optional<Members> parse_members(std::string_view text);
std::string format_members(const Members& members);

// What is set about Kafka's side of a node.
struct KafkaConfig {
    std::string host = "0.0.0.0";
    std::uint16_t port = 9092;
    std::optional<Address> advertise;
    std::int64_t connections_max = 1000;
    std::int64_t requests_in_flight_max = 64;
    std::size_t request_bytes_max = 100_MiB;
    std::size_t fetch_bytes_max = 55_MiB;
    std::int64_t fetch_sessions_max = 1000;
    std::size_t fetch_sessions_bytes_max = 16_MiB;
    std::size_t requests_bytes_max = 256_MiB;
    std::size_t answers_bytes_max = 256_MiB;
    Duration connection_idle_max = 10min;
    Duration stall_max = 30s;

    template <class Visitor>
    void describe(Visitor& setting);
};

// What is set about the room on the disk.
struct SpaceConfig {
    std::size_t free_bytes_min = 256_MiB;
    std::size_t reserve_bytes = 32_MiB;

    template <class Visitor>
    void describe(Visitor& setting);
};

// What a topic is like of which its creator has said nothing.
struct TopicConfig {
    bool auto_create = true;
    int partitions = 1;
    int replication_factor = 0;
    int partitions_max = 1024;
    std::size_t message_bytes_max = 1_MiB;
    Duration retention_time = std::chrono::days(7);
    std::size_t retention_bytes = 10_GiB;
    Duration retention_interval = 5min;
    Duration compaction_interval = 15s;
    std::size_t compaction_key_bytes_max = 128_MiB;
    Duration producer_expiration = 24h;

    template <class Visitor>
    void describe(Visitor& setting);
};

// What is set about groups of consumers.
struct GroupConfig {
    int offsets_partitions = 16;
    std::int64_t groups_max = 10'000;
    std::int64_t members_max = 1000;
    std::size_t bytes_max = 1_MiB;
    std::size_t offset_metadata_bytes_max = 4_KiB;
    Duration initial_rebalance_delay = 3s;
    Duration session_timeout_min = 6s;
    Duration session_timeout_max = 30min;
    Duration offsets_retention = std::chrono::days(7);
    Duration offsets_retention_interval = 10min;

    template <class Visitor>
    void describe(Visitor& setting);
};

// What is set about transactions.
struct TransactionConfig {
    int partitions = 16;
    std::int64_t ids_max = 10'000;
    std::int64_t partitions_max = 1000;
    Duration timeout_max = 15min;
    Duration id_expiration = std::chrono::days(7);

    template <class Visitor>
    void describe(Visitor& setting);
};

struct AdminConfig {
    std::string host = "127.0.0.1";
    std::uint16_t port = 9094;
    std::int64_t connections_max = 32;
    Duration patience = 10s;
    std::int64_t series_max = 1000;

    template <class Visitor>
    void describe(Visitor& setting);
};

// What is set about PyralogService.
struct GrpcConfig {
    std::optional<Address> listen;
    std::optional<Address> advertise;
    std::int64_t calls_max = 1000;
    std::size_t memory_max = 64_MiB;

    template <class Visitor>
    void describe(Visitor& setting);
};

// Where something is that is asked by HTTP.
struct HttpEndpoint {
    Address address;
    std::string path;
    bool operator==(const HttpEndpoint&) const = default;
};

// Shares are told in them.
inline constexpr std::int64_t millionths = 1'000'000;

// What is set about traces of requests (server/tracing): where they are sent, and of how many.
struct OtlpConfig {
    std::optional<HttpEndpoint> endpoint; // None: there are no traces.
    std::int64_t sample_millionths = 10'000;
    std::string service = "pyralog";

    template <class Visitor>
    void describe(Visitor& setting);
};

struct Config {
    int node_id = 1;
    std::string data_dir = "/var/lib/pyralog";
    Level log_level = Level::info;

    std::string cluster_name = "pyralog";
    Members members; // Empty: this node is alone, and listens for no peers.
    std::optional<Address> peer_listen;

    KafkaConfig kafka;
    TopicConfig topic;
    GroupConfig group;
    TransactionConfig transaction;
    raft::RaftConfig raft;
    JournalConfig journal;
    LogConfig log;
    SpaceConfig disk;
    raft::TransportConfig peer;

    AdminConfig admin;
    GrpcConfig grpc;
    OtlpConfig otlp;

    NodeId id() const { return NodeId(node_id); }

    // This node among the members, even if it is alone.
    std::vector<NodeId> member_ids() const;

    // Where to listen for peers; nothing if there are none.
    std::optional<Address> peer_address() const;
    Address kafka_address() const { return {kafka.host, kafka.port}; }
    Address admin_address() const { return {admin.host, admin.port}; }

    // What clients are told to connect to.
    Address advertised() const;

    // The same for gRPC, as host:port; empty if this node does not listen for it.
    std::string grpc_advertised() const;

    // How many replicas a topic gets that asks for none in particular.
    int default_replication_factor() const;

    // What no single bound can say: one line for each thing that is wrong, none if all is well.
    std::vector<std::string> problems() const;

    template <class Visitor>
    void describe(Visitor& setting);
};

// ---- Who has set what ----

// Later ones overrule earlier ones.
enum class Source : std::uint8_t { built_in, file, environment, flag };

constexpr std::string_view to_string(Source source) {
    switch (source) {
    case Source::built_in: return "default";
    case Source::file: return "file";
    case Source::environment: return "environment";
    case Source::flag: return "flag";
    }
    check_failed("a known Source", __FILE__, __LINE__);
}

// One setting, as somebody has given it.
struct Assignment {
    Source source = Source::flag;
    std::string where; // For people: "pyralog.toml:12", "PYRALOG_NODE_ID", "--node-id".
    std::string name;
    std::string value;
};

// What came of them. `origins` says of each setting that somebody gave where its value is from.
struct Applied {
    std::vector<std::string> mistakes; // "where: what is wrong": one line each, in order.
    std::map<std::string, Assignment> origins;
};

// Sets what `assignments` say, the strongest source last, whatever their order. A setting with a
// mistake keeps the value that it had; the caller is not to use it.
Applied apply(std::vector<Setting>& settings, std::span<const Assignment> assignments);

// The name in the environment: "raft.election_timeout" is PYRALOG_RAFT_ELECTION_TIMEOUT.
std::string environment_name(std::string_view setting);

// The table of all settings, in Markdown: what is in README.md, from the description itself.
std::string settings_reference(const std::vector<Setting>& settings);

// ---- The descriptions ----

std::optional<std::uint16_t> parse_port(std::string_view text);
std::string format_port(const std::uint16_t& port);
std::optional<std::optional<Address>> parse_optional_address(std::string_view text);
std::string format_optional_address(const std::optional<Address>& address);
std::optional<Level> parse_level(std::string_view text);
std::string format_level(const Level& level);
std::optional<std::string> parse_name(std::string_view text);
std::string format_name(const std::string& name);
std::optional<std::optional<HttpEndpoint>> parse_endpoint(std::string_view text);
std::string format_endpoint(const std::optional<HttpEndpoint>& endpoint);
// A number from 0 to 1, with up to six digits behind its point.
std::optional<std::int64_t> parse_millionths(std::string_view text);
std::string format_millionths(const std::int64_t& share);

constexpr TextForm<std::uint16_t> port_form{parse_port, format_port, "9092, or 0 for any free one"};
constexpr TextForm<std::optional<Address>> address_form{
    parse_optional_address, format_optional_address, "host:port, or nothing"};
constexpr TextForm<Members> members_form{parse_members, format_members,
                                         "1=host:port,2=host:port, each number once"};
constexpr TextForm<Level> level_form{parse_level, format_level, "debug, info, warning or error"};
constexpr TextForm<std::string> name_form{parse_name, format_name,
                                          "letters, digits, '.', '_' and '-', at most 64 of them"};

constexpr TextForm<std::optional<HttpEndpoint>> endpoint_form{
    parse_endpoint, format_endpoint, "http://host:port, perhaps with a path, or nothing"};
constexpr TextForm<std::int64_t> share_form{parse_millionths, format_millionths,
                                            "0 to 1, with up to 6 digits behind the point"};

template <class Visitor>
void KafkaConfig::describe(Visitor& setting) {
    setting("kafka.host", host, AnyText{255},
            "The address to listen on for clients; 0.0.0.0 is every one of this machine.");
    setting("kafka.port", port, port_form, "The port to listen on for clients.");
    setting("kafka.advertise", advertise, address_form,
            "What clients are told to connect to, if not the address that is listened on.");
    setting("kafka.connections_max", connections_max, Bounds<std::int64_t>{1, 20'000},
            "Clients beyond this number are turned away.");
    setting("kafka.requests_in_flight_max", requests_in_flight_max, Bounds<std::int64_t>{1, 1024},
            "Requests of one client that may wait for their answers; then nobody reads on.");
    setting("kafka.request_bytes_max", request_bytes_max, Bounds<std::size_t>{64_KiB, 1_GiB},
            "A request that claims to be longer ends its connection.");
    setting("kafka.fetch_bytes_max", fetch_bytes_max, Bounds<std::size_t>{64_KiB, 1_GiB},
            "The most record bytes in one answer to a fetch, whatever was asked for.");
    setting("kafka.fetch_sessions_max", fetch_sessions_max, Bounds<std::int64_t>{0, 100'000},
            "Clients of which it is remembered what they fetch, so that they need not say it each "
            "time.");
    setting("kafka.fetch_sessions_bytes_max", fetch_sessions_bytes_max,
            Bounds<std::size_t>{0, 16_GiB}, "The memory for that.");
    setting("kafka.requests_bytes_max", requests_bytes_max, Bounds<std::size_t>{64_KiB, 1024_GiB},
            "The memory for requests of all clients that are not answered yet. One request at a "
            "time may exceed it.");
    setting("kafka.answers_bytes_max", answers_bytes_max, Bounds<std::size_t>{64_KiB, 1024_GiB},
            "The memory for records that were fetched and are not sent yet, of all clients.");
    setting("kafka.connection_idle_max", connection_idle_max, Bounds<Duration>{1s, 24h},
            "A client that has said nothing for so long is disconnected.");
    setting("kafka.stall_max", stall_max, Bounds<Duration>{1s, 1h},
            "A client that takes longer to send the next MiB of a request, or to take the next MiB "
            "of an answer, is disconnected.");
}

template <class Visitor>
void SpaceConfig::describe(Visitor& setting) {
    setting("disk.free_bytes_min", free_bytes_min, Bounds<std::size_t>{0, 1024_GiB},
            "With less free space on the disk than this, new records are refused until there is "
            "more again.");
    setting(
        "disk.reserve_bytes", reserve_bytes, Bounds<std::size_t>{0, 1_GiB},
        "The size of a file that only takes up room. It is removed when there is no other room, "
        "so that a node can still start, and topics be deleted.");
}

template <class Visitor>
void TopicConfig::describe(Visitor& setting) {
    setting("topic.auto_create", auto_create,
            "Create a topic when a client first asks for it by name.");
    setting("topic.partitions", partitions, Bounds<int>{1, 1024},
            "Partitions of a topic whose creator does not say how many.");
    setting(
        "topic.replication_factor", replication_factor, Bounds<int>{0, 7},
        "Replicas of each partition if its creator does not say; 0: one per node, up to three.");
    setting("topic.partitions_max", partitions_max, Bounds<int>{1, 10'000},
            "The most partitions that one topic may have.");
    setting("topic.message_bytes_max", message_bytes_max, Bounds<std::size_t>{1_KiB, 64_MiB},
            "The largest batch of records that is taken.");
    setting(
        "topic.retention_time", retention_time, Bounds<Duration>{0s, std::chrono::days(36'500)},
        "Records older than this, by their own times, are deleted, a whole segment at a time; 0: "
        "never. Of a topic without `retention.ms`.");
    setting("topic.retention_bytes", retention_bytes, Bounds<std::size_t>{0, 1_GiB * 1024 * 1024},
            "A partition that is larger loses its oldest segments; 0: never. Of a topic without "
            "`retention.bytes`.");
    setting("topic.retention_interval", retention_interval, Bounds<Duration>{10ms, 24h},
            "How often leaders look for records to be deleted.");
    setting("topic.compaction_interval", compaction_interval, Bounds<Duration>{10ms, 24h},
            "How often nodes look for topics to be compacted.");
    setting("topic.compaction_key_bytes_max", compaction_key_bytes_max,
            Bounds<std::size_t>{4_KiB, 64_GiB},
            "The memory for keys while a partition is compacted, one at a time. With less than its "
            "keys take, that is done in several passes.");
    setting("topic.producer_expiration", producer_expiration,
            Bounds<Duration>{1s, std::chrono::days(36'500)},
            "An idempotent producer of whom a partition has had nothing for so long is forgotten "
            "there.");
}

template <class Visitor>
void GroupConfig::describe(Visitor& setting) {
    setting("group.offsets_partitions", offsets_partitions, Bounds<int>{1, 256},
            "Partitions of __consumer_offsets, which is made when the first group is; each group "
            "is coordinated by who leads one of them.");
    setting("group.groups_max", groups_max, Bounds<std::int64_t>{1, 1'000'000},
            "Groups beyond this number, of those that one node coordinates, are refused.");
    setting("group.members_max", members_max, Bounds<std::int64_t>{1, 10'000},
            "The most members that one group may have.");
    setting("group.bytes_max", bytes_max, Bounds<std::size_t>{4_KiB, 16_MiB},
            "The most that all members of a group may say of themselves, and that may be assigned "
            "to them.");
    setting("group.offset_metadata_bytes_max", offset_metadata_bytes_max,
            Bounds<std::size_t>{0, 32_KiB - 1},
            "The longest remark that may be committed with an offset.");
    setting("group.initial_rebalance_delay", initial_rebalance_delay, Bounds<Duration>{0s, 5min},
            "How long the first members of a group wait for more, each time that one comes.");
    setting("group.session_timeout_min", session_timeout_min, Bounds<Duration>{10ms, 1h},
            "No member may ask to be given up after less silence than this.");
    setting("group.session_timeout_max", session_timeout_max, Bounds<Duration>{1s, 24h},
            "Nor only after more than this.");
    setting("group.offsets_retention", offsets_retention,
            Bounds<Duration>{0s, std::chrono::days(36'500)},
            "Offsets of a group that has had no members for so long are forgotten, and so are "
            "those of topics that it no longer reads; 0: never.");
    setting("group.offsets_retention_interval", offsets_retention_interval,
            Bounds<Duration>{10ms, 24h}, "How often coordinators look for these.");
}

template <class Visitor>
void TransactionConfig::describe(Visitor& setting) {
    setting("transaction.partitions", partitions, Bounds<int>{1, 256},
            "Partitions of __transaction_state, which is made when somebody first has "
            "transactions; each transactional id is coordinated by who leads one of them.");
    setting("transaction.ids_max", ids_max, Bounds<std::int64_t>{1, 1'000'000},
            "Transactional ids beyond this number, of those that one node coordinates, are "
            "refused.");
    setting("transaction.partitions_max", partitions_max, Bounds<std::int64_t>{1, 10'000},
            "The most partitions that one transaction may write to.");
    setting("transaction.timeout_max", timeout_max, Bounds<Duration>{10ms, 24h},
            "No producer may ask for more time for a transaction than this.");
    setting("transaction.id_expiration", id_expiration,
            Bounds<Duration>{1s, std::chrono::days(36'500)},
            "A transactional id of which nothing was heard for so long is forgotten.");
}

template <class Visitor>
void AdminConfig::describe(Visitor& setting) {
    setting("admin.host", host, AnyText{255},
            "The address to listen on for the console, status, stop and metrics. There is no "
            "password: keep it local.");
    setting("admin.port", port, port_form, "The port to listen on for them.");
    setting("admin.connections_max", connections_max, Bounds<std::int64_t>{1, 1000},
            "Requests there that are answered at once; more wait until it is their turn.");
    setting("admin.patience", patience, Bounds<Duration>{100ms, 10min},
            "How long such a request and its answer may take. Who is slower is disconnected.");
    setting("admin.series_max", series_max, Bounds<std::int64_t>{0, 100'000},
            "So many partitions, and so many consumer groups by topic, are told one by one in the "
            "metrics. The sums are of all.");
}

template <class Visitor>
void GrpcConfig::describe(Visitor& setting) {
    setting("grpc.listen", listen, address_form,
            "Where to listen for PyralogService, the native protocol; empty: nowhere.");
    setting("grpc.advertise", advertise, address_form,
            "What its clients are told to connect to, if not the address that is listened on.");
    setting("grpc.calls_max", calls_max, Bounds<std::int64_t>{1, 100'000},
            "Its calls beyond this number, at a time, are refused.");
    setting("grpc.memory_max", memory_max, Bounds<std::size_t>{1_MiB, 64_GiB},
            "The memory for its connections and messages.");
}

// Texts all of them: so the simulator draws nothing for them, and its seeds mean what they meant.
template <class Visitor>
void OtlpConfig::describe(Visitor& setting) {
    setting("otlp.endpoint", endpoint, endpoint_form,
            "Where traces of requests to produce and to fetch are sent, by OTLP over HTTP, as "
            "JSON. Without a path it is /v1/traces. Empty: there are no traces.");
    setting("otlp.sample", sample_millionths, share_form,
            "The share of these requests of which there is a trace, by lot.");
    setting("otlp.service", service, name_form, "What this node calls itself there: service.name.");
}

template <class Visitor>
void Config::describe(Visitor& setting) {
    setting("node.id", node_id, Bounds<int>{1, 1'000'000},
            "The number of this node, which no other node of the cluster has.");
    setting("node.data_dir", data_dir, AnyText{4096},
            "The directory of this node's data; it belongs to one node for ever.");
    setting("node.log_level", log_level, level_form, "The least that is worth a line in the log.");
    setting("cluster.name", cluster_name, name_form,
            "Nodes and data directories of another name are refused.");
    setting(
        "cluster.members", members, members_form,
        "All nodes of the cluster, and where each listens for the others; empty: just this one.");
    setting("cluster.listen", peer_listen, address_form,
            "Where this node listens for its peers, if not at its address among the members.");
    kafka.describe(setting);
    topic.describe(setting);
    group.describe(setting);
    transaction.describe(setting);
    raft.describe(setting);
    journal.describe(setting);
    log.describe(setting);
    disk.describe(setting);
    peer.describe(setting);
    admin.describe(setting);
    grpc.describe(setting);
    otlp.describe(setting);
}

} // namespace pyralog::server
