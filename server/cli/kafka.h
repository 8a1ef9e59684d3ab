// server/cli/kafka.h
//
// As much of a Kafka client as the command line needs: one request at a time, each on a connection
// of its own, in versions that every node of ours has. All calls may wait, and end at the Deadline
// around them.
#pragma once

#include "core/env/environment.h"
#include "core/wire/kafka/api.h"

#include <map>
#include <string>
#include <vector>

namespace pyralog::cli {

// The frame of the answer to this one, its size taken off.
Result<Bytes> exchange(Environment& env, const Address& broker, const BytesChain& request);

template <class Request>
Result<typename Request::Response> call(Environment& env, const Address& broker,
                                        const Request& request, std::int16_t version) {
    const wire::kafka::RequestHeader header{Request::key, version, 1, "pyralog"};
    const Bytes frame = TRY(exchange(env, broker, wire::kafka::encode_frame(header, request)));
    return wire::kafka::decode_response<typename Request::Response>(frame, header);
}

struct PartitionName {
    std::string topic;
    std::int32_t partition = 0;
    auto operator<=>(const PartitionName&) const = default;
};

// Where the brokers are, and which of them leads each partition.
struct ClusterMap {
    std::map<std::int32_t, Address> brokers;
    std::map<PartitionName, std::int32_t> leaders;
};
Result<ClusterMap> ask_for_map(Environment& env, const Address& bootstrap);

// By their leaders: where partitions begin, or end. Those whose leader does not say are left out.
Result<std::map<PartitionName, std::int64_t>>
ask_for_offsets(Environment& env, const ClusterMap& map, const std::vector<PartitionName>& wanted,
                std::int64_t time);

} // namespace pyralog::cli
