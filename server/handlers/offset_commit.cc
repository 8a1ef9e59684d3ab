// OffsetCommit: answered when a majority has it on disk.
#include "core/wire/kafka/offset_commit.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::OffsetCommitRequest;
using wire::kafka::OffsetCommitResponse;
using wire::kafka::OffsetValue;

class OffsetCommit : public Started {
public:
    OffsetCommit(Node& node, RequestHeader header, OffsetCommitRequest request)
        : node_(node), header_(std::move(header)) {
        Coordinator::Offsets offsets;
        for (OffsetCommitRequest::Topic& topic : request.topics) {
            response_.topics.push_back({topic.name, {}});
            for (OffsetCommitRequest::Partition& partition : topic.partitions) {
                const ErrorCode error = objection(topic.name, partition);
                response_.topics.back().partitions.push_back({partition.index, error});
                if (error != ErrorCode::none) continue;
                offsets[{topic.name, partition.index}] =
                    OffsetValue{partition.offset, partition.leader_epoch,
                                partition.metadata.value_or(""), node.env.clock.wall().unix_ms, -1};
            }
        }
        told_ = node.groups.commit(request.group_id, {request.member_id, request.group_instance_id},
                                   request.generation_id, offsets);
    }

    Result<Answered> finish() override {
        const ErrorCode error = node_.groups.settle(told_);
        for (OffsetCommitResponse::Topic& topic : response_.topics)
            for (OffsetCommitResponse::Partition& partition : topic.partitions)
                if (partition.error == ErrorCode::none) partition.error = error;
        return answer(header_, response_);
    }

private:
    ErrorCode objection(const std::string& topic,
                        const OffsetCommitRequest::Partition& partition) const {
        const bool is_known = node_.controller.catalogue().find(topic, partition.index) != nullptr;
        const std::size_t most = node_.config.group.offset_metadata_bytes_max;
        const bool is_long = partition.metadata && partition.metadata->size() > most;
        SOMETIMES(!is_known, "offset-commit/no-such-partition");
        SOMETIMES(is_long, "offset-commit/metadata-too-large");
        if (!is_known) return ErrorCode::unknown_topic_or_partition;
        return is_long ? ErrorCode::offset_metadata_too_large : ErrorCode::none;
    }

    Node& node_;
    const RequestHeader header_;
    OffsetCommitResponse response_;
    Coordinator::Answer told_;
};

} // namespace

StartResult start_offset_commit(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<OffsetCommitRequest>(parts));
    return std::unique_ptr<Started>(
        std::make_unique<OffsetCommit>(node, std::move(parts.header), std::move(request)));
}

} // namespace pyralog::server
