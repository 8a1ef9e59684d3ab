#include "server/topic_settings.h"

#include "core/base/config.h"

#include <algorithm>
#include <array>
#include <limits>

namespace pyralog::server {

namespace {

struct Known {
    std::string_view name;
    std::optional<std::int64_t> TopicSettings::* value;
    std::int64_t least;
    std::int64_t most;
};

// The bounds are Kafka's.
constexpr std::int64_t any = std::numeric_limits<std::int64_t>::max();
constexpr std::array<Known, 6> known{{
    {"retention.ms", &TopicSettings::retention_ms, -1, any},
    {"retention.bytes", &TopicSettings::retention_bytes, -1, any},
    {"segment.bytes", &TopicSettings::segment_bytes, 14, std::numeric_limits<std::int32_t>::max()},
    {"segment.ms", &TopicSettings::segment_ms, 1, any},
    {"delete.retention.ms", &TopicSettings::delete_retention_ms, 0, any},
    {"min.compaction.lag.ms", &TopicSettings::min_compaction_lag_ms, 0, any},
}};
constexpr std::int64_t millionths = 1'000'000;

// What a log is given, whatever the topic says.
constexpr std::int64_t segment_bytes_least = 1_KiB;
constexpr std::int64_t segment_bytes_most = 1_GiB;
constexpr std::int64_t segment_ms_most = std::chrono::milliseconds(std::chrono::days(3650)).count();

// A number from 0 to 1, with up to six digits behind its point.
std::optional<std::int64_t> parse_millionths(std::string_view text) {
    constexpr std::size_t digits_max = 6;
    const std::size_t point = std::min(text.find('.'), text.size());
    const auto whole = parse_integer(text.substr(0, point));
    if (text.starts_with('-')) return {};
    std::string digits(text.substr(std::min(point + 1, text.size())));
    if (!whole || digits.size() > digits_max) return {};
    if (point < text.size() && digits.empty()) return {};
    digits.resize(digits_max, '0');
    if (!std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; })) return {};
    const std::int64_t value = *whole > 1 ? millionths + 1 : *whole * millionths;
    const std::int64_t total = value + *parse_integer(digits.insert(0, "1")) - millionths;
    if (total > millionths) return {};
    return total;
}

// Both policies, in any order, or one of them.
bool parse_policy(std::string_view text, TopicSettings& settings) {
    bool is_deleted = false, is_compacted = false;
    for (bool more = true; more;) {
        const std::size_t comma = text.find(',');
        more = comma != std::string_view::npos;
        const std::string_view word = text.substr(0, comma);
        bool& said = word == "delete" ? is_deleted : is_compacted;
        if ((word != "delete" && word != "compact") || said) return false;
        said = true;
        if (more) text.remove_prefix(comma + 1);
    }
    settings.is_deleted = is_deleted;
    settings.is_compacted = is_compacted;
    return true;
}

std::string wrong(std::string_view name, std::string_view value, std::string_view hint) {
    return std::string(name) + " is \"" + std::string(value) + "\": say " + std::string(hint);
}

} // namespace

std::string TopicSettings::set(std::string_view name, std::string_view value) {
    if (name == "cleanup.policy")
        return parse_policy(value, *this) ? std::string()
                                          : wrong(name, value, "delete, compact, or both");
    if (name == "min.cleanable.dirty.ratio") {
        min_dirty_millionths = parse_millionths(value);
        return min_dirty_millionths ? std::string() : wrong(name, value, "a number from 0 to 1");
    }
    const auto* const setting = std::ranges::find(known, name, &Known::name);
    if (setting == known.end()) return '"' + std::string(name) + "\" cannot be set for a topic";
    const auto number = parse_integer(value);
    if (!number || *number < setting->least || *number > setting->most)
        return wrong(name, value,
                     "a number from " + std::to_string(setting->least) + " to " +
                         std::to_string(setting->most));
    this->*setting->value = *number;
    return {};
}

TopicSettings::Retention TopicSettings::retention(const TopicConfig& config) const {
    Retention rules;
    if (!is_deleted) return rules;
    if (retention_ms) {
        if (*retention_ms >= 0) rules.age_ms = *retention_ms;
    } else if (config.retention_time > Duration(0)) {
        rules.age_ms =
            std::chrono::duration_cast<std::chrono::milliseconds>(config.retention_time).count();
    }
    if (retention_bytes) {
        if (*retention_bytes >= 0) rules.bytes = static_cast<std::uint64_t>(*retention_bytes);
    } else if (config.retention_bytes > 0) {
        rules.bytes = config.retention_bytes;
    }
    return rules;
}

std::optional<TopicSettings::Compaction> TopicSettings::compaction() const {
    if (!is_compacted) return {};
    Compaction rules;
    rules.delete_retention_ms = delete_retention_ms.value_or(rules.delete_retention_ms);
    rules.min_lag_ms = min_compaction_lag_ms.value_or(rules.min_lag_ms);
    rules.min_dirty_millionths = min_dirty_millionths.value_or(rules.min_dirty_millionths);
    return rules;
}

std::optional<std::size_t> TopicSettings::log_segment_bytes() const {
    if (!segment_bytes) return {};
    return static_cast<std::size_t>(
        std::clamp(*segment_bytes, segment_bytes_least, segment_bytes_most));
}

std::optional<Duration> TopicSettings::log_segment_age() const {
    if (!segment_ms) return {};
    return std::chrono::milliseconds(std::min(*segment_ms, segment_ms_most));
}

} // namespace pyralog::server
