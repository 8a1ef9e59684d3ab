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
constexpr std::array<Known, 4> known{{
    {"retention.ms", &TopicSettings::retention_ms, -1, any},
    {"retention.bytes", &TopicSettings::retention_bytes, -1, any},
    {"segment.bytes", &TopicSettings::segment_bytes, 14, std::numeric_limits<std::int32_t>::max()},
    {"segment.ms", &TopicSettings::segment_ms, 1, any},
}};

// What a log is given, whatever the topic says.
constexpr std::int64_t segment_bytes_least = 1_KiB;
constexpr std::int64_t segment_bytes_most = 1_GiB;
constexpr std::int64_t segment_ms_most = std::chrono::milliseconds(std::chrono::days(3650)).count();

} // namespace

std::string TopicSettings::set(std::string_view name, std::string_view value) {
    // The only policy there is yet.
    if (name == "cleanup.policy" && value == "delete") return {};
    const auto* const setting = std::ranges::find(known, name, &Known::name);
    if (setting == known.end()) return '"' + std::string(name) + "\" cannot be set for a topic";
    const auto number = parse_integer(value);
    if (!number || *number < setting->least || *number > setting->most)
        return std::string(name) + " is \"" + std::string(value) + "\": say a number from " +
               std::to_string(setting->least) + " to " + std::to_string(setting->most);
    this->*setting->value = *number;
    return {};
}

TopicSettings::Retention TopicSettings::retention(const TopicConfig& config) const {
    Retention rules;
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
