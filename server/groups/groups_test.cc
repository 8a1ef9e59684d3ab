// Consumer groups on simulated brokers, by the requests that clients send.
#include "core/wire/kafka/delete_groups.h"
#include "core/wire/kafka/delete_records.h"
#include "core/wire/kafka/delete_topics.h"
#include "core/wire/kafka/describe_groups.h"
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/find_coordinator.h"
#include "core/wire/kafka/heartbeat.h"
#include "core/wire/kafka/join_group.h"
#include "core/wire/kafka/leave_group.h"
#include "core/wire/kafka/list_groups.h"
#include "core/wire/kafka/metadata.h"
#include "core/wire/kafka/offset_commit.h"
#include "core/wire/kafka/offset_delete.h"
#include "core/wire/kafka/offset_fetch.h"
#include "core/wire/kafka/offsets_topic.h"
#include "core/wire/kafka/produce.h"
#include "core/wire/kafka/sync_group.h"
#include "core/wire/record_batch.h"
#include "server/groups/coordinator.h"
#include "server/test_cluster.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;
using namespace pyralog::wire::kafka;

namespace {

constexpr Duration pause = 50ms;

Bytes bytes_in(std::string_view text) { return Bytes::copy_of(text); }

void quick_groups(Config& config) {
    config.group.initial_rebalance_delay = 0s;
    config.group.session_timeout_min = 1s;
    config.group.offsets_partitions = 3;
    config.topic.auto_create = false;
}

// One group, and somebody who knows where it is coordinated.
class Party {
public:
    explicit Party(Cluster& cluster, std::string group = "g")
        : cluster_(cluster), group_(std::move(group)) {}

    // Asks until somebody says so.
    NodeId coordinator() {
        FindCoordinatorRequest request;
        request.coordinator_keys = {group_};
        const Duration limit = cluster_.world.now() + patience;
        while (cluster_.world.now() < limit) {
            for (const NodeId node : cluster_.nodes) {
                if (!cluster_.world.running(node)) continue;
                Client client = cluster_.connect(node);
                const auto told = client.ask(request, 4).coordinators.at(0);
                client.hang_up();
                if (told.error != ErrorCode::none) continue;
                const NodeId found(told.node_id);
                if (cluster_.world.running(found) && is_ready(found)) return found;
            }
            cluster_.world.run_for(pause);
        }
        FAIL("nobody coordinates " << group_);
        return {};
    }

    JoinGroupResponse join(Client& client, const std::string& id = {},
                           const std::string& instance = {}) {
        return client.ask(join_of(id, instance), 9);
    }
    JoinGroupRequest join_of(const std::string& id = {}, const std::string& instance = {}) {
        JoinGroupRequest request;
        request.group_id = group_;
        request.session_timeout_ms = 6000;
        request.rebalance_timeout_ms = 10000;
        request.member_id = id;
        if (!instance.empty()) request.group_instance_id = instance;
        request.protocol_type = "consumer";
        request.protocols = {{"range", bytes_in("whatever")}};
        return request;
    }
    // With the id that it is told.
    JoinGroupResponse join_fully(Client& client) {
        const JoinGroupResponse first = join(client);
        REQUIRE(first.error == ErrorCode::member_id_required);
        return join(client, first.member_id);
    }
    SyncGroupRequest sync_of(const std::string& id, std::int32_t generation,
                             std::vector<SyncGroupRequest::Assignment> assignments = {}) {
        SyncGroupRequest request;
        request.group_id = group_;
        request.member_id = id;
        request.generation_id = generation;
        request.assignments = std::move(assignments);
        return request;
    }
    ErrorCode heartbeat(Client& client, const std::string& id, std::int32_t generation) {
        return client.ask(HeartbeatRequest{group_, generation, id, {}}, 4).error;
    }
    OffsetCommitRequest commit_of(std::int64_t offset, const std::string& id = {},
                                  std::int32_t generation = -1, const std::string& topic = "log") {
        OffsetCommitRequest request;
        request.group_id = group_;
        request.member_id = id;
        request.generation_id = generation;
        request.topics.push_back({topic, {{0, offset, 7, "remark"}}});
        return request;
    }
    ErrorCode commit(Client& client, std::int64_t offset, const std::string& id = {},
                     std::int32_t generation = -1, std::int16_t version = 8) {
        return client.ask(commit_of(offset, id, generation), version)
            .topics.at(0)
            .partitions.at(0)
            .error;
    }
    OffsetFetchResponse::Partition fetch(Client& client, const std::string& topic = "log",
                                         std::int16_t version = 9) {
        OffsetFetchRequest request;
        OffsetFetchRequest::Group wanted{group_, {}, -1, {{{topic, {0}}}}};
        (version >= 8 ? request.groups.emplace_back() : request.group) = wanted;
        const OffsetFetchResponse answer = client.ask(request, version);
        const auto& group = version >= 8 ? answer.groups.at(0) : answer.group;
        CHECK(group.error == ErrorCode::none);
        return group.topics.at(0).partitions.at(0);
    }
    DescribeGroupsResponse::Group describe(Client& client) {
        return client.ask(DescribeGroupsRequest{{group_}, false}, 5).groups.at(0);
    }

private:
    bool is_ready(NodeId node) {
        Client client = cluster_.connect(node);
        const ErrorCode error = describe(client).error;
        client.hang_up();
        return error == ErrorCode::none;
    }

