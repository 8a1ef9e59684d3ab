// server/cli/compress.h
//
// What `pyralog produce --compression` does to a batch: the opposite of server/decompress.h, in the
// forms that Kafka's clients read. Brokers never do this.
#pragma once

#include "core/wire/record_batch.h"

#include <optional>
#include <string_view>

namespace pyralog::cli {

std::optional<wire::Compression> parse_compression(std::string_view name);

// A batch that is not compressed, with its records compressed; as it was if they would not shrink.
Bytes compressed(const wire::RecordBatch& batch, wire::Compression compression);

} // namespace pyralog::cli
