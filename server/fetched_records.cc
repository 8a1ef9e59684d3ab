#include "server/fetched_records.h"

#include "server/kafka_batches.h"

#include <algorithm>
#include <set>

namespace pyralog::server {

namespace {

using wire::kafka::FetchResponse;

// The key of a marker: its version, and what it says.
bool is_abort(const wire::Record& marker) {
    constexpr std::size_t size = 4;
    if (!marker.key || marker.key->size() < size) return false;
    const auto key = marker.key->view();
    return key[2] == std::byte{0} && key[3] == std::byte{0};
}

// Which producers are, at some place of the log, in a transaction that was aborted.
class Aborted {
public:
    explicit Aborted(const FetchResponse::Partition& answer) {
        if (answer.aborted_transactions) all_ = *answer.aborted_transactions;
        std::ranges::sort(all_, {}, &FetchResponse::AbortedTransaction::first_offset);
    }

    // Batches come in the order of their offsets.
    bool has(const wire::RecordBatch& batch) {
        for (; begun_ < all_.size() && all_[begun_].first_offset < batch.end().value; ++begun_)
            open_.insert(all_[begun_].producer_id);
        return batch.header().is_transactional() && open_.contains(batch.header().producer_id);
    }
    void end(std::int64_t producer) { open_.erase(producer); }

private:
    std::vector<FetchResponse::AbortedTransaction> all_; // By where they begin.
    std::size_t begun_ = 0;
    std::set<std::int64_t> open_;
};

} // namespace

Result<FetchedRecords> records_in(const FetchResponse::Partition& answer, Offset from,
                                  std::size_t bytes_max) {
    FetchedRecords found;
    std::size_t bytes = 0;
    found.next = from;
    Aborted aborted(answer);
    Bytes rest = answer.records ? joined(*answer.records) : Bytes();
    while (!rest.empty() && bytes < bytes_max) {
        auto taken = wire::RecordBatch::take_first(rest);
        if (!std::holds_alternative<wire::RecordBatch>(taken)) return Error::malformed;
        const auto batch = plain(std::get<wire::RecordBatch>(taken));
        if (!batch) return Error::malformed;
        bytes += batch->size();
        const bool was_aborted = aborted.has(*batch);
        for (wire::Record& record : TRY(wire::records_of(*batch))) {
            if (batch->header().is_control() && is_abort(record))
                aborted.end(batch->header().producer_id);
            if (!batch->header().is_control() && !was_aborted && record.offset >= from)
                found.records.push_back(std::move(record));
        }
        found.next = std::max(found.next, batch->end());
    }
    return found;
}

} // namespace pyralog::server
