#include "core/wire/kafka/sync_group.h"

#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::SyncGroupRequest;
using wire::kafka::SyncGroupResponse;

class SyncGroup : public Started {
public:
    SyncGroup(Node& node, RequestHeader header, SyncGroupRequest request)
        : waiting_(node.groups), header_(std::move(header)) {
        Sync sync;
        sync.member = {std::move(request.member_id), std::move(request.group_instance_id)};
        sync.generation = request.generation_id;
        sync.protocol_type = std::move(request.protocol_type);
        sync.protocol = std::move(request.protocol_name);
        for (SyncGroupRequest::Assignment& one : request.assignments)
            sync.assignments.emplace_back(std::move(one.member_id), std::move(one.assignment));
        error_ = node.groups.sync(request.group_id, std::move(sync), waiting_);
    }

    Result<Answered> finish() override {
        SyncGroupResponse response;
        response.error = error_;
        if (error_ == ErrorCode::none) {
            Synced synced = TRY(waiting_.wait<Synced>());
            response.error = synced.error;
            if (synced.error == ErrorCode::none) {
                response.protocol_type = std::move(synced.protocol_type);
                response.protocol_name = std::move(synced.protocol);
            }
            response.assignment = std::move(synced.assignment);
        }
        return answer(header_, response);
    }

private:
    Coordinator::Waiting waiting_;
    RequestHeader header_;
    ErrorCode error_ = ErrorCode::none;
};

} // namespace

StartResult start_sync_group(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<SyncGroupRequest>(parts));
    return std::unique_ptr<Started>(
        std::make_unique<SyncGroup>(node, std::move(parts.header), std::move(request)));
}

} // namespace pyralog::server
