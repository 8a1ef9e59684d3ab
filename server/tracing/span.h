// server/tracing/span.h
//
// What OpenTelemetry calls spans, as values: who did what from when to when, for whom, and how it
// went. And how they are written for a collector: OTLP over HTTP, in its JSON mapping, in which
// numbers of 64 bits are strings and ids are hex. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pyralog::server {

struct TraceId {
    std::uint64_t high = 0, low = 0;
    bool operator==(const TraceId&) const = default;
};

// Zero is none.
using SpanId = std::uint64_t;

struct SpanContext {
    TraceId trace;
    SpanId span = 0;
    bool operator==(const SpanContext&) const = default;
};

// The key lives for ever: it is a name of the conventions, or one of ours.
struct SpanAttribute {
    std::string_view key;
    std::variant<std::int64_t, std::string> value;
};
using SpanAttributes = std::vector<SpanAttribute>;

struct Span {
    enum class Kind : std::uint8_t { internal = 1, server = 2 }; // As OTLP numbers them.

    TraceId trace;
    SpanId id = 0;
    SpanId parent = 0;
    Kind kind = Kind::internal;
    std::string name;
    std::int64_t start_ns = 0, end_ns = 0; // Since 1970.
    SpanAttributes attributes;
    std::vector<SpanContext> links;
    std::string error; // Empty: all went well.
};

// A client or a record may call itself anything, of any length: so much of it is told.
constexpr std::size_t attribute_bytes_max = 256;
SpanAttribute attribute(std::string_view key, std::string_view text);
SpanAttribute attribute(std::string_view key, std::int64_t number);

// What a `traceparent` of W3C says (https://www.w3.org/TR/trace-context/); nothing if it is none.
std::optional<SpanContext> parse_traceparent(std::string_view text);

// The body of one request to a collector.
std::string otlp_json(const SpanAttributes& resource, std::span<const Span> spans);

// How many spans a collector has refused that has taken the others, by the body of its answer.
std::uint64_t rejected_spans(std::string_view answer);

} // namespace pyralog::server
