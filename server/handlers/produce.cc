// Produce: the batches are checked and given their places at once, in the order of the requests;
// what is waited for is the disks.
#include "core/wire/kafka/produce.h"

#include "core/base/bug.h"
#include "core/base/probe.h"
#include "server/handlers/handlers.h"
#include "server/kafka_batches.h"
#include "server/tracing/requests.h"

#include <variant>

namespace pyralog::server {

namespace {

using wire::kafka::ProduceRequest;
using wire::kafka::ProduceResponse;

constexpr std::int16_t zstd_from_version = 7;

ErrorCode to_code(wire::BatchFlaw flaw) {
    SOMETIMES(flaw == wire::BatchFlaw::corrupt, "produce/corrupt");
    SOMETIMES(flaw == wire::BatchFlaw::old_format, "produce/old-format");
    SOMETIMES(flaw == wire::BatchFlaw::invalid, "produce/invalid");
    SOMETIMES(flaw == wire::BatchFlaw::unknown_compression, "produce/unknown-compression");
    switch (flaw) {
    case wire::BatchFlaw::corrupt: return ErrorCode::corrupt_message;
    case wire::BatchFlaw::old_format: return ErrorCode::unsupported_for_message_format;
    case wire::BatchFlaw::invalid: return ErrorCode::invalid_record;
    case wire::BatchFlaw::unknown_compression: return ErrorCode::unsupported_compression_type;
    case wire::BatchFlaw::too_large: return ErrorCode::message_too_large;
    }
    return ErrorCode::unknown_server_error;
}

// A batch on its way, or why there is none: then with the group whose leader's word it is.
struct Written {
    std::int32_t index = 0;
    ErrorCode error = ErrorCode::none;
    raft::GroupRef group;
    raft::Group::Proposal proposal;
    std::int32_t records = 0;
    // Stored before, or about to be: in this term.
    struct Known {
        Offset first, end;
        Term term;
    };
    std::optional<Known> known;
};

// An idempotent producer who is refused now sends the same batch again, and may have sent the next
// ones already: those must not come before it.
ErrorCode refuse_for_now(const Node::Replica& replica, const wire::BatchHeader& header,
                         ErrorCode error) {
    if (header.has_producer()) replica.group->refused(header);
    return error;
}

ErrorCode to_code(raft::Sequencer::Verdict verdict) {
    using Verdict = raft::Sequencer::Verdict;
    SOMETIMES(verdict == Verdict::duplicate, "produce/known-already");
    SOMETIMES(verdict == Verdict::out_of_order, "produce/out-of-order");
    SOMETIMES(verdict == Verdict::old_epoch, "produce/old-epoch");
    SOMETIMES(verdict == Verdict::too_many, "produce/too-many-producers");
    SOMETIMES(verdict == Verdict::no_transaction, "produce/in-no-transaction");
    switch (verdict) {
    case Verdict::append:
    case Verdict::duplicate: return ErrorCode::none;
    case Verdict::out_of_order: return ErrorCode::out_of_order_sequence_number;
    case Verdict::old_epoch: return ErrorCode::invalid_producer_epoch;
    case Verdict::too_many: return ErrorCode::policy_violation;
    case Verdict::no_transaction: return ErrorCode::invalid_txn_state;
    }
    return ErrorCode::unknown_server_error;
}

ErrorCode to_code_of_proposal(Error error) {
    SOMETIMES(error == Error::unavailable, "produce/refused-as-full");
    return error == Error::unavailable ? ErrorCode::not_enough_replicas : server::to_code(error);
}

ErrorCode append(Node::Replica replica, const wire::RecordBatch& batch, Written& written) {
    written.records = batch.records();
    if (batch.header().has_producer()) {
        const auto sequenced = replica.group->propose_in_sequence(batch);
        if (!sequenced.ok())
            return refuse_for_now(replica, batch.header(), to_code_of_proposal(sequenced.error()));
        const auto [verdict, proposal, first] = sequenced.value();
        if (const ErrorCode error = to_code(verdict); error != ErrorCode::none) {
            written.group = std::move(replica.group);
            return error;
        }
        written.proposal = proposal;
        if (verdict == raft::Sequencer::Verdict::duplicate)
            written.known = {first, first + batch.records(), replica.group->term()};
    } else {
        const auto proposal = replica.group->propose(batch);
        if (!proposal.ok()) return to_code_of_proposal(proposal.error());
        written.proposal = proposal.value();
    }
    written.group = std::move(replica.group);
    return ErrorCode::none;
}

ErrorCode propose(Node& node, std::int16_t version, const std::string& topic,
                  ProduceRequest::Partition& partition, const TraceRef& trace, Written& written) {
    SOMETIMES(is_internal(topic), "produce/to-an-internal-topic");
    if (is_internal(topic)) return ErrorCode::invalid_topic;
    Node::Replica replica = node.replica(topic, partition.index);
    // Refusing the first batch of several under way would have the client send it after the others.
    const ErrorCode writable = check_writable(replica);
    if (writable != ErrorCode::none && (!replica.group || !partition.records)) return writable;
    SOMETIMES(!partition.records, "produce/no-records");
    if (!partition.records) return ErrorCode::invalid_record;
    const Topic* const found = node.controller.catalogue().find(topic);
    CHECK(found); // There is a replica of it.
    if (partition.records->size() > found->settings.message_bytes_max(node.config.topic)) {
        REACHABLE("produce/too-large");
        return ErrorCode::message_too_large;
    }
    auto parsed = wire::RecordBatch::parse(std::move(*partition.records));
    if (const auto* flaw = std::get_if<wire::BatchFlaw>(&parsed)) return to_code(*flaw);
    const auto& batch = std::get<wire::RecordBatch>(parsed);
    if (trace) link_to_sender(trace, batch);
    if (writable != ErrorCode::none) return refuse_for_now(replica, batch.header(), writable);
    if (batch.header().compression() == wire::Compression::zstd && version < zstd_from_version) {
        REACHABLE("produce/zstd-too-early");
        return ErrorCode::unsupported_compression_type;
    }
    if (batch.header().is_transactional() && !batch.header().has_producer()) {
        REACHABLE("produce/in-a-transaction-of-nobody");
        return ErrorCode::invalid_txn_state;
    }
    SOMETIMES(!batch.records_are_sound(), "produce/unsound-records");
    if (!batch.records_are_sound()) return ErrorCode::invalid_record;
    if (found->settings.is_compacted && !has_keys(batch)) {
        REACHABLE("produce/without-a-key");
        return ErrorCode::invalid_record;
    }
    if (node.space.is_short()) {
        REACHABLE("produce/refused-for-space");
        return refuse_for_now(replica, batch.header(), ErrorCode::kafka_storage_error);
    }
    return append(std::move(replica), batch, written);
}

class Produce : public Started {
public:
    Produce(Node& node, RequestHeader header, ProduceRequest request)
        : node_(node), header_(std::move(header)), acks_(request.acks),
          began_(node.env.clock.now()), until_(node.after_ms(request.timeout_ms)),
          trace_(node.tracer.begin("produce")) {
        const bool acks_known = acks_ == 0 || acks_ == 1 || acks_ == wire::kafka::acks_all;
        SOMETIMES(!acks_known, "produce/unknown-acks");
        std::size_t bytes = 0; // Of records, whatever becomes of them.
        for (ProduceRequest::Topic& topic : request.topics) {
            topics_.push_back({std::move(topic.name), {}});
            for (ProduceRequest::Partition& partition : topic.partitions) {
                Written written;
                written.index = partition.index;
                if (partition.records) bytes += partition.records->size();
                const Time since = node.env.clock.now();
                written.error = acks_known ? propose(node, header_.version, topics_.back().name,
                                                     partition, trace_, written)
                                           : ErrorCode::invalid_required_acks;
                if (trace_) trace_append(written, topics_.back().name, since);
                topics_.back().partitions.push_back(std::move(written));
            }
        }
        throttle_ = node.quotas.charge(QuotaKind::producer_byte_rate,
                                       header_.client_id.value_or(""), bytes, began_);
        begun_ = node.env.clock.now();
    }

