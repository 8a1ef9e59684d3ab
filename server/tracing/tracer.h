// server/tracing/tracer.h
//
// Traces of requests: a span for the request and one for each step of it, for a collector of
// OpenTelemetry's (exporter.h). The dice say of which requests there is one; of the others nothing
// is made, and where there is no collector no die is thrown.
//
// Everything is bounded: how many traces are open, how many steps one has, how many spans wait to
// be sent. What is too much is dropped and counted; nobody ever waits for a trace.
#pragma once

#include "core/env/environment.h"
#include "raft/group.h"
#include "server/config.h"
#include "server/tracing/span.h"

#include <deque>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog::server {

class TraceRef;
class Tracer;

// Of one request, while somebody still has something to say of it. The times of all its spans are
// those of the node's clock, which does not jump, behind one look at the wall clock.
class Trace {
public:
    // A request with more steps has only so many spans of its own.
    static constexpr std::size_t steps_max = 32;

    void name(std::string text) { root_.name = std::move(text); }
    void add(SpanAttribute attribute) { root_.attributes.push_back(std::move(attribute)); }
    void link(SpanContext context);
    void failed(std::string_view error) { root_.error = error; }
    void step(std::string_view name, Time start, Time end, SpanAttributes attributes = {},
              std::string_view error = {});
    void end(Time now) { ended_ = now; }
    Time began() const { return began_; }

private:
    friend class TraceRef;
    friend class Tracer;

    Tracer* tracer_ = nullptr;
    std::list<Trace>::iterator self_; // In the Tracer's list.
    Time began_;
    std::int64_t began_ns_ = 0; // The same since 1970.
    std::optional<Time> ended_;
    Span root_;
    std::vector<Span> steps_;
    std::int64_t steps_left_out_ = 0;
    std::size_t users_ = 0;
};

// Keeps a Trace open. When the last of them goes, its spans are to be sent. Empty: there is none.
class TraceRef {
public:
    TraceRef() = default;
    TraceRef(TraceRef&& other) noexcept : trace_(std::exchange(other.trace_, nullptr)) {}
    TraceRef& operator=(TraceRef&& other) noexcept {
        std::swap(trace_, other.trace_);
        return *this;
    }
    ~TraceRef();

    TraceRef share() const { return TraceRef(trace_); }
    explicit operator bool() const { return trace_ != nullptr; }
    Trace* operator->() const { return trace_; }

private:
    friend class Tracer;
    explicit TraceRef(Trace* trace) : trace_(trace) {
        if (trace_) ++trace_->users_;
    }
    Trace* trace_ = nullptr;
};

class Tracer {
public:
    static constexpr std::size_t open_max = 512;
    static constexpr std::size_t waiting_max = 4096;

    Tracer(Environment& env, const Config& config);
    ~Tracer() { CHECK(open_.empty()); }
    Tracer(const Tracer&) = delete;
    Tracer& operator=(const Tracer&) = delete;

    // If it is this request's lot.
    TraceRef begin(std::string_view name) {
        return random_ && is_drawn() ? open(name) : TraceRef();
    }

    // A batch that has its place in the log since `proposed` is seen onto this node's disk and onto
    // those of a majority, as steps of the trace, for as long as that takes and not beyond `until`.
    // In a fiber of its own: who answers the request may look later, or not at all.
    void follow(const TraceRef& trace, raft::Group& group, const raft::Group::Proposal& proposal,
                Time proposed, Time until, SpanAttributes where);

    // Sends what there is, until it is cancelled. Without a collector there is nothing to run.
    Result<> run();
    bool is_on() const { return random_.has_value(); }

    // ---- For the exporter ----

    // Returns once there are so many spans, or some for so long.
    Result<> wait_for(std::size_t count, Duration longest);
    std::vector<Span> take(std::size_t count_max);
    // What this node is, to a collector.
    SpanAttributes resource() const;

private:
    friend class Exporter;
    friend class Trace;
    friend class TraceRef;

    bool is_drawn();
    TraceRef open(std::string_view name);
    void close(Trace& trace);
    void keep(Span span);
    SpanId new_span_id();

    Environment& env_;
    const Config& config_;
    std::optional<Random> random_; // None: there are no traces.
    std::list<Trace> open_;
    std::deque<Span> waiting_; // To be sent.
    Condition changed_;
    Scope* running_ = nullptr;
    Metrics::Counter exported_, dropped_, failed_;
};

} // namespace pyralog::server
