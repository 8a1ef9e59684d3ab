// sim-tests/workload_client.h
//
// What producers, consumers, the admin and the vandal have in common: a fiber's Environment, a
// KafkaClient that finds the brokers, the plan, and how long they wait. Lives on the stack of the
// client's program.
#pragma once

#include "core/wire/record_batch.h"
#include "sim-tests/workload.h"

namespace pyralog::simtest {

// What clients try again by themselves.
bool is_for_now(wire::kafka::ErrorCode error);

constexpr Duration pause_after_failure = 50ms;
constexpr Duration metadata_age_max = 2s;
constexpr std::string_view final_topic = "final";
constexpr std::string_view derived_topic = "derived";     // Of records made from records.
constexpr std::int8_t of_groups = 0, of_transactions = 1; // Kinds of coordinators.
constexpr std::string_view passing_prefix = "passing-";   // Of topics that the admin soon deletes.

class Client {
public:
    Client(Workload& workload, Environment& env, std::string_view what)
        : Client(workload, env, what, workload.bootstrap_) {}
    Client(Workload& workload, Environment& env, std::string_view what,
           std::vector<Address> bootstrap)
        : workload_(workload), env_(env), random_(env.random.fork(what)),
          kafka_(env, std::move(bootstrap)) {}

    const WorkloadPlan& plan() const { return workload_.plan_; }
    Duration now() const { return workload_.now_(); }

    // False: cancelled.
    bool rest(Duration time) { return env_.fibers.sleep_until(env_.clock.now() + time).ok(); }
    bool think() {
        const Duration most = plan().think_time * 2;
        return rest(random_.between(Duration{0}, most));
    }

    // From time to time, and after a failure.
    void learn() {
        if (!stale_ && env_.clock.now() < learnt_ + metadata_age_max) return;
        // Topics of the plan that may be created by asking are asked for by name.
        std::vector<std::string> wanted;
        if (random_.chance(1, 2))
            for (const TopicPlan& topic : plan().topics)
                if (topic.auto_created) wanted.push_back(topic.name);
        ask_for(wanted);
    }
    // At once, and of all topics there are.
    void learn_all() { ask_for({}); }

    // Asks whoever coordinates this.
    template <class Request>
    Result<typename Request::Response> ask_coordinator(const std::string& key, std::int8_t type,
                                                       const Request& request,
                                                       std::int16_t version_min = 0) {
        const Deadline patience(env_.fibers, env_.clock.now() + plan().patience);
        const auto coordinator = TRY(kafka_.find_coordinator(key, type));
        KafkaConnection* const connection = TRY(kafka_.connection(coordinator.node));
        const auto asked = connection->send(request, version_min);
        auto told = asked.ok() ? connection->receive<typename Request::Response>(asked.value())
                               : Result<typename Request::Response>(asked.error());
        if (!told.ok()) kafka_.drop(coordinator.node);
        return told;
    }

    // A record that says who it is; with a key, if the topic is compacted.
    void add(wire::RecordBatchBuilder& builder, const std::string& topic, Ident ident,
             std::size_t size, std::int64_t timestamp) const;

    // Where a partition begins; told to the history as well.
    Result<std::int64_t> ask_start(KafkaConnection& connection, const TopicPartition& name,
                                   NodeId self);

    // What a group has committed; less than zero: nothing. If it must be stable, there is no answer
    // while a transaction may yet change it.
    Result<std::int64_t> ask_place(const std::string& group, const TopicPartition& name,
                                   bool is_stable);

    // A partition whose leader is known; nothing if there is none.
    struct Target {
        TopicPartition name;
        KafkaClient::Partition known;
    };
    std::optional<Target> pick() {
        return pick_of([](const TopicPartition&) { return true; });
    }
    template <class Wanted>
    std::optional<Target> pick_of(const Wanted& wanted) {
        std::vector<Target> targets;
        for (const auto& [name, known] : kafka_.partitions())
            if (known.leader >= 0 && wanted(name)) targets.push_back({name, known});
        if (targets.empty()) {
            stale_ = true;
            return {};
        }
        return targets[random_.below(targets.size())];
    }

    Workload& workload_;
    Environment& env_;
    Random random_;
    KafkaClient kafka_;
    bool stale_ = true;

private:
    void ask_for(const std::vector<std::string>& topics) {
        const Deadline patience(env_.fibers, env_.clock.now() + plan().patience);
        const Result<> told = kafka_.refresh(topics, !topics.empty());
        stale_ = !told.ok();
        if (told.ok()) learnt_ = env_.clock.now();
    }

    Time learnt_;
};

} // namespace pyralog::simtest
