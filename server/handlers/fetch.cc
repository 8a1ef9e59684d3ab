// Fetch: what is committed, as slices of what the log holds. A fetch that finds too little waits
// until more is committed in one of its partitions, or its time is up.
#include "core/wire/kafka/fetch.h"

#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "server/handlers/epoch_end.h"
#include "server/handlers/handlers.h"
#include "server/tracing/requests.h"

#include <algorithm>
#include <utility>

namespace pyralog::server {

namespace {

using wire::kafka::FetchRequest;
using wire::kafka::FetchResponse;

// Wakes the fetch when anything changes in one of its partitions.
class Watch {
public:
    Watch(raft::GroupRef group, Condition& changed) : group_(std::move(group)), changed_(&changed) {
        group_->watch(*changed_);
    }
    Watch(Watch&& other) noexcept
        : group_(std::move(other.group_)), changed_(std::exchange(other.changed_, nullptr)) {}
    Watch& operator=(Watch&&) = delete;
    ~Watch() {
        if (changed_) group_->unwatch(*changed_);
    }

private:
    raft::GroupRef group_;
    Condition* changed_;
};

// Where the last of these batches ends; nothing if that takes copying.
std::optional<Offset> end_of(const BytesChain& batches) {
    std::size_t skipped = 0; // Of the batch before.
    std::optional<Offset> end;
    for (const Bytes& part : batches) {
        std::size_t at = skipped;
        for (; at < part.size();) {
            if (part.size() - at < wire::BatchHeader::size) return {};
            wire::Reader reader(part.slice(at, wire::BatchHeader::size));
            wire::BatchHeader header;
            reader(header);
            end = header.base_offset + header.last_offset_delta + 1;
            at += static_cast<std::size_t>(header.batch_length) + wire::BatchHeader::uncounted_size;
        }
        skipped = at - part.size();
    }
    return end;
}

class Fetch : public Started {
public:
    Fetch(Node& node, RequestHeader header, FetchSessions::Use session, FetchRequest request)
        : node_(node), header_(std::move(header)), session_(session), request_(std::move(request)),
          until_(node.after_ms(request_.max_wait_ms)), memory_(node.answer_bytes),
          trace_(node.tracer.begin("fetch")) {}

