#include "server/quotas.h"

#include "core/wire/kafka/client_quotas.h"
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/produce.h"
#include "core/wire/record_batch.h"
#include "server/test_cluster.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace pyralog;
using namespace pyralog::server;
using namespace pyralog::wire::kafka;

namespace {

constexpr auto producing = QuotaKind::producer_byte_rate;
constexpr auto consuming = QuotaKind::consumer_byte_rate;

Catalogue catalogue_with(const std::vector<AlterQuota>& commands) {
    Catalogue catalogue({NodeId(1)});
    for (const AlterQuota& command : commands) catalogue.apply(command);
    return catalogue;
}

using Operations = std::vector<AlterClientQuotasRequest::Operation>;

AlterClientQuotasResponse::Entry alter(Client& client, std::vector<QuotaEntity> entity,
                                       Operations operations, bool validate_only = false,
                                       std::int16_t version = 1) {
    AlterClientQuotasRequest request;
    request.entries.push_back({std::move(entity), std::move(operations)});
    request.validate_only = validate_only;
    return client.ask(request, version).entries.at(0);
}

ErrorCode limit(Client& client, std::optional<std::string> name, const std::string& key,
                std::int64_t rate) {
    return alter(client, {{"client-id", std::move(name)}}, {{key, Float64::of(rate), false}}).error;
}

std::vector<DescribeClientQuotasResponse::Entry>
described(Client& client, std::vector<DescribeClientQuotasRequest::Component> components,
          bool strict = false, std::int16_t version = 1) {
    DescribeClientQuotasRequest request;
    request.components = std::move(components);
    request.strict = strict;
    const auto told = client.ask(request, version);
    CHECK(told.error == ErrorCode::none);
    return told.entries.value();
}

// Requests of a client that has a name.
template <class Request>
typename Request::Response ask_as(Client& client, const std::string& name, const Request& request,
                                  std::int16_t version) {
    const RequestHeader header{Request::key, version, 7, name};
    client.write(encode_request(request, version, 7, name));
    auto answer = client.receive<typename Request::Response>(header);
    REQUIRE(answer.ok());
    return std::move(answer).value();
}

ProduceRequest produce_sized(std::size_t size) {
    ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 5000;
    wire::RecordBatchBuilder builder;
    builder.add({}, std::string(size, 'x'), 1);
    request.topics.push_back({"log", {{0, builder.build()}}});
    return request;
}

FetchRequest fetch_from(std::int64_t offset) {
    FetchRequest request;
    request.min_bytes = 1;
    request.max_wait_ms = 10;
    FetchRequest::Partition partition;
    partition.fetch_offset = offset;
    partition.max_bytes = 1 << 20;
    request.topics.push_back({"log", {partition}});
    return request;
}

} // namespace

TEST_CASE("a client's own quota counts, and else that of all clients", "[server]") {
    using Edit = AlterQuota::Edit;
    Catalogue catalogue = catalogue_with({
        {"fast", {Edit{producing, 1000}}},
        {std::nullopt, {Edit{producing, 10}, Edit{consuming, 20}}},
    });
    CHECK(catalogue.quota(producing, "fast") == 1000);
    CHECK(catalogue.quota(consuming, "fast") == 20);
    CHECK(catalogue.quota(producing, "other") == 10);
    catalogue.apply(AlterQuota{std::nullopt, {Edit{producing, {}}, Edit{consuming, {}}}});
    CHECK(catalogue.quota(producing, "fast") == 1000);
    CHECK_FALSE(catalogue.quota(producing, "other"));
    CHECK(catalogue.quotas().size() == 1);
    catalogue.apply(AlterQuota{"fast", {Edit{producing, {}}}});
    CHECK(catalogue.quotas().empty());
    CHECK(catalogue.apply(AlterQuota{"x", {Edit{producing, 0}}}).outcome == Outcome::not_settable);
    CHECK(catalogue.apply(AlterQuota{std::string(300, 'x'), {Edit{producing, 1}}}).outcome ==
          Outcome::not_settable);
}

