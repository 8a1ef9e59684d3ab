#include "core/wire/kafka/delete_topics.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::DeleteTopicsRequest;
using wire::kafka::DeleteTopicsResponse;

DeleteTopicsResponse::Topic remove(Node& node, const DeleteTopicsRequest::Topic& wanted) {
    DeleteTopicsResponse::Topic removed;
    removed.name = wanted.name;
    removed.id = wanted.id;
    const Catalogue& catalogue = node.controller.catalogue();
    const Topic* topic = wanted.name ? catalogue.find(*wanted.name) : catalogue.find(wanted.id);
    SOMETIMES(!wanted.name, "delete-topics/by-id");
    if (!topic) {
        REACHABLE("delete-topics/unknown");
        removed.error =
            wanted.name ? ErrorCode::unknown_topic_or_partition : ErrorCode::unknown_topic_id;
        return removed;
    }
    removed.name = topic->name;
    removed.id = topic->id;
    SOMETIMES(is_internal(topic->name), "delete-topics/internal");
    if (is_internal(topic->name)) {
        removed.error = ErrorCode::topic_deletion_disabled;
        return removed;
    }
    const Result<Outcome> outcome = node.controller.submit(DeleteTopic{*removed.name});
    SOMETIMES(outcome.ok() && outcome.value() == Outcome::done, "delete-topics/deleted");
    SOMETIMES(outcome.ok() && outcome.value() != Outcome::done, "delete-topics/deleted-by-another");
    SOMETIMES(!outcome.ok(), "delete-topics/nobody-leads");
    if (!outcome.ok())
        removed.error = to_code(outcome.error());
    else if (outcome.value() == Outcome::not_found)
        removed.error = ErrorCode::unknown_topic_or_partition;
    return removed;
}

} // namespace

StartResult start_delete_topics(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<DeleteTopicsRequest>(parts));
    for (std::string& name : request.topic_names) request.topics.push_back({std::move(name), {}});
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        const Deadline deadline(node.env.fibers, node.after_ms(request.timeout_ms));
        DeleteTopicsResponse response;
        for (const DeleteTopicsRequest::Topic& topic : request.topics)
            response.topics.push_back(remove(node, topic));
        return answer(header, response);
    });
}

} // namespace pyralog::server