    Cluster& cluster_;
    const std::string group_;
};

} // namespace

TEST_CASE("a group falls on the partition that Kafka's tools look for it in", "[server][groups]") {
    CHECK(partition_of_group("", 50) == 0);
    CHECK(partition_of_group("a", 50) == 97 % 50);
    CHECK(partition_of_group("ab", 50) == (97 * 31 + 98) % 50);
    // "polygenelubricants".hashCode() is the least of all numbers, which has no absolute value.
    CHECK(partition_of_group("polygenelubricants", 50) == 0);
    CHECK(partition_of_group("\u00e9", 50) == 0xe9 % 50);
    CHECK(partition_of_group("\U0001f600", 1000) == (0xd83d * 31 + 0xde00) % 1000);
}

TEST_CASE("who asks for a coordinator is told of one, in each version", "[server][groups]") {
    Cluster cluster(1, quick_groups);
    Client client = cluster.connect();
    for (const std::int16_t version : {0, 1, 2, 3}) {
        FindCoordinatorRequest request;
        request.coordinator_key = "group";
        const auto told = client.ask(request, version).coordinator;
        CHECK(told.error == ErrorCode::none);
        CHECK(told.node_id == 1);
        CHECK(told.host == "node1");
        CHECK(told.port == 9092);
    }
    FindCoordinatorRequest request;
    request.coordinator_keys = {"a", ""};
    const auto several = client.ask(request, 4).coordinators;
    CHECK(several.at(0).key == "a");
    CHECK(several.at(0).error == ErrorCode::none);
    CHECK(several.at(1).error == ErrorCode::invalid_group_id);
}

TEST_CASE("offsets that are committed are told, in each version", "[server][groups]") {
    Cluster cluster(1, quick_groups);
    cluster.make_topic("log");
    Party party(cluster);
    Client client = cluster.connect(party.coordinator());
    CHECK(party.fetch(client).offset == -1);
    for (std::int16_t version = 2; version <= 9; ++version) {
        CHECK(party.commit(client, 10 + version, "", -1, version) == ErrorCode::none);
        for (std::int16_t asked = 1; asked <= 9; ++asked) {
            const auto told = party.fetch(client, "log", asked);
            CHECK(told.error == ErrorCode::none);
            CHECK(told.offset == 10 + version);
            CHECK(told.metadata == "remark");
            CHECK(told.leader_epoch == (asked >= 5 && version >= 6 ? 7 : -1));
        }
    }
    OffsetFetchRequest all;
    all.groups = {{"g", {}, -1, {}}, {"nobody", {}, -1, {}}};
    const auto told = client.ask(all, 8).groups;
    REQUIRE(told.at(0).topics.size() == 1);
    CHECK(told.at(0).topics[0].partitions.at(0).offset == 19);
    CHECK(told.at(1).topics.empty());
    CHECK(told.at(1).error == ErrorCode::none);
}

