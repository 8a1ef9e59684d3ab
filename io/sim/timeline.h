// io/sim/timeline.h
//
// What all parts of a simulated world share: its time, what is going to happen next, the dice's
// root, the faults and their counts, and the hash of everything that has happened.
//
// An event is a few numbers: whose it is, and what that component knows it by. Events at one time
// happen in the order in which they were scheduled.
#pragma once

#include "core/base/bytes.h"
#include "core/base/types.h"
#include "io/sim/faults.h"
#include "io/sim/mute.h"
#include "io/sim/record.h"
#include "io/sim/trace.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog::sim {

// A component that events happen to. Lives as long as the World.
class Happening {
public:
    virtual ~Happening() = default;
    virtual void happen(std::uint64_t what) = 0;
};

// What the hash knows of an event's kind. The numbers are part of the hash: add at the end.
enum class Step : std::uint8_t {
    run = 1,
    expiry,
    boot,
    exit,
    kill,
    power_cut,
    pause,
    file_call,
    file_done,
    name_done,
    unit,
    connect,
    accept,
    piece,
    deliver,
    fin,
    reset,
    block,
    heal,
    commit,
    committed,
    planned,
    clock,
    rot,
};
class Timeline {
public:
    Timeline(std::uint64_t seed, const Faults& f, const ChoiceOptions& choices = {})
        : root(seed, choices, now_), faults(f) {}
    Timeline(const Timeline&) = delete;
    Timeline& operator=(const Timeline&) = delete;

    // ---- Time, since the world began ----

    Duration now() const { return now_; }
    void advance(Duration to) {
        CHECK(to >= now_);
        now_ = to;
    }
    void schedule(Duration when, Happening& owner, std::uint64_t what) {
        CHECK(when >= now_);
        push({when, ++scheduled_, &owner, what});
    }
    std::optional<Duration> next() const {
        if (events_.empty()) return {};
        return events_.front().when;
    }
    void fire_next();

    // ---- What has happened ----

    // Values only, never addresses: the hash is the same wherever and however the world was built.
    void record(Step step, std::int32_t node, std::uint64_t a = 0, std::uint64_t b = 0,
                std::uint32_t payload = 0) {
        mix(static_cast<std::uint64_t>(now_.count()));
        mix(static_cast<std::uint64_t>(step) << 56 | static_cast<std::uint32_t>(node));
        mix(a);
        mix(b << 32 ^ b >> 32 ^ payload);
        if (recorder_ || listener_) tell(step, node, a, b, payload);
    }
    std::uint64_t hash() const { return hash_; }

    // Hears all that the hash is made of, from here on.
    using Recorder = std::function<void(const Record& record)>;
    void set_recorder(Recorder recorder) { recorder_ = std::move(recorder); }

    using Sink = std::function<void(std::string_view line)>;
    using Listener = std::function<void(const TraceEvent& event)>;
    void set_listener(Listener listener) { listener_ = std::move(listener); }
    bool tracing() const { return static_cast<bool>(listener_); }
    // `line` makes the text, and is called only if somebody wants it. Node 0 is the world itself.
    template <std::invocable Line>
    void trace(const TraceEvent& event, Line line) {
        if (listener_) tell(event, line());
    }
    void trace(const TraceEvent& event) {
        if (listener_) tell(event, std::string(event.text));
    }
    template <std::invocable Line>
    void trace(NodeId node, Line line) {
        trace({.kind = TraceKind::note, .node = node}, line);
    }
    // At the end of each step: tells of the faults that were counted since.
    void end_step() {
        ++steps_;
        if (listener_) tell_faults(NodeId{});
    }
    std::uint64_t steps() const { return steps_; }

    // Every fault asks this before it does anything, and does nothing if it is false: it is muted.
    bool inject(Fault fault) {
        counts.fire(fault);
        if (fault != muted_fault) return true;
        counts.effect(fault);
        return false;
    }

    Choices root;
    Faults faults;
    FaultCounts counts;

private:
    struct Event {
        Duration when;
        std::uint64_t order;
        Happening* owner;
        std::uint64_t what;
        bool operator>(const Event& other) const {
            return when != other.when ? when > other.when : order > other.order;
        }
    };

    void push(const Event& event);
    void tell(TraceEvent event, const std::string& text);
    void tell_faults(NodeId next);
    void tell(Step step, std::int32_t node, std::uint64_t a, std::uint64_t b,
              std::uint32_t payload);
    void mix(std::uint64_t value) {
        hash_ = (hash_ ^ value) * 0x9fb21c651e98df25u;
        hash_ ^= hash_ >> 32;
    }

    Duration now_{0};
    std::uint64_t scheduled_ = 0;
    std::vector<Event> events_; // A heap, the next one first.
    std::uint64_t hash_ = 0x2545f4914f6cdd1du;
    std::uint64_t steps_ = 0;
    Listener listener_;
    FaultCounts told_; // Faults up to here were told of.
    NodeId about_;     // Whom the last record of this step was about.
    Recorder recorder_;
    std::uint64_t recorded_ = 0;
};

} // namespace pyralog::sim
