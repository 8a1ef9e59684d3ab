// Fetch: what is committed, as slices of what the log holds. A fetch that finds too little waits
// until more is committed in one of its partitions, or its time is up.
#include "core/wire/kafka/fetch.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "server/handlers/handlers.h"

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

class Fetch : public Started {
public:
    Fetch(Node& node, RequestHeader header, FetchRequest request)
        : node_(node), header_(std::move(header)), request_(std::move(request)),
          until_(node.after_ms(request_.max_wait_ms)), memory_(node.answer_bytes) {}

    Result<Answered> finish() override {
        Condition changed(node_.env.fibers);
        std::vector<Watch> watches;
        bool watching = false;
        for (;;) {
            is_final_ = false;
            bytes_ = 0;
            FetchResponse response = TRY(look());
            const auto enough = static_cast<std::size_t>(std::max(request_.min_bytes, 0));
            const bool late = node_.env.clock.now() >= until_;
            SOMETIMES(!is_final_ && bytes_ == 0 && late, "fetch/empty-when-time-was-up");
            SOMETIMES(!is_final_ && bytes_ > 0 && bytes_ < enough && late, "fetch/too-little");
            if (is_final_ || bytes_ >= enough || late || BUGGIFY("fetch/answers-early", 100'000)) {
                SOMETIMES(watching && bytes_ >= enough, "fetch/waited-and-found-enough");
                node_.fetched_bytes.add(bytes_);
                return answer(header_, response);
            }
            memory_.shrink(0);
            if (!std::exchange(watching, true)) {
                watches = watch(changed);
                continue; // What came while we read from the disk went by unnoticed.
            }
            const Deadline deadline(node_.env.fibers, until_);
            if (BUGGIFY("fetch/looks-needlessly")) continue;
            // However it ends, what is there by then is the answer; but who is cancelled leaves.
            const Result<> waited = wait_for_more(changed);
            if (!waited.ok() && waited.error() != Error::timed_out) return waited.error();
        }
    }

private:
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
        const Offset start = group.log().log_start().offset;
        const Offset end = group.committed().offset;
        const Offset from(wanted.fetch_offset);
        found.high_watermark = found.last_stable_offset = end.value;
        found.log_start_offset = start.value;
        if (from < start || from > group.log().end().offset) {
            REACHABLE("fetch/out-of-range");
            found.error = ErrorCode::offset_out_of_range;
            return found;
        }
        if (from < end && memory_.bytes() == 0) {
            TRY(memory_.grow(fair_share()));
            return look_at(topic, wanted); // The partition has gone on while we waited.
        }
        const std::size_t room = room_for(wanted);
        SOMETIMES(from > end, "fetch/beyond-what-is-committed");
        SOMETIMES(from < end && room == 0, "fetch/no-room-left");
        if (from >= end || room == 0) return found;
        Result<BytesChain> records = group.read(from, room);
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
        return found;
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
        const std::size_t whole =
            std::min(static_cast<std::size_t>(std::max(request_.max_bytes, 0)), memory_.bytes());
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
    const FetchRequest request_;
    const Time until_;
    ByteBudget::Share memory_; // Until the answer has been sent.
    std::size_t bytes_ = 0;    // Of records, in the answer so far.
    bool is_final_ = false;    // There is something to tell that waiting will not improve.
};

} // namespace

StartResult start_fetch(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<FetchRequest>(parts));
    return std::unique_ptr<Started>(
        std::make_unique<Fetch>(node, std::move(parts.header), std::move(request)));
}

} // namespace pyralog::server
