// A transactional producer: batches to several partitions, which all count or none does. He sends
// each until he is told, and ends what he began, or leaves it and begins anew under the same name,
// which fences whoever had it; now and then two have one name.
#include "sim-tests/workload_client.h"

#include "core/base/probe.h"
#include "core/wire/kafka/add_partitions_to_txn.h"
#include "core/wire/kafka/end_txn.h"
#include "core/wire/kafka/init_producer_id.h"
#include "core/wire/kafka/produce.h"

namespace pyralog::simtest {

using kafka::ErrorCode;

namespace {

constexpr std::int8_t transactional = 1;
constexpr int attempts_max = 12;
constexpr Duration goes_most = 50ms;

// And what they do within a transaction.
bool may_pass(ErrorCode error) {
    switch (error) {
    case ErrorCode::coordinator_load_in_progress:
    case ErrorCode::coordinator_not_available:
    case ErrorCode::not_coordinator:
    case ErrorCode::operation_not_attempted:
    case ErrorCode::concurrent_transactions: return true;
    default: return is_for_now(error);
    }
}

} // namespace

class Transactor : public Client {
public:
    Transactor(Workload& workload, Environment& env, NodeId self)
        : Client(workload, env, "transactor"), self_(self),
          name_("transactor-" + std::to_string(often(random_, 30) ? 0 : self.value)) {}

    void run() {
        while (think()) {
            learn();
            if (producer_ < 0 && !begin().ok()) {
                if (!rest(pause_after_failure)) return;
                continue;
            }
            if (producer_ >= 0 && !transact()) producer_ = -1;
            if (env_.fibers.cancelled()) return;
        }
    }

private:
    using Parts = std::vector<TopicPartition>;

    // Asks whoever coordinates, until there is an answer for good. Nothing: there was none.
    template <class Request>
    std::optional<typename Request::Response>
    ask(const Request& request, std::int16_t version_min,
        ErrorCode (*error_of)(const typename Request::Response&)) {
        for (int i = 0; i < attempts_max; ++i) {
            const auto told = ask_once(request, version_min);
            if (told.ok() && !may_pass(error_of(told.value()))) return told.value();
            if (!rest(pause_after_failure)) return {};
        }
        return {};
    }
    template <class Request>
    Result<typename Request::Response> ask_once(const Request& request, std::int16_t version_min) {
        const Deadline patience(env_.fibers, env_.clock.now() + plan().patience);
        const auto coordinator = TRY(kafka_.find_coordinator(name_, transactional));
        KafkaConnection* const connection = TRY(kafka_.connection(coordinator.node));
        const auto asked = connection->send(request, version_min);
        auto told = asked.ok() ? connection->receive<typename Request::Response>(asked.value())
                               : Result<typename Request::Response>(asked.error());
        if (!told.ok()) kafka_.drop(coordinator.node);
        return told;
    }

