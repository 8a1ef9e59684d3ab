// server/fetched_records.h
//
// What a consumer makes of the answer to a fetch: single records, unpacked, from an offset on.
// Batches may begin before it, may be compressed, and may be markers of transactions, which are
// nobody's records. Those of transactions that the answer says were aborted are passed over. Pure.
#pragma once

#include "core/base/result.h"
#include "core/wire/kafka/fetch.h"
#include "core/wire/record_batch.h"

#include <vector>

namespace pyralog::server {

struct FetchedRecords {
    std::vector<wire::Record> records; // With slices of the answer, or of what was unpacked.
    Offset next;                       // Where to go on.
};

// Stops between two batches when so much has been unpacked: a small answer may unpack to a large
// one. Error::malformed if a batch cannot be read, or cannot be unpacked.
Result<FetchedRecords> records_in(const wire::kafka::FetchResponse::Partition& answer, Offset from,
                                  std::size_t bytes_max);

} // namespace pyralog::server
