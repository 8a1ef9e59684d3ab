#include "bench/local_cluster.h"

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
constexpr std::int32_t produce_patience_ms = 10'000;
constexpr Duration start_patience = 30s;
constexpr std::size_t answer_bytes_max = 16_MiB;

[[noreturn]] void give_up(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(1);
}

std::string program() {
    const auto path = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "pyralog";
    if (!std::filesystem::exists(path)) give_up(path.string() + " has not been built");
    return path.string();
}

void send_chain(const Socket& socket, const BytesChain& chain) {
    const Bytes whole = joined(chain);
    socket.write(whole.view());
}

Bytes read_frame(const Socket& socket) {
    std::array<std::byte, 4> prefix{};
    if (!socket.read(prefix)) give_up("a node has closed the connection");
    std::uint32_t size = 0;
    for (const std::byte b : prefix) size = size << 8 | std::to_integer<std::uint32_t>(b);
    if (size > answer_bytes_max) give_up("a node's answer is too long");
    Buffer frame(size);
    if (!socket.read(frame.view())) give_up("a node has closed the connection");
    return std::move(frame).freeze();
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

// Nothing while the topic is not yet as it should be.
std::vector<std::uint16_t> look_for_leaders(std::uint16_t port, const std::string& topic) {
    const Socket socket = Socket::connect(port);
    kafka::MetadataRequest request;
    request.topics.emplace().emplace_back().name = topic;
    send_chain(socket, kafka::encode_request(request, metadata_version, 1, "bench"));
    const auto answer = kafka::decode_response<kafka::MetadataResponse>(
        read_frame(socket), {kafka::ApiKey::metadata, metadata_version, 1, "bench"});
    if (!answer.ok()) give_up("a node's metadata cannot be read");
    const kafka::MetadataResponse& known = answer.value();
    std::vector<std::uint16_t> leaders;
    if (known.brokers.size() != LocalCluster::nodes || known.topics.size() != 1) return {};
    for (const auto& partition : known.topics[0].partitions)
        for (const auto& broker : known.brokers)
            if (broker.node_id == partition.leader_id &&
                partition.replica_nodes.size() == LocalCluster::nodes)
                leaders.push_back(static_cast<std::uint16_t>(broker.port));
    return leaders.size() == known.topics[0].partitions.size() ? leaders
                                                               : std::vector<std::uint16_t>();
}

} // namespace

LocalCluster::LocalCluster(const std::string& room) {
    // Of the listeners only the ports are used, which nobody else has then.
    std::vector<Socket> listeners;
    std::vector<std::string> ports;
    for (int i = 0; i < 3 * nodes; ++i) {
        listeners.push_back(Socket::listen());
        ports.push_back(std::to_string(listeners.back().port()));
    }
    std::string members;
    for (std::size_t i = 0; i < nodes; ++i) {
        ports_[i] = listeners[i].port();
        members += (i == 0 ? "" : ",") + std::to_string(i + 1) + "=127.0.0.1:" + ports[nodes + i];
    }
    listeners.clear();
    for (std::size_t i = 0; i < nodes; ++i) {
        const std::string number = std::to_string(i + 1);
        processes_[i] = start({program(), "start", "--node-id", number, "--cluster", members,
                               "--cluster-name", "bench", "--data-dir", room + "/node" + number,
                               "--port", ports[i], "--admin-port", ports[2 * nodes + i], "--set",
                               "kafka.host=127.0.0.1", "--set", "topic.partitions=3"},
                              room + "/node" + number + ".log");
    }
}

LocalCluster::~LocalCluster() {
    for (const pid_t process : processes_) kill(process, SIGTERM);
    for (const pid_t process : processes_) waitpid(process, nullptr, 0);
}

std::vector<std::uint16_t> LocalCluster::leaders_of(const std::string& topic) {
    for (const Duration end = now() + start_patience; now() < end; usleep(50'000)) {
        std::vector<std::uint16_t> leaders = look_for_leaders(ports_[0], topic);
        if (!leaders.empty()) return leaders;
    }
    give_up("the cluster has not formed: see the nodes' logs");
}

LocalCluster::Usage LocalCluster::usage(int node) const {
    const std::string process =
        "/proc/" + std::to_string(processes_[static_cast<std::size_t>(node)]);
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
