// Settings as Kafka's tools ask for them and change them: what a topic is like, and what a node is.
#include "core/wire/kafka/alter_configs.h"
#include "core/wire/kafka/create_topics.h"
#include "core/wire/kafka/describe_configs.h"
#include "core/wire/kafka/produce.h"
#include "core/wire/record_batch.h"
#include "server/broker_configs.h"
#include "server/test_cluster.h"

#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;
using namespace pyralog::wire::kafka;

namespace {

using Entries = std::vector<ConfigEntry>;
using Altered = AlterConfigsResponse::Result;

DescribeConfigsResponse::Result describe_configs(Client& client, ConfigResource type,
                                                 const std::string& name,
                                                 std::int16_t version = 4) {
    DescribeConfigsRequest request;
    request.resources.push_back({type, name, std::nullopt});
    request.include_synonyms = request.include_documentation = true;
    return client.ask(request, version).results.at(0);
}

const ConfigEntry& entry(const Entries& entries, std::string_view name) {
    const auto found = std::ranges::find(entries, name, &ConfigEntry::name);
    REQUIRE(found != entries.end());
    return *found;
}

ConfigEntry topic_entry(Client& client, const std::string& topic, std::string_view name) {
    return entry(describe_configs(client, ConfigResource::topic, topic).configs, name);
}

using Edits = std::vector<IncrementalAlterConfigsRequest::Config>;

Altered change(Client& client, ConfigResource type, const std::string& name, Edits edits,
               bool validate_only = false, std::int16_t version = 1) {
    IncrementalAlterConfigsRequest request;
    request.resources.push_back({type, name, std::move(edits)});
    request.validate_only = validate_only;
    return client.ask(request, version).results.at(0);
}

Altered change_topic(Client& client, const std::string& topic, Edits edits) {
    return change(client, ConfigResource::topic, topic, std::move(edits));
}

Altered replace(Client& client, ConfigResource type, const std::string& name,
                std::vector<AlterConfigsRequest::Config> configs, std::int16_t version = 2) {
    AlterConfigsRequest request;
    request.resources.push_back({type, name, std::move(configs)});
    return client.ask(request, version).results.at(0);
}

ErrorCode produce_sized_to(Client& client, const std::string& topic, std::size_t size) {
    ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 5000;
    wire::RecordBatchBuilder builder;
    builder.add({}, std::string(size, 'x'), 1);
    request.topics.push_back({topic, {{0, builder.build()}}});
    return client.ask(request, 9).topics.at(0).partitions.at(0).error;
}

constexpr auto set = ConfigOperation::set;
constexpr auto unset = ConfigOperation::unset;

} // namespace

TEST_CASE("all that a topic can be told is told of it, each name once and in order", "[server]") {
    const Config config;
    const Entries entries = topic_configs(TopicSettings(), 3, config);
    CHECK(std::ranges::is_sorted(entries, std::ranges::less_equal(), &ConfigEntry::name));
    std::set<std::string> names;
    for (const ConfigEntry& one : entries) {
        INFO(one.name);
        CHECK(names.insert(one.name).second);
        CHECK(one.is_default);
        CHECK(one.source == ConfigSource::built_in);
        CHECK(one.documentation->size() > 10);
        CHECK(one.type != ConfigType::unknown);
        // What is told can be said again, of what may be set and of what may not.
        TopicSettings settings;
        std::vector<SettingEdit> plan;
        CHECK(plan_edit({one.name, SettingEdit::Kind::set, *one.value}, 3, config, settings,
                        plan) == "");
        CHECK(plan.empty() == one.read_only);
        CHECK(plan_edit({one.name, SettingEdit::Kind::unset, ""}, 3, config, settings, plan) == "");
        CHECK(settings == TopicSettings());
        if (!one.read_only) continue;
        CHECK(plan_edit({one.name, SettingEdit::Kind::set, "x"}, 3, config, settings, plan)
                  .starts_with(one.name));
        CHECK(plan_edit({one.name, SettingEdit::Kind::append, "x"}, 3, config, settings, plan) !=
              "");
    }
    for (const std::string_view name : TopicSettings::names())
        CHECK(names.contains(std::string(name)));
    CHECK(entry(entries, "min.insync.replicas").value == "2");
    CHECK(entry(entries, "compression.type").value == "producer");
    CHECK(entry(entries, "retention.ms").value == "604800000");
}

