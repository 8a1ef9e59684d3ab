// Transactions, as clients see brokers.
#include "core/wire/kafka/add_offsets_to_txn.h"
#include "core/wire/kafka/add_partitions_to_txn.h"
#include "core/wire/kafka/describe_transactions.h"
#include "core/wire/kafka/end_txn.h"
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/find_coordinator.h"
#include "core/wire/kafka/init_producer_id.h"
#include "core/wire/kafka/list_transactions.h"
#include "core/wire/kafka/offset_fetch.h"
#include "core/wire/kafka/produce.h"
#include "core/wire/kafka/txn_offset_commit.h"
#include "core/wire/record_batch.h"
#include "server/test_cluster.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;
using namespace pyralog::wire::kafka;

namespace {

constexpr int attempts_max = 200;

bool is_for_now(ErrorCode error) {
    return error == ErrorCode::coordinator_load_in_progress ||
           error == ErrorCode::coordinator_not_available || error == ErrorCode::not_coordinator ||
           error == ErrorCode::concurrent_transactions || error == ErrorCode::not_enough_replicas ||
           error == ErrorCode::not_leader_or_follower;
}

// A transactional producer who asks until he has an answer that is not for now.
struct Sender {
    Cluster& cluster;
    std::string id = "sender";
    std::int64_t producer = -1;
    std::int16_t epoch = -1;
    std::map<std::int32_t, std::int32_t> next = {};