TEST_CASE("who is too fast is silenced for as long as it takes to be slow enough", "[server]") {
    const Catalogue catalogue = catalogue_with({{"slow", {AlterQuota::Edit{producing, 1000}}}});
    Metrics metrics;
    Quotas quotas(metrics, catalogue);
    const Time now = Time() + 1h;
    CHECK(quotas.charge(producing, "free", 1'000'000'000, now) == Duration(0));
    CHECK(quotas.charge(producing, "slow", 600, now) == Duration(0)); // A second is saved up.
    CHECK(quotas.charge(producing, "slow", 600, now) == 200ms);
    CHECK(quotas.charge(consuming, "slow", 5000, now) == Duration(0));
    CHECK(quotas.charge(producing, "slow", 2000, now + 200ms) == 2s);
    CHECK(quotas.owed(producing, "slow", now + 200ms) == 2s);
    CHECK(quotas.owed(producing, "slow", now + 1200ms) == 1s);
    CHECK(quotas.owed(producing, "slow", now + 10s) == Duration(0));
    CHECK(quotas.charge(producing, "slow", UINT64_MAX, now + 10s) == Quotas::throttle_max);
    CHECK(quotas.charge(producing, "slow", UINT64_MAX, now + 10s) == Quotas::throttle_max);
    CHECK(quotas.bytes_at_once(producing, "slow") == 1000);
    CHECK_FALSE(quotas.bytes_at_once(producing, "free"));
    // 200 ms, 2 s and twice 30 s.
    const std::string told = metrics.expose();
    CHECK(told.find("pyralog_throttle_seconds_count{quota=\"producer_byte_rate\"} 4\n") !=
          std::string::npos);
    CHECK(told.find("pyralog_throttle_seconds_sum{quota=\"producer_byte_rate\"} 62.2") !=
          std::string::npos);
    CHECK(told.find("pyralog_throttle_seconds_count{quota=\"consumer_byte_rate\"} 0\n") !=
          std::string::npos);
}

TEST_CASE("whatever is charged, nobody is faster than may be", "[server][model]") {
    rc::prop("any sizes, by one who waits as he is told", [] {
        const auto rate = *rc::gen::inRange<std::int64_t>(1, 2'000'000'000);
        const Catalogue catalogue =
            catalogue_with({{std::nullopt, {AlterQuota::Edit{producing, rate}}}});
        Metrics metrics;
        Quotas quotas(metrics, catalogue);
        Time now = Time() + 1h;
        const Time began = now;
        std::uint64_t bytes = 0, last = 0;
        for (int i = *rc::gen::inRange(1, 30); i > 0; --i) {
            last = *rc::gen::inRange<std::uint64_t>(0, static_cast<std::uint64_t>(rate) * 3);
            bytes += last;
            now += quotas.charge(producing, "any", last, now);
            // In millionths of what one second allows, and some for what is rounded each time.
            const auto taken = static_cast<std::uint64_t>((now - began + 1s) / 1us);
            RC_ASSERT(bytes / static_cast<std::uint64_t>(rate) <= taken / 1'000'000 + 1);
            now += *rc::gen::element<Duration>(0ms, 1ms, 3s);
        }
    });
}

TEST_CASE("accounts of clients that have left are forgotten, and their number is bounded",
          "[server]") {
    const Catalogue catalogue =
        catalogue_with({{std::nullopt, {AlterQuota::Edit{producing, 1000}}}});
    Metrics metrics;
    Quotas quotas(metrics, catalogue);
    Time now = Time() + 1h;
    for (std::size_t i = 0; i < Quotas::accounts_max + 100; ++i)
        (void)quotas.charge(producing, "client-" + std::to_string(i), 5000, now);
    CHECK(quotas.accounts() <= Quotas::accounts_max + 1);
    // Those who have none of their own share one.
    CHECK(quotas.owed(producing, "another", now) == Quotas::throttle_max);
    now += 1h;
    (void)quotas.charge(producing, "another", 1, now);
    CHECK(quotas.accounts() == 1);
}

TEST_CASE("quotas are described by who they are for", "[server]") {
    using Match = DescribeClientQuotasRequest::Match;
    Cluster cluster(3);
    Client client = cluster.connect(NodeId(2));
    CHECK(limit(client, "a", "producer_byte_rate", 100) == ErrorCode::none);
    CHECK(limit(client, "a", "consumer_byte_rate", 200) == ErrorCode::none);
    CHECK(limit(client, "b", "producer_byte_rate", 300) == ErrorCode::none);
    CHECK(limit(client, std::nullopt, "producer_byte_rate", 400) == ErrorCode::none);
    Client other = cluster.connect(NodeId(3));
    cluster.world.run_for(1s);
    for (const std::int16_t version : {0, 1})
        CHECK(described(other, {}, false, version).size() == 3);
    CHECK(described(other, {}, true).empty());
    CHECK(described(other, {{"client-id", Match::any, {}}}, true).size() == 3);
    const auto one = described(other, {{"client-id", Match::exact, "a"}}, true);
    REQUIRE(one.size() == 1);
    CHECK(one[0].entity == std::vector<QuotaEntity>{{"client-id", "a"}});
    REQUIRE(one[0].values.size() == 2);
    CHECK(one[0].values[0].value.whole() == 100);
    const auto all = described(other, {{"client-id", Match::by_default, {}}});
    REQUIRE(all.size() == 1);
    CHECK(all[0].entity == std::vector<QuotaEntity>{{"client-id", std::nullopt}});
    CHECK(described(other, {{"user", Match::any, {}}}).empty());
    CHECK(
        described(other, {{"user", Match::by_default, {}}, {"client-id", Match::any, {}}}).empty());
    const auto refused = [&](std::vector<DescribeClientQuotasRequest::Component> components) {
        DescribeClientQuotasRequest request;
        request.components = std::move(components);
        return client.ask(request, 1).error;
    };
    CHECK(refused({{"planet", Match::any, {}}}) == ErrorCode::invalid_request);
    CHECK(refused({{"user", Match::any, {}}, {"user", Match::any, {}}}) ==
          ErrorCode::invalid_request);
    CHECK(refused({{"client-id", Match::exact, {}}}) == ErrorCode::invalid_request);
    CHECK(refused({{"client-id", Match(7), {}}}) == ErrorCode::invalid_request);
    // They are there after all nodes have been away.
    for (const NodeId node : cluster.nodes) cluster.world.kill(node);
    for (const NodeId node : cluster.nodes) cluster.start(node);
    REQUIRE(cluster.until([&] { return cluster.all_ready(); }));
    Client again = cluster.connect(NodeId(1));
    CHECK(described(again, {}).size() == 3);
}

TEST_CASE("a quota that cannot be is refused by name", "[server]") {
    Cluster cluster;
    Client client = cluster.connect();
    const std::vector<QuotaEntity> me{{"client-id", "me"}};
    const auto error = [&](std::vector<QuotaEntity> entity, Operations operations) {
        return alter(client, std::move(entity), std::move(operations)).error;
    };
    const Float64 some = Float64::of(100);
    CHECK(alter(client, me, {{"request_percentage", some, false}}).error_message ==
          "\"request_percentage\" is no quota that there is here");
    CHECK(error(me, {{"producer_byte_rate", Float64::of(0), false}}) == ErrorCode::invalid_request);
    CHECK(error(me, {{"producer_byte_rate", Float64{0x3ff8000000000000}, false}}) ==
          ErrorCode::invalid_request);
    CHECK(error(me, {{"producer_byte_rate", some, false}, {"producer_byte_rate", some, true}}) ==
          ErrorCode::invalid_request);
    CHECK(error({}, {{"producer_byte_rate", some, false}}) == ErrorCode::invalid_request);
    CHECK(error({{"user", "me"}}, {{"producer_byte_rate", some, false}}) ==
          ErrorCode::invalid_request);
    CHECK(error({{"user", "me"}, {"client-id", "me"}}, {{"producer_byte_rate", some, false}}) ==
          ErrorCode::invalid_request);
    CHECK(error({{"client-id", std::string(300, 'x')}}, {{"producer_byte_rate", some, false}}) ==
          ErrorCode::invalid_request);
    for (const std::int16_t version : {0, 1})
        CHECK(alter(client, me, {{"producer_byte_rate", some, false}}, true, version).error ==
              ErrorCode::none);
    CHECK(described(client, {}).empty());
    AlterClientQuotasRequest twice;
    for (int i = 0; i < 2; ++i)
        twice.entries.push_back({me, {{"producer_byte_rate", some, false}}});
    const auto told = client.ask(twice, 1);
    CHECK(told.entries.at(0).error == ErrorCode::none);
    CHECK(told.entries.at(1).error == ErrorCode::invalid_request);
    CHECK(described(client, {}).size() == 1);
    CHECK(error(me, {{"producer_byte_rate", some, true}}) == ErrorCode::none);
    CHECK(described(client, {}).empty());
}

TEST_CASE("a producer that is too fast is answered at once, and not heard for a while",
          "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    Client admin = cluster.connect();
    CHECK(limit(admin, "slow", "producer_byte_rate", 10'000) == ErrorCode::none);
    cluster.world.run_for(2s); // No more than a second is saved up.
    Client client = cluster.connect();
    const auto first = ask_as(client, "slow", produce_sized(50'000), 9);
    CHECK(first.topics.at(0).partitions.at(0).error == ErrorCode::none);
    CHECK(first.throttle_time_ms > 3900);
    CHECK(first.throttle_time_ms < 4200);
    const Duration began = cluster.world.now();
    const auto second = ask_as(client, "slow", produce_sized(10), 9);
    CHECK(second.topics.at(0).partitions.at(0).error == ErrorCode::none);
    const Duration waited = cluster.world.now() - began;
    CHECK(waited > 3900ms);
    CHECK(waited < 4500ms);
    // Nor what was sent before the answer to the first came.
    cluster.world.run_for(30s);
    const Duration sent = cluster.world.now();
    std::vector<RequestHeader> asked;
    for (int i = 0; i < 5; ++i) {
        asked.push_back({ProduceRequest::key, 9, i, "slow"});
        client.write(encode_request(produce_sized(20'000), 9, i, "slow"));
    }
    for (const RequestHeader& header : asked) CHECK(client.receive<ProduceResponse>(header).ok());
    CHECK(cluster.world.now() - sent > 6900ms);
    // Another one is not disturbed.
    Client other = cluster.connect();
    const Duration now = cluster.world.now();
    CHECK(ask_as(other, "quick", produce_sized(50'000), 9).throttle_time_ms == 0);
    CHECK(ask_as(other, "quick", produce_sized(50'000), 9).throttle_time_ms == 0);
    CHECK(cluster.world.now() - now < soon);
}

TEST_CASE("a consumer that is too fast gets no more at once, and waits for the next", "[server]") {
    Cluster cluster;
    cluster.make_topic("log");
    Client writer = cluster.connect();
    for (int i = 0; i < 40; ++i) (void)ask_as(writer, "quick", produce_sized(5'000), 9);
    CHECK(limit(writer, std::nullopt, "consumer_byte_rate", 20'000) == ErrorCode::none);
    Client client = cluster.connect();
    Duration began = cluster.world.now();
    std::int64_t offset = 0;
    std::int32_t throttled = 0;
    while (offset < 40) {
        const auto told = ask_as(client, "slow", fetch_from(offset), 12);
        const auto& found = told.topics.at(0).partitions.at(0);
        CHECK(found.error == ErrorCode::none);
        CHECK(size_of(*found.records) <= 20'000);
        throttled = std::max(throttled, told.throttle_time_ms);
        Bytes rest = joined(*found.records);
        while (!rest.empty()) {
            (void)wire::RecordBatch::take_first(rest);
            ++offset;
        }
    }
    const Duration taken = cluster.world.now() - began;
    CHECK(throttled > 0);
    CHECK(taken > 8s); // 200 kB, of which a second's worth had been saved up.
    CHECK(taken < 13s);
    // By another connection he gets nothing meanwhile, and is told how long to wait.
    (void)ask_as(client, "slow", fetch_from(0), 12);
    (void)ask_as(client, "slow", fetch_from(0), 12);
    Client second = cluster.connect();
    began = cluster.world.now();
    const auto told = ask_as(second, "slow", fetch_from(0), 12);
    CHECK(told.throttle_time_ms > 0);
    CHECK(size_of(*told.topics.at(0).partitions.at(0).records) == 0);
    CHECK(cluster.world.now() - began < soon);
}
