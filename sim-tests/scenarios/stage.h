// sim-tests/scenarios/stage.h
//
// For directed histories: a polite cluster, one topic, and a client that does as it is told. The
// oracles watch as in any run. A scenario is a paragraph: what happens, in order, and what must be.
#pragma once

#include "core/wire/kafka/create_topics.h"
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/produce.h"
#include "core/wire/record_batch.h"
#include "sim-tests/check_cluster.h"
#include "sim-tests/cluster.h"
#include "sim-tests/kafka_client.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pyralog::simtest {

class Theatre {
public:
    static constexpr NodeId client{first_client.value + 1};
    static inline const TopicPartition stage_partition{"stage", 0};

    explicit Theatre(std::uint64_t seed, int nodes = 3, sim::Faults faults = {})
        : plan_(polite(seed, nodes, faults)), world(seed, plan_.faults), cluster(world, plan_),
          check_(cluster, media_, history_) {
        for (const NodeId node : cluster.nodes()) {
            world.add_host(node, kafka_address_of(node).host);
            media_.try_emplace(node, world.disk(node));
        }
        world.set_observer([this] {
            if (!finding) finding = cluster.observe();
            if (!finding) finding = check_.observe();
        });
        for (const NodeId node : cluster.nodes()) cluster.start(node);
    }
    ~Theatre() {
        world.set_observer({});
        for (const NodeId node : world.nodes()) world.kill(node);
    }

    // Runs `act` on the client until it says that it is done, trying again after each failure.
    // False if that takes longer than `most`, or if an oracle fires.
    using Act = std::function<Result<>(Environment&, KafkaClient&)>;
    bool perform(Act act, Duration most = 60s) {
        bool done = false;
        world.boot(client, [&](Environment& env) {
            KafkaClient kafka(env, cluster.kafka_addresses());
            while (!done) {
                {
                    const Deadline patience(env.fibers, env.clock.now() + 3s);
                    (void)kafka.refresh({}, false);
                    done = act(env, kafka).ok();
                }
                if (!done && !env.fibers.sleep_until(env.clock.now() + 50ms).ok()) return;
            }
        });
        const Duration end = world.now() + most;
        world.run_until(end, [&] { return finding || !world.running(client); });
        world.kill(client);
        return done && !finding;
    }

    bool make_topic() {
        return perform([](Environment&, KafkaClient& kafka) -> Result<> {
            if (kafka.partition(stage_partition)) return {};
            KafkaConnection* connection = TRY(kafka.any_connection());
            kafka::CreateTopicsRequest request;
            request.timeout_ms = 2000;
            request.topics.push_back({stage_partition.topic, 1, -1, {}, {}});
            const auto asked = TRY(connection->send(request, 4));
            (void)TRY(connection->receive<kafka::CreateTopicsResponse>(asked));
            return Error::unavailable; // Metadata has to show it.
        });
    }

    // One record, as often as it takes until one is stored; its offset.
    std::optional<std::int64_t> store(Acks acks = Acks::all, Duration most = 60s) {
        std::optional<std::int64_t> offset;
        perform(
            [&](Environment&, KafkaClient& kafka) -> Result<> {
                const auto known = kafka.partition(stage_partition);
                if (!known || known->leader < 0) return Error::unavailable;
                KafkaConnection* connection = TRY(kafka.connection(known->leader));
                Produce produce;
                produce.client = client.value;
                produce.connection = connection->number();
                produce.partition = history_.partition(stage_partition);
                produce.acks = acks;
                produce.first_number = ++numbers_;
                produce.records = 1;
                produce.replicas = known->replicas;
                produce.invoked = world.now();
                wire::RecordBatchBuilder builder;
                builder.add(std::nullopt, value_of({client.value, numbers_}, value_size_min));
                const Bytes batch = builder.build();
                produce.batch_crc =
                    std::get<wire::RecordBatch>(wire::RecordBatch::parse(batch)).header().crc;
                kafka::ProduceRequest request;
                request.acks = static_cast<std::int16_t>(acks);
                request.timeout_ms = 1000;
                request.topics.push_back({stage_partition.topic, {{0, batch}}});
                const std::size_t number = history_.invoke(produce);
                const auto asked = connection->send(request, 3);
                const auto answer = asked.ok()
                                        ? connection->receive<kafka::ProduceResponse>(asked.value())
                                        : Result<kafka::ProduceResponse>(asked.error());
                if (!answer.ok()) {
                    kafka.drop(connection);
                    return answer.error();
                }
                const auto& told = answer.value().topics.at(0).partitions.at(0);
                history_.completed(number, world.now(), outcome_of(told.error), told.base_offset);
                if (told.error != kafka::ErrorCode::none) return Error::unavailable;
                offset = told.base_offset;
                return {};
            },
            most);
        return offset;
    }