    // Else all that he has sent already would come through.
    Duration mute() const override { return throttle_; }

    Result<Answered> finish() override {
        ProduceResponse response;
        bool all_well = true;
        if (trace_) trace_->step("wait for turn", begun_, node_.env.clock.now());
        for (Topic& topic : topics_) {
            response.topics.push_back({topic.name, {}});
            for (Written& written : topic.partitions) {
                response.topics.back().partitions.push_back(settle(written));
                all_well &= response.topics.back().partitions.back().error == ErrorCode::none;
            }
        }
        node_.write_latency.add(node_.env.clock.now() - began_);
        response.throttle_time_ms = throttle_ms(throttle_);
        if (trace_) trace_answer(response);
        if (acks_ != 0) return answer(header_, response);
        SOMETIMES(!all_well, "produce/hangs-up-on-a-failure-nobody-waits-for");
        // Nobody waits for an answer; the only way to say that something is wrong is to hang up.
        if (!all_well) return Error::disconnected;
        return Answered();
    }

private:
    struct Topic {
        std::string name;
        std::vector<Written> partitions;
    };

    // Its place in the log, and what becomes of it there.
    void trace_append(const Written& written, const std::string& topic, Time since) {
        const Time now = node_.env.clock.now();
        SpanAttributes where = attributes_of(topic, written.index);
        const bool is_new = written.error == ErrorCode::none && !written.known;
        if (is_new)
            node_.tracer.follow(trace_, *written.group, written.proposal, now, until_, where);
        if (written.error == ErrorCode::none)
            where.push_back(attribute("messaging.batch.message_count", written.records));
        if (written.known) where.push_back(attribute("pyralog.duplicate", 1));
        trace_->step("append", since, now, std::move(where), error_of(written.error));
    }