    Client coordinator(std::int8_t type, const std::string& key) {
        FindCoordinatorRequest request;
        request.key_type = type;
        request.coordinator_key = key;
        for (int i = 0; i < attempts_max; ++i) {
            Client client = cluster.connect(cluster.up());
            const auto found = client.ask(request, 2).coordinator;
            client.hang_up();
            if (found.error == ErrorCode::none && cluster.is_up(NodeId(found.node_id)))
                return cluster.connect(NodeId(found.node_id));
            cluster.world.run_for(50ms);
        }
        FAIL("nobody coordinates " << key);
        return cluster.connect();
    }
    // Of the transactional id, or of a group.
    template <class Request>
    typename Request::Response ask(const Request& request, std::int16_t version,
                                   ErrorCode (*error_of)(const typename Request::Response&),
                                   std::optional<std::string> group = {}) {
        typename Request::Response told;
        for (int i = 0; i < attempts_max; ++i) {
            Client client = coordinator(group ? 0 : 1, group.value_or(id));
            told = client.ask(request, version);
            client.hang_up();
            if (!is_for_now(error_of(told))) return told;
            cluster.world.run_for(20ms);
        }
        return told;
    }
    ErrorCode init(std::int32_t timeout_ms = 60'000) {
        InitProducerIdRequest request;
        request.transactional_id = id;
        request.transaction_timeout_ms = timeout_ms;
        const auto told = ask(request, 4, [](const auto& answer) { return answer.error; });
        producer = told.producer_id;
        epoch = told.producer_epoch;
        next.clear();
        return told.error;
    }
    ErrorCode add(const std::vector<std::int32_t>& partitions) {
        AddPartitionsToTxnRequest request;
        request.transaction = {id, producer, epoch, false, {{"log", partitions}}};
        const auto told = ask(request, 3, [](const auto& answer) {
            return answer.topics.at(0).partitions.at(0).error;
        });
        return told.topics.at(0).partitions.at(0).error;
    }
    ErrorCode send(std::int32_t partition, const std::string& value, bool is_part = true) {
        wire::RecordBatchBuilder builder;
        builder.from(producer, epoch, next[partition]).add({}, value);
        if (is_part) builder.mark(wire::BatchHeader::transactional_bit);
        ProduceRequest request;
        request.acks = -1;
        request.timeout_ms = 5000;
        request.topics.push_back({"log", {{partition, builder.build()}}});
        ErrorCode error{};
        for (int i = 0; i < attempts_max; ++i) {
            Client client = cluster.connect(cluster.leader_of("log", partition));
            error = client.ask(request, 7).topics.at(0).partitions.at(0).error;
            client.hang_up();
            if (!is_for_now(error)) break;
            cluster.world.run_for(20ms);
        }
        if (error == ErrorCode::none) ++next[partition];
        return error;
    }
    ErrorCode end(bool commits, std::int16_t version = 3) {
        EndTxnRequest request{id, producer, epoch, commits};
        const auto told = ask(request, version, [](const auto& answer) { return answer.error; });
        if (version >= 5 && told.error == ErrorCode::none) {
            producer = told.producer_id;
            epoch = told.producer_epoch;
            next.clear();
        }
        return told.error;
    }
    ErrorCode commit_offset(const std::string& group, std::int64_t offset) {
        TxnOffsetCommitRequest request;
        request.transactional_id = id;
        request.group_id = group;
        request.producer_id = producer;
        request.producer_epoch = epoch;
        request.topics.push_back({"log", {{0, offset, -1, "remark"}}});
        const auto told = ask(
            request, 3,
            [](const auto& answer) { return answer.topics.at(0).partitions.at(0).error; }, group);
        return told.topics.at(0).partitions.at(0).error;
    }
    ErrorCode add_offsets(const std::string& group) {
        AddOffsetsToTxnRequest request{id, producer, epoch, group};
        return ask(request, 3, [](const auto& answer) { return answer.error; }).error;
    }
    // The offset of a group, or the error that is told instead.
    std::variant<std::int64_t, ErrorCode> offset_of(const std::string& group, bool stable) {
        OffsetFetchRequest request;
        request.group.id = group;
        request.group.topics.emplace();
        request.group.topics->push_back({"log", {0}});
        request.require_stable = stable;
        const auto told =
            ask(request, 7, [](const auto& answer) { return answer.group.error; }, group);
        const auto partition = told.group.topics.at(0).partitions.at(0);
        if (partition.error != ErrorCode::none) return partition.error;
        return partition.offset;
    }
};

// What is read, as a client does it: without the records of aborted transactions.
std::vector<std::string> read(Cluster& cluster, std::int32_t partition, bool committed = true) {
    FetchRequest request;
    request.max_bytes = request.min_bytes = 1 << 20;
    request.min_bytes = 0;
    request.isolation_level = committed ? 1 : 0;
    request.topics.push_back({"log", {{partition, -1, 0, -1, -1, 1 << 20}}});
    Client client = cluster.connect(cluster.leader_of("log", partition));
    const auto told = client.ask(request, 11).topics.at(0).partitions.at(0);
    client.hang_up();
    CHECK(told.error == ErrorCode::none);
    auto aborted =
        told.aborted_transactions.value_or(std::vector<FetchResponse::AbortedTransaction>());
    std::vector<std::string> values;
    std::set<std::int64_t> aborting;
    Bytes rest = joined(told.records.value_or(BytesChain()));
    while (!rest.empty()) {
        const auto taken = wire::RecordBatch::take_first(rest);
        const auto& batch = std::get<wire::RecordBatch>(taken);
        const auto& header = batch.header();
        for (const auto& one : aborted)
            if (one.first_offset <= header.base_offset.value &&
                one.producer_id == header.producer_id && !header.is_control() &&
                one.first_offset >= 0)
                aborting.insert(one.producer_id);
        if (header.is_control()) {
            std::erase_if(aborted, [&](const auto& one) {
                return one.producer_id == header.producer_id &&
                       one.first_offset < header.base_offset.value;
            });
            aborting.erase(header.producer_id);
            continue;
        }
        if (header.is_transactional() && aborting.contains(header.producer_id)) continue;
        for (const wire::Record& record : wire::records_of(batch).value())
            values.emplace_back(record.value->text());
    }
    return values;
}

using Texts = std::vector<std::string>;

bool comes(Cluster& cluster, std::int32_t partition, const Texts& values) {
    return cluster.until_asked([&] { return read(cluster, partition) == values; });
}

} // namespace

TEST_CASE("a coordinator that is deposed while it writes forgets what it waits for", "[server]") {
    Cluster cluster(3);
    Sender sender{cluster};
    REQUIRE(sender.init() == ErrorCode::none);
    FindCoordinatorRequest find;
    find.key_type = 1;
    find.coordinator_key = sender.id;
    const NodeId old(cluster.connect().ask(find, 2).coordinator.node_id);
    Client client = cluster.connect(old);
    std::vector<NodeId> others = cluster.nodes;
    std::erase(others, old);
    cluster.world.network().isolate(old, others);
    InitProducerIdRequest request;
    request.transactional_id = sender.id;
    request.transaction_timeout_ms = 60'000;
    CHECK(is_for_now(client.ask(request, 4).error));
}

