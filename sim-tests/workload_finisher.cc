#include "sim-tests/workload_client.h"

#include "core/base/probe.h"
#include "core/wire/kafka/create_topics.h"
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/init_producer_id.h"
#include "core/wire/kafka/produce.h"
#include "core/wire/record_batch.h"

#include <algorithm>
#include <utility>

namespace pyralog::simtest {

using kafka::ErrorCode;

class Finisher : public Client {
public:
    Finisher(Workload& workload, Environment& env, NodeId self, std::vector<Address> bootstrap,
             const Workload::MayLeaveOut& may_leave_out)
        : Client(workload, env, "finisher", std::move(bootstrap)), self_(self),
          may_leave_out_(may_leave_out) {}

    void run() {
        std::vector<TopicPartition> wanted, answered;
        begin("a new topic");
        for (std::uint64_t attempts = 1;; ++attempts) {
            learn_all();
            if (!stale_ && has_new_topic()) break;
            {
                const Deadline patience(env_.fibers, env_.clock.now() + 5s);
                if (!create_new_topic().ok() && kafka_.controller())
                    kafka_.drop(*kafka_.controller());
            }
            if (!rest(pause_after_failure)) return;
            if (leaves_out(attempts, FinalStep::create, {std::string(final_topic), 0})) break;
        }
        for (const std::string& id : workload_.transactional_ids_)
            if (!settle(id)) return;
        for (const auto& [name, known] : kafka_.partitions())
            if (workload_.stays(name.topic)) wanted.push_back(name);
        for (const TopicPartition& name : wanted) {
            if (insist(name, FinalStep::store, [&] { return probe(name); }))
                answered.push_back(name);
            if (env_.fibers.cancelled()) return;
        }
        for (const TopicPartition& name : answered) {
            History::Log log;
            const bool done = insist(name, FinalStep::read, [&] { return read(name, log); });
            if (env_.fibers.cancelled()) return;
            if (done)
                workload_.history_.read_all(workload_.history_.partition(name), std::move(log));
        }
        for (int group = 0; group < plan().groups.all(); ++group)
            if (!settle_group(group)) return;
        if (plan().transform.instances > 0 && !see_how_far()) return;
        workload_.final_done_ = true;
    }

private:
    using FinalStep = Workload::FinalStep;
    static constexpr std::uint64_t attempts_before_asking = 4;
    static constexpr Duration group_patience = 12s; // More than a session and a rebalance take.

    void begin(std::string what) {
        workload_.final_waits_for_ = std::move(what);
        ++workload_.final_steps_;
    }

    bool leaves_out(std::uint64_t attempts, FinalStep step, const TopicPartition& name) const {
        return may_leave_out_ && attempts >= attempts_before_asking && may_leave_out_(step, name);
    }

    // Until it is done. False: cancelled, or it may be left out.
    template <class Attempt>
    bool insist(const TopicPartition& name, FinalStep step, Attempt attempt) {
        begin((step == FinalStep::store ? "a produce to " : "a read of ") + to_string(name));
        for (std::uint64_t attempts = 1;; ++attempts) {
            {
                const Deadline patience(env_.fibers, env_.clock.now() + 5s);
                if (attempt().ok()) return true;
            }
            if (const auto known = kafka_.partition(name)) kafka_.drop(known->leader);
            if (!rest(pause_after_failure)) return false;
            if (leaves_out(attempts, step, name)) return false;
            learn_all();
        }
    }

    // Until it is done, or may be left out. False: cancelled.
    template <class Attempt>
    bool insist_as(FinalStep step, const TopicPartition& name, Attempt attempt) {
        for (std::uint64_t attempts = 1;; ++attempts) {
            {
                const Deadline patience(env_.fibers, env_.clock.now() + 5s);
                if (attempt().ok()) return true;
            }
            if (!rest(pause_after_failure)) return false;
            if (leaves_out(attempts, step, name)) return true;
            learn_all(); // Who coordinates may be a broker that was not there before.
        }
    }

