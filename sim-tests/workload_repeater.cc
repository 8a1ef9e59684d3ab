// An idempotent producer, as the real clients are: he sends the same batch again until he is told
// that it is stored, with the same sequence, in order, to whoever leads by then, and has up to five
// under way. What he is owed: each batch once, in order, and none missing before another.
#include "sim-tests/workload_client.h"

#include "core/base/probe.h"
#include "core/wire/kafka/init_producer_id.h"
#include "core/wire/kafka/produce.h"
#include "core/wire/record_batch.h"

#include <deque>

namespace pyralog::simtest {

using kafka::ErrorCode;

namespace {

// From the first that is not known to be stored: what a broker remembers of him.
constexpr std::size_t open_max = 5;
constexpr std::int32_t sequence_max = std::numeric_limits<std::int32_t>::max();

} // namespace

class Repeater : public Client {
public:
    Repeater(Workload& workload, Environment& env, NodeId self)
        : Client(workload, env, "repeater"), self_(self) {}

    void run() {
        while (think()) {
            learn();
            const auto target = pick_open();
            if (!target) {
                if (!rest(pause_after_failure)) return;
                continue;
            }
            if (!send(*target).ok()) stale_ = true;
        }
    }

private:
    struct Batch {
        std::size_t produce = 0; // In the history.
        std::int64_t number = 0; // In its line.
        std::int32_t sequence = 0;
        Bytes bytes;
        bool perhaps_stored = false; // Some attempt had no definite answer.
    };
    // What goes to one partition under one id.
    struct Line {
        std::int64_t order = 0; // Of this line, in place of a connection. Zero: there is none.
        std::int64_t id = -1;
        std::int16_t epoch = 0;
        std::int32_t next_sequence = 0;
        std::int64_t next_number = 0;
        std::deque<Batch> open;

        bool has_room() const {
            return open.empty() ||
                   next_number - open.front().number < static_cast<std::int64_t>(open_max);
        }
    };
    struct Sent {
        std::int64_t number;
        kafka::RequestHeader asked;
    };

    // Mostly where something is open.
    std::optional<Target> pick_open() {
        if (often(random_, 30)) return pick();
        auto target = pick_of([&](const TopicPartition& name) {
            const auto line = lines_.find(name);
            return line != lines_.end() && !line->second.open.empty();
        });
        return target ? target : pick();
    }

    Result<> send(const Target& target) {
        const Deadline patience(env_.fibers, env_.clock.now() + plan().patience);
        std::int32_t broker = target.known.leader;
        if (often(random_, 3) && !kafka_.brokers().empty()) {
            const auto brokers = kafka_.brokers();
            broker = brokers[random_.below(brokers.size())];
        }
        KafkaConnection* connection = TRY(kafka_.connection(broker));
        const Result<> done = converse(*connection, target);
        if (!done.ok()) kafka_.drop(broker);
        return done;
    }

    Result<> converse(KafkaConnection& connection, const Target& target) {
        Line& line = lines_[target.name];
        if (line.id < 0) TRY(begin(connection, line));
        if (line.open.empty() && often(random_, 3)) {
            give_up(line);
            TRY(begin(connection, line));
        }
        if (line.open.empty() && often(random_, 5)) begin_epoch(line);
        const std::size_t most = 1 + random_.below(open_max);
        while (line.has_room() && line.open.size() < most) open(target, line);
        std::vector<Sent> sent;
        for (Batch& batch : line.open) sent.push_back(TRY(send_one(connection, target, batch)));
        SOMETIMES(sent.size() == open_max, "client/has-as-many-under-way-as-may-be");
        // Impatient: nobody hears the answers, and all of it is sent again.
        if (often(random_, 5)) return Error::timed_out;
        for (const Sent& one : sent) {
            const auto answer = TRY(connection.receive<kafka::ProduceResponse>(one.asked));
            TRY(note(target, line, one.number, answer));
            if (line.id < 0) return Error::disconnected; // He has begun anew.
        }
        return {};
    }

    Result<> begin(KafkaConnection& connection, Line& line) {
        kafka::InitProducerIdRequest request;
        request.transaction_timeout_ms = 60'000;
        // Who has had one may say so (KIP-360), and gets another all the same.
        if (line.id < -1 && often(random_, 50)) {
            request.producer_id = 12;
            request.producer_epoch = 3;
        }
        const auto told = TRY(connection.call(request));
        SOMETIMES(told.error != ErrorCode::none, "client/is-given-no-producer-id");
        if (told.error != ErrorCode::none) return Error::unavailable;
        workload_.history_.given_id(self_.value, told.producer_id);
        line = Line();
        line.order = next_line_++;
        line.id = told.producer_id;
        line.epoch = told.producer_epoch;
        return {};
    }

    // All before is known to be stored.
    void begin_epoch(Line& line) {
        if (line.epoch == std::numeric_limits<std::int16_t>::max()) return;
        ++line.epoch;
        line.next_sequence = 0;
    }

