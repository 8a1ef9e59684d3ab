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

Metrics::Histogram::Histogram(Metrics& home, std::string name, std::string_view help, Of of)
    : home_(home), name_(std::move(name)), of_(of) {
    home_.entry(name_, help).histograms.push_back(this);
}

Metrics::Histogram::~Histogram() { std::erase(home_.entry(name_, {}).histograms, this); }

void Metrics::Histogram::add(Duration sample) {
    const std::int64_t ns = std::max<std::int64_t>(0, sample.count());
    add_number(static_cast<std::uint64_t>((ns + 999) / 1000));
    sum_ += ns;
}

void Metrics::Histogram::add_number(std::uint64_t sample) {
    const std::size_t bucket =
        sample <= 1 ? 0 : static_cast<std::size_t>(std::bit_width(sample - 1));
    ++buckets_[std::min(bucket, bucket_count - 1)];
    ++count_;
    if (of_ == Of::numbers) sum_ += static_cast<std::int64_t>(sample);
}

std::uint64_t Metrics::total(std::string_view name) const {
    const auto found = entries_.find(name);
    if (found == entries_.end()) return 0;
    std::uint64_t sum = found->second.retired;
    for (const Counter* counter : found->second.counters) sum += counter->value();
    return sum;
}

Metrics::Family& Metrics::Families::family(std::string_view name, std::string_view type,
                                           std::string_view help) {
    const auto found = all_.find(name);
    if (found != all_.end()) return found->second;
    return all_[std::string(name)] = {std::string(help), type, {}};
}

void Metrics::Families::gauge(std::string_view name, std::string_view help, std::int64_t value,
                              std::string_view labels) {
    std::string text(name);
    if (!labels.empty()) text.append(1, '{').append(labels).append(1, '}');
    line(family(name, "gauge", help).samples, text, std::to_string(value));
}

std::string Metrics::Families::text() const {
    std::string text;
    for (const auto& [name, family] : all_) {
        text += "# HELP " + name + ' ' + family.help + '\n';
        text += "# TYPE " + name + ' ' + std::string(family.type) + '\n' + family.samples;
    }
    return text;
}

void Metrics::foretell(std::string_view name, std::string_view type, std::string_view help) {
    for (const Foretold& known : foretold_)
        if (known.name == name) return;
    foretold_.push_back({std::string(name), std::string(type), std::string(help)});
}

void Metrics::write_histogram(std::string& text, const std::string& name, const Entry& entry) {
    const bool numbers = entry.histograms.front()->of_ == Histogram::Of::numbers;
    const auto in_its_unit = [numbers](std::int64_t value, std::int64_t ns) {
        return numbers ? std::to_string(value) : seconds(value * ns);
    };
    std::uint64_t running = 0;
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < Histogram::bucket_count; ++i) {
        for (const Histogram* one : entry.histograms) running += one->buckets_[i];
        const std::string bound = i + 1 == Histogram::bucket_count
                                      ? std::string("+Inf")
                                      : in_its_unit(Histogram::bound(i), 1000);
        line(text, with_label(name, "_bucket", "le=\"" + bound + '"'), std::to_string(running));
    }
    for (const Histogram* one : entry.histograms) sum += one->sum_;
    line(text, with_label(name, "_sum", ""), in_its_unit(sum, 1));
    line(text, with_label(name, "_count", ""), std::to_string(running));
}

void Metrics::gather(Families& families) const {
    for (const auto& [name, entry] : entries_) {
        const std::string_view of = family_of(name);
        if (!entry.gauges.empty()) {
            std::int64_t sum = 0;
            for (const Gauge* one : entry.gauges) sum += one->value();
            line(families.family(of, "gauge", entry.help).samples, name, std::to_string(sum));
        } else if (!entry.counters.empty() || entry.retired > 0) {
            line(families.family(of, "counter", entry.help).samples, name,
                 std::to_string(total(name)));
        } else if (!entry.histograms.empty()) {
            write_histogram(families.family(of, "histogram", entry.help).samples, name, entry);
        }
    }
    for (const Foretold& known : foretold_) {
        const std::string_view type = known.type == "counter" ? "counter"
                                      : known.type == "gauge" ? "gauge"
                                                              : "histogram";
        families.family(known.name, type, known.help);
    }
}

std::string Metrics::expose() const {
    Families families;
    gather(families);
    return families.text();
}

std::string metrics_label(std::string_view name, std::string_view value) {
    std::string text = std::string(name) + "=\"";
    for (const char c : value) {
        if (c == '"' || c == '\\') text += '\\';
        if (c == '\n')
            text += "\\n";
        else
            text += c;
    }
    return text + '"';
}

} // namespace pyralog
