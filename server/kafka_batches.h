// server/kafka_batches.h
//
// What compaction asks of Kafka's batches. Compressed ones are looked into as well; what is left of
// one is stored plain, and one of which nothing is to go stays as it is.
#pragma once

#include "core/log/compaction.h"
#include "core/wire/record_batch.h"

namespace pyralog::server {

class KafkaBatches final : public BatchReader {
public:
    // A record says that its key is deleted if it has no value.
    std::optional<std::vector<KeyedRecord>> records_in(const BytesChain& batch) const override;
    BytesChain reduced(const BytesChain& batch, std::span<const Offset> kept) const override;
};

// May this batch be added to a topic that is compacted? Each record must have a key, and it must be
// possible to tell.
bool has_keys(const wire::RecordBatch& batch);

} // namespace pyralog::server
