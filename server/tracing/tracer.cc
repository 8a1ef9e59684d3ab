#include "server/tracing/tracer.h"

#include "server/tracing/exporter.h"

#include <algorithm>

namespace pyralog::server {

namespace {

constexpr std::int64_t ns_in_ms = 1'000'000;

// Producers of a request's batches, and each once.
constexpr std::size_t links_max = 8;

} // namespace

void Trace::link(SpanContext context) {
    const auto known = std::ranges::find(root_.links, context);
    if (known == root_.links.end() && root_.links.size() < links_max)
        root_.links.push_back(context);
}

void Trace::step(std::string_view name, Time start, Time end, SpanAttributes attributes,
                 std::string_view error) {
    if (steps_.size() == steps_max) {
        ++steps_left_out_;
        return;
    }
    Span& span = steps_.emplace_back();
    span.trace = root_.trace;
    span.id = tracer_->new_span_id();
    span.parent = root_.id;
    span.name = name;
    span.start_ns = began_ns_ + (start - began_).count();
    span.end_ns = began_ns_ + (end - began_).count();
    span.attributes = std::move(attributes);
    span.error = error;
}

TraceRef::~TraceRef() {
    if (trace_ && --trace_->users_ == 0) trace_->tracer_->close(*trace_);
}

Tracer::Tracer(Environment& env, const Config& config)
    : env_(env), config_(config), changed_(env.fibers),
      exported_(env.metrics, "pyralog_trace_spans_exported_total",
                "Spans of traces that a collector has taken."),
      dropped_(env.metrics, "pyralog_trace_spans_dropped_total",
               "Spans of traces for which there was no room, since sending was too slow."),
      failed_(env.metrics, "pyralog_trace_spans_failed_total",
              "Spans of traces that were sent in vain: nobody was there, or they were refused.") {
    if (config.otlp.endpoint) random_ = env.random.fork("tracing");
}

bool Tracer::is_drawn() {
    return random_->chance(static_cast<std::uint64_t>(config_.otlp.sample_millionths),
                           static_cast<std::uint64_t>(millionths));
}

SpanAttributes Tracer::resource() const {
    return {attribute("service.name", config_.otlp.service),
            attribute("service.namespace", config_.cluster_name),
            attribute("service.instance.id", std::to_string(config_.node_id))};
}

SpanId Tracer::new_span_id() {
    SpanId id = 0;
    while (id == 0) id = random_->next();
    return id;
}

TraceRef Tracer::open(std::string_view name) {
    if (open_.size() == open_max) {
        dropped_.add();
        return {};
    }
    Trace& trace = open_.emplace_back();
    trace.tracer_ = this;
    trace.self_ = std::prev(open_.end());
    trace.began_ = env_.clock.now();
    trace.began_ns_ = env_.clock.wall().unix_ms * ns_in_ms;
    trace.root_.trace.high = new_span_id();
    trace.root_.trace.low = random_->next();
    trace.root_.id = new_span_id();
    trace.root_.kind = Span::Kind::server;
    trace.root_.name = name;
    return TraceRef(&trace);
}

// A request that nobody has finished was one whose client had gone.
void Tracer::close(Trace& trace) {
    if (!trace.ended_) {
        trace.ended_ = env_.clock.now();
        trace.failed(to_string(Error::disconnected));
    }
    Span& root = trace.root_;
    root.start_ns = trace.began_ns_;
    root.end_ns = trace.began_ns_ + (*trace.ended_ - trace.began_).count();
    if (!root.error.empty()) root.attributes.push_back(attribute("error.type", root.error));
    if (trace.steps_left_out_ > 0)
        root.attributes.push_back(attribute("pyralog.steps_left_out", trace.steps_left_out_));
    keep(std::move(root));
    for (Span& step : trace.steps_) {
        if (!step.error.empty()) step.attributes.push_back(attribute("error.type", step.error));
        keep(std::move(step));
    }
    open_.erase(trace.self_);
    changed_.notify_all();
}

void Tracer::keep(Span span) {
    if (waiting_.size() == waiting_max)
        dropped_.add();
    else
        waiting_.push_back(std::move(span));
}

void Tracer::follow(const TraceRef& trace, raft::Group& group,
                    const raft::Group::Proposal& proposal, Time proposed, Time until,
                    SpanAttributes where) {
    if (!running_ || running_->cancelled()) return;
    running_->spawn("trace", [this, ref = trace.share(), held = raft::GroupRef(&group), proposal,
                              proposed, until, where = std::move(where)] {
        const Deadline deadline(env_.fibers, until);
        const auto say = [&](std::string_view name, const Result<>& done) {
            ref->step(name, proposed, env_.clock.now(), where,
                      done.ok() ? "" : to_string(done.error()));
        };
        const Result<> either = held->settle_here(proposal);
        // A majority may be quicker without this node.
        if (!either.ok() || held->is_stored(proposal)) {
            say("journal sync", either);
            say("replicate", either.ok() ? held->settle(proposal) : either);
        } else {
            say("replicate", either);
            say("journal sync", held->wait_stored(proposal));
        }
    });
}

Result<> Tracer::run() {
    CHECK(is_on());
    Scope scope(env_.fibers);
    running_ = &scope;
    const Result<> ended = Exporter(env_, *config_.otlp.endpoint, *this).run();
    running_ = nullptr;
    return ended;
}

Result<> Tracer::wait_for(std::size_t count, Duration longest) {
    TRY(changed_.wait([&] { return !waiting_.empty(); }));
    const Deadline flush(env_.fibers, env_.clock.now() + longest);
    const Result<> waited = changed_.wait([&] { return waiting_.size() >= count; });
    if (!waited.ok() && waited.error() == Error::timed_out) return {};
    return waited;
}

std::vector<Span> Tracer::take(std::size_t count_max) {
    std::vector<Span> spans;
    for (; !waiting_.empty() && spans.size() < count_max; waiting_.pop_front())
        spans.push_back(std::move(waiting_.front()));
    return spans;
}

} // namespace pyralog::server
