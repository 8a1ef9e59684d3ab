// server/catalogue.h
//
// Which topics there are, where their partitions lie, and where the nodes can be reached: a state
// machine that every node runs over the same commands, those of the controller's log, and so comes
// to the same state. Pure. What a command does depends on the state and on the command alone.
#pragma once

#include "core/base/random.h"
#include "core/base/types.h"
#include "core/env/kv_store.h"
#include "core/env/network.h"
#include "core/wire/codec.h"
#include "server/topic_settings.h"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pyralog::server {

using wire::Uuid;

// The controller's own group. Those of partitions follow it.
constexpr GroupId controller_group{0};

struct Topic {
    struct Partition {
        GroupId group;
        std::vector<NodeId> replicas; // The first one stands for election first.
        bool operator==(const Partition&) const = default;
    };
    std::string name;
    Uuid id;
    std::vector<Partition> partitions;
    TopicSettings settings;
    bool operator==(const Topic&) const = default;
};

template <class Codec>
void describe(Codec& field, Topic::Partition& p) {
    field(p.group, p.replicas);
}
template <class Codec>
void describe(Codec& field, Topic& t) {
    field(t.name, t.id, t.partitions, t.settings);
}

// ---- Commands ----

struct RegisterNode {
    NodeId node;
    std::string host; // Where clients reach it.
    std::uint16_t port = 0;
};
struct CreateTopic {
    std::string name;
    Uuid id; // Drawn by whoever proposes it.
    std::int32_t partitions = 0;
    std::int32_t replication_factor = 0;
    TopicSettings settings = {};
};
struct DeleteTopic {
    std::string name;
};
struct AlterTopic {
    std::string name;
    bool replaces = false; // What was set before, and is not named here, is set no longer.
    std::vector<SettingEdit> edits;
};
struct AddPartitions {
    std::string name;
    std::int32_t from = 0; // If there are so many,
    std::int32_t to = 0;   // there are to be so many.
};
struct TakeProducerIds {
    NodeId node;  // That will hand them out.
    Uuid request; // Drawn by whoever proposes it: he may do so again.
};
enum class QuotaKind : std::uint8_t { producer_byte_rate, consumer_byte_rate };
constexpr std::size_t quota_kinds = 2;
struct AlterQuota {
    struct Edit {
        QuotaKind kind{};
        std::optional<std::int64_t> rate; // In bytes per second. None: there is to be no limit.
    };
    std::optional<std::string> client; // By the name that it gives itself. None: any other.
    std::vector<Edit> edits;
};
using Command = std::variant<RegisterNode, CreateTopic, DeleteTopic, TakeProducerIds, AlterTopic,
                             AddPartitions, AlterQuota>;

Bytes encode_command(const Command& command);
Result<Command> decode_command(Bytes bytes);

// Says of a command that has been applied what became of it.
enum class Outcome : std::uint8_t { done, exists, not_found, no_such_placement, not_settable };

// What a change asks of the nodes.
struct Placed {
    enum class Change : std::uint8_t { made, removed, settings };
    GroupId group;
    std::vector<NodeId> replicas;
    Change change{};
    TopicSettings settings = {};
};

class Catalogue {
public:
    // `members` are the nodes on which replicas can be placed.
    explicit Catalogue(std::vector<NodeId> members) : members_(std::move(members)) {}

    struct Applied {
        Outcome outcome = Outcome::done;
        std::vector<Placed> placed;
        KvStore::Batch changes; // What of the stored form this changes.
    };
    Applied apply(const Command& command);

    // Takes in one entry of the stored form. Error::corrupt if it is none of ours.
    Result<> restore(std::string_view key, std::string_view value);
    // What the keys of the stored form begin with.
    static constexpr std::string_view prefix = "catalogue/";

    const std::map<std::string, Topic, std::less<>>& topics() const { return topics_; }
    const std::map<NodeId, Address>& nodes() const { return nodes_; }
    GroupId next_group() const { return GroupId(next_group_); } // That will be given out.
    // The last block of ids that this node took; null if it never did.
    static constexpr std::int64_t producer_ids_in_block = 1000;
    struct ProducerIdBlock {
        Uuid request;
        std::int64_t first = 0;
        bool operator==(const ProducerIdBlock&) const = default;
    };
    const ProducerIdBlock* producer_ids(NodeId node) const;
    // How fast clients may be; of whom there is no limit nothing is known.
    static constexpr std::size_t quotas_max = 10'000;
    static constexpr std::size_t quota_name_bytes_max = 255;
    struct Quota {
        std::array<std::optional<std::int64_t>, quota_kinds> rates;
        bool operator==(const Quota&) const = default;
    };
    using QuotaOwner = std::optional<std::string>;
    const std::map<QuotaOwner, Quota>& quotas() const { return quotas_; }
    std::optional<std::int64_t> quota(QuotaKind kind, const std::string& client) const;

    const Topic* find(std::string_view name) const;
    const Topic* find(const Uuid& id) const;
    const Topic::Partition* find(std::string_view name, std::int32_t partition) const;

private:
    Applied on(const RegisterNode& command);
    Applied on(const CreateTopic& command);
    Applied on(const DeleteTopic& command);
    Applied on(const TakeProducerIds& command);
    Applied on(const AlterTopic& command);
    Applied on(const AddPartitions& command);
    Applied on(const AlterQuota& command);
    Result<> restore_quota(std::string_view name, std::string_view value);
    void add_partitions(Topic& topic, std::size_t count, std::size_t replicas, Applied& applied);

    std::vector<NodeId> members_;
    std::map<std::string, Topic, std::less<>> topics_;
    std::map<NodeId, Address> nodes_;
    std::int64_t next_group_ = 1;
    std::int64_t next_producer_id_ = 0;
    std::map<NodeId, ProducerIdBlock> producer_ids_;
    std::map<QuotaOwner, Quota> quotas_;
};

template <class Codec>
void describe(Codec& field, Catalogue::ProducerIdBlock& b) {
    field(b.request, b.first);
    if constexpr (Codec::reads) field.require(b.first >= 0 && b.first <= INT64_MAX / 2);
}

template <class Codec>
void describe(Codec& field, Catalogue::Quota& q) {
    for (auto& rate : q.rates) {
        field(rate);
        field.require(!rate || *rate > 0);
    }
}

// A topic's id: random, and never zero.
Uuid draw_uuid(Random& random);

// Kafka's rule: 1 to 249 of [a-zA-Z0-9._-], and neither "." nor "..".
bool is_topic_name(std::string_view name);

} // namespace pyralog::server
