#include "server/tracing/requests.h"

namespace pyralog::server {

namespace {

// As W3C writes it, and as it is in a header of HTTP: letters of any case.
bool is_traceparent(std::string_view key) {
    constexpr std::string_view name = "traceparent";
    if (key.size() != name.size()) return false;
    for (std::size_t i = 0; i < key.size(); ++i)
        if ((key[i] | 0x20) != name[i]) return false;
    return true;
}

} // namespace

void describe_request(const TraceRef& trace, std::string_view operation, std::string_view type,
                      std::string_view client) {
    trace->add(attribute("messaging.system", "kafka"));
    trace->add(attribute("messaging.operation.name", operation));
    trace->add(attribute("messaging.operation.type", type));
    if (!client.empty()) trace->add(attribute("messaging.client.id", client));
}

void describe_topic(const TraceRef& trace, std::string_view operation, std::string_view topic) {
    const SpanAttribute name = attribute("messaging.destination.name", topic);
    trace->name(std::string(operation) + ' ' + std::get<std::string>(name.value));
    trace->add(name);
}

void describe_partition(const TraceRef& trace, std::int32_t partition, std::int64_t offset) {
    trace->add(attribute("messaging.destination.partition.id", std::to_string(partition)));
    if (offset >= 0) trace->add(attribute("messaging.kafka.offset", offset));
}

SpanAttributes attributes_of(std::string_view topic, std::int32_t partition) {
    return {attribute("messaging.destination.name", topic),
            attribute("messaging.destination.partition.id", std::to_string(partition))};
}

std::string_view error_of(wire::kafka::ErrorCode error) {
    return error == wire::kafka::ErrorCode::none ? "" : to_string(error);
}

void link_to_sender(const TraceRef& trace, const wire::RecordBatch& batch) {
    if (batch.header().compression() != wire::Compression::none) return;
    const auto first = wire::RecordReader(batch).next();
    if (!first.ok() || !first.value()) return;
    for (const wire::RecordHeader& header : first.value()->headers) {
        if (!is_traceparent(header.key) || !header.value) continue;
        if (const auto context = parse_traceparent(header.value->text())) trace->link(*context);
    }
}

} // namespace pyralog::server
