#include "sim-tests/workload_client.h"

#include "core/base/probe.h"
#include "core/wire/kafka/delete_records.h"

#include <algorithm>

namespace pyralog::simtest {

using kafka::ErrorCode;

// Deletes the first records of some topics: a few most of the time, so that there is much left to
// judge.
class Pruner : public Client {
public:
    Pruner(Workload& workload, Environment& env, NodeId self)
        : Client(workload, env, "pruner"), self_(self) {}

    void run() {
        const auto wanted = [&](const TopicPartition& name) {
            return std::ranges::any_of(plan().topics, [&](const TopicPlan& topic) {
                return topic.pruned && topic.name == name.topic;
            });
        };
        while (rest(random_.between(Duration{0}, 2 * plan().prunes_every))) {
            learn();
            const auto target = pick_of(wanted);
            if (!target || prune(*target).ok()) continue;
            kafka_.drop(target->known.leader);
            stale_ = true;
        }
    }

private:
    std::int64_t draw_offset(std::int64_t start) {
        switch (random_.below(20)) {
        case 0: return kafka::DeleteRecordsRequest::all;
        case 1: return start + 1'000'000; // There are not so many.
        case 2: return random_.between(0, start);
        default: return start + random_.between(1, often(random_, 20) ? 100 : 10);
        }
    }

    Result<> prune(const Target& target) {
        const Deadline patience(env_.fibers, env_.clock.now() + plan().patience);
        KafkaConnection* const connection = TRY(kafka_.connection(target.known.leader));
        const std::int64_t start = TRY(ask_start(*connection, target.name, self_));
        // Some ask again before they are answered, perhaps for less: then both are agreed on at
        // once.
        std::vector<Asked> asked;
        for (int left = often(random_, 25) ? 2 : 1; left > 0; --left)
            asked.push_back(TRY(ask_to_delete(*connection, target.name, draw_offset(start))));
        for (const Asked& one : asked) TRY(hear(*connection, one));
        return {};
    }

    struct Asked {
        kafka::RequestHeader call;
        std::int32_t partition = 0;
        std::int64_t before = 0;
    };

    Result<Asked> ask_to_delete(KafkaConnection& connection, const TopicPartition& name,
                                std::int64_t before) {
        kafka::DeleteRecordsRequest request;
        request.timeout_ms = static_cast<std::int32_t>(random_.between(1, plan().patience / 1ms));
        request.topics.push_back({name.topic, {{name.partition, before}}});
        History& history = workload_.history_;
        const std::int32_t partition = history.partition(name);
        history.deletes({partition, before});
        return Asked{TRY(connection.send(request)), partition, before};
    }

    Result<> hear(KafkaConnection& connection, const Asked& asked) {
        const auto answer = TRY(connection.receive<kafka::DeleteRecordsResponse>(asked.call));
        if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1)
            return Error::malformed;
        const auto& told = answer.topics[0].partitions[0];
        SOMETIMES(told.error == ErrorCode::offset_out_of_range, "client/prunes-more-than-there-is");
        SOMETIMES(told.error == ErrorCode::none, "client/prunes");
        if (told.error == ErrorCode::offset_out_of_range) return {};
        if (told.error != ErrorCode::none) return Error::unavailable;
        workload_.history_.told(
            {self_.value, asked.partition, now(), told.low_watermark, asked.before});
        return {};
    }

    const NodeId self_;
};

void Workload::prune(Environment& env, NodeId self) { Pruner(*this, env, self).run(); }

} // namespace pyralog::simtest
