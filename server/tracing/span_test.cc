#include "server/tracing/span.h"

#include <limits>
#include <string>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace pyralog::server;

namespace {

const std::string known = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

Span request() {
    Span span;
    span.trace = {0x0af7651916cd43dd, 0x8448eb211c80319c};
    span.id = 0xb7ad6b7169203331;
    span.kind = Span::Kind::server;
    span.name = "produce orders";
    span.start_ns = 1'700'000'000'000'000'001;
    span.end_ns = 1'700'000'000'000'000'002;
    span.attributes = {attribute("messaging.system", "kafka"),
                       attribute("messaging.kafka.offset", 1LL << 60)};
    span.links = {{{1, 2}, 3}};
    return span;
}

Span step() {
    Span span = request();
    span.parent = span.id;
    span.id = 1;
    span.kind = Span::Kind::internal;
    span.name = "replicate";
    span.attributes.clear();
    span.links.clear();
    span.error = "timed out";
    return span;
}

} // namespace

// Ids in hex, numbers of 64 bits as strings, kinds and codes as numbers.
TEST_CASE("spans are written as OTLP has them in JSON", "[server]") {
    const std::vector<Span> spans{request(), step()};
    CHECK(otlp_json({attribute("service.name", "pyra\"log")}, spans) ==
          R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name",)"
          R"("value":{"stringValue":"pyra\"log"}}]},"scopeSpans":[{"scope":{"name":"pyralog"},)"
          R"("spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c",)"
          R"("spanId":"b7ad6b7169203331","name":"produce orders","kind":2,)"
          R"("startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"1700000000000000002",)"
          R"("attributes":[{"key":"messaging.system","value":{"stringValue":"kafka"}},)"
          R"({"key":"messaging.kafka.offset","value":{"intValue":"1152921504606846976"}}],)"
          R"("links":[{"traceId":"00000000000000010000000000000002",)"
          R"("spanId":"0000000000000003"}],"status":{}},)"
          R"({"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"0000000000000001",)"
          R"("parentSpanId":"b7ad6b7169203331","name":"replicate","kind":1,)"
          R"("startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"1700000000000000002",)"
          R"("attributes":[],"status":{"code":2,"message":"timed out"}}]}]}]})"
          "\n");
}

TEST_CASE("a text of any length is told up to a bound", "[server]") {
    const auto told = attribute("messaging.client.id", std::string(100'000, 'x'));
    CHECK(std::get<std::string>(told.value) == std::string(attribute_bytes_max, 'x'));
}

TEST_CASE("a traceparent is read as W3C has it", "[server]") {
    const SpanContext context{{0x0af7651916cd43dd, 0x8448eb211c80319c}, 0xb7ad6b7169203331};
    CHECK(parse_traceparent(known) == context);
    std::string later = known;
    later[1] = '1';
    CHECK(parse_traceparent(later) == context);
    CHECK(parse_traceparent(later + "-more") == context);
    CHECK_FALSE(parse_traceparent(later + "more"));
    CHECK_FALSE(parse_traceparent(known + "-more"));
    CHECK_FALSE(parse_traceparent(""));
    CHECK_FALSE(parse_traceparent("ff" + known.substr(2)));
    CHECK_FALSE(parse_traceparent("00-" + std::string(32, '0') + known.substr(35)));
    CHECK_FALSE(parse_traceparent(known.substr(0, 36) + std::string(16, '0') + "-01"));
    for (std::size_t i = 0; i < known.size(); ++i) {
        CHECK_FALSE(parse_traceparent(known.substr(0, i)));
        for (const char wrong : {'G', 'A', 'g', ' ', '_'}) {
            std::string text = known;
            text[i] = wrong;
            CHECK_FALSE(parse_traceparent(text));
        }
    }
}

TEST_CASE("a collector may take some spans and refuse others", "[server]") {
    CHECK(rejected_spans("") == 0);
    CHECK(rejected_spans("{\"partialSuccess\":{}}") == 0);
    CHECK(rejected_spans("{\"partialSuccess\":{\"rejectedSpans\":\"3\"}}") == 3);
    CHECK(rejected_spans("{\"partialSuccess\": {\"rejectedSpans\" : 12, \"errorMessage\": 4}}") ==
          12);
    CHECK(rejected_spans("{\"rejectedSpans\":\"-1\"}") == 0);
    CHECK(rejected_spans("{\"rejectedSpans\":") == 0);
    CHECK(rejected_spans("\"rejectedSpans\"") == 0);
}

TEST_CASE("no text of others brings the readers of spans down", "[server]") {
    rc::prop("each gives an answer", [](const std::string& text) {
        (void)parse_traceparent(text); // That it returns is all there is to see.
        (void)parse_traceparent(known.substr(0, 40) + text);
        (void)rejected_spans("\"rejectedSpans\"" + text);
    });
}