    // Whoever begins under it has to wait until all that was open is over.
    bool settle(const std::string& id) {
        begin("the beginning of " + id);
        kafka::InitProducerIdRequest request;
        request.transactional_id = id;
        request.transaction_timeout_ms = 60'000;
        return insist_as(FinalStep::transaction, {id, -1}, [&]() -> Result<> {
            const Duration invoked = now();
            const auto told = TRY(ask_coordinator(id, of_transactions, request));
            if (told.error != ErrorCode::none) return Error::unavailable;
            History& history = workload_.history_;
            history.named({id, told.producer_id, told.producer_epoch, invoked, now()});
            history.settled(id);
            return {};
        });
    }

    // By now nothing of it is open. False: cancelled.
    bool see_how_far() {
        const std::string group = plan().transform.members.name();
        begin("the offsets of " + group);
        for (const std::string& id : workload_.transactional_ids_)
            if (!workload_.history_.is_settled(id)) return true;
        for (const TopicPartition& name : workload_.transform_inputs(kafka_)) {
            const bool done = insist_as(FinalStep::group, {group, -1}, [&]() -> Result<> {
                const std::int64_t end = TRY(ask_place(group, name, true));
                workload_.history_.derived_up_to(
                    {group, workload_.history_.partition(name), std::max<std::int64_t>(end, 0)});
                return {};
            });
            if (!done) return false;
        }
        return true;
    }

    // Whoever was in it is gone, and is given up when his session is over. False: cancelled.
    bool settle_group(std::int32_t number) {
        const GroupPlan group = plan().groups.of(number);
        const TopicPartition name{group.name(), -1};
        begin("a member of " + group.name());
        const bool alone = number == plan().groups.groups;
        GroupClient member(group, {}, kafka_, workload_.history_, [this] { return now(); });
        for (std::uint64_t attempts = 1;; ++attempts) {
            learn_all();
            {
                const Deadline patience(env_.fibers, env_.clock.now() + group_patience);
                if (settle(member, alone).ok()) return true;
            }
            member.lose_coordinator();
            if (!rest(pause_after_failure)) return false;
            if (leaves_out(attempts, FinalStep::group, name)) return true;
        }
    }

    Result<> settle(GroupClient& member, bool alone) {
        if (!member.has_coordinator()) TRY(member.find());
        const std::vector<TopicPartition> all = workload_.group_partitions(kafka_);
        while (!alone && !member.is_in()) {
            const ErrorCode error = TRY(member.enter(all));
            if (error != ErrorCode::none && error != ErrorCode::member_id_required)
                return Error::unavailable;
        }
        for (const TopicPartition& partition : all) {
            const auto told = [&](ErrorCode error) -> Result<> {
                if (error != ErrorCode::none) return Error::unavailable;
                return {};
            };
            TRY(told(TRY(member.read(partition))));
            TRY(told(TRY(alone ? member.commit_alone(partition) : member.commit(partition))));
            TRY(told(TRY(member.read(partition))));
        }
        return {};
    }

    bool has_new_topic() const {
        return kafka_.partition({std::string(final_topic), 0}).has_value();
    }

    Result<> create_new_topic() {
        const auto known = kafka_.controller();
        KafkaConnection* connection =
            TRY(known ? kafka_.connection(*known) : kafka_.any_connection());
        kafka::CreateTopicsRequest request;
        request.timeout_ms = 3000;
        // On all of them: a majority is in every core.
        const auto replicas = static_cast<std::int16_t>(workload_.bootstrap_.size());
        request.topics.push_back({std::string(final_topic), 1, replicas, {}, {}});
        const auto asked = TRY(connection->send(request, 4));
        (void)TRY(connection->receive<kafka::CreateTopicsResponse>(asked)); // Metadata will tell.
        return {};
    }

    Result<KafkaConnection*> leader_of(const TopicPartition& name) {
        const auto known = kafka_.partition(name);
        if (!known || known->leader < 0) return Error::unavailable;
        return kafka_.connection(known->leader);
    }

