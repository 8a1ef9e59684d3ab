// `pyralog topic …` and `pyralog cluster status`: what topics there are, and how their partitions
// are.
#include "core/base/config.h"
#include "core/wire/kafka/alter_configs.h"
#include "core/wire/kafka/create_partitions.h"
#include "core/wire/kafka/create_topics.h"
#include "core/wire/kafka/delete_topics.h"
#include "core/wire/kafka/list_offsets.h"
#include "server/cli/kafka.h"
#include "server/cli/program.h"
#include "server/cli/table.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <set>

namespace pyralog::cli {

using namespace wire::kafka;

namespace {

constexpr Duration topic_patience = 60s;
constexpr Duration topic_pause = 100ms;
constexpr std::int32_t topic_patience_ms = 15'000;
constexpr std::int16_t create_version = 5;
constexpr std::int16_t delete_version = 5;
constexpr std::int16_t describe_configs_version = 1;
constexpr std::int16_t alter_configs_version = 1;
constexpr std::int16_t create_partitions_version = 3;
constexpr std::int64_t partitions_max = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t replicas_max = std::numeric_limits<std::int16_t>::max();

Trouble no_such_topic(const std::string& name) {
    return {name + ": there is no such topic: `pyralog topic list` names those there are"};
}

// The topics that were named, or all; none is missing.
std::optional<Trouble> learn(Client& client, const std::vector<std::string>& names) {
    const auto known = client.learn(names.empty() ? nullptr : &names);
    if (!known.ok()) return silence(client, known.error());
    for (const auto& [name, topic] : client.map().topics) {
        if (topic.error == ErrorCode::unknown_topic_or_partition) return no_such_topic(name);
        if (topic.error == ErrorCode::invalid_topic) return refusal(name, topic.error);
    }
    return {};
}

Json leader_of(const ClusterMap::Partition& partition) {
    return partition.leader < 0 ? Json() : Json(partition.leader);
}

std::string numbers(const Json& list) {
    std::string text;
    for (const Json& number : list) text += (text.empty() ? "" : ",") + number.dump();
    return text;
}

// ---- list ----

int list_topics(Client& client, const CommandLine& line) {
    if (const auto trouble = learn(client, {})) return tell(*trouble);
    const ClusterMap& map = client.map();
    Json all = Json::array();
    for (const auto& [name, topic] : map.topics) {
        std::size_t replicas = 0;
        int without_leader = 0;
        for (std::int32_t i = 0; i < topic.partitions; ++i) {
            const auto partition = map.partitions.find({name, i});
            if (partition == map.partitions.end()) continue;
            replicas = std::max(replicas, partition->second.replicas.size());
            if (partition->second.leader < 0) ++without_leader;
        }
        all.push_back({{"topic", name},
                       {"partitions", topic.partitions},
                       {"replicas", replicas},
                       {"without_leader", without_leader},
                       {"internal", topic.is_internal}});
    }
    if (line.as_json)
        std::printf("%s\n", all.dump().c_str());
    else
        print_table(all, {"topic", "partitions", "replicas", "without_leader"},
                    {"TOPIC", "PARTITIONS", "REPLICAS", "WITHOUT LEADER"});
    return 0;
}

// ---- describe ----

// What was set of each topic, by its name.
Told<std::map<std::string, Json>> settings_of_topics(Client& client) {
    std::map<std::string, Json> all;
    DescribeConfigsRequest request;
    for (const auto& [name, topic] : client.map().topics) {
        request.resources.push_back({ConfigResource::topic, name, {}});
        all[name] = Json::object();
    }
    const auto told = client.call_any(request, describe_configs_version);
    if (!told.ok()) return silence(client, told.error());
    for (const auto& result : told.value().results)
        for (const auto& config : result.configs)
            if (config.source == ConfigSource::topic)
                all[result.name][config.name] = config.value.value_or("");
    return all;
}

void print_topics(Json& all) {
    const char* between = "";
    for (Json& topic : all) {
        for (Json& row : topic["partitions"])
            for (const char* list : {"replicas", "in_sync"}) row[list] = numbers(row[list]);
        std::string settings;
        for (const auto& [name, value] : topic["configs"].items())
            settings += "  " + name + '=' + text_of(value);
        std::printf("%stopic %s%s%s\n", between, topic["topic"].get<std::string>().c_str(),
                    topic["internal"] == true ? " (internal)" : "", settings.c_str());
        print_table(topic["partitions"],
                    {"partition", "leader", "term", "replicas", "in_sync", "start", "end"},
                    {"PARTITION", "LEADER", "TERM", "REPLICAS", "IN SYNC", "START", "END"});
        between = "\n";
    }
}

int describe_topics(Client& client, const CommandLine& line) {
    if (const auto trouble = learn(client, line.names)) return tell(*trouble);
    std::vector<PartitionName> names;
    for (const auto& [name, partition] : client.map().partitions) names.push_back(name);
    const auto starts = client.ask_for_offsets(names, ListOffsetsRequest::earliest);
    if (!starts.ok()) return tell(silence(client, starts.error()));
    const auto ends = client.ask_for_offsets(names, ListOffsetsRequest::latest);
    if (!ends.ok()) return tell(silence(client, ends.error()));
    const auto settings = settings_of_topics(client);
    if (const auto* trouble = std::get_if<Trouble>(&settings)) return tell(*trouble);
    Json all = Json::array();
    for (const auto& [name, topic] : client.map().topics)
        all.push_back({{"topic", name},
                       {"internal", topic.is_internal},
                       {"configs", std::get<0>(settings).at(name)},
                       {"partitions", Json::array()}});
    for (const auto& [name, partition] : client.map().partitions) {
        const auto start = starts.value().find(name), end = ends.value().find(name);
        const bool is_known = start != starts.value().end() && end != ends.value().end();
        Json row{{"partition", name.partition},
                 {"leader", leader_of(partition)},
                 {"term", partition.term},
                 {"replicas", partition.replicas},
                 {"in_sync", partition.in_sync},
                 {"start", is_known ? Json(start->second) : Json()},
                 {"end", is_known ? Json(end->second) : Json()}};
        for (Json& topic : all)
            if (topic["topic"] == name.topic) topic["partitions"].push_back(row);
    }
    if (line.as_json)
        std::printf("%s\n", all.dump().c_str());
    else
        print_topics(all);
    return 0;
}

// ---- create ----

// `--topic-config` as it stands; nothing and a complaint if that is no assignment.
std::optional<std::vector<CreateTopicsRequest::Config>> configs_of(const CommandLine& line) {
    std::vector<CreateTopicsRequest::Config> configs;
    for (const std::string& text : line.topic_configs) {
        const auto equals = text.find('=');
        if (equals == std::string::npos || equals == 0) {
            complain("--topic-config \"" + text + "\" must look like NAME=VALUE");
            return {};
        }
        configs.push_back({text.substr(0, equals), text.substr(equals + 1)});
    }
    return configs;
}

std::optional<CreateTopicsRequest> creation_of(const CommandLine& line) {
    const auto configs = configs_of(line);
    if (!configs) return {};
    const std::int64_t partitions = line.partitions.value_or(-1);
    const std::int64_t replicas = line.replicas.value_or(-1);
    const auto is_sound = [](const std::optional<std::int64_t>& number, std::int64_t max) {
        return !number || (*number > 0 && *number <= max);
    };
    if (!is_sound(line.partitions, partitions_max) || !is_sound(line.replicas, replicas_max)) {
        complain("--partitions and --replicas must be 1 or more");
        return {};
    }
    CreateTopicsRequest request;
    request.timeout_ms = topic_patience_ms;
    for (const std::string& name : line.names)
        request.topics.push_back({name,
                                  static_cast<std::int32_t>(partitions),
                                  static_cast<std::int16_t>(replicas),
                                  {},
                                  *configs});
    return request;
}

// Until clients can use all of these topics.
std::optional<Trouble> wait_for_leaders(Client& client, const std::vector<std::string>& names) {
    for (;;) {
        const auto known = client.learn(&names);
        if (!known.ok()) return silence(client, known.error());
        const bool all_led =
            std::ranges::all_of(client.map().topics,
                                [](const auto& t) { return t.second.error == ErrorCode::none; }) &&
            std::ranges::all_of(client.map().partitions,
                                [](const auto& p) { return p.second.leader >= 0; });
        if (all_led) return {};
        Environment& env = client.env();
        if (!env.fibers.sleep_until(env.clock.now() + topic_pause).ok())
            return Trouble{"the topics are made, but not all partitions have a leader yet: see "
                           "`pyralog cluster status`"};
    }
}

int create_topics(Client& client, const CommandLine& line) {
    const auto request = creation_of(line);
    if (!request) return exit_mistake;
    const auto told = client.call_any(*request, create_version);
    if (!told.ok()) return tell(silence(client, told.error()));
    int code = 0;
    std::vector<std::string> created;
    for (const auto& topic : told.value().topics) {
        if (topic.error == ErrorCode::none)
            created.push_back(topic.name);
        else
            code = tell(refusal(topic.name, topic.error, topic.error_message));
    }
    if (!created.empty())
        if (const auto trouble = wait_for_leaders(client, created)) code = tell(*trouble);
    if (line.as_json) {
        std::printf("%s\n", Json{{"created", created}}.dump().c_str());
    } else {
        for (const std::string& name : created)
            std::printf("created topic %s, partitions %d\n", name.c_str(),
                        client.map().topics.at(name).partitions);
    }
    return code;
}

// ---- alter ----

// Of topics that are to be altered: those that still may be, and the code so far.
struct Altered {
    std::vector<std::string> names;
    int code = 0;

