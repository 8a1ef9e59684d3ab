// core/base/metrics.h
//
// A number lives in the component that changes it, as a plain member, and enrolls under a name for
// as long as the component lives. No atomics: a node is one thread. No globals: the simulator runs
// many nodes at once, and asks each of them what it counted.
//
// A name may carry labels, as Prometheus writes them: `pyralog_peer_bytes_total{peer="2"}`. Two
// members may share a name; what is exposed is their sum.
#pragma once

#include "core/base/time.h"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog {

class Metrics {
public:
    class Counter {
    public:
        Counter(Metrics& home, std::string name, std::string_view help);
        ~Counter();
        Counter(const Counter&) = delete;
        Counter& operator=(const Counter&) = delete;
        void add(std::uint64_t count = 1) { value_ += count; }
        std::uint64_t value() const { return value_; }

    private:
        Metrics& home_;
        std::string name_;
        std::uint64_t value_ = 0;
    };

    class Gauge {
    public:
        Gauge(Metrics& home, std::string name, std::string_view help);
        ~Gauge();
        Gauge(const Gauge&) = delete;
        Gauge& operator=(const Gauge&) = delete;
        void set(std::int64_t value) { value_ = value; }
        void add(std::int64_t change) { value_ += change; }
        std::int64_t value() const { return value_; }

    private:
        Metrics& home_;
        std::string name_;
        std::int64_t value_ = 0;
    };

    // Durations in buckets that double from 1 µs; enough for a latency, and 256 bytes.
    class Histogram {
    public:
        static constexpr std::size_t bucket_count = 32;

        Histogram(Metrics& home, std::string name, std::string_view help);
        ~Histogram();
        Histogram(const Histogram&) = delete;
        Histogram& operator=(const Histogram&) = delete;
        void add(Duration sample);
        std::uint64_t count() const { return count_; }

    private:
        friend class Metrics;
        Metrics& home_;
        std::string name_;
        std::array<std::uint64_t, bucket_count> buckets_{};
        std::uint64_t count_ = 0;
        std::int64_t sum_ns_ = 0;
    };

    std::string expose() const;                       // Prometheus text, sorted by name.
    std::uint64_t total(std::string_view name) const; // Of counters; zero if nobody enrolled.

private:
    // One name, and all that enrolled under it.
    struct Entry {
        std::string help;
        std::vector<const Counter*> counters;
        std::vector<const Gauge*> gauges;
        std::vector<const Histogram*> histograms;
        std::uint64_t retired = 0; // What counters that have gone had counted: totals never fall.
    };

    Entry& entry(const std::string& name, std::string_view help);

    std::map<std::string, Entry, std::less<>> entries_;
};

} // namespace pyralog
