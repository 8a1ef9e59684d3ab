#include "server/fetch_sessions.h"

#include "core/wire/kafka/produce.h"
#include "core/wire/record_batch.h"
#include "server/test_cluster.h"

#include <set>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace pyralog;
using namespace pyralog::server;
using namespace pyralog::wire::kafka;

namespace {

using LogName = std::pair<std::string, std::int32_t>;

FetchRequest::Partition wanted(std::int32_t index, std::int64_t offset) {
    FetchRequest::Partition partition;
    partition.index = index;
    partition.fetch_offset = offset;
    partition.max_bytes = 1 << 20;
    return partition;
}

FetchRequest request_of(std::int32_t id, std::int32_t epoch, const std::vector<LogName>& names) {
    FetchRequest request;
    request.session_id = id;
    request.session_epoch = epoch;
    for (const auto& [topic, index] : names) request.topics.push_back({topic, {wanted(index, 0)}});
    return request;
}

// Logs, and what a broker says of them; records are a byte each, and an answer has so many at most.
struct Logs {
    struct Log {
        std::int64_t start = 0, end = 0, stable = 0;
        bool is_led = true;
    };
    std::map<LogName, Log> logs;
    std::size_t room = 4;

    FetchResponse look(const FetchRequest& request) const {
        FetchResponse response;
        std::size_t left = room;
        for (const auto& topic : request.topics) {
            response.topics.push_back({topic.name, {}});
            for (const auto& partition : topic.partitions) {
                FetchResponse::Partition found;
                found.index = partition.index;
                found.records = BytesChain();
                const auto log = logs.find({topic.name, partition.index});
                if (log == logs.end() || !log->second.is_led) {
                    found.error = ErrorCode::not_leader_or_follower;
                    found.high_watermark = -1;
                } else {
                    found.high_watermark = log->second.end;
                    found.last_stable_offset = log->second.stable;
                    found.log_start_offset = log->second.start;
                    const auto there =
                        static_cast<std::size_t>(log->second.end - partition.fetch_offset);
                    const std::size_t count = std::min(there, left);
                    if (count > 0)
                        found.records->push_back(Bytes::copy_of(std::string(count, 'x')));
                    left -= count;
                }
                response.topics.back().partitions.push_back(std::move(found));
            }
        }
        return response;
    }
};

// A consumer as Java's: it says what has changed since it last said it, and keeps what it was told.
struct Consumer {
    struct Known {
        std::int64_t offset = 0;
        std::int64_t high_watermark = -2, stable = -2, start = -2;
        ErrorCode error = ErrorCode::none;
    };
    std::map<LogName, Known> known;
    std::map<LogName, std::int64_t> told; // To the broker: where it reads.
    std::set<LogName> dropped;
    std::int32_t id = 0;
    std::int32_t epoch = 0;

    FetchRequest next() {
        FetchRequest request;
        request.session_id = id;
        request.session_epoch = epoch;
        if (epoch == 0) told.clear();
        for (const auto& [name, partition] : known) {
            const auto before = told.find(name);
            if (before != told.end() && before->second == partition.offset) continue;
            request.topics.push_back({name.first, {wanted(name.second, partition.offset)}});
            told[name] = partition.offset;
        }
        if (epoch > 0)
            for (const LogName& name : dropped)
                request.forgotten_topics.push_back({name.first, {name.second}});
        for (const LogName& name : dropped) told.erase(name);
        dropped.clear();
        return request;
    }
    void take(const FetchResponse& response) {
        if (response.error != ErrorCode::none) {
            id = epoch = 0;
            return;
        }
        id = response.session_id;
        epoch = id == 0 ? 0 : epoch + 1;
        for (const auto& topic : response.topics) {
            for (const auto& partition : topic.partitions) {
                Known& mine = known.at({topic.name, partition.index});
                mine.error = partition.error;
                mine.high_watermark = partition.high_watermark;
                mine.stable = partition.last_stable_offset;
                mine.start = partition.log_start_offset;
                mine.offset += static_cast<std::int64_t>(size_of(*partition.records));
            }
        }
    }
};

} // namespace

