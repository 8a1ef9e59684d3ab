// `pyralog group …`: what consumer groups there are, how far they have read, and where they are to
// go on.
#include "core/base/config.h"
#include "core/wire/kafka/delete_groups.h"
#include "core/wire/kafka/describe_groups.h"
#include "core/wire/kafka/list_groups.h"
#include "core/wire/kafka/list_offsets.h"
#include "core/wire/kafka/offset_commit.h"
#include "core/wire/kafka/offset_fetch.h"
#include "server/cli/consumer_protocol.h"
#include "server/cli/coordinator.h"
#include "server/cli/program.h"
#include "server/cli/table.h"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace pyralog::cli {

using namespace wire::kafka;

namespace {

constexpr Duration group_patience = 20s;

using Offsets = std::map<PartitionName, std::int64_t>;

class Groups {
public:
    explicit Groups(Client& client) : client_(client) {}

    const ClusterMap& map() const { return client_.map(); }

    Told<Json> list();
    Told<Json> describe(const std::string& group);
    std::optional<Trouble> remove(const std::string& group);
    Told<Offsets> committed(const std::string& group);
    std::optional<Trouble> commit(const std::string& group, const Offsets& offsets);
    Told<Offsets> ends(const std::vector<PartitionName>& wanted, std::int64_t time) {
        auto told = client_.ask_for_offsets(wanted, time);
        if (!told.ok()) return silence(client_, told.error());
        return std::move(told).value();
    }

private:
    Client& client_;
};

Told<Json> Groups::list() {
    constexpr std::int16_t version = 4;
    Json all = Json::array();
    for (const auto& [id, address] : map().brokers) {
        const auto told = client_.call(address, ListGroupsRequest(), version);
        if (!told.ok()) return silence(client_, told.error());
        for (const auto& group : told.value().groups)
            all.push_back({{"group", group.id},
                           {"state", group.state},
                           {"protocol_type", group.protocol_type},
                           {"coordinator", id}});
    }
    std::sort(all.begin(), all.end(),
              [](const Json& a, const Json& b) { return a["group"] < b["group"]; });
    return all;
}

// What a consumer of Kafka's own protocol was assigned; none of others.
Json partitions_of(const Bytes& assignment) {
    const auto read = read_said<Assignment>(assignment);
    Json partitions = Json::array();
    if (!read) return partitions;
    for (const auto& topic : read->topics)
        for (const std::int32_t partition : topic.partitions)
            partitions.push_back({{"topic", topic.name}, {"partition", partition}});
    return partitions;
}

Told<Json> Groups::describe(const std::string& group) {
    constexpr std::int16_t version = 4;
    Json told;
    if (auto trouble = with_coordinator(client_, group, [&](const Address& at, std::int32_t node) {
            const auto asked = client_.call(at, DescribeGroupsRequest{{group}, false}, version);
            if (!asked.ok()) return Result<ErrorCode>(asked.error());
            const auto& found = asked.value().groups.at(0);
            told = {{"group", group},
                    {"state", found.state},
                    {"protocol", found.protocol},
                    {"protocol_type", found.protocol_type},
                    {"coordinator", node},
                    {"members", Json::array()}};
            for (const auto& member : found.members)
                told["members"].push_back({{"member", member.id},
                                           {"instance", member.group_instance_id.value_or("")},
                                           {"client", member.client_id},
                                           {"host", member.client_host},
                                           {"partitions", partitions_of(member.assignment)}});
            return Result<ErrorCode>(found.error);
        }))
        return *trouble;
    return told;
}

std::optional<Trouble> Groups::remove(const std::string& group) {
    constexpr std::int16_t version = 1;
    return with_coordinator(client_, group, [&](const Address& at, std::int32_t) {
        const auto told = client_.call(at, DeleteGroupsRequest{{group}}, version);
        if (!told.ok()) return Result<ErrorCode>(told.error());
        return Result<ErrorCode>(told.value().groups.at(0).error);
    });
}

Told<Offsets> Groups::committed(const std::string& group) {
    constexpr std::int16_t version = 7;
    Offsets offsets;
    if (auto trouble = with_coordinator(client_, group, [&](const Address& at, std::int32_t) {
            OffsetFetchRequest request;
            request.group.id = group;
            const auto told = client_.call(at, request, version);
            if (!told.ok()) return Result<ErrorCode>(told.error());
            for (const auto& topic : told.value().group.topics)
                for (const auto& partition : topic.partitions)
                    offsets[{topic.name, partition.index}] = partition.offset;
            return Result<ErrorCode>(told.value().group.error);
        }))
        return *trouble;
    return offsets;
}

std::optional<Trouble> Groups::commit(const std::string& group, const Offsets& offsets) {
    constexpr std::int16_t version = 7;
    return with_coordinator(client_, group, [&](const Address& at, std::int32_t) {
        OffsetCommitRequest request;
        request.group_id = group;
        for (const auto& [name, offset] : offsets)
            request.topics.push_back({name.topic, {{name.partition, offset, -1, {}}}});
        const auto told = client_.call(at, request, version);
        if (!told.ok()) return Result<ErrorCode>(told.error());
        ErrorCode worst = ErrorCode::none;
        for (const auto& topic : told.value().topics)
            for (const auto& partition : topic.partitions)
                if (partition.error != ErrorCode::none) worst = partition.error;
        // Somebody who is in no group may not commit where there are members.
        if (worst == ErrorCode::unknown_member_id) worst = ErrorCode::non_empty_group;
        return Result<ErrorCode>(worst);
    });
}

// ---- What is printed ----

std::vector<PartitionName> names_of(const Offsets& offsets) {
    std::vector<PartitionName> names;
    for (const auto& [name, offset] : offsets) names.push_back(name);
    return names;
}

int list_groups(Groups& groups, const CommandLine& line) {
    const Told<Json> told = groups.list();
    if (const auto* trouble = std::get_if<Trouble>(&told)) return tell(*trouble);
    const Json& all = std::get<Json>(told);
    if (line.as_json)
        std::printf("%s\n", all.dump().c_str());
    else
        print_table(all, {"group", "state", "protocol_type", "coordinator"},
                    {"GROUP", "STATE", "PROTOCOL TYPE", "COORDINATOR"});
    return 0;
}

// With lags where the ends are known.
Told<Json> offsets_of(Groups& groups, const std::string& group) {
    const Told<Offsets> committed = groups.committed(group);
    if (const auto* trouble = std::get_if<Trouble>(&committed)) return *trouble;
    const auto& offsets = std::get<Offsets>(committed);
    const Told<Offsets> told = groups.ends(names_of(offsets), ListOffsetsRequest::latest);
    if (const auto* trouble = std::get_if<Trouble>(&told)) return *trouble;
    const auto& ends = std::get<Offsets>(told);
    Json rows = Json::array();
    for (const auto& [name, offset] : offsets) {
        Json row{{"topic", name.topic},
                 {"partition", name.partition},
                 {"committed", offset},
                 {"end", nullptr},
                 {"lag", nullptr}};
        if (const auto end = ends.find(name); end != ends.end()) {
            row["end"] = end->second;
            row["lag"] = std::max<std::int64_t>(end->second - offset, 0);
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

int describe_group(Groups& groups, const CommandLine& line) {
    const std::string& group = line.names.front();
    Told<Json> told = groups.describe(group);
    if (const auto* trouble = std::get_if<Trouble>(&told)) return tell(*trouble);
    Json& all = std::get<Json>(told);
    if (all["state"] == "Dead") return tell({group + ": there is no such group"});
    Told<Json> offsets = offsets_of(groups, group);
    if (const auto* trouble = std::get_if<Trouble>(&offsets)) return tell(*trouble);
    all["offsets"] = std::move(std::get<Json>(offsets));
    if (line.as_json) {
        std::printf("%s\n", all.dump().c_str());
        return 0;
    }
    std::printf("group %s: %s, protocol %s, coordinator %s\n\n", group.c_str(),
                text_of(all["state"]).c_str(), text_of(all["protocol"]).c_str(),
                text_of(all["coordinator"]).c_str());
    for (Json& member : all["members"]) {
        std::string text;
        for (const Json& one : member["partitions"])
            text += (text.empty() ? "" : " ") + one["topic"].get<std::string>() + ':' +
                    one["partition"].dump();
        member["partitions"] = text;
    }
    if (!all["members"].empty()) {
        print_table(all["members"], {"member", "instance", "client", "host", "partitions"},
                    {"MEMBER", "INSTANCE", "CLIENT", "HOST", "PARTITIONS"});
        std::printf("\n");
    }
    print_table(all["offsets"], {"topic", "partition", "committed", "end", "lag"},
                {"TOPIC", "PARTITION", "COMMITTED", "END", "LAG"});
    return 0;
}

int delete_groups(Groups& groups, const CommandLine& line) {
    Json deleted = Json::array();
    for (const std::string& group : line.names) {
        if (const auto trouble = groups.remove(group)) return tell(*trouble);
        deleted.push_back(group);
        if (!line.as_json) std::printf("deleted group %s\n", group.c_str());
    }
    if (line.as_json) std::printf("%s\n", Json{{"deleted", deleted}}.dump().c_str());
    return 0;
}

// The partitions that `--topic NAME` or `--topic NAME:PARTITION` means; none if there are none.
std::vector<PartitionName> partitions_meant(const ClusterMap& map, const std::string& text) {
    const std::size_t colon = text.rfind(':');
    const auto number =
        colon == std::string::npos ? std::nullopt : parse_integer(text.substr(colon + 1));
    const std::string topic = number ? text.substr(0, colon) : text;
    std::vector<PartitionName> meant;
    for (const auto& [name, partition] : map.partitions)
        if (name.topic == topic && (!number || *number == name.partition)) meant.push_back(name);
    return meant;
}

// Where to; nothing if `to` is neither a number nor a word that is known.
std::optional<Told<Offsets>> offsets_meant(Groups& groups, const std::string& to,
                                           const std::vector<PartitionName>& partitions) {
    if (to == "earliest") return groups.ends(partitions, ListOffsetsRequest::earliest);
    if (to == "latest") return groups.ends(partitions, ListOffsetsRequest::latest);
    const auto number = parse_integer(to);
    if (!number || *number < 0) return {};
    Offsets offsets;
    for (const PartitionName& name : partitions) offsets[name] = *number;
    return Told<Offsets>(std::move(offsets));
}

int reset_offsets(Groups& groups, const CommandLine& line) {
    const std::string& group = line.names.front();
    const std::vector<PartitionName> partitions = partitions_meant(groups.map(), line.topic);
    if (partitions.empty()) return tell({line.topic + ": there is no such topic or partition"});
    const auto told = offsets_meant(groups, line.to, partitions);
    if (!told) {
        complain("--to must be earliest, latest or an offset, not \"" + line.to + '"');
        return exit_mistake;
    }
    if (const auto* trouble = std::get_if<Trouble>(&*told)) return tell(*trouble);
    const Offsets& offsets = std::get<Offsets>(*told);
    if (offsets.size() < partitions.size())
        return tell({line.topic + ": not all of its partitions have a leader"});
    if (const auto trouble = groups.commit(group, offsets)) return tell(*trouble);
    Json rows = Json::array();
    for (const auto& [name, offset] : offsets)
        rows.push_back(
            {{"topic", name.topic}, {"partition", name.partition}, {"committed", offset}});
    if (line.as_json)
        std::printf("%s\n", Json{{"group", group}, {"offsets", rows}}.dump().c_str());
    else
        print_table(rows, {"topic", "partition", "committed"}, {"TOPIC", "PARTITION", "COMMITTED"});
    return 0;
}

} // namespace

int manage_groups(const CommandLine& line, const Program& program) {
    return with_client(line, program, group_patience, [&](Client& client) {
        if (const auto known = client.learn(); !known.ok())
            return tell(silence(client, known.error()));
        Groups groups(client);
        switch (line.command) {
        case CommandLine::Command::group_list: return list_groups(groups, line);
        case CommandLine::Command::group_describe: return describe_group(groups, line);
        case CommandLine::Command::group_delete: return delete_groups(groups, line);
        default: return reset_offsets(groups, line);
        }
    });
}

} // namespace pyralog::cli
