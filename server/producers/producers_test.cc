// Idempotent producers, as they see brokers.
#include "core/wire/kafka/delete_records.h"
#include "core/wire/kafka/delete_topics.h"
#include "core/wire/kafka/describe_producers.h"
#include "core/wire/kafka/init_producer_id.h"
#include "core/wire/kafka/produce.h"
#include "core/wire/record_batch.h"
#include "server/test_cluster.h"

#include <set>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;
using namespace pyralog::wire::kafka;

namespace {

Bytes batch_from(std::int64_t id, std::int32_t sequence, std::int16_t epoch = 0) {
    wire::RecordBatchBuilder builder;
    builder.from(id, epoch, sequence).add({}, "value " + std::to_string(sequence), 77);
    return builder.build();
}

ProduceRequest produce_batch(Bytes batch, std::int16_t acks = -1) {
    ProduceRequest request;
    request.acks = acks;
    request.timeout_ms = 5000;
    request.topics.push_back({"log", {{0, std::move(batch)}}});
    return request;
}

using Told = ProduceResponse::Partition;

// Sends it as a client does: until there is an answer that is not for now.
Told send_batch(Cluster& cluster, Bytes batch, std::int16_t acks = -1) {
    Told told;
    for (int i = 0; i < 100; ++i) {
        Client client = cluster.connect(cluster.leader_of("log"));
        told = client.ask(produce_batch(batch, acks), 9).topics.at(0).partitions.at(0);
        client.hang_up();
        if (told.error != ErrorCode::not_enough_replicas) break;
        cluster.world.run_for(20ms);
    }
    return told;
}

bool is_stored_at(const Told& told, std::int64_t offset) {
    return told.error == ErrorCode::none && told.base_offset == offset;
}

InitProducerIdResponse init(Client& client, std::int16_t version = 4,
                            const InitProducerIdRequest& request = {}) {
    return client.ask(request, version);
}

} // namespace

TEST_CASE("no two producers have one id, whoever gives it, also after a restart", "[server]") {
    Cluster cluster(3);
    std::set<std::int64_t> ids;
    for (int round = 0; round < 2; ++round) {
        for (const NodeId node : cluster.nodes) {
            Client client = cluster.connect(node);
            for (std::int16_t version = 0; version <= 5; ++version) {
                const auto told = init(client, version);
                CHECK(told.error == ErrorCode::none);
                CHECK(told.producer_epoch == 0);
                CHECK(ids.insert(told.producer_id).second);
            }
        }
        for (const NodeId node : cluster.nodes) cluster.restart(node);
    }
    // A block is soon used up.
    Client client = cluster.connect();
    for (int i = 0; i < 2100; ++i) CHECK(ids.insert(init(client).producer_id).second);
}

TEST_CASE("whoever asks for a later epoch gets another id, and half a question is none",
          "[server]") {
    Cluster cluster;
    Client client = cluster.connect();
    const std::int64_t first = init(client).producer_id;
    InitProducerIdRequest again;
    again.producer_id = first;
    again.producer_epoch = 3;
    const auto told = init(client, 4, again);
    CHECK((told.error == ErrorCode::none && told.producer_id != first && told.producer_epoch == 0));
    again.producer_epoch = -1;
    CHECK(init(client, 4, again).error == ErrorCode::invalid_request);
    InitProducerIdRequest transactional;
    transactional.transactional_id = "";
    CHECK(init(client, 4, transactional).error == ErrorCode::invalid_request);
    transactional.transactional_id = "payments";
    CHECK(init(client, 4, transactional).error == ErrorCode::invalid_transaction_timeout);
}

TEST_CASE("without a majority nobody is given an id, and asks again", "[server]") {
    Cluster cluster(3);
    for (const NodeId other : {NodeId(2), NodeId(3)}) cluster.world.kill(other);
    Client client = cluster.connect();
    CHECK(init(client).error == ErrorCode::coordinator_load_in_progress);
}

TEST_CASE("a batch that is sent again is there once, also by another leader", "[server]") {
    Cluster cluster(3);
    cluster.make_topic("log");
    const std::int16_t acks = GENERATE(std::int16_t(-1), std::int16_t(1));
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 0), acks), 0));
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 1), acks), 1));
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 0), acks), 0));
    CHECK(send_batch(cluster, batch_from(5, 3), acks).error ==
          ErrorCode::out_of_order_sequence_number);
    cluster.world.kill(cluster.leader_of("log"));
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 1), acks), 1));
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 2), acks), 2));
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 0, 1), acks), 3));
    CHECK(send_batch(cluster, batch_from(5, 3), acks).error == ErrorCode::invalid_producer_epoch);
}

