// DescribeTopicPartitions (KIP-966): what Metadata tells of topics, a piece at a time.
#include "core/wire/kafka/describe_topic_partitions.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

#include <algorithm>
#include <set>

namespace pyralog::server {

namespace {

using wire::kafka::DescribeTopicPartitionsRequest;
using wire::kafka::DescribeTopicPartitionsResponse;

// The most partitions in one answer, whatever is asked for: Kafka's default.
constexpr std::int32_t told_partitions_max = 2000;

DescribeTopicPartitionsResponse::Partition
describe_partition(const Node& node, const Topic::Partition& partition, std::int32_t index) {
    PartitionView seen = view_of(node, partition);
    DescribeTopicPartitionsResponse::Partition described;
    described.index = index;
    described.error = seen.leader < 0 ? ErrorCode::leader_not_available : ErrorCode::none;
    described.leader_id = seen.leader;
    described.leader_epoch = seen.epoch;
    described.replica_nodes = std::move(seen.replicas);
    described.isr_nodes = std::move(seen.up);
    described.offline_replicas = std::move(seen.down);
    return described;
}

class Describer {
public:
    Describer(const Node& node, const DescribeTopicPartitionsRequest& request)
        : node_(node), cursor_(request.cursor),
          room_(std::clamp(request.partitions_max, 1, told_partitions_max)) {}

    // False: no more of them fit in.
    bool add(const std::string& name) {
        auto& described = response.topics.emplace_back();
        described.name = name;
        described.is_internal = is_internal(name);
        const Topic* topic = node_.controller.catalogue().find(name);
        SOMETIMES(!topic, "describe-topic-partitions/no-such-topic");
        if (!topic) {
            described.error = is_topic_name(name) ? ErrorCode::unknown_topic_or_partition
                                                  : ErrorCode::invalid_topic;
            return true;
        }
        described.id = topic->id;
        const auto count = static_cast<std::int32_t>(topic->partitions.size());
        const bool goes_on = cursor_ && cursor_->topic == name;
        SOMETIMES(goes_on, "describe-topic-partitions/goes-on");
        for (std::int32_t i = goes_on ? std::max(cursor_->partition, 0) : 0; i < count; ++i) {
            SOMETIMES(room_ == 0, "describe-topic-partitions/more-than-fit");
            if (room_ == 0) {
                if (described.partitions.empty()) response.topics.pop_back();
                response.next = {name, i};
                return false;
            }
            --room_;
            described.partitions.push_back(
                describe_partition(node_, topic->partitions[static_cast<std::size_t>(i)], i));
        }
        return true;
    }

    DescribeTopicPartitionsResponse response;

private:
    const Node& node_;
    const std::optional<wire::kafka::TopicPartitionsCursor>& cursor_;
    std::int32_t room_;
};

} // namespace

StartResult start_describe_topic_partitions(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<DescribeTopicPartitionsRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        std::set<std::string> names; // In the order in which a cursor goes through them.
        for (const auto& topic : request.topics) names.insert(topic.name);
        if (request.topics.empty())
            for (const auto& [name, topic] : node.controller.catalogue().topics())
                names.insert(name);
        Describer describer(node, request);
        for (const std::string& name : names) {
            if (request.cursor && name < request.cursor->topic) continue;
            if (!describer.add(name)) break;
        }
        return answer(header, describer.response);
    });
}

} // namespace pyralog::server