TEST_CASE("a node's settings are told by our names and by Kafka's", "[server]") {
    Config config;
    config.topic.partitions = 5;
    config.topic.retention_bytes = 0;
    const Entries entries = broker_configs(config, Level::warning);
    CHECK(std::ranges::is_sorted(entries, std::ranges::less_equal(), &ConfigEntry::name));
    for (const ConfigEntry& one : entries) CHECK(one.read_only == (one.name != level_setting));
    CHECK(entry(entries, "num.partitions").value == "5");
    CHECK(entry(entries, "num.partitions").source == ConfigSource::static_broker);
    CHECK(entry(entries, "num.partitions").documentation ==
          entry(entries, "topic.partitions").documentation);
    CHECK(entry(entries, "topic.partitions").synonyms.size() == 2);
    CHECK(entry(entries, "default.replication.factor").source == ConfigSource::built_in);
    CHECK(entry(entries, "log.retention.bytes").value == "-1");
    const ConfigEntry& level = entry(entries, "node.log_level");
    CHECK(level.value == "warning");
    CHECK(level.source == ConfigSource::dynamic_broker);
    CHECK(level.synonyms.front().value == "warning");
    CHECK(level.synonyms.back().value == "info");
    CHECK(entry(broker_configs(config, Level::info), "node.log_level").source ==
          ConfigSource::built_in);
}

TEST_CASE("what is set of a topic is told, in each version of the question", "[server]") {
    Cluster cluster;
    Client client = cluster.connect();
    CreateTopicsRequest request;
    request.topics.push_back(
        {"log", 1, -1, {}, {{"retention.ms", "5000"}, {"compression.type", "producer"}}});
    const CreateTopicsResponse made = client.ask(request, 7);
    REQUIRE(made.topics.at(0).error == ErrorCode::none);
    std::size_t own = 0;
    for (const auto& config : *made.topics.at(0).configs) {
        CHECK(
            (config.config_source == 1 || config.config_source == 4 || config.config_source == 5));
        own += config.config_source == 1 ? 1 : 0;
    }
    CHECK(own == 1);
    for (std::int16_t version = 0; version <= 4; ++version) {
        const auto told = describe_configs(client, ConfigResource::topic, "log", version);
        CHECK(told.error == ErrorCode::none);
        CHECK(told.configs.size() == made.topics.at(0).configs->size());
        const ConfigEntry& retention = entry(told.configs, "retention.ms");
        CHECK(retention.value == "5000");
        CHECK_FALSE(retention.is_default);
        if (version >= 1) CHECK(retention.source == ConfigSource::topic);
        if (version >= 1) CHECK(retention.synonyms.size() == 2);
        CHECK(retention.documentation.has_value() == (version >= 3));
        CHECK(entry(told.configs, "compression.type").read_only);
    }
    DescribeConfigsRequest some;
    some.resources.push_back(
        {ConfigResource::topic, "log", std::vector<std::string>{"segment.ms", "nothing"}});
    const auto told = client.ask(some, 4).results.at(0).configs;
    REQUIRE(told.size() == 1);
    CHECK(told[0].name == "segment.ms");
    CHECK(told[0].synonyms.empty());
    CHECK_FALSE(told[0].documentation);
}