    Result<Answered> finish() override {
        if (session_.error != ErrorCode::none) return told(FetchResponse());
        look_at_quota();
        Condition changed(node_.env.fibers);
        std::vector<Watch> watches;
        bool watching = false;
        for (;;) {
            is_final_ = false;
            bytes_ = 0;
            const Time since = node_.env.clock.now();
            FetchResponse response = TRY(look());
            if (trace_)
                trace_->step("read", since, node_.env.clock.now(),
                             {attribute("pyralog.bytes", static_cast<std::int64_t>(bytes_))});
            const auto enough = static_cast<std::size_t>(std::max(request_.min_bytes, 0));
            const bool late = node_.env.clock.now() >= until_ || most_ == 0;
            SOMETIMES(!is_final_ && bytes_ == 0 && late, "fetch/empty-when-time-was-up");
            SOMETIMES(!is_final_ && bytes_ > 0 && bytes_ < enough && late, "fetch/too-little");
            if (is_final_ || bytes_ >= enough || late || BUGGIFY("fetch/answers-early", 100'000)) {
                SOMETIMES(watching && bytes_ >= enough, "fetch/waited-and-found-enough");
                node_.fetched_bytes.add(bytes_);
                return told(std::move(response));
            }
            memory_.shrink(0);
            if (!std::exchange(watching, true)) {
                watches = watch(changed);
                continue; // What came while we read from the disk went by unnoticed.
            }
            const Deadline deadline(node_.env.fibers, until_);
            if (BUGGIFY("fetch/looks-needlessly")) continue;
            // However it ends, what is there by then is the answer; but who is cancelled leaves.
            const Time began = node_.env.clock.now();
            const Result<> waited = wait_for_more(changed);
            if (trace_) trace_->step("wait for records", began, node_.env.clock.now());
            if (!waited.ok() && waited.error() != Error::timed_out) return waited.error();
        }
    }

private:
    // Who owes something is told how much, and given nothing; else he may get what a second allows.
    void look_at_quota() {
        const auto kind = QuotaKind::consumer_byte_rate;
        const std::string client = header_.client_id.value_or("");
        const bool owes = node_.quotas.owed(kind, client, node_.env.clock.now()) > Duration(0);
        SOMETIMES(owes, "fetch/owes-something");
        most_ = owes ? 0 : node_.quotas.bytes_at_once(kind, client).value_or(SIZE_MAX);
    }

    Result<Answered> told(FetchResponse response) {
        response.throttle_time_ms = throttle_ms(node_.quotas.charge(QuotaKind::consumer_byte_rate,
                                                                    header_.client_id.value_or(""),
                                                                    bytes_, node_.env.clock.now()));
        node_.fetch_sessions.end(session_, response);
        if (trace_) trace_answer(response);
        return answer(header_, response);
    }

    // Which partitions is said where it is one.
    void trace_answer(const FetchResponse& response) {
        describe_request(trace_, "fetch", "receive", header_.client_id.value_or(""));
        trace_->add(attribute("pyralog.bytes", static_cast<std::int64_t>(bytes_)));
        if (request_.topics.size() == 1) {
            const FetchRequest::Topic& topic = request_.topics[0];
            describe_topic(trace_, "fetch", topic.name);
            if (topic.partitions.size() == 1)
                describe_partition(trace_, topic.partitions[0].index,
                                   topic.partitions[0].fetch_offset);
        }
        if (response.error != ErrorCode::none) trace_->failed(error_of(response.error));
        for (const FetchResponse::Topic& topic : response.topics)
            for (const FetchResponse::Partition& partition : topic.partitions)
                if (partition.error != ErrorCode::none) trace_->failed(error_of(partition.error));
        trace_->end(node_.env.clock.now());
    }

    Result<FetchResponse> look() {
        FetchResponse response;
        for (const FetchRequest::Topic& topic : request_.topics) {
            response.topics.push_back({topic.name, {}});
            for (const FetchRequest::Partition& partition : topic.partitions) {
                FetchResponse::Partition found = TRY(look_at(topic.name, partition));
                is_final_ |= found.error != ErrorCode::none;
                response.topics.back().partitions.push_back(std::move(found));
            }
        }
        // What was read is what is held: less than was asked for, or, for the first batch, more.
        if (bytes_ > memory_.bytes()) TRY(memory_.grow(bytes_ - memory_.bytes()));
        memory_.shrink(bytes_);
        return response;
    }

    Result<FetchResponse::Partition> look_at(const std::string& topic,
                                             const FetchRequest::Partition& wanted) {
        FetchResponse::Partition found;
        found.index = wanted.index;
        found.records = BytesChain();
        const Node::Replica replica = node_.replica(topic, wanted.index);
        found.error = check_leader(replica, wanted.current_leader_epoch);
        if (found.error != ErrorCode::none) {
            found.high_watermark = -1;
            return found;
        }
        raft::Group& group = *replica.group;
        if (is_committed_wanted() && !group.stable_end().ok()) {
            const Result<Offset> known = stable_end(node_, group);
            if (known.ok()) return look_at(topic, wanted);
            if (known.error() == Error::cancelled) return known.error();
            found.error = ErrorCode::not_leader_or_follower;
            return found;
        }
        const Offset start = group.log().log_start().offset;
        const Offset committed = group.committed().offset;
        const auto known = group.stable_end();
        const Offset stable = known.ok() ? known.value() : Offset(-1);
        const Offset end = is_committed_wanted() && !BUG(T05) ? stable : committed;
        const Offset from(wanted.fetch_offset);
        found.high_watermark = committed.value;
        found.last_stable_offset = stable.value;
        found.log_start_offset = start.value;
        if (from < start || from > group.log().end().offset) {
            REACHABLE("fetch/out-of-range");
            found.error = ErrorCode::offset_out_of_range;
            return found;
        }
        if (diverges(group, wanted, found)) return found;
        if (from < end && memory_.bytes() == 0 && most_ > 0) {
            TRY(memory_.grow(fair_share()));
            return look_at(topic, wanted); // The partition has gone on while we waited.
        }
        const std::size_t room = room_for(wanted);
        SOMETIMES(from >= end && from < committed, "fetch/waits-for-a-transaction");
        SOMETIMES(from > end, "fetch/beyond-what-is-committed");
        SOMETIMES(from < end && room == 0, "fetch/no-room-left");
        if (from >= end || room == 0) return found;
        Result<BytesChain> records = group.read(from, room, end);
        if (!records.ok()) {
            REACHABLE("fetch/cannot-be-read");
            // Not found is what was trimmed while the disk was looking for it.
            found.error = records.error() == Error::not_found ? ErrorCode::offset_out_of_range
                                                              : to_code(records.error());
            return found;
        }
        const std::size_t size = size_of(records.value());
        SOMETIMES(bytes_ == 0 && size > room, "fetch/first-batch-larger-than-asked");
        SOMETIMES(bytes_ > 0 && size > room, "fetch/later-batch-does-not-fit");
        SOMETIMES(bytes_ > 0 && size <= room, "fetch/several-partitions-have-something");
        // The first batch of an answer goes out however large it is, or nobody could ever get past
        // it (KIP-74); a later one must fit.
        if (bytes_ > 0 && size > room) return found;
        bytes_ += size;
        found.records = std::move(records).value();
        if (is_committed_wanted()) tell_aborted(group, from, end, found);
        return found;
    }

    bool is_committed_wanted() const { return request_.isolation_level == read_committed; }

    // Whoever reads skips the records of these producers, from there to their markers.
    static void tell_aborted(const raft::Group& group, Offset from, Offset end,
                             FetchResponse::Partition& found) {
        found.aborted_transactions.emplace();
        const raft::Producers* const producers = group.producers();
        if (!producers || producers->aborted().empty()) return;
        // Of what was read, and not of all that is stable.
        const Offset read = std::min(end_of(*found.records).value_or(end), end);
        for (const wire::AbortedTransaction& aborted : producers->aborted_in(from, read))
            found.aborted_transactions->push_back({aborted.producer, aborted.first.value});
        SOMETIMES(!found.aborted_transactions->empty(), "fetch/tells-of-aborted-transactions");
    }

    // Whoever says of which epoch the last record was that he has is told if that is no longer so
    // (KIP-595), and gets nothing that would hide it.
    bool diverges(const raft::Group& group, const FetchRequest::Partition& wanted,
                  FetchResponse::Partition& found) {
        if (wanted.last_fetched_epoch < 0) return false;
        const EpochEnd end = epoch_end(group, Term(wanted.last_fetched_epoch));
        if (end.epoch == wanted.last_fetched_epoch && end.offset >= wanted.fetch_offset)
            return false;
        REACHABLE("fetch/of-what-was-overruled");
        if (end.epoch < 0)
            found.error = ErrorCode::offset_out_of_range;
        else
            found.diverging_epoch = {end.epoch, end.offset};
        is_final_ = true;
        return true;
    }

    // So much of the memory for answers that other fetches find some too, and at least a batch.
    std::size_t fair_share() const {
        const std::size_t wanted =
            std::min(static_cast<std::size_t>(std::max(request_.max_bytes, 1)),
                     node_.config.kafka.fetch_bytes_max);
        const std::size_t fair =
            std::max(node_.answer_bytes.room() / 8, node_.config.topic.message_bytes_max);
        SOMETIMES(fair < wanted, "fetch/memory-is-short");
        return std::min(wanted, fair);
    }

    std::size_t room_for(const FetchRequest::Partition& wanted) const {
        const std::size_t whole = std::min(
            {static_cast<std::size_t>(std::max(request_.max_bytes, 0)), memory_.bytes(), most_});
        if (most_ == 0) return 0;
        const std::size_t left = whole > bytes_ ? whole - bytes_ : 0;
        const std::size_t room =
            std::min(left, static_cast<std::size_t>(std::max(wanted.max_bytes, 0)));
        if (BUGGIFY("fetch/little-room")) return bytes_ == 0 ? 1 : 0;
        return bytes_ == 0 ? std::max<std::size_t>(room, 1) : room;
    }

    std::vector<Watch> watch(Condition& changed) {
        std::vector<Watch> watches;
        for (const FetchRequest::Topic& topic : request_.topics) {
            for (const FetchRequest::Partition& partition : topic.partitions) {
                Node::Replica replica = node_.replica(topic.name, partition.index);
                if (replica.group) watches.emplace_back(std::move(replica.group), changed);
            }
        }
        return watches;
    }

    // Until the next notification.
    Result<> wait_for_more(Condition& changed) {
        bool asked_before = false;
        return changed.wait([&] { return std::exchange(asked_before, true); });
    }

    Node& node_;
    const RequestHeader header_;
    const FetchSessions::Use session_;
    const FetchRequest request_;
    const Time until_;
    ByteBudget::Share memory_; // Until the answer has been sent.
    TraceRef trace_;
    std::size_t most_ = SIZE_MAX; // That the client's quota lets it have.
    std::size_t bytes_ = 0;       // Of records, in the answer so far.
    bool is_final_ = false;       // There is something to tell that waiting will not improve.
};

} // namespace

StartResult start_fetch(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<FetchRequest>(parts));
    const auto session = node.fetch_sessions.begin(request, node.env.clock.now(), node.env.random);
    return std::unique_ptr<Started>(
        std::make_unique<Fetch>(node, std::move(parts.header), session, std::move(request)));
}

} // namespace pyralog::server