TEST_CASE("who no longer leads tells no producer that a batch came too early", "[server]") {
    Cluster cluster(3);
    cluster.make_topic("log");
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 0)), 0));
    const NodeId old = cluster.leader_of("log");
    Client client = cluster.connect(old);
    std::vector<NodeId> others = cluster.nodes;
    std::erase(others, old);
    cluster.world.network().isolate(old, others);
    // Whether it is too early depends on what others may have stored by now.
    CHECK(client.ask(produce_batch(batch_from(5, 2)), 9).topics.at(0).partitions.at(0).error ==
          ErrorCode::not_leader_or_follower);
}

TEST_CASE("several batches on their way are each answered, and repeated ones with the first",
          "[server]") {
    Cluster cluster(3);
    cluster.make_topic("log");
    Client client = cluster.connect(cluster.leader_of("log"));
    std::vector<RequestHeader> asked;
    for (const std::int32_t sequence : {0, 1, 2, 1, 0, 2, 3})
        asked.push_back(client.send(produce_batch(batch_from(5, sequence)), 7));
    std::vector<std::int64_t> offsets;
    for (const RequestHeader& one : asked) {
        const auto told = client.receive<ProduceResponse>(one).value().topics[0].partitions[0];
        CHECK(told.error == ErrorCode::none);
        offsets.push_back(told.base_offset);
    }
    CHECK(offsets == std::vector<std::int64_t>{0, 1, 2, 1, 0, 2, 3});
    CHECK(is_stored_at(send_batch(cluster, batch_from(6, 0), 0 + 1), 4));
}

TEST_CASE("what was deleted is not stored again by whoever has not heard that it was stored",
          "[server]") {
    Cluster cluster(3);
    cluster.make_topic("log");
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 0)), 0));
    DeleteRecordsRequest remove;
    remove.timeout_ms = 5000;
    remove.topics.push_back({"log", {{0, -1}}});
    Client client = cluster.connect(cluster.leader_of("log"));
    CHECK(client.ask(remove, 2).topics[0].partitions[0].low_watermark == 1);
    for (const NodeId node : cluster.nodes) cluster.restart(node);
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 0)), 0));
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 1)), 1));
}

TEST_CASE("a leader tells whom it remembers, and refuses more than may be", "[server]") {
    Cluster cluster(1, [](Config& config) {
        config.raft.producers_max = 2;
        config.topic.producer_expiration = 10s;
        config.topic.retention_interval = 100ms;
    });
    cluster.make_topic("log");
    const auto described = [&] {
        Client client = cluster.connect();
        DescribeProducersRequest request;
        request.topics.push_back({"log", {0, 1}});
        const auto told = client.ask(request, 0).topics.at(0).partitions;
        CHECK(told.at(0).error == ErrorCode::none);
        CHECK(told.at(1).error == ErrorCode::unknown_topic_or_partition);
        return told.at(0).producers;
    };
    CHECK(described().empty());
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 0, 2)), 0));
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 1, 2)), 1));
    CHECK(is_stored_at(send_batch(cluster, batch_from(6, 0)), 2));
    const auto both = described();
    REQUIRE(both.size() == 2);
    CHECK((both[0].id == 5 && both[0].epoch == 2 && both[0].last_sequence == 1));
    CHECK((both[0].last_timestamp == 77 && both[0].current_transaction_start == -1));
    const Told refused = send_batch(cluster, batch_from(7, 0));
    CHECK(refused.error == ErrorCode::policy_violation);
    CHECK(refused.error_message.value_or("").find("raft.producers_max") != std::string::npos);
    cluster.world.run_for(7s);
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 2, 2)), 3));
    cluster.world.run_for(6s); // The other one has been idle for too long.
    CHECK(described().size() == 1);
    CHECK(is_stored_at(send_batch(cluster, batch_from(7, 0)), 4));
}

// As is one who sent his first batch to a broker that had no replica yet, and whose second found
// it.
TEST_CASE("a producer whose topic was made anew begins again, with the first sequence",
          "[server]") {
    Cluster cluster(3);
    cluster.make_topic("log");
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 0)), 0));
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 1)), 1));
    DeleteTopicsRequest remove;
    remove.timeout_ms = 5000;
    remove.topic_names = {"log"};
    Client client = cluster.connect();
    CHECK(client.ask(remove, 3).topics.at(0).error == ErrorCode::none);
    cluster.make_topic("log");
    CHECK(send_batch(cluster, batch_from(5, 2)).error == ErrorCode::out_of_order_sequence_number);
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 0, 1)), 0));
    CHECK(is_stored_at(send_batch(cluster, batch_from(5, 1, 1)), 1));
}