TEST_CASE("settings of what is not there are refused by name", "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    Client client = cluster.connect();
    const auto described = [&](ConfigResource type, const std::string& name) {
        return describe_configs(client, type, name).error;
    };
    CHECK(described(ConfigResource::topic, "other") == ErrorCode::unknown_topic_or_partition);
    CHECK(described(ConfigResource::topic, "a b") == ErrorCode::invalid_topic);
    CHECK(described(ConfigResource::broker, "2") == ErrorCode::invalid_request);
    CHECK(described(ConfigResource::broker, "x") == ErrorCode::invalid_request);
    CHECK(described(ConfigResource::broker_logger, "") == ErrorCode::invalid_request);
    CHECK(described(ConfigResource(16), "log") == ErrorCode::invalid_request);
    CHECK(described(ConfigResource::broker, "") == ErrorCode::none);

    const auto changed = [&](ConfigResource type, const std::string& name, Edits edits) {
        return change(client, type, name, std::move(edits)).error;
    };
    const auto topic = ConfigResource::topic;
    CHECK(changed(topic, "other", {}) == ErrorCode::unknown_topic_or_partition);
    CHECK(changed(topic, "log", {{"no.such", set, "1"}}) == ErrorCode::invalid_config);
    CHECK(change_topic(client, "log", {{"no.such", set, "1"}}).error_message ==
          "\"no.such\" cannot be set for a topic");
    CHECK(changed(topic, "log", {{"no.such", unset, {}}}) == ErrorCode::invalid_config);
    CHECK(changed(topic, "log", {{"retention.ms", set, "soon"}}) == ErrorCode::invalid_config);
    CHECK(changed(topic, "log", {{"retention.ms", set, {}}}) == ErrorCode::invalid_request);
    CHECK(changed(topic, "log", {{"compression.type", set, "gzip"}}) == ErrorCode::invalid_config);
    CHECK(changed(topic, "log", {{"retention.ms", ConfigOperation(4), "1"}}) ==
          ErrorCode::invalid_request);
    CHECK(changed(topic, "log", {{"segment.ms", set, "5"}, {"segment.ms", set, "6"}}) ==
          ErrorCode::invalid_request);
    CHECK(changed(ConfigResource(32), "log", {}) == ErrorCode::invalid_request);
    const auto broker = ConfigResource::broker;
    CHECK(changed(broker, "1", {{"no.such", set, "1"}}) == ErrorCode::invalid_config);
    CHECK(changed(broker, "1", {{"num.partitions", set, "1"}}) == ErrorCode::invalid_request);
    CHECK(changed(broker, "1", {{"node.log_level", set, "loud"}}) == ErrorCode::invalid_config);
    CHECK(changed(broker, "", {{"node.log_level", set, "debug"}}) == ErrorCode::invalid_request);
    CHECK(changed(broker, "2", {{"node.log_level", set, "debug"}}) == ErrorCode::invalid_request);
    CHECK(replace(client, topic, "log", {{"retention.ms", {}}}).error ==
          ErrorCode::invalid_request);

    IncrementalAlterConfigsRequest twice;
    twice.resources.push_back({topic, "log", {{"segment.ms", set, "5"}}});
    twice.resources.push_back({topic, "log", {{"segment.ms", set, "6"}}});
    const auto told = client.ask(twice, 1);
    CHECK(told.results.at(0).error == ErrorCode::none);
    CHECK(told.results.at(1).error == ErrorCode::invalid_request);
    CHECK(topic_entry(client, "log", "segment.ms").value == "5");
}

