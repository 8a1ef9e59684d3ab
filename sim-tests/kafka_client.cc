#include "sim-tests/kafka_client.h"

#include "core/base/probe.h"
#include "core/wire/kafka/find_coordinator.h"

#include <algorithm>

namespace pyralog::simtest {

namespace {

constexpr std::string_view client_name = "pyralog-sim";
constexpr Duration connect_time_max = 3s;

} // namespace

// ---- One connection ----

Result<std::unique_ptr<KafkaConnection>> KafkaConnection::open(Environment& env,
                                                               const Address& address,
                                                               std::int64_t number, Random random) {
    // A broker that is not there may simply not answer, and there are others.
    const Deadline patience(env.fibers, env.clock.now() + connect_time_max);
    auto stream = TRY(env.network.connect(address));
    std::unique_ptr<KafkaConnection> made(
        new KafkaConnection(std::move(stream), number, std::move(random)));
    TRY(made->ask_versions());
    return made;
}

Result<> KafkaConnection::ask_versions() {
    kafka::ApiVersionsRequest request;
    request.client_software_name = client_name;
    request.client_software_version = "1";
    const kafka::Api& api = *kafka::find_api(kafka::ApiKey::api_versions);
    versions_[api.key] = {api.version_min, api.version_max};
    kafka::RequestHeader asked = TRY(send(request));
    Bytes frame = TRY(read_frame());
    auto answer = kafka::decode_response<kafka::ApiVersionsResponse>(frame, asked);
    if (!answer.ok()) {
        // A version that the broker does not have is answered in version 0 (KIP-511).
        asked.version = 0;
        TRY(kafka::decode_response<kafka::ApiVersionsResponse>(frame, asked));
        versions_[api.key] = {0, 0};
        asked = TRY(send(request));
        answer = receive<kafka::ApiVersionsResponse>(asked);
    }
    for (const auto& entry : TRY(std::move(answer)).apis) {
        const kafka::Api* ours = kafka::find_api(entry.key);
        if (!ours) continue;
        versions_[entry.key] = {std::max(ours->version_min, entry.version_min),
                                std::min(ours->version_max, entry.version_max)};
    }
    return {};
}

Result<kafka::RequestHeader> KafkaConnection::next_header(kafka::ApiKey key,
                                                          std::int16_t version_min) {
    const auto known = versions_.find(key);
    if (known == versions_.end()) return Error::unavailable;
    const std::int16_t low = std::max(version_min, known->second.min);
    if (low > known->second.max) return Error::unavailable;
    kafka::RequestHeader header;
    header.key = key;
    header.version = static_cast<std::int16_t>(random_.between(low, known->second.max));
    header.correlation_id = next_correlation_++;
    header.client_id = std::string(client_name);
    return header;
}

Result<Bytes> KafkaConnection::read_frame() {
    std::array<std::byte, 4> prefix;
    TRY(read_exactly(*stream_, prefix));
    std::uint32_t size = 0;
    for (const std::byte b : prefix) size = size << 8 | std::to_integer<std::uint32_t>(b);
    if (size > response_bytes_max) return Error::malformed;
    Buffer frame(size);
    TRY(read_exactly(*stream_, frame.view()));
    return std::move(frame).freeze();
}

// ---- The cluster ----

Result<> KafkaClient::refresh(const std::vector<std::string>& topics, bool auto_create) {
    kafka::MetadataRequest request;
    request.allow_auto_topic_creation = auto_create;
    if (!topics.empty()) {
        request.topics.emplace();
        for (const std::string& name : topics) {
            kafka::MetadataRequest::Topic& topic = request.topics->emplace_back();
            topic.name = name;
        }
    }
    KafkaConnection* connection = TRY(any_connection());
    // Before version 4 nobody can say that a topic is not to be created.
    const auto answer = [&]() -> Result<kafka::MetadataResponse> {
        const kafka::RequestHeader asked = TRY(connection->send(request, 4));
        return connection->receive<kafka::MetadataResponse>(asked);
    }();
    if (!answer.ok()) {
        drop(connection);
        return answer.error();
    }
    const kafka::MetadataResponse& told = answer.value();
    if (!told.brokers.empty()) brokers_.clear();
    for (const auto& broker : told.brokers)
        brokers_[broker.node_id] = {broker.host, static_cast<std::uint16_t>(broker.port)};
    if (told.controller_id >= 0) controller_ = told.controller_id;
    for (const auto& topic : told.topics) {
        if (!topic.name || topic.is_internal) continue; // Not for clients like these.
        std::erase_if(partitions_, [&](const auto& known) {
            return known.first.topic == *topic.name &&
                   topic.error == kafka::ErrorCode::unknown_topic_or_partition;
        });
        for (const auto& partition : topic.partitions)
            partitions_[{*topic.name, partition.index}] = {
                partition.leader_id, partition.leader_epoch,
                static_cast<std::int32_t>(partition.replica_nodes.size())};
    }
    return {};
}

std::optional<KafkaClient::Partition> KafkaClient::partition(const TopicPartition& name) const {
    const auto known = partitions_.find(name);
    if (known == partitions_.end()) return {};
    return known->second;
}

std::vector<std::int32_t> KafkaClient::brokers() const {
    std::vector<std::int32_t> ids;
    for (const auto& [id, address] : brokers_) ids.push_back(id);
    return ids;
}

Result<std::unique_ptr<KafkaConnection>> KafkaClient::open(const Address& address) {
    const std::int64_t number = next_number_++;
    return KafkaConnection::open(env_, address, number,
                                 random_.fork("connection " + std::to_string(number)));
}

Result<std::unique_ptr<KafkaConnection>> KafkaClient::open(std::int32_t broker) {
    const auto known = brokers_.find(broker);
    if (known == brokers_.end()) return Error::not_found;
    return open(known->second);
}

Result<KafkaConnection*> KafkaClient::connection(std::int32_t broker) {
    const auto known = connections_.find(broker);
    if (known != connections_.end()) return known->second.get();
    auto made = TRY(open(broker));
    return (connections_[broker] = std::move(made)).get();
}

Result<KafkaConnection*> KafkaClient::any_connection() {
    const std::uint64_t pick = random_.below(bootstrap_.size());
    const std::int32_t key = bootstrap_key - static_cast<std::int32_t>(pick);
    const auto known = connections_.find(key);
    if (known != connections_.end()) return known->second.get();
    auto made = TRY(open(bootstrap_[pick]));
    return (connections_[key] = std::move(made)).get();
}

Result<KafkaClient::Coordinator> KafkaClient::find_coordinator(const std::string& key,
                                                               std::int8_t type) {
    KafkaConnection* const any = TRY(any_connection());
    kafka::FindCoordinatorRequest request;
    request.coordinator_key = key;
    request.coordinator_keys = {key};
    request.key_type = type;
    const auto ask = [&]() -> Result<kafka::FindCoordinatorResponse> {
        // Before version 1 all coordinators are those of groups.
        const auto asked = TRY(any->send(request, type == 0 ? 0 : 1));
        return any->receive<kafka::FindCoordinatorResponse>(asked);
    };
    const auto answer = ask();
    if (!answer.ok()) {
        drop(any);
        return answer.error();
    }
    const auto& told = answer.value().coordinators.empty() ? answer.value().coordinator
                                                           : answer.value().coordinators[0];
    SOMETIMES(told.error != kafka::ErrorCode::none, "client/no-coordinator");
    if (told.error != kafka::ErrorCode::none) return Error::unavailable;
    const Address address{told.host, static_cast<std::uint16_t>(told.port)};
    brokers_[told.node_id] = address; // Perhaps it was not there when others were asked about.
    return Coordinator{told.node_id, address};
}

void KafkaClient::drop(const KafkaConnection* connection) {
    std::erase_if(connections_,
                  [&](const auto& known) { return known.second.get() == connection; });
}

} // namespace pyralog::simtest