TEST_CASE("what cannot be committed is refused, and the rest is taken", "[server][groups]") {
    Cluster cluster(1, [](Config& config) {
        quick_groups(config);
        config.group.offset_metadata_bytes_max = 10;
    });
    cluster.make_topic("log", 2);
    Party party(cluster);
    Client client = cluster.connect(party.coordinator());
    OffsetCommitRequest request = party.commit_of(5);
    request.topics[0].partitions.push_back({1, 6, -1, std::string(11, 'x')});
    request.topics[0].partitions.push_back({2, 7, -1, {}});
    request.topics.push_back({"none", {{0, 8, -1, {}}}});
    const auto answer = client.ask(request, 8).topics;
    CHECK(answer.at(0).partitions.at(0).error == ErrorCode::none);
    CHECK(answer.at(0).partitions.at(1).error == ErrorCode::offset_metadata_too_large);
    CHECK(answer.at(0).partitions.at(2).error == ErrorCode::unknown_topic_or_partition);
    CHECK(answer.at(1).partitions.at(0).error == ErrorCode::unknown_topic_or_partition);
    CHECK(party.fetch(client).offset == 5);
    CHECK(party.commit(client, 5, "somebody", 3) == ErrorCode::unknown_member_id);
    CHECK(Party(cluster, "").commit(client, 5) == ErrorCode::invalid_group_id);
    CHECK(Party(cluster, "new").commit(client, 5, "somebody", 3) == ErrorCode::illegal_generation);
}

TEST_CASE("offsets are there after a restart", "[server][groups]") {
    Cluster cluster(1, quick_groups);
    cluster.make_topic("log");
    Party party(cluster);
    {
        Client client = cluster.connect(party.coordinator());
        CHECK(party.commit(client, 42) == ErrorCode::none);
    }
    cluster.restart(NodeId(1));
    Client client = cluster.connect(party.coordinator());
    CHECK(party.fetch(client).offset == 42);
}

TEST_CASE("two members agree, and one goes on when the other leaves", "[server][groups]") {
    Cluster cluster(1, quick_groups);
    cluster.make_topic("log");
    Party party(cluster);
    const NodeId node = party.coordinator();
    Client one = cluster.connect(node);
    Client two = cluster.connect(node);
    const JoinGroupResponse alone = party.join_fully(one);
    REQUIRE(alone.error == ErrorCode::none);
    CHECK(alone.generation_id == 1);
    const std::string a = alone.member_id;
    CHECK(alone.leader == a);
    const JoinGroupResponse named = party.join(two);
    const std::string b = named.member_id;
    const RequestHeader waits = two.send(party.join_of(b), 9);
    cluster.world.run_for(soon);
    CHECK(party.heartbeat(one, a, 1) == ErrorCode::rebalance_in_progress);
    const JoinGroupResponse again = party.join(one, a);
    CHECK(again.generation_id == 2);
    CHECK(again.members.size() == 2);
    const auto follows = two.receive<JoinGroupResponse>(waits);
    REQUIRE(follows.ok());
    CHECK(follows.value().generation_id == 2);
    const RequestHeader syncs = two.send(party.sync_of(b, 2), 5);
    const SyncGroupResponse leads =
        one.ask(party.sync_of(a, 2, {{a, bytes_in("a")}, {b, bytes_in("b")}}), 5);
    CHECK(leads.assignment.text() == "a");
    CHECK(leads.protocol_name == "range");
    CHECK(two.receive<SyncGroupResponse>(syncs).value().assignment.text() == "b");
    CHECK(party.commit(two, 3, b, 2) == ErrorCode::none);
    CHECK(party.commit(two, 4, b, 1) == ErrorCode::illegal_generation);

    const auto described = party.describe(one);
    CHECK(described.state == "Stable");
    CHECK(described.protocol == "range");
    REQUIRE(described.members.size() == 2);
    CHECK(described.members[0].client_host == "node100");
    CHECK(described.members[0].metadata.text() == "whatever");

    LeaveGroupRequest leave{"g", {}, {{b, {}, {}}, {"nobody", {}, {}}}};
    const LeaveGroupResponse left = two.ask(leave, 5);
    CHECK(left.error == ErrorCode::none);
    CHECK(left.members.at(0).error == ErrorCode::none);
    CHECK(left.members.at(1).error == ErrorCode::unknown_member_id);
    CHECK(party.heartbeat(one, a, 2) == ErrorCode::rebalance_in_progress);
    CHECK(party.join(one, a).generation_id == 3);
    CHECK(two.ask(LeaveGroupRequest{"g", a, {}}, 2).error == ErrorCode::none);
    CHECK(party.fetch(one).offset == 3);
    CHECK(party.describe(one).state == "Empty");
}

