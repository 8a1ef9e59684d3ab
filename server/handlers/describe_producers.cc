// DescribeProducers: what the leader of a partition remembers of those who write to it.
#include "core/wire/kafka/describe_producers.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::DescribeProducersRequest;
using wire::kafka::DescribeProducersResponse;

// To read what is not known yet.
constexpr Duration producers_patience = 5s;

DescribeProducersResponse::Partition look_at(Node& node, const std::string& topic,
                                             std::int32_t index) {
    DescribeProducersResponse::Partition found;
    found.index = index;
    const Node::Replica replica = node.replica(topic, index);
    found.error = check_leader(replica, -1);
    if (found.error != ErrorCode::none) return found;
    Result<> loaded;
    {
        const Deadline deadline(node.env.fibers, node.env.clock.now() + producers_patience);
        loaded = replica.group->load_producers();
    }
    SOMETIMES(!loaded.ok(), "describe-producers/cannot-know-them");
    if (!loaded.ok()) {
        found.error = to_code(loaded.error());
        return found;
    }
    for (const auto& [id, producer] : replica.group->producers()->all())
        found.producers.push_back(
            {id, producer.epoch,
             producer.batches.empty() ? -1 : producer.batches.back().last_sequence,
             producer.timestamp, -1, producer.opened.value});
    SOMETIMES(!found.producers.empty(), "describe-producers/some");
    return found;
}

} // namespace

StartResult start_describe_producers(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<DescribeProducersRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        DescribeProducersResponse response;
        for (const DescribeProducersRequest::Topic& topic : request.topics) {
            response.topics.push_back({topic.name, {}});
            for (const std::int32_t index : topic.partitions)
                response.topics.back().partitions.push_back(look_at(node, topic.name, index));
        }
        return answer(header, response);
    });
}

} // namespace pyralog::server
