// server/tracing/exporter.h
//
// Brings spans to a collector: OTLP over HTTP (https://opentelemetry.io/docs/specs/otlp/), a batch
// at a time, over one connection that stays open if the collector lets it. What the specification
// says may be tried again is, a few times, after pauses that double; then the batch is given up.
// Meanwhile the Tracer gathers as much as it has room for.
#pragma once

#include "server/admin/http.h"
#include "server/tracing/tracer.h"

#include <memory>
#include <string>

namespace pyralog::server {

class Exporter {
public:
    // A batch is sent with so many spans, or so long after its first one.
    static constexpr std::size_t batch_spans = 128;
    static constexpr Duration batch_age = 1s;
    // From connecting to the end of the answer.
    static constexpr Duration patience = 10s;
    static constexpr int attempts_max = 5;
    static constexpr Duration pause_min = 1s;
    static constexpr Duration pause_max = 30s; // Also if the collector asks for more.

    Exporter(Environment& env, HttpEndpoint endpoint, Tracer& tracer);

    // Until it is cancelled: no collector, however it behaves, ends it.
    Result<> run();

private:
    // What has become of an attempt.
    struct Outcome {
        bool is_taken = false;
        bool may_be_repeated = false;
        Duration pause{}; // That the collector asks for.
        std::uint64_t rejected = 0;
        std::string why;
    };

    Result<> deliver(const std::string& body, std::uint64_t spans);
    Result<Outcome> attempt(const std::string& body);
    Result<HttpReply> post(const std::string& body);
    Result<HttpReply> post_once(const std::string& body);
    Result<HttpReply> read_reply();
    void given_up(std::uint64_t spans, const std::string& why);

    Environment& env_;
    const HttpEndpoint endpoint_;
    Tracer& tracer_;
    const SpanAttributes resource_;
    std::unique_ptr<Stream> stream_; // None: to be connected.
    bool is_failing_ = false;        // As the log says.
};

} // namespace pyralog::server
