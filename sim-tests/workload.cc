#include "sim-tests/workload.h"

#include "core/base/probe.h"
#include "core/wire/kafka/create_topics.h"
#include "core/wire/kafka/delete_topics.h"
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/list_offsets.h"
#include "core/wire/kafka/produce.h"
#include "core/wire/record_batch.h"
#include "sim-tests/explorer.h"

#include <algorithm>
#include <limits>

namespace pyralog::simtest {

using kafka::ErrorCode;

namespace {

constexpr Duration pause_after_failure = 50ms;
constexpr Duration metadata_age_max = 2s;
constexpr int pipeline_max = 6;
constexpr std::string_view final_topic = "final";
// Of values on all disks, if each node has all. Much of it is there twice: the journal has it too.
constexpr std::size_t stored_bytes_max = 24_MiB;
constexpr std::string_view passing_prefix = "passing-";

// Percent of the time.
bool often(Random& random, std::uint64_t percent) { return random.chance(percent, 100); }

} // namespace

Outcome outcome_of(ErrorCode error) {
    switch (error) {
    case ErrorCode::none: return Outcome::stored;
    case ErrorCode::corrupt_message:
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::message_too_large:
    case ErrorCode::invalid_topic:
    case ErrorCode::not_enough_replicas:
    case ErrorCode::kafka_storage_error:
    case ErrorCode::invalid_required_acks:
    case ErrorCode::unsupported_version:
    case ErrorCode::invalid_request:
    case ErrorCode::unsupported_for_message_format:
    case ErrorCode::unsupported_compression_type:
    case ErrorCode::invalid_record:
    case ErrorCode::not_leader_or_follower: return Outcome::refused;
    // Among them NOT_ENOUGH_REPLICAS_AFTER_APPEND: a deposed leader's successor may have it.
    default: return Outcome::unknown;
    }
}

Result<std::vector<Fetch::Seen>> seen_in(const std::optional<BytesChain>& records) {
    std::vector<Fetch::Seen> seen;
    if (!records) return seen;
    Bytes rest = joined(*records);
    while (!rest.empty()) {
        auto batch = wire::RecordBatch::take_first(rest);
        if (std::holds_alternative<wire::BatchFlaw>(batch)) break;
        const auto& whole = std::get<wire::RecordBatch>(batch);
        if (whole.header().compression() != wire::Compression::none) return Error::unavailable;
        wire::RecordReader reader(whole);
        while (const std::optional<wire::Record> record = TRY(reader.next())) {
            const auto ident = record->value ? ident_of(record->value->text()) : std::nullopt;
            seen.push_back({record->offset.value, ident.value_or(Ident())});
        }
    }
    return seen;
}

WorkloadPlan draw_workload(Random random, int nodes) {
    WorkloadPlan plan;
    const auto topics = random.between(1, 3);
    for (std::int64_t i = 0; i < topics; ++i) {
        TopicPlan& topic = plan.topics.emplace_back();
        topic.name = "topic-" + std::to_string(i);
        topic.partitions = static_cast<std::int32_t>(random.between(1, 3));
        topic.auto_created = i > 0 && often(random, 30);
        topic.deleted = i > 0 && !topic.auto_created && often(random, 30);
        if (often(random, 40))
            topic.replication = static_cast<std::int16_t>(random.between(1, std::min(nodes, 5)));
        // A partition on one node stands still while that node is down, and so shows little.
        if (topic.replication == 1 && nodes > 1 && !often(random, 25)) topic.replication = -1;
    }
    plan.producers = static_cast<int>(random.between(1, 3));
    plan.consumers = static_cast<int>(random.between(0, 2));
    plan.vandal = often(random, 30);
    plan.think_time = Duration(1ms) * random.between(1, 40);
    plan.patience = Duration(1ms) * random.between(200, 8000);
    plan.records_max = static_cast<std::int32_t>(random.between(1, 12));
    plan.value_bytes_max = often(random, 25) ? random.between(2000, 9000) : random.between(40, 600);
    plan.pipelined_percent = static_cast<std::uint32_t>(random.between(0, 60));
    plan.explorer = often(random, 40);
    plan.deletes_after = Duration(1ms) * random.between(500, 8000);
    plan.prober = often(random, 55);
    plan.sent_bytes_max = stored_bytes_max / static_cast<std::size_t>(nodes);
    if (often(random, 30)) plan.passing_topics = static_cast<int>(random.between(2, 8));
    return plan;
}

std::size_t Workload::room_for(std::size_t size) {
    if (size > plan_.sent_bytes_max - sent_bytes_) return value_size_min;
    sent_bytes_ += size;
    return size;
}

bool Workload::deleting(const std::string& topic) const {
    return std::ranges::find(deleting_, topic) != deleting_.end();
}

bool Workload::stays(const std::string& topic) const {
    return !deleting(topic) && !topic.starts_with(passing_prefix);
}

// What producers, consumers and the admin have in common.
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
        const Deadline patience(env_.fibers, env_.clock.now() + plan().patience);
        const Result<> told = kafka_.refresh(wanted, !wanted.empty());
        stale_ = !told.ok();
        if (told.ok()) learnt_ = env_.clock.now();
    }

    // A partition whose leader is known; nothing if there is none.
    struct Target {
        TopicPartition name;
        KafkaClient::Partition known;
    };
    std::optional<Target> pick() {
        std::vector<Target> targets;
        for (const auto& [name, known] : kafka_.partitions())
            if (known.leader >= 0) targets.push_back({name, known});
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
    Time learnt_;
};

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
            builder.add(std::nullopt, value_of(ident, workload_.room_for(size)),
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
        const auto answer = TRY(connection->call(request));
        if (answer.error != ErrorCode::none || answer.topics.size() != 1 ||
            answer.topics[0].partitions.size() != 1)
            return Error::unavailable;
        const auto& told = answer.topics[0].partitions[0];
        if (told.error == ErrorCode::offset_out_of_range) next = 0;
        if (told.error != ErrorCode::none) return Error::unavailable;
        SOMETIMES(!told.records || size_of(*told.records) == 0, "client/fetched-nothing-new");
        fetch.completed = now();
        fetch.high_watermark = told.high_watermark;
        fetch.seen = TRY(seen_in(told.records));
        SOMETIMES(!fetch.seen.empty() && fetch.seen.front().offset < fetch.from,
                  "client/fetched-from-the-middle-of-a-batch");
        if (!fetch.seen.empty()) next = fetch.seen.back().offset + 1;
        workload_.history_.saw(std::move(fetch));
        return {};
    }