    void trace_answer(const ProduceResponse& response) {
        describe_request(trace_, "produce", "send", header_.client_id.value_or(""));
        trace_->add(attribute("pyralog.acks", acks_));
        std::int64_t records = 0;
        for (const Topic& topic : topics_)
            for (const Written& written : topic.partitions) records += written.records;
        trace_->add(attribute("messaging.batch.message_count", records));
        if (topics_.size() == 1) describe_topic(trace_, "produce", topics_[0].name);
        for (const ProduceResponse::Topic& topic : response.topics) {
            for (const ProduceResponse::Partition& partition : topic.partitions) {
                if (partition.error != ErrorCode::none) trace_->failed(error_of(partition.error));
                if (response.topics.size() == 1 && topic.partitions.size() == 1)
                    describe_partition(trace_, partition.index, partition.base_offset);
            }
        }
        trace_->end(node_.env.clock.now());
    }

    ProduceResponse::Partition settle(Written& written) {
        ProduceResponse::Partition partition;
        partition.index = written.index;
        partition.error =
            written.group && written.error != ErrorCode::none ? confirm(written) : written.error;
        SOMETIMES(written.error == ErrorCode::policy_violation, "produce/explains-itself");
        if (written.error == ErrorCode::policy_violation)
            partition.error_message = "this partition remembers raft.producers_max idempotent "
                                      "producers, and takes no more until some have been idle for "
                                      "topic.producer_expiration";
        if (written.error != ErrorCode::none) return partition;
        const Result<> settled = acks_ == 0 ? Result<>() : wait_for(written);
        if (!settled.ok()) {
            SOMETIMES(settled.error() == Error::not_leader, "produce/overruled");
            SOMETIMES(settled.error() == Error::timed_out, "produce/timed-out");
            SOMETIMES(settled.error() == Error::unavailable, "produce/perhaps-stored");
            SOMETIMES(settled.error() == Error::not_found, "produce/topic-deleted-meanwhile");
            // Only what a newer leader has overruled is certain not to be stored. Of the rest the
            // client must know that it may be.
            partition.error =
                settled.error() == Error::not_leader  ? ErrorCode::not_leader_or_follower
                : settled.error() == Error::timed_out ? ErrorCode::request_timed_out
                                                      : ErrorCode::not_enough_replicas_after_append;
            return partition;
        }
        if (!written.known) node_.records_written.add(static_cast<std::uint64_t>(written.records));
        partition.base_offset =
            (written.known ? written.known->first : written.proposal.place.first.offset).value;
        partition.log_start_offset = written.group->log().log_start().offset.value;
        return partition;
    }

    // A leader of old does not know what its producer has stored since, and producers take such a
    // word for final.
    ErrorCode confirm(const Written& written) {
        if (acks_ == 0) return written.error;
        const Deadline deadline(node_.env.fibers, until_);
        const bool leads = written.group->read_barrier().ok();
        SOMETIMES(!leads, "produce/refused-by-a-leader-of-old");
        return leads ? written.error : ErrorCode::not_leader_or_follower;
    }

    Result<> wait_for(const Written& written) {
        const Deadline deadline(node_.env.fibers, until_);
        raft::Group& group = *written.group;
        // What was stored before is answered when it would have been.
        if (written.known && !BUG(P01))
            return group.settle_up_to(written.known->end, written.known->term);
        if (written.known) return {};
        return acks_ == wire::kafka::acks_all ? group.settle(written.proposal)
                                              : group.settle_here(written.proposal);
    }

    Node& node_;
    const RequestHeader header_;
    const std::int16_t acks_;
    const Time began_;
    const Time until_;
    TraceRef trace_;
    Time begun_; // All of it has its places.
    Duration throttle_{};
    std::vector<Topic> topics_;
};

} // namespace

StartResult start_produce(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<ProduceRequest>(parts));
    return std::unique_ptr<Started>(
        std::make_unique<Produce>(node, std::move(parts.header), std::move(request)));
}

StartResult refuse_old_produce(RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<ProduceRequest>(parts));
    if (request.acks == 0) return Error::malformed;
    return started([header = std::move(parts.header), request = std::move(request)] {
        ProduceResponse response;
        for (const ProduceRequest::Topic& topic : request.topics) {
            response.topics.push_back({topic.name, {}});
            for (const ProduceRequest::Partition& partition : topic.partitions) {
                ProduceResponse::Partition refused;
                refused.index = partition.index;
                refused.error = ErrorCode::unsupported_version;
                response.topics.back().partitions.push_back(std::move(refused));
            }
        }
        return answer(header, response);
    });
}

} // namespace pyralog::server
