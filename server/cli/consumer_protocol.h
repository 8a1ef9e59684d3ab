// server/cli/consumer_protocol.h
//
// What the members of a consumer group tell each other when they join and are given their shares,
// which no broker looks into, and the oldest way to share: `range`, as Kafka's clients do it.
#pragma once

#include "core/wire/codec.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pyralog::cli {

// Later versions have more behind it.
struct Subscription {
    std::int16_t version = 0;
    std::vector<std::string> topics;
    std::optional<Bytes> user_data;
};
template <class Codec>
void describe(Codec& field, Subscription& s) {
    field(s.version, s.topics, s.user_data);
}

struct Assignment {
    struct Topic {
        std::string name;
        std::vector<std::int32_t> partitions;
        bool operator==(const Topic&) const = default;
    };
    std::int16_t version = 0;
    std::vector<Topic> topics;
    std::optional<Bytes> user_data;
};
template <class Codec>
void describe(Codec& field, Assignment::Topic& t) {
    field(t.name, t.partitions);
}
template <class Codec>
void describe(Codec& field, Assignment& a) {
    field(a.version, a.topics, a.user_data);
}

// Nothing if that is none; what stands behind it is not looked at.
template <class Said>
std::optional<Said> read_said(const Bytes& bytes) {
    wire::Reader reader(bytes);
    Said said;
    reader(said);
    if (!reader.ok()) return {};
    return said;
}

// To each member its share, by its id: of each topic a run of partitions, and as many as the others
// have, or one more. `partitions` says how many a topic has; of others nobody gets any.
std::map<std::string, Assignment>
assign_range(const std::map<std::string, Subscription>& members,
             const std::map<std::string, std::int32_t>& partitions);

} // namespace pyralog::cli