    Result<> probe(const TopicPartition& name) {
        KafkaConnection* connection = TRY(leader_of(name));
        Produce produce;
        produce.client = self_.value;
        produce.connection = connection->number();
        produce.partition = workload_.history_.partition(name);
        // The last record of a partition stays, whatever becomes of those before it.
        while (deletes_key({self_.value, next_number_})) ++next_number_;
        produce.first_number = next_number_++;
        produce.records = 1;
        produce.replicas = kafka_.partition(name)->replicas;
        produce.invoked = now();
        wire::RecordBatchBuilder builder;
        add(builder, name.topic, {self_.value, produce.first_number}, value_size_min,
            env_.clock.wall().unix_ms);
        const Bytes batch = builder.build();
        const auto parsed = wire::RecordBatch::parse(batch);
        produce.batch_crc = std::get<wire::RecordBatch>(parsed).header().crc;
        kafka::ProduceRequest request;
        request.acks = static_cast<std::int16_t>(Acks::all);
        request.timeout_ms = 3000;
        request.topics.push_back({name.topic, {{name.partition, batch}}});
        const std::size_t number = workload_.history_.invoke(produce);
        const auto asked = TRY(connection->send(request, 3));
        const auto answer = TRY(connection->receive<kafka::ProduceResponse>(asked));
        if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1)
            return Error::malformed;
        const auto& told = answer.topics[0].partitions[0];
        workload_.history_.completed(number, now(), outcome_of(told.error), told.base_offset);
        if (told.error != ErrorCode::none) return Error::unavailable;
        ends_[name] = told.base_offset + 1;
        return {};
    }

    // A log that is compacted meanwhile is none that ever was: so it is read until it is the same
    // twice. It only loses records, so it was like this when the second time began.
    Result<> read(const TopicPartition& name, History::Log& log) {
        if (!workload_.is_compacted(name.topic)) return read_once(name, log);
        for (;;) {
            History::Log before = std::exchange(log, {});
            TRY(read_once(name, log));
            if (std::ranges::equal(before.records, log.records)) return {};
            SOMETIMES(!before.records.empty(), "client/log-was-compacted-while-it-was-read");
        }
    }

    // All of it from where it begins, up to the record that probe() wrote. What is deleted
    // meanwhile is not waited for.
    Result<> read_once(const TopicPartition& name, History::Log& log) {
        KafkaConnection* connection = TRY(leader_of(name));
        if (log.records.empty()) log.start = TRY(ask_start(*connection, name, self_));
        std::int64_t next = log.records.empty() ? log.start : log.records.back().offset + 1;
        while (next < ends_.at(name)) {
            kafka::FetchRequest request;
            request.max_wait_ms = 100;
            request.min_bytes = 1;
            kafka::FetchRequest::Partition wanted;
            wanted.index = name.partition;
            wanted.fetch_offset = next;
            wanted.max_bytes = 1 << 20;
            request.topics.push_back({name.topic, {wanted}});
            const auto answer = TRY(connection->call(request));
            if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1)
                return Error::malformed;
            const auto& told = answer.topics[0].partitions[0];
            if (told.error == ErrorCode::offset_out_of_range) log.records.clear();
            if (told.error != ErrorCode::none) return Error::unavailable;
            const auto seen = TRY(seen_in(told.records));
            if (seen.empty()) return Error::unavailable;
            for (const Fetch::Seen& record : seen)
                if (record.offset >= next) log.records.push_back(record);
            next = *end_of(told.records);
        }
        return {};
    }

    const NodeId self_;
    const Workload::MayLeaveOut& may_leave_out_;
    std::int64_t next_number_ = 1;
    std::map<TopicPartition, std::int64_t> ends_;
};

std::function<void(Environment&)>
Workload::final_program(NodeId node, std::vector<Address> bootstrap, MayLeaveOut may_leave_out) {
    return [this, node, bootstrap = std::move(bootstrap), may_leave_out = std::move(may_leave_out)](
               Environment& env) { Finisher(*this, env, node, bootstrap, may_leave_out).run(); };
}

} // namespace pyralog::simtest
