#include "core/base/metrics.h"

#include <algorithm>
#include <bit>

namespace pyralog {

namespace {

std::string_view family_of(std::string_view name) { return name.substr(0, name.find('{')); }

// `name` with a suffix and one more label: a{x="1"}, _bucket, le="2" → a_bucket{x="1",le="2"}.
std::string with_label(std::string_view name, std::string_view suffix, std::string_view label) {
    std::string text(family_of(name));
    text += suffix;
    std::string labels;
    if (const auto brace = name.find('{'); brace != std::string_view::npos)
        labels = name.substr(brace + 1, name.size() - brace - 2);
    if (!labels.empty() && !label.empty()) labels += ',';
    labels += label;
    if (!labels.empty()) text += '{' + labels + '}';
    return text;
}

// Seconds with nine digits, from integers: no locale and no rounding.
std::string seconds(std::int64_t ns) {
    std::string digits = std::to_string(ns % 1'000'000'000);
    digits.insert(0, 9 - digits.size(), '0');
    while (digits.size() > 1 && digits.back() == '0') digits.pop_back();
    return std::to_string(ns / 1'000'000'000) + '.' + digits;
}

void line(std::string& text, const std::string& name, const std::string& value) {
    text += name;
    text += ' ';
    text += value;
    text += '\n';
}

} // namespace

Metrics::Entry& Metrics::entry(const std::string& name, std::string_view help) {
    Entry& found = entries_[name];
    if (found.help.empty()) found.help = help;
    return found;
}

Metrics::Counter::Counter(Metrics& home, std::string name, std::string_view help)
    : home_(home), name_(std::move(name)) {
    home_.entry(name_, help).counters.push_back(this);
}

Metrics::Counter::~Counter() {
    Entry& entry = home_.entry(name_, {});
    std::erase(entry.counters, this);
    entry.retired += value_;
}

Metrics::Gauge::Gauge(Metrics& home, std::string name, std::string_view help)
    : home_(home), name_(std::move(name)) {
    home_.entry(name_, help).gauges.push_back(this);
}

Metrics::Gauge::~Gauge() { std::erase(home_.entry(name_, {}).gauges, this); }

Metrics::Histogram::Histogram(Metrics& home, std::string name, std::string_view help)
    : home_(home), name_(std::move(name)) {
    home_.entry(name_, help).histograms.push_back(this);
}

Metrics::Histogram::~Histogram() { std::erase(home_.entry(name_, {}).histograms, this); }

void Metrics::Histogram::add(Duration sample) {
    const std::int64_t ns = std::max<std::int64_t>(0, sample.count());
    const auto us = static_cast<std::uint64_t>((ns + 999) / 1000);
    const std::size_t bucket = us <= 1 ? 0 : static_cast<std::size_t>(std::bit_width(us - 1));
    ++buckets_[std::min(bucket, bucket_count - 1)];
    ++count_;
    sum_ns_ += ns;
}

std::uint64_t Metrics::total(std::string_view name) const {
    const auto found = entries_.find(name);
    if (found == entries_.end()) return 0;
    std::uint64_t sum = found->second.retired;
    for (const Counter* counter : found->second.counters) sum += counter->value();
    return sum;
}

std::string Metrics::expose() const {
    std::string text;
    std::string_view family;
    for (const auto& [name, entry] : entries_) {
        const bool histogram = !entry.histograms.empty();
        const bool gauge = !entry.gauges.empty();
        const bool counter = !entry.counters.empty() || entry.retired > 0;
        if (!histogram && !gauge && !counter) continue;
        if (family_of(name) != family) {
            family = family_of(name);
            const char* type = histogram ? "histogram" : gauge ? "gauge" : "counter";
            text += "# HELP " + std::string(family) + ' ' + entry.help + '\n';
            text += "# TYPE " + std::string(family) + ' ' + type + '\n';
        }
        if (gauge) {
            std::int64_t sum = 0;
            for (const Gauge* one : entry.gauges) sum += one->value();
            line(text, name, std::to_string(sum));
        } else if (counter) {
            line(text, name, std::to_string(total(name)));
        } else {
            std::uint64_t running = 0;
            std::int64_t sum_ns = 0;
            for (std::size_t i = 0; i < Histogram::bucket_count; ++i) {
                for (const Histogram* one : entry.histograms) running += one->buckets_[i];
                const std::string bound = i + 1 == Histogram::bucket_count
                                              ? std::string("+Inf")
                                              : seconds(std::int64_t{1000} << i);
                line(text, with_label(name, "_bucket", "le=\"" + bound + '"'),
                     std::to_string(running));
            }
            for (const Histogram* one : entry.histograms) sum_ns += one->sum_ns_;
            line(text, with_label(name, "_sum", ""), seconds(sum_ns));
            line(text, with_label(name, "_count", ""), std::to_string(running));
        }
    }
    return text;
}

} // namespace pyralog