    // Everything there is, and what the history's judge says of it.
    std::string verdict() {
        auto log = read_all();
        if (finding) return std::string(finding->oracle) + ": " + finding->detail;
        if (!log) return "cannot be read";
        history_.read_all(history_.partition(stage_partition), {0, std::move(*log)});
        if (const auto bad = check_history(history_))
            return std::string(bad->oracle) + ": " + bad->detail;
        return "good";
    }

    // The node that leads the topic's partition, as the nodes themselves see it.
    std::optional<NodeId> leader() const {
        std::optional<NodeId> found;
        Term newest;
        for (const NodeId node : cluster.nodes()) {
            const raft::Host* host = cluster.host(node);
            if (!host) continue;
            for (const auto& [id, group] : host->groups())
                if (id != GroupId(0) && group->leads() && group->term() > newest) {
                    found = node;
                    newest = group->term();
                }
        }
        return found;
    }
    std::vector<NodeId> others(NodeId node) const {
        std::vector<NodeId> nodes = cluster.nodes();
        std::erase(nodes, node);
        return nodes;
    }

    const Plan plan_;
    sim::World world;
    Cluster cluster;
    std::optional<Finding> finding;

private:
    static Plan polite(std::uint64_t seed, int nodes, const sim::Faults& faults) {
        Plan plan;
        plan.seed = seed;
        plan.nodes = nodes;
        plan.faults = faults;
        plan.config.raft.election_timeout = 300ms;
        plan.config.raft.heartbeat_interval = 50ms;
        plan.config.journal.file_bytes = 256_KiB;
        plan.config.journal.journal_bytes_max = 8_MiB;
        return plan;
    }

    std::optional<std::vector<Fetch::Seen>> read_all() {
        // A record more, so that the end is known to hold all that came before.
        const auto last = store();
        if (!last) return {};
        std::vector<Fetch::Seen> log;
        const bool done = perform([&](Environment&, KafkaClient& kafka) -> Result<> {
            const auto known = kafka.partition(stage_partition);
            if (!known || known->leader < 0) return Error::unavailable;
            KafkaConnection* connection = TRY(kafka.connection(known->leader));
            while (static_cast<std::int64_t>(log.size()) <= *last) {
                kafka::FetchRequest request;
                request.max_wait_ms = 100;
                request.min_bytes = 1;
                kafka::FetchRequest::Partition wanted;
                wanted.fetch_offset = static_cast<std::int64_t>(log.size());
                wanted.max_bytes = 1 << 20;
                request.topics.push_back({stage_partition.topic, {wanted}});
                const auto answer = TRY(connection->call(request));
                if (answer.topics.size() != 1) return Error::unavailable;
                const auto seen = TRY(seen_in(answer.topics[0].partitions.at(0).records));
                if (seen.empty()) return Error::unavailable;
                for (const Fetch::Seen& record : seen)
                    if (record.offset >= wanted.fetch_offset) log.push_back(record);
            }
            return {};
        });
        if (!done) return {};
        return log;
    }

    std::map<NodeId, NodeMedia> media_;
    History history_;
    ClusterCheck check_;
    std::int64_t numbers_ = 0;
};

} // namespace pyralog::simtest
