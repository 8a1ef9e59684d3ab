#include "server/topic_settings.h"

#include "core/base/config.h"

#include <algorithm>
#include <array>
#include <limits>

namespace pyralog::server {

namespace {

struct NumberSetting {
    std::string_view name;
    std::optional<std::int64_t> TopicSettings::* value;
    std::int64_t least;
    std::int64_t most;
};

// The bounds are Kafka's.
constexpr std::int64_t any = std::numeric_limits<std::int64_t>::max();
constexpr std::array<NumberSetting, 7> number_settings{{
    {"retention.ms", &TopicSettings::retention_ms, -1, any},
    {"retention.bytes", &TopicSettings::retention_bytes, -1, any},
    {"segment.bytes", &TopicSettings::segment_bytes, 14, std::numeric_limits<std::int32_t>::max()},
    {"segment.ms", &TopicSettings::segment_ms, 1, any},
    {"delete.retention.ms", &TopicSettings::delete_retention_ms, 0, any},
    {"min.compaction.lag.ms", &TopicSettings::min_compaction_lag_ms, 0, any},
    // A larger batch could not be taken by any node: see topic.message_bytes_max.
    {"max.message.bytes", &TopicSettings::max_message_bytes, 0, 64_MiB},
}};
constexpr std::string_view policy = "cleanup.policy";
constexpr std::string_view dirty_ratio = "min.cleanable.dirty.ratio";

// What a log is given, whatever the topic says.
constexpr std::int64_t segment_bytes_least = 1_KiB;
constexpr std::int64_t segment_bytes_most = 1_GiB;
constexpr std::int64_t segment_ms_most = std::chrono::milliseconds(std::chrono::days(3650)).count();

std::string format_policy(bool is_deleted, bool is_compacted) {
    std::string text(is_compacted ? "compact" : "");
    if (is_deleted) text += text.empty() ? "delete" : ",delete";
    return text;
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
    if (name == policy)
        return parse_policy(value, *this) ? std::string()
                                          : wrong(name, value, "delete, compact, or both");
    if (name == dirty_ratio) {
        min_dirty_millionths = parse_millionths(value);
        return min_dirty_millionths ? std::string() : wrong(name, value, "a number from 0 to 1");
    }
    const auto* const setting = std::ranges::find(number_settings, name, &NumberSetting::name);
    if (setting == number_settings.end())
        return '"' + std::string(name) + "\" cannot be set for a topic";
    const auto number = parse_integer(value);
    if (!number || *number < setting->least || *number > setting->most)
        return wrong(name, value,
                     "a number from " + std::to_string(setting->least) + " to " +
                         std::to_string(setting->most));
    this->*setting->value = *number;
    return {};
}

std::string TopicSettings::change(const SettingEdit& edit) {
    using Kind = SettingEdit::Kind;
    if (edit.kind == Kind::set) return set(edit.name, edit.value);
    if (edit.kind == Kind::unset) {
        const TopicSettings none;
        if (edit.name == policy) {
            is_deleted = none.is_deleted;
            is_compacted = none.is_compacted;
        } else if (edit.name == dirty_ratio) {
            min_dirty_millionths.reset();
        } else if (const auto* const setting =
                       std::ranges::find(number_settings, edit.name, &NumberSetting::name);
                   setting != number_settings.end()) {
            (this->*setting->value).reset();
        } else {
            return '"' + edit.name + "\" cannot be set for a topic";
        }
        return {};
    }
    if (edit.name != policy) return '"' + edit.name + "\" is no list";
    TopicSettings part;
    if (!parse_policy(edit.value, part)) return part.set(policy, edit.value);
    const bool adds = edit.kind == Kind::append;
    const bool deletes = adds ? is_deleted || part.is_deleted : is_deleted && !part.is_deleted;
    const bool compacts =
        adds ? is_compacted || part.is_compacted : is_compacted && !part.is_compacted;
    if (!deletes && !compacts) return wrong(policy, "", "delete, compact, or both");
    is_deleted = deletes;
    is_compacted = compacts;
    return {};
}

std::vector<std::string_view> TopicSettings::names() {
    std::vector<std::string_view> names{policy, dirty_ratio};
    for (const NumberSetting& setting : number_settings) names.push_back(setting.name);
    return names;
}

std::optional<std::string> TopicSettings::get(std::string_view name) const {
    if (name == policy) {
        if (is_deleted && !is_compacted) return {};
        return format_policy(is_deleted, is_compacted);
    }
    if (name == dirty_ratio) {
        if (!min_dirty_millionths) return {};
        return format_millionths(*min_dirty_millionths);
    }
    const auto* const setting = std::ranges::find(number_settings, name, &NumberSetting::name);
    if (setting == number_settings.end() || !(this->*setting->value)) return {};
    return std::to_string(*(this->*setting->value));
}

std::size_t TopicSettings::message_bytes_max(const TopicConfig& config) const {
    return max_message_bytes ? static_cast<std::size_t>(*max_message_bytes)
                             : config.message_bytes_max;
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
