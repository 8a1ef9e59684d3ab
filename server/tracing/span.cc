#include "server/tracing/span.h"

#include "server/admin/json.h"

#include <charconv>

namespace pyralog::server {

namespace {

constexpr std::int64_t status_error = 2;

std::string hex(std::uint64_t number) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text(16, '0');
    for (std::size_t i = text.size(); i > 0; --i, number >>= 4) text[i - 1] = digits[number & 15];
    return text;
}

std::string hex(TraceId id) { return hex(id.high) + hex(id.low); }

// Lower case, as the recommendation has it.
std::optional<std::uint64_t> parse_hex(std::string_view text) {
    std::uint64_t number = 0;
    for (const char c : text) {
        const bool is_digit = c >= '0' && c <= '9', is_letter = c >= 'a' && c <= 'f';
        if (!is_digit && !is_letter) return {};
        number = number << 4 | static_cast<std::uint64_t>(is_digit ? c - '0' : c - 'a' + 10);
    }
    return number;
}

void write(JsonWriter& json, const SpanAttributes& attributes) {
    json.key("attributes").begin_array();
    for (const auto& [key, value] : attributes) {
        json.begin_object().field("key", key).key("value").begin_object();
        if (const auto* number = std::get_if<std::int64_t>(&value))
            json.field("intValue", std::to_string(*number));
        else
            json.field("stringValue", std::get<std::string>(value));
        json.end_object().end_object();
    }
    json.end_array();
}

void write(JsonWriter& json, const Span& span) {
    json.begin_object().field("traceId", hex(span.trace)).field("spanId", hex(span.id));
    if (span.parent != 0) json.field("parentSpanId", hex(span.parent));
    json.field("name", span.name).field("kind", static_cast<int>(span.kind));
    json.field("startTimeUnixNano", std::to_string(span.start_ns));
    json.field("endTimeUnixNano", std::to_string(span.end_ns));
    write(json, span.attributes);
    if (!span.links.empty()) {
        json.key("links").begin_array();
        for (const SpanContext& link : span.links)
            json.begin_object()
                .field("traceId", hex(link.trace))
                .field("spanId", hex(link.span))
                .end_object();
        json.end_array();
    }
    json.key("status").begin_object();
    if (!span.error.empty()) json.field("code", status_error).field("message", span.error);
    json.end_object().end_object();
}

} // namespace

SpanAttribute attribute(std::string_view key, std::string_view text) {
    return {key, std::string(text.substr(0, attribute_bytes_max))};
}
SpanAttribute attribute(std::string_view key, std::int64_t number) { return {key, number}; }

// 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01; later versions may have more behind it.
std::optional<SpanContext> parse_traceparent(std::string_view text) {
    constexpr std::size_t size = 55;
    if (text.size() < size || text[2] != '-' || text[35] != '-' || text[52] != '-') return {};
    const auto version = parse_hex(text.substr(0, 2));
    const auto high = parse_hex(text.substr(3, 16)), low = parse_hex(text.substr(19, 16));
    const auto span = parse_hex(text.substr(36, 16)), flags = parse_hex(text.substr(53, 2));
    if (!version || !high || !low || !span || !flags) return {};
    if (*version == 0xff || (*high == 0 && *low == 0) || *span == 0) return {};
    if (*version == 0 && text.size() != size) return {};
    if (text.size() > size && text[size] != '-') return {};
    return SpanContext{{*high, *low}, *span};
}

std::string otlp_json(const SpanAttributes& resource, std::span<const Span> spans) {
    JsonWriter json;
    json.begin_object().key("resourceSpans").begin_array().begin_object();
    json.key("resource").begin_object();
    write(json, resource);
    json.end_object().key("scopeSpans").begin_array().begin_object();
    json.key("scope").begin_object().field("name", "pyralog").end_object();
    json.key("spans").begin_array();
    for (const Span& span : spans) write(json, span);
    json.end_array().end_object().end_array().end_object().end_array().end_object();
    return std::move(json).text();
}

// {"partialSuccess":{"rejectedSpans":"3","errorMessage":"…"}}: the number may stand without quotes.
std::uint64_t rejected_spans(std::string_view answer) {
    constexpr std::string_view name = "\"rejectedSpans\"";
    const auto at = answer.find(name);
    if (at == std::string_view::npos) return 0;
    answer.remove_prefix(at + name.size());
    answer.remove_prefix(std::min(answer.find_first_not_of(" \t\r\n:\""), answer.size()));
    std::uint64_t number = 0;
    std::from_chars(answer.data(), answer.data() + answer.size(), number);
    return number;
}

} // namespace pyralog::server
