#include "server/topic_configs.h"

#include "core/base/probe.h"

#include <algorithm>
#include <array>

namespace pyralog::server {

namespace {

using wire::kafka::ConfigSource;
using wire::kafka::ConfigType;

struct Facts {
    std::size_t replicas;
    const Config& config;
};

constexpr const char* most = "9223372036854775807";

// What counts where a topic says nothing.
struct TopicConfigFact {
    std::string_view name;
    std::string_view broker_name; // Of the node's own, if it has one.
    ConfigType type;
    bool may_differ; // Else it is the one value that there is.
    std::string (*value)(const Facts&);
    std::string_view documentation;
};

constexpr std::array topic_config_facts{
    TopicConfigFact{"cleanup.policy", "log.cleanup.policy", ConfigType::list, true,
                    [](const Facts&) { return std::string("delete"); },
                    "Whether old records are deleted, or the newest of each key is kept, or both."},
    TopicConfigFact{"compression.type", "compression.type", ConfigType::string, false,
                    [](const Facts&) { return std::string("producer"); },
                    "Batches are stored as producers have compressed them."},
    TopicConfigFact{"delete.retention.ms", "log.cleaner.delete.retention.ms", ConfigType::int64,
                    true,
                    [](const Facts&) {
                        return std::to_string(TopicSettings::Compaction().delete_retention_ms);
                    },
                    "How long a record without a value stays in a topic that is compacted."},
    TopicConfigFact{"flush.messages", "log.flush.interval.messages", ConfigType::int64, false,
                    [](const Facts&) { return std::string("1"); },
                    "What is acknowledged is on the disks of a majority."},
    TopicConfigFact{"flush.ms", "log.flush.interval.ms", ConfigType::int64, false,
                    [](const Facts&) { return std::string("0"); },
                    "What is acknowledged is on the disks of a majority."},
    TopicConfigFact{"follower.replication.throttled.replicas", "", ConfigType::list, false,
                    [](const Facts&) { return std::string(); }, "Replication is not throttled."},
    TopicConfigFact{"leader.replication.throttled.replicas", "", ConfigType::list, false,
                    [](const Facts&) { return std::string(); }, "Replication is not throttled."},
    TopicConfigFact{"max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", ConfigType::int64,
                    false, [](const Facts&) { return std::string(most); },
                    "Nothing is compacted before its segment is full or old."},
    TopicConfigFact{"max.message.bytes", "message.max.bytes", ConfigType::int32, true,
                    [](const Facts& f) { return std::to_string(f.config.topic.message_bytes_max); },
                    "The largest batch of records that is taken."},
    TopicConfigFact{"message.timestamp.type", "log.message.timestamp.type", ConfigType::string,
                    false, [](const Facts&) { return std::string("CreateTime"); },
                    "Records have the times that their producers give them."},
    TopicConfigFact{
        "min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio", ConfigType::float64, true,
        [](const Facts&) { return std::string("0.5"); },
        "So much of a log must have come since it was compacted last before it is again."},
    TopicConfigFact{"min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", ConfigType::int64,
                    true, [](const Facts&) { return std::string("0"); },
                    "How long a record stays at least in a topic that is compacted."},
    TopicConfigFact{"min.insync.replicas", "min.insync.replicas", ConfigType::int32, false,
                    [](const Facts& f) { return std::to_string(f.replicas / 2 + 1); },
                    "acks=all waits for a majority of the replicas."},
    TopicConfigFact{"preallocate", "log.preallocate", ConfigType::boolean, false,
                    [](const Facts&) { return std::string("false"); },
                    "Segments grow as they are filled."},
    TopicConfigFact{"remote.storage.enable", "", ConfigType::boolean, false,
                    [](const Facts&) { return std::string("false"); },
                    "All records are on the nodes' disks."},
    TopicConfigFact{"retention.bytes", "log.retention.bytes", ConfigType::int64, true,
                    [](const Facts& f) {
                        return no_limit_if_zero(
                            static_cast<std::int64_t>(f.config.topic.retention_bytes));
                    },
                    "A partition that is larger loses its oldest segments; -1: never."},
    TopicConfigFact{
        "retention.ms", "log.retention.ms", ConfigType::int64, true,
        [](const Facts& f) { return no_limit_if_zero(f.config.topic.retention_time / 1ms); },
        "Records older than this are deleted, a whole segment at a time; -1: never."},
    TopicConfigFact{
        "segment.bytes", "log.segment.bytes", ConfigType::int32, true,
        [](const Facts& f) { return std::to_string(f.config.log.segment_bytes); },
        "A segment that has grown to about this size is sealed and the next one begun."},
    TopicConfigFact{"segment.jitter.ms", "log.roll.jitter.ms", ConfigType::int64, false,
                    [](const Facts&) { return std::string("0"); },
                    "What a segment's age is lessened by, by lot: nothing."},
    TopicConfigFact{"segment.ms", "log.roll.ms", ConfigType::int64, true,
                    [](const Facts& f) { return ms_text(f.config.log.segment_age); },
                    "The same when it was begun so long ago."},
    TopicConfigFact{"unclean.leader.election.enable", "unclean.leader.election.enable",
                    ConfigType::boolean, false, [](const Facts&) { return std::string("false"); },
                    "Nobody leads who lacks what was acknowledged."},
};

} // namespace

std::vector<ConfigEntry> topic_configs(const TopicSettings& settings, std::size_t replicas,
                                       const Config& config) {
    const Facts facts{replicas, config};
    const Facts built_in{replicas, Config()};
    std::vector<ConfigEntry> entries;
    for (const TopicConfigFact& one : topic_config_facts) {
        ConfigEntry entry;
        entry.name = one.name;
        entry.type = one.type;
        entry.documentation = one.documentation;
        entry.read_only = !one.may_differ;
        const std::string of_node = one.value(facts);
        const auto of_topic = settings.get(one.name);
        const ConfigSource node_source =
            of_node == one.value(built_in) ? ConfigSource::built_in : ConfigSource::static_broker;
        entry.value = of_topic.value_or(of_node);
        entry.source = of_topic ? ConfigSource::topic : node_source;
        entry.is_default = !of_topic;
        if (of_topic) entry.synonyms.push_back({entry.name, entry.value, ConfigSource::topic});
        if (!one.broker_name.empty())
            entry.synonyms.push_back({std::string(one.broker_name), of_node, node_source});
        entries.push_back(std::move(entry));
    }
    return entries;
}

std::string plan_edit(const SettingEdit& edit, std::size_t replicas, const Config& config,
                      TopicSettings& settings, std::vector<SettingEdit>& plan) {
    using Kind = SettingEdit::Kind;
    const auto* const found =
        std::ranges::find(topic_config_facts, edit.name, &TopicConfigFact::name);
    SOMETIMES(found == topic_config_facts.end(), "topic-configs/unknown-name");
    if (found == topic_config_facts.end() || found->may_differ) {
        plan.push_back(edit);
        return settings.change(edit);
    }
    if (edit.kind == Kind::unset) return {};
    if (edit.kind != Kind::set) return '"' + edit.name + "\" cannot be added to";
    const std::string value = found->value({replicas, config});
    SOMETIMES(edit.value == value, "topic-configs/so-it-is-anyway");
    SOMETIMES(edit.value != value, "topic-configs/cannot-be-different");
    if (edit.value == value) return {};
    return edit.name + " is \"" + edit.value + "\": here it is always \"" + value + '"';
}

} // namespace pyralog::server
