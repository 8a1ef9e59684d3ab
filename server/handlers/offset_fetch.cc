// OffsetFetch: what is committed, behind a read barrier. A group or a partition of which nothing is
// known has the offset -1, and that is no error.
#include "core/wire/kafka/offset_fetch.h"

#include "core/base/bug.h"
#include "core/base/probe.h"
#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::OffsetFetchRequest;
using wire::kafka::OffsetFetchResponse;
using wire::kafka::OffsetValue;

OffsetFetchResponse::Partition told_of(std::int32_t index, const OffsetValue& value) {
    return {index, value.offset, value.leader_epoch, value.metadata, ErrorCode::none};
}

// Of a partition whose offset a transaction may yet change (KIP-447).
OffsetFetchResponse::Partition unstable(std::int32_t index) {
    OffsetFetchResponse::Partition told;
    told.index = index;
    told.error = ErrorCode::unstable_offset_commit;
    return told;
}

OffsetFetchResponse::Topic look_at(const OffsetFetchRequest::Topic& wanted,
                                   const Coordinator::Fetched& fetched, bool is_stable) {
    OffsetFetchResponse::Topic topic{wanted.name, {}};
    for (const std::int32_t index : wanted.partitions) {
        const auto found = fetched.offsets.find({wanted.name, index});
        SOMETIMES(found == fetched.offsets.end(), "offset-fetch/nothing-committed");
        SOMETIMES(found != fetched.offsets.end(), "offset-fetch/found");
        const bool is_open =
            is_stable && fetched.unstable.contains({wanted.name, index}) && !BUG(T08);
        SOMETIMES(is_open, "offset-fetch/a-transaction-is-open");
        if (is_open) topic.partitions.push_back(unstable(index));
        if (is_open) continue;
        OffsetValue none;
        topic.partitions.push_back(
            told_of(index, found == fetched.offsets.end() ? none : found->second));
        topic.partitions.back().error = fetched.error;
    }
    return topic;
}

OffsetFetchResponse::Group look_at(Node& node, const OffsetFetchRequest::Group& wanted,
                                   bool is_stable) {
    OffsetFetchResponse::Group group;
    group.id = wanted.id;
    const Coordinator::Fetched fetched = node.groups.fetch(wanted.id);
    group.error = fetched.error;
    if (wanted.topics) {
        for (const OffsetFetchRequest::Topic& topic : *wanted.topics)
            group.topics.push_back(look_at(topic, fetched, is_stable));
        return group;
    }
    REACHABLE("offset-fetch/all-there-are");
    for (const auto& [where, value] : fetched.offsets) {
        if (group.topics.empty() || group.topics.back().name != where.first)
            group.topics.push_back({where.first, {}});
        const bool is_open = is_stable && fetched.unstable.contains(where);
        group.topics.back().partitions.push_back(is_open ? unstable(where.second)
                                                         : told_of(where.second, value));
    }
    return group;
}

} // namespace

StartResult start_offset_fetch(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<OffsetFetchRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        constexpr std::int16_t several_from = 8;
        OffsetFetchResponse response;
        if (header.version < several_from)
            response.group = look_at(node, request.group, request.require_stable);
        for (const OffsetFetchRequest::Group& group : request.groups)
            response.groups.push_back(look_at(node, group, request.require_stable));
        return answer(header, response);
    });
}

} // namespace pyralog::server