TEST_CASE("who waits for others is not taken for idle", "[server][groups]") {
    Cluster cluster(1, [](Config& config) {
        quick_groups(config);
        config.group.initial_rebalance_delay = 20s;
        config.kafka.connection_idle_max = 5s;
    });
    Party party(cluster);
    const NodeId node = party.coordinator();
    Client client = cluster.connect(node);
    JoinGroupRequest join = party.join_of();
    join.rebalance_timeout_ms = 60'000;
    CHECK(client.ask(join, 3).error == ErrorCode::none);
    CHECK(!client.is_closed(4s)); // From the answer on.
    CHECK(client.is_closed(2s));
}

TEST_CASE("each version of each of a group's requests is served", "[server][groups]") {
    Cluster cluster(1, quick_groups);
    cluster.make_topic("log");
    const NodeId node = Party(cluster).coordinator();
    for (std::int16_t version = 0; version <= 9; ++version) {
        Party party(cluster, "group-" + std::to_string(version));
        Client client = cluster.connect(node);
        JoinGroupResponse joined = client.ask(party.join_of(), version);
        CHECK((joined.error == ErrorCode::member_id_required) == (version >= 4));
        if (version >= 4) joined = client.ask(party.join_of(joined.member_id), version);
        REQUIRE(joined.error == ErrorCode::none);
        CHECK(joined.protocol_name == "range");
        const std::string& id = joined.member_id;
        const std::int16_t sync = std::min<std::int16_t>(version, 5);
        CHECK(client.ask(party.sync_of(id, 1, {{id, bytes_in("x")}}), sync).assignment.text() ==
              "x");
        const std::int16_t beat = std::min<std::int16_t>(version, 4);
        HeartbeatRequest heartbeat{"group-" + std::to_string(version), 1, id, {}};
        CHECK(client.ask(heartbeat, beat).error == ErrorCode::none);
        LeaveGroupRequest leave{heartbeat.group_id, id, {{id, {}, {}}}};
        CHECK(client.ask(leave, std::min<std::int16_t>(version, 5)).error == ErrorCode::none);
        client.hang_up();
    }
    Client client = cluster.connect(node);
    for (std::int16_t version = 0; version <= 5; ++version) {
        CHECK(client.ask(ListGroupsRequest(), version).groups.size() == 10);
        DescribeGroupsRequest describe{{"group-1", "none"}, false};
        const auto groups = client.ask(describe, version).groups;
        CHECK(groups.at(0).state == "Empty");
        CHECK(groups.at(1).state == "Dead");
        CHECK(groups.at(1).error == ErrorCode::none);
    }
    CHECK(client.ask(ListGroupsRequest{{"stable"}, {}}, 4).groups.empty());
    CHECK(client.ask(ListGroupsRequest{{"empty"}, {"Classic"}}, 5).groups.size() == 10);
    CHECK(client.ask(ListGroupsRequest{{}, {"consumer"}}, 5).groups.empty());
    for (std::int16_t version = 0; version <= 2; ++version) {
        const auto deleted =
            client.ask(DeleteGroupsRequest{{"group-" + std::to_string(version), "none"}}, version);
        CHECK(deleted.groups.at(0).error == ErrorCode::none);
        CHECK(deleted.groups.at(1).error == ErrorCode::group_id_not_found);
    }
    CHECK(client.ask(ListGroupsRequest(), 5).groups.size() == 7);
}