    void open(const Target& target, Line& line) {
        Produce produce;
        produce.client = self_.value;
        produce.connection = -line.order;
        produce.in_sequence = true;
        produce.partition = workload_.history_.partition(target.name);
        produce.records = static_cast<std::int32_t>(random_.between(1, plan().records_max));
        produce.first_number = next_number_;
        produce.replicas = target.known.replicas;
        next_number_ += produce.records;
        wire::RecordBatchBuilder builder;
        builder.from(line.id, line.epoch, line.next_sequence);
        for (std::int32_t i = 0; i < produce.records; ++i) {
            const auto size = static_cast<std::size_t>(
                random_.between(1, static_cast<std::int64_t>(plan().value_bytes_max)));
            const Ident ident{self_.value, produce.first_number + i};
            add(builder, target.name.topic, ident, workload_.room_for(size),
                env_.clock.wall().unix_ms + i);
        }
        Batch batch;
        batch.bytes = builder.build();
        const auto parsed = wire::RecordBatch::parse(batch.bytes);
        produce.batch_crc = std::get<wire::RecordBatch>(parsed).header().crc;
        produce.invoked = now();
        batch.produce = workload_.history_.invoke(produce);
        batch.number = line.next_number++;
        batch.sequence = line.next_sequence;
        line.next_sequence =
            static_cast<std::int32_t>((std::int64_t{line.next_sequence} + produce.records) %
                                      (std::int64_t{sequence_max} + 1));
        line.open.push_back(std::move(batch));
    }

    Result<Sent> send_one(KafkaConnection& connection, const Target& target, Batch& batch) {
        kafka::ProduceRequest request;
        request.acks = static_cast<std::int16_t>(Acks::all);
        const std::int64_t patience_ms = plan().patience / 1ms;
        request.timeout_ms = static_cast<std::int32_t>(random_.between(1, 2 * patience_ms));
        request.topics.push_back({target.name.topic, {{target.name.partition, batch.bytes}}});
        SOMETIMES(batch.perhaps_stored, "client/sends-again-what-is-perhaps-stored");
        const bool was_perhaps = std::exchange(batch.perhaps_stored, true);
        const auto asked = TRY(connection.send(request, 3));
        under_way_[batch.produce] = was_perhaps;
        return Sent{batch.number, asked};
    }

    Result<> note(const Target& target, Line& line, std::int64_t number,
                  const kafka::ProduceResponse& answer) {
        if (answer.topics.size() != 1 || answer.topics[0].name != target.name.topic ||
            answer.topics[0].partitions.size() != 1 ||
            answer.topics[0].partitions[0].index != target.name.partition)
            return Error::malformed;
        const auto batch = std::ranges::find(line.open, number, &Batch::number);
        CHECK(batch != line.open.end());
        const auto& told = answer.topics[0].partitions[0];
        if (told.error == ErrorCode::none) {
            SOMETIMES(under_way_[batch->produce], "client/is-told-at-last");
            workload_.history_.completed(batch->produce, now(), Outcome::stored, told.base_offset);
            under_way_.erase(batch->produce);
            line.open.erase(batch);
            return {};
        }
        stale_ = true;
        // This attempt did nothing: then it is as open as it was before.
        const bool is_refused = outcome_of(told.error) == Outcome::refused ||
                                told.error == ErrorCode::out_of_order_sequence_number;
        if (is_refused) batch->perhaps_stored = under_way_[batch->produce];
        if (is_for_now(told.error)) return {};
        const bool is_next = batch == line.open.begin();
        SOMETIMES(!is_next && told.error == ErrorCode::out_of_order_sequence_number,
                  "client/waits-for-the-batch-before");
        if (!is_next && told.error == ErrorCode::out_of_order_sequence_number) return {};
        const bool is_of_sequence = told.error == ErrorCode::out_of_order_sequence_number ||
                                    told.error == ErrorCode::invalid_producer_epoch ||
                                    told.error == ErrorCode::unknown_producer_id;
        if (is_of_sequence)
            workload_.history_.refused_next({self_.value, workload_.history_.partition(target.name),
                                             now(), batch->sequence, told.error});
        give_up(line);
        return {};
    }

    // Of what is open nobody will hear more, and another id begins.
    void give_up(Line& line) {
        REACHABLE("client/begins-anew-as-another-producer");
        for (const Batch& batch : line.open) {
            if (!batch.perhaps_stored)
                workload_.history_.completed(batch.produce, now(), Outcome::refused, -1);
            under_way_.erase(batch.produce);
        }
        line = Line();
        line.id = -2;
    }

    const NodeId self_;
    std::map<TopicPartition, Line> lines_;
    std::map<std::size_t, bool> under_way_; // Produces: perhaps stored, before the last attempt.
    std::int64_t next_number_ = 1;
    std::int64_t next_line_ = 1;
};

void Workload::repeat(Environment& env, NodeId self) { Repeater(*this, env, self).run(); }

} // namespace pyralog::simtest
