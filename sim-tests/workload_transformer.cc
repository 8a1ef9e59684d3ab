// Reads what counts of some partitions, makes a record of each record there, and moves the offsets
// of his group, all in one transaction: so that of each record one is made, whatever happens on the
// way. Either several share a transactional id, and the last to begin under it is the one who goes
// on; or each has one of his own, and a group says whose a partition is (KIP-447).
#include "sim-tests/transactional_client.h"

#include "core/base/probe.h"
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/offset_fetch.h"
#include "sim-tests/group_client.h"

namespace pyralog::simtest {

using kafka::ErrorCode;

class Transformer : public TransactionalClient {
public:
    Transformer(Workload& workload, Environment& env, NodeId self, int number)
        : TransactionalClient(workload, env, "transformer", self,
                              "transformer-" + std::to_string(id_of(workload, number))),
          lane_(id_of(workload, number)), by_group_(plan().transform.by_group),
          members_(plan().transform.members, {}, kafka_, workload.history_,
                   [this] { return now(); }) {}

    void run() {
        while (think()) {
            learn();
            if (!turn()) {
                self_ = {};
                places_.clear();
                members_.lose_coordinator();
                if (!rest(pause_after_failure)) return;
            }
        }
    }

private:
    static int id_of(const Workload& workload, int number) {
        const TransformPlan& plan = workload.plan().transform;
        return plan.by_group ? number : number % plan.lanes;
    }
    std::string group() const { return plan().transform.members.name(); }

    // False: he begins anew.
    bool turn() {
        if (!self_.is_known() && !begin().ok()) return false;
        if (by_group_ && !take_part().ok()) return false;
        if (by_group_ && !members_.is_in()) return true;
        const auto input = pick_of([&](const TopicPartition& name) { return is_mine(name); });
        if (!input) return rest(pause_after_failure);
        const auto place = where(input->name);
        if (!place.ok()) return false;
        const auto read = fetch(*input, place.value());
        if (!read.ok()) {
            kafka_.drop(input->known.leader);
            stale_ = true;
            places_.erase(input->name);
            return true;
        }
        if (read.value().next == place.value()) return true;
        if (transform(input->name, read.value())) return true;
        places_.clear();
        return false;
    }

    // A place in the group, or what is next on the way to it.
    Result<> take_part() {
        const Deadline patience(env_.fibers, env_.clock.now() + plan().patience +
                                                 2 * plan().transform.members.rebalance_timeout);
        if (!members_.has_coordinator()) TRY(members_.find());
        if (!members_.is_in()) {
            places_.clear();
            (void)TRY(members_.enter(workload_.transform_inputs(kafka_)));
            return {};
        }
        if (often(random_, 30)) (void)TRY(members_.heartbeat());
        return {};
    }

    bool is_mine(const TopicPartition& name) const {
        if (by_group_) return std::ranges::find(members_.share(), name) != members_.share().end();
        const auto all = workload_.transform_inputs(kafka_);
        if (std::ranges::find(all, name) == all.end()) return false;
        return (name.topic.back() + name.partition) % plan().transform.lanes == lane_;
    }

    // Where the group is. What it is told while a transaction of another is open counts no more
    // soon, so whoever has no id to fence him by has to wait.
    Result<std::int64_t> where(const TopicPartition& name) {
        if (const auto known = places_.find(name); known != places_.end()) return known->second;
        const bool is_stable = by_group_ || often(random_, 50);
        std::int64_t place = TRY(ask_place(group(), name, is_stable));
        if (place < 0) {
            const auto known = kafka_.partition(name);
            if (!known || known->leader < 0) return Error::unavailable;
            const Deadline patience(env_.fibers, env_.clock.now() + plan().patience);
            place = TRY(ask_start(*TRY(kafka_.connection(known->leader)), name, node_));
        }
        return places_[name] = place;
    }

