#include "core/wire/kafka/offsets_topic.h"

namespace pyralog::wire::kafka {

namespace {

constexpr std::int16_t offset_key_version = 1;
constexpr std::int16_t group_key_version = 2;
constexpr std::int16_t value_version = 3;

// What has its version before it.
template <class T>
struct Versioned {
    std::int16_t version = 0;
    T body;
};

template <class Codec, class T>
void describe(Codec& field, Versioned<T>& v) {
    field(v.version);
    field.require(v.version >= 0 && v.version <= value_version);
    field.as(Form{v.version, false}, v.body);
}

template <class T>
std::string encoded(std::int16_t version, const T& body) {
    return std::string(encode(Versioned<T>{version, body}).text());
}

template <class T>
Result<T> decoded_value(Bytes value) {
    return TRY(decode<Versioned<T>>(std::move(value))).body;
}

struct KeysPrefix {
    std::int16_t version = offset_key_version;
    std::string group;
};
template <class Codec>
void describe(Codec& field, KeysPrefix& p) {
    field(p.version, p.group);
}

} // namespace

Result<OffsetsTopicKey> decode_offsets_topic_key(Bytes key) {
    Reader reader(key);
    std::int16_t version = -1;
    reader(version);
    if (!reader.ok()) return Error::malformed;
    switch (version) {
    case 0:
    case offset_key_version: return OffsetsTopicKey(TRY(decode<OffsetKey>(reader.rest())));
    case group_key_version: return OffsetsTopicKey(TRY(decode<GroupKey>(reader.rest())));
    default: return Error::malformed;
    }
}

Result<OffsetValue> decode_offset_value(Bytes value) {
    return decoded_value<OffsetValue>(std::move(value));
}
Result<GroupValue> decode_group_value(Bytes value) {
    return decoded_value<GroupValue>(std::move(value));
}

std::string encode_key(const OffsetKey& key) { return encoded(offset_key_version, key); }
std::string encode_key(const GroupKey& key) { return encoded(group_key_version, key); }
std::string encode_value(const OffsetValue& value) { return encoded(value_version, value); }
std::string encode_value(const GroupValue& value) { return encoded(value_version, value); }

std::string offset_keys_prefix(const std::string& group) {
    return std::string(encode(KeysPrefix{offset_key_version, group}).text());
}

std::optional<std::vector<std::string>> subscribed_topics(const Bytes& metadata) {
    Reader reader(metadata);
    std::int16_t version = -1;
    std::vector<std::string> topics;
    reader(version, topics);
    if (!reader.ok() || version < 0) return {};
    return topics;
}

} // namespace pyralog::wire::kafka
