// server/cli/aborted.h
//
// Which batches of an answer to a fetch are of transactions that came to nothing. Whoever reads
// what is committed is sent them all the same, and told whose they are.
#pragma once

#include "core/wire/kafka/fetch.h"
#include "core/wire/record_batch.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

namespace pyralog::cli {

// The producers whose records in an answer come to nothing, while one goes through it in order:
// from where they begin up to the marker that says so.
class Aborted {
public:
    using Transaction = wire::kafka::FetchResponse::AbortedTransaction;
    using Transactions = std::vector<Transaction>;

    explicit Aborted(Transactions all) : left_(std::move(all)) {
        std::ranges::sort(left_, {}, &Transaction::first_offset);
    }

    bool has(const wire::RecordBatch& batch) {
        while (next_ < left_.size() && left_[next_].first_offset < batch.end().value)
            producers_.insert(left_[next_++].producer_id);
        const wire::BatchHeader& header = batch.header();
        if (header.is_control()) producers_.erase(header.producer_id);
        return header.is_transactional() && producers_.contains(header.producer_id);
    }

private:
    Transactions left_;
    std::size_t next_ = 0;
    std::set<std::int64_t> producers_;
};

} // namespace pyralog::cli