private:
    const NodeId self_;
    std::map<TopicPartition, std::int64_t> next_;
};

// ---- The admin, and the vandal ----

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

// None of this may disturb anybody else, and the broker has to survive it.
void Workload::vandalise(Environment& env) {
    Client client(*this, env, "vandal");
    Random& random = client.random_;
    while (client.rest(random.between(Duration(1ms), Duration(300ms)))) {
        client.learn();
        const auto brokers = client.kafka_.brokers();
        if (brokers.empty()) continue;
        const Deadline patience(env.fibers, env.clock.now() + 500ms);
        auto connection = client.kafka_.open(brokers[random.below(brokers.size())]);
        if (!connection.ok()) continue;
        kafka::FetchRequest request;
        request.topics.push_back({plan_.topics[0].name, {{}}});
        Bytes good = joined(kafka::encode_request(request, 11, 7));
        std::vector<std::byte> bytes(good.view().begin(), good.view().end());
        switch (random.below(5)) {
        case 0: // A claim of up to 2 GiB, and nothing behind it.
            bytes = {std::byte{0x7f}, std::byte(random.below(256)), std::byte(random.below(256)),
                     std::byte(random.below(256)), std::byte{0}};
            break;
        case 1: // Some bytes changed.
            for (int i = 0; i < 4; ++i)
                bytes[4 + random.below(bytes.size() - 4)] = std::byte(random.below(256));
            break;
        case 2: // Cut short.
            bytes.resize(random.between(1, static_cast<std::int64_t>(bytes.size()) - 1));
            break;
        case 3: // Noise.
            bytes.resize(random.between(1, 400));
            for (std::byte& b : bytes) b = std::byte(random.below(256));
            break;
        default: // An array of more elements than there are bytes.
            for (std::size_t i = bytes.size() - 4; i > 20; --i)
                if (random.chance(1, 8)) bytes[i] = std::byte{0x7f};
        }
        (void)connection.value()->write({Bytes::copy_of(std::span(std::as_const(bytes)))});
        // An answer, an end, or nothing: all of them will do.
        (void)connection.value()->read_frame();
    }
}

