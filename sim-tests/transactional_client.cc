#include "sim-tests/transactional_client.h"

#include "core/base/probe.h"
#include "core/wire/kafka/add_offsets_to_txn.h"
#include "core/wire/kafka/add_partitions_to_txn.h"
#include "core/wire/kafka/end_txn.h"
#include "core/wire/kafka/init_producer_id.h"
#include "core/wire/kafka/txn_offset_commit.h"

namespace pyralog::simtest {

using kafka::ErrorCode;

namespace {

constexpr int attempts_max = 12;
constexpr int attempts_few = 2;
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

// The first error of any of them.
template <class Topics>
ErrorCode error_of_all(const Topics& topics) {
    for (const auto& topic : topics)
        for (const auto& partition : topic.partitions)
            if (partition.error != ErrorCode::none) return partition.error;
    return ErrorCode::none;
}

} // namespace

TransactionalClient::TransactionalClient(Workload& workload, Environment& env,
                                         std::string_view what, NodeId self, std::string id)
    : Client(workload, env, what), node_(self), id_(std::move(id)) {
    workload_.transactional_ids_.insert(id_);
}

// ---- Asking ----

int TransactionalClient::attempts() const {
    return patience_ == Patience::much ? attempts_max : attempts_few;
}

// Whoever coordinates, until there is an answer for good. Nothing: there was none.
template <class Request, class ErrorOf>
std::optional<typename Request::Response> TransactionalClient::ask(const Request& request,
                                                                   std::int16_t version_min,
                                                                   const ErrorOf& error_of) {
    for (int i = 0; i < attempts(); ++i) {
        asked_at_ = now();
        const auto told = ask_coordinator(id_, of_transactions, request, version_min);
        if (told.ok() && !may_pass(error_of(told.value()))) return told.value();
        if (!rest(pause_after_failure)) return {};
    }
    return {};
}

// As that which he is by now; who was fenced before he asked should not have been heard.
void TransactionalClient::taken(std::string_view what) {
    workload_.history_.taken({id_, self_.producer, self_.epoch, what, asked_at_});
}

// ---- Beginnings ----

Result<> TransactionalClient::begin() {
    kafka::InitProducerIdRequest request;
    request.transactional_id = id_;
    request.transaction_timeout_ms = static_cast<std::int32_t>(random_.between(200, 20'000));
    const auto told = ask(request, 0, [](const auto& answer) { return answer.error; });
    if (!told || told->error != ErrorCode::none) return Error::unavailable;
    self_ = {told->producer_id, told->producer_epoch, {}, {}};
    workload_.history_.named({id_, self_.producer, self_.epoch, asked_at_, now()});
    return {};
}

std::size_t TransactionalClient::open() {
    Transaction transaction;
    transaction.client = node_.value;
    transaction.id = id_;
    transaction.producer = self_.producer;
    transaction.epoch = self_.epoch;
    return workload_.history_.begun(transaction);
}

bool TransactionalClient::add(const Parts& parts) {
    kafka::AddPartitionsToTxnRequest request;
    auto& one = request.transaction;
    one.transactional_id = id_;
    one.producer_id = self_.producer;
    one.producer_epoch = self_.epoch;
    for (const TopicPartition& name : parts) one.topics.push_back({name.topic, {name.partition}});
    request.transactions.push_back(one);
    const auto topics_of = [](const auto& answer) {
        return answer.transactions.empty() ? answer.topics : answer.transactions[0].topics;
    };
    const auto told = ask(request, 0, [&](const auto& answer) {
        const ErrorCode error = error_of_all(topics_of(answer));
        return error != ErrorCode::none ? error : answer.error;
    });
    const bool is_added =
        told && !topics_of(*told).empty() && error_of_all(topics_of(*told)) == ErrorCode::none;
    if (is_added) taken("partitions");
    return is_added;
}

bool TransactionalClient::add_offsets(const std::string& group) {
    const kafka::AddOffsetsToTxnRequest request{id_, self_.producer, self_.epoch, group};
    const auto told = ask(request, 0, [](const auto& answer) { return answer.error; });
    const bool is_added = told && told->error == ErrorCode::none;
    if (is_added) taken("a group's offsets");
    return is_added;
}

// ---- What it consists of ----

bool TransactionalClient::send(std::size_t transaction, const TopicPartition& name,
                               std::int32_t records,
                               const std::function<void(std::int32_t, Ident)>& made) {
    const auto known = kafka_.partition(name);
    Produce produce;
    produce.client = node_.value;
    std::int64_t& line = self_.lines[name];
    if (line == 0) line = next_line_++;
    produce.connection = -line;
    produce.in_sequence = true;
    produce.partition = workload_.history_.partition(name);
    produce.records = records;
    produce.first_number = next_number_;
    produce.replicas = known ? known->replicas : 0;
    next_number_ += produce.records;
    std::int32_t& sequence = self_.sequences[name];
    wire::RecordBatchBuilder builder;
    builder.from(self_.producer, self_.epoch, sequence).mark(wire::BatchHeader::transactional_bit);
    for (std::int32_t i = 0; i < produce.records; ++i) {
        const Ident ident{node_.value, produce.first_number + i};
        // What is made of something else is as small as can be.
        const auto most = made ? value_size_min : plan().value_bytes_max;
        const auto size =
            static_cast<std::size_t>(random_.between(1, static_cast<std::int64_t>(most)));
        Client::add(builder, name.topic, ident, workload_.room_for(size),
                    env_.clock.wall().unix_ms);
        if (made) made(i, ident);
    }
    const Bytes bytes = builder.build();
    const auto parsed = wire::RecordBatch::parse(bytes);
    produce.batch_crc = std::get<wire::RecordBatch>(parsed).header().crc;
    produce.invoked = now();
    const std::size_t number = workload_.history_.invoke(produce);
    workload_.history_.has_part(transaction, number);
    sequence += produce.records;
    return insist(name, bytes, number);
}

bool TransactionalClient::insist(const TopicPartition& name, const Bytes& bytes,
                                 std::size_t number) {
    kafka::ProduceRequest request;
    request.acks = static_cast<std::int16_t>(Acks::all);
    request.timeout_ms = static_cast<std::int32_t>(plan().patience / 1ms);
    request.transactional_id = id_;
    request.topics.push_back({name.topic, {{name.partition, bytes}}});
    for (int i = 0; i < attempts(); ++i) {
        std::int64_t base_offset = -1;
        const auto told = produce_once(name, request, base_offset);
        if (told.ok() && told.value() == ErrorCode::none) {
            workload_.history_.completed(number, now(), Outcome::stored, base_offset);
            return true;
        }
        if (told.ok() && !may_pass(told.value())) return false;
        stale_ = true;
        if (!rest(pause_after_failure)) return false;
        learn();
    }
    return false;
}

Result<ErrorCode> TransactionalClient::produce_once(const TopicPartition& name,
                                                    const kafka::ProduceRequest& request,
                                                    std::int64_t& base_offset) {
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
    base_offset = answer.topics[0].partitions[0].base_offset;
    return answer.topics[0].partitions[0].error;
}

bool TransactionalClient::commit_offset(const std::string& group, const Committer& who,
                                        const TopicPartition& name, std::int64_t offset) {
    constexpr std::int16_t members_from = 3;
    kafka::TxnOffsetCommitRequest request;
    request.transactional_id = id_;
    request.group_id = group;
    request.producer_id = self_.producer;
    request.producer_epoch = self_.epoch;
    request.generation_id = who.generation;
    request.member_id = who.member;
    request.topics.push_back({name.topic, {{name.partition, offset, -1, {}}}});
    for (int i = 0; i < attempts(); ++i) {
        asked_at_ = now();
        const auto told =
            ask_coordinator(group, of_groups, request, who.generation < 0 ? 0 : members_from);
        const ErrorCode error = told.ok() ? error_of_all(told.value().topics) : ErrorCode::none;
        const bool is_done = told.ok() && error == ErrorCode::none;
        if (is_done) taken("offsets");
        if (is_done || (told.ok() && !may_pass(error))) return is_done;
        if (!rest(pause_after_failure)) return false;
    }
    return false;
}

// ---- Ends ----

bool TransactionalClient::end(std::size_t transaction, bool commits) {
    const kafka::EndTxnRequest request{id_, self_.producer, self_.epoch, commits};
    workload_.history_.asks_for_end();
    const auto told = ask(request, end_version(), [](const auto& answer) { return answer.error; });
    if (!told || told->error != ErrorCode::none) return false;
    taken("an end");
    using Outcome = Transaction::Outcome;
    workload_.history_.ended(transaction, commits ? Outcome::committed : Outcome::aborted);
    // KIP-890: he goes on in another epoch.
    if (told->producer_id >= 0) self_ = {told->producer_id, told->producer_epoch, {}, {}};
    return true;
}

// His successor has it aborted, if it has not come to its end before.
void TransactionalClient::end_and_go(bool commits) {
    const kafka::EndTxnRequest request{id_, self_.producer, self_.epoch, commits};
    workload_.history_.asks_for_end();
    const Deadline patience(env_.fibers,
                            env_.clock.now() + random_.between(Duration(1ms), goes_most));
    (void)ask_coordinator(id_, of_transactions, request, end_version());
}

std::int16_t TransactionalClient::end_version() {
    constexpr std::int16_t bumps_from = 5;
    return often(random_, 50) ? bumps_from : std::int16_t{0};
}

} // namespace pyralog::simtest