TEST_CASE("a session is asked for, goes on by its epoch, and is closed", "[server]") {
    Metrics metrics;
    FetchSessions sessions(metrics, 10, 1_MiB);
    Random random(1);
    FetchRequest plain = request_of(0, -1, {{"a", 0}});
    CHECK(sessions.begin(plain, Time(), random).id == 0);
    CHECK(sessions.size() == 0);
    FetchRequest first = request_of(0, 0, {{"a", 0}, {"b", 3}});
    const auto use = sessions.begin(first, Time(), random);
    REQUIRE(use.id > 0);
    CHECK_FALSE(use.is_incremental);
    const auto go_on = [&](std::int32_t id, std::int32_t epoch,
                           const std::vector<LogName>& names = {}) {
        FetchRequest request = request_of(id, epoch, names);
        const auto found = sessions.begin(request, Time(), random);
        return std::pair(found.error, request.topics.size());
    };
    CHECK(go_on(use.id, 2).first == ErrorCode::invalid_fetch_session_epoch);
    CHECK(go_on(use.id + 1, 1).first == ErrorCode::fetch_session_id_not_found);
    CHECK(go_on(0, 1).first == ErrorCode::fetch_session_id_not_found);
    CHECK(go_on(use.id, 1) == std::pair(ErrorCode::none, std::size_t(2)));
    CHECK(go_on(use.id, 1).first == ErrorCode::invalid_fetch_session_epoch);
    CHECK(go_on(use.id, 2, {{"c", 0}}) == std::pair(ErrorCode::none, std::size_t(3)));
    FetchRequest less = request_of(use.id, 3, {});
    less.forgotten_topics = {{"a", {0, 7}}, {"nothing", {1}}};
    CHECK(sessions.begin(less, Time(), random).id == use.id);
    CHECK(less.topics.size() == 2);
    // Begun anew, it has another id.
    FetchRequest anew = request_of(use.id, 0, {{"a", 0}});
    const auto other = sessions.begin(anew, Time(), random);
    CHECK(other.id != use.id);
    CHECK(sessions.size() == 1);
    FetchRequest last = request_of(other.id, -1, {{"a", 0}});
    CHECK(sessions.begin(last, Time(), random).id == 0);
    CHECK(last.topics.size() == 1);
    CHECK(sessions.size() == 0);
    CHECK(sessions.bytes() == 0);
}

TEST_CASE("a session without partitions is none", "[server]") {
    Metrics metrics;
    FetchSessions sessions(metrics, 10, 1_MiB);
    Random random(1);
    FetchRequest none = request_of(0, 0, {});
    CHECK(sessions.begin(none, Time(), random).id == 0);
    FetchRequest some = request_of(0, 0, {{"a", 0}});
    const std::int32_t id = sessions.begin(some, Time(), random).id;
    FetchRequest less = request_of(id, 1, {});
    less.forgotten_topics = {{"a", {0}}};
    const auto use = sessions.begin(less, Time(), random);
    CHECK(use.error == ErrorCode::none);
    CHECK(use.id == 0);
    CHECK(less.topics.empty());
    CHECK(sessions.size() == 0);
}

TEST_CASE("there are as many sessions as may be, and old or small ones make room", "[server]") {
    Metrics metrics;
    FetchSessions sessions(metrics, 2, 1_MiB);
    Random random(1);
    Time now{};
    const auto begin = [&](int partitions) {
        std::vector<LogName> names;
        for (int i = 0; i < partitions; ++i) names.emplace_back("a", i);
        FetchRequest request = request_of(0, 0, names);
        return sessions.begin(request, now, random).id;
    };
    const auto is_there = [&](std::int32_t id, std::int32_t epoch) {
        FetchRequest request = request_of(id, epoch, {});
        return sessions.begin(request, now, random).error == ErrorCode::none;
    };
    const std::int32_t large = begin(5);
    const std::int32_t small = begin(2);
    CHECK(begin(9) == 0); // Both are young.
    now += FetchSessions::evictable_after + 1s;
    CHECK(is_there(large, 1));
    CHECK(is_there(small, 1));
    CHECK(begin(2) == 0); // No larger than the smallest.
    const std::int32_t larger = begin(3);
    CHECK(larger != 0);
    CHECK_FALSE(is_there(small, 2));
    CHECK(is_there(large, 2));
    now += FetchSessions::evictable_after + 1s;
    CHECK(is_there(large, 3));
    CHECK(begin(1) != 0); // Nobody has used the other one.
    CHECK_FALSE(is_there(larger, 1));
    CHECK(is_there(large, 4));
    FetchSessions none(metrics, 0, 1_MiB);
    FetchRequest request = request_of(0, 0, {{"a", 0}});
    CHECK(none.begin(request, now, random).id == 0);
    CHECK(metrics.total("pyralog_fetch_sessions_begun_total") == 4);
    CHECK(metrics.total("pyralog_fetch_sessions_evicted_total") == 2);
    CHECK(metrics.total("pyralog_fetch_sessions_refused_total") == 3);
}

