#include "server/broker_configs.h"

#include <algorithm>
#include <array>

namespace pyralog::server {

namespace {

using wire::kafka::ConfigSource;
using wire::kafka::ConfigType;

std::string yes(bool value) { return value ? "true" : "false"; }

// Kafka's name for something, and ours, whose words tell what it is.
struct Named {
    std::string_view name;
    std::string_view own;
    ConfigType type;
    std::string (*value)(const Config&);
};

constexpr std::array named{
    Named{"advertised.listeners", "kafka.advertise", ConfigType::string,
          [](const Config& c) { return "PLAINTEXT://" + to_string(c.advertised()); }},
    Named{"auto.create.topics.enable", "topic.auto_create", ConfigType::boolean,
          [](const Config& c) { return yes(c.topic.auto_create); }},
    Named{"broker.id", "node.id", ConfigType::int32,
          [](const Config& c) { return std::to_string(c.node_id); }},
    Named{"connections.max.idle.ms", "kafka.connection_idle_max", ConfigType::int64,
          [](const Config& c) { return ms_text(c.kafka.connection_idle_max); }},
    Named{"default.replication.factor", "topic.replication_factor", ConfigType::int32,
          [](const Config& c) { return std::to_string(c.default_replication_factor()); }},
    Named{"delete.topic.enable", "", ConfigType::boolean, [](const Config&) { return yes(true); }},
    Named{"fetch.max.bytes", "kafka.fetch_bytes_max", ConfigType::int32,
          [](const Config& c) { return std::to_string(c.kafka.fetch_bytes_max); }},
    Named{"group.initial.rebalance.delay.ms", "group.initial_rebalance_delay", ConfigType::int32,
          [](const Config& c) { return ms_text(c.group.initial_rebalance_delay); }},
    Named{"group.max.session.timeout.ms", "group.session_timeout_max", ConfigType::int32,
          [](const Config& c) { return ms_text(c.group.session_timeout_max); }},
    Named{"group.max.size", "group.members_max", ConfigType::int32,
          [](const Config& c) { return std::to_string(c.group.members_max); }},
    Named{"group.min.session.timeout.ms", "group.session_timeout_min", ConfigType::int32,
          [](const Config& c) { return ms_text(c.group.session_timeout_min); }},
    Named{"listeners", "kafka.port", ConfigType::string,
          [](const Config& c) { return "PLAINTEXT://" + to_string(c.kafka_address()); }},
    Named{"log.dirs", "node.data_dir", ConfigType::string,
          [](const Config& c) { return c.data_dir; }},
    Named{"log.retention.bytes", "topic.retention_bytes", ConfigType::int64,
          [](const Config& c) {
              return no_limit_if_zero(static_cast<std::int64_t>(c.topic.retention_bytes));
          }},
    Named{"log.retention.check.interval.ms", "topic.retention_interval", ConfigType::int64,
          [](const Config& c) { return ms_text(c.topic.retention_interval); }},
    Named{"log.retention.ms", "topic.retention_time", ConfigType::int64,
          [](const Config& c) { return no_limit_if_zero(c.topic.retention_time / 1ms); }},
    Named{"log.roll.ms", "log.segment_age", ConfigType::int64,
          [](const Config& c) { return ms_text(c.log.segment_age); }},
    Named{"log.segment.bytes", "log.segment_bytes", ConfigType::int32,
          [](const Config& c) { return std::to_string(c.log.segment_bytes); }},
    Named{"max.connections", "kafka.connections_max", ConfigType::int32,
          [](const Config& c) { return std::to_string(c.kafka.connections_max); }},
    Named{"message.max.bytes", "topic.message_bytes_max", ConfigType::int32,
          [](const Config& c) { return std::to_string(c.topic.message_bytes_max); }},
    Named{"num.partitions", "topic.partitions", ConfigType::int32,
          [](const Config& c) { return std::to_string(c.topic.partitions); }},
    Named{"offset.metadata.max.bytes", "group.offset_metadata_bytes_max", ConfigType::int32,
          [](const Config& c) { return std::to_string(c.group.offset_metadata_bytes_max); }},
    Named{"offsets.retention.minutes", "group.offsets_retention", ConfigType::int32,
          [](const Config& c) { return std::to_string(c.group.offsets_retention / 1min); }},
    Named{"offsets.topic.num.partitions", "group.offsets_partitions", ConfigType::int32,
          [](const Config& c) { return std::to_string(c.group.offsets_partitions); }},
    Named{"producer.id.expiration.ms", "topic.producer_expiration", ConfigType::int32,
          [](const Config& c) { return ms_text(c.topic.producer_expiration); }},
    Named{"socket.request.max.bytes", "kafka.request_bytes_max", ConfigType::int32,
          [](const Config& c) { return std::to_string(c.kafka.request_bytes_max); }},
    Named{"unclean.leader.election.enable", "", ConfigType::boolean,
          [](const Config&) { return yes(false); }},
};

ConfigType type_of(const Setting& setting) {
    if (setting.kind == "bool") return ConfigType::boolean;
    return setting.kind == "integer" ? ConfigType::int64 : ConfigType::string;
}

ConfigEntry entry_of(std::string name, std::string value, const std::string& built_in,
                     ConfigType type, std::string_view documentation) {
    ConfigEntry entry;
    entry.is_default = value == built_in;
    entry.source = entry.is_default ? ConfigSource::built_in : ConfigSource::static_broker;
    if (!entry.is_default) entry.synonyms.push_back({name, value, entry.source});
    entry.synonyms.push_back({name, built_in, ConfigSource::built_in});
    entry.name = std::move(name);
    entry.value = std::move(value);
    entry.read_only = true;
    entry.type = type;
    entry.documentation = documentation;
    return entry;
}

} // namespace

std::vector<ConfigEntry> broker_configs(const Config& config, Level now) {
    Config mine = config;
    Config none;
    const std::vector<Setting> settings = settings_of(mine);
    const std::vector<Setting> defaults = settings_of(none);
    std::vector<ConfigEntry> entries;
    for (std::size_t i = 0; i < settings.size(); ++i) {
        const Setting& one = settings[i];
        entries.push_back(entry_of(one.name, one.get(), defaults[i].get(), type_of(one), one.help));
        if (one.name != level_setting) continue;
        ConfigEntry& level = entries.back();
        level.read_only = false;
        if (now == config.log_level) continue;
        level.value = to_string(now);
        level.is_default = false;
        level.source = ConfigSource::dynamic_broker;
        level.synonyms.insert(level.synonyms.begin(), {level.name, level.value, level.source});
    }
    for (const Named& one : named) {
        const auto same = std::ranges::find(settings, one.own, &Setting::name);
        entries.push_back(entry_of(std::string(one.name), one.value(config), one.value(none),
                                   one.type, same == settings.end() ? "" : same->help));
    }
    std::ranges::sort(entries, {}, &ConfigEntry::name);
    return entries;
}

std::vector<ConfigEntry> logger_configs(Level now) {
    constexpr std::array<std::string_view, 4> kafkas{"DEBUG", "INFO", "WARN", "ERROR"};
    ConfigEntry entry;
    entry.name = logger_name;
    entry.value = kafkas.at(static_cast<std::size_t>(now));
    entry.source = ConfigSource::dynamic_logger;
    entry.type = ConfigType::string;
    return {entry};
}

std::optional<Level> parse_any_level(std::string_view text) {
    std::string lower(text);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return parse_level(lower == "warn" ? "warning" : lower);
}

} // namespace pyralog::server
