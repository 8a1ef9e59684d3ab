#include "server/cli/kafka.h"

#include "core/wire/kafka/list_offsets.h"
#include "core/wire/kafka/metadata.h"
#include "io/real/world.h"
#include "server/cli/program.h"

#include <algorithm>
#include <array>

namespace pyralog::cli {

using namespace wire::kafka;

namespace {

constexpr std::int16_t list_offsets_version = 6;
constexpr std::uint32_t answer_bytes_max = 64_MiB;

} // namespace

std::string to_string(const PartitionName& name) {
    return name.topic + ':' + std::to_string(name.partition);
}

std::optional<Address> ClusterMap::leader_of(const PartitionName& name) const {
    const auto partition = partitions.find(name);
    if (partition == partitions.end()) return {};
    const auto broker = brokers.find(partition->second.leader);
    if (broker == brokers.end()) return {};
    return broker->second;
}

std::vector<Address> Client::candidates() const {
    std::vector<Address> all;
    for (const auto& [id, address] : map_.brokers) all.push_back(address);
    for (const Address& address : bootstrap_)
        if (std::ranges::find(all, address) == all.end()) all.push_back(address);
    return all;
}

Result<Stream*> Client::stream_to(const Address& broker) {
    auto& stream = streams_[broker];
    if (!stream) stream = TRY(env_.network.connect(broker));
    return stream.get();
}

Result<> Client::tell(const Address& broker, const BytesChain& frame) {
    const Deadline patience(env_.fibers, env_.clock.now() + call_patience);
    const auto write = [&]() -> Result<> { return TRY(stream_to(broker))->write(frame); };
    const Result<> written = write();
    if (!written.ok()) streams_.erase(broker);
    return written;
}

Result<Bytes> Client::exchange(const Address& broker, const BytesChain& request) {
    TRY(tell(broker, request));
    const Deadline patience(env_.fibers, env_.clock.now() + call_patience);
    Stream& stream = *streams_.at(broker);
    const auto read = [&]() -> Result<Bytes> {
        std::array<std::byte, 4> prefix{};
        TRY(read_exactly(stream, prefix));
        const auto size = TRY(wire::decode<std::uint32_t>(Bytes::copy_of(prefix)));
        if (size > answer_bytes_max) return Error::malformed;
        Buffer frame(size);
        TRY(read_exactly(stream, frame.view()));
        return std::move(frame).freeze();
    };
    Result<Bytes> answer = read();
    if (!answer.ok()) streams_.erase(broker);
    return answer;
}

Result<> Client::learn(const std::vector<std::string>* topics, bool create) {
    MetadataRequest request;
    request.allow_auto_topic_creation = create;
    if (topics) {
        request.topics.emplace();
        for (const std::string& topic : *topics) request.topics->push_back({{}, topic});
    }
    const MetadataResponse told = TRY(call_any(request, metadata_version));
    ClusterMap map;
    map.cluster = told.cluster_id.value_or("");
    map.controller = told.controller_id;
    for (const auto& broker : told.brokers)
        map.brokers[broker.node_id] = {broker.host, static_cast<std::uint16_t>(broker.port)};
    for (const auto& topic : told.topics) {
        if (!topic.name) continue;
        map.topics[*topic.name] = {topic.error, topic.is_internal,
                                   static_cast<std::int32_t>(topic.partitions.size())};
        // A leader that is down is none: another one is being elected.
        for (const auto& partition : topic.partitions)
            map.partitions[{*topic.name, partition.index}] = {
                map.brokers.contains(partition.leader_id) ? partition.leader_id : -1,
                partition.leader_epoch, partition.replica_nodes, partition.isr_nodes};
    }
    map_ = std::move(map);
    return {};
}

Result<std::map<PartitionName, std::int64_t>>
Client::ask_for_offsets(const std::vector<PartitionName>& wanted, std::int64_t time,
                        std::int8_t isolation) {
    std::map<Address, ListOffsetsRequest> requests;
    for (const PartitionName& name : wanted) {
        const auto leader = map_.leader_of(name);
        if (!leader) continue;
        requests[*leader].isolation_level = isolation;
        requests[*leader].topics.push_back({name.topic, {{name.partition, -1, time}}});
    }
    std::map<PartitionName, std::int64_t> offsets;
    for (const auto& [broker, request] : requests) {
        const auto told = TRY(call(broker, request, list_offsets_version));
        for (const auto& topic : told.topics)
            for (const auto& partition : topic.partitions)
                if (partition.error == ErrorCode::none)
                    offsets[{topic.name, partition.index}] = partition.offset;
    }
    return offsets;
}

// ---- What is told ----

Trouble silence(const Client& client, Error error) {
    std::string tried;
    for (const Address& address : client.bootstrap())
        tried += (tried.empty() ? "" : ",") + to_string(address);
    return {tried + ": no broker answers (" + std::string(to_string(error)) +
            "): name one that clients reach with --bootstrap HOST:PORT"};
}

Trouble refusal(const std::string& what, ErrorCode error,
                const std::optional<std::string>& message) {
    std::string text = what + ": " + std::string(wire::kafka::to_string(error));
    if (message && !message->empty()) text += ": " + *message;
    return {text};
}

int tell(const Trouble& trouble) {
    complain(trouble.what);
    return exit_failed;
}

int with_client(const CommandLine& line, const Program& program, std::optional<Duration> patience,
                const std::function<int(Client&)>& work) {
    const std::vector<Address> bootstrap =
        line.bootstrap.empty() ? std::vector<Address>{program.node.advertised()} : line.bootstrap;
    real::World world(real::IoConfig{.node = {}, .data_dir = {}, .log_level = Level::error});
    int code = exit_failed;
    (void)world.run([&](Environment& env) -> Result<> { // Its result is the code.
        std::optional<Deadline> deadline;
        if (patience) deadline.emplace(env.fibers, env.clock.now() + *patience);
        Client client(env, bootstrap);
        code = work(client);
        return {};
    });
    return code;
}

} // namespace pyralog::cli