TEST_CASE("what is committed is read in all partitions, and what is aborted in none",
          "[server][transactions]") {
    Cluster cluster(3);
    cluster.make_topic("log", 2);
    Sender sender{cluster};
    CHECK(sender.init() == ErrorCode::none);
    CHECK(sender.send(0, "too early") == ErrorCode::invalid_txn_state);
    CHECK(sender.add({0, 1}) == ErrorCode::none);
    CHECK(sender.send(0, "a") == ErrorCode::none);
    CHECK(sender.send(1, "b") == ErrorCode::none);
    CHECK(sender.send(1, "no part", false) == ErrorCode::invalid_txn_state);
    CHECK(read(cluster, 0).empty());
    CHECK(read(cluster, 0, false) == Texts{"a"});
    CHECK(sender.end(true) == ErrorCode::none);
    CHECK(comes(cluster, 0, {"a"}));
    CHECK(comes(cluster, 1, {"b"}));
    CHECK(sender.add({0}) == ErrorCode::none);
    CHECK(sender.send(0, "aborted") == ErrorCode::none);
    CHECK(sender.end(false) == ErrorCode::none);
    CHECK(sender.add({0}) == ErrorCode::none);
    CHECK(sender.send(0, "c") == ErrorCode::none);
    CHECK(sender.end(true) == ErrorCode::none);
    CHECK(comes(cluster, 0, {"a", "c"}));
    CHECK(read(cluster, 0, false) == Texts{"a", "aborted", "c"});
}

TEST_CASE("what is prepared comes to its end, whoever coordinates and leads by then",
          "[server][transactions]") {
    const bool commits = GENERATE(true, false);
    const bool at_once = GENERATE(true, false);
    Cluster cluster(3);
    cluster.make_topic("log", 2);
    Sender sender{cluster};
    CHECK(sender.init() == ErrorCode::none);
    CHECK(sender.add({0, 1}) == ErrorCode::none);
    CHECK(sender.send(0, "a") == ErrorCode::none);
    CHECK(sender.send(1, "b") == ErrorCode::none);
    const NodeId coordinator = cluster.leader_of("__transaction_state", 0);
    if (at_once) cluster.restart(coordinator);
    CHECK(sender.end(commits) == ErrorCode::none);
    for (const NodeId node : cluster.nodes) cluster.restart(node);
    CHECK(comes(cluster, 0, commits ? Texts{"a"} : Texts{}));
    CHECK(comes(cluster, 1, commits ? Texts{"b"} : Texts{}));
    CHECK(sender.add({0, 1}) == ErrorCode::none);
    CHECK(sender.send(0, "after") == ErrorCode::none);
    CHECK(sender.end(true) == ErrorCode::none);
    CHECK(comes(cluster, 0, commits ? Texts{"a", "after"} : Texts{"after"}));
}

TEST_CASE("of two with one transactional id the first is fenced everywhere",
          "[server][transactions]") {
    Cluster cluster(3);
    cluster.make_topic("log", 2);
    Sender first{cluster}, second{cluster};
    CHECK(first.init() == ErrorCode::none);
    CHECK(first.add({0}) == ErrorCode::none);
    CHECK(first.send(0, "zombie") == ErrorCode::none);
    CHECK(second.init() == ErrorCode::none);
    CHECK(second.producer == first.producer);
    CHECK(first.send(0, "zombie") == ErrorCode::invalid_producer_epoch);
    CHECK(first.add({1}) == ErrorCode::producer_fenced);
    CHECK(first.end(true) == ErrorCode::producer_fenced);
    CHECK(first.end(true, 1) == ErrorCode::invalid_producer_epoch);
    CHECK(second.add({0}) == ErrorCode::none);
    CHECK(second.send(0, "heir") == ErrorCode::none);
    CHECK(second.end(true) == ErrorCode::none);
    CHECK(comes(cluster, 0, {"heir"}));
}

