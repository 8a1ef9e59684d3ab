#include "server/catalogue.h"

#include "core/base/config.h"
#include "core/base/probe.h"

#include <algorithm>
#include <utility>

namespace pyralog::server {

namespace {

// The upper bound of topic.partitions_max: a command from another node is held to it as well.
constexpr std::int32_t partitions_max = 10'000;

constexpr std::string_view topic_prefix = "catalogue/topic/";
constexpr std::string_view node_prefix = "catalogue/node/";
constexpr std::string_view next_group_key = "catalogue/next_group";
constexpr std::string_view producer_ids_prefix = "catalogue/producer_ids/";
// And the name of a client behind a '/', or nothing.
constexpr std::string_view quota_prefix = "catalogue/quota";

std::string key(std::string_view prefix, std::string_view name) {
    return std::string(prefix) + std::string(name);
}

struct Encoded {
    std::uint8_t which = 0;
    Command command;
};

template <class Codec, std::size_t... Is>
void describe_command(Codec& field, Encoded& e, std::index_sequence<Is...>) {
    field(e.which);
    if constexpr (Codec::reads) {
        field.require(e.which < sizeof...(Is));
        ((e.which == Is ? (void)e.command.template emplace<Is>() : (void)0), ...);
    }
    std::visit([&](auto& command) { field(command); }, e.command);
}

template <class Codec>
void describe(Codec& field, Encoded& e) {
    describe_command(field, e, std::make_index_sequence<std::variant_size_v<Command>>());
}

} // namespace

template <class Codec>
void describe(Codec& field, RegisterNode& c) {
    field(c.node, c.host, c.port);
}
template <class Codec>
void describe(Codec& field, CreateTopic& c) {
    field(c.name, c.id, c.partitions, c.replication_factor, c.settings);
}
template <class Codec>
void describe(Codec& field, DeleteTopic& c) {
    field(c.name);
}

template <class Codec>
void describe(Codec& field, TakeProducerIds& c) {
    field(c.node, c.request);
}

template <class Codec>
void describe(Codec& field, AlterTopic& c) {
    field(c.name, c.replaces, c.edits);
}
template <class Codec>
void describe(Codec& field, AddPartitions& c) {
    field(c.name, c.from, c.to);
}

template <class Codec>
void describe(Codec& field, AlterQuota::Edit& e) {
    field(e.kind, e.rate);
    field.require(static_cast<std::size_t>(e.kind) < quota_kinds);
}
template <class Codec>
void describe(Codec& field, AlterQuota& c) {
    field(c.client, c.edits);
}

Bytes encode_command(const Command& command) {
    return wire::encode(Encoded{static_cast<std::uint8_t>(command.index()), command});
}

Result<Command> decode_command(Bytes bytes) {
    return TRY(wire::decode<Encoded>(std::move(bytes))).command;
}

Catalogue::Applied Catalogue::apply(const Command& command) {
    return std::visit([this](const auto& c) { return on(c); }, command);
}

Catalogue::Applied Catalogue::on(const RegisterNode& command) {
    Applied applied;
    SOMETIMES(nodes_.contains(command.node), "catalogue/node-registered-again");
    nodes_[command.node] = Address{command.host, command.port};
    applied.changes.put(key(node_prefix, std::to_string(command.node.value)),
                        to_string(nodes_[command.node]));
    return applied;
}

// Replicas go round among the members, so that each has its share of them and of first places.
Catalogue::Applied Catalogue::on(const CreateTopic& command) {
    Applied applied;
    if (topics_.contains(command.name)) {
        applied.outcome = Outcome::exists;
        return applied;
    }
    const auto replicas = static_cast<std::size_t>(command.replication_factor);
    if (command.partitions < 1 || command.partitions > partitions_max ||
        command.replication_factor < 1 || replicas > members_.size()) {
        applied.outcome = Outcome::no_such_placement;
        return applied;
    }
    Topic topic{command.name, command.id, {}, command.settings};
    add_partitions(topic, static_cast<std::size_t>(command.partitions), replicas, applied);
    topics_.emplace(command.name, std::move(topic));
    return applied;
}

void Catalogue::add_partitions(Topic& topic, std::size_t count, std::size_t replicas,
                               Applied& applied) {
    for (std::size_t i = 0; i < count; ++i) {
        Topic::Partition partition{GroupId(next_group_++), {}};
        for (std::size_t r = 0; r < replicas; ++r) {
            const auto turn = static_cast<std::size_t>(partition.group.value) + r;
            partition.replicas.push_back(members_[turn % members_.size()]);
        }
        applied.placed.push_back(
            {partition.group, partition.replicas, Placed::Change::made, topic.settings});
        topic.partitions.push_back(std::move(partition));
    }
    applied.changes.put(key(topic_prefix, topic.name), wire::encode(topic).text());
    applied.changes.put(next_group_key, std::to_string(next_group_));
}

// All of it or nothing. Whoever proposes it has looked already if it can be.
Catalogue::Applied Catalogue::on(const AlterTopic& command) {
    Applied applied;
    const auto found = topics_.find(command.name);
    if (found == topics_.end()) {
        applied.outcome = Outcome::not_found;
        return applied;
    }
    Topic& topic = found->second;
    TopicSettings settings = command.replaces ? TopicSettings() : topic.settings;
    for (const SettingEdit& edit : command.edits)
        if (!settings.change(edit).empty()) applied.outcome = Outcome::not_settable;
    if (applied.outcome != Outcome::done || settings == topic.settings) return applied;
    topic.settings = settings;
    for (const Topic::Partition& partition : topic.partitions)
        applied.placed.push_back(
            {partition.group, partition.replicas, Placed::Change::settings, settings});
    applied.changes.put(key(topic_prefix, topic.name), wire::encode(topic).text());
    return applied;
}

// Done before, or by somebody else, is done too.
Catalogue::Applied Catalogue::on(const AddPartitions& command) {
    Applied applied;
    const auto found = topics_.find(command.name);
    if (found == topics_.end()) {
        applied.outcome = Outcome::not_found;
        return applied;
    }
    Topic& topic = found->second;
    const auto now = static_cast<std::int32_t>(topic.partitions.size());
    if (now == command.to) return applied;
    if (command.to > partitions_max || command.to < command.from)
        applied.outcome = Outcome::no_such_placement;
    else if (now != command.from)
        applied.outcome = Outcome::exists;
    else
        add_partitions(topic, static_cast<std::size_t>(command.to - command.from),
                       topic.partitions.front().replicas.size(), applied);
    return applied;
}

Catalogue::Applied Catalogue::on(const DeleteTopic& command) {
    Applied applied;
    const auto found = topics_.find(command.name);
    if (found == topics_.end()) {
        applied.outcome = Outcome::not_found;
        return applied;
    }
    for (const Topic::Partition& partition : found->second.partitions)
        applied.placed.push_back({partition.group, partition.replicas, Placed::Change::removed});
    topics_.erase(found);
    applied.changes.remove(key(topic_prefix, command.name));
    return applied;
}

// All of it or nothing.
Catalogue::Applied Catalogue::on(const AlterQuota& command) {
    Applied applied;
    const auto found = quotas_.find(command.client);
    Quota quota = found == quotas_.end() ? Quota() : found->second;
    for (const AlterQuota::Edit& edit : command.edits) {
        quota.rates.at(static_cast<std::size_t>(edit.kind)) = edit.rate;
        if (edit.rate && *edit.rate < 1) applied.outcome = Outcome::not_settable;
    }
    const bool is_too_long = command.client && command.client->size() > quota_name_bytes_max;
    const bool is_too_many = found == quotas_.end() && quotas_.size() >= quotas_max;
    if (is_too_long || is_too_many) applied.outcome = Outcome::not_settable;
    if (applied.outcome != Outcome::done) return applied;
    const std::string where =
        key(quota_prefix, command.client ? '/' + *command.client : std::string());
    if (quota == Quota()) {
        quotas_.erase(command.client);
        applied.changes.remove(where);
    } else {
        quotas_[command.client] = quota;
        applied.changes.put(where, wire::encode(quota).text());
    }
    return applied;
}

std::optional<std::int64_t> Catalogue::quota(QuotaKind kind, const std::string& client) const {
    if (quotas_.empty()) return {};
    const auto which = static_cast<std::size_t>(kind);
    const auto own = quotas_.find(client);
    if (own != quotas_.end() && own->second.rates.at(which)) return own->second.rates.at(which);
    const auto any = quotas_.find(std::nullopt);
    return any == quotas_.end() ? std::nullopt : any->second.rates.at(which);
}

Result<> Catalogue::restore_quota(std::string_view name, std::string_view value) {
    const auto quota = wire::decode<Quota>(Bytes::copy_of(value));
    if (!quota.ok() || (!name.empty() && !name.starts_with('/'))) return Error::corrupt;
    const QuotaOwner owner = name.empty() ? QuotaOwner() : QuotaOwner(name.substr(1));
    quotas_[owner] = quota.value();
    return {};
}

// Where the next block begins follows from those that were given out: a node has one of its own,
// and keeps the last.
Catalogue::Applied Catalogue::on(const TakeProducerIds& command) {
    Applied applied;
    if (std::ranges::find(members_, command.node) == members_.end()) {
        applied.outcome = Outcome::not_found;
        return applied;
    }
    const auto last = producer_ids_.find(command.node);
    const bool is_again = last != producer_ids_.end() && last->second.request == command.request;
    SOMETIMES(is_again, "catalogue/producer-ids-taken-again");
    if (is_again) return applied;
    ProducerIdBlock& block = producer_ids_[command.node];
    block = {command.request, next_producer_id_};
    next_producer_id_ += producer_ids_in_block;
    applied.changes.put(key(producer_ids_prefix, std::to_string(command.node.value)),
                        wire::encode(block).text());
    return applied;
}

const Catalogue::ProducerIdBlock* Catalogue::producer_ids(NodeId node) const {
    const auto found = producer_ids_.find(node);
    return found == producer_ids_.end() ? nullptr : &found->second;
}

Result<> Catalogue::restore(std::string_view key, std::string_view value) {
    if (key.starts_with(topic_prefix)) {
        Result<Topic> read = wire::decode<Topic>(Bytes::copy_of(value));
        if (!read.ok()) return Error::corrupt;
        Topic topic = std::move(read).value();
        if (topic.name != key.substr(topic_prefix.size())) return Error::corrupt;
        std::string name = topic.name;
        REACHABLE("catalogue/topic-restored");
        topics_.insert_or_assign(std::move(name), std::move(topic));
    } else if (key.starts_with(node_prefix)) {
        const auto id = parse_integer(key.substr(node_prefix.size()));
        const auto address = parse_address(value);
        if (!id || !std::in_range<std::int32_t>(*id) || !address) return Error::corrupt;
        nodes_[NodeId(static_cast<std::int32_t>(*id))] = *address;
    } else if (key.starts_with(producer_ids_prefix)) {
        const auto id = parse_integer(key.substr(producer_ids_prefix.size()));
        const auto block = wire::decode<ProducerIdBlock>(Bytes::copy_of(value));
        if (!id || !std::in_range<std::int32_t>(*id) || !block.ok()) return Error::corrupt;
        producer_ids_[NodeId(static_cast<std::int32_t>(*id))] = block.value();
        next_producer_id_ =
            std::max(next_producer_id_, block.value().first + producer_ids_in_block);
    } else if (key.starts_with(quota_prefix)) {
        return restore_quota(key.substr(quota_prefix.size()), value);
    } else if (key == next_group_key) {
        const auto next = parse_integer(value);
        if (!next || *next < 1) return Error::corrupt;
        next_group_ = *next;
    } else {
        return Error::corrupt;
    }
    return {};
}

const Topic* Catalogue::find(std::string_view name) const {
    const auto found = topics_.find(name);
    return found == topics_.end() ? nullptr : &found->second;
}

const Topic* Catalogue::find(const Uuid& id) const {
    for (const auto& [name, topic] : topics_)
        if (topic.id == id) return &topic;
    return nullptr;
}

const Topic::Partition* Catalogue::find(std::string_view name, std::int32_t partition) const {
    const Topic* topic = find(name);
    if (!topic || partition < 0 || static_cast<std::size_t>(partition) >= topic->partitions.size())
        return nullptr;
    return &topic->partitions[static_cast<std::size_t>(partition)];
}

// Version 4 of RFC 4122: 122 random bits.
Uuid draw_uuid(Random& random) {
    Uuid id;
    for (std::uint8_t& byte : id.bytes) byte = static_cast<std::uint8_t>(random.below(256));
    id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x40);
    id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

bool is_topic_name(std::string_view name) {
    constexpr std::size_t size_max = 249;
    if (name.empty() || name.size() > size_max || name == "." || name == "..") return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    });
}

} // namespace pyralog::server
