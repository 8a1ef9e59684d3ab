#include "server/tracing/exporter.h"

#include <algorithm>
#include <array>

namespace pyralog::server {

namespace {

constexpr std::size_t reply_piece_bytes = 4096;

// By the specification. All else would be answered in the same way again.
bool may_repeat(int status) {
    return status == 429 || status == 502 || status == 503 || status == 504;
}

} // namespace

Exporter::Exporter(Environment& env, HttpEndpoint endpoint, Tracer& tracer)
    : env_(env), endpoint_(std::move(endpoint)), tracer_(tracer), resource_(tracer.resource()) {}

Result<> Exporter::run() {
    for (;;) {
        TRY(tracer_.wait_for(batch_spans, batch_age));
        const std::vector<Span> spans = tracer_.take(batch_spans);
        TRY(deliver(otlp_json(resource_, spans), spans.size()));
    }
}

Result<> Exporter::deliver(const std::string& body, std::uint64_t spans) {
    Duration pause = pause_min;
    for (int attempts = 1;; ++attempts) {
        const Outcome outcome = TRY(attempt(body));
        if (outcome.is_taken) {
            const std::uint64_t rejected = std::min(outcome.rejected, spans);
            tracer_.exported_.add(spans - rejected);
            tracer_.failed_.add(rejected);
            if (std::exchange(is_failing_, false)) env_.log.info("traces are taken again");
            return {};
        }
        if (!outcome.may_be_repeated || attempts == attempts_max) {
            given_up(spans, outcome.why);
            return {};
        }
        // Nodes whose collector comes back do not come all at once.
        const Duration drawn = tracer_.random_->between(pause / 2, pause);
        TRY(env_.fibers.sleep_until(env_.clock.now() + std::max(drawn, outcome.pause)));
        pause = std::min(2 * pause, pause_max);
    }
}

void Exporter::given_up(std::uint64_t spans, const std::string& why) {
    tracer_.failed_.add(spans);
    if (std::exchange(is_failing_, true)) return;
    env_.log.warning("traces cannot be sent; what is dropped is counted",
                     {{"collector", to_string(endpoint_.address)}, {"why", why}});
}

Result<Exporter::Outcome> Exporter::attempt(const std::string& body) {
    const Result<HttpReply> reply = post(body);
    Outcome outcome;
    if (!reply.ok()) {
        if (reply.error() == Error::cancelled) return Error::cancelled;
        // Whoever does not speak HTTP is not asked again.
        outcome.may_be_repeated = reply.error() != Error::malformed;
        outcome.why = to_string(reply.error());
        return outcome;
    }
    const HttpReply& answer = reply.value();
    outcome.is_taken = answer.status >= 200 && answer.status < 300;
    outcome.may_be_repeated = may_repeat(answer.status);
    outcome.rejected = rejected_spans(answer.body);
    outcome.pause = std::min(std::chrono::seconds(answer.retry_after_s.value_or(0)),
                             std::chrono::duration_cast<std::chrono::seconds>(pause_max));
    outcome.why = "HTTP " + std::to_string(answer.status);
    return outcome;
}

// A connection that was open may have been closed long ago, for nothing has been sent on it.
Result<HttpReply> Exporter::post(const std::string& body) {
    const bool was_open = stream_ != nullptr;
    Result<HttpReply> reply = post_once(body);
    const bool was_closed = was_open && !reply.ok() && reply.error() == Error::disconnected;
    if (was_closed) return post_once(body);
    return reply;
}

Result<HttpReply> Exporter::post_once(const std::string& body) {
    const Deadline deadline(env_.fibers, env_.clock.now() + patience);
    const auto ask = [&]() -> Result<HttpReply> {
        if (!stream_) stream_ = TRY(env_.network.connect(endpoint_.address));
        TRY(stream_->write({Bytes::copy_of(format_http_post(
            endpoint_.path, to_string(endpoint_.address), "application/json", body))}));
        return read_reply();
    };
    Result<HttpReply> reply = ask();
    if (!reply.ok() || !reply.value().stays_open) stream_.reset();
    return reply;
}

Result<HttpReply> Exporter::read_reply() {
    std::string bytes;
    std::array<std::byte, reply_piece_bytes> piece;
    for (;;) {
        const std::size_t count = TRY(stream_->read_some(piece));
        bytes.append(reinterpret_cast<const char*>(piece.data()), count);
        if (count == 0 && bytes.empty()) return Error::disconnected;
        ParsedReply parsed = parse_http_reply(bytes, count == 0);
        if (auto* reply = std::get_if<HttpReply>(&parsed)) return std::move(*reply);
        if (std::holds_alternative<BadResponse>(parsed))
            return count == 0 ? Error::disconnected : Error::malformed;
    }
}

} // namespace pyralog::server
