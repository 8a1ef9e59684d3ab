#include "sim-tests/workload_client.h"

#include "core/base/probe.h"
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/list_offsets.h"

namespace pyralog::simtest {

using kafka::ErrorCode;

class Consumer : public Client {
public:
    Consumer(Workload& workload, Environment& env, NodeId self)
        : Client(workload, env, "consumer"), self_(self) {}

    void run() {
        while (think()) {
            learn();
            const auto target = pick();
            if (!target) {
                if (!rest(pause_after_failure)) return;
                continue;
            }
            const Result<> done =
                often(random_, 10) ? ask_end(*target) : fetch(*target, target->known.leader);
            if (done.ok()) continue;
            kafka_.drop(target->known.leader);
            stale_ = true;
        }
    }

private:
    Result<> ask_end(const Target& target) {
        const Deadline patience(env_.fibers, env_.clock.now() + plan().patience);
        KafkaConnection* connection = TRY(kafka_.connection(target.known.leader));
        kafka::ListOffsetsRequest request;
        request.topics.push_back(
            {target.name.topic, {{target.name.partition, -1, kafka::ListOffsetsRequest::latest}}});
        const Duration invoked = now();
        const auto answer = TRY(connection->call(request));
        if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1)
            return Error::malformed;
        const auto& told = answer.topics[0].partitions[0];
        if (told.error != ErrorCode::none) return Error::unavailable;
        workload_.history_.asked({self_.value, workload_.history_.partition(target.name), invoked,
                                  now(), told.offset, told.leader_epoch});
        return {};
    }

    Result<> fetch(const Target& target, std::int32_t broker) {
        const Deadline patience(env_.fibers, env_.clock.now() + plan().patience);
        KafkaConnection* connection = TRY(kafka_.connection(broker));
        std::int64_t& next = next_[target.name];
        if (next > 0 && often(random_, 5)) next = random_.between(0, next);
        kafka::FetchRequest request;
        request.max_wait_ms = static_cast<std::int32_t>(random_.between(0, 500));
        request.min_bytes = static_cast<std::int32_t>(random_.between(0, 2000));
        request.max_bytes = static_cast<std::int32_t>(random_.between(1, 200'000));
        kafka::FetchRequest::Partition wanted;
        wanted.index = target.name.partition;
        wanted.fetch_offset = next;
        wanted.max_bytes = static_cast<std::int32_t>(random_.between(1, 100'000));
        request.topics.push_back({target.name.topic, {wanted}});

        Fetch fetch;
        fetch.client = self_.value;
        fetch.connection = connection->number();
        fetch.partition = workload_.history_.partition(target.name);
        fetch.from = next;
        fetch.invoked = now();
        const bool any = plan().transactors > 0 || plan().transform.instances > 0;
        const bool counting = any && often(random_, 50);
        if (counting) request.isolation_level = 1;
        const auto answer = TRY(connection->call(request));
        if (answer.error != ErrorCode::none || answer.topics.size() != 1 ||
            answer.topics[0].partitions.size() != 1)
            return Error::unavailable;
        const auto& told = answer.topics[0].partitions[0];
        if (told.error == ErrorCode::offset_out_of_range)
            next = TRY(ask_start(*connection, target.name, self_));
        if (told.error != ErrorCode::none) return Error::unavailable;
        SOMETIMES(!told.records || size_of(*told.records) == 0, "client/fetched-nothing-new");
        fetch.completed = now();
        fetch.high_watermark = told.high_watermark;
        fetch.log_start = told.log_start_offset;
        fetch.seen = TRY(seen_in(told.records));
        SOMETIMES(!fetch.seen.empty() && fetch.seen.front().offset < fetch.from,
                  "client/fetched-from-the-middle-of-a-batch");
        next = end_of(told.records).value_or(next);
        if (counting) {
            workload_.history_.saw_counting({self_.value, fetch.partition, TRY(counting_in(told))});
        }
        workload_.history_.saw(std::move(fetch));
        return {};
    }

private:
    const NodeId self_;
    std::map<TopicPartition, std::int64_t> next_;
};

void Workload::consume(Environment& env, NodeId self) { Consumer(*this, env, self).run(); }

} // namespace pyralog::simtest
