// server/topic_settings.h
//
// What can be set for a topic by Kafka's own names. What is not set is as the node is.
#pragma once

#include "server/config.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog::server {

// One change of a topic's settings. What is appended and subtracted are parts of a list.
struct SettingEdit {
    enum class Kind : std::uint8_t { set, unset, append, subtract };
    std::string name;
    Kind kind{};
    std::string value; // Of no interest where it is unset.
    bool operator==(const SettingEdit&) const = default;
};

template <class Codec>
void describe(Codec& field, SettingEdit& e) {
    field(e.name, e.kind, e.value);
    field.require(e.kind <= SettingEdit::Kind::subtract);
}

struct TopicSettings {
    std::optional<std::int64_t> retention_ms;    // retention.ms; -1: for ever.
    std::optional<std::int64_t> retention_bytes; // retention.bytes, of a partition; -1: no limit.
    std::optional<std::int64_t> segment_bytes;   // segment.bytes
    std::optional<std::int64_t> segment_ms;      // segment.ms
    // cleanup.policy: records are deleted by age and size; of each key the newest is kept.
    bool is_deleted = true;
    bool is_compacted = false;
    std::optional<std::int64_t> delete_retention_ms = {};   // delete.retention.ms
    std::optional<std::int64_t> min_compaction_lag_ms = {}; // min.compaction.lag.ms
    // min.cleanable.dirty.ratio, in a millionth.
    std::optional<std::int64_t> min_dirty_millionths = {};
    std::optional<std::int64_t> max_message_bytes = {}; // max.message.bytes, of a batch.
    bool operator==(const TopicSettings&) const = default;

    // Empty, or what is wrong, for people.
    std::string set(std::string_view name, std::string_view value);
    std::string change(const SettingEdit& edit);

    // All that can be set, and what is set of it: nothing where the node decides.
    static std::vector<std::string_view> names();
    std::optional<std::string> get(std::string_view name) const;

    // What follows from these and from what is set for the node.
    struct Retention {
        std::optional<std::int64_t> age_ms;
        std::optional<std::uint64_t> bytes;
        bool operator==(const Retention&) const = default;
    };
    Retention retention(const TopicConfig& config) const;
    // Nothing if it is not compacted.
    struct Compaction {
        std::int64_t delete_retention_ms = 86'400'000;
        std::int64_t min_lag_ms = 0;
        std::int64_t min_dirty_millionths = 500'000;
        bool operator==(const Compaction&) const = default;
    };
    std::optional<Compaction> compaction() const;
    std::size_t message_bytes_max(const TopicConfig& config) const;
    std::optional<std::size_t> log_segment_bytes() const;
    std::optional<Duration> log_segment_age() const;
};

template <class Codec>
void describe(Codec& field, TopicSettings& s) {
    field(s.retention_ms, s.retention_bytes, s.segment_bytes, s.segment_ms);
    field(s.is_deleted, s.is_compacted, s.delete_retention_ms, s.min_compaction_lag_ms);
    field(s.min_dirty_millionths, s.max_message_bytes);
}

} // namespace pyralog::server