TEST_CASE("a transaction that takes too long is aborted, and seen until then",
          "[server][transactions]") {
    Cluster cluster(3);
    cluster.make_topic("log", 2);
    Sender sender{cluster};
    CHECK(sender.init(0) == ErrorCode::invalid_transaction_timeout);
    CHECK(sender.init(16 * 60 * 1000) == ErrorCode::invalid_transaction_timeout);
    CHECK(sender.init(3000) == ErrorCode::none);
    CHECK(sender.add({0}) == ErrorCode::none);
    CHECK(sender.send(0, "late") == ErrorCode::none);
    DescribeTransactionsRequest describe;
    describe.transactional_ids = {"sender", "nobody"};
    const auto state_of = [](const DescribeTransactionsResponse& answer) {
        return answer.transactions.at(0).error;
    };
    const auto told = sender.ask(describe, 0, +state_of);
    CHECK(told.transactions.at(0).state == "Ongoing");
    CHECK(told.transactions.at(0).topics.at(0).partitions == std::vector<std::int32_t>{0});
    ListTransactionsRequest list;
    list.state_filters = {"Ongoing", "Asleep"};
    const auto listed = sender.ask(list, 1, [](const auto& answer) { return answer.error; });
    CHECK(listed.unknown_state_filters == std::vector<std::string>{"Asleep"});
    REQUIRE(listed.transactions.size() == 1);
    CHECK(listed.transactions[0].transactional_id == "sender");
    cluster.world.run_for(10s);
    CHECK(sender.end(true) == ErrorCode::producer_fenced);
    CHECK(sender.send(0, "later") == ErrorCode::invalid_producer_epoch);
    CHECK(sender.ask(describe, 0, +state_of).transactions.at(0).state == "CompleteAbort");
    CHECK(read(cluster, 0).empty());
    CHECK(read(cluster, 0, false) == Texts{"late"});
}

TEST_CASE("offsets of a transaction count when it commits", "[server][transactions]") {
    Cluster cluster(3);
    cluster.make_topic("log", 2);
    Sender sender{cluster};
    CHECK(sender.init() == ErrorCode::none);
    using Offset = std::variant<std::int64_t, ErrorCode>;
    std::int64_t before = -1;
    for (const bool commits : {true, false, true}) {
        CHECK(sender.commit_offset("group", 5) == ErrorCode::invalid_txn_state);
        CHECK(sender.add_offsets("group") == ErrorCode::none);
        CHECK(sender.commit_offset("group", before + 10) == ErrorCode::none);
        CHECK(sender.offset_of("group", true) == Offset(ErrorCode::unstable_offset_commit));
        CHECK(sender.offset_of("group", false) == Offset(before));
        for (const NodeId node : cluster.nodes) cluster.restart(node);
        CHECK(sender.offset_of("group", true) == Offset(ErrorCode::unstable_offset_commit));
        CHECK(sender.end(commits) == ErrorCode::none);
        if (commits) before += 10;
        CHECK(
            cluster.until_asked([&] { return sender.offset_of("group", true) == Offset(before); }));
        for (const NodeId node : cluster.nodes) cluster.restart(node);
        CHECK(sender.offset_of("group", true) == Offset(before));
    }
}

TEST_CASE("with version 5 of EndTxn each transaction has an epoch of its own",
          "[server][transactions]") {
    Cluster cluster(3);
    cluster.make_topic("log", 2);
    Sender sender{cluster};
    CHECK(sender.init() == ErrorCode::none);
    for (std::int16_t round = 0; round < 3; ++round) {
        CHECK(sender.epoch == round);
        CHECK(sender.add({0}) == ErrorCode::none);
        CHECK(sender.send(0, std::to_string(round)) == ErrorCode::none);
        Sender before = sender;
        CHECK(sender.end(round != 1, 5) == ErrorCode::none);
        // Asked again, and sent late.
        CHECK(before.end(round != 1, 5) == ErrorCode::none);
        CHECK(before.epoch == sender.epoch);
    }
    CHECK(comes(cluster, 0, {"0", "2"}));
}