    struct Read {
        std::vector<Fetch::Seen> seen;
        std::int64_t next = 0;
    };
    Result<Read> fetch(const Target& target, std::int64_t from) {
        const Deadline patience(env_.fibers, env_.clock.now() + plan().patience);
        KafkaConnection* const connection = TRY(kafka_.connection(target.known.leader));
        kafka::FetchRequest request;
        request.max_wait_ms = static_cast<std::int32_t>(random_.between(0, 100));
        request.min_bytes = 1;
        request.isolation_level = 1;
        kafka::FetchRequest::Partition wanted;
        wanted.index = target.name.partition;
        wanted.fetch_offset = from;
        wanted.max_bytes = static_cast<std::int32_t>(random_.between(1, 20'000));
        request.topics.push_back({target.name.topic, {wanted}});
        const auto answer = TRY(connection->call(request));
        if (answer.error != ErrorCode::none || answer.topics.size() != 1 ||
            answer.topics[0].partitions.size() != 1)
            return Error::unavailable;
        const auto& told = answer.topics[0].partitions[0];
        if (told.error == ErrorCode::offset_out_of_range) {
            // What is gone before anybody has made anything of it is made nothing of.
            const std::int64_t start = TRY(ask_start(*connection, target.name, node_));
            if (start <= from) return Error::unavailable;
            return Read{{}, start};
        }
        if (told.error != ErrorCode::none) return Error::unavailable;
        Read read{TRY(counting_in(told)), end_of(told.records).value_or(from)};
        std::erase_if(read.seen, [&](const Fetch::Seen& record) { return record.offset < from; });
        workload_.history_.saw_counting(
            {node_.value, workload_.history_.partition(target.name), read.seen});
        return read;
    }

    // False: it is open what became of it.
    bool transform(const TopicPartition& input, const Read& read) {
        const std::size_t transaction = open();
        const bool offsets_first = often(random_, 30);
        if (offsets_first && !move(input, read.next)) return false;
        if (!read.seen.empty() && !make(transaction, input, read.seen)) return false;
        const bool sleeps_late = often(random_, 50);
        if (!sleeps_late && !perhaps_sleep()) return false;
        if (!offsets_first && !move(input, read.next)) return false;
        if (sleeps_late && !perhaps_sleep()) return false;
        if (often(random_, 5)) return false; // He goes, and leaves it open.
        const bool commits = !often(random_, 15);
        if (often(random_, 10)) {
            end_and_go(commits);
            return false;
        }
        if (!end(transaction, commits)) return false;
        if (commits)
            places_[input] = read.next;
        else
            places_.erase(input);
        return true;
    }

    // Until somebody else has begun in his place, or has his share.
    bool perhaps_sleep() {
        if (!often(random_, by_group_ ? 10 : 4)) return true;
        REACHABLE("client/falls-asleep-in-a-transaction");
        if (by_group_ && members_.has_coordinator() && often(random_, 50)) {
            const Deadline patience(env_.fibers, env_.clock.now() + plan().patience);
            (void)members_.leave();
        }
        return rest(random_.between(Duration{0}, nap_most));
    }

    bool move(const TopicPartition& input, std::int64_t next) {
        const Committer who =
            by_group_ ? Committer{members_.id(), members_.generation()} : Committer();
        return add_offsets(group()) && commit_offset(group(), who, input, next);
    }

    // Of each record one, in order, in a few batches to any partitions of the topic for that.
    bool make(std::size_t transaction, const TopicPartition& input,
              const std::vector<Fetch::Seen>& seen) {
        Parts outputs;
        for (const auto& [name, known] : kafka_.partitions())
            if (name.topic == derived_topic) outputs.push_back(name);
        if (outputs.empty()) return false;
        if (outputs.size() > 1 && often(random_, 50))
            outputs = {outputs[random_.below(outputs.size())]};
        if (!add(outputs)) return false;
        const std::int32_t partition = workload_.history_.partition(input);
        for (std::size_t done = 0; done < seen.size();) {
            const std::size_t most = std::min<std::size_t>(seen.size() - done, records_at_once);
            const auto count = 1 + random_.below(most);
            const TopicPartition& output = outputs[random_.below(outputs.size())];
            const std::int32_t into = workload_.history_.partition(output);
            const auto made = [&](std::int32_t record, Ident ident) {
                const std::int64_t offset = seen[done + static_cast<std::size_t>(record)].offset;
                workload_.history_.derived({group(), partition, offset, into, ident});
            };
            if (!send(transaction, output, static_cast<std::int32_t>(count), made)) return false;
            done += count;
        }
        return true;
    }

    static constexpr Duration nap_most = 3s;
    static constexpr std::size_t records_at_once = 64;

    const int lane_;
    const bool by_group_;
    GroupClient members_;
    std::map<TopicPartition, std::int64_t> places_; // As far as all is known.
};

void Workload::transform(Environment& env, NodeId self, int number) {
    Transformer(*this, env, self, number).run();
}

std::vector<TopicPartition> Workload::transform_inputs(const KafkaClient& kafka) const {
    std::vector<TopicPartition> inputs = group_partitions(kafka);
    std::erase_if(inputs, [](const TopicPartition& name) { return name.topic == derived_topic; });
    return inputs;
}

} // namespace pyralog::simtest