std::vector<Workload::Program> Workload::programs() {
    std::vector<Program> programs;
    NodeId next = first_client;
    const auto add = [&](std::string_view what, std::function<void(Environment&)> main) {
        programs.push_back({next, what, std::move(main)});
        next = NodeId(next.value + 1);
    };
    add("admin", [this](Environment& env) { Admin(*this, env).run(); });
    for (int i = 0; i < plan_.producers; ++i)
        add("producer",
            [this, self = next](Environment& env) { Producer(*this, env, self).run(); });
    for (int i = 0; i < plan_.consumers; ++i)
        add("consumer",
            [this, self = next](Environment& env) { Consumer(*this, env, self).run(); });
    if (plan_.explorer) add("explorer", [this](Environment& env) { explore(env, bootstrap_); });
    if (plan_.vandal) add("vandal", [this](Environment& env) { vandalise(env); });
    return programs;
}

// ---- The end of a run ----

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
            stale_ = true;
            learn();
            if (!stale_ && has_new_topic()) break;
            {
                const Deadline patience(env_.fibers, env_.clock.now() + 5s);
                if (!create_new_topic().ok() && kafka_.controller())
                    kafka_.drop(*kafka_.controller());
            }
            if (!rest(pause_after_failure)) return;
            if (leaves_out(attempts, FinalStep::create, {std::string(final_topic), 0})) break;
        }
        for (const auto& [name, known] : kafka_.partitions())
            if (workload_.stays(name.topic)) wanted.push_back(name);
        for (const TopicPartition& name : wanted) {
            if (insist(name, FinalStep::store, [&] { return probe(name); }))
                answered.push_back(name);
            if (env_.fibers.cancelled()) return;
        }
        for (const TopicPartition& name : answered) {
            std::vector<Fetch::Seen> log;
            const bool done = insist(name, FinalStep::read, [&] { return read(name, log); });
            if (env_.fibers.cancelled()) return;
            if (done)
                workload_.history_.read_all(workload_.history_.partition(name), std::move(log));
        }
        workload_.final_done_ = true;
    }

private:
    using FinalStep = Workload::FinalStep;
    static constexpr std::uint64_t attempts_before_asking = 4;

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
            stale_ = true;
            learn();
        }
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
        produce.first_number = next_number_++;
        produce.records = 1;
        produce.replicas = kafka_.partition(name)->replicas;
        produce.invoked = now();
        wire::RecordBatchBuilder builder;
        builder.add(std::nullopt, value_of({self_.value, produce.first_number}, value_size_min));
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

    // All of it from the beginning, up to the record that probe() wrote.
    Result<> read(const TopicPartition& name, std::vector<Fetch::Seen>& log) {
        KafkaConnection* connection = TRY(leader_of(name));
        while (static_cast<std::int64_t>(log.size()) < ends_.at(name)) {
            kafka::FetchRequest request;
            request.max_wait_ms = 100;
            request.min_bytes = 1;
            kafka::FetchRequest::Partition wanted;
            wanted.index = name.partition;
            wanted.fetch_offset = log.empty() ? 0 : log.back().offset + 1;
            wanted.max_bytes = 1 << 20;
            request.topics.push_back({name.topic, {wanted}});
            const auto answer = TRY(connection->call(request));
            if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1)
                return Error::malformed;
            const auto& told = answer.topics[0].partitions[0];
            if (told.error != ErrorCode::none) return Error::unavailable;
            const auto seen = TRY(seen_in(told.records));
            if (seen.empty()) return Error::unavailable;
            for (const Fetch::Seen& record : seen)
                if (record.offset >= wanted.fetch_offset) log.push_back(record);
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
