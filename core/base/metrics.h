// core/base/metrics.h
//
// A number lives in the component that changes it, as a plain member, and enrolls under a name for
// as long as the component lives. No atomics: a node is one thread. No globals: the simulator runs
// many nodes at once, and asks each of them what it counted.
//
// A name may carry labels, as Prometheus writes them: `pyralog_peer_bytes_total{peer="2"}`. Two
// members may share a name; what is exposed is their sum.
//
// What is only known when somebody asks, a lag for one, is written into the Families of that moment
// by whoever can find it out: it costs nothing until then.
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

    // Durations in buckets that double from 1 µs; enough for a latency, and 256 bytes. Or numbers,
    // of bytes for one, in buckets that double from 1.
    class Histogram {
    public:
        static constexpr std::size_t bucket_count = 32;
        using Buckets = std::array<std::uint64_t, bucket_count>;
        enum class Of : std::uint8_t { durations, numbers };

        Histogram(Metrics& home, std::string name, std::string_view help, Of of = Of::durations);
        ~Histogram();
        Histogram(const Histogram&) = delete;
        Histogram& operator=(const Histogram&) = delete;
        void add(Duration sample);
        void add_number(std::uint64_t sample);
        std::uint64_t count() const { return count_; }
        const Buckets& buckets() const { return buckets_; }
        // Up to where samples of this bucket go, in µs or as they are; the last one has no bound.
        static constexpr std::int64_t bound(std::size_t bucket) {
            return std::int64_t{1} << bucket;
        }

    private:
        friend class Metrics;
        Metrics& home_;
        std::string name_;
        Buckets buckets_{};
        std::uint64_t count_ = 0;
        std::int64_t sum_ = 0; // Nanoseconds, or as it is.
        const Of of_;
    };

    // All of one name before the braces, as it is told to whoever asks.
    struct Family {
        std::string help;
        std::string_view type; // counter, gauge or histogram
        std::string samples;   // Lines.
    };
    class Families {
    public:
        // Sorted by name, in Prometheus' text form. A family without samples is named as well.
        std::string text() const;
        const std::map<std::string, Family, std::less<>>& all() const { return all_; }

        Family& family(std::string_view name, std::string_view type, std::string_view help);
        // A gauge that somebody has just found out. `labels` as Prometheus writes them, or empty.
        void gauge(std::string_view name, std::string_view help, std::int64_t value,
                   std::string_view labels = {});

    private:
        std::map<std::string, Family, std::less<>> all_;
    };

    // Says of a family that has no members yet what it is. Twice is no harm.
    void foretell(std::string_view name, std::string_view type, std::string_view help);

    void gather(Families& families) const;
    std::string expose() const;                       // What is gathered here, and nothing else.
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
    static void write_histogram(std::string& text, const std::string& name, const Entry& entry);

    std::map<std::string, Entry, std::less<>> entries_;
    struct Foretold {
        std::string name, type, help;
    };
    std::vector<Foretold> foretold_;
};

// A label, with its value quoted: topic="a"
std::string metrics_label(std::string_view name, std::string_view value);

} // namespace pyralog