TEST_CASE("names may be as long as a string can be", "[server][groups]") {
    Cluster cluster(1, quick_groups);
    cluster.make_topic("log");
    const std::string longest(32'767, 'n');
    Party party(cluster, longest);
    const NodeId node = party.coordinator();
    for (const bool is_static : {false, true}) {
        Client client = cluster.connect(node);
        const RequestHeader header{ApiKey::join_group, 5, 7, longest};
        JoinGroupRequest join = party.join_of();
        if (is_static) join.group_instance_id = longest;
        client.write(encode_frame(header, join));
        const auto told = client.receive<JoinGroupResponse>(header);
        REQUIRE(told.ok());
        CHECK(told.value().error == (is_static ? ErrorCode::none : ErrorCode::member_id_required));
        CHECK(told.value().member_id.size() < 1000);
    }
    Client client = cluster.connect(node);
    CHECK(party.describe(client).members.size() == 1);
    LeaveGroupRequest leave{longest, {}, {{"", longest, {}}}};
    CHECK(client.ask(leave, 5).members.at(0).error == ErrorCode::none);
    CHECK(party.commit(client, 1) == ErrorCode::none);
}

TEST_CASE("a group with bad manners is told so", "[server][groups]") {
    Cluster cluster(1, [](Config& config) {
        quick_groups(config);
        config.group.groups_max = 2;
    });
    Party party(cluster);
    Client client = cluster.connect(party.coordinator());
    JoinGroupRequest hasty = party.join_of();
    hasty.session_timeout_ms = 999;
    CHECK(client.ask(hasty, 5).error == ErrorCode::invalid_session_timeout);
    hasty.session_timeout_ms = -1;
    CHECK(client.ask(hasty, 5).error == ErrorCode::invalid_session_timeout);
    CHECK(party.join(client, "who").error == ErrorCode::unknown_member_id);
    CHECK(client.ask(party.sync_of("who", 1), 5).error == ErrorCode::unknown_member_id);
    CHECK(party.heartbeat(client, "who", 1) == ErrorCode::unknown_member_id);
    // Groups that came to nothing take no place, others do.
    JoinGroupRequest none = party.join_of();
    none.protocols.clear();
    for (int i = 0; i < 5; ++i) {
        none.group_id = "nothing-" + std::to_string(i);
        CHECK(client.ask(none, 5).error == ErrorCode::inconsistent_group_protocol);
    }
    CHECK(Party(cluster, "one").join_fully(client).error == ErrorCode::none);
    CHECK(Party(cluster, "two").join_fully(client).error == ErrorCode::none);
    CHECK(Party(cluster, "three").join(client).error == ErrorCode::group_max_size_reached);
}

TEST_CASE("a group that is used cannot be deleted, and one that is deleted is forgotten",
          "[server][groups]") {
    Cluster cluster(1, quick_groups);
    cluster.make_topic("log");
    Party party(cluster);
    Client client = cluster.connect(party.coordinator());
    const std::string id = party.join_fully(client).member_id;
    CHECK(client.ask(party.sync_of(id, 1, {{id, bytes_in("x")}}), 5).error == ErrorCode::none);
    CHECK(party.commit(client, 8, id, 1) == ErrorCode::none);
    const DeleteGroupsRequest request{{"g"}};
    CHECK(client.ask(request, 2).groups.at(0).error == ErrorCode::non_empty_group);
    CHECK(client.ask(LeaveGroupRequest{"g", id, {}}, 2).error == ErrorCode::none);
    CHECK(party.fetch(client).offset == 8);
    CHECK(client.ask(request, 2).groups.at(0).error == ErrorCode::none);
    CHECK(party.fetch(client).offset == -1);
    cluster.restart(NodeId(1));
    Client later = cluster.connect(party.coordinator());
    CHECK(party.fetch(later).offset == -1);
    CHECK(party.describe(later).state == "Dead");
}

TEST_CASE("offsets are deleted of topics that nobody reads", "[server][groups]") {
    Cluster cluster(1, quick_groups);
    cluster.make_topic("log");
    cluster.make_topic("other");
    Party party(cluster);
    Client client = cluster.connect(party.coordinator());
    OffsetDeleteRequest request{"g", {{"log", {0, 5}}, {"other", {0}}}};
    CHECK(client.ask(request, 0).error == ErrorCode::group_id_not_found);
    JoinGroupRequest join = party.join_of();
    join.protocols[0].metadata = bytes_in(std::string("\0\1\0\0\0\1\0\3log\xff\xff\xff\xff", 15));
    const std::string id = client.ask(join, 3).member_id;
    CHECK(client.ask(party.sync_of(id, 1, {{id, bytes_in("x")}}), 3).error == ErrorCode::none);
    CHECK(party.commit(client, 8, id, 1) == ErrorCode::none);
    CHECK(client.ask(party.commit_of(9, id, 1, "other"), 8).topics.at(0).partitions.at(0).error ==
          ErrorCode::none);
    const OffsetDeleteResponse answer = client.ask(request, 0);
    CHECK(answer.error == ErrorCode::none);
    CHECK(answer.topics.at(0).partitions.at(0).error == ErrorCode::group_subscribed_to_topic);
    CHECK(answer.topics.at(0).partitions.at(1).error == ErrorCode::unknown_topic_or_partition);
    CHECK(answer.topics.at(1).partitions.at(0).error == ErrorCode::none);
    CHECK(party.fetch(client).offset == 8);
    CHECK(party.fetch(client, "other").offset == -1);
}

TEST_CASE("offsets expire when a group has been empty for long, and then the group goes",
          "[server][groups]") {
    Cluster cluster(1, [](Config& config) {
        quick_groups(config);
        config.group.offsets_retention = 60s;
        config.group.offsets_retention_interval = 1s;
    });
    cluster.make_topic("log");
    Party party(cluster);
    Client client = cluster.connect(party.coordinator());
    const std::string id = party.join_fully(client).member_id;
    CHECK(client.ask(party.sync_of(id, 1, {{id, bytes_in("x")}}), 5).error == ErrorCode::none);
    CHECK(party.commit(client, 8, id, 1) == ErrorCode::none);
    for (int i = 0; i < 20; ++i) {
        cluster.world.run_for(4s);
        CHECK(party.heartbeat(client, id, 1) == ErrorCode::none);
    }
    CHECK(party.fetch(client).offset == 8); // While it is used, for ever.
    CHECK(client.ask(LeaveGroupRequest{"g", id, {}}, 2).error == ErrorCode::none);
    cluster.world.run_for(50s);
    CHECK(party.fetch(client).offset == 8);
    cluster.world.run_for(15s);
    CHECK(party.fetch(client).offset == -1);
    CHECK(party.describe(client).state == "Dead");
}

TEST_CASE("offsets go with their topic", "[server][groups]") {
    Cluster cluster(1, quick_groups);
    cluster.make_topic("log");
    cluster.make_topic("other");
    Party party(cluster);
    Client client = cluster.connect(party.coordinator());
    CHECK(party.commit(client, 8) == ErrorCode::none);
    CHECK(client.ask(party.commit_of(9, "", -1, "other"), 8).topics.at(0).partitions.at(0).error ==
          ErrorCode::none);
    DeleteTopicsRequest request;
    request.topics.push_back({"log", {}});
    request.timeout_ms = 5000;
    CHECK(client.ask(request, 6).topics.at(0).error == ErrorCode::none);
    cluster.world.run_for(1s);
    CHECK(party.fetch(client).offset == -1);
    CHECK(party.fetch(client, "other").offset == 9);
}

TEST_CASE("the topic of offsets is nobody's to write, cut or delete, and everybody's to read",
          "[server][groups]") {
    const std::string name(offsets_topic_name);
    Cluster cluster(1, quick_groups);
    cluster.make_topic("log");
    Client client = cluster.connect();
    CreateTopicsRequest create;
    create.topics.push_back({name, 1, -1, {}, {}});
    CHECK(client.ask(create, 7).topics.at(0).error == ErrorCode::invalid_topic);
    Party party(cluster);
    party.coordinator();
    CHECK(party.commit(client, 8) == ErrorCode::none);
    const auto partition = partition_of_group("g", 3);
    ProduceRequest produce;
    produce.acks = -1;
    wire::RecordBatchBuilder builder;
    builder.add("key", "value");
    produce.topics.push_back({name, {{partition, builder.build()}}});
    CHECK(client.ask(produce, 9).topics.at(0).partitions.at(0).error == ErrorCode::invalid_topic);
    DeleteRecordsRequest cut;
    cut.timeout_ms = 1000;
    cut.topics.push_back({name, {{partition, -1}}});
    CHECK(client.ask(cut, 2).topics.at(0).partitions.at(0).error == ErrorCode::policy_violation);
    DeleteTopicsRequest remove;
    remove.topics.push_back({name, {}});
    CHECK(client.ask(remove, 6).topics.at(0).error == ErrorCode::topic_deletion_disabled);
    MetadataRequest metadata;
    metadata.topics.emplace().push_back({{}, name});
    CHECK(client.ask(metadata, 12).topics.at(0).is_internal);

    FetchRequest fetch;
    FetchRequest::Partition wanted;
    wanted.index = partition;
    wanted.max_bytes = 1 << 20;
    fetch.topics.push_back({name, {wanted}});
    const auto read = client.ask(fetch, 12).topics.at(0).partitions.at(0);
    Bytes rest = joined(*read.records);
    const auto taken = wire::RecordBatch::take_first(rest);
    const auto records = wire::records_of(std::get<wire::RecordBatch>(taken)).value();
    const auto key = decode_offsets_topic_key(*records.at(0).key).value();
    CHECK(std::get<OffsetKey>(key) == OffsetKey{"g", "log", 0});
    CHECK(decode_offset_value(*records.at(0).value).value().offset == 8);
}

TEST_CASE("the records of the topic of offsets have Kafka's bytes", "[server][groups]") {
    const auto hex = [](std::string_view text) {
        std::string out;
        for (const char c : text) {
            constexpr std::string_view digits = "0123456789abcdef";
            out += digits[static_cast<unsigned char>(c) >> 4];
            out += digits[static_cast<unsigned char>(c) & 15];
        }
        return out;
    };
    CHECK(hex(encode_key(OffsetKey{"g", "log", 2})) == "0001"
                                                       "000167"
                                                       "00036c6f67"
                                                       "00000002");
    CHECK(hex(encode_key(GroupKey{"g"})) == "0002"
                                            "000167");
    CHECK(hex(encode_value(OffsetValue{5, 7, "m", 9, -1})) == "0003"
                                                              "0000000000000005"
                                                              "00000007"
                                                              "00016d"
                                                              "0000000000000009");
    GroupValue value;
    value.protocol_type = "c";
    value.generation = 3;
    value.protocol = "r";
    value.state_timestamp = 4;
    value.members.push_back({"m", {}, "i", "h", 5, 6, Bytes::copy_of("s"), Bytes::copy_of("a")});
    CHECK(hex(encode_value(value)) == "0003"
                                      "000163"
                                      "00000003"
                                      "000172"
                                      "ffff"
                                      "0000000000000004"
                                      "00000001"
                                      "00016d"
                                      "ffff"
                                      "000169"
                                      "000168"
                                      "00000005"
                                      "00000006"
                                      "0000000173"
                                      "0000000161");
    for (const char version : {0, 1, 2, 3})
        CHECK(decode_offset_value(Bytes::copy_of(std::string("\0", 1) + version +
                                                 std::string(version == 3   ? 22
                                                             : version == 1 ? 26
                                                                            : 18,
                                                             '\0')))
                  .ok());
    CHECK(!decode_offset_value(Bytes::copy_of(std::string("\0\4\0\0", 4))).ok());
    CHECK(!decode_offsets_topic_key(Bytes::copy_of(std::string("\0\3\0\0", 4))).ok());
}

// ---- Several brokers ----

TEST_CASE(
    "a coordinator that is killed in the middle of a rebalance loses nothing that it has told",
    "[server][groups]") {
    Cluster cluster(3, quick_groups);
    cluster.make_topic("log");
    Party party(cluster);
    const NodeId first = party.coordinator();
    std::string id;
    {
        Client client = cluster.connect(first);
        id = party.join_fully(client).member_id;
        CHECK(client.ask(party.sync_of(id, 1, {{id, bytes_in("x")}}), 5).error == ErrorCode::none);
        CHECK(party.commit(client, 17, id, 1) == ErrorCode::none);
        Client other = cluster.connect(first);
        const std::string second = party.join(other).member_id;
        other.send(party.join_of(second), 9);
        CHECK(party.join(client, id).generation_id == 2);
    }
    cluster.world.kill(first);
    const NodeId next = party.coordinator();
    CHECK(next != first);
    Client client = cluster.connect(next);
    CHECK(party.fetch(client).offset == 17);
    // Both were told of it, so it is over with the first generation.
    CHECK(party.commit(client, 18, id, 1) == ErrorCode::illegal_generation);
    CHECK(party.heartbeat(client, id, 2) == ErrorCode::none);
    CHECK(party.describe(client).state == "CompletingRebalance");
    cluster.start(first);
}

TEST_CASE("who does not coordinate a group says so", "[server][groups]") {
    Cluster cluster(3, quick_groups);
    cluster.make_topic("log");
    Party party(cluster);
    const NodeId coordinator = party.coordinator();
    for (const NodeId node : cluster.nodes) {
        if (node == coordinator) continue;
        Client client = cluster.connect(node);
        CHECK(party.join(client).error == ErrorCode::not_coordinator);
        CHECK(client.ask(party.sync_of("x", 1), 5).error == ErrorCode::not_coordinator);
        CHECK(party.heartbeat(client, "x", 1) == ErrorCode::not_coordinator);
        CHECK(party.commit(client, 1) == ErrorCode::not_coordinator);
        CHECK(client.ask(LeaveGroupRequest{"g", "x", {}}, 2).error == ErrorCode::not_coordinator);
        CHECK(party.describe(client).error == ErrorCode::not_coordinator);
        CHECK(client.ask(DeleteGroupsRequest{{"g"}}, 2).groups.at(0).error ==
              ErrorCode::not_coordinator);
        OffsetFetchRequest fetch;
        fetch.groups = {{"g", {}, -1, {}}};
        CHECK(client.ask(fetch, 8).groups.at(0).error == ErrorCode::not_coordinator);
        CHECK(client.ask(OffsetDeleteRequest{"g", {}}, 0).error == ErrorCode::not_coordinator);
    }
}

TEST_CASE("a coordinator that is cut off tells no old offset and acknowledges nothing",
          "[server][groups]") {
    Cluster cluster(3, quick_groups);
    cluster.make_topic("log");
    Party party(cluster);
    const NodeId old = party.coordinator();
    Client client = cluster.connect(old);
    CHECK(party.commit(client, 1) == ErrorCode::none);
    std::vector<NodeId> others = cluster.nodes;
    std::erase(others, old);
    cluster.world.network().isolate(old, others);
    OffsetFetchRequest fetch;
    fetch.groups = {{"g", {}, -1, {{{"log", {0}}}}}};
    const RequestHeader reads = client.send(fetch, 8);
    Client other = cluster.connect(old);
    const RequestHeader writes = other.send(party.commit_of(2), 8);
    const auto told = client.receive<OffsetFetchResponse>(reads);
    REQUIRE(told.ok());
    CHECK(told.value().groups.at(0).error == ErrorCode::not_coordinator);
    const auto answered = other.receive<OffsetCommitResponse>(writes);
    REQUIRE(answered.ok());
    CHECK(answered.value().topics.at(0).partitions.at(0).error != ErrorCode::none);
}