    template <class Results>
    void take(const Results& results) {
        names.clear();
        for (const auto& topic : results) {
            if (topic.error == ErrorCode::unknown_topic_or_partition)
                code = tell(no_such_topic(topic.name));
            else if (topic.error != ErrorCode::none)
                code = tell(refusal(topic.name, topic.error, topic.error_message));
            else
                names.push_back(topic.name);
        }
    }
};

std::optional<Trouble>
change_settings(Client& client, const std::vector<IncrementalAlterConfigsRequest::Config>& changes,
                Altered& altered) {
    IncrementalAlterConfigsRequest request;
    for (const std::string& name : altered.names)
        request.resources.push_back({ConfigResource::topic, name, changes});
    const auto told = client.call_any(request, alter_configs_version);
    if (!told.ok()) return silence(client, told.error());
    altered.take(told.value().results);
    return {};
}

std::optional<Trouble> add_partitions(Client& client, std::int64_t count, Altered& altered) {
    CreatePartitionsRequest request;
    request.timeout_ms = topic_patience_ms;
    for (const std::string& name : altered.names)
        request.topics.push_back({name, static_cast<std::int32_t>(count), {}});
    const auto told = client.call_any(request, create_partitions_version);
    if (!told.ok()) return silence(client, told.error());
    altered.take(told.value().topics);
    return altered.names.empty() ? std::nullopt : wait_for_leaders(client, altered.names);
}

int alter_topics(Client& client, const CommandLine& line) {
    const auto configs = configs_of(line);
    if (!configs) return exit_mistake;
    if (configs->empty() && line.resets.empty() && !line.partitions) {
        complain("say what to change, with --topic-config NAME=VALUE, --reset NAME or "
                 "--partitions N");
        return exit_mistake;
    }
    if (line.partitions && (*line.partitions < 1 || *line.partitions > partitions_max)) {
        complain("--partitions must be 1 or more");
        return exit_mistake;
    }
    std::vector<IncrementalAlterConfigsRequest::Config> changes;
    for (const auto& config : *configs)
        changes.push_back({config.name, ConfigOperation::set, config.value});
    for (const std::string& name : line.resets)
        changes.push_back({name, ConfigOperation::unset, {}});
    Altered altered{line.names};
    if (!changes.empty())
        if (const auto trouble = change_settings(client, changes, altered)) return tell(*trouble);
    if (line.partitions && !altered.names.empty())
        if (const auto trouble = add_partitions(client, *line.partitions, altered))
            return tell(*trouble);
    if (line.as_json) {
        std::printf("%s\n", Json{{"altered", altered.names}}.dump().c_str());
    } else {
        for (const std::string& name : altered.names)
            std::printf("altered topic %s\n", name.c_str());
    }
    return altered.code;
}

// ---- delete ----

int delete_topics(Client& client, const CommandLine& line) {
    DeleteTopicsRequest request;
    request.timeout_ms = topic_patience_ms;
    request.topic_names = line.names;
    const auto told = client.call_any(request, delete_version);
    if (!told.ok()) return tell(silence(client, told.error()));
    int code = 0;
    Json deleted = Json::array();
    for (const auto& topic : told.value().topics) {
        const std::string name = topic.name.value_or("");
        if (topic.error == ErrorCode::unknown_topic_or_partition)
            code = tell(no_such_topic(name));
        else if (topic.error != ErrorCode::none)
            code = tell(refusal(name, topic.error, topic.error_message));
        else
            deleted.push_back(name);
    }
    if (line.as_json) {
        std::printf("%s\n", Json{{"deleted", deleted}}.dump().c_str());
    } else {
        for (const Json& name : deleted)
            std::printf("deleted topic %s\n", name.get<std::string>().c_str());
    }
    return code;
}

// ---- cluster status ----

Json brokers_of(const ClusterMap& map) {
    std::map<std::int32_t, std::pair<int, int>> counts; // Replicas, and those of them that lead.
    for (const auto& [name, partition] : map.partitions) {
        for (const std::int32_t replica : partition.replicas) ++counts[replica].first;
        if (partition.leader >= 0) ++counts[partition.leader].second;
    }
    std::set<std::int32_t> ids;
    for (const auto& [id, address] : map.brokers) ids.insert(id);
    for (const auto& [id, count] : counts) ids.insert(id);
    Json rows = Json::array();
    for (const std::int32_t id : ids) {
        const auto broker = map.brokers.find(id);
        const bool is_up = broker != map.brokers.end();
        rows.push_back({{"node", id},
                        {"address", is_up ? Json(to_string(broker->second)) : Json()},
                        {"state", is_up ? "up" : "down"},
                        {"controller", id == map.controller},
                        {"replicas", counts[id].first},
                        {"partitions_led", counts[id].second}});
    }
    return rows;
}

int cluster_status(Client& client, const CommandLine& line) {
    if (const auto trouble = learn(client, {})) return tell(*trouble);
    const ClusterMap& map = client.map();
    Json brokers = brokers_of(map), unwell = Json::array();
    int without_leader = 0;
    for (const auto& [name, partition] : map.partitions) {
        const bool is_led = partition.leader >= 0;
        if (!is_led) ++without_leader;
        if (is_led && partition.in_sync.size() >= partition.replicas.size()) continue;
        unwell.push_back({{"topic", name.topic},
                          {"partition", name.partition},
                          {"leader", leader_of(partition)},
                          {"state", is_led ? "under-replicated" : "no leader"},
                          {"replicas", partition.replicas},
                          {"in_sync", partition.in_sync}});
    }
    if (line.as_json) {
        std::printf("%s\n", Json{{"cluster", map.cluster},
                                 {"controller", map.controller},
                                 {"brokers", brokers},
                                 {"topics", map.topics.size()},
                                 {"partitions", map.partitions.size()},
                                 {"without_leader", without_leader},
                                 {"unwell", unwell}}
                                .dump()
                                .c_str());
    } else {
        std::printf(
            "cluster \"%s\": controller %d, topics %zu, partitions %zu, without leader %d\n",
            map.cluster.c_str(), map.controller, map.topics.size(), map.partitions.size(),
            without_leader);
        print_table(brokers, {"node", "address", "state", "replicas", "partitions_led"},
                    {"NODE", "ADDRESS", "STATE", "REPLICAS", "PARTITIONS LED"});
        for (Json& row : unwell)
            for (const char* list : {"replicas", "in_sync"}) row[list] = numbers(row[list]);
        if (!unwell.empty()) {
            std::printf("\n");
            print_table(unwell, {"topic", "partition", "state", "leader", "replicas", "in_sync"},
                        {"TOPIC", "PARTITION", "STATE", "LEADER", "REPLICAS", "IN SYNC"});
        }
    }
    return without_leader == 0 ? 0 : exit_failed;
}

} // namespace

int manage_topics(const CommandLine& line, const Program& program) {
    return with_client(line, program, topic_patience, [&](Client& client) {
        switch (line.command) {
        case CommandLine::Command::topic_list: return list_topics(client, line);
        case CommandLine::Command::topic_describe: return describe_topics(client, line);
        case CommandLine::Command::topic_create: return create_topics(client, line);
        case CommandLine::Command::topic_alter: return alter_topics(client, line);
        default: return delete_topics(client, line);
        }
    });
}

int show_cluster(const CommandLine& line, const Program& program) {
    return with_client(line, program, topic_patience,
                       [&](Client& client) { return cluster_status(client, line); });
}

} // namespace pyralog::cli