TEST_CASE("sessions take no more memory than may be", "[server]") {
    constexpr std::size_t most = 20'000;
    Metrics metrics;
    FetchSessions sessions(metrics, 1000, most);
    Random random(1);
    std::int32_t id = 0, begun = 0;
    for (int i = 0; i < 100; ++i) {
        FetchRequest request = request_of(0, 0, {{std::string(1000, 'a'), 0}});
        const auto use = sessions.begin(request, Time(), random);
        CHECK(sessions.bytes() <= most);
        if (use.id == 0) continue;
        id = use.id;
        ++begun;
    }
    CHECK(begun == 17);
    FetchRequest more = request_of(id, 1, {{std::string(5000, 'b'), 0}});
    CHECK(sessions.begin(more, Time(), random).error == ErrorCode::fetch_session_id_not_found);
    CHECK(sessions.bytes() <= most);
    CHECK(sessions.size() == 16);
    std::vector<LogName> names;
    for (int i = 0; i < 200; ++i) names.emplace_back("c", i);
    FetchRequest huge = request_of(0, 0, names);
    CHECK(sessions.begin(huge, Time() + 1h, random).id == 0);
    CHECK(sessions.size() == 16);
    CHECK(metrics.total("pyralog_fetch_sessions_begun_total") == 17);
    CHECK(metrics.total("pyralog_fetch_sessions_evicted_total") == 1);
    CHECK(metrics.total("pyralog_fetch_sessions_refused_total") == 100 - 17 + 1);
}

TEST_CASE("all partitions have their turn when not all of them fit into an answer", "[server]") {
    Metrics metrics;
    FetchSessions sessions(metrics, 10, 1_MiB);
    Random random(1);
    Logs logs;
    logs.room = 1;
    Consumer consumer;
    for (const LogName& name :
         {LogName("a", 0), LogName("a", 1), LogName("b", 0), LogName("b", 5)}) {
        logs.logs[name].end = 1000;
        consumer.known[name];
    }
    for (int i = 0; i < 40; ++i) {
        FetchRequest request = consumer.next();
        const auto use = sessions.begin(request, Time(), random);
        FetchResponse response = logs.look(request);
        sessions.end(use, response);
        consumer.take(response);
    }
    for (const auto& [name, known] : consumer.known) {
        CHECK(known.offset >= 9);
        CHECK(known.offset <= 11);
    }
}

namespace {

// A broker's sessions, logs and one consumer, to whom anything may happen.
struct World {
    Metrics metrics;
    FetchSessions sessions{metrics, *rc::gen::inRange(0, 3),
                           *rc::gen::inRange<std::size_t>(300, 3000)};
    Random random{*rc::gen::arbitrary<std::uint64_t>()};
    Logs logs;
    Consumer consumer;
    Time now{};

    static LogName any_name() {
        return {*rc::gen::element<std::string>("a", "b"), *rc::gen::inRange(0, 3)};
    }

    // Of what an incremental answer tells, something was not known.
    static void check_new(const FetchSessions::Use& use,
                          const std::map<LogName, Consumer::Known>& before,
                          const FetchResponse& response) {
        if (!use.is_incremental) return;
        for (const auto& topic : response.topics) {
            for (const auto& partition : topic.partitions) {
                const Consumer::Known& mine = before.at({topic.name, partition.index});
                RC_ASSERT((size_of(*partition.records) > 0 || partition.error != ErrorCode::none ||
                           mine.error != ErrorCode::none ||
                           mine.high_watermark != partition.high_watermark ||
                           mine.stable != partition.last_stable_offset ||
                           mine.start != partition.log_start_offset));
            }
        }
    }

    // What the consumer has been told must add up to what a full answer says.
    void fetch() {
        FetchRequest request = consumer.next();
        const bool was_known = request.session_epoch > 0;
        const auto use = sessions.begin(request, now, random);
        FetchResponse response =
            use.error == ErrorCode::none ? logs.look(request) : FetchResponse();
        const FetchResponse full = response;
        const auto before = consumer.known;
        sessions.end(use, response);
        consumer.take(response);
        if (use.error != ErrorCode::none) return;
        if (use.is_incremental) RC_ASSERT(was_known);
        check_new(use, before, response);
        std::size_t asked = 0;
        for (const auto& topic : full.topics) {
            for (const auto& partition : topic.partitions) {
                ++asked;
                const auto& mine = consumer.known.at({topic.name, partition.index});
                RC_ASSERT(mine.high_watermark == partition.high_watermark);
                RC_ASSERT(mine.stable == partition.last_stable_offset);
                RC_ASSERT(mine.start == partition.log_start_offset);
                RC_ASSERT(mine.error == partition.error);
            }
        }
        if (use.id != 0) RC_ASSERT(asked == consumer.known.size());
    }

