// server/kafka_batches.h
//
// What compaction asks of Kafka's batches. Compressed ones are looked into as well; what is left of
// one is stored plain, and one of which nothing is to go stays as it is. Of transactions that came
// to nothing all records go, and none of them is the newest of its key; markers go when tombstones
// do, for by then no replica has anything left that they decide on.
#pragma once

#include "core/log/compaction.h"
#include "core/wire/producers.h"
#include "core/wire/record_batch.h"

#include <vector>

namespace pyralog::server {

class KafkaBatches final : public BatchReader {
public:
    // By their ends, rising; all of them that have records where this is to be used.
    explicit KafkaBatches(std::vector<wire::AbortedTransaction> aborted = {})
        : aborted_(std::move(aborted)) {}

    // A record says that its key is deleted if it has no value.
    std::optional<std::vector<KeyedRecord>> records_in(const BytesChain& batch) const override;
    BytesChain reduced(const BytesChain& batch, std::span<const Offset> kept) const override;

private:
    bool is_aborted(const wire::BatchHeader& header) const;

    const std::vector<wire::AbortedTransaction> aborted_;
};

// The same batch with its records as they were before they were compressed. Nothing if they cannot
// be had, or are more than a batch may hold.
std::optional<wire::RecordBatch> plain(const wire::RecordBatch& batch);

// May this batch be added to a topic that is compacted? Each record must have a key, and it must be
// possible to tell.
bool has_keys(const wire::RecordBatch& batch);

} // namespace pyralog::server
