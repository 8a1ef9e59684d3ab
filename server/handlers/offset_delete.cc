#include "core/wire/kafka/offset_delete.h"

#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::OffsetDeleteRequest;
using wire::kafka::OffsetDeleteResponse;

class OffsetDelete : public Started {
public:
    OffsetDelete(Node& node, RequestHeader header, const OffsetDeleteRequest& request)
        : node_(node), header_(std::move(header)) {
        std::vector<std::pair<std::string, std::int32_t>> wanted;
        for (const OffsetDeleteRequest::Topic& topic : request.topics) {
            response_.topics.push_back({topic.name, {}});
            for (const std::int32_t index : topic.partitions) {
                const bool is_known = node.controller.catalogue().find(topic.name, index);
                response_.topics.back().partitions.push_back(
                    {index, is_known ? ErrorCode::none : ErrorCode::unknown_topic_or_partition});
                if (is_known) wanted.emplace_back(topic.name, index);
            }
        }
        told_ = node.groups.forget(request.group_id, wanted, errors_);
    }

    Result<Answered> finish() override {
        response_.error = node_.groups.settle(told_);
        if (response_.error != ErrorCode::none) response_.topics.clear();
        auto error = errors_.begin();
        for (OffsetDeleteResponse::Topic& topic : response_.topics)
            for (OffsetDeleteResponse::Partition& partition : topic.partitions)
                if (partition.error == ErrorCode::none) partition.error = *error++;
        return answer(header_, response_);
    }

private:
    Node& node_;
    const RequestHeader header_;
    OffsetDeleteResponse response_;
    Coordinator::Answer told_;
    std::vector<ErrorCode> errors_;
};

} // namespace

StartResult start_offset_delete(Node& node, RequestParts parts) {
    const auto request = TRY(wire::kafka::decode_request<OffsetDeleteRequest>(parts));
    return std::unique_ptr<Started>(
        std::make_unique<OffsetDelete>(node, std::move(parts.header), request));
}

} // namespace pyralog::server
