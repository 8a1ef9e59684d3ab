#include "server/cli/kafka.h"

#include "core/wire/kafka/list_offsets.h"
#include "core/wire/kafka/metadata.h"

#include <array>

namespace pyralog::cli {

using namespace wire::kafka;

namespace {

constexpr std::int16_t metadata_version = 9;
constexpr std::int16_t list_offsets_version = 6;
constexpr std::uint32_t answer_bytes_max = 64_MiB;

} // namespace

Result<Bytes> exchange(Environment& env, const Address& broker, const BytesChain& request) {
    const std::unique_ptr<Stream> stream = TRY(env.network.connect(broker));
    TRY(stream->write(request));
    std::array<std::byte, 4> prefix{};
    TRY(read_exactly(*stream, prefix));
    const auto size = TRY(wire::decode<std::uint32_t>(Bytes::copy_of(prefix)));
    if (size > answer_bytes_max) return Error::malformed;
    Buffer frame(size);
    TRY(read_exactly(*stream, frame.view()));
    return std::move(frame).freeze();
}

Result<ClusterMap> ask_for_map(Environment& env, const Address& bootstrap) {
    MetadataRequest request;
    request.allow_auto_topic_creation = false;
    const MetadataResponse told = TRY(call(env, bootstrap, request, metadata_version));
    ClusterMap map;
    for (const auto& broker : told.brokers)
        map.brokers[broker.node_id] = {broker.host, static_cast<std::uint16_t>(broker.port)};
    for (const auto& topic : told.topics)
        for (const auto& partition : topic.partitions)
            if (topic.name) map.leaders[{*topic.name, partition.index}] = partition.leader_id;
    return map;
}

Result<std::map<PartitionName, std::int64_t>>
ask_for_offsets(Environment& env, const ClusterMap& map, const std::vector<PartitionName>& wanted,
                std::int64_t time) {
    std::map<std::int32_t, ListOffsetsRequest> requests;
    for (const PartitionName& name : wanted) {
        const auto leader = map.leaders.find(name);
        if (leader == map.leaders.end() || !map.brokers.contains(leader->second)) continue;
        ListOffsetsRequest& request = requests[leader->second];
        request.topics.push_back({name.topic, {{name.partition, -1, time}}});
    }
    std::map<PartitionName, std::int64_t> offsets;
    for (const auto& [broker, request] : requests) {
        const auto told = TRY(call(env, map.brokers.at(broker), request, list_offsets_version));
        for (const auto& topic : told.topics)
            for (const auto& partition : topic.partitions)
                if (partition.error == ErrorCode::none)
                    offsets[{topic.name, partition.index}] = partition.offset;
    }
    return offsets;
}

} // namespace pyralog::cli