    void act() {
        Logs::Log& log = logs.logs[any_name()];
        const LogName name = any_name();
        switch (*rc::gen::inRange(0, 10)) {
        case 0: log.end += *rc::gen::inRange(1, 9); return;
        case 1: log.is_led = !log.is_led; return;
        case 2: log.start = std::min(log.start + 1, log.end); return;
        case 3: log.stable = log.end; return;
        case 4: // If the session has forgotten that it was read before.
            if (!consumer.told.contains(name)) consumer.known[name];
            return;
        case 5:
            if (consumer.known.erase(name) > 0 && consumer.told.contains(name))
                consumer.dropped.insert(name);
            return;
        case 6: consumer.id = consumer.epoch = 0; return;
        case 7: { // Another client takes the room.
            now += *rc::gen::element<Duration>(1s, 200s);
            FetchRequest other = request_of(0, 0, {{"a", 0}, {"a", 1}, {"z", 2}});
            sessions.begin(other, now, random);
            return;
        }
        default: return fetch();
        }
    }
};

} // namespace

TEST_CASE("a session tells in the end all that full answers do, and nothing twice",
          "[server][model]") {
    rc::prop("whatever happens to logs, sessions and what is read", [] {
        World world;
        world.logs.room = *rc::gen::inRange<std::size_t>(1, 9);
        for (int i = *rc::gen::inRange(0, 60); i > 0; --i) world.act();
        for (auto& [each, log] : world.logs.logs) log.is_led = true;
        for (const auto& [each, known] : world.consumer.known) world.logs.logs[each];
        for (int i = 0; i < 700; ++i) world.fetch();
        for (const auto& [each, known] : world.consumer.known) {
            RC_ASSERT(known.error == ErrorCode::none);
            RC_ASSERT(known.offset == world.logs.logs[each].end);
            RC_ASSERT(known.high_watermark == world.logs.logs[each].end);
        }
    });
}

namespace {

FetchRequest session_fetch(std::int64_t offset, std::int32_t id, std::int32_t epoch) {
    FetchRequest request = request_of(id, epoch, {});
    request.max_wait_ms = 10;
    request.min_bytes = 1;
    request.max_bytes = 1 << 20;
    for (std::int32_t i = 0; i < 3; ++i)
        request.topics.push_back({"log", {wanted(i, i == 1 ? offset : 0)}});
    return request;
}

} // namespace

TEST_CASE("a broker tells a client with a session what is new, in each version that has them",
          "[server]") {
    Cluster cluster;
    cluster.make_topic("log", 3);
    Client client = cluster.connect();
    for (std::int16_t version = 7; version <= 12; ++version) {
        const auto first = client.ask(session_fetch(version - 7, 0, 0), version);
        REQUIRE(first.session_id != 0);
        REQUIRE(first.topics.size() == 3);
        const auto nothing = client.ask(request_of(first.session_id, 1, {}), version);
        CHECK(nothing.session_id == first.session_id);
        CHECK(nothing.topics.empty());
        ProduceRequest produce;
        produce.acks = -1;
        produce.timeout_ms = 5000;
        wire::RecordBatchBuilder builder;
        builder.add({}, "value", 1);
        produce.topics.push_back({"log", {{1, builder.build()}}});
        client.ask(produce, 9);
        FetchRequest next = request_of(first.session_id, 2, {});
        next.max_bytes = 1 << 20;
        const auto some = client.ask(next, version);
        REQUIRE(some.topics.size() == 1);
        REQUIRE(some.topics[0].partitions.size() == 1);
        CHECK(some.topics[0].partitions[0].index == 1);
        CHECK(size_of(*some.topics[0].partitions[0].records) > 0);
        const auto late = client.ask(request_of(first.session_id, 2, {}), version);
        CHECK(late.error == ErrorCode::invalid_fetch_session_epoch);
        CHECK(late.session_id == 0);
        const auto closed = client.ask(session_fetch(0, first.session_id, -1), version);
        CHECK(closed.session_id == 0);
        CHECK(closed.topics.size() == 3);
        const auto gone = client.ask(request_of(first.session_id, 3, {}), version);
        CHECK(gone.error == ErrorCode::fetch_session_id_not_found);
    }
    CHECK(client.ask(session_fetch(0, 0, -1), 6).topics.size() == 3);
}
