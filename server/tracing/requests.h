// server/tracing/requests.h
//
// What a trace says of a request of Kafka's: the names are those of OpenTelemetry's conventions for
// messaging, as far as they have one; those of `pyralog.` are ours.
#pragma once

#include "core/wire/kafka/api.h"
#include "core/wire/record_batch.h"
#include "server/tracing/tracer.h"

namespace pyralog::server {

// `operation` is Kafka's word, `type` that of the conventions.
void describe_request(const TraceRef& trace, std::string_view operation, std::string_view type,
                      std::string_view client);

// Of a request of one topic: the span is named after it.
void describe_topic(const TraceRef& trace, std::string_view operation, std::string_view topic);

// And of one partition. No offset: -1.
void describe_partition(const TraceRef& trace, std::int32_t partition, std::int64_t offset);

// Where a step takes place.
SpanAttributes attributes_of(std::string_view topic, std::int32_t partition);

// Empty if there is none.
std::string_view error_of(wire::kafka::ErrorCode error);

// Whoever has sent these records may have a trace of his own, and says so in their headers
// (`traceparent`). Only the first is looked at, and only if it is not compressed.
void link_to_sender(const TraceRef& trace, const wire::RecordBatch& batch);

} // namespace pyralog::server
