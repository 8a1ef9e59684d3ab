#include "sim-tests/workload_client.h"

#include "core/base/probe.h"
#include "core/wire/kafka/produce.h"
#include "core/wire/record_batch.h"

namespace pyralog::simtest {

using kafka::ErrorCode;

namespace {

constexpr int pipeline_max = 6;

} // namespace

class Producer : public Client {
public:
    Producer(Workload& workload, Environment& env, NodeId self)
        : Client(workload, env, "producer"), self_(self) {}

    void run() {
        while (think()) {
            learn();
            const auto target = pick();
            if (!target) {
                if (!rest(pause_after_failure)) return;
                continue;
            }
            const bool pipelined = often(random_, plan().pipelined_percent);
            const auto count = pipelined ? random_.between(2, pipeline_max) : 1;
            if (!send(*target, static_cast<int>(count)).ok()) stale_ = true;
        }
    }

private:
    struct Sent {
        std::size_t produce;
        kafka::RequestHeader asked;
        bool answered; // Nobody answers to acks = 0.
    };

    // Several requests before the first answer, all on one connection.
    Result<> send(const Target& target, int count) {
        const Deadline patience(env_.fibers, env_.clock.now() + plan().patience);
        // Some records go to a node that is not the leader, or is so no longer.
        std::int32_t broker = target.known.leader;
        if (often(random_, 3) && !kafka_.brokers().empty()) {
            const auto brokers = kafka_.brokers();
            broker = brokers[random_.below(brokers.size())];
        }
        KafkaConnection* connection = TRY(kafka_.connection(broker));
        SOMETIMES(count > 1, "client/pipelines");
        SOMETIMES(broker != target.known.leader, "client/produces-to-another-broker");
        const Result<> done = converse(*connection, target, count);
        if (!done.ok()) kafka_.drop(broker);
        return done;
    }

    Result<> converse(KafkaConnection& connection, const Target& target, int count) {
        std::vector<Sent> sent;
        for (int i = 0; i < count; ++i)
            if (auto one = TRY(send_one(connection, target)); one.answered) sent.push_back(one);
        for (const Sent& one : sent) {
            const auto answer = TRY(connection.receive<kafka::ProduceResponse>(one.asked));
            TRY(note(one.produce, target, answer));
        }
        return {};
    }

    Result<Sent> send_one(KafkaConnection& connection, const Target& target) {
        Produce produce;
        produce.client = self_.value;
        produce.connection = connection.number();
        produce.partition = workload_.history_.partition(target.name);
        const std::uint64_t kind = random_.below(10);
        produce.acks = kind == 0 ? Acks::none : kind == 1 ? Acks::leader : Acks::all;
        produce.records = static_cast<std::int32_t>(random_.between(1, plan().records_max));
        produce.first_number = next_number_;
        produce.replicas = target.known.replicas;
        next_number_ += produce.records;

        wire::RecordBatchBuilder builder;
        for (std::int32_t i = 0; i < produce.records; ++i) {
            const auto size = static_cast<std::size_t>(
                random_.between(1, static_cast<std::int64_t>(plan().value_bytes_max)));
            const Ident ident{self_.value, produce.first_number + i};
            add(builder, target.name.topic, ident, workload_.room_for(size),
                env_.clock.wall().unix_ms + i);
        }
        const Bytes batch = builder.build();
        const auto parsed = wire::RecordBatch::parse(batch);
        produce.batch_crc = std::get<wire::RecordBatch>(parsed).header().crc;
        SOMETIMES(produce.records == 1, "client/sends-one-record");
        SOMETIMES(batch.size() > 32'000, "client/sends-a-large-batch");
        SOMETIMES(produce.acks == Acks::none, "client/waits-for-nobody");
        SOMETIMES(produce.acks == Acks::leader, "client/waits-for-the-leader");

        kafka::ProduceRequest request;
        request.acks = static_cast<std::int16_t>(produce.acks);
        const std::int64_t patience_ms = plan().patience / 1ms;
        request.timeout_ms = static_cast<std::int32_t>(random_.between(1, 2 * patience_ms));
        request.topics.push_back({target.name.topic, {{target.name.partition, batch}}});
        produce.invoked = now();
        const std::size_t number = workload_.history_.invoke(produce);
        // Before version 3 there were no record batches.
        const auto asked = TRY(connection.send(request, 3));
        return Sent{number, asked, produce.acks != Acks::none};
    }

    Result<> note(std::size_t produce, const Target& target, const kafka::ProduceResponse& answer) {
        if (answer.topics.size() != 1 || answer.topics[0].name != target.name.topic ||
            answer.topics[0].partitions.size() != 1 ||
            answer.topics[0].partitions[0].index != target.name.partition)
            return Error::malformed;
        const auto& told = answer.topics[0].partitions[0];
        if (told.error != ErrorCode::none) stale_ = true;
        workload_.history_.completed(produce, now(), outcome_of(told.error), told.base_offset);
        return {};
    }

    const NodeId self_;
    std::int64_t next_number_ = 1;
};

void Workload::produce(Environment& env, NodeId self) { Producer(*this, env, self).run(); }

} // namespace pyralog::simtest
