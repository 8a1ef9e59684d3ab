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
    for (std::int32_t i = 0; i < command.partitions; ++i) {
        Topic::Partition partition{GroupId(next_group_++), {}};
        for (std::size_t r = 0; r < replicas; ++r) {
            const auto turn = static_cast<std::size_t>(partition.group.value) + r;
            partition.replicas.push_back(members_[turn % members_.size()]);
        }
        applied.placed.push_back({partition.group, partition.replicas, true, topic.settings});
        topic.partitions.push_back(std::move(partition));
    }
    applied.changes.put(key(topic_prefix, topic.name), wire::encode(topic).text());
    applied.changes.put(next_group_key, std::to_string(next_group_));
    topics_.emplace(command.name, std::move(topic));
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
        applied.placed.push_back({partition.group, partition.replicas, false});
    topics_.erase(found);
    applied.changes.remove(key(topic_prefix, command.name));
    return applied;
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
