// core/wire/kafka/offsets_topic.h
//
// The records of __consumer_offsets, as Kafka has published them, so that tools which read that
// topic can read ours. Each key and each value begins with its version:
//
//     key 0, 1: an offset   group, topic, partition   value 0 to 3; no value: it is forgotten
//     key 2: a group        group                     value 0 to 3; no value: it is gone
//
// Of both values we write version 3, and read all of these.
#pragma once

#include "core/wire/codec.h"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace pyralog::wire::kafka {

struct OffsetKey {
    std::string group;
    std::string topic;
    std::int32_t partition = 0;
    auto operator<=>(const OffsetKey&) const = default;
};

template <class Codec>
void describe(Codec& field, OffsetKey& k) {
    field(k.group, k.topic, k.partition);
}

struct OffsetValue {
    std::int64_t offset = -1;
    std::int32_t leader_epoch = -1;
    std::string metadata;
    std::int64_t commit_timestamp = 0;
    std::int64_t expire_timestamp = -1; // Of version 1.
    bool operator==(const OffsetValue&) const = default;
};

template <class Codec>
void describe(Codec& field, OffsetValue& v) {
    field(v.offset);
    if (field.version >= 3) field(v.leader_epoch);
    field(v.metadata, v.commit_timestamp);
    if (field.version == 1) field(v.expire_timestamp);
}

struct GroupKey {
    std::string group;
    auto operator<=>(const GroupKey&) const = default;
};

template <class Codec>
void describe(Codec& field, GroupKey& k) {
    field(k.group);
}

struct GroupValue {
    struct Member {
        std::string id;
        std::optional<std::string> group_instance_id;
        std::string client_id;
        std::string client_host;
        std::int32_t rebalance_timeout_ms = -1;
        std::int32_t session_timeout_ms = 0;
        Bytes subscription;
        Bytes assignment;
    };
    // In the place of a time: the leader of this generation has not assigned anything yet. Kafka
    // stores no such groups, and looks at the time of empty ones only.
    static constexpr std::int64_t unassigned = -2;

    std::string protocol_type;
    std::int32_t generation = 0;
    std::optional<std::string> protocol;
    std::optional<std::string> leader;
    std::int64_t state_timestamp = -1;
    std::vector<Member> members;
};

template <class Codec>
void describe(Codec& field, GroupValue::Member& m) {
    field(m.id);
    if (field.version >= 3) field(m.group_instance_id);
    field(m.client_id, m.client_host);
    if (field.version >= 1) field(m.rebalance_timeout_ms);
    field(m.session_timeout_ms, m.subscription, m.assignment);
}

template <class Codec>
void describe(Codec& field, GroupValue& v) {
    field(v.protocol_type, v.generation, v.protocol, v.leader);
    if (field.version >= 2) field(v.state_timestamp);
    field(v.members);
}

// What a record of that topic is about. Error::malformed for what is none of these.
using OffsetsTopicKey = std::variant<OffsetKey, GroupKey>;
Result<OffsetsTopicKey> decode_offsets_topic_key(Bytes key);
Result<OffsetValue> decode_offset_value(Bytes value);
Result<GroupValue> decode_group_value(Bytes value);

std::string encode_key(const OffsetKey& key);
std::string encode_key(const GroupKey& key);
std::string encode_value(const OffsetValue& value);
std::string encode_value(const GroupValue& value);

// What the keys of all offsets of a group begin with.
std::string offset_keys_prefix(const std::string& group);

// The topics that the metadata of a member of a "consumer" group subscribes to; nothing if it is
// not of that form.
std::optional<std::vector<std::string>> subscribed_topics(const Bytes& metadata);

} // namespace pyralog::wire::kafka
