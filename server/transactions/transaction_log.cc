#include "server/transactions/transaction_log.h"

#include "core/wire/codec.h"

namespace pyralog::server {

namespace {

constexpr std::int16_t key_version = 0;
constexpr std::int16_t value_version = 1;
constexpr int our_tag = 100; // Kafka has few, and counts from zero.

struct Key {
    std::int16_t version = key_version;
    std::string transactional_id;
};
template <class Codec>
void describe(Codec& field, Key& k) {
    field(k.version, k.transactional_id);
    field.require(k.version == key_version);
}

struct StoredTopic {
    std::string name;
    std::vector<std::int32_t> partitions;
};
template <class Codec>
void describe(Codec& field, StoredTopic& t) {
    field(t.name, t.partitions);
    field.tags();
}

struct Ours {
    std::int64_t number = 0;
    TransactionValue::Name before, ending;
    std::vector<std::int64_t> groups; // Of the partitions, in order.
};
template <class Codec>
void describe(Codec& field, Ours& o) {
    field(o.number, o.before.producer, o.before.epoch, o.ending.producer, o.ending.epoch);
    field(o.groups);
}

struct Value {
    TransactionValue::Name name;
    std::int32_t timeout_ms = 0;
    TransactionValue::Phase phase{};
    std::optional<std::vector<StoredTopic>> topics;
    std::int64_t updated_ms = 0, started_ms = -1;
    Ours ours;
};
template <class Codec>
void describe(Codec& field, Value& v) {
    field(v.name.producer, v.name.epoch, v.timeout_ms, v.phase);
    field.require(v.phase >= TransactionValue::Phase::empty &&
                  v.phase <= TransactionValue::Phase::complete_abort);
    field(v.topics, v.updated_ms, v.started_ms);
    field.tags(wire::tag(our_tag, v.ours, true));
}

struct Versioned {
    std::int16_t version = value_version;
    Value value;
};
template <class Codec>
void describe(Codec& field, Versioned& v) {
    field(v.version);
    field.require(v.version == value_version);
    field.as(wire::Form{value_version, true}, v.value);
}

} // namespace

std::string encode_transaction_key(const std::string& transactional_id) {
    return std::string(wire::encode(Key{key_version, transactional_id}).text());
}

Result<std::string> decode_transaction_key(Bytes key) {
    return TRY(wire::decode<Key>(std::move(key))).transactional_id;
}

std::string encode_transaction_value(const TransactionValue& value) {
    Value body{value.name,
               value.timeout_ms,
               value.phase,
               {},
               value.updated_ms,
               value.started_ms,
               {value.number, value.before, value.ending, {}}};
    body.topics.emplace();
    for (const auto& [partition, group] : value.partitions) {
        if (body.topics->empty() || body.topics->back().name != partition.first)
            body.topics->push_back({partition.first, {}});
        body.topics->back().partitions.push_back(partition.second);
        body.ours.groups.push_back(group.value);
    }
    return std::string(wire::encode(Versioned{value_version, std::move(body)}).text());
}

Result<TransactionValue> decode_transaction_value(Bytes bytes) {
    const Value body = TRY(wire::decode<Versioned>(std::move(bytes))).value;
    TransactionValue value{body.phase,       body.name,        body.ours.before,
                           body.ours.ending, body.ours.number, body.timeout_ms,
                           body.updated_ms,  body.started_ms,  {}};
    std::size_t next = 0;
    if (body.topics)
        for (const StoredTopic& topic : *body.topics)
            for (const std::int32_t partition : topic.partitions) {
                if (next == body.ours.groups.size()) return Error::malformed;
                value.partitions[{topic.name, partition}] = GroupId(body.ours.groups[next++]);
            }
    return value;
}

} // namespace pyralog::server