    Result<> begin() {
        kafka::InitProducerIdRequest request;
        request.transactional_id = name_;
        request.transaction_timeout_ms = static_cast<std::int32_t>(random_.between(200, 20'000));
        const auto told = ask(request, 0, [](const auto& answer) { return answer.error; });
        if (!told || told->error != ErrorCode::none) return Error::unavailable;
        set_name(told->producer_id, told->producer_epoch);
        return {};
    }

    void set_name(std::int64_t producer, std::int16_t epoch) {
        producer_ = producer;
        epoch_ = epoch;
        sequences_.clear();
        lines_.clear();
    }

    // False: this name is not to be used any more.
    bool transact() {
        Parts parts;
        const auto most = random_.between(1, 3);
        for (std::int64_t i = 0; i < most; ++i) {
            const auto target = pick_of([&](const TopicPartition& name) {
                return !workload_.is_compacted(name.topic) && workload_.stays(name.topic) &&
                       std::ranges::find(parts, name) == parts.end();
            });
            if (target) parts.push_back(target->name);
        }
        if (parts.empty()) return rest(pause_after_failure);
        if (!add(parts)) return false;
        Transaction transaction;
        transaction.client = self_.value;
        transaction.producer = producer_;
        const std::size_t number = workload_.history_.begun(transaction);
        bool is_whole = true;
        for (const TopicPartition& name : parts)
            for (std::int64_t i = random_.between(1, 2); i > 0 && is_whole; --i)
                is_whole = send(number, name);
        SOMETIMES(!is_whole, "client/cannot-send-all-of-a-transaction");
        if (often(random_, 5)) return false; // He goes, and leaves it open.
        return end(number, is_whole && !often(random_, 30)) && is_whole;
    }

    bool add(const Parts& parts) {
        kafka::AddPartitionsToTxnRequest request;
        auto& one = request.transaction;
        one.transactional_id = name_;
        one.producer_id = producer_;
        one.producer_epoch = epoch_;
        for (const TopicPartition& name : parts)
            one.topics.push_back({name.topic, {name.partition}});
        request.transactions.push_back(one);
        const auto told = ask(request, 0, [](const auto& answer) {
            const auto& topics =
                answer.transactions.empty() ? answer.topics : answer.transactions[0].topics;
            for (const auto& topic : topics)
                for (const auto& partition : topic.partitions)
                    if (partition.error != ErrorCode::none) return partition.error;
            return answer.error;
        });
        if (!told) return false;
        const auto& topics =
            told->transactions.empty() ? told->topics : told->transactions[0].topics;
        return std::ranges::all_of(topics, [](const auto& topic) {
            return topic.partitions.size() == 1 && topic.partitions[0].error == ErrorCode::none;
        });
    }

    bool send(std::size_t transaction, const TopicPartition& name) {
        const auto known = kafka_.partition(name);
        Produce produce;
        produce.client = self_.value;
        std::int64_t& line = lines_[name];
        if (line == 0) line = next_line_++;
        produce.connection = -line;
        produce.in_sequence = true;
        produce.partition = workload_.history_.partition(name);
        produce.records = static_cast<std::int32_t>(random_.between(1, plan().records_max));
        produce.first_number = next_number_;
        produce.replicas = known ? known->replicas : 0;
        next_number_ += produce.records;
        std::int32_t& sequence = sequences_[name];
        wire::RecordBatchBuilder builder;
        builder.from(producer_, epoch_, sequence).mark(wire::BatchHeader::transactional_bit);
        for (std::int32_t i = 0; i < produce.records; ++i)
            add_record(builder, name.topic, {self_.value, produce.first_number + i});
        const Bytes bytes = builder.build();
        const auto parsed = wire::RecordBatch::parse(bytes);
        produce.batch_crc = std::get<wire::RecordBatch>(parsed).header().crc;
        produce.invoked = now();
        const std::size_t number = workload_.history_.invoke(produce);
        workload_.history_.has_part(transaction, number);
        sequence += produce.records;
        return insist(name, bytes, number);
    }

    void add_record(wire::RecordBatchBuilder& builder, const std::string& topic, Ident ident) {
        const auto size = static_cast<std::size_t>(
            random_.between(1, static_cast<std::int64_t>(plan().value_bytes_max)));
        Client::add(builder, topic, ident, workload_.room_for(size), env_.clock.wall().unix_ms);
    }

    bool insist(const TopicPartition& name, const Bytes& bytes, std::size_t number) {
        kafka::ProduceRequest request;
        request.acks = static_cast<std::int16_t>(Acks::all);
        request.timeout_ms = static_cast<std::int32_t>(plan().patience / 1ms);
        request.transactional_id = name_;
        request.topics.push_back({name.topic, {{name.partition, bytes}}});
        for (int i = 0; i < attempts_max; ++i) {
            const auto told = produce_once(name, request);
            if (told.ok() && told.value().error == ErrorCode::none) {
                workload_.history_.completed(number, now(), Outcome::stored,
                                             told.value().base_offset);
                return true;
            }
            if (told.ok() && !may_pass(told.value().error)) return false;
            stale_ = true;
            if (!rest(pause_after_failure)) return false;
            learn();
        }
        return false;
    }
    Result<kafka::ProduceResponse::Partition> produce_once(const TopicPartition& name,
                                                           const kafka::ProduceRequest& request) {
        const Deadline patience(env_.fibers, env_.clock.now() + plan().patience);
        const auto known = kafka_.partition(name);
        if (!known || known->leader < 0) return Error::unavailable;
        KafkaConnection* const connection = TRY(kafka_.connection(known->leader));
        const auto asked = connection->send(request, 3);
        auto told = asked.ok() ? connection->receive<kafka::ProduceResponse>(asked.value())
                               : Result<kafka::ProduceResponse>(asked.error());
        if (!told.ok()) kafka_.drop(known->leader);
        const auto answer = TRY(std::move(told));
        if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1)
            return Error::malformed;
        return answer.topics[0].partitions[0];
    }

    // False: nobody knows what became of it, or the name is over.
    bool end(std::size_t transaction, bool commits) {
        kafka::EndTxnRequest request{name_, producer_, epoch_, commits};
        constexpr std::int16_t bumps_from = 5;
        const std::int16_t version_min = often(random_, 50) ? bumps_from : std::int16_t{0};
        workload_.history_.asks_for_end();
        // He goes, without hearing what becomes of it; his successor has it aborted, if it has not
        // come to its end before.
        if (often(random_, 20)) {
            const Deadline patience(env_.fibers,
                                    env_.clock.now() + random_.between(Duration(1ms), goes_most));
            (void)ask_once(request, version_min);
            return false;
        }
        const auto told =
            ask(request, version_min, [](const auto& answer) { return answer.error; });
        if (!told || told->error != ErrorCode::none) return false;
        using Outcome = Transaction::Outcome;
        workload_.history_.ended(transaction, commits ? Outcome::committed : Outcome::aborted);
        // KIP-890: he goes on in another epoch.
        if (told->producer_id >= 0) set_name(told->producer_id, told->producer_epoch);
        return true;
    }

    const NodeId self_;
    const std::string name_;
    std::int64_t producer_ = -1;
    std::int16_t epoch_ = -1;
    std::map<TopicPartition, std::int32_t> sequences_;
    std::map<TopicPartition, std::int64_t> lines_;
    std::int64_t next_number_ = 1;
    std::int64_t next_line_ = 1;
};

void Workload::transact(Environment& env, NodeId self) { Transactor(*this, env, self).run(); }

} // namespace pyralog::simtest
