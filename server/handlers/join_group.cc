#include "core/wire/kafka/join_group.h"

#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::JoinGroupRequest;
using wire::kafka::JoinGroupResponse;

// As Kafka makes them: who it is, and something that nobody else has.
std::string draw_member_id(Node& node, const std::string& name) {
    constexpr std::string_view digits = "0123456789abcdef";
    constexpr std::size_t name_bytes_max = 255; // Together they must still be a string.
    std::string id = name.substr(0, name_bytes_max) + '-';
    const Uuid drawn = draw_uuid(node.env.random);
    for (std::size_t i = 0; i < drawn.bytes.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) id += '-';
        id += digits[drawn.bytes[i] >> 4];
        id += digits[drawn.bytes[i] & 15];
    }
    return id;
}

Join join_of(Node& node, const RequestParts& parts, JoinGroupRequest& request) {
    constexpr std::int16_t ids_known_from = 4;
    constexpr std::int16_t skips_from = 9;
    Join join;
    join.client_id = parts.header.client_id.value_or("");
    join.client_host = parts.client_host;
    join.new_id = draw_member_id(node, request.group_instance_id.value_or(join.client_id));
    join.member = {std::move(request.member_id), std::move(request.group_instance_id)};
    join.session_timeout = std::chrono::milliseconds(request.session_timeout_ms);
    join.rebalance_timeout = parts.header.version == 0
                                 ? join.session_timeout
                                 : std::chrono::milliseconds(request.rebalance_timeout_ms);
    join.protocol_type = std::move(request.protocol_type);
    for (JoinGroupRequest::Protocol& protocol : request.protocols)
        join.protocols.push_back({std::move(protocol.name), std::move(protocol.metadata)});
    join.needs_known_id = parts.header.version >= ids_known_from;
    join.can_skip_assignment = parts.header.version >= skips_from;
    return join;
}

class JoinGroup : public Started {
public:
    JoinGroup(Node& node, RequestParts parts, JoinGroupRequest request)
        : waiting_(node.groups), member_id_(request.member_id) {
        const std::string group = std::move(request.group_id);
        Join join = join_of(node, parts, request);
        header_ = std::move(parts.header);
        error_ = node.groups.join(group, std::move(join), waiting_);
    }

    Result<Answered> finish() override {
        JoinGroupResponse response;
        response.error = error_;
        response.member_id = member_id_;
        if (error_ == ErrorCode::none) {
            Joined joined = TRY(waiting_.wait<Joined>());
            response.error = joined.error;
            response.generation_id = joined.generation;
            if (joined.error == ErrorCode::none) response.protocol_type = joined.protocol_type;
            response.protocol_name = std::move(joined.protocol);
            response.leader = std::move(joined.leader);
            response.skip_assignment = joined.skip_assignment;
            if (!joined.member_id.empty()) response.member_id = std::move(joined.member_id);
            for (Joined::Member& member : joined.members)
                response.members.push_back({std::move(member.name.id),
                                            std::move(member.name.instance),
                                            std::move(member.metadata)});
        }
        // Before version 7 there is no way to say none.
        if (header_.version < 7 && !response.protocol_name) response.protocol_name = "";
        return answer(header_, response);
    }

private:
    Coordinator::Waiting waiting_;
    RequestHeader header_;
    std::string member_id_;
    ErrorCode error_ = ErrorCode::none;
};

} // namespace

StartResult start_join_group(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<JoinGroupRequest>(parts));
    return std::unique_ptr<Started>(
        std::make_unique<JoinGroup>(node, std::move(parts), std::move(request)));
}

} // namespace pyralog::server
