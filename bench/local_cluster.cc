#include "bench/local_cluster.h"

#include "core/wire/kafka/create_topics.h"
#include "core/wire/record_batch.h"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace pyralog::bench {

namespace kafka = wire::kafka;

namespace {

constexpr std::int16_t produce_version = 7;
constexpr std::int16_t metadata_version = 8;
constexpr std::int16_t create_topics_version = 5;
constexpr std::int32_t produce_patience_ms = 10'000;
constexpr Duration start_patience = 30s;

std::string program() {
    const auto path = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "pyralog";
    if (!std::filesystem::exists(path)) give_up(path.string() + " has not been built");
    return path.string();
}

pid_t start(const std::vector<std::string>& arguments, const std::string& log) {
    std::vector<char*> pointers;
    for (const std::string& argument : arguments)
        pointers.push_back(const_cast<char*>(argument.c_str()));
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (const int output : {1, 2})
        posix_spawn_file_actions_addopen(&actions, output, log.c_str(),
                                         O_WRONLY | O_CREAT | O_APPEND, 0600);
    pid_t process = 0;
    must(posix_spawn(&process, pointers[0], &actions, nullptr, pointers.data(), environ) == 0,
         "posix_spawn");
    posix_spawn_file_actions_destroy(&actions);
    return process;
}

} // namespace

LocalCluster::LocalCluster(const std::string& room, std::size_t nodes,
                           std::vector<std::string> settings)
    : nodes_(nodes) {
    // Of the listeners only the ports are used, which nobody else has then.
    std::vector<Socket> listeners;
    std::vector<std::string> ports;
    for (std::size_t i = 0; i < 3 * nodes; ++i) {
        listeners.push_back(Socket::listen());
        ports.push_back(std::to_string(listeners.back().port()));
    }
    std::string members;
    for (std::size_t i = 0; i < nodes; ++i)
        members += (i == 0 ? "" : ",") + std::to_string(i + 1) + "=127.0.0.1:" + ports[nodes + i];
    for (std::size_t i = 0; i < nodes; ++i) {
        Node& node = nodes_[i];
        const std::string number = std::to_string(i + 1);
        node.port = listeners[i].port();
        node.log = room + "/node" + number + ".log";
        node.command = {program(),        "start",
                        "--node-id",      number,
                        "--cluster-name", "bench",
                        "--data-dir",     room + "/node" + number,
                        "--port",         ports[i],
                        "--admin-port",   ports[2 * nodes + i],
                        "--set",          "kafka.host=127.0.0.1",
                        "--set",          "topic.partitions=3"};
        if (nodes > 1) node.command.insert(node.command.end(), {"--cluster", members});
        for (const std::string& setting : settings)
            node.command.insert(node.command.end(), {"--set", setting});
    }
    listeners.clear();
    start();
}

LocalCluster::~LocalCluster() { stop(); }

void LocalCluster::start() {
    for (Node& node : nodes_) node.process = bench::start(node.command, node.log);
}

void LocalCluster::stop() {
    for (const Node& node : nodes_)
        if (node.process != 0) kill(node.process, SIGTERM);
    for (Node& node : nodes_)
        if (node.process != 0) waitpid(std::exchange(node.process, 0), nullptr, 0);
}

void LocalCluster::create_topic(const std::string& topic, std::int32_t partitions) const {
    kafka::CreateTopicsRequest request;
    request.topics.push_back({topic, partitions, static_cast<std::int16_t>(nodes()), {}, {}});
    const auto answer = Client(port(0)).ask(request, create_topics_version);
    const auto error = answer.topics.at(0).error;
    if (error != kafka::ErrorCode::none)
        give_up("a topic was refused: " + std::string(to_string(error)));
}

std::vector<std::uint16_t> LocalCluster::leaders_of(const std::string& topic) const {
    kafka::MetadataRequest request;
    request.topics.emplace().emplace_back().name = topic;
    for (const Duration end = now() + start_patience; now() < end; usleep(10'000)) {
        const auto known = Client(port(0)).ask(request, metadata_version);
        std::vector<std::uint16_t> leaders;
        if (known.brokers.size() != nodes() || known.topics.size() != 1) continue;
        for (const auto& partition : known.topics[0].partitions)
            for (const auto& broker : known.brokers)
                if (broker.node_id == partition.leader_id &&
                    partition.replica_nodes.size() == nodes())
                    leaders.push_back(static_cast<std::uint16_t>(broker.port));
        if (!leaders.empty() && leaders.size() == known.topics[0].partitions.size()) return leaders;
    }
    give_up("the cluster has not formed: see the nodes' logs");
}

LocalCluster::Usage LocalCluster::usage(std::size_t node) const {
    const std::string process = "/proc/" + std::to_string(nodes_[node].process);
    Usage usage;
    std::ifstream status(process + "/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmRSS:")) usage.rss_bytes = std::stoull(line.substr(6)) * 1024;
    // Behind the name in brackets come the fields from the third on; these are 14 and 15.
    std::ifstream stat(process + "/stat");
    std::string text;
    std::getline(stat, text, ')');
    for (int field = 3; field < 14; ++field) stat >> text;
    std::int64_t user = 0, system = 0;
    stat >> user >> system;
    usage.cpu = Duration((user + system) * (1'000'000'000 / sysconf(_SC_CLK_TCK)));
    return usage;
}

void Producer::send(const Bytes& batch) {
    kafka::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = produce_patience_ms;
    request.topics.push_back({topic_, {{partition_, batch}}});
    sent_.push_back({{kafka::ApiKey::produce, produce_version, next_, "bench"}, now()});
    send_chain(socket_, kafka::encode_request(request, produce_version, next_++, "bench"));
}

Duration Producer::receive() {
    const auto answer =
        kafka::decode_response<kafka::ProduceResponse>(read_frame(socket_), sent_.front().header);
    if (!answer.ok()) give_up("the answer to a produce request cannot be read");
    const auto error = answer.value().topics.at(0).partitions.at(0).error;
    if (error != kafka::ErrorCode::none)
        give_up("a produce request was refused: " + std::string(to_string(error)));
    const Duration taken = now() - sent_.front().when;
    sent_.pop_front();
    return taken;
}

Bytes batch_of(int records, std::size_t bytes) {
    const std::string value(bytes, 'x');
    wire::RecordBatchBuilder builder;
    for (int i = 0; i < records; ++i) builder.add({}, value, 1);
    return builder.build();
}

} // namespace pyralog::bench
