#include "sim-tests/workload_client.h"

#include "core/base/probe.h"
#include "core/wire/kafka/create_topics.h"
#include "core/wire/kafka/delete_topics.h"

#include <algorithm>

namespace pyralog::simtest {

using kafka::ErrorCode;

class Admin : public Client {
public:
    Admin(Workload& workload, Environment& env) : Client(workload, env, "admin") {}

    void run() {
        std::vector<std::string> made_at_once;
        for (const TopicPlan& topic : plan().topics) {
            for (int attempt = 0; !topic.auto_created; ++attempt) {
                const auto told = make(topic);
                if (attempt == 0 && told.ok() && told.value() == ErrorCode::none)
                    made_at_once.push_back(topic.name);
                if (told.ok() && (told.value() == ErrorCode::none ||
                                  told.value() == ErrorCode::topic_already_exists))
                    break;
                if (!rest(4 * pause_after_failure)) return;
            }
        }
        if (!rest(plan().deletes_after)) return;
        for (const TopicPlan& topic : plan().topics)
            // An earlier attempt to create it, thought lost, could bring it back.
            if (topic.deleted && std::ranges::find(made_at_once, topic.name) != made_at_once.end())
                remove(topic.name);
        for (int i = 0; i < plan().passing_topics; ++i)
            if (!pass(std::string(passing_prefix) + std::to_string(i))) return;
    }

private:
    static constexpr Duration pass_most = 4s; // Some clients get to know it.

    Result<KafkaConnection*> controller() {
        const auto known = kafka_.controller();
        return known ? kafka_.connection(*known) : kafka_.any_connection();
    }

    Result<ErrorCode> make(const TopicPlan& topic) {
        stale_ = true;
        learn();
        const Result<ErrorCode> told = ask_for(topic);
        if (!told.ok() && kafka_.controller()) kafka_.drop(*kafka_.controller());
        return told;
    }

    Result<ErrorCode> ask_for(const TopicPlan& topic) {
        const Deadline patience(env_.fibers, env_.clock.now() + plan().patience);
        KafkaConnection* const connection = TRY(controller());
        kafka::CreateTopicsRequest request;
        request.timeout_ms = static_cast<std::int32_t>(plan().patience / 1ms);
        request.topics.push_back({topic.name, topic.partitions, topic.replication, {}, {}});
        const auto set = [&](std::string name, std::int64_t value) {
            if (value < 0) return;
            request.topics.back().configs.push_back({std::move(name), std::to_string(value)});
        };
        set("retention.ms", topic.retention_ms);
        set("retention.bytes", topic.retention_bytes);
        set("segment.bytes", topic.segment_bytes);
        set("delete.retention.ms", topic.delete_retention_ms);
        if (topic.compacted) {
            const char* const policy = topic.expires() ? "compact,delete" : "compact";
            request.topics.back().configs.push_back({"cleanup.policy", policy});
            request.topics.back().configs.push_back({"min.cleanable.dirty.ratio", "0.1"});
        }
        // Before version 4 nobody can leave the number of replicas to the broker.
        const auto asked = TRY(connection->send(request, 4));
        const auto answer = TRY(connection->receive<kafka::CreateTopicsResponse>(asked));
        if (answer.topics.size() != 1) return Error::malformed;
        return answer.topics[0].error;
    }

    // Comes and goes, if it comes at once. False: cancelled.
    bool pass(const std::string& name) {
        const auto told = make({name, 1, -1, false, true});
        const bool made = told.ok() && told.value() == ErrorCode::none;
        if (!rest(random_.between(Duration{0}, pass_most))) return false;
        if (made) remove(name);
        return rest(random_.between(Duration{0}, pass_most));
    }

    // Whether it was deleted is open in any case. Now and then two brokers are asked at once.
    void remove(const std::string& name) {
        workload_.deleting_.push_back(name);
        const Deadline patience(env_.fibers, env_.clock.now() + plan().patience);
        kafka::DeleteTopicsRequest request;
        request.topic_names = {name};
        request.topics.push_back({name, {}});
        request.timeout_ms = static_cast<std::int32_t>(plan().patience / 1ms);
        struct Asked {
            std::unique_ptr<KafkaConnection> connection;
            kafka::RequestHeader header;
        };
        std::vector<Asked> asked;
        const auto ask = [&](std::int32_t broker) {
            auto connection = kafka_.open(broker);
            if (!connection.ok()) return;
            const auto sent = connection.value()->send(request);
            if (sent.ok()) asked.push_back({std::move(connection.value()), sent.value()});
        };
        const auto brokers = kafka_.brokers();
        if (brokers.empty()) return;
        const std::int32_t some = brokers[random_.below(brokers.size())];
        ask(kafka_.controller().value_or(some));
        if (random_.chance(1, 2)) ask(some);
        SOMETIMES(asked.size() > 1, "client/deletes-a-topic-twice-at-once");
        for (const Asked& one : asked)
            (void)one.connection->receive<kafka::DeleteTopicsResponse>(one.header);
    }
};

void Workload::administer(Environment& env) { Admin(*this, env).run(); }

} // namespace pyralog::simtest