TEST_CASE("a topic's settings are changed one by one or all at once, and stay", "[server]") {
    Cluster cluster(3);
    cluster.make_topic("log", 2);
    Client client = cluster.connect(NodeId(2));
    const auto value = [&](std::string_view name) {
        return *topic_entry(client, "log", name).value;
    };
    for (const std::int16_t version : {0, 1}) {
        const auto validated = change(client, ConfigResource::topic, "log",
                                      {{"segment.ms", set, "70000"}}, true, version);
        CHECK(validated.error == ErrorCode::none);
        CHECK(value("segment.ms") == "604800000");
    }
    CHECK(change_topic(client, "log",
                       {{"segment.ms", set, "70000"},
                        {"min.insync.replicas", set, "2"},
                        {"cleanup.policy", ConfigOperation::append, "compact"}})
              .error == ErrorCode::none);
    CHECK(value("segment.ms") == "70000");
    CHECK(value("cleanup.policy") == "compact,delete");
    CHECK(change_topic(client, "log", {{"cleanup.policy", ConfigOperation::subtract, "delete"}})
              .error == ErrorCode::none);
    CHECK(value("cleanup.policy") == "compact");
    CHECK(value("segment.ms") == "70000");
    for (std::int16_t version = 0; version <= 2; ++version)
        CHECK(replace(client, ConfigResource::topic, "log",
                      {{"retention.ms", std::to_string(100'000 + version)}}, version)
                  .error == ErrorCode::none);
    CHECK(value("retention.ms") == "100002");
    CHECK(value("cleanup.policy") == "delete");
    CHECK(value("segment.ms") == "604800000");
    for (const NodeId node : cluster.nodes) cluster.world.kill(node);
    for (const NodeId node : cluster.nodes) cluster.start(node);
    REQUIRE(cluster.until([&] { return cluster.all_ready(); }));
    Client again = cluster.connect(NodeId(3));
    CHECK(topic_entry(again, "log", "retention.ms").value == "100002");
    CHECK(topic_entry(again, "log", "retention.ms").source == ConfigSource::topic);
}

TEST_CASE("a topic takes batches as large as was last said, and keeps segments so", "[server]") {
    Cluster cluster(1, [](Config& config) {
        config.topic.retention_interval = 1s;
        config.topic.retention_time = 0s;
        config.topic.retention_bytes = 20'000;
        config.log.segment_flush_bytes = 4_KiB;
    });
    cluster.make_topic("log");
    Client client = cluster.connect();
    const auto begins = [&] {
        ListOffsetsRequest request;
        request.topics.push_back({"log", {{0, -1, ListOffsetsRequest::earliest}}});
        return client.ask(request, 7).topics.at(0).partitions.at(0).offset;
    };
    for (int i = 0; i < 20; ++i) REQUIRE(produce_sized_to(client, "log", 5000) == ErrorCode::none);
    cluster.world.run_for(5s);
    CHECK(begins() == 0); // All of it is in one segment.
    CHECK(change_topic(client, "log",
                       {{"segment.bytes", set, "10000"}, {"max.message.bytes", set, "6000"}})
              .error == ErrorCode::none);
    for (int i = 0; i < 10; ++i) REQUIRE(produce_sized_to(client, "log", 5000) == ErrorCode::none);
    CHECK(produce_sized_to(client, "log", 6000) == ErrorCode::message_too_large);
    cluster.world.run_for(5s);
    CHECK(begins() >= 20);
    CHECK(change_topic(client, "log", {{"max.message.bytes", set, "2000000"}}).error ==
          ErrorCode::none);
    CHECK(produce_sized_to(client, "log", 1'500'000) == ErrorCode::none);
    CHECK(change_topic(client, "log", {{"max.message.bytes", unset, {}}}).error == ErrorCode::none);
    CHECK(produce_sized_to(client, "log", 1'500'000) == ErrorCode::message_too_large);
}

TEST_CASE("what a node logs is changed while it runs", "[server]") {
    Cluster cluster(2);
    Client client = cluster.connect(NodeId(2));
    const auto level = [&](ConfigResource type, std::string_view name) {
        return *entry(describe_configs(client, type, "2").configs, name).value;
    };
    const auto broker = ConfigResource::broker;
    const auto logger = ConfigResource::broker_logger;
    const Level before = cluster.world.environment(NodeId(2)).log.least();
    CHECK(change(client, broker, "2", {{"node.log_level", set, "error"}}).error == ErrorCode::none);
    CHECK(cluster.world.environment(NodeId(2)).log.least() == Level::error);
    CHECK(cluster.world.environment(NodeId(1)).log.least() == before);
    CHECK(level(broker, "node.log_level") == "error");
    CHECK(level(logger, "root") == "ERROR");
    CHECK(change(client, logger, "2", {{"root", set, "WARN"}}).error == ErrorCode::none);
    CHECK(level(broker, "node.log_level") == "warning");
    CHECK(change(client, logger, "2", {{"kafka", set, "WARN"}}).error == ErrorCode::invalid_config);
    CHECK(change(client, logger, "2", {{"root", set, "error"}}, true).error == ErrorCode::none);
    CHECK(level(broker, "node.log_level") == "warning");
    CHECK(change(client, broker, "2", {{"node.log_level", unset, {}}}).error == ErrorCode::none);
    CHECK(level(broker, "node.log_level") == "info");
    CHECK(replace(client, broker, "2", {{"node.log_level", "debug"}}).error == ErrorCode::none);
    CHECK(level(logger, "root") == "DEBUG");
    CHECK(replace(client, broker, "2", {}).error == ErrorCode::none);
    CHECK(level(logger, "root") == "INFO");
}
